"""What a program needs to tell the codes of notes: the nearest notes, counts of words, or weights of phrases."""

import collections
import math

from sprout.neighbours import Index, split_words

EPOCHS = 12
STEP = 3.0
DECAY = 0.85
SMOOTHING = 0.2


def nearest_codes(train, asked, count):
    """The codes of the nearest notes by BM25, best first, for each text asked about."""
    index = Index([text for text, _ in train])
    return [[train[place][1] for place in index.nearest(text, count)] for text in asked]


def vote(codes):
    """The most frequent code; of equals, that of the nearest note."""
    return collections.Counter(codes).most_common(1)[0][0]


class NaiveBayes:
    """Multinomial naive Bayes on words.

    Source: Manning, Raghavan and Schütze 2008, Introduction to Information Retrieval, figure 13.2.
    """

    def __init__(self, train):
        words = collections.defaultdict(collections.Counter)
        rows = collections.Counter()
        for text, code in train:
            words[code].update(split_words(text))
            rows[code] += 1
        vocabulary = {word for counts in words.values() for word in counts}
        self.prior = {code: math.log(count / len(train)) for code, count in rows.items()}
        self.log_share = {}
        for code, counts in words.items():
            total = sum(counts.values()) + SMOOTHING * len(vocabulary)
            self.log_share[code] = {word: math.log((counts[word] + SMOOTHING) / total) for word in vocabulary}

    def answer(self, text):
        words = split_words(text)
        score = lambda code: self.prior[code] + sum(self.log_share[code].get(word, 0.0) for word in words)
        return max(sorted(self.prior), key=score)


def phrases(text):
    """The words of a text and its pairs of neighbouring words, each once."""
    words = split_words(text)
    return sorted({*words, *(f"{first} {second}" for first, second in zip(words, words[1:]))})


class LinearModel:
    """Multinomial logistic regression on the presence of words and pairs of words, by stochastic gradient descent."""

    def __init__(self, train, draw):
        examples = [(phrases(text), code) for text, code in train]
        seen = collections.Counter(phrase for found, _ in examples for phrase in found)
        self.codes = sorted({code for _, code in train})
        self.weights = {phrase: [0.0] * len(self.codes) for phrase, count in seen.items() if count > 1}
        places = {code: place for place, code in enumerate(self.codes)}
        step = STEP
        for _ in range(EPOCHS):
            for found, code in draw.shuffled(examples):
                self.learn(found, places[code], step)
            step *= DECAY

    def learn(self, found, right, step):
        """Moves the weights of the phrases along the gradient of the log-probability of the right code."""
        known = [self.weights[phrase] for phrase in found if phrase in self.weights]
        scale = len(known) ** -0.5
        for place, share in enumerate(self.probabilities(known, scale)):
            move = step * scale * ((place == right) - share)
            if abs(move) > 1e-4:
                for weights in known:
                    weights[place] += move

    def probabilities(self, known, scale):
        scores = [scale * sum(column) for column in zip(*known)]
        highest = max(scores)
        raised = [math.exp(score - highest) for score in scores]
        total = sum(raised)
        return [value / total for value in raised]

    def answer(self, text):
        known = [self.weights[phrase] for phrase in phrases(text) if phrase in self.weights]
        shares = self.probabilities(known, len(known) ** -0.5)
        return self.codes[shares.index(max(shares))]
