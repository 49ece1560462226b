"""Writes data/support_mediocre: 200 support conversations gone wrong in the ways that real ones do, and good ones.

Run with: python3 scripts/make_support_mediocre.py [--check]

The good rows are training rows of data/support; each other row names its fault. With --check it writes nothing and
compares the file with what it would write. Each run writes the same bytes.
"""

import argparse
import collections
import json
import pathlib
import sys

from sample_data.draw import Draw
from support import faults
from support.conversations import SYSTEM, conversations

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "data" / "support_mediocre"
SEED = 77
PAIRS_OF_CONTRADICTIONS = 11
COUNTS = {
    "none": 50,
    "wrong-fact": 20,
    "empty-reply": 6,
    "truncated": 16,
    "tone-robotic": 7,
    "tone-curt": 7,
    "tone-excited": 7,
    "tone-assistant": 7,
    "personal-data": 16,
    "mojibake": 10,
    "template-token": 8,
    "exact-duplicate": 12,
    "near-duplicate": 12,
}


class Spoiler:
    """Takes good conversations, each once, and spoils them."""

    def __init__(self):
        self.draw = Draw(SEED)
        single = [one for one in conversations() if one.split == "train" and len(one.turns) == 1]
        self.left = self.draw.shuffled(single)

    def take(self, is_usable=lambda conversation: True):
        place = next(place for place, one in enumerate(self.left) if is_usable(one))
        return self.left.pop(place)

    def rows(self):
        rows = self.contradictions()
        good = [self.take() for _ in range(COUNTS["none"])]
        rows += [row(one.turns[0].user, one.turns[0].warm, "none") for one in good]
        for number in range(COUNTS["exact-duplicate"]):
            turn = good[number].turns[0]
            rows.append(row(turn.user, turn.warm, "exact-duplicate"))
        for number in range(COUNTS["near-duplicate"]):
            turn = good[COUNTS["exact-duplicate"] + number].turns[0]
            rows.append(row(*faults.nearly(turn.user, turn.warm), "near-duplicate"))
        for fault in SPOILED:
            rows += [row(*SPOILED[fault](self, number), fault) for number in range(COUNTS[fault])]
        return self.draw.shuffled(rows)

    def contradictions(self):
        """One question, answered rightly and, in other words, wrongly."""
        rows = []
        for _ in range(PAIRS_OF_CONTRADICTIONS):
            other = self.take(lambda one: fits_any_question(one) and has_wrong_version(one))
            right = self.take(lambda one: one.fact.name == other.fact.name)
            question = right.turns[0].user
            rows.append(row(question, right.turns[0].warm, "contradiction"))
            wrong = faults.with_wrong_fact(other.turns[0].warm, other.fact)
            rows.append(row(question, wrong, "contradiction"))
        return rows

    def wrong_fact(self, number):
        one = self.take(has_wrong_version)
        return one.turns[0].user, faults.with_wrong_fact(one.turns[0].warm, one.fact)

    def empty_reply(self, number):
        return self.take().turns[0].user, ("", "   ", "\n")[number % 3]

    def truncated(self, number):
        turn = self.take().turns[0]
        if number < COUNTS["truncated"] // 2:
            return turn.user, faults.truncated_at_joint(turn.warm)
        return turn.user, faults.truncated(turn.warm, (0.35, 0.55, 0.75)[number % 3])

    def robotic(self, number):
        turn = self.take().turns[0]
        return turn.user, turn.robotic

    def curt(self, number):
        one = self.take()
        return one.turns[0].user, faults.CURT[number].format(key=one.fact.key)

    def excited(self, number):
        one = self.take()
        core = self.core(one).replace(".", "!!!")
        return one.turns[0].user, faults.EXCITED[number].format(core=core)

    def assistant(self, number):
        one = self.take()
        return one.turns[0].user, faults.ASSISTANT[number].format(core=self.core(one))

    def personal_data(self, number):
        one = self.take()
        name, email, phone, card = faults.PEOPLE[number // 4]
        known = {"name": name, "email": email, "phone": phone, "card": card}
        question = faults.LEAKS_OF_QUESTIONS[number % 4].format(question=one.turns[0].user, **known)
        return question, faults.LEAKS[number // 2 % 4].format(core=self.core(one), **known)

    def mojibake(self, number):
        turn = self.take().turns[0]
        return turn.user, faults.as_mojibake(turn.warm)

    def template_token(self, number):
        turn = self.take().turns[0]
        return turn.user, faults.TEMPLATE_TOKENS[number].format(reply=turn.warm)

    def core(self, conversation):
        return self.draw.least_used(conversation.fact.cores)


SPOILED = {
    "wrong-fact": Spoiler.wrong_fact,
    "empty-reply": Spoiler.empty_reply,
    "truncated": Spoiler.truncated,
    "tone-robotic": Spoiler.robotic,
    "tone-curt": Spoiler.curt,
    "tone-excited": Spoiler.excited,
    "tone-assistant": Spoiler.assistant,
    "personal-data": Spoiler.personal_data,
    "mojibake": Spoiler.mojibake,
    "template-token": Spoiler.template_token,
}


def has_wrong_version(conversation):
    return faults.with_wrong_fact(conversation.turns[0].warm, conversation.fact) is not None


def fits_any_question(conversation):
    """Whether the answer takes up nothing but the fact."""
    return conversation.turns[0].warm.startswith(conversation.fact.openings)


def row(user, assistant, fault):
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": user}]
    return {"messages": messages + [{"role": "assistant", "content": assistant}], "fault": fault}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare the file instead of writing it")
    check = parser.parse_args().check
    rows = Spoiler().rows()
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path = FOLDER / "train.jsonl"
    for fault, count in sorted(collections.Counter(row["fault"] for row in rows).items()):
        print(f"{count:4} {fault}")
    if check:
        is_same = path.exists() and path.read_text(encoding="utf-8") == text
        print(f"{len(rows)} rows, the file {'is the same' if is_same else 'DIFFERS'}")
        sys.exit(0 if is_same and len(rows) == 200 else 1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    print(f"{len(rows)} rows, {len(text.encode())} bytes")


if __name__ == "__main__":
    main()
