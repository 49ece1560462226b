"""The facts about Acme Software, with the hand-written parts of the conversations about them."""

import dataclasses
import pathlib

from sample_data.blocks import read_blocks

FOLDER = pathlib.Path(__file__).resolve().parent
FILES = ("plans", "money", "account", "files", "apps", "products")


@dataclasses.dataclass(frozen=True)
class FollowUp:
    """A second question about a fact's detail, and its answer in both voices."""

    question: str
    warm: str
    robotic: str


@dataclasses.dataclass(frozen=True)
class Fact:
    """One thing that is true of Acme Software.

    `key` stands in each answer about the fact, `detail_key` in each answer about its detail. `questions` holds the
    wordings by split. A fact that is `unseen` is asked about in the test rows only.
    """

    name: str
    topic: str
    kind: str
    text: str
    detail: str
    key: str
    detail_key: str
    subject: str
    unseen: bool
    questions: dict
    openings: tuple
    cores: tuple
    closings: tuple
    robotic: tuple
    follow_ups: tuple

    def as_row(self):
        """What knowledge.jsonl says of the fact."""
        row = {"id": self.name, "topic": self.topic, "text": self.text, "key": self.key}
        row |= {"detail": self.detail, "detail_key": self.detail_key}
        return row | ({"unseen": True} if self.unseen else {})


def read_facts():
    """All facts, in the order of the files."""
    blocks = [block for name in FILES for block in read_blocks(FOLDER / "knowledge" / f"{name}.txt")]
    facts = [to_fact(name, parts) for name, parts in blocks]
    names = [fact.name for fact in facts]
    repeated = {name for name in names if names.count(name) > 1}
    if repeated:
        raise ValueError(f"facts with one name: {sorted(repeated)}")
    return facts


def to_fact(name, parts):
    unseen = "unseen" in parts
    expected = {"train": 0, "valid": 0, "test": 3, "open": 2, "core": 3, "close": 2, "robot": 3, "follow": 0}
    if not unseen:
        expected = {"train": 6, "valid": 1, "test": 2, "open": 3, "core": 4, "close": 2, "robot": 3, "follow": 2}
    expected |= {"more": expected["follow"], "robot-more": expected["follow"]}
    for key, count in expected.items():
        if len(parts.get(key, ())) != count:
            raise ValueError(f"`{name}`: expected {count} of `{key}`, found {len(parts.get(key, ()))}")
    follow_ups = zip(parts.get("follow", ()), parts.get("more", ()), parts.get("robot-more", ()))
    single = lambda key: parts[key][0]
    return Fact(
        name=name,
        topic=single("topic"),
        kind=single("kind"),
        text=single("fact"),
        detail=single("detail"),
        key=single("key"),
        detail_key=single("detail-key"),
        subject=single("subject"),
        unseen=unseen,
        questions={split: tuple(parts.get(split, ())) for split in ("train", "valid", "test")},
        openings=tuple(parts["open"]),
        cores=tuple(parts["core"]),
        closings=tuple(parts["close"]),
        robotic=tuple(parts["robot"]),
        follow_ups=tuple(FollowUp(*parts) for parts in follow_ups),
    )
