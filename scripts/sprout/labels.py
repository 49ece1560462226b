"""Label names: the shapes that they take, and a new name for every label of an episode."""

import dataclasses
import re

import words

# The 27 answers of the evaluation. They are named here only so that no drawn name is ever one of them.
EVALUATED_LABELS = """cancel_order change_order change_shipping_address check_cancellation_fee check_invoice
check_payment_methods check_refund_policy complaint contact_customer_service contact_human_agent
create_account delete_account delivery_options delivery_period edit_account get_invoice get_refund
newsletter_subscription payment_issue place_order recover_password registration_problems review
set_up_shipping_address switch_account track_order track_refund""".split()

# Intents that only the validation rows use: clusters of near neighbours, so that reading is needed there too.
HELD_OUT_INTENTS = """pto_request pto_request_status pto_balance pto_used shopping_list shopping_list_update
oil_change_how oil_change_when book_flight book_hotel flip_coin roll_dice change_volume change_speed
lost_luggage""".split()
HELD_OUT_DOMAIN = "insurance"
HELD_OUT_DOMAIN_INTENTS = ["getproofofinsurance", "checkclaimstatus", "reportbrokenphone"]

# How the labels of an episode are named; the shares add up to 1.
NAMINGS = {
    "original": 0.24,
    "restyled": 0.11,
    "borrowed": 0.10,
    "word": 0.13,
    "snake_case": 0.13,
    "phrase": 0.08,
    "title": 0.05,
    "upper": 0.04,
    "kebab": 0.04,
    "code": 0.05,
    "number": 0.03,
}
SHAPES = ["snake_case", "phrase", "title", "upper", "kebab", "camel"]
MEANINGFUL = ("original", "restyled")


def spelling(name):
    """Returns what two names have in common when they differ only in shape."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


RESERVED = {spelling(name) for name in EVALUATED_LABELS + HELD_OUT_INTENTS + HELD_OUT_DOMAIN_INTENTS}
RESERVED |= set(words.EVALUATION_WORDS)


@dataclasses.dataclass(frozen=True)
class Naming:
    """The names that an episode shows for its intents, and how they came about."""

    names: dict
    kind: str

    @property
    def keeps_meaning(self):
        return self.kind in MEANINGFUL


def choose_naming(random, intents, borrowable, kind=None):
    """Returns names for `intents`, a dict of each intent's words; `borrowable` holds the words of other intents."""
    kind = kind or random.choices(list(NAMINGS), list(NAMINGS.values()))[0]
    keys = list(intents)
    if kind == "original":
        return Naming({key: key for key in keys}, kind)
    if kind == "restyled":
        shape = random.choice(SHAPES)
        return Naming({key: join_words(intents[key], shape) for key in keys}, kind)
    if kind == "borrowed":
        return Naming(dict(zip(keys, borrow_names(random, intents, borrowable))), kind)
    return Naming(dict(zip(keys, new_names(random, len(keys), kind))), kind)


def borrow_names(random, intents, borrowable):
    """Returns the names of other intents, or the episode's own in a wrong order: their meaning misleads."""
    shape = random.choice(["snake_case", "snake_case", "phrase", "title", "kebab"])
    own = [join_words(intent, shape) for intent in intents.values()]
    if random.random() < 0.35 and len(set(own)) == len(own) > 1:
        turn = random.randrange(1, len(own))
        return own[turn:] + own[:turn]
    draw = lambda source: join_words(source.choice(borrowable), shape)
    return words.sample_distinct(random, draw, len(own), own)


def new_names(random, count, shape):
    """Returns `count` different names of a shape that say nothing about what they stand for."""
    if shape == "number":
        return numbers(random, count)
    if shape == "code":
        letters = random.random() < 0.2
        pool = random.sample("ABCDEFGHJKLMNPQRSTUVWXYZ", count) if letters else None
        return pool or words.sample_distinct(random, words.code, count)
    if shape == "word":
        draw = words.plain_word
    else:
        draw = several_words(random, count, shape)
    names = []
    while len(names) < count:
        name = draw(random)
        if name not in names and spelling(name) not in RESERVED:
            names.append(name)
    return names


def numbers(random, count):
    """Returns different numbers: the first few, or any up to three digits."""
    if random.random() < 0.5:
        first = random.choice((0, 1, 1))
        return [str(number) for number in random.sample(range(first, first + max(count, 5)), count)]
    return [str(number) for number in random.sample(range(10, 1000), count)]


def several_words(random, count, shape):
    """Returns a function that draws names of several words.

    In most episodes the words come from a few for each place, so that names begin or end alike and a name's
    first word does not tell the rest of it.
    """
    like_intents = random.random() < 0.45
    heads = words.LABEL_VERBS if like_intents else words.ADJECTIVES + words.NOUNS
    tails = words.LABEL_NOUNS if like_intents else words.NOUNS
    places = [heads, tails] if random.random() < 0.7 else [heads, tails, tails]
    if shape in ("title", "upper") and random.random() < 0.5:
        places = [tails]
    elif random.random() < 0.6:
        few = 2 + count // 2
        places = [random.sample(place, few) for place in places]
    return lambda source: join_words([draw_part(source, place) for place in places], shape)


def draw_part(random, place):
    """Returns a word of a list, or now and then an invented one."""
    return random.choice(place) if random.random() < 0.92 else words.invented_word(random)


def join_words(parts, shape):
    """Returns the words as one name of a shape."""
    if shape == "phrase":
        return " ".join(parts)
    if shape == "title":
        return " ".join(part.capitalize() for part in parts)
    if shape == "upper":
        return "_".join(part.upper() for part in parts)
    if shape == "camel":
        return parts[0] + "".join(part.capitalize() for part in parts[1:])
    return ("-" if shape == "kebab" else "_").join(parts)
