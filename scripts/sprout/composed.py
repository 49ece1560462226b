"""Composed episodes: messages put together from actions and things, so that their number has no end.

A label of such an episode is an action on a thing, and its neighbours share the action or the thing: what tells them
apart is one word, said in several ways. The evaluated intents (orders, refunds, invoices, accounts, deliveries) are
no subject here.
"""

import labels
import prompts
import words
from episodes import Episode, draw_count, vary

# Label word: ways to say it. `{o}` is the thing.
ACTIONS = {
    "book": ["book {o}", "reserve {o}", "make a booking for {o}"],
    "rename": ["rename {o}", "give {o} a new name", "change the name of {o}"],
    "move": ["move {o}", "shift {o} to another place", "relocate {o}"],
    "repair": ["repair {o}", "fix {o}", "get {o} mended"],
    "borrow": ["borrow {o}", "have {o} on loan", "take {o} home for a while"],
    "sell": ["sell {o}", "find a buyer for {o}", "put {o} up for sale"],
    "print": ["print {o}", "get {o} on paper", "make a printout of {o}"],
    "share": ["share {o}", "let others see {o}", "pass {o} on to a friend"],
    "lock": ["lock {o}", "secure {o}", "keep everyone else out of {o}"],
    "unlock": ["unlock {o}", "get into {o}", "open {o} without a key"],
    "clean": ["clean {o}", "wash {o}", "get the dirt off {o}"],
    "paint": ["paint {o}", "give {o} another color", "put fresh paint on {o}"],
    "measure": ["measure {o}", "find out the size of {o}", "take the measurements of {o}"],
    "insure": ["insure {o}", "get insurance for {o}", "have {o} covered"],
    "rent": ["rent {o}", "hire {o}", "lease {o}"],
    "copy": ["copy {o}", "duplicate {o}", "make a second one of {o}"],
    "hide": ["hide {o}", "keep {o} out of sight", "make {o} invisible"],
    "pause": ["pause {o}", "put {o} on hold", "stop {o} for now"],
    "resume": ["resume {o}", "go on with {o}", "restart {o}"],
    "postpone": ["postpone {o}", "put off {o}", "have {o} at a later date"],
    "translate": ["translate {o}", "get {o} in another language", "have {o} in french"],
    "find": ["find {o}", "locate {o}", "look for {o}"],
    "photograph": ["photograph {o}", "take a picture of {o}", "get a photo of {o}"],
    "upgrade": ["upgrade {o}", "get a better version of {o}", "move up from {o}"],
    "inspect": ["inspect {o}", "have a close look at {o}", "examine {o}"],
    "sign": ["sign {o}", "put my signature on {o}", "add my name under {o}"],
    "donate": ["donate {o}", "give {o} away", "hand over {o} to charity"],
    "replace": ["replace {o}", "swap {o} for another", "get another one instead of {o}"],
}
ASKED = {
    "price": ["how much is {o}", "what does {o} cost", "what do i pay for {o}"],
    "location": ["where is {o}", "where can i see {o}", "in which place do you keep {o}"],
    "weight": ["how heavy is {o}", "what does {o} weigh", "how many kilos has {o}"],
    "rules": ["what are the rules for {o}", "what is allowed with {o}", "is anything forbidden with {o}"],
    "owner": ["who owns {o}", "whose is {o}", "to whom does {o} belong"],
    "age": ["how old is {o}", "when was {o} made", "since when do you have {o}"],
}
OBJECTS = {
    "boat": ["boat", "dinghy"], "bike": ["bike", "bicycle"], "car": ["car", "automobile"], "room": ["room", "chamber"],
    "garden": ["garden", "yard"], "piano": ["piano", "grand piano"], "picture": ["picture", "painting"],
    "report": ["report", "write-up"], "laptop": ["laptop", "notebook computer"], "locker": ["locker", "storage box"],
    "lesson": ["lesson", "class"], "tent": ["tent", "canvas tent"], "fence": ["fence", "railing"],
    "book": ["book", "novel"],
    "poster": ["poster", "placard"], "essay": ["essay", "paper"], "video": ["video", "clip"], "song": ["song", "tune"],
    "contract": ["contract", "agreement"], "kitchen": ["kitchen", "cooking area"], "roof": ["roof", "rooftop"],
    "desk": ["desk", "work table"], "drill": ["drill", "power drill"], "cottage": ["cottage", "cabin"],
    "playlist": ["playlist", "list of songs"], "parking_spot": ["parking spot", "place to park"],
    "camera": ["camera", "digital camera"], "statue": ["statue", "sculpture"], "map": ["map", "chart"],
    "website": ["website", "home page"], "engine": ["engine", "motor"], "horse": ["horse", "pony"],
    "sofa": ["sofa", "couch"], "carpet": ["carpet", "rug"], "phone": ["phone", "mobile"], "coat": ["coat", "jacket"],
    "lamp": ["lamp", "light"], "course": ["course", "training"], "survey": ["survey", "questionnaire"],
    "recipe": ["recipe", "cooking instructions"], "aquarium": ["aquarium", "fish tank"], "shed": ["shed", "tool shed"],
}  # fmt: skip
HELD_OUT_OBJECTS = {
    "barn": ["barn", "stable"], "violin": ["violin", "fiddle"], "ladder": ["ladder", "step ladder"],
    "balcony": ["balcony", "terrace"], "spreadsheet": ["spreadsheet", "table of figures"], "canoe": ["canoe", "kayak"],
    "bakery": ["bakery", "bread shop"], "microphone": ["microphone", "mic"],
}  # fmt: skip
WRAPPERS = """i want to {}|i need to {}|i'd like to {}|please {}|can you {}|could you {} for me|can you help me {}|{}|
help me {}|how do i {}|how can i {}|i have to {}|is it possible to {}|is there a way to {}|i am trying to {}|
i need help to {}|what must i do to {}|who can {}|i wish to {}|i was hoping to {}|i would love to {}|tell me how to {}|
we have to {}|my boss told me to {}|i do not know how to {}|i can't manage to {}|show me the steps to {}|
where do i go to {}|i need assistance to {}|i want help if you can {}|let me {}|would you {}|do you know how to {}|
i could use a hand to {}|any chance to {}|it is time to {}|i forgot how to {}|explain how i can {}""".replace(
    "\n", ""
).split("|")
ASKING = ["{}", "{}", "{}", "please tell me {}", "can you tell me {}", "i want to know {}", "do you know {}",
          "hi, {}", "help me find out {}", "i wonder {}", "tell me {}", "could you say {}"]  # fmt: skip
ARTICLES = ["the", "the", "my", "a", "this", "our", "that"]

TONES = {
    "positive": """that was wonderful|i am so happy with it|great work|what a lovely surprise|i really enjoyed it|
everyone here loves it|best thing this year|thanks, this is perfect|it works like a charm""",
    "negative": """this is really annoying|i am very upset about it|what a mess|nobody likes it|it was awful|
i am fed up with this|it failed again|worst thing this year|this makes me angry""",
    "neutral": """it is the usual one|just so that you know|i saw it today|it is there since last week|
no rush at all|that is all i know|it is the one from last time|i talked about it before""",
}
TONES = {tone: said.replace("\n", "").split("|") for tone, said in TONES.items()}


def say_intent(random, action, names):
    """Returns a message that wants an action on a thing; `names` are the thing's."""
    thing = random.choice(names)
    article = random.choice(ARTICLES)
    thing = words.with_article(thing) if article == "a" else f"{article} {thing}"
    if action in ASKED:
        message = random.choice(ASKING).format(random.choice(ASKED[action]).format(o=thing))
    else:
        message = random.choice(WRAPPERS).format(random.choice(ACTIONS[action]).format(o=thing))
    drawn = random.random()
    if drawn < 0.06:
        message += f" {random.choice(('number', 'no', '#'))} {words.order_number(random)}"
    elif drawn < 0.16:
        message += random.choice((" today", " now", " soon", " this week", f" on {random.choice(words.WEEKDAYS)}",
                                  f" for {words.first_name(random)}", " asap"))  # fmt: skip
    return message


def draw_things(random, objects, count):
    """Returns things with their names; in some episodes they are invented, so that only the spelling tells them."""
    if random.random() < 0.2:
        return {word: [word] for word in words.sample_distinct(random, words.invented_word, count)}
    return {key: objects[key] for key in random.sample(sorted(objects), count)}


def draw_grid(random, objects):
    """Returns intents, pairs of an action and a thing's name, that share actions and things."""
    wanted = random.choices((2, 3, 4, 5, 6, 8), (15, 20, 22, 16, 15, 12))[0]
    rows = random.randint(1, min(4, wanted))
    columns = min(-(-wanted // rows) + random.choice((0, 0, 1)), len(objects))
    actions = random.sample(sorted(ACTIONS) + sorted(ASKED), rows)
    things = draw_things(random, objects, columns)
    pairs = [(action, thing) for action in actions for thing in things]
    return random.sample(pairs, min(wanted, len(pairs))), things


def draw_composed(random, material, objects=None, kind="composed", naming=None):
    """Returns an episode of composed messages, labelled by what they want, by its action or by their mood."""
    dimension = random.choices(("intent", "action", "object", "mood"), (64, 12, 12, 12))[0]
    if objects:
        # Actions and moods are the same for all episodes: only what is wanted of a held-out thing is new.
        dimension = "intent"
    pairs, things = draw_grid(random, objects or OBJECTS)
    tones = random.sample(sorted(TONES), random.choice((2, 3)))
    if dimension == "action" and len({action for action, _ in pairs}) < 2:
        dimension = "intent"
    if dimension == "object" and len({thing for _, thing in pairs}) < 2:
        dimension = "intent"
    wanted = [(random.choice(pairs), random.choice(tones)) for _ in range(draw_count(random))]
    # The question wants what some demonstration wants, so that its label can be read.
    said = []
    for (action, thing), tone in wanted + [random.choice(wanted)]:
        text = vary(random, say_intent(random, action, things[thing]))
        if dimension == "mood":
            text = say_mood(random, text, tone)
        said.append((text, {"intent": (action, thing), "action": action, "object": thing, "mood": tone}[dimension]))
    return name_composed(random, material, said, dimension, kind, naming)


def say_mood(random, text, tone):
    """Returns the message behind or before a remark in that mood."""
    remark = random.choice(TONES[tone])
    return f"{text.rstrip('.?')}. {remark}" if random.random() < 0.5 else f"{remark}. {text}"


def name_composed(random, material, said, dimension, kind, naming):
    """Returns the episode of messages and what they are labelled by; the last one is the question."""
    shown = list(dict.fromkeys(key for _, key in said))
    words_of = {key: [part for piece in as_parts(key) for part in piece.split("_")] for key in shown}
    named = name_keys(random, words_of, material, naming)
    pairs = [(text, named.names[key]) for text, key in said]
    thing = prompts.choose_thing(random, "") if random.random() < 0.6 else dimension
    source = random.choice(("messages", "requests", "customer messages", "questions from visitors", "notes"))
    episode = Episode(kind, source, thing, named.kind, pairs[:-1], pairs[-1])
    if random.random() < 0.3:
        episode.listed = random.sample(list(named.names.values()), len(shown))
    return episode


def as_parts(key):
    """Returns the words that an intent's name is made of."""
    return key if isinstance(key, tuple) else (key,)


def name_keys(random, words_of, material, naming=None):
    """Returns names for composed intents; their own ones have no data set's shape, so one is drawn."""
    named = labels.choose_naming(random, words_of, material.borrowable, naming)
    if named.kind != "original":
        return named
    shape = random.choice(("snake_case", "snake_case", "phrase", "kebab"))
    return labels.Naming({key: labels.join_words(words_of[key], shape) for key in words_of}, "original")


def draw_described(random, material, objects=None):
    """Returns an episode without demonstrations: the label list says in words what each label means."""
    pairs, things = draw_grid(random, objects or OBJECTS)
    action, thing = random.choice(pairs)
    words_of = {pair: [pair[0]] + pair[1].split("_") for pair in pairs}
    named = name_keys(random, words_of, material)
    person = random.choice(("the customer wants to", "someone wants to", "requests to", "the message asks to", "to"))
    described = {}
    for pair in pairs:
        what = f"the {things[pair[1]][0]}"
        said = ACTIONS.get(pair[0]) or ASKED[pair[0]]
        described[named.names[pair]] = f"{person} {said[0].format(o=what)}" if pair[0] in ACTIONS else (
            f"the question {said[0].format(o=what)}")  # fmt: skip
    turns = [random.choice(pairs) for _ in range(random.choice((0, 0, 0, 1, 2)))] + [(action, thing)]
    say = lambda pair: (vary(random, say_intent(random, pair[0], things[pair[1]])), named.names[pair])
    thing_name = prompts.choose_thing(random, "")
    listed = random.sample(list(named.names.values()), len(pairs))
    *shown, question = [say(pair) for pair in turns]
    episode = Episode("described", "messages", thing_name, named.kind, shown, question, listed)
    if not named.keeps_meaning or random.random() < 0.7:
        episode.described = described
    return episode
