"""The codes, in families that differ by one detail, with the hand-written parts of their notes."""

import dataclasses
import pathlib

from icd10.lines import Line, read_line
from sample_data.blocks import read_blocks

FOLDER = pathlib.Path(__file__).resolve().parent
FAMILIES = (
    "diabetes", "asthma", "airway", "heart", "urinary", "spine", "ankle", "ear", "reflux", "mood", "skin",
)  # fmt: skip
# What a note may hold beside its diagnosis, to lead astray whoever goes by single words.
TRAPS = ("negation", "history", "ruled-out", "other-side")
SIDES = ("right", "left")


@dataclasses.dataclass(frozen=True)
class Family:
    name: str
    ages: tuple
    share_of_women: float
    symptoms: tuple
    visits: tuple
    findings: tuple
    plans: tuple


@dataclasses.dataclass(frozen=True)
class Code:
    """A code and how notes say it.

    `diagnoses` say all in one phrase. `cases` are pairs of a phrase and a sentence that both are needed. `signs`
    are sentences that go with the code. `side` is empty where the code has none.
    """

    name: str
    family: Family
    description: str
    side: str
    ages: tuple
    diagnoses: tuple
    cases: tuple
    signs: tuple
    traps: dict


def read_codes():
    """All codes, in the order of the files; of a pair, the right side first."""
    return [code for name in FAMILIES for code in read_family(name)]


def read_family(name):
    (heading, parts), *blocks = read_blocks(FOLDER / "families" / f"{name}.txt")
    if heading != "family":
        raise ValueError(f"`{name}`: expected the block `family` first, found `{heading}`")
    lines = lambda key: tuple(read_line(text) for text in parts[key])
    family = Family(
        name=name,
        ages=read_ages(parts),
        share_of_women=float(parts["women"][0]),
        symptoms=lines("symptom"),
        visits=lines("visit"),
        findings=lines("finding"),
        plans=lines("plan"),
    )
    return [code for names, said in blocks for code in to_codes(names.split(), said, family)]


def read_ages(parts):
    return tuple(int(age) for age in parts["ages"][0].split())


def to_codes(names, parts, family):
    """The code of a block, or the two that differ by the side."""
    sides = SIDES if len(names) == 2 else ("",)
    official = parts["official"][0]
    for name, side in zip(names, sides, strict=True):
        description = official.replace("{side}", side)
        yield Code(
            name=name,
            family=family,
            description=description[0].upper() + description[1:],
            side=side,
            ages=read_ages(parts) if "ages" in parts else family.ages,
            diagnoses=(official, *parts["dx"]),
            cases=tuple(tuple(text.split(" / ")) for text in parts["case"]),
            signs=tuple(parts["sign"]),
            traps={trap: tuple(parts[trap]) for trap in TRAPS if trap in parts},
        )
