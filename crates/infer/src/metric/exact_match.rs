//! Equality of answers, with and without normalisation.

use super::white_space::{trimmed, words};

/// The text in lower case, without ASCII punctuation and the words `a`, `an`, `the`, with single
/// spaces.
///
/// Signs and decimal points are punctuation too, so `-5` equals `5` and `3.14` equals `314`; use
/// `exact-match-strict` for numbers and code.
///
/// Source: `normalize_answer` of the SQuAD v1.1 evaluation; Rajpurkar et al., "SQuAD: 100,000+
/// Questions for Machine Comprehension of Text", 2016, section 6.1.
pub fn squad_normalised(text: &str) -> String {
    let lower = text.to_lowercase();
    let plain: String = lower.chars().filter(|c| !c.is_ascii_punctuation()).collect();
    let without_articles = with_articles_blanked(&plain);
    let kept: Vec<&str> = words(&without_articles).collect();
    kept.join(" ")
}

/// Whether both texts are equal after [`squad_normalised`].
pub(super) fn normalised_equal(output: &str, reference: &str) -> bool {
    squad_normalised(output) == squad_normalised(reference)
}

/// Whether both texts are equal after trimming white space.
pub(super) fn trimmed_equal(output: &str, reference: &str) -> bool {
    trimmed(output) == trimmed(reference)
}

fn with_articles_blanked(text: &str) -> String {
    let mut blanked = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let word_end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let (word, after) = rest.split_at(word_end);
        blanked.push_str(if matches!(word, "a" | "an" | "the") { " " } else { word });
        let gap_end = after.find(char::is_alphanumeric).unwrap_or(after.len());
        let (gap, next) = after.split_at(gap_end);
        blanked.push_str(gap);
        rest = next;
    }
    blanked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn articles_go_only_where_they_are_whole_words() {
        assert_eq!(squad_normalised("The  Theatre, an anthem & a cat"), "theatre anthem cat");
    }

    #[test]
    fn a_sign_is_lost_by_normalisation_and_kept_by_the_strict_rule() {
        assert!(normalised_equal("-5", "5"));
        assert!(!trimmed_equal("-5", "5"));
        assert!(trimmed_equal(" 5\n", "5"));
    }
}
