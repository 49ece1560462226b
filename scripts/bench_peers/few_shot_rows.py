"""Writes few-shot prompts as chat JSONL, which both sides answer: system message, demonstrations, question.

    python scripts/bench_peers/few_shot_rows.py TRAIN.jsonl TEST.jsonl OUT.jsonl [--shots 16] [--rows 64] [--different]

All rows have the same demonstrations, or with --different each has its own. The questions are spread over the file.
"""

import argparse
import json
import random
from pathlib import Path


def read(path):
    with open(path) as lines:
        return [json.loads(line)["messages"] for line in lines]


def turns(messages):
    """Returns a row without its system message."""
    return [message for message in messages if message["role"] != "system"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--shots", type=int, default=16)
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--different", action="store_true", help="other demonstrations for each row")
    parser.add_argument("--seed", type=int, default=42)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    train, test = read(options.train), read(options.test)
    questions = draw.sample(test, options.rows)
    shown = draw.sample(train, options.shots)
    with open(options.output, "w") as out:
        for question in questions:
            if options.different:
                shown = draw.sample(train, options.shots)
            system = [message for message in question if message["role"] == "system"]
            demonstrations = [turn for row in shown for turn in turns(row)]
            messages = system + demonstrations + turns(question)[:-1]
            out.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
