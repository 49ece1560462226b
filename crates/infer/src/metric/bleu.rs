//! BLEU: word n-gram precision with a brevity penalty.

use super::ngram::overlap;
use super::white_space::{is_white_space, words};

const ORDERS: usize = 4;

/// Words of the output and of the reference, then shared n-grams per order, then the output's
/// n-grams per order. They add up over items.
pub(super) type Counts = [f64; 2 + 2 * ORDERS];

/// The counts of one item.
pub(super) fn counts(output: &str, reference: &str) -> Counts {
    let (output, reference) = (tokenised(output), tokenised(reference));
    let output: Vec<&str> = words(&output).collect();
    let reference: Vec<&str> = words(&reference).collect();
    let mut counts = [0.0; 2 + 2 * ORDERS];
    counts[0] = output.len() as f64;
    counts[1] = reference.len() as f64;
    let (shared, total) = counts[2..].split_at_mut(ORDERS);
    for (order, (shared, total)) in (1..=ORDERS).zip(shared.iter_mut().zip(total)) {
        let found = overlap(&output, &reference, order);
        *shared = found.shared as f64;
        *total = found.output as f64;
    }
    counts
}

/// BLEU of one sentence: orders for which the output is too short are left out of the mean.
pub(super) fn sentence_figure(counts: &Counts) -> f64 {
    let orders = counts[2 + ORDERS..].iter().take_while(|total| **total > 0.0);
    figure(counts, orders.count())
}

/// BLEU of a corpus: 0 where no output reaches the longest order.
pub(super) fn corpus_figure(counts: &Counts) -> f64 {
    if counts[2 + ORDERS..].contains(&0.0) {
        return 0.0;
    }
    figure(counts, ORDERS)
}

/// The geometric mean of the first precisions times the brevity penalty.
///
/// The k-th order without a match has precision 1/2ᵏ of one match (NIST's smoothing, sacrebleu's
/// `exp`); no match at all is 0. Source: Papineni et al. 2002, section 2.3; Chen and Cherry, "A
/// Systematic Comparison of Smoothing Techniques for Sentence-Level BLEU", 2014, method 3.
fn figure(counts: &Counts, orders: usize) -> f64 {
    let (lengths, grams) = counts.split_at(2);
    let (output, reference) = (lengths[0], lengths[1]);
    let (shared, total) = grams.split_at(ORDERS);
    if shared.iter().all(|count| *count == 0.0) {
        return 0.0;
    }
    let mut smoothing = 1.0;
    let mut log_sum = 0.0;
    for (shared, total) in shared.iter().zip(total).take(orders) {
        log_sum += if *shared > 0.0 {
            (shared / total).ln()
        } else {
            smoothing *= 2.0;
            (1.0 / (smoothing * total)).ln()
        };
    }
    let brevity = if output < reference { 1.0 - reference / output } else { 0.0 };
    (brevity + log_sum / orders as f64).exp().min(1.0)
}

/// The text with spaces between tokens, by the rules of WMT's `mteval-v13a`.
///
/// Every ASCII symbol is a token but `'`, `.`, `,` and `-`: a full stop or comma stands alone
/// unless it is between digits, and a hyphen only after a digit. Source: mteval-v13a.pl as
/// sacrebleu's `13a` reads it.
fn tokenised(text: &str) -> String {
    let line = text.trim_end_matches(is_white_space);
    let line = line.replace("<skipped>", "").replace("-\n", "").replace('\n', " ");
    let line = line.replace("&quot;", "\"").replace("&amp;", "&");
    let line = line.replace("&lt;", "<").replace("&gt;", ">");
    let mut symbols: Vec<char> = vec![' '];
    for c in line.chars() {
        if c.is_ascii_punctuation() && !matches!(c, '\'' | '.' | ',' | '-') {
            symbols.extend([' ', c, ' ']);
        } else {
            symbols.push(c);
        }
    }
    symbols.push(' ');
    let point = |c: char| matches!(c, '.' | ',');
    let digit = |c: char| c.is_ascii_digit();
    let spaced = rewritten(&symbols, |a, b| !digit(a) && point(b), |a, b| [a, ' ', b, ' ']);
    let spaced = rewritten(&spaced, |a, b| point(a) && !digit(b), |a, b| [' ', a, ' ', b]);
    let spaced = rewritten(&spaced, |a, b| digit(a) && b == '-', |a, b| [a, ' ', b, ' ']);
    spaced.into_iter().collect()
}

/// The text with each pair that matches replaced, left to right, no character used twice.
fn rewritten(
    text: &[char],
    matches: impl Fn(char, char) -> bool,
    replacement: impl Fn(char, char) -> [char; 4],
) -> Vec<char> {
    let mut new = Vec::with_capacity(text.len() + 8);
    let mut rest = text;
    loop {
        match rest {
            [a, b, after @ ..] if matches(*a, *b) => {
                new.extend(replacement(*a, *b));
                rest = after;
            }
            [a, after @ ..] => {
                new.push(*a);
                rest = after;
            }
            [] => return new,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(text: &str) -> Vec<String> {
        words(&tokenised(text)).map(str::to_string).collect()
    }

    #[test]
    fn points_and_commas_between_digits_stay() {
        assert_eq!(tokens("Pay $3,000.50, now."), ["Pay", "$", "3,000.50", ",", "now", "."]);
    }

    #[test]
    fn a_hyphen_splits_only_after_a_digit() {
        assert_eq!(tokens("a 12-year well-known"), ["a", "12", "-", "year", "well-known"]);
    }

    #[test]
    fn an_ampersand_is_unescaped_before_the_brackets_as_in_mteval() {
        assert_eq!(tokens("&amp;lt;x"), ["<", "x"]);
    }

    #[test]
    fn three_right_words_score_one_as_a_sentence_and_zero_as_a_corpus() {
        let counts = counts("one two three", "one two three");
        assert_eq!(sentence_figure(&counts), 1.0);
        assert_eq!(corpus_figure(&counts), 0.0);
    }
}
