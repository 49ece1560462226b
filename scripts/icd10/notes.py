"""Puts the hand-written parts together to encounter notes, each with its code and what makes it hard."""

import dataclasses
import re

from icd10.background import Background
from icd10.balance import SPLITS, counts
from icd10.codes import SIDES, TRAPS, read_codes
from icd10.lines import Patient
from icd10.slots import fill
from icd10.wording import Wording
from sample_data.draw import Draw

SEED = 20241011
SYSTEM = "You are a medical coder. Answer with the one ICD-10-CM code of the note's main diagnosis."
FEWEST_WORDS = 25
# Background is added until a note has as many words as drawn from the fewest to these; its other parts may have more.
MOST_WORDS_AIMED_AT = 38
# How often a note does so.
SHARES = {
    "case": 0.3, "sign": 0.85, "trap": 0.95, "second-trap": 0.5, "other-side": 0.5, "finding": 0.2, "visit": 0.45,
    "diagnosis-first": 0.25, "plan": 0.5, "template": 0.25, "items": 0.3, "abbreviated": 0.35, "misspelled": 0.3,
    "small-letters": 0.05,
}  # fmt: skip
# Of the phrases that have an abbreviation, in a note that uses them.
SHARE_WRITTEN_SHORT = 0.75
KINDS_OF_BACKGROUND = ("items", "resolved", "relative", "denial", "denial", "vitals", "medication", "life")


@dataclasses.dataclass
class Note:
    code: object
    patient: Patient
    known: dict
    topics: set
    traits: set
    text: str = ""
    split: str = ""

    def as_row(self):
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": self.text},
            {"role": "assistant", "content": self.code.name},
        ]
        family = self.code.family.name
        return {"messages": messages, "code": self.code.name, "family": family, "traits": sorted(self.traits)}


def notes():
    """All notes, each split shuffled; the same on every run."""
    writer = Writer()
    numbers = counts()
    written = []
    for code in read_codes():
        own = [writer.write(code) for _ in range(sum(numbers[code.name].values()))]
        splits = [split for split in SPLITS for _ in range(numbers[code.name][split])]
        for note, split in zip(own, writer.draw.shuffled(splits)):
            note.split = split
        written += own
    return [note for split in SPLITS for note in writer.draw.shuffled([one for one in written if one.split == split])]


class Writer:
    """Words notes of a code."""

    def __init__(self):
        self.draw = Draw(SEED)
        self.background = Background(self.draw)
        self.wording = Wording(self.draw)

    def write(self, code):
        note = self.begin(code)
        diagnosis, middle = self.diagnosis(note)
        opening = self.opening(note)
        middle += self.traps(note, middle)
        middle += self.news(note, note.code.signs, middle) if self.happens("sign") else []
        finding = self.background.draw_any(code.family.findings, note) if self.happens("finding") else None
        middle += [finding] if finding else []
        wanted = [kind for kind in ("items", "template") if self.happens(kind)]
        middle += [said for said in (self.background.sentence(kind, note) for kind in wanted) if said]
        plan = [self.plan(note)] if self.happens("plan") else []
        first = self.happens("diagnosis-first")
        framed = self.background.frame("first" if first else "last").replace("{dx}", diagnosis)
        framed = framed[0].upper() + framed[1:]
        target = self.draw.between(FEWEST_WORDS + 3, MOST_WORDS_AIMED_AT)
        middle += self.filling(note, target - count_words(" ".join([opening, framed, *middle, *plan])))
        middle = self.draw.shuffled(middle)
        if first:
            ordered = [framed, opening] if self.draw.chance(0.5) else [opening, framed]
            sentences = [*ordered, *middle, *plan]
        else:
            sentences = [opening, *middle, framed, *plan]
        note.text = self.typed(note, " ".join(sentences))
        return note

    def happens(self, what):
        return self.draw.chance(SHARES[what])

    def begin(self, code):
        """An empty note about a patient."""
        age = self.draw.between(*code.ages)
        sex = "F" if self.draw.chance(code.family.share_of_women) else "M"
        known = {"him": "her" if sex == "F" else "him", "any": self.draw.one_of(SIDES)}
        traits = set()
        if code.side:
            known |= {"side": code.side, "other": SIDES[1 - SIDES.index(code.side)]}
            traits.add("laterality")
        return Note(code, Patient(age, sex), known, set(), traits)

    def diagnosis(self, note):
        """The diagnosis and the sentences that it needs beside it."""
        if self.happens("case"):
            phrase, sentence = self.draw.least_used(note.code.cases, note.code.name)
            note.traits.add("two-sentences")
        else:
            phrase, sentence = self.draw.least_used(note.code.diagnoses, note.code.name), None
        filled = [fill(self.draw, text, note.known) for text in (phrase, sentence) if text]
        for text in filled:
            note.topics |= self.background.topics(text)
        return filled[0], filled[1:]

    def opening(self, note):
        age, sex = note.patient.age, note.patient.sex
        nouns = {"F": "woman" if age >= 18 else "girl", "M": "man" if age >= 18 else "boy"}
        noun = self.draw.one_of(self.background.people[nouns[sex]])
        who = f"{self.draw.one_of(self.background.people['age']).replace('{age}', str(age))} {noun}"
        family = note.code.family
        parts = {"symptom": family.symptoms, "visit": family.visits}
        key = "visit" if self.happens("visit") else "symptom"
        reason = self.background.draw_any(parts[key], note)
        frame = self.background.frame(f"opening-{key}")
        return frame.replace("{who}", who).replace(f"{{{key}}}", reason)

    def traps(self, note, said):
        """Up to two sentences that name what the code is not, or is no longer, or is on the other side."""
        kinds = [trap for trap in TRAPS if trap in note.code.traps]
        if not self.happens("other-side"):
            kinds = [trap for trap in kinds if trap != "other-side"]
        wanted = self.happens("trap") + self.happens("second-trap")
        sentences = []
        for kind in self.draw.shuffled(kinds)[:wanted]:
            found = self.news(note, note.code.traps[kind], said + sentences)
            sentences += found
            note.traits |= {kind} if found else set()
        return sentences

    def news(self, note, texts, said):
        """One of the texts about the code that does not repeat what is said, filled, as a list; empty if all do."""
        known = long_words(" ".join(said))
        new = [text for text in texts if len(long_words(text) & known) < 0.5 * len(long_words(text))]
        if not new:
            return []
        text = fill(self.draw, self.draw.least_used(new, note.code.name), note.known)
        note.topics |= self.background.topics(text)
        return [text]

    def plan(self, note):
        return self.background.frame("plan").replace("{plan}", self.background.draw_any(note.code.family.plans, note))

    def filling(self, note, words):
        """Sentences of the background, each of another kind, with at least so many words."""
        sentences = []
        for kind in self.draw.shuffled(KINDS_OF_BACKGROUND):
            if count_words(" ".join(sentences)) >= words:
                break
            sentence = self.background.sentence(kind, note)
            sentences += [sentence] if sentence else []
        return sentences

    def typed(self, note, text):
        """The note as it was typed."""
        if self.happens("abbreviated"):
            text = self.wording.abbreviate(text, SHARE_WRITTEN_SHORT)
        if self.wording.is_abbreviated(text):
            note.traits.add("abbreviation")
        if self.happens("misspelled"):
            misspelled = self.wording.misspell(text, 2 if self.draw.chance(0.4) else 1)
            if misspelled != text:
                note.traits.add("misspelling")
            text = misspelled
        return in_small_letters(text) if self.happens("small-letters") else text


def count_words(text):
    return len(text.split())


def long_words(text):
    return set(re.findall(r"[a-z]{4,}", text.lower()))


def in_small_letters(text):
    """The text without capital letters but those of placeholders such as `[NAME]`."""
    return "".join(part if part.startswith("[") else part.lower() for part in re.split(r"(\[[A-Z]+\])", text))
