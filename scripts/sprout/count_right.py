"""Counts the rows that `tunewise generate` answered as they end, by file and by kind of row.

Run with: python3 scripts/sprout/count_right.py ANSWERS.jsonl ...

A row counts as right when its completion is the content of its last message, white space at the ends aside.
"""

import argparse
import collections
import json
import pathlib


def is_right(row):
    """Returns whether the completion is the row's own last answer."""
    return row["completion"].strip() == row["messages"][-1]["content"].strip()


def count(path):
    """Returns right and all answers by kind of row."""
    counts = collections.defaultdict(lambda: [0, 0])
    with open(path, encoding="utf-8") as lines:
        for row in map(json.loads, lines):
            counted = counts[row.get("kind", "")]
            counted[0] += is_right(row)
            counted[1] += 1
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("answers", type=pathlib.Path, nargs="+")
    for path in parser.parse_args().answers:
        for kind, (right, rows) in sorted(count(path).items()):
            print(f"{path.stem:10} {kind:20} {right / rows:6.1%} of {rows}")


if __name__ == "__main__":
    main()
