"""What notes of all codes say beside the diagnosis: other illnesses, past ones, relatives, vital signs, daily life."""

from icd10.codes import FOLDER, SIDES
from icd10.lines import read_line
from icd10.slots import fill
from sample_data.blocks import read_blocks

ITEMS = ("comorbidity", "chronic", "surgery")
LINES = ("resolved", "relative", "denial", "vitals", "medication", "life", "template")
# Of the lines in notes of codes that have a side: nothing is said there of the sides of other parts of the body.
SHARE_WITHOUT_SIDES = 0.8
# The trait that a kind of line gives to its note.
TRAITS = {"resolved": "history", "relative": "family-history", "denial": "negation"}


class Background:
    """Draws lines that suit a note, and no two about one topic."""

    def __init__(self, draw):
        blocks = dict(read_blocks(FOLDER / "background.txt"))
        self.draw = draw
        self.frames = {key: [read_line(text) for text in texts] for key, texts in blocks["frames"].items()}
        self.people = blocks["people"]
        self.lines = {kind: [read_line(text) for text in blocks[kind]["line"]] for kind in LINES}
        self.items = {kind: [read_line(text) for text in blocks[kind]["item"]] for kind in ITEMS}
        named = (text.split() for text in blocks["topics"]["word"])
        self.topics_by_text = {}
        self.words_by_topic = {topic: beginnings for topic, *beginnings in named}

    def topics(self, text):
        """The topics that a text touches."""
        if text not in self.topics_by_text:
            self.topics_by_text[text] = self.find_topics(text)
        return self.topics_by_text[text]

    def find_topics(self, text):
        words = text.lower().replace("/", " ").replace("-", " ").replace(".", " ").split()
        begins = lambda beginnings: any(word.startswith(tuple(beginnings)) for word in words)
        return {topic for topic, beginnings in self.words_by_topic.items() if begins(beginnings)}

    def frame(self, key, *marks):
        """A frame of the kind that asks for no mark but these."""
        return self.draw.least_used([line.text for line in self.frames[key] if line.marks <= set(marks)], key)

    def sentence(self, kind, note):
        """A sentence of the kind for the note, or `None` where none is left; its topics are taken."""
        if kind == "items":
            return self.list_of_items(note)
        line = self.draw_new(self.lines[kind], note)
        if line and kind in TRAITS:
            note.traits.add(TRAITS[kind])
        return line

    def list_of_items(self, note):
        """A sentence with one to three illnesses or operations."""
        kinds = [self.draw.one_of(("comorbidity", "comorbidity", "chronic", "surgery"))]
        while len(kinds) < 3 and self.draw.chance(0.5):
            kinds.append(self.draw.one_of(ITEMS))
        found = [(kind, self.draw_new(self.items[kind], note)) for kind in kinds]
        found = [(kind, item) for kind, item in found if item]
        if not found:
            return None
        kinds = {kind for kind, _ in found}
        if "comorbidity" in kinds:
            note.traits.add("comorbidity")
        marks = {"ongoing"} if "surgery" not in kinds else {"surgery"} if kinds == {"surgery"} else set()
        return self.frame("history", *marks).replace("{items}", ", ".join(item for _, item in found))

    def draw_new(self, lines, note):
        """A line that suits the note and touches no topic of it, filled; `None` if there is none."""
        new = [line for line in lines if not (self.topics(line.text) | {line.text}) & note.topics]
        return self.draw_any(new, note)

    def draw_any(self, lines, note):
        """A line that suits the note, filled; `None` if there is none."""
        fitting = [line for line in lines if line.suits(note.code.family.name, note.patient)]
        if note.code.side and self.draw.chance(SHARE_WITHOUT_SIDES):
            fitting = [line for line in fitting if "{any}" not in line.text.lower()] or fitting
        if not fitting:
            return None
        line = self.draw.one_of(fitting)
        note.topics |= self.topics(line.text) | {line.text}
        known = {"any": self.draw.one_of(SIDES), "relative": self.draw.one_of(self.people["relative"])}
        return fill(self.draw, line.text, note.known | known)
