"""What the table of a page of `tunewise check --report` holds, by the JSON inside it; for check_page.py."""

import re
from decimal import ROUND_HALF_UP, Decimal

# Rows that the page adds at once.
STEP = 100
COLUMNS = ("severity", "finding", "file", "line", "score", "question", "answer")
RANKS = {"error": 0, "warning": 1, "note": 2}
# Characters that leave no mark: those of `is_unseen` in crates/data, but for line breaks and tabs.
UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\xad\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")


def visible(text):
    """Returns the text with what no one sees in it shown by its number."""
    return UNSEEN.sub(lambda found: f"⟨{ord(found[0]):04X}⟩", text)


class Table:
    """What the embedded JSON says that the table holds."""

    def __init__(self, data):
        self.files = data["files"]
        self.texts = data["texts"]
        self.findings = data["findings"]
        self.rows = data["rows"]
        self.left_out = sum(finding["left_out"] for finding in self.findings)
        self.filters()

    def filters(self, severity="", code="", file="", words=""):
        self.severity, self.code, self.file, self.words = severity, code, file, words
        self.limit = STEP
        self.ranks, self.descending = None, False

    def place(self, text):
        name = self.files[text["file"]]
        return f"{name}:{text['line']}" if text["line"] > 0 else name

    def text(self, number):
        return None if number is None else self.texts[number]

    def sought(self, row):
        texts = [self.text(row["text"]), self.text(row["other"])]
        parts = [
            [self.place(text)] + [text.get(key, "") for key in ("question", "answer", "problem")]
            for text in texts
            if text is not None
        ]
        return "\n".join("\n".join(part) for part in parts).lower()

    def fits(self, finding):
        return self.severity in ("", finding["severity"]) and self.code in ("", finding["code"])

    def kept(self):
        """Returns the numbers of the rows that pass the filters, in the order of the table."""

        def passes(row):
            of_file = self.file in ("", str(self.texts[row["text"]]["file"]))
            has_words = self.words.strip().lower() in self.sought(row)
            return self.fits(self.findings[row["finding"]]) and of_file and has_words

        numbers = [number for number, row in enumerate(self.rows) if passes(row)]
        if self.ranks is not None:
            sign = -1 if self.descending else 1
            ranked = [number for number in numbers if self.ranks[number] is not None]
            others = [number for number in numbers if self.ranks[number] is None]
            numbers = sorted(ranked, key=lambda number: (sign * self.ranks[number], number)) + others
        return numbers

    def key(self, column, row):
        """Returns what a column is sorted by: a number, `None`, or a text."""
        text, finding = self.texts[row["text"]], self.findings[row["finding"]]
        keys = {
            "severity": RANKS[finding["severity"]],
            "finding": finding["code"],
            "file": self.files[text["file"]],
            "line": text["line"],
            "score": row["score"],
            "question": text.get("question", text.get("problem")),
            "answer": text.get("answer", ""),
        }
        return keys[column]

    def cells(self, row):
        """Returns the texts of a line of the table."""
        text, other, finding = self.text(row["text"]), self.text(row["other"]), self.findings[row["finding"]]
        score = "" if row["score"] is None else str(Decimal(row["score"]).quantize(Decimal("0.01"), ROUND_HALF_UP))
        return [
            finding["severity"],
            finding["code"] + ("" if other is None else f"beside {self.place(other)}"),
            self.files[text["file"]],
            f"{text['line']:,}" if text["line"] > 0 else "",
            score,
            visible(text.get("question", text.get("problem"))),
            visible(text.get("answer", "")),
        ]

    def panels(self, row):
        """Returns the texts of an open row: each under its place, the row that it is about behind it."""
        texts = [self.text(row["text"]), self.text(row["other"])]
        if texts[0]["line"] == 0:
            return []
        parts = ("problem", "question", "answer")
        return [
            [self.place(text)] + [visible(text[part]) for part in parts if part in text]
            for text in texts
            if text is not None
        ]

    def status(self, kept):
        """Returns the line above the table."""
        left = sum(finding["left_out"] for finding in self.findings if self.fits(finding))
        others = f"; {left:,} more are not in this page" if left > 0 else ""
        return f"{min(self.limit, kept):,} of {kept:,} rows shown{others}"
