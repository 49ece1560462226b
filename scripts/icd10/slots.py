"""Fills the slots of hand-written texts: numbers `{3-9}` or `{6.0-6.8}`, choices `{dog/cat}`, known words `{side}`."""

import re

SLOT = re.compile(r"\{([^{}]+)\}")
NUMBERS = re.compile(r"(\d+)(?:\.(\d))?-(\d+)(?:\.(\d))?$")


def fill(draw, text, known):
    """The text without slots; a name that begins with a capital letter is filled with one."""

    def value(match):
        slot = match[1]
        numbers = NUMBERS.match(slot)
        if numbers:
            return number_between(draw, *numbers.groups())
        if "/" in slot:
            return draw.one_of(slot.split("/"))
        if slot in known:
            return known[slot]
        filled = known[slot.lower()]
        return filled[0].upper() + filled[1:]

    return SLOT.sub(value, text)


def number_between(draw, low, low_tenth, high, high_tenth):
    if low_tenth is None:
        return str(draw.between(int(low), int(high)))
    tenths = draw.between(int(low + low_tenth), int(high + high_tenth))
    return f"{tenths // 10}.{tenths % 10}"
