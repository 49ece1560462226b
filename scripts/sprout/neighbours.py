"""BM25: which texts of a collection share the most telling words with a text."""

import collections
import heapq
import math
import re

SATURATION = 1.2
LENGTH_WEIGHT = 0.75


def split_words(text):
    """Returns the words of a text, lower-cased."""
    return re.findall(r"[a-z0-9']+", text.lower())


class Index:
    """An inverted index that holds each posting's share of the score, so that a search only adds.

    Words in more than `common` of the texts are left out of searches that have other words: they tell little and
    cost the most.

    Source: Robertson and Zaragoza 2009, The Probabilistic Relevance Framework: BM25 and Beyond, equation 3.15.
    """

    def __init__(self, texts, common=1.0):
        counted = [collections.Counter(split_words(text)) for text in texts]
        lengths = [sum(counts.values()) for counts in counted]
        mean = sum(lengths) / max(1, len(lengths))
        places = collections.defaultdict(list)
        for index, counts in enumerate(counted):
            for word, count in counts.items():
                places[word].append((index, count))
        self.size = len(texts)
        self.most = common * len(texts)
        self.postings = {}
        for word, found in places.items():
            rarity = math.log(1 + (len(texts) - len(found) + 0.5) / (len(found) + 0.5))
            shares = []
            for index, count in found:
                length = 1 - LENGTH_WEIGHT + LENGTH_WEIGHT * lengths[index] / mean
                shares.append((index, rarity * count * (SATURATION + 1) / (count + SATURATION * length)))
            self.postings[word] = shares

    def nearest(self, text, count):
        """Returns the indices of the `count` best texts, best first; of equals, the earlier first."""
        found = [self.postings[word] for word in split_words(text) if word in self.postings]
        telling = [posting for posting in found if len(posting) <= self.most]
        scores = [0.0] * self.size
        touched = set()
        for posting in telling or found:
            for index, share in posting:
                scores[index] += share
                touched.add(index)
        return heapq.nsmallest(count, touched, key=lambda index: (-scores[index], index))
