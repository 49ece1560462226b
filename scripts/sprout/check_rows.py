"""Checks a folder that make_rows.py wrote, and prints what is in it.

Run with: python3 scripts/sprout/check_rows.py DIR [--data ../shared/data --seed S --skip-first-uses]

Exit code 1 when a label of the evaluation or of the held-out intents occurs in training, when a classification
question cannot be read from its prompt, when two rows are equal, or, with --data, when the same command does not give
the same bytes again.
"""

import argparse
import collections
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import labels
import words
from episodes import TURN_COST
from make_rows import HELD_OUT_MIXTURE, MIXTURE
from neighbours import Index
from pools import read_rows

CLASSIFICATION = ["turns", "listed", "composed", "described", "recall"]
CLASSIFICATION += [kind for kind in HELD_OUT_MIXTURE if kind != "held_out_facts"]
SHOWN_AS_TURNS = ["turns", "composed", "held_out_original", "held_out_renamed", "held_out_composed"]


def bare_label(answer):
    """Returns the label that an answer shows, whatever its form."""
    found = re.fullmatch(r'`(.+)`|\[(.+)\]|Label: (.+)|\{"label": "(.+)"\}', answer)
    return next(part for part in found.groups() if part) if found else answer


def answers_of(row):
    """Returns the labels of a row's assistant turns."""
    return [bare_label(message["content"]) for message in row["messages"] if message["role"] == "assistant"]


def is_readable(row):
    """Returns whether the last answer is an earlier one, or stands in the prompt as a word of its own."""
    *earlier, last = answers_of(row)
    if last in earlier:
        return True
    prompt = "\n".join(message["content"] for message in row["messages"][:-1])
    return re.search(rf"(?<![\w-]){re.escape(last)}(?![\w-])", prompt) is not None


def percentiles(values):
    """Returns the 5th, 50th, 95th and highest of some numbers."""
    ordered = sorted(values)
    return [ordered[int(share * (len(ordered) - 1))] for share in (0.05, 0.5, 0.95, 1)]


def size(row):
    return sum(len(message["content"]) + TURN_COST for message in row["messages"])


def print_mixture(name, rows):
    """Prints the counts, lengths and answers of each kind of row."""
    text = sum(size(row) for row in rows)
    answered = [sum(len(m["content"]) for m in row["messages"] if m["role"] == "assistant") for row in rows]
    print(f"{name}: {len(rows)} rows, {text / 1e6:.1f} million characters, turns counted as {TURN_COST}")
    print(f"  {'kind':20} rows   share of rows, text, answers   characters at 5, 50, 95, 100 %")
    for kind in dict.fromkeys(row["kind"] for row in sorted(rows, key=lambda row: row["kind"])):
        places = [place for place, row in enumerate(rows) if row["kind"] == kind]
        shares = [len(places) / len(rows), sum(size(rows[place]) for place in places) / text,
                  sum(answered[place] for place in places) / sum(answered)]  # fmt: skip
        lengths = percentiles([size(rows[place]) for place in places])
        print(f"  {kind:20} {len(places):6}  " + "  ".join(f"{share:6.1%}" for share in shares) + f"   {lengths}")
    print(f"  all: {percentiles([size(row) for row in rows])}")


def print_labels(name, rows):
    """Prints how labels are named, how many there are, and what simple strategies would answer."""
    rows = [row for row in rows if row["kind"] in CLASSIFICATION]
    named = collections.Counter(row["labels"] for row in rows)
    distinct = {label for row in rows for label in answers_of(row)}
    counts = ", ".join(f"{kind} {count}" for kind, count in named.most_common())
    print(f"{name}: {len(distinct)} distinct labels; {counts}")
    for kind in SHOWN_AS_TURNS:
        print_strategies(kind, [row for row in rows if row["kind"] == kind][:400])


def print_strategies(kind, rows):
    """Prints how often the nearest, the most frequent and the last demonstration has the answer."""
    if not rows:
        return
    right = collections.Counter()
    for row in rows:
        asked = [message["content"] for message in row["messages"] if message["role"] == "user"]
        *shown, answer = answers_of(row)
        nearest = Index(asked[:-1]).nearest(asked[-1], 1)
        right["nearest"] += bool(nearest) and shown[nearest[0]] == answer
        right["most frequent"] += collections.Counter(shown).most_common(1)[0][0] == answer
        right["last"] += shown[-1] == answer
        right["readable answers"] += sum(label in shown[:place] for place, label in enumerate(shown)) / len(shown)
        right["labels"] += len(set(shown))
    labels_shown = right.pop("labels") / len(rows)
    said = ", ".join(f"{strategy} {count / len(rows):.0%}" for strategy, count in right.items())
    print(f"  {kind}: {labels_shown:.1f} labels a row; {said}")


def is_conversation(messages):
    """Returns whether user and assistant take turns, behind a system turn or none, and all say something."""
    roles = [message["role"] for message in messages]
    alternating = ["user", "assistant"] * (len(roles) // 2)
    says_something = all(message["content"].strip() for message in messages)
    return says_something and roles in (alternating, ["system"] + alternating)


def find_faults(train, valid):
    """Yields what must not be."""
    kept_apart = labels.RESERVED
    for number, row in enumerate(train, 1):
        if row["kind"] not in MIXTURE:
            yield f"train row {number}: unknown kind {row['kind']}"
        if row["kind"] in CLASSIFICATION:
            shown = [label for label in answers_of(row) if labels.spelling(label) in kept_apart]
            yield from (f"train row {number}: label `{label}` is kept apart" for label in shown)
    for name, rows in (("train", train), ("valid", valid)):
        for number, row in enumerate(rows, 1):
            if row["kind"] in CLASSIFICATION and not is_readable(row):
                yield f"{name} row {number}: the answer is nowhere in the prompt"
            if not is_conversation(row["messages"]):
                yield f"{name} row {number}: turns out of order or empty"
        distinct = {json.dumps(row["messages"]) for row in rows}
        if len(distinct) < len(rows):
            yield f"{name}: {len(rows) - len(distinct)} rows are repeated"
    listed = "\n".join(row["messages"][0]["content"] for row in train if row["kind"] in CLASSIFICATION)
    written = [name for name in labels.EVALUATED_LABELS if "_" in name and re.search(rf"\b{name}\b", listed)]
    yield from (f"train: label `{name}` of the evaluation stands in a prompt" for name in written)


def digest(folder):
    """Returns the SHA-256 of both files."""
    content = b"".join((folder / f"{name}.jsonl").read_bytes() for name in ("train", "valid"))
    return hashlib.sha256(content).hexdigest()


def is_regenerated(folder, data, rows, options):
    """Returns whether the generator gives the folder's bytes again, under another hash seed of Python."""
    with tempfile.TemporaryDirectory() as again:
        command = [sys.executable, str(pathlib.Path(__file__).parent / "make_rows.py"), "--data", str(data)]
        command += ["--output", again, "--rows", str(rows)] + options
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={"PYTHONHASHSEED": "7"})
        return digest(pathlib.Path(again)) == digest(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--data", type=pathlib.Path, help="generates again, with the default options, and compares")
    parser.add_argument("--seed", type=int, default=1, help="the seed that the folder was made with")
    parser.add_argument("--skip-first-uses", action="store_true", help="the folder was made with it")
    arguments = parser.parse_args()
    options = ["--seed", str(arguments.seed)] + ["--skip-first-uses"] * arguments.skip_first_uses
    train, valid = (list(read_rows(arguments.folder / f"{name}.jsonl")) for name in ("train", "valid"))
    for name, rows in (("train", train), ("valid", valid)):
        print_mixture(name, rows)
        print_labels(name, rows)
    faults = list(find_faults(train, valid))
    apart = set(words.NOUNS + words.ADJECTIVES) & set(words.EVALUATION_WORDS)
    faults += [f"words: `{word}` is in training and in the evaluation" for word in sorted(apart)]
    if arguments.data and not is_regenerated(arguments.folder, arguments.data, len(train), options):
        faults.append("the generator does not give the same bytes again")
    print(f"sha256 {digest(arguments.folder)}{', generated again' if arguments.data else ''}")
    for fault in faults[:40]:
        print(f"FAIL {fault}")
    print(f"{len(faults)} faults")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
