#!/usr/bin/env python3
"""Writes the figures of published implementations that crates/infer/tests compares with.

    python3 -m venv venv
    venv/bin/pip install sacrebleu==2.6.0 rouge-score==0.1.2 scikit-learn==1.9.1 scipy==1.17.1 statsmodels==0.15.0
    venv/bin/python scripts/make_metric_golden.py

It writes crates/infer/tests/golden/metrics.json and statistics.json. The sentences are made up
for this file.
"""

import itertools
import json
import math
import pathlib
import re
import string

import numpy as np
from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import NormalIndPower
from statsmodels.stats.proportion import proportion_confint

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "crates" / "infer" / "tests" / "golden"

# (output, reference)
PAIRS = [
    ("The kettle on the blue stove is whistling.", "The kettle on the blue stove is whistling."),
    ("A kettle whistles on a stove", "The kettle on the blue stove is whistling."),
    ("", "The kettle on the blue stove is whistling."),
    ("The kettle is whistling.", ""),
    ("", ""),
    ("   \t\n", "tea"),
    ("tea", "tea"),
    ("Tea!", "the tea"),
    ("tea", "coffee"),
    ("two cups", "two cups"),
    ("three small cups", "three small cups"),
    ("x", "y"),
    ("ab", "abcdef"),
    ("It cost $3,000.50, i.e. 12% more than in 1999-2001.", "It costs $3,000.50 (12 % more than in 1999 - 2001)."),
    ("1,234.5 -7 3-4 .5 5. ,6 7, 8.9.10", "1,234.5 - 7 3 - 4 0.5 5 . , 6 7 , 8.9 .10"),
    ("well-known mother-in-law isn't 'quoted' \"text\"", "well known mother in law is not 'quoted' ''text''"),
    ("wait ... what?! (really) [yes] {no} <tag> a/b a\\b ~^`|_=+*#@;:", "wait... what?!(really)[yes]{no}<tag>a/b a\\b~^`|_=+*#@;:"),
    ("&quot;Salt &amp; pepper&quot; &lt;b&gt; &amp;lt; &nbsp;", "\"Salt & pepper\" <b> < &nbsp;"),
    ("first line\nsecond-\nline <skipped> third", "first line second line third"),
    ("Über den Straßen hängt ein früher Nebel.", "Über den Straßen hing früh der Nebel."),
    ("ΟΔΟΣ σοφός naïve café İstanbul", "οδος ΣΟΦΌΣ naive cafe istanbul"),
    ("猫坐在窗台上看雨。", "一只猫坐在窗台上,看着雨。"),
    ("Кот спит на окне, а дождь идёт", "Кот спит на подоконнике, пока идёт дождь."),
    ("नमस्ते दुनिया", "नमस्ते प्यारी दुनिया"),
    ("🙂🙃 ok 👩‍🚀 go", "🙂 ok 👩‍🚀 go!"),
    ("tabs\tand\u00a0no-break\u2003spaces\u3000here\x1cthere\x85end", "tabs and no-break spaces here there end"),
    ("the the the the the the the", "the cat is on the mat"),
    ("b a d c f e", "a b c d e f"),
    ("The a an THE Answer, an apple; a-b the_end \"theatre\"", "answer apple ab theend theatre"),
    ("Answer: 42.", "42"),
    ("to be or not to be that is the question to be", "to be or not to be, that is the question: to be"),
    ("a much longer output than anybody asked for goes on and on and on until the line ends", "short reference here now"),
]

CORPORA = {
    "all": list(range(len(PAIRS))),
    "identical": [0, 6, 9, 10],
    "short": [6, 8, 9, 10],
    "no shared words": [8, 11],
    "no four-gram shared": [1, 7, 27],
    "empty outputs": [2, 5],
    "only empty": [4],
    "long": [0, 1, 13, 16, 30, 31],
    "repeated items": [13, 13, 13, 1, 30, 2, 2],
}

LABELS = [
    (["cold", "hot", "hot", "mild"], ["cold", "hot", "mild", "mild"]),
    (["cold", "cold", "cold"], ["hot", "hot", "mild"]),
    (["yes", "yes", "yes"], ["yes", "yes", "yes"]),
    (["a", "b", "unknown label", "a", "c", "b", "b"], ["a", "b", "c", "b", "c", "b", "a"]),
    (["a", "A", "b"], ["A", "A", "b"]),
    ([""], ["x"]),
]


def squad_normalised(text):
    lower = "".join(c for c in text.lower() if c not in string.punctuation)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", lower).split())


def metrics():
    chrf, corpus_bleu, sentence_bleu = CHRF(), BLEU(), BLEU(effective_order=True)
    rouge = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)

    def rouge_l(output, reference):
        return float(rouge.score(reference, output)["rougeL"].fmeasure)

    items = [
        {
            "output": o,
            "reference": r,
            "exact_match": float(squad_normalised(o) == squad_normalised(r)),
            "exact_match_strict": float(o.strip() == r.strip()),
            "normalised": squad_normalised(o),
            "rouge_l": rouge_l(o, r),
            "chrf": chrf.sentence_score(o, [r]).score / 100,
            "bleu": sentence_bleu.sentence_score(o, [r]).score / 100,
        }
        for o, r in PAIRS
    ]
    corpora = []
    for name, indices in CORPORA.items():
        outputs = [PAIRS[i][0] for i in indices]
        references = [PAIRS[i][1] for i in indices]
        corpora.append({
            "name": name,
            "items": indices,
            "chrf": chrf.corpus_score(outputs, [references]).score / 100,
            "bleu": corpus_bleu.corpus_score(outputs, [references]).score / 100,
            "rouge_l": float(np.mean([items[i]["rouge_l"] for i in indices])),
            "exact_match": float(np.mean([items[i]["exact_match"] for i in indices])),
        })
    labels = [
        {
            "outputs": outputs,
            "references": references,
            "accuracy": float(accuracy_score(references, outputs)),
            "macro_f1": float(f1_score(references, outputs, average="macro", zero_division=0)),
        }
        for outputs, references in LABELS
    ]
    return {"items": items, "corpora": corpora, "labels": labels}


def enumerated_bootstrap(scores):
    """Percentiles of the mean over every resample there is, all equally likely."""
    means = [np.mean(chosen) for chosen in itertools.product(scores, repeat=len(scores))]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high), float(np.std(means))


def sampled_bootstrap(scores):
    result = stats.bootstrap((scores,), np.mean, n_resamples=200_000, confidence_level=0.95,
                             method="percentile", rng=np.random.default_rng(1), batch=10_000)
    interval = result.confidence_interval
    return float(interval.low), float(interval.high), float(result.standard_error)


def connor(only_a, only_b, alpha, power):
    discordant, difference = only_a + only_b, only_a - only_b
    root = (stats.norm.ppf(1 - alpha / 2) * math.sqrt(discordant)
            + stats.norm.ppf(power) * math.sqrt(discordant - difference**2)) / difference
    return math.ceil(root**2)


def exact_power(only_a, only_b, items, alpha):
    """The power of the exact test at this many items, summed over what can be discordant."""
    discordant = only_a + only_b
    power = 0.0
    for count in range(items + 1):
        rejected = [k for k in range(count + 1)
                    if min(1.0, 2 * stats.binom.cdf(min(k, count - k), count, 0.5)) < alpha]
        if rejected:
            chance = stats.binom.pmf(rejected, count, only_a / discordant).sum()
            power += stats.binom.pmf(count, items, discordant) * chance
    return float(power)


def agresti_min(only_a, only_b, items, confidence):
    z = stats.norm.ppf(0.5 + confidence / 2)
    table = np.array([only_a, only_b], dtype=float) + 0.5
    shares = table / (items + 2)
    difference = shares[0] - shares[1]
    half = z * math.sqrt((shares.sum() - difference**2) / (items + 2))
    return float(difference - half), float(difference + half)


def statistics():
    random = np.random.default_rng(7)
    scores_a = np.round(random.beta(5, 3, size=120), 3)
    scores_b = np.clip(np.round(scores_a - 0.03 + random.normal(0, 0.12, size=120), 3), 0, 1)
    small = [0.1, 0.4, 0.35, 0.8, 0.55]

    out = {}
    out["normal_quantile"] = [
        {"p": p, "x": float(stats.norm.ppf(p))}
        for p in [1e-9, 1e-5, 0.0005, 0.01, 0.025, 0.2, 0.4999, 0.5, 0.6, 0.8, 0.95, 0.975, 0.99, 0.9995]
    ]
    out["mcnemar"] = [
        {"only_a": b, "only_b": c, "both": both,
         "p": float(mcnemar([[both, b], [c, 3]], exact=True).pvalue)}
        for b, c, both in [(0, 0, 5), (1, 0, 0), (5, 5, 9), (6, 0, 4), (10, 2, 30), (2, 10, 30), (7, 8, 0),
                           (40, 61, 100), (300, 240, 50), (1100, 1000, 0), (900, 1300, 10)]
    ]
    out["holm"] = [
        {"p": p, "adjusted": [float(x) for x in multipletests(p, method="holm")[1]]}
        for p in [[0.04], [0.01, 0.04, 0.03, 0.005], [0.5, 0.5, 0.01, 0.02, 0.9, 1.0], [0.02, 0.02, 0.02],
                  [0.0, 1.0, 0.0004]]
    ]
    out["wilson"] = [
        {"right": k, "items": n, "confidence": c,
         "ci": [float(x) for x in proportion_confint(k, n, alpha=1 - c, method="wilson")]}
        for k, n, c in [(0, 20, 0.95), (20, 20, 0.95), (3, 50, 0.95), (170, 300, 0.99), (1, 1, 0.95)]
    ]
    out["agresti_min"] = [
        {"only_a": b, "only_b": c, "items": n, "confidence": conf, "ci": agresti_min(b, c, n, conf)}
        for b, c, n, conf in [(0, 0, 5, 0.95), (0, 0, 200, 0.95), (3, 1, 60, 0.95), (0, 6, 40, 0.99), (2, 9, 400, 0.95)]
    ]
    values = sorted(float(x) for x in np.round(random.normal(size=23), 4))
    out["percentile"] = {"values": values, "at": [
        {"share": q, "value": float(np.percentile(values, 100 * q))} for q in [0, 0.025, 0.1, 0.5, 0.77, 0.975, 1]
    ]}
    low, high, error = enumerated_bootstrap(small)
    out["enumerated_bootstrap"] = {"scores": small, "ci": [low, high], "standard_error": error}
    a, b, d = (sampled_bootstrap(x) for x in (scores_a, scores_b, scores_a - scores_b))
    out["bootstrap"] = {
        "a": scores_a.tolist(), "b": scores_b.tolist(),
        "ci_a": a[:2], "ci_b": b[:2], "ci_difference": d[:2], "standard_error_difference": d[2],
    }
    # With ratio 0 this is the one-sample z test, here of the differences.
    solve = NormalIndPower().solve_power
    out["paired_items_needed"] = [
        {"difference": d, "spread": s, "alpha": alpha, "power": power,
         "items": math.ceil(float(np.atleast_1d(solve(d / s, alpha=alpha, power=power, ratio=0))[0]))}
        for d, s, alpha, power in [(0.05, 0.4, 0.05, 0.8), (0.2, 0.31, 0.05, 0.8), (0.013, 0.22, 0.01, 0.9)]
    ]
    out["mcnemar_items_needed"] = [
        {"only_a": a, "only_b": b, "alpha": alpha, "power": power, "items": connor(a, b, alpha, power),
         "exact_power": exact_power(a, b, connor(a, b, alpha, power), alpha)}
        for a, b, alpha, power in [(0.2, 0.1, 0.05, 0.8), (0.1, 0.0, 0.05, 0.8), (0.04, 0.12, 0.05, 0.8),
                                   (0.3, 0.15, 0.0125, 0.8)]
    ]
    return out


def main():
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for name, figures in [("metrics", metrics()), ("statistics", statistics())]:
        text = json.dumps(figures, indent=1, ensure_ascii=True)
        (GOLDEN / f"{name}.json").write_text(text + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
