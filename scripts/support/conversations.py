"""Puts the hand-written parts together to conversations: each question once, with an answer in both voices."""

import dataclasses

from sample_data.draw import Draw
from support.facts import read_facts
from support.small_talk import read_situations, read_small_talk, read_vague
from support.voices import RoboticVoice, WarmVoice, count_words

SEED = 20240607
SYSTEM = (
    "You are the support desk of Acme Software, maker of Notewren for notes, Billheron for invoices and Dayfinch for "
    "calendars. Answer the customer's question in one to three sentences."
)
SPLITS = ("train", "valid", "test")
LOWER_CASE = 0.1
# A longer message gets no thanks at its end.
MOST_WORDS_ASKED = 25
# Of a fact's training rows, the one that begins with a vague message: no situation, no follow-up.
VAGUE_ROW = 4


@dataclasses.dataclass(frozen=True)
class Turn:
    user: str
    warm: str
    robotic: str


@dataclasses.dataclass
class Conversation:
    fact: object
    split: str
    turns: list

    def as_row(self, voice):
        """The conversation as a row of JSONL, `voice` being `warm` or `robotic`."""
        messages = [{"role": "system", "content": SYSTEM}]
        for turn in self.turns:
            messages.append({"role": "user", "content": turn.user})
            messages.append({"role": "assistant", "content": getattr(turn, voice)})
        row = {"messages": messages, "topic": self.fact.topic, "fact": self.fact.name}
        return row | ({"unseen_fact": True} if self.fact.unseen else {})


@dataclasses.dataclass(frozen=True)
class Asked:
    """A row to write: a wording, whether a situation stands beside it, and the turns around it."""

    split: str
    wording: str
    placed: bool
    follow_up: object = None
    vague: object = None


def conversations():
    """All conversations, each split shuffled; the same on every run."""
    facts = read_facts()
    writer = Writer()
    vague = read_vague()
    rows = []
    places = iter(range(len(facts)))
    for fact in facts:
        plan = plan_unseen(fact) if fact.unseen else plan_seen(fact, next(places))
        if fact.name in vague:
            plan[VAGUE_ROW] = dataclasses.replace(plan[VAGUE_ROW], vague=vague.pop(fact.name))
        rows += [writer.write(fact, asked) for asked in plan]
    if vague:
        raise ValueError(f"vague first messages about facts that are not there: {sorted(vague)}")
    return [row for split in SPLITS for row in writer.draw.shuffled([row for row in rows if row.split == split])]


def plan_seen(fact, place):
    """Twelve rows to train on, two or three to validate, three to test; one in seven goes on with a follow-up."""
    late_split = "valid" if place % 5 < 2 else "test"
    early, late = fact.follow_ups
    train, valid, test = (fact.questions[split] for split in SPLITS)
    plan = []
    for number, wording in enumerate(train):
        plan.append(Asked("train", wording, False, follow_up=early if number == place % 2 else None))
        plan.append(Asked("train", wording, True))
    plan.append(Asked("valid", valid[0], False, follow_up=late if late_split == "valid" else None))
    plan += [Asked("valid", valid[0], True)] * (2 if place % 9 < 2 else 1)
    plan += [Asked("test", test[0], False), Asked("test", test[1], False), Asked("test", test[place % 2], True)]
    if late_split == "test":
        plan[-3] = dataclasses.replace(plan[-3], follow_up=late)
    return plan


def plan_unseen(fact):
    return [Asked("test", wording, number == 1) for number, wording in enumerate(fact.questions["test"])]


class Writer:
    """Words the planned rows."""

    def __init__(self):
        self.draw = Draw(SEED)
        self.talk = read_small_talk()
        self.situations = read_situations()
        self.warm = WarmVoice(self.draw, self.talk)
        self.robotic = RoboticVoice(self.draw, self.talk)

    def write(self, fact, asked):
        fitting = [one for one in self.situations if one.fits(fact.kind, asked.wording)] if asked.placed else []
        situation = self.draw.least_used(fitting, fact.name) if fitting else None
        turns = []
        if asked.vague:
            user, warm, robotic = asked.vague
            turns.append(Turn(user, warm, self.robotic.question_back(robotic)))
        user = self.question(asked.wording, situation, plain=bool(asked.vague))
        turns.append(Turn(user, self.warm.answer(fact, situation), self.robotic.answer(fact)))
        if asked.follow_up:
            turns.append(self.follow_up(fact, asked.follow_up))
        return Conversation(fact, asked.split, turns)

    def question(self, wording, situation, plain):
        """The customer's message: the wording and what stands around it."""
        parts = [wording]
        if situation:
            parts.insert(0 if self.draw.chance(0.5) else 1, situation.text)
        elif len(wording.split()) < 5 or (not plain and self.draw.chance(0.35)):
            parts.insert(0, self.draw.least_used(self.talk["question"]["greeting"]))
        if not plain and self.draw.chance(0.2) and count_words(" ".join(parts)) <= MOST_WORDS_ASKED:
            parts.append(self.draw.least_used(self.talk["question"]["farewell"]))
        message = " ".join(parts)
        return message.lower().rstrip(".?") if self.draw.chance(LOWER_CASE) else message

    def follow_up(self, fact, follow_up):
        user = follow_up.question
        if self.draw.chance(0.5):
            user = f'{self.draw.least_used(self.talk["question"]["link"])} {user}'
        return Turn(user, self.warm.second_answer(fact, follow_up), self.robotic.second_answer(fact, follow_up))
