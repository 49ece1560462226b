"""The topics of facts: how a fact is stated, asked for and answered.

`{s}` is what a fact is about, `{v}` its value. A topic with `reverse` questions also asks for `{s}` by `{v}`.
"""

import dataclasses

import words


SERVICES = ["repairs", "library books", "tickets", "vouchers", "test rides", "claims", "bookings", "visas", "badges",
            "samples", "spare keys", "exams", "trial plans", "guest cards", "deposits"]  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Topic:
    """A kind of fact, with the values that it draws and its wordings."""

    subject: object
    value: object
    statements: tuple
    questions: tuple
    answers: tuple
    reverse: tuple = ()


def hours(random):
    return f"{words.clock_time(random)} to {words.clock_time(random)}"


def amount(random):
    return f"{random.randint(2, 900)} {random.choice(('grams', 'ml', 'spoons', 'cups', 'pieces'))}"


def extension(random):
    return str(random.randint(100, 9999))


def duration(random):
    return f"{random.randint(2, 90)} {random.choice(('minutes', 'hours', 'days', 'weeks'))}"


def state(random):
    return random.choice(("packed", "on its way", "in the warehouse", "lost", "waiting for payment", "at the counter",
                          "with the driver", "being made", "ready", "on hold"))  # fmt: skip


def room(random):
    return f"room {random.randint(1, 420)}" if random.random() < 0.7 else f"hall {words.code(random)}"


def event(random):
    kind = random.choice(("concert", "lecture", "workshop", "market", "party", "tournament", "tour", "reading"))
    return f"{random.choice(words.NOUNS)} {kind}"


def substance(random):
    return random.choice(words.NOUNS) if random.random() < 0.5 else words.invented_word(random, 2)


def street(random):
    return f"{random.randint(1, 220)} {random.choice(words.NOUNS).capitalize()} Street"


def pet(random):
    return random.choice(("dog", "cat", "parrot", "horse", "rabbit", "goat", "boat", "car", "robot", "turtle"))


def password(random):
    word = words.plain_word(random)
    return random.choice((word, f"{word}{random.randint(10, 99)}", words.code(random)))


TOPICS = {
    "price": Topic(words.product, words.price,
        ("The {s} costs {v}.", "{s}: {v}", "You pay {v} for the {s}.", "We sell the {s} at {v}.",
         "Price of the {s}: {v}"),
        ("How much is the {s}?", "What does the {s} cost?", "what is the price of the {s}",
         "How much do I pay for the {s}?"),
        ("The {s} costs {v}.", "It costs {v}."), ("What costs {v}?", "Which one can I get for {v}?")),
    "hours": Topic(words.place, hours,
        ("The {s} is open from {v}.", "{s}: {v}", "Opening hours of the {s}: {v}.", "You can visit the {s} from {v}."),
        ("When is the {s} open?", "what are the hours of the {s}", "Tell me the opening hours of the {s}."),
        ("The {s} is open from {v}.",)),
    "job": Topic(words.person, lambda random: random.choice(words.JOBS),
        ("{s} is the {v}.", "{s} works as {v}.", "Our {v} is {s}.", "{s}: {v}", "The job of {v} belongs to {s}."),
        ("What is the job of {s}?", "What does {s} work as?", "which job has {s}"),
        ("{s} is the {v}.", "{s} works as {v}."),
        ("Who is the {v}?", "Tell me the name of the {v}.", "who works as {v}")),
    "town": Topic(words.person, words.town,
        ("{s} lives in {v}.", "{s} comes from {v}.", "The home of {s} is {v}.", "{s}: {v}", "{s} is from {v}."),
        ("Where does {s} live?", "where is {s} from", "In which town does {s} live?"),
        ("{s} lives in {v}.",), ("Who lives in {v}?", "who is from {v}")),
    "extension": Topic(words.person, extension,
        ("{s} has the extension {v}.", "Call {s} at {v}.", "{s}: {v}", "The number of {s} is {v}.",
         "Dial {v} for {s}."),
        ("What is the number of {s}?", "How do I call {s}?", "which extension has {s}"),
        ("The number of {s} is {v}.", "Dial {v}."), ("Whose number is {v}?", "Who has the extension {v}?")),
    "order": Topic(lambda random: f"order {words.order_number(random)}", state,
        ("The {s} is {v}.", "{s}: {v}", "Status of {s}: {v}", "{s} is {v} now."),
        ("What is the status of {s}?", "where is my {s}", "Any news of {s}?"),
        ("The {s} is {v}.", "It is {v}.")),
    "policy": Topic(lambda random: random.choice(SERVICES), duration,
        ("{s} take {v}.", "For {s} we allow {v}.", "Time for {s}: {v}", "The limit for {s} is {v}."),
        ("How much time is there for {s}?", "What is the limit for {s}?", "how long do you allow for {s}"),
        ("The limit for {s} is {v}.",)),
    "room": Topic(event, room,
        ("The {s} is in {v}.", "{s}: {v}", "Go to {v} for the {s}.", "We hold the {s} in {v}."),
        ("Where is the {s}?", "Which room is the {s} in?", "where do I go for the {s}"),
        ("The {s} is in {v}.", "It is in {v}."), ("What is in {v}?", "what happens in {v}")),
    "date": Topic(event, words.date,
        ("The {s} is on {v}.", "{s}: {v}", "Come to the {s} on {v}.", "On {v} there is the {s}."),
        ("When is the {s}?", "what day is the {s}", "On which day is the {s}?"),
        ("The {s} is on {v}.", "It is on {v}."), ("What is on {v}?", "what happens on {v}")),
    "recipe": Topic(substance, amount,
        ("Take {v} of {s}.", "{s}: {v}", "You need {v} of {s}.", "Add {v} of {s}."),
        ("How much {s} do I need?", "how much {s} goes in", "What amount of {s} do I take?"),
        ("You need {v} of {s}.", "Take {v} of {s}.")),
    "train": Topic(lambda random: f"train to {words.town(random)}", words.clock_time,
        ("The {s} leaves at {v}.", "{s}: {v}", "At {v} the {s} departs.", "Departure of the {s}: {v}"),
        ("When does the {s} leave?", "what time is the {s}", "When is the {s}?"),
        ("The {s} leaves at {v}.", "It leaves at {v}.")),
    "owner": Topic(words.product, words.person,
        ("The {s} belongs to {v}.", "{v} owns the {s}.", "Owner of the {s}: {v}", "The {s} is {v}'s."),
        ("Who owns the {s}?", "whose is the {s}", "To whom does the {s} belong?"),
        ("The {s} belongs to {v}.", "{v} owns the {s}."), ("What does {v} own?", "What belongs to {v}?")),
    "color": Topic(lambda random: f"{random.choice(words.NOUNS)} team", lambda random: random.choice(words.COLORS),
        ("The {s} wears {v}.", "{s}: {v}", "The color of the {s} is {v}.", "{v} is the color of the {s}."),
        ("What color is the {s}?", "what does the {s} wear", "Which color has the {s}?"),
        ("The {s} wears {v}.", "The color of the {s} is {v}."), ("Who wears {v}?", "Which team wears {v}?")),
    "place": Topic(words.place, street,
        ("The {s} is at {v}.", "{s}: {v}", "You find the {s} at {v}.", "Address of the {s}: {v}"),
        ("Where is the {s}?", "what is the address of the {s}", "How do I find the {s}?"),
        ("The {s} is at {v}.", "You find it at {v}.")),
    "pet": Topic(pet, lambda random: words.invented_word(random, 2).capitalize(),
        ("My {s} is called {v}.", "The name of my {s} is {v}.", "I have a {s} named {v}.", "{v} is my {s}."),
        ("What is the name of my {s}?", "how is my {s} called", "What did I call my {s}?"),
        ("Your {s} is called {v}.",)),
    "password": Topic(lambda random: f"{random.choice(words.NOUNS)} door", password,
        ("The word for the {s} is {v}.", "{s}: {v}", "Say {v} at the {s}.", "The {s} opens with {v}."),
        ("What opens the {s}?", "which word do I need at the {s}", "What do I say at the {s}?"),
        ("The {s} opens with {v}.", "Say {v}.")),
    "word": Topic(lambda random: words.invented_word(random, 2), substance,
        ("{s} means {v}.", "The word {s} stands for {v}.", "{s}: {v}", "In that language, {v} is {s}."),
        ("What does {s} mean?", "what is {s}", "Translate {s}."),
        ("{s} means {v}.",), ("How do you say {v}?", "what is the word for {v}")),
}  # fmt: skip
