"""Rule episodes: an instruction whose answer is computed from the message, so that it is right by construction."""

import labels
import words
from episodes import ask, row_size, turn, vary
from neighbours import split_words

# Each rule: ways to ask for it, and the answer to a message.
PLAIN_RULES = [
    (["Answer with the first word of the message.", "Give the first word.", "Repeat only the first word."],
     lambda text: text.split()[0]),
    (["Answer with the last word of the message.", "Give the last word.", "Repeat only the last word."],
     lambda text: text.split()[-1]),
    (["Answer with the second word of the message.", "Give the second word.", "Repeat only the second word."],
     lambda text: text.split()[1]),
    (["Answer with the first and the last word.", "Give the first and last word of the message."],
     lambda text: f"{text.split()[0]} {text.split()[-1]}"),
    (["Answer with the first two words.", "Give the first two words of the message."],
     lambda text: " ".join(text.split()[:2])),
    (["Answer with the last two words.", "Give the last two words of the message."],
     lambda text: " ".join(text.split()[-2:])),
    (["Repeat the message.", "Say the message back.", "Copy the message exactly.", "Echo every message."],
     lambda text: text),
    (["Repeat the message in upper case.", "Write the message in capital letters.", "Answer in upper case."],
     str.upper),
    (["Repeat the message in lower case.", "Write the message in small letters."], str.lower),
    (["Answer with the number of words in the message.", "Count the words.", "How many words does the message have?"],
     lambda text: str(len(text.split()))),
    (["Put a comma between all words of the message.", "List the words of the message, separated by commas."],
     lambda text: ", ".join(text.split())),
    (["Put the message in double quotes.", "Answer with the message in quotes."], lambda text: f'"{text}"'),
    (["Put the message in brackets.", "Repeat the message in square brackets."], lambda text: f"[{text}]"),
    (["Write the message with hyphens for spaces.", "Replace each space by a hyphen."],
     lambda text: "-".join(text.split())),
    (["Write the words as a JSON list.", "Return the words of the message as a JSON array."],
     lambda text: "[" + ", ".join(f'"{word}"' for word in text.split()) + "]"),
    (["Leave out the first word.", "Repeat the message without its first word."],
     lambda text: " ".join(text.split()[1:])),
    (["Answer with the first letter of the message.", "Give the first letter."], lambda text: text[0]),
]  # fmt: skip
YES_NO = [("yes", "no")] * 4 + [("true", "false"), ("1", "0"), ("Yes", "No"), ("found", "absent"), ("match", "none")]
DEMONSTRATED = ["Do with each message what was done before.", "Follow the examples.", "Continue the pattern."]


def draw_texts(random, material, count):
    """Returns real messages of at least three and at most ten words."""
    texts = []
    while len(texts) < count:
        pool = material.draw_pool(random)
        text = random.choice(pool.messages).text
        if 3 <= len(text.split()) <= 10 and '"' not in text:
            texts.append(vary(random, text))
    return texts


def draw_near_texts(random, material, count):
    """Returns real messages that are near to one another."""
    pool = material.draw_pool(random)
    place = random.randrange(len(pool.messages))
    near = [pool.messages[other].text for other in [place] + pool.nearest(place)[:20]]
    near = [text for text in near if 3 <= len(text.split()) <= 10]
    return random.sample(near, count) if len(near) >= count else draw_texts(random, material, count)


def plain_rule(random, texts):
    """Returns one of the fixed rules."""
    asked, apply = random.choice(PLAIN_RULES)
    return random.choice(asked), apply


def two_answers(random):
    """Returns the names of a yes and a no: plain ones, or arbitrary ones."""
    if random.random() < 0.6:
        return random.choice(YES_NO)
    return labels.new_names(random, 2, random.choice(("word", "snake_case", "code", "upper", "phrase")))


def containing_rule(random, texts):
    """Returns a rule about a word in the message; the word is in about half of the messages."""
    word = random.choice([word for word in split_words(random.choice(texts)) if len(word) > 1] or ["the"])
    yes, no = two_answers(random)
    asked = random.choice((
        f"Answer `{yes}` if the message has the word `{word}`, else `{no}`.",
        f"Does the message contain \"{word}\"? Answer {yes} or {no}.",
        f"Reply {yes} when the message mentions {word}, otherwise {no}.",
        f"If the word {word} occurs, say {yes}. If not, say {no}.",
    ))  # fmt: skip
    return asked, lambda text: yes if word in split_words(text) else no


def surface_rule(random, texts):
    """Returns a rule about the length, the digits or the beginning of the message."""
    yes, no = two_answers(random)
    length = random.choice((4, 5, 6, 7))
    letter = random.choice(texts)[0].lower()
    about = random.choice((
        ("the message has a digit", lambda text: any(sign.isdigit() for sign in text)),
        (f"the message has more than {length} words", lambda text: len(text.split()) > length),
        (f"the message begins with the letter {letter}", lambda text: text.lower().startswith(letter)),
        ("the message ends in a question mark", lambda text: text.endswith("?")),
        ("the message starts with a capital letter", lambda text: text[0].isupper()),
        ("the message mentions a weekday", lambda text: any(day.lower() in text.lower() for day in words.WEEKDAYS)),
    ))  # fmt: skip
    asked = random.choice(("Answer `{yes}` if {about}, else `{no}`.", "If {about}, reply {yes}, otherwise {no}.",
                           "Say {yes} when {about} and {no} when not."))  # fmt: skip
    return asked.format(yes=yes, no=no, about=about[0]), lambda text: yes if about[1](text) else no


def keyword_rule(random, texts):
    """Returns a rule that sends messages to places by the first of some words that they have."""
    found = [split_words(text) for text in random.sample(texts, min(3, len(texts)))]
    keywords = list(dict.fromkeys(max(parts, key=len) for parts in found if parts))
    names = labels.new_names(random, len(keywords) + 1, random.choice(("word", "snake_case", "code", "title", "kebab")))
    routes = list(zip(keywords, names))
    lines = [f"{word}: {name}" for word, name in routes] + [f"otherwise: {names[-1]}"]
    asked = random.choice((
        "Answer by the word in the message.\n" + "\n".join(lines),
        " ".join(f"If the message has `{word}`, answer `{name}`." for word, name in routes)
        + f" In all other cases answer `{names[-1]}`.",
    ))  # fmt: skip
    return asked, lambda text: next((name for word, name in routes if word in split_words(text)), names[-1])


def fixed_rule(random, texts):
    """Returns a rule that asks for a given text, alone or around the message."""
    said = random.choice((
        words.plain_word(random), words.code(random), f"Welcome to {words.brand(random)}!",
        f"Please wait for {words.first_name(random)}.", f"{words.brand(random)} is closed today.",
    ))  # fmt: skip
    return random.choice((
        (f"Answer every message with `{said}`.", lambda text: said),
        (f"Whatever the user says, reply: {said}", lambda text: said),
        (f"Repeat the message and add `{said}` at the end.", lambda text: f"{text} {said}"),
        (f"Begin every answer with `{said}`, then repeat the message.", lambda text: f"{said} {text}"),
    ))  # fmt: skip


def replacing_rule(random, texts):
    """Returns a rule that asks for the message with one word replaced, or for the word after another."""
    text = random.choice(texts)
    parts = text.split()
    place = random.randrange(len(parts) - 1)
    word, other = parts[place], words.plain_word(random)
    if random.random() < 0.5:
        swap = lambda message: " ".join(other if part == word else part for part in message.split())
        return f"Repeat the message with `{other}` in place of `{word}`.", swap

    def following(message):
        found = message.split()
        places = [at for at, part in enumerate(found[:-1]) if part == word]
        return found[places[0] + 1] if places else "none"

    return f"Answer with the word that comes right after `{word}`, or `none`.", following


MAKERS = [plain_rule] * 5 + [containing_rule] * 3 + [surface_rule] * 2 + [keyword_rule] * 3
MAKERS += [fixed_rule, replacing_rule]


def draw_rule(random, material, rendering):
    """Returns a row of one rule and some messages, its instruction in the system prompt or in the first user turn."""
    make = random.choice(MAKERS)
    # Near messages share words, so that a rule about a word divides them.
    draw = draw_near_texts if make in (containing_rule, replacing_rule) else draw_texts
    texts = draw(random, material, random.choice((1, 1, 2, 3, 4, 6, 8)))
    asked, apply = make(random, texts)
    is_shown_only = make is plain_rule and len(texts) >= 4 and random.random() < 0.3
    if is_shown_only:
        asked = random.choice(DEMONSTRATED)
    messages = []
    for text in texts:
        messages += [turn("user", text), turn("assistant", apply(text))]
    ask(messages, asked, random)
    return {"messages": messages, "kind": "rules"} if row_size(messages) <= rendering.max_characters else None
