"""The wordings of classification prompts: system prompts, label lists, forms of an answer and of a listed example."""

import dataclasses

import words

# `{source}` is what the messages are, `{thing}` and `{things}` what an answer is called.
OPENINGS = """You route {source}.
You triage {source}.
You sort {source}.
You label {source}.
You read {source} and name the {thing} of each.
You are a classifier of {source}.
You are a careful assistant that sorts {source}.
You work at a help desk and give each message {a_thing}.
You file {source} by {thing}.
You tag {source}.
Classify {source} by {thing}.
Classify the message.
Classify each message into one {thing}.
Name the {thing}.
Name the {thing} of each message.
Give the {thing} of the message.
Assign one {thing} to the user's message.
Decide which {thing} the message belongs to.
Find the {thing} that fits the message best.
Pick the {thing} for each of the {source}.
Sort the {source} into {things}.
Label the user's message.
Tag the message with its {thing}.
Which {thing} is it?
What is the {thing} of the message?
Tell the {thing} of every message that you get.
Your task is to find the {thing} of {source}.
Your task is message classification.
Task: {thing} of a message.
Task: classify {source}.
Text classification. One message, one {thing}.
Each message has exactly one {thing}.
Every user turn is one of many {source}; every reply is its {thing}.
The user sends {source}. You reply with {a_thing}.
Here come {source}. Return the {thing} for each.
For each message, return the {thing}.
Read the message and choose its {thing}.
Read the message, then answer with one {thing}.
Predict the {thing}.
Map each message to a {thing}.
Match the message with the right {thing}.
Determine the {thing} of the following text.
Detect the {thing} behind the message.
Route the message to the right {thing}.
Put the message into the right {thing}.""".splitlines()

CLOSINGS = """Answer with the name of the {thing} and nothing else.
Answer with the {thing} only.
Answer with one {thing}.
Reply with the {thing} and nothing else.
Reply only with the {thing}.
Return just the {thing}.
Give no explanation.
Say nothing but the {thing}.
Write the {thing} exactly as it is given.
Do not add anything to the {thing}.
Output the {thing}.
Use the {thing} as your whole answer.""".splitlines()

SHOWN_CLOSINGS = """Follow the examples.
Use the same {things} as in the examples.
The examples show which {thing} goes with which message.
Take the {thing} from the most similar example.
Look at the earlier messages: a message like one of them gets its {thing}.
Learn the {things} from the conversation.
Earlier turns show how it is done.
The names of the {things} are arbitrary; read them from the examples.""".splitlines()

LISTS = ["The {things} are: {list}.", "The {things} are {list}.", "Choose one of: {list}.", "Choose from {list}.",
         "Possible {things}: {list}", "{Things}: {list}", "Allowed answers: {list}.", "Options: {list}",
         "Valid {things} are {list}.", "One of {list}.", "It must be one of these {things}: {list}."]  # fmt: skip
LIST_SEPARATORS = [", ", ", ", ", ", " | ", "; ", " / "]

THINGS = {"intent": "intents", "label": "labels", "category": "categories", "class": "classes", "tag": "tags",
          "topic": "topics", "group": "groups", "queue": "queues", "type": "types", "code": "codes"}  # fmt: skip
THINGS_OF_POOLS = {"clinc150_topics": ["topic", "domain", "category", "subject"],
                   "multidogo_topics": ["company", "topic", "department", "category"]}  # fmt: skip
PLURALS = {**THINGS, "domain": "domains", "subject": "subjects", "company": "companies", "department": "departments",
           "action": "actions", "mood": "moods", "object": "objects", "team": "teams", "answer": "answers"}  # fmt: skip

TURN_FORMS = ["{}"] * 24 + ["Message: {}", "Customer: {}", "Text: {}", "\"{}\"", "Classify: {}", "Message: {}\nLabel:",
                            "Input: {}", "{}\n\nAnswer:"]  # fmt: skip

LISTED_FORMS = ["{text} -> {label}", "{text} => {label}", "\"{text}\": {label}", "- {text} ({label})",
                "Message: {text}\nLabel: {label}", "Input: {text}\nOutput: {label}", "Q: {text}\nA: {label}",
                "{label}: {text}", "Text: {text} | Label: {label}", "[{label}] {text}"]  # fmt: skip
LISTED_HEADS = ["Examples:", "Here are examples:", "Some labelled messages:", "Known messages:", "For example:"]


@dataclasses.dataclass(frozen=True)
class AnswerForm:
    """How an answer shows a label, and how a prompt asks for that."""

    pattern: str
    closings: tuple

    def show(self, label):
        return self.pattern.replace("{}", label)


BARE = AnswerForm("{}", ())
FORMS = {
    BARE: 0.92,
    AnswerForm("`{}`", ("Put the {thing} in backticks.",)): 0.015,
    AnswerForm("[{}]", ("Put the {thing} in square brackets.",)): 0.015,
    AnswerForm("Label: {}", ("Answer in the form `Label: NAME`.", "Begin with `Label:`.")): 0.02,
    AnswerForm('{"label": "{}"}', ("Answer as JSON with the key `label`.", "Return a JSON object with `label`.")): 0.03,
}


def choose_thing(random, pool_name):
    """Returns what an answer is called in a task."""
    things = THINGS_OF_POOLS.get(pool_name)
    if things:
        return random.choice(things)
    return "intent" if random.random() < 0.35 else random.choice(list(THINGS))


def choose_form(random):
    """Returns the form of all answers of an episode."""
    return random.choices(list(FORMS), list(FORMS.values()))[0]


def fill(template, source, thing):
    """Returns a template with its slots filled, first letter upper-cased."""
    things = PLURALS[thing]
    slots = {"source": source, "thing": thing, "things": things, "Things": things.capitalize()}
    slots["a_thing"] = words.with_article(thing)
    slots["list"] = "{list}"
    text = template.format(**slots)
    return text[0].upper() + text[1:]


def list_labels(random, shown, thing, described=None):
    """Returns a list of the labels in one line, or each on its own, with its description where there is one."""
    quote = random.choice(("", "", "", "`"))
    names = [f"{quote}{label}{quote}" for label in shown]
    if described:
        mark = random.choice(("- ", "", "* "))
        lines = [f"{mark}{name}: {described[label]}" for name, label in zip(names, shown)]
    elif random.random() < 0.7:
        return fill(random.choice(LISTS), "", thing).replace("{list}", random.choice(LIST_SEPARATORS).join(names))
    else:
        mark = random.choice(("- ", "", "* "))
        lines = [mark + name for name in names]
    head = random.choice(("{things}:", "The {things} are:", "Choose one of these {things}:", "Options:"))
    return "\n".join([fill(head, "", thing)] + lines)


def system_prompt(random, episode, form):
    """Returns an instruction for an episode, with its label list where it shows one."""
    # A demonstration or two may lack the answer's label; the list has it then.
    has_demonstrations = len(episode.demonstrations) > 2
    parts = [fill(random.choice(OPENINGS), episode.source, episode.thing)]
    listed = None
    if episode.listed:
        listed = list_labels(random, episode.listed, episode.thing, episode.described)
    if form.closings and (not has_demonstrations or random.random() < 0.6):
        parts.append(fill(random.choice(form.closings), episode.source, episode.thing))
    elif not form.closings and random.random() < 0.7:
        parts.append(fill(random.choice(CLOSINGS), episode.source, episode.thing))
    if has_demonstrations and random.random() < 0.25:
        parts.append(fill(random.choice(SHOWN_CLOSINGS), episode.source, episode.thing))
    if listed and "\n" in listed:
        return " ".join(parts) + "\n" + listed
    if listed:
        parts.insert(random.randint(1, len(parts)), listed)
    return " ".join(part if part[-1] in ".:?" else part + "." for part in parts)
