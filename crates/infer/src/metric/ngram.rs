//! Counting n-grams that two sequences share.

use std::collections::HashMap;
use std::hash::Hash;

/// How many n-grams of one order two sequences have, and share.
pub(super) struct Overlap {
    pub output: usize,
    pub reference: usize,
    /// Each n-gram counts at most as often as it stands in either sequence.
    pub shared: usize,
}

/// The n-grams of length `order` in both sequences, repeats counted.
pub(super) fn overlap<T: Eq + Hash>(output: &[T], reference: &[T], order: usize) -> Overlap {
    let mut left: HashMap<&[T], usize> = HashMap::new();
    for gram in reference.windows(order) {
        *left.entry(gram).or_default() += 1;
    }
    let mut shared = 0;
    for gram in output.windows(order) {
        if let Some(count) = left.get_mut(gram).filter(|count| **count > 0) {
            *count -= 1;
            shared += 1;
        }
    }
    let grams = |length: usize| (length + 1).saturating_sub(order);
    Overlap { output: grams(output.len()), reference: grams(reference.len()), shared }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_word_is_shared_as_often_as_the_rarer_side_has_it() {
        let found = overlap(&["a", "a", "a", "b"], &["a", "a", "c"], 1);
        assert_eq!((found.output, found.reference, found.shared), (4, 3, 2));
    }

    #[test]
    fn a_sequence_shorter_than_the_order_has_no_grams() {
        let found = overlap(&['x'], &['x', 'y', 'z'], 3);
        assert_eq!((found.output, found.reference, found.shared), (0, 1, 0));
    }
}
