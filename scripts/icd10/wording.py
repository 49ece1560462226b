"""How clinicians type: with abbreviations, with misspellings, without capital letters."""

import re

from icd10.codes import FOLDER


class Wording:
    """Rewrites notes as someone in a hurry would type them."""

    def __init__(self, draw):
        self.draw = draw
        self.short = {}
        for line in (FOLDER / "abbreviations.txt").read_text(encoding="utf-8").splitlines():
            phrase, short = line.split(": ")
            self.short.setdefault(phrase, []).append(short)
        longest_first = sorted(self.short, key=lambda phrase: (-len(phrase), phrase))
        self.phrases = re.compile(rf"\b(?:{'|'.join(map(re.escape, longest_first))})\b", re.IGNORECASE)
        lines = (FOLDER / "misspellings.txt").read_text(encoding="utf-8").splitlines()
        self.wrong = {word: wrong.split() for word, wrong in (line.split(": ") for line in lines)}
        written_short = {short for shorts in self.short.values() for short in shorts}
        self.abbreviations = re.compile(rf"(?<![\w/])(?:{'|'.join(map(re.escape, sorted(written_short)))})(?![\w/])")

    def abbreviate(self, text, share):
        """The text with this share of its phrases written short, a phrase the same way each time."""
        chosen = {phrase: self.draw.one_of(shorts) for phrase, shorts in self.short.items()}

        def rewrite(match):
            if not self.draw.chance(share):
                return match[0]
            short = chosen[match[0].lower()]
            return short[0].upper() + short[1:] if match[0][0].isupper() else short

        return self.phrases.sub(rewrite, text)

    def is_abbreviated(self, text):
        return bool(self.abbreviations.search(text))

    def misspell(self, text, most):
        """The text with up to so many of its words misspelled."""
        found = [match for match in re.finditer(r"[A-Za-z]+", text) if match[0].lower() in self.wrong]
        for match in sorted(self.draw.shuffled(found)[:most], key=lambda match: -match.start()):
            wrong = self.draw.one_of(self.wrong[match[0].lower()])
            if match[0][0].isupper():
                wrong = wrong[0].upper() + wrong[1:]
            text = text[: match.start()] + wrong + text[match.end() :]
        return text
