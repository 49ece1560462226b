"""Checks of data/icd10: counts, codes, balance, near-copies, and how far simple programs get, with figures."""

import collections
import json
import re

from icd10.learners import LinearModel, NaiveBayes, nearest_codes, vote
from sample_data.draw import Draw
from sample_data.nearness import most_alike
from sample_data.report import Report

ROWS = {"train": 2100, "valid": 300, "test": 500}
CODES = (40, 48)
FEWEST_ROWS = 20
WORDS = (25, 70)
MOST_WORDS_OF_SYSTEM = 25
NEAR = 0.8
NEIGHBOURS = 16
MOST_RIGHT_BY_VOTE = 0.75
FEWEST_RIGHT_BY_PHRASES = 0.85
MOST_BYTES = 1_600_000
SEED = 1
# What the notes of no patient hold: an address of mail, a long number, a day with its year, an unfilled slot.
SUSPICIOUS = re.compile(r"@|\d{5,}|\d{3}[- ]\d{3,4}|\d{1,2}/\d{1,2}/\d{2,4}|[{}|]")


def check(folder, expected, table):
    """1 if something about the files is wrong, else 0."""
    report = Report()
    read = lambda name: (folder / name).read_text(encoding="utf-8") if (folder / name).exists() else ""
    changed = [name for name, text in expected.items() if read(name) != text]
    report.say(not changed, f"files that differ from what the generator writes: {changed or 'none'}")
    rows = {split: [json.loads(line) for line in read(f"{split}.jsonl").splitlines()] for split in ROWS}
    codes = {row["code"]: row["description"] for row in map(json.loads, read("codes.jsonl").splitlines())}
    check_rows(report, rows)
    check_codes(report, rows, codes, table)
    check_balance(report, rows, codes)
    check_texts(report, [asked(row) for split in ROWS for row in rows[split]])
    check_traits(report, rows)
    examples = {split: [(asked(row), row["code"]) for row in rows[split]] for split in ROWS}
    check_learners(report, examples["train"], examples["test"])
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    report.say(size <= MOST_BYTES, f"size: {size} bytes")
    return int(report.failed > 0)


def asked(row):
    return row["messages"][1]["content"]


def check_rows(report, rows):
    counts = {split: len(rows[split]) for split in rows}
    report.say(counts == ROWS, f"rows: {counts}")
    every = [row for split in rows.values() for row in split]
    systems = {row["messages"][0]["content"] for row in every}
    is_right = len(systems) == 1 and len(min(systems).split()) <= MOST_WORDS_OF_SYSTEM
    report.say(is_right, f"system prompts: {len(systems)}, of {len(min(systems).split())} words")
    roles = {tuple(message["role"] for message in row["messages"]) for row in every}
    answers = all(row["messages"][-1]["content"] == row["code"] for row in every)
    report.say(roles == {("system", "user", "assistant")} and answers, "each row's answer is its code alone")


def check_codes(report, rows, codes, table):
    report.say(CODES[0] <= len(codes) <= CODES[1], f"codes: {len(codes)}")
    answered = {row["code"] for split in rows.values() for row in split}
    report.say(answered == set(codes), "codes of the rows: all in codes.jsonl, and all of it")
    families = collections.defaultdict(set)
    for row in rows["train"]:
        families[row["family"]].add(row["code"])
    print(f"       families: {', '.join(f'{name} {len(found)}' for name, found in sorted(families.items()))}")
    if table:
        lines = (line.split("\t") for line in table.read_text(encoding="utf-8").splitlines())
        official = {code: description for code, billable, description, *_ in lines if billable == "1"}
        other = [code for code, description in codes.items() if official.get(code) != description]
        report.say(not other, f"codes that are not billable or have another wording in the table: {other or 'none'}")


def check_balance(report, rows, codes):
    counts = {split: collections.Counter(row["code"] for row in rows[split]) for split in rows}
    ordered = sorted(codes, key=lambda code: (-counts["train"][code], code))
    most, least = (f"{code} {counts['train'][code]}" for code in (ordered[0], ordered[-1]))
    report.say(counts["train"][ordered[-1]] >= FEWEST_ROWS, f"training rows of a code: most {most}, fewest {least}")
    share = lambda split, code: counts[split][code] / len(rows[split])
    for split in ("valid", "test"):
        difference = max(abs(share(split, code) - share("train", code)) for code in codes)
        is_right = difference < 1 / len(rows[split])
        report.say(is_right, f"shares of codes in {split}: at most {difference:.3%} from those in train")


def check_texts(report, texts):
    report.say(len(set(texts)) == len(texts), f"notes: {len(texts)}, {len(set(texts))} of them different")
    words = sorted(len(text.split()) for text in texts)
    is_right = WORDS[0] <= words[0] and words[-1] <= WORDS[1]
    report.say(is_right, f"notes: {words[0]} to {words[-1]} words, median {words[len(words) // 2]}")
    similarity, pair = most_alike(texts, 3)
    report.say(similarity < NEAR, f"notes: most alike two, by runs of three words: {similarity:.3f}")
    print(*(f"       {texts[place]}" for place in pair), sep="\n")
    found = [text for text in texts if SUSPICIOUS.search(text)]
    report.say(not found, f"notes with what looks like personal data or an unfilled slot: {found[:3] or 'none'}")
    held = {name: sum(name in text for text in texts) for name in ("[NAME]", "[DATE]")}
    print(f"       notes with a placeholder: {held}")


def check_traits(report, rows):
    counts = {split: collections.Counter(trait for row in rows[split] for trait in row["traits"]) for split in rows}
    for trait in sorted(counts["train"]):
        numbers = {split: counts[split][trait] for split in rows}
        report.say(min(numbers.values()) > 0, f"trait {trait}: {numbers}")


def check_learners(report, train, test):
    """How far programs get that read nothing but words."""
    right = lambda answers: sum(answer == code for answer, (_, code) in zip(answers, test, strict=True)) / len(test)
    texts = [text for text, _ in test]
    most_frequent = vote([code for _, code in train])
    print(f"       test, the most frequent code: {right([most_frequent] * len(test)):.1%}")
    near = nearest_codes(train, texts, NEIGHBOURS)
    print(f"       test, code of the nearest note (BM25): {right([codes[0] for codes in near]):.1%}")
    voted = right([vote(codes) for codes in near])
    report.say(voted <= MOST_RIGHT_BY_VOTE, f"test, vote of the {NEIGHBOURS} nearest notes (BM25): {voted:.1%}")
    bayes = NaiveBayes(train)
    print(f"       test, naive Bayes on words: {right([bayes.answer(text) for text in texts]):.1%}")
    linear = LinearModel(train, Draw(SEED))
    phrases = right([linear.answer(text) for text in texts])
    is_right = phrases >= FEWEST_RIGHT_BY_PHRASES
    report.say(is_right, f"test, logistic regression on words and pairs of words: {phrases:.1%}")
