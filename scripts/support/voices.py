"""The two voices: the warm one that is to be learned, and the robotic one that it is compared with."""

import re

FEWEST_WORDS, MOST_WORDS = 15, 45
CONTRACTION = re.compile(r"\b(?:\w+n't|\w+'(?:s|re|ve|ll|d|m))\b", re.IGNORECASE)
FIRST_PERSON = re.compile(r"\b(?:I|I'm|I'll|I've|I'd|we|we're|we'll|we've|us|our)\b", re.IGNORECASE)


def count_words(text):
    return len(re.findall(r"[\w$%'’-]+", text))


def is_warm(text):
    """Whether a reply keeps the rules of the warm voice that a program can see."""
    return (
        bool(CONTRACTION.search(text) and FIRST_PERSON.search(text))
        and "!" not in text
        and FEWEST_WORDS <= count_words(text) <= MOST_WORDS
    )


def is_robotic(text):
    """Whether a reply keeps the rules of the robotic voice that a program can see."""
    return (
        not CONTRACTION.search(text)
        and not FIRST_PERSON.search(text)
        and "!" not in text
        and FEWEST_WORDS <= count_words(text) <= MOST_WORDS
    )


def closed_by(draw, pools, keeps_voice, parts):
    """The parts and a closing that makes them a reply of the voice, from the first pool that has one."""
    closed = lambda closing: " ".join((*parts, closing))
    for closings in pools:
        fitting = [closing for closing in closings if keeps_voice(closed(closing))]
        if fitting:
            return closed(draw.least_used(fitting, *parts))
    raise ValueError(f"no closing makes `{' '.join(parts)}` a reply of the voice")


class WarmVoice:
    """Names the trouble, gives the one thing that helps, offers a small next step."""

    def __init__(self, draw, talk):
        self.draw = draw
        self.closings = talk["warm-close"]
        self.nods = talk["warm-nod"]["line"]

    def answer(self, fact, situation):
        """An answer to a question about the fact; a situation is taken up in place of the fact's own opening."""
        core = self.draw.least_used(fact.cores, (fact.name, bool(situation)))
        openings = situation.taken_up if situation else fact.openings
        new = [closing for closing in fact.closings if not self.draw.used[closing, core]]
        pools = [new, self.closings[fact.kind]] if self.draw.chance(0.6) else [self.closings[fact.kind], new]
        return closed_by(self.draw, pools, is_warm, (self.draw.least_used(openings, core), core))

    def second_answer(self, fact, follow_up):
        nods = (self.draw.least_used(self.nods),) if self.draw.chance(0.4) else ()
        return closed_by(self.draw, [self.closings["ask"]], is_warm, (*nods, follow_up.warm))


class RoboticVoice:
    """Passive, without contractions, now and then a list."""

    def __init__(self, draw, talk):
        self.draw = draw
        self.openings = talk["robot-open"]["line"]
        self.lists = talk["robot-list"]["line"]
        self.closings = talk["robot-close"]["line"]
        self.nods = talk["robot-nod"]["line"]
        self.endings_of_questions = talk["robot-ask"]["line"]

    def answer(self, fact):
        core = self.draw.least_used(fact.robotic)
        named = {"subject": fact.subject, "topic": fact.topic}
        if self.draw.chance(0.25):
            layout = self.draw.least_used(self.lists, core)
            closing = self.draw.least_used(self.closings, core)
            return layout.replace(" / ", "\n").format(core=core, closing=closing, **named)
        return self.close(self.closings, self.draw.least_used(self.openings, core).format(**named), core)

    def second_answer(self, fact, follow_up):
        return self.close(self.closings, self.draw.least_used(self.nods), follow_up.robotic)

    def question_back(self, question):
        return self.close(self.endings_of_questions, question)

    def close(self, closings, *parts):
        return closed_by(self.draw, [closings], is_robotic, parts)
