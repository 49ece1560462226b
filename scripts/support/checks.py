"""Checks of data/support: counts, copies, near-copies, facts and voices, with figures."""

import json

from sample_data.nearness import nearest_pairs
from sample_data.report import Report
from support.voices import CONTRACTION, FEWEST_WORDS, MOST_WORDS, count_words, is_robotic, is_warm

NEAR = 0.8
LEAST_FACTS = 40
LEAST_ROWS = {"train": 520, "valid": 100, "test": 150}
VOICES = {"warm": ("", is_warm), "robotic": ("robotic/", is_robotic)}


def check(folder, expected):
    """1 if something about the files is wrong, else 0."""
    report = Report()
    read = lambda name: (folder / name).read_text(encoding="utf-8") if (folder / name).exists() else ""
    changed = [name for name, text in expected.items() if read(name) != text]
    report.say(not changed, f"files that differ from what the generator writes: {changed or 'none'}")
    rows_of = lambda name: [json.loads(line) for line in read(name).splitlines()]
    facts = {fact["id"]: fact for fact in rows_of("knowledge.jsonl")}
    topics = {fact["topic"] for fact in facts.values()}
    report.say(len(facts) >= LEAST_FACTS, f"facts: {len(facts)}, in {len(topics)} topics")
    questions = {}
    for voice, (prefix, keeps_voice) in VOICES.items():
        rows = {split: rows_of(f"{prefix}{split}.jsonl") for split in LEAST_ROWS}
        questions[voice] = {split: [asked(row) for row in rows[split]] for split in rows}
        check_counts(report, voice, rows)
        check_replies(report, voice, keeps_voice, [row for split in rows.values() for row in split], facts)
        if voice == "warm":
            check_splits(report, rows, facts)
    report.say(questions["warm"] == questions["robotic"], "both voices answer the same questions, line by line")
    check_questions(report, questions["warm"])
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"       size: {size} bytes")
    return int(report.failed > 0)


def asked(row):
    return [message["content"] for message in row["messages"] if message["role"] == "user"]


def replies(row):
    return [message["content"] for message in row["messages"] if message["role"] == "assistant"]


def check_counts(report, voice, rows):
    counts = {split: len(rows[split]) for split in rows}
    report.say(all(counts[split] >= least for split, least in LEAST_ROWS.items()), f"{voice} rows: {counts}")
    longer = {split: sum(len(asked(row)) > 1 for row in rows[split]) for split in rows}
    share = sum(longer.values()) / sum(counts.values())
    report.say(0.1 <= share <= 0.2, f"{voice} rows of two turns: {longer}, {share:.1%}")


def check_replies(report, voice, keeps_voice, rows, facts):
    texts = [text for row in rows for text in replies(row)]
    report.say(len(set(texts)) == len(texts), f"{voice} replies: {len(texts)}, {len(set(texts))} of them different")
    most, pair = max((similarity, pair) for pair, similarity in nearest_pairs(texts, 5).items())
    report.say(most < NEAR, f"{voice} replies: most alike two, by runs of five words: {most:.3f}")
    if most >= NEAR:
        print(texts[pair[0]], texts[pair[1]], sep="\n")
    outside = [text for text in texts if not keeps_voice(text)]
    report.say(not outside, f"{voice} replies outside the voice: {len(outside)} {outside[:3] or ''}")
    words = sorted(count_words(text) for text in texts)
    in_range = FEWEST_WORDS <= words[0] and words[-1] <= MOST_WORDS
    report.say(in_range, f"{voice} replies: {words[0]} to {words[-1]} words, median {words[len(words) // 2]}")
    contracted = sum(bool(CONTRACTION.search(text)) for text in texts) / len(texts)
    print(f"       {voice} replies with a contraction: {contracted:.1%}")
    untrue = [text for row in rows for text in without_fact(row, facts[row["fact"]])]
    report.say(not untrue, f"{voice} replies without their fact's key: {len(untrue)} {untrue[:3] or ''}")


def without_fact(row, fact):
    """The replies that lack what their fact or its detail must show; one that asks back needs nothing."""
    own = replies(row)
    shows = lambda text, key: fact[key].lower() in text.lower()
    if not any(shows(text, "key") for text in own):
        return own
    first = next(place for place, text in enumerate(own) if shows(text, "key"))
    return [text for text in own[first + 1 :] if not shows(text, "detail_key")]


def check_splits(report, rows, facts):
    of = lambda split: {row["fact"] for row in rows[split]}
    unseen = [row for row in rows["test"] if row.get("unseen_fact")]
    seen = of("train") | of("valid")
    is_marked = all((row["fact"] in seen) != bool(row.get("unseen_fact")) for row in rows["test"])
    share = len(unseen) / len(rows["test"])
    is_right = is_marked and 0.08 <= share <= 0.12
    report.say(is_right, f"test rows about facts that no other split has: {len(unseen)}, {share:.1%}")
    topics = {row["topic"] for row in rows["train"]}
    untrained = sorted({fact["topic"] for fact in facts.values()} - topics)
    report.say(not untrained, f"topics without a training row: {untrained or 'none'}")


def check_questions(report, questions):
    messages = [(split, text) for split, rows in questions.items() for row in rows for text in row]
    texts = [text for _, text in messages]
    words = sorted(count_words(text) for text in texts)
    in_range = 5 <= words[0] and words[-1] <= 30
    report.say(in_range, f"user messages: {words[0]} to {words[-1]} words, median {words[len(words) // 2]}")
    report.say(len(set(texts)) == len(texts), f"user messages: {len(texts)}, {len(set(texts))} of them different")
    similar = nearest_pairs(texts, 3)
    across = {pair: value for pair, value in similar.items() if messages[pair[0]][0] != messages[pair[1]][0]}
    most, pair = max((value, pair) for pair, value in across.items())
    report.say(most < NEAR, f"user messages of two splits: most alike, by runs of three words: {most:.3f}")
    print(f"       these are `{texts[pair[0]]}` and `{texts[pair[1]]}`")
