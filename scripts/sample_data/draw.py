"""Choices that are the same on every run and on every version of Python."""

import collections
import random


class Draw:
    """A seeded source of choices.

    It uses `random()` alone, the one method whose numbers Python promises to keep.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.used = collections.Counter()

    def chance(self, probability):
        return self.random.random() < probability

    def one_of(self, items):
        return items[int(self.random.random() * len(items))]

    def between(self, least, most):
        """A whole number from the least to the most, both included."""
        return least + int(self.random.random() * (most - least + 1))

    def shuffled(self, items):
        keys = [self.random.random() for _ in items]
        return [items[place] for place in sorted(range(len(items)), key=keys.__getitem__)]

    def least_used(self, items, *contexts):
        """The item drawn least often beside the contexts, of these the least often at all, and then by chance.

        A context is whatever must not meet one item twice: two answers with one core should not share an opening.
        """
        def cost(item):
            beside = [self.used[item, context] for context in contexts]
            return (sum(beside), self.used[item], self.random.random())

        chosen = min(items, key=cost)
        self.used[chosen] += 1
        for context in contexts:
            self.used[chosen, context] += 1
        return chosen
