"""Writes a small part of CLINC150 as chat JSONL: fifteen intents under a short system prompt, for models of short context.

Run with: python3 scripts/clinc15.py CLINC150_DIR OUTPUT_DIR [--rows-per-intent 100]

CLINC150_DIR holds train.jsonl, valid.jsonl and test.jsonl as chat rows whose answer is the intent's name.
"""

import argparse
import collections
import json
import pathlib

INTENTS = """alarm balance calories definition flip_coin fun_fact gas_type greeting meal_suggestion spelling
timer tire_pressure translate weather yes""".split()
SYSTEM = "Name the intent."


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("output", type=pathlib.Path)
    parser.add_argument("--rows-per-intent", type=int, default=100)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    for split in ("train", "valid", "test"):
        taken = collections.Counter()
        with open(arguments.source / f"{split}.jsonl") as rows, open(arguments.output / f"{split}.jsonl", "w") as out:
            for line in rows:
                messages = json.loads(line)["messages"]
                intent = messages[-1]["content"]
                if intent not in INTENTS or taken[intent] >= arguments.rows_per_intent:
                    continue
                taken[intent] += 1
                messages = [{"role": "system", "content": SYSTEM}] + messages[1:]
                out.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
        print(f"{split}: {sum(taken.values())} rows, {len(taken)} of {len(INTENTS)} intents")


if __name__ == "__main__":
    main()
