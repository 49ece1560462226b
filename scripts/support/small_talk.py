"""Hand-written parts that fit many facts: situations of customers, greetings, closings."""

import dataclasses
import re

from sample_data.blocks import read_blocks
from support.facts import FOLDER


@dataclasses.dataclass(frozen=True)
class Situation:
    """What a customer says of himself, and how the warm voice takes it up."""

    text: str
    kind: str
    not_with: frozenset
    taken_up: tuple

    def fits(self, kind, question):
        """Whether the situation makes sense beside a question about a fact of this kind."""
        words = set(re.findall(r"[a-z']+", question.lower()))
        situational = "ask" if kind == "ask" else "do"
        return self.kind in ("any", situational) and not words & self.not_with


def read_situations():
    return [
        Situation(
            text=parts["user"][0],
            kind=parts["kind"][0],
            not_with=frozenset(" ".join(parts.get("not-with", ())).split()),
            taken_up=tuple(parts["warm"]),
        )
        for _, parts in read_blocks(FOLDER / "situations.txt")
    ]


def read_small_talk():
    """The parts by section and key, such as `["warm-close"]["ask"]`."""
    return dict(read_blocks(FOLDER / "small_talk.txt"))


def read_vague():
    """By fact, a first message that does not name it yet, with the questions that both voices ask back."""
    blocks = read_blocks(FOLDER / "vague.txt")
    return {fact: (parts["user"][0], parts["warm"][0], parts["robot"][0]) for fact, parts in blocks}
