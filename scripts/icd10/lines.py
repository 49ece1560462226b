"""Hand-written lines, each with the patients and the families of codes that it suits."""

import dataclasses

SEXES = {"women": "F", "men": "M"}


@dataclasses.dataclass(frozen=True)
class Patient:
    age: int
    sex: str


@dataclasses.dataclass(frozen=True)
class Line:
    """A text that may be said of patients of some age and sex, in notes of some families of codes."""

    text: str
    only: frozenset = frozenset()
    never: frozenset = frozenset()
    sex: str = ""
    youngest: int = 0
    oldest: int = 120
    marks: frozenset = frozenset()

    def suits(self, family, patient):
        return (
            (not self.only or family in self.only)
            and family not in self.never
            and self.sex in ("", patient.sex)
            and self.youngest <= patient.age <= self.oldest
        )


def read_line(text):
    """The line in a text such as `COPD | not asthma airway | men from 50`; any other word is a mark."""
    text, *conditions = text.split(" | ")
    parts = {"text": text}
    for condition in conditions:
        words = condition.split()
        if words[0] in ("not", "only"):
            parts["never" if words[0] == "not" else "only"] = frozenset(words[1:])
            continue
        while words:
            word = words.pop(0)
            if word in SEXES:
                parts["sex"] = SEXES[word]
            elif word in ("from", "to"):
                parts["youngest" if word == "from" else "oldest"] = int(words.pop(0))
            else:
                parts["marks"] = parts.get("marks", frozenset()) | {word}
    return Line(**parts)
