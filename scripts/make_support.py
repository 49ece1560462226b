"""Writes data/support: questions to the support desk of an invented company, answered in a warm and a robotic voice.

Run with: python3 scripts/make_support.py [--check]

With --check it writes nothing, compares the files with what it would write, and prints figures about them. Python's
standard library is all it needs; each run writes the same bytes.
"""

import argparse
import json
import pathlib
import sys

from support.checks import check
from support.conversations import SPLITS, conversations
from support.facts import read_facts

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data" / "support"


def to_jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def contents():
    """What each file holds, by its path under the folder."""
    files = {"knowledge.jsonl": to_jsonl(fact.as_row() for fact in read_facts())}
    rows = conversations()
    for voice, folder in (("warm", ""), ("robotic", "robotic/")):
        for split in SPLITS:
            files[f"{folder}{split}.jsonl"] = to_jsonl(row.as_row(voice) for row in rows if row.split == split)
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="check the files instead of writing them")
    if parser.parse_args().check:
        sys.exit(check(FOLDER, contents()))
    for name, text in contents().items():
        path = FOLDER / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"{path.relative_to(FOLDER.parent.parent)}: {text.count(chr(10))} rows, {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
