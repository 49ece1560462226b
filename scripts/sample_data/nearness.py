"""How alike texts are: the share of runs of words that two of them have in common."""

import collections
import re


def shingles(text, words):
    """The runs of so many words of a text in lower case; a shorter text is its own run."""
    found = re.findall(r"[\w$%'’]+", text.lower())
    return {tuple(found[at : at + words]) for at in range(max(1, len(found) - words + 1))}


def jaccard(first, second):
    return len(first & second) / len(first | second)


def nearest_pairs(texts, words):
    """Each pair that shares a run, with its Jaccard similarity; all other pairs have 0."""
    runs = [shingles(text, words) for text in texts]
    holders = collections.defaultdict(list)
    for place, own in enumerate(runs):
        for run in own:
            holders[run].append(place)
    pairs = {(a, b) for held in holders.values() for at, b in enumerate(held) for a in held[:at]}
    return {(a, b): jaccard(runs[a], runs[b]) for a, b in sorted(pairs)}


def most_alike(texts, words):
    """The highest Jaccard similarity of two texts, with these two, the earlier first.

    It holds the runs alone, not the pairs: for texts of which most share a run with most others.
    """
    runs = [shingles(text, words) for text in texts]
    holders = collections.defaultdict(list)
    highest, pair = 0.0, (0, 1)
    for place, own in enumerate(runs):
        shared = collections.Counter(earlier for run in own for earlier in holders[run])
        for earlier, count in shared.items():
            similarity = count / (len(own) + len(runs[earlier]) - count)
            if (similarity, -earlier) > (highest, -pair[0]):
                highest, pair = similarity, (earlier, place)
        for run in own:
            holders[run].append(place)
    return highest, pair
