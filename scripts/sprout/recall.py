"""Recall episodes: keys with arbitrary answers, some asked again. They teach to find and to copy, and no more."""

import labels
import words
from episodes import answered_turns, row_size, turn, vary
from prompts import BARE

INSTRUCTIONS = ["Answer as before.", "Each {key} has one {value}. Give it.", "Remember the {value} of each {key}.",
                "Look up the {value}.", "Give the {value} of the {key}.", "Every {key} always gets the same {value}.",
                "Name the {value} that goes with the {key}.", "Repeat the {value} you gave for the {key} before.",
                "You keep a table of {key}s. Answer with the {value} only.", "Reply with the {value}."]  # fmt: skip
QUESTIONS = ["{}", "{}", "{}", "{}?", "What is {}?", "{} is", "And {}?", "Look up {}", "{}:"]
ENTRIES = ["{key} = {value}", "{key}: {value}", "{key} -> {value}", "{key} is {value}", "- {key}: {value}",
           "{key}, {value}", "{key}\t{value}", "The answer for {key} is {value}."]  # fmt: skip
KEY_NAMES = ["word", "key", "name", "item", "entry", "symbol"]
VALUE_NAMES = ["value", "code", "answer", "partner", "translation", "place", "label", "number"]
SHAPES = ["word", "snake_case", "phrase", "title", "upper", "kebab", "code", "number"]


def draw_keys(random, material, count):
    """Returns different keys of one kind: words, codes, people, things, or whole messages."""
    kind = random.choice(("word", "word", "code", "person", "product", "message", "message"))
    if kind == "message":
        pool = material.pools[0]
        draw = lambda source: source.choice(pool.messages).text
    else:
        draw = {"word": words.plain_word, "code": words.code, "person": words.person, "product": words.product}[kind]
    return words.sample_distinct(random, draw, count)


def choose_question(random, keys):
    """Returns how the row asks for a key; a key that is a sentence stands for itself."""
    return "{}" if any(len(key.split()) > 3 for key in keys) else random.choice(QUESTIONS)


def draw_recall(random, material, rendering):
    """Returns a row of keys and their answers, as turns or as a table in the prompt."""
    count = random.choice((2, 3, 4, 5, 6, 8))
    keys = draw_keys(random, material, count)
    shape = random.choice(SHAPES)
    values = labels.new_names(random, count, shape)
    names = {"key": random.choice(KEY_NAMES), "value": random.choice(VALUE_NAMES)}
    instruction = random.choice(INSTRUCTIONS).format(**names)
    pairs = list(zip(keys, values))
    if random.random() < 0.35:
        return draw_table(random, pairs, instruction, shape, rendering)
    asked = pairs + [random.choice(pairs) for _ in range(random.randint(3, 3 + count))]
    random.shuffle(asked)
    last = random.choice(asked)
    form = choose_question(random, keys)
    typed = lambda key: vary(random, key) if " " in key and random.random() < 0.3 else key
    pairs = [(form.format(typed(key)), value) for key, value in asked + [last]]
    head = [turn("system", instruction)] if random.random() < 0.6 else []
    return finish(head, pairs, [], shape, rendering)


def draw_table(random, pairs, instruction, shape, rendering):
    """Returns a row whose system prompt or first turn holds the table, and whose turns ask for some entries."""
    entry = random.choice(ENTRIES)
    table = "\n".join(entry.format(key=key, value=value) for key, value in pairs)
    form = choose_question(random, [key for key, _ in pairs])
    asked = [random.choice(pairs) for _ in range(random.choice((1, 2, 3, 5)))]
    asked = [(form.format(key), value) for key, value in asked]
    listed = [value for _, value in pairs]
    if random.random() < 0.7:
        return finish([turn("system", f"{instruction}\n{table}")], asked, listed, shape, rendering)
    asked[0] = (f"{instruction}\n{table}\n\n{asked[0][0]}", asked[0][1])
    return finish([], asked, listed, shape, rendering)


def finish(head, pairs, listed, shape, rendering):
    """Returns the row, or nothing where it does not fit."""
    messages = head + answered_turns(pairs, listed, BARE, "{}", rendering)
    if row_size(messages) > rendering.max_characters:
        return None
    return {"messages": messages, "kind": "recall", "labels": shape}
