"""Drives the page that `tunewise check --report` writes in a real browser, and compares what it shows with its data.

    python3 -m venv /tmp/page && /tmp/page/bin/pip install playwright && apt-get install chromium
    /tmp/page/bin/python scripts/check_page.py PAGE.html [--screenshots DIR] [--general]

The browser is Debian's Chromium, headless; Playwright downloads none. The page is opened from its file, wide and
narrow, light and dark. A console message, an error, a dialog, a request or a text beyond the window fails the check,
and so does a row that the filters, the sorting or the buttons show otherwise than the embedded JSON says, which is
read again here. `--general` leaves the table alone, for any other page that loads nothing.
Exit code 1 when a check fails.
"""

import argparse
import json
import pathlib
import re
import shutil
import sys

from page_table import COLUMNS, STEP, Table
from playwright.sync_api import sync_playwright

WIDTHS = (1280, 420)
HEIGHT = 900
SCHEMES = ("light", "dark")
# Pixels of a page's beginning in its picture.
MOST_PICTURED = 3200
# Contrast of text, by WCAG 2.2, success criterion 1.4.3.
LEAST_CONTRAST = 4.5

SHOWN = """() => {
  const text = (line, name) => line.querySelector(`td.${name}`).textContent;
  const names = ["severity", "finding", "file", "line", "score", "question", "answer"];
  return {
    rows: [...document.querySelectorAll("#lines > tr.row")].map((line) => names.map((name) => text(line, name))),
    status: document.getElementById("status").textContent,
    more: !document.getElementById("more").hidden,
    sorted: [...document.querySelectorAll("th")].map((head) => head.getAttribute("aria-sort")),
  };
}"""

# Which place each string has in the order of the alphabet, equal ones the same.
ORDER = """(texts) => {
  const collator = new Intl.Collator("en", { numeric: true });
  const sorted = [...new Set(texts)].sort(collator.compare);
  const places = new Map();
  sorted.forEach((text, at) => {
    const same = at > 0 && collator.compare(sorted[at - 1], text) === 0;
    places.set(text, same ? places.get(sorted[at - 1]) : at);
  });
  return texts.map((text) => places.get(text));
}"""

# Elements beyond the right edge, and texts of a plot that stand on one another.
BEYOND = """() => {
  const name = (element) => `${element.tagName.toLowerCase()}.${element.getAttribute("class") ?? ""}`;
  const beyond = [...document.querySelectorAll("body *")].filter((element) => {
    const box = element.getBoundingClientRect();
    return box.width > 0 && (box.right > window.innerWidth + 0.5 || box.left < -0.5);
  });
  const clashes = [];
  for (const plot of document.querySelectorAll("svg")) {
    const boxes = [...plot.querySelectorAll("text")].map((text) => [text, text.getBoundingClientRect()]);
    boxes.forEach(([text, a], at) => {
      const over = ([, b]) => a.left < b.right && b.left < a.right && a.top + 4 < b.bottom && b.top + 4 < a.bottom;
      if (boxes.slice(at + 1).some(over)) clashes.push(text.textContent);
    });
  }
  return { wide: document.scrollingElement.scrollWidth, beyond: beyond.map(name), clashes };
}"""

COLOURS = """() => {
  const style = getComputedStyle(document.body);
  return [style.color, style.backgroundColor].map((colour) => colour.match(/[0-9.]+/g).slice(0, 3).map(Number));
}"""

PANELS = """() => {
  const texts = (panel) => [...panel.querySelectorAll("h3, p")].map((part) => part.textContent);
  return [...document.querySelectorAll("tr.detail .panel")].map(texts);
}"""

TOGGLE_ALL = "() => document.querySelectorAll('#lines .opener').forEach((opener) => opener.click())"

# Elements inside texts of rows that the script did not make.
FOREIGN = """() => {
  const made = (element) => element.matches("mark, span.unseen");
  const inside = document.querySelectorAll(".excerpt *, .field p *, .problem *");
  return [...inside].filter((element) => !made(element)).map((element) => element.outerHTML.slice(0, 80));
}"""


class Checks:
    """What was compared, told line by line."""

    def __init__(self):
        self.count = 0
        self.failed = []
        self.view = ""

    def same(self, fact, found, expected, told=None):
        """Tells whether the two are the same; `told` stands for a long one."""
        self.count += 1
        fact = f"{self.view}: {fact}"
        if found == expected:
            print(f"ok   {fact}: {found if told is None else told}")
            return
        found, expected = first_difference(found, expected)
        print(f"FAIL {fact}: {found!r}, expected {expected!r}")
        self.failed.append(fact)


def first_difference(found, expected):
    """Returns what differs: of two lists the first items that do, to any depth."""
    lists = (list, tuple)
    if isinstance(found, lists) and isinstance(expected, lists) and len(found) == len(expected):
        for one, other in zip(found, expected):
            if one != other:
                return first_difference(one, other)
    return found, expected


class Drive:
    """A page and what it should show."""

    def __init__(self, page, checks, table):
        self.page, self.checks, self.table = page, checks, table

    def compare(self, fact):
        """Compares the table with what it should be: each cell of each row, the status, and whether there are more."""
        found = self.page.evaluate(SHOWN)
        kept = self.table.kept()
        rows = [self.table.cells(self.table.rows[number]) for number in kept[: self.table.limit]]
        expected = (self.table.status(len(kept)), len(kept) > self.table.limit, rows)
        self.checks.same(fact, (found["status"], found["more"], found["rows"]), expected, told=found["status"])
        return found

    def choose(self, fact, **filters):
        """Sets the filters and nothing else."""
        self.table.filters(**filters)
        for name in ("severity", "code", "file"):
            self.page.select_option(f"#by-{name}", getattr(self.table, name))
        self.page.fill("#by-text", self.table.words)
        return self.compare(fact)

    def options(self, name):
        values = self.page.eval_on_selector_all(f"#by-{name} option", "(all) => all.map((option) => option.value)")
        return values[1:]

    def filters(self):
        """Chooses each option of each filter, some words, all at once, and clears them."""
        for name in ("severity", "code", "file"):
            for value in self.options(name):
                self.choose(f"{name} `{value}`", **{name: value})
        self.checks.same("codes", self.options("code"), [finding["code"] for finding in self.table.findings])
        self.checks.same("files", self.options("file"), [str(number) for number in range(len(self.table.files))])
        row = self.table.rows[len(self.table.rows) // 2]
        for words in self.words(row):
            self.choose(f"words `{words}`", words=words)
        finding, text = self.table.findings[row["finding"]], self.table.texts[row["text"]]
        together = {"severity": finding["severity"], "code": finding["code"], "file": str(text["file"])}
        self.choose("all filters", **together, words=self.words(row)[0])
        self.page.click("#clear")
        self.table.filters()
        self.compare("cleared")

    def words(self, row):
        """Returns what is sought: the place and a word of a row, in both cases, what no row has, and signs of HTML."""
        text = self.table.texts[row["text"]]
        long = max(re.findall("[A-Za-z]{3,}", text.get("question", text.get("problem"))), key=len, default="the")
        return [f" {long} ", long.upper(), self.table.place(text), "no row has this", "<script>"]

    def more(self):
        """Asks for more rows until all are there."""
        clicks = 0
        while self.table.limit < len(self.table.kept()):
            self.page.click("#more")
            self.table.limit += STEP
            clicks += 1
            if clicks == 1:
                self.compare("more once")
        self.compare(f"more {clicks} times")

    def sorting(self):
        """Sorts by each column: one way, the other way, and as it was."""
        for at, column in enumerate(COLUMNS):
            keys = [self.table.key(column, row) for row in self.table.rows]
            is_text = any(isinstance(key, str) for key in keys)
            ranks = self.page.evaluate(ORDER, keys) if is_text else keys
            first = "descending" if column == "score" else "ascending"
            second = "ascending" if column == "score" else "descending"
            for direction in (first, second, "none"):
                self.page.click(f"button[data-key={column}]")
                self.table.filters()
                if direction != "none":
                    self.table.ranks, self.table.descending = ranks, direction == "descending"
                found = self.compare(f"sorted by {column}, {direction}")
                expected = [direction if number == at else "none" for number in range(len(COLUMNS))]
                self.checks.same(f"heads sorted by {column}", found["sorted"], expected, told=direction)

    def rows(self):
        """Opens a row that is about another one, one that is not, and one that cannot be read; closes them again."""

        def first(wanted):
            kept = self.table.kept()[: self.table.limit]
            return next((at for at, number in enumerate(kept) if wanted(self.table.rows[number])), None)

        def problem(row):
            return "problem" in self.table.texts[row["text"]]

        def is_file(row):
            return self.table.texts[row["text"]]["line"] == 0

        self.open("row beside another", first(lambda row: row["other"] is not None and not is_file(row)))
        self.open("row alone", first(lambda row: row["other"] is None and not problem(row)))
        self.open("row that is unread", first(lambda row: problem(row) and not is_file(row)))
        at = first(is_file)
        if at is not None:
            openers = self.page.locator("#lines > tr.row").nth(at).locator("button").count()
            self.checks.same("buttons of a whole file", openers, 0)

    def open_all(self):
        """Opens all rows that are shown, compares each text, and closes them."""
        numbers = self.table.kept()[: self.table.limit]
        expected = [panel for number in numbers for panel in self.table.panels(self.table.rows[number])]
        self.page.evaluate(TOGGLE_ALL)
        panels = self.page.evaluate(PANELS)
        self.checks.same("all rows opened", panels, expected, told=f"{len(panels)} texts of {len(numbers)} rows")
        self.checks.same("all rows opened, beyond the edge", beyond(self.page), [])
        self.checks.same("elements in texts of rows", self.page.evaluate(FOREIGN), [])
        self.page.evaluate(TOGGLE_ALL)
        self.checks.same("all rows closed", self.page.locator("tr.detail").count(), 0)

    def open(self, fact, at):
        if at is None:
            return
        expected = self.table.panels(self.table.rows[self.table.kept()[at]])
        opener = self.page.locator("#lines > tr.row").nth(at).locator(".opener")
        opener.click()
        told = " beside ".join(panel[0] for panel in expected)
        self.checks.same(f"{fact}, opened", self.page.evaluate(PANELS), expected, told=told)
        self.checks.same(f"{fact}, expanded", opener.get_attribute("aria-expanded"), "true")
        self.checks.same(f"{fact}, beyond the edge", beyond(self.page), [])
        opener.click()
        closed = (self.page.locator("tr.detail").count(), opener.get_attribute("aria-expanded"))
        self.checks.same(f"{fact}, closed", closed, (0, "false"), told="0 texts")

    def cards(self):
        """Asks for the rows of each card, and opens those that are shown."""
        buttons = self.page.locator("button[data-code]")
        self.checks.same("cards", buttons.count(), len(self.table.findings))
        for at, finding in enumerate(self.table.findings):
            self.page.fill("#by-text", "no row has this")
            buttons.nth(at).click()
            self.table.filters(code=finding["code"])
            self.compare(f"rows of `{finding['code']}`")
            chosen = [self.page.input_value(f"#by-{name}") for name in ("severity", "code", "file", "text")]
            self.checks.same("filters after it", chosen, ["", finding["code"], "", ""])
            self.open_all()
        self.choose("all again")


def beyond(page):
    """Returns what stands beyond the edge of the window, or on another text."""
    found = page.evaluate(BEYOND)
    wide = [f"{found['wide']} pixels"] if found["wide"] > page.viewport_size["width"] else []
    return wide + found["beyond"][:5] + [f"`{text}` stands on another" for text in found["clashes"][:5]]


def contrast(page):
    """Returns the contrast of text and paper, and whether the paper is the lighter of them; after WCAG 2.2."""

    def luminance(colour):
        parts = [part / 255 for part in colour]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear))

    ink, paper = (luminance(colour) for colour in page.evaluate(COLOURS))
    low, high = sorted((ink, paper))
    return (high + 0.05) / (low + 0.05), paper > ink


def watch(page, url):
    """Returns two lists that fill up: what the page says or asks of the browser, and what it loads."""
    said, loaded = [], []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("dialog", lambda dialog: (said.append(f"dialog: {dialog.message}"), dialog.dismiss()))
    page.on("request", lambda request: loaded.append(request.url) if request.url != url else None)
    return said, loaded


def check_general(page, checks, scheme):
    """Checks what any page has to keep: its width, and that it can be read."""
    checks.same("beyond the edge", beyond(page), [])
    ratio, is_light = contrast(page)
    readable = (ratio >= LEAST_CONTRAST, is_light)
    checks.same("contrast", readable, (True, scheme == "light"), told=f"{ratio:.1f}, {scheme} paper")


def check_table(page, checks):
    """Checks the table of rows, if the page's data have any."""
    data = json.loads(page.locator("#data").text_content())
    checks.same("script elements", page.locator("script").count(), 2)
    checks.same("a table", page.locator("#rows").count(), min(1, len(data["findings"])))
    if data["findings"]:
        drive = Drive(page, checks, Table(data))
        drive.compare("at first")
        drive.filters()
        drive.sorting()
        drive.cards()
        drive.more()
        drive.rows()
        checks.same("beyond the edge at the end", beyond(page), [])


def picture(page, arguments, view):
    """Keeps a picture of the page's beginning, and one of its table with an open row."""
    arguments.screenshots.mkdir(parents=True, exist_ok=True)
    stem = f"{arguments.page.stem}-{view.replace(' ', '-')}"
    size = {"x": 0, "y": 0, "width": page.viewport_size["width"], "height": MOST_PICTURED}
    page.screenshot(path=arguments.screenshots / f"{stem}.png", full_page=True, clip=size)
    openers = page.locator("#lines .opener")
    if not arguments.general and openers.count() > 0:
        openers.first.click()
        page.locator("#rows").evaluate("(table) => table.scrollIntoView()")
        page.screenshot(path=arguments.screenshots / f"{stem}-rows.png")
        openers.first.click()


def check_view(browser, checks, arguments, width, scheme):
    """Opens the page at a width in a colour scheme and checks it."""
    url = arguments.page.resolve().as_uri()
    checks.view = f"{width} {scheme}"
    context = browser.new_context(viewport={"width": width, "height": HEIGHT}, color_scheme=scheme)
    page = context.new_page()
    said, loaded = watch(page, url)
    page.goto(url)
    check_general(page, checks, scheme)
    if arguments.screenshots is not None:
        picture(page, arguments, checks.view)
    if not arguments.general:
        check_table(page, checks)
    checks.same("messages", said, [])
    checks.same("requests beside the page", loaded, [])
    context.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=pathlib.Path)
    parser.add_argument("--general", action="store_true", help="leave the table of rows alone")
    parser.add_argument("--screenshots", type=pathlib.Path, help="a folder for pictures of each view")
    parser.add_argument("--browser", default=shutil.which("chromium"), help="the path of Chromium")
    arguments = parser.parse_args()
    if arguments.browser is None:
        parser.error("`chromium` is not installed, expected Debian's package; `--browser` names another")
    checks = Checks()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.browser, args=["--no-sandbox"])
        for width in WIDTHS:
            for scheme in SCHEMES:
                check_view(browser, checks, arguments, width, scheme)
        browser.close()
    print(f"{arguments.page}: {checks.count} checks, {len(checks.failed)} failed")
    for fact in checks.failed:
        print(f"  {fact}")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
