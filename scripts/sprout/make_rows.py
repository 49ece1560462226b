"""Writes the training rows of sprout, a small chat model that reads its prompt, from training splits alone.

Run with: python3 scripts/sprout/make_rows.py --data ../shared/data --output DIR --rows 60000 --seed 1

DIR/train.jsonl holds chat rows; `kind` names a row's part of the mixture and `labels` how its labels are named.
DIR/valid.jsonl holds episodes of intents that no training row has; the last answer is what to compare with. The same
seed gives the same bytes. Of bitext_intent and icd10_category nothing is read.
"""

import argparse
import collections
import hashlib
import json
import pathlib
import random

import composed
import dialogue
import episodes
import extraction
import facts
import pools
import recall
import rules

# The mixture in shares of the rows; they add up to 1.
MIXTURE = {
    "turns": 0.29,  # real messages, demonstrations as earlier turns, as `few-shot` shows them
    "listed": 0.04,  # the same with the demonstrations in the system prompt or the first user turn
    "composed": 0.11,  # made-up messages without end, as turns
    "described": 0.05,  # labels listed or described in the system prompt, few demonstrations or none
    "recall": 0.07,  # keys and arbitrary answers: find and copy
    "rules": 0.07,  # answers computed from the message
    "facts": 0.16,  # answers that stand in the prompt
    "extraction": 0.07,  # details of a message in a form
    "dialogue": 0.09,  # support dialogues
    "tasks": 0.02,  # seed tasks and word problems
    "plain_text": 0.03,  # passages to go on with
}
# The validation rows in shares; only held-out intents and things.
HELD_OUT_MIXTURE = {
    "held_out_original": 0.3,
    "held_out_renamed": 0.3,
    "held_out_composed": 0.2,
    "held_out_facts": 0.2,
}
ATTEMPTS = 50


class Makers:
    """The functions that draw a row of each kind."""

    def __init__(self, data, rendering):
        self.rendering = rendering
        self.material = pools.training_material(data)
        self.held_out = pools.held_out_material(data, self.material.borrowable)
        self.conversations = dialogue.Conversations(data)

    def draw(self, source, kind):
        """Returns a row of a kind, or nothing where the drawn one does not fit."""
        material, rendering = self.material, self.rendering
        if kind == "turns":
            return episodes.render_turns(source, episodes.draw_episode(source, material), rendering)
        if kind == "listed":
            return episodes.render_listed(source, episodes.draw_episode(source, material, "listed"), rendering)
        if kind == "composed":
            return episodes.render_turns(source, composed.draw_composed(source, material), rendering)
        if kind == "described":
            draw = episodes.draw_bare if source.random() < 0.35 else composed.draw_described
            return episodes.render_turns(source, draw(source, material), rendering)
        if kind == "recall":
            return recall.draw_recall(source, material, rendering)
        if kind == "rules":
            return rules.draw_rule(source, material, rendering)
        if kind == "facts":
            return facts.draw_fact_row(source, rendering)
        if kind == "extraction":
            return extraction.draw_extraction(source, rendering)
        plain = {"dialogue": dialogue.draw_dialogue, "tasks": dialogue.draw_task, "plain_text": dialogue.draw_passage}
        return plain[kind](source, self.conversations, rendering)

    def draw_held_out(self, source, kind):
        """Returns a validation row of a kind."""
        if kind == "held_out_facts":
            row = facts.draw_fact_row(source, self.rendering)
            return row and {**row, "kind": kind}
        naming = "original" if kind == "held_out_original" else source.choice(("word", "word", "snake_case", "phrase"))
        if kind == "held_out_composed":
            objects = composed.HELD_OUT_OBJECTS
            episode = composed.draw_composed(source, self.held_out, objects, kind, naming)
        else:
            episode = episodes.draw_episode(source, self.held_out, kind, naming)
        return episodes.render_turns(source, episode, self.rendering)


def write_rows(path, draw, mixture, count, seed):
    """Writes `count` different rows and returns how many there are of each kind."""
    written = collections.Counter()
    seen = set()
    with open(path, "w", encoding="utf-8") as out:
        for number in range(count):
            # A source of its own for each row, so that a change to one kind leaves the other rows as they are.
            source = random.Random(f"{seed}:{path.name}:{number}")
            kind = source.choices(list(mixture), list(mixture.values()))[0]
            for _ in range(ATTEMPTS):
                row = draw(source, kind)
                line = row and json.dumps(row, ensure_ascii=False)
                mark = row and hashlib.blake2b(line.encode(), digest_size=8).digest()
                if row and mark not in seen:
                    break
            else:
                raise SystemExit(f"no new row of kind `{kind}` in {ATTEMPTS} attempts; hint: raise --max-characters")
            seen.add(mark)
            written[kind] += 1
            out.write(line + "\n")
    return written


def parse_arguments():
    """Returns the command line's values."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the data sets")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="folder for train.jsonl and valid.jsonl")
    parser.add_argument("--rows", type=int, default=60000, help="training rows")
    parser.add_argument("--valid-rows", type=int, default=400, help="validation rows")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-characters", type=int, default=2000,
                        help="most of a row's text, each turn counted as 12 more")  # fmt: skip
    parser.add_argument("--skip-first-uses", action="store_true",
                        help="give weight 0 to demonstrations whose label nothing before them tells")  # fmt: skip
    return parser.parse_args()


def main():
    arguments = parse_arguments()
    arguments.output.mkdir(parents=True, exist_ok=True)
    rendering = episodes.Rendering(arguments.max_characters, not arguments.skip_first_uses)
    makers = Makers(arguments.data, rendering)
    parts = [("train", makers.draw, MIXTURE, arguments.rows),
             ("valid", makers.draw_held_out, HELD_OUT_MIXTURE, arguments.valid_rows)]  # fmt: skip
    for name, draw, mixture, count in parts:
        written = write_rows(arguments.output / f"{name}.jsonl", draw, mixture, count, arguments.seed)
        print(f"{name}: {count} rows; " + ", ".join(f"{kind} {written[kind]}" for kind in mixture))


if __name__ == "__main__":
    main()
