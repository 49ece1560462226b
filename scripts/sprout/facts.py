"""Questions about facts: the prompt holds a few invented ones; the answer is one of them, or that it is not there."""

import dataclasses

import words
from episodes import row_size, turn
from fact_topics import TOPICS

SENTENCE, SPAN = "sentence", "span"
ASKED_STYLES = {
    SENTENCE: ["Answer in a full sentence.", "Answer in one sentence.", "Reply with a whole sentence."],
    SPAN: ["Answer in as few words as possible.", "Give only the answer itself.", "Answer briefly, without a sentence.",
           "Answer with the words of the fact only.", "Short answers only."],
}  # fmt: skip
OPENINGS = ["Answer from these facts:", "Use the facts below.", "Here is what you know:", "Facts:", "Context:",
            "Notes:",
            "Answer the question from the text.", "You know the following.", "Read this and answer.", "Knowledge:",
            "You answer questions with this information.", "Everything you may use is here:"]  # fmt: skip
PERSONAS = ["You are the assistant of {brand}.", "You work for {brand}.", "You are {name}, an agent of {brand}.",
            "You help the guests of {brand}.", "You are the help desk of {brand} in {town}.",
            "{brand} answers its customers here."]  # fmt: skip
UNKNOWN = "I do not know."
FALLBACKS = ["If the facts do not say, answer `{}`", "When the answer is not there, say: {}", "Otherwise say: {}",
             "If you cannot find it, reply {}"]  # fmt: skip
OTHER_UNKNOWNS = ["Please ask the front desk.", "That is not in my notes.", "I have no answer to that.", "unknown",
                  "Let me ask a colleague.", "No information.", "Sorry, I can't tell."]  # fmt: skip
LISTENERS = ["You are a helpful assistant.", "Remember what the user tells you.", "Be brief.",
             "You keep notes for the user."]  # fmt: skip
USER_REPLIES = ["Noted.", "I will remember that.", "Thank you, I have it.", "All right.", "Got it."]


@dataclasses.dataclass(frozen=True)
class Fact:
    """A value of something, with the topic that words it."""

    topic: object
    subject: str
    value: str

    def word(self, template):
        text = template.format(s=self.subject, v=self.value)
        return text[0].upper() + text[1:]


def draw_facts(random, names, count):
    """Returns facts of the topics, no subject twice; reverse questions need values that differ, too."""
    facts = []
    while len(facts) < count:
        topic = TOPICS[random.choice(names)]
        fact = Fact(topic, topic.subject(random), topic.value(random))
        others = [other for other in facts if other.topic is topic]
        if any(other.subject in fact.subject or fact.subject in other.subject for other in others):
            continue
        if not (topic.reverse and any(other.value == fact.value for other in others)):
            facts.append(fact)
    return facts


def lay_facts(random, facts):
    """Returns the facts as lines, as a list or as one paragraph."""
    said = [fact.word(random.choice(fact.topic.statements)) for fact in facts]
    if random.random() < 0.35:
        shapes = [statement for fact in facts for statement in fact.topic.statements if statement.startswith("{s}: ")]
        said = [fact.word("{s}: {v}") for fact in facts] if len(shapes) == len(facts) else said
    drawn = random.random()
    if drawn < 0.3 and all(line.endswith(".") for line in said):
        return " ".join(said)
    if drawn < 0.65:
        mark = random.choice(("- ", "* ", "- "))
        return "\n".join(mark + line for line in said)
    if drawn < 0.75:
        return "\n".join(f"{place}. {line}" for place, line in enumerate(said, 1))
    return "\n".join(said)


def ask(random, fact, style):
    """Returns a question for a fact and its answer."""
    if fact.topic.reverse and random.random() < 0.3:
        question = fact.word(random.choice(fact.topic.reverse))
        answer = fact.subject
    else:
        question = fact.word(random.choice(fact.topic.questions))
        answer = fact.value
    if random.random() < 0.2:
        question = question.lower() if fact.subject.islower() and fact.value.islower() else question.rstrip("?")
    if style == SPAN:
        return question, answer
    wording = fact.topic.answers[0] if random.random() < 0.85 else random.choice(fact.topic.answers)
    return question, fact.word(fact.topic.answers[0] if answer == fact.subject else wording)


def ask_absent(random, known, hidden):
    """Returns a question that no known fact answers: about another thing, or about another side of a known one."""
    fact = random.choice(known)
    sides = [topic for topic in TOPICS.values() if topic.subject is fact.topic.subject]
    told = [other.topic for other in known if other.subject == fact.subject]
    sides = [topic for topic in sides if topic not in told]
    if sides and random.random() < 0.5:
        fact = Fact(random.choice(sides), fact.subject, "")
    else:
        fact = hidden[0]
    return fact.word(random.choice(fact.topic.questions))


def instruct(random, style, unknown):
    """Returns the words around the facts: who answers, how, and what to say without an answer."""
    parts = []
    if random.random() < 0.4:
        slots = {"brand": words.brand(random), "name": words.first_name(random), "town": words.town(random)}
        parts.append(random.choice(PERSONAS).format(**slots))
    if style == SPAN or random.random() < 0.35:
        parts.append(random.choice(ASKED_STYLES[style]))
    if unknown != UNKNOWN or random.random() < 0.4:
        parts.append(random.choice(FALLBACKS).format(unknown))
    parts.append(random.choice(OPENINGS))
    return " ".join(parts)


def draw_fact_row(random, rendering):
    """Returns a row of a few facts and one to six questions about them."""
    names = random.sample(sorted(TOPICS), random.choice((1, 1, 2, 3, 4)))
    if "pet" in names:
        return draw_told_row(random, rendering)
    facts = draw_facts(random, names, random.randint(3, 10))
    known = facts[:-1] if len(facts) > 3 else facts
    hidden = [fact for fact in facts if fact not in known]
    style = random.choice((SENTENCE, SENTENCE, SPAN))
    unknown = UNKNOWN if random.random() < 0.6 else random.choice(OTHER_UNKNOWNS)
    head = f"{instruct(random, style, unknown)}\n{lay_facts(random, known)}"
    messages = []
    for fact in random.sample(known, min(len(known), random.choice((1, 2, 2, 3, 4, 5, 6)))):
        question, answer = ask(random, fact, style)
        if hidden and random.random() < 0.15:
            question, answer, hidden = ask_absent(random, known, hidden), unknown, []
        messages += [turn("user", question), turn("assistant", answer)]
    if random.random() < 0.8:
        messages.insert(0, turn("system", head))
    else:
        messages[0] = turn("user", f"{head}\n\n{random.choice(('Question: ', '', 'Q: '))}{messages[0]['content']}")
    return {"messages": messages, "kind": "facts"} if row_size(messages) <= rendering.max_characters else None


def draw_told_row(random, rendering):
    """Returns a row in which the user tells facts turn by turn and then asks for them."""
    topics = [TOPICS["pet"]] * random.choice((1, 2, 3))
    topics += [TOPICS[name] for name in ("price", "town", "room", "date", "word")]
    facts = []
    for topic in random.sample(topics, random.choice((1, 2, 3, 4))):
        fact = Fact(topic, topic.subject(random), topic.value(random))
        if not any(other.subject == fact.subject for other in facts):
            facts.append(fact)
    name = words.person(random)
    messages = []
    if random.random() < 0.4:
        messages.append(turn("system", random.choice(LISTENERS)))
    is_named = random.random() < 0.4
    if is_named:
        told = random.choice(("My name is {}.", "I am {}.", "hi, {} here", "This is {}.")).format(name)
        messages += [turn("user", told), turn("assistant", f"Hello {name.split()[0]}!")]
    for fact in facts:
        statement = random.choice([text for text in fact.topic.statements if ": " not in text])
        messages += [turn("user", fact.word(statement)), turn("assistant", random.choice(USER_REPLIES))]
    for fact in random.sample(facts, random.randint(1, len(facts))):
        question, answer = ask(random, fact, SENTENCE)
        messages += [turn("user", question), turn("assistant", answer)]
    if is_named and random.random() < 0.5:
        asked = random.choice(("What is my name?", "who am i", "Do you remember my name?"))
        messages += [turn("user", asked), turn("assistant", f"Your name is {name}.")]
    return {"messages": messages, "kind": "facts"} if row_size(messages) <= rendering.max_characters else None
