//! Scores of many items, ready to be resampled.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::label::LabelPairs;
use super::{bleu, chrf, Metric};

/// Each item's score, and what the figure over any choice of items is computed from.
///
/// A bootstrap asks for the figure of thousands of resamples; no text is read again for it.
#[derive(Clone, Debug)]
pub struct ItemScores {
    metric: Metric,
    scores: Vec<f64>,
    sufficient: Sufficient,
    references: u64,
}

/// What a figure over items is computed from, where it is not the mean of the scores.
#[derive(Clone, Debug)]
pub(super) enum Sufficient {
    Mean,
    Chrf(Vec<chrf::Counts>),
    Bleu(Vec<bleu::Counts>),
    Labels(LabelPairs),
}

impl ItemScores {
    pub(super) fn new(
        metric: Metric,
        scores: Vec<f64>,
        sufficient: Sufficient,
        references: &[&str],
    ) -> ItemScores {
        let mut hasher = DefaultHasher::new();
        references.hash(&mut hasher);
        ItemScores { metric, scores, sufficient, references: hasher.finish() }
    }

    /// The metric that gave the scores.
    pub fn metric(&self) -> &Metric {
        &self.metric
    }

    /// Each item's score in 0..1, in the order of the items.
    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// How many items there are; never 0.
    pub fn items(&self) -> usize {
        self.scores.len()
    }

    /// The figure over all items, in 0..1.
    pub fn figure(&self) -> f64 {
        self.figure_over(0..self.items())
    }

    /// The figure over the items with these indices, in 0..1; an index may repeat.
    ///
    /// An index past the end is no item and counts for nothing; no item at all gives 0.
    pub fn figure_of(&self, items: &[usize]) -> f64 {
        self.figure_over(items.iter().copied())
    }

    /// At how many items the other arm's answer was measured differently.
    ///
    /// Labels differ where another label was answered, though both may be wrong.
    pub fn differing(&self, other: &ItemScores) -> usize {
        let differs = |item: &usize| match (&self.sufficient, &other.sufficient) {
            (Sufficient::Chrf(a), Sufficient::Chrf(b)) => a.get(*item) != b.get(*item),
            (Sufficient::Bleu(a), Sufficient::Bleu(b)) => a.get(*item) != b.get(*item),
            (Sufficient::Labels(a), Sufficient::Labels(b)) => a.answer(*item) != b.answer(*item),
            _ => self.scores.get(*item) != other.scores.get(*item),
        };
        let items = self.items().max(other.items());
        (0..items).filter(differs).count()
    }

    /// Whether both were measured by the same metric against the same references in one order.
    pub fn is_aligned_with(&self, other: &ItemScores) -> bool {
        self.metric == other.metric
            && self.items() == other.items()
            && self.references == other.references
    }

    fn figure_over(&self, items: impl Iterator<Item = usize>) -> f64 {
        match &self.sufficient {
            Sufficient::Mean => mean(items.filter_map(|item| self.scores.get(item))),
            Sufficient::Chrf(rows) => chrf::figure(&summed(items.filter_map(|i| rows.get(i)))),
            Sufficient::Bleu(rows) => {
                bleu::corpus_figure(&summed(items.filter_map(|i| rows.get(i))))
            }
            Sufficient::Labels(labels) => labels.macro_f1(items),
        }
    }
}

fn mean<'a>(scores: impl Iterator<Item = &'a f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0usize);
    for score in scores {
        sum += score;
        count += 1;
    }
    if count == 0 {
        0.0
    } else {
        sum / count as f64
    }
}

fn summed<'a, const N: usize>(rows: impl Iterator<Item = &'a [f64; N]>) -> [f64; N] {
    let mut sum = [0.0; N];
    for row in rows {
        for (total, count) in sum.iter_mut().zip(row) {
            *total += count;
        }
    }
    sum
}
