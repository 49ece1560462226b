//! chrF: an F-score of character n-grams.

use super::ngram::overlap;
use super::white_space::is_white_space;

const ORDERS: usize = 6;
const BETA_SQUARED: f64 = 4.0;

/// Per order: n-grams of the output, of the reference, and shared. They add up over items.
pub(super) type Counts = [f64; 3 * ORDERS];

/// The counts of one item; white space is left out of both texts.
///
/// An order for which the reference has no n-gram counts none of the output's either, as in
/// sacrebleu.
pub(super) fn counts(output: &str, reference: &str) -> Counts {
    let characters =
        |text: &str| -> Vec<char> { text.chars().filter(|c| !is_white_space(*c)).collect() };
    let (output, reference) = (characters(output), characters(reference));
    let mut counts = [0.0; 3 * ORDERS];
    for (order, slots) in (1..=ORDERS).zip(counts.chunks_exact_mut(3)) {
        let found = overlap(&output, &reference, order);
        if found.reference > 0 {
            slots[0] = found.output as f64;
        }
        slots[1] = found.reference as f64;
        slots[2] = found.shared as f64;
    }
    counts
}

/// The F2 of precision and recall, each averaged over the orders that both sides have.
///
/// Source: Popović 2015, equation 1, with sacrebleu 2's effective order.
pub(super) fn figure(counts: &Counts) -> f64 {
    let (mut precision, mut recall, mut orders) = (0.0, 0.0, 0.0);
    for slots in counts.chunks_exact(3) {
        let (output, reference, shared) = (slots[0], slots[1], slots[2]);
        if output > 0.0 && reference > 0.0 {
            precision += shared / output;
            recall += shared / reference;
            orders += 1.0;
        }
    }
    if precision + recall == 0.0 {
        return 0.0;
    }
    let (precision, recall) = (precision / orders, recall / orders);
    let f = (1.0 + BETA_SQUARED) * precision * recall / (BETA_SQUARED * precision + recall);
    f.min(1.0)
}
