//! Labels: which was asked for, which was answered, and the F1 of each.

use std::collections::HashMap;

use super::white_space::trimmed;

/// The label that a text names: the text without white space at both ends.
pub(super) fn named(text: &str) -> &str {
    trimmed(text)
}

/// The labels asked for and answered, item by item, as indices into one list of names.
#[derive(Clone, Debug)]
pub(super) struct LabelPairs {
    names: Vec<String>,
    pairs: Vec<Pair>,
}

#[derive(Clone, Copy, Debug)]
struct Pair {
    answered: usize,
    asked: usize,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    answered: u32,
    asked: u32,
    right: u32,
}

impl LabelPairs {
    /// The pairs of (output, reference), each text a label.
    pub fn new<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> LabelPairs {
        let mut names: Vec<String> = Vec::new();
        let mut known: HashMap<&'a str, usize> = HashMap::new();
        let mut index_of = |text: &'a str| {
            let name = named(text);
            *known.entry(name).or_insert_with(|| {
                names.push(name.to_string());
                names.len() - 1
            })
        };
        let pairs = pairs
            .map(|(output, reference)| Pair {
                answered: index_of(output),
                asked: index_of(reference),
            })
            .collect();
        LabelPairs { names, pairs }
    }

    /// The label answered at an item.
    pub fn answer(&self, item: usize) -> Option<&str> {
        let pair = self.pairs.get(item)?;
        self.names.get(pair.answered).map(String::as_str)
    }

    /// The mean over labels of each label's F1, for the items named, repeats counted.
    ///
    /// The labels are those that these items ask for or answer. F1 is
    /// 2·right / (asked + answered), which is defined for each of them.
    pub fn macro_f1(&self, items: impl Iterator<Item = usize>) -> f64 {
        let mut tallies = vec![Tally::default(); self.names.len()];
        for pair in items.filter_map(|item| self.pairs.get(item)) {
            tallies[pair.answered].answered += 1;
            tallies[pair.asked].asked += 1;
            tallies[pair.asked].right += u32::from(pair.asked == pair.answered);
        }
        let (mut sum, mut labels) = (0.0, 0.0);
        for tally in &tallies {
            let seen = f64::from(tally.asked) + f64::from(tally.answered);
            if seen > 0.0 {
                sum += 2.0 * f64::from(tally.right) / seen;
                labels += 1.0;
            }
        }
        if labels > 0.0 {
            sum / labels
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_answered_but_never_asked_for_lowers_the_mean() {
        let pairs = [("x", "x"), ("y", "x"), ("x", "x")];
        let labels = LabelPairs::new(pairs.into_iter());
        assert_eq!(labels.macro_f1(0..3), 0.4);
        assert_eq!(labels.macro_f1([0, 2, 2].into_iter()), 1.0);
        assert_eq!(labels.answer(1), Some("y"));
    }
}
