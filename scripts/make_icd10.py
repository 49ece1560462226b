"""Writes data/icd10: encounter notes that look de-identified, each with the ICD-10-CM code of its main diagnosis.

Run with: python3 scripts/make_icd10.py [--check [--table CODES.tsv]]

With --check it writes nothing, compares the files with what it would write, and prints figures about them: how far the
nearest notes, naive Bayes and a linear model get. With --table it also compares the codes and their wording with the
table of all ICD-10-CM codes. Python's standard library is all it needs; each run writes the same bytes.
"""

import argparse
import json
import pathlib
import sys

from icd10.balance import SPLITS
from icd10.checks import check
from icd10.codes import read_codes
from icd10.notes import notes

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data" / "icd10"


def to_jsonl(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def contents():
    """What each file holds, by its name."""
    codes = sorted(read_codes(), key=lambda code: code.name)
    files = {"codes.jsonl": to_jsonl({"code": code.name, "description": code.description} for code in codes)}
    written = notes()
    for split in SPLITS:
        files[f"{split}.jsonl"] = to_jsonl(note.as_row() for note in written if note.split == split)
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="check the files instead of writing them")
    parser.add_argument("--table", type=pathlib.Path, help="table of all codes: code, whether it is billable, wording")
    arguments = parser.parse_args()
    if arguments.check:
        sys.exit(check(FOLDER, contents(), arguments.table))
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in contents().items():
        path = FOLDER / name
        path.write_text(text, encoding="utf-8", newline="\n")
        print(f"{path.relative_to(FOLDER.parent.parent)}: {text.count(chr(10))} rows, {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
