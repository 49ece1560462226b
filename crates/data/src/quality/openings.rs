//! Replies that begin with the same words.

use std::cmp::Reverse;
use std::collections::HashMap;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

use super::excerpt::excerpt;
use super::finding::{Code, Found};
use super::set::{Findings, Kept};

/// Words of an opening.
const WORDS: usize = 4;
/// Replies from which a common opening is told, and of how many replies one has to have it.
const FEWEST: usize = 20;
const ONE_IN: usize = 5;

/// Adds the training replies whose opening a fifth of them has, the most common opening first.
pub(super) fn compare(rows: &[Kept], findings: &mut Findings) {
    // A plain text is no reply.
    let is_reply = |row: &&Kept| {
        row.is_training() && !row.question.is_empty() && !row.answer.trim().is_empty()
    };
    let replies: Vec<&Kept> = rows.iter().filter(is_reply).collect();
    let hash = |row: &&Kept| opening(&row.answer).map(|words| xxh3_64(words.as_bytes()));
    let openings: Vec<Option<u64>> = replies.par_iter().map(hash).collect();
    let mut counts: HashMap<u64, usize> = HashMap::new();
    for opening in openings.iter().flatten() {
        *counts.entry(*opening).or_default() += 1;
    }
    let is_common = |count: usize| count >= FEWEST && count * ONE_IN >= replies.len();
    let mut common: Vec<(u64, usize)> =
        counts.into_iter().filter(|(_, count)| is_common(*count)).collect();
    common.sort_unstable_by_key(|(opening, count)| (Reverse(*count), *opening));
    for (common, count) in common {
        let opened = replies.iter().zip(&openings).filter(|(_, opening)| **opening == Some(common));
        let opened: Vec<&Kept> = opened.map(|(row, _)| *row).collect();
        let words = opened.first().and_then(|row| opening(&row.answer)).unwrap_or_default();
        let percent = 100.0 * count as f64 / replies.len() as f64;
        let example = format!("`{}`: {percent:.0} % of the replies", excerpt(&words));
        let found = |row: &Kept| Found { place: row.place, other: None, score: None };
        let rows = opened.into_iter().map(|row| (row.number, found(row)));
        findings.add_alike(Code::SameOpening, rows, &example);
    }
}

/// The first words of a reply in small letters, without the marks around them; `None` where it has fewer.
fn opening(reply: &str) -> Option<String> {
    let bare = |word: &str| word.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let words = reply.split_whitespace().map(bare).filter(|word| !word.is_empty());
    let words: Vec<String> = words.take(WORDS).collect();
    (words.len() == WORDS).then(|| words.join(" ").replace('’', "'"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_opening_is_four_words_without_the_marks_around_them() {
        assert_eq!(
            opening("Thank you — for *contacting* us!").unwrap(),
            "thank you for contacting"
        );
        assert_eq!(opening("I’m sorry, Ann. Tell me more.").unwrap(), "i'm sorry ann tell");
        assert_eq!(opening("I'm so sorry!"), None);
        assert_eq!(opening(" … "), None);
    }
}
