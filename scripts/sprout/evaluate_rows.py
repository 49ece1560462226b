"""Writes the evaluation of sprout: messages of bitext_intent, which it never saw, behind their nearest neighbours.

Run with: python3 scripts/sprout/evaluate_rows.py --data ../shared/data --output DIR

Each file holds the same test messages; a row's last answer is the one to compare with.

  nearest.jsonl   the 16 nearest training messages (BM25) in random order as earlier turns
  renamed.jsonl   the same, with the labels of each prompt renamed to words that no training row has as a label
  shuffled.jsonl  the same, with the labels dealt out again among the demonstrations of each prompt
  scrambled.jsonl the same, with the labels dealt out again among the demonstrations of all prompts
  bare.jsonl      no demonstration; the label list is in the system prompt

Most of a prompt's neighbours share one label, which stays the most frequent one when labels are dealt out within the
prompt: a model that reads may keep the right answer there. Only `scrambled` leaves nothing to read, and reading must
fall to chance.
"""

import argparse
import collections
import json
import pathlib
import random

import words
from episodes import turn
from neighbours import Index
from pools import read_rows

SYSTEM = "You triage customer-support messages. Answer with the name of the intent and nothing else."


def read_messages(path):
    """Returns the messages of a split with their labels."""
    return [tuple(message["content"] for message in row["messages"][-2:]) for row in read_rows(path)]


def write_chat(out, system, shown, question):
    """Writes a row of demonstrations and a question."""
    messages = [turn("system", system)]
    for text, label in shown + [question]:
        messages += [turn("user", text), turn("assistant", label)]
    out.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")


def rename(source, shown, question):
    """Returns the demonstrations and the question with every label renamed to a word."""
    present = list(dict.fromkeys(label for _, label in shown + [question]))
    names = dict(zip(present, source.sample(words.EVALUATION_WORDS, len(present))))
    return [(text, names[label]) for text, label in shown], (question[0], names[question[1]])


def deal_out(source, prompts):
    """Returns the prompts' demonstrations with their labels in random order over all of them."""
    labels = [label for shown in prompts for _, label in shown]
    dealt = iter(source.sample(labels, len(labels)))
    return [[(text, next(dealt)) for text, _ in shown] for shown in prompts]


def bare_prompt(source, known):
    """Returns a system prompt that lists the labels."""
    return f"{SYSTEM} The intents are: {', '.join(source.sample(known, len(known)))}."


def write_files(output, source, found, shown, scrambled, known):
    """Writes every variant of the prompts."""
    names = ("nearest", "renamed", "shuffled", "scrambled", "bare")
    files = {name: open(output / f"{name}.jsonl", "w", encoding="utf-8") for name in names}
    for (_, question), demonstrations, mixed in zip(found, shown, scrambled):
        write_chat(files["nearest"], SYSTEM, demonstrations, question)
        write_chat(files["renamed"], SYSTEM, *rename(source, demonstrations, question))
        write_chat(files["shuffled"], SYSTEM, deal_out(source, [demonstrations])[0], question)
        write_chat(files["scrambled"], SYSTEM, mixed, question)
        write_chat(files["bare"], bare_prompt(source, known), [], question)
    for file in files.values():
        file.close()


def vote(shown):
    """Returns the most frequent label; of equals, the first."""
    return collections.Counter(label for _, label in shown).most_common(1)[0][0]


def report(found, scrambled):
    """Prints how much the neighbours alone tell."""
    total = len(found)
    first = sum(near[0][1] == question[1] for near, question in found)
    present = sum(question[1] in [label for _, label in near] for near, question in found)
    voted = sum(vote(near) == question[1] for near, question in found)
    voted_scrambled = sum(vote(shown) == question[1] for shown, (_, question) in zip(scrambled, found))
    repeats = sum(question[0].lower() in [text.lower() for text, _ in near] for near, question in found)
    labels = sum(len({label for _, label in near}) for near, _ in found)
    print(f"{total} messages, {labels / total:.1f} labels a prompt, {repeats} with an equal text among the neighbours")
    print(f"nearest neighbour's label is right: {first / total:.1%}")
    print(f"most frequent label is right: {voted / total:.1%}, scrambled {voted_scrambled / total:.1%}")
    print(f"right label is among the demonstrations: {present / total:.1%}")
    one_of = sum([label for _, label in near].count(question[1]) / len(near) for near, question in found)
    print(f"a random demonstration's label is right: {one_of / total:.1%}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the data sets")
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--demonstrations", type=int, default=16)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)
    train = read_messages(arguments.data / "bitext_intent" / "train.jsonl")
    test = read_messages(arguments.data / "bitext_intent" / "test.jsonl")
    known = sorted({label for _, label in train})
    index = Index([text for text, _ in train])
    source = random.Random(arguments.seed)
    asked = source.sample(test, min(arguments.messages, len(test)))
    nearest = [index.nearest(text, arguments.demonstrations) for text, _ in asked]
    found = [([train[place] for place in near], question) for near, question in zip(nearest, asked)]
    shown = [source.sample(near, len(near)) for near, _ in found]
    scrambled = deal_out(source, shown)
    write_files(arguments.output, source, found, shown, scrambled, known)
    report(found, scrambled)


if __name__ == "__main__":
    main()
