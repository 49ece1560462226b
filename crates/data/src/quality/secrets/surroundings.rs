//! What stands around a candidate: neighbours that make it part of something longer, and words that say what it is.

use std::ops::Range;
use std::sync::OnceLock;

use regex::Regex;

/// Words whose nearness decides what a candidate is.
pub(super) struct Words {
    pattern: &'static str,
    /// How far before the candidate they may begin, in bytes.
    reach: usize,
    compiled: OnceLock<Option<Regex>>,
}

/// What one rings.
pub(super) static PHONE: Words = Words::new(
    r"(?i)phone|whats ?app|text me|\b(?:ph|tel|fax|sms|ring|hotline|cells?|mobiles?|contact\w*|call\w*|reach\w*|dial\w*|telefon\w*|tel[eé]fono)\b",
    48,
);

/// What is called a phone number, right before it.
pub(super) static PHONE_LABEL: Words = Words::new(
    r"(?i)(?:phone|whats ?app|\b(?:ph|tel|cell|mobile|contact))(?: ?(?:number|num|no|nr))?\.?(?: (?:is|was))?[ :#=]*$",
    32,
);

/// What is called the number of something that is bought, sent or kept, right before it.
pub(super) static ORDER: Words = Words::new(
    r"(?i)\b(?:order|purchase|invoice|bill|tracking|shipment|parcel|booking|reservation|reference|ref|case|ticket|transaction|claim|policy|account|item|product|serial|sku|customer|confirmation|code)s?(?: ?(?:number|num|no|nr|id|code|ref))?\.?(?: (?:is|was))?[ :#=]*$",
    40,
);

/// What is called a version or a section, right before it.
pub(super) static VERSION: Words = Words::new(
    r"(?i)\b(?:v|ver|version|release|build|firmware|update|driver|section|chapter|paragraph|clause|step)s?\.?(?: (?:is|to|from|of|number))?[ :=]*$",
    32,
);

/// What a payment card is called.
pub(super) static CARD: Words = Words::new(r"(?i)\b(?:cards?|visa|credit|debit)\b", 40);

/// What a German tax id is called.
pub(super) static TAX_ID: Words = Words::new(
    r"(?i)steuer-? ?id|identifikationsnummer|\bid-?nr\b|\btax[ -]?(?:id|number|payer)|\btin\b",
    48,
);

/// What a UK National Insurance number is called.
pub(super) static NATIONAL_INSURANCE: Words =
    Words::new(r"(?i)national insurance|\bnino\b|\bni (?:number|no)\b", 40);

/// What a key for a program is called.
pub(super) static KEY: Words = Words::new(
    r"(?i)(?:^|[^a-z])(?:api|access|secret|private|auth)?[ _-]?(?:keys?|tokens?|secrets?|credentials?)(?:[^a-z]|$)",
    32,
);

impl Words {
    const fn new(pattern: &'static str, reach: usize) -> Words {
        Words { pattern, reach, compiled: OnceLock::new() }
    }

    /// Whether the words stand before the byte `at`.
    pub(super) fn precede(&self, text: &str, at: usize) -> bool {
        let near = ending(before(text, at), self.reach);
        self.regex().is_some_and(|regex| regex.is_match(near))
    }

    fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| Regex::new(self.pattern).ok()).as_ref()
    }
}

/// The text up to the byte `at`.
pub(super) fn before(text: &str, at: usize) -> &str {
    text.get(..at).unwrap_or_default()
}

/// The text from the byte `at` on.
pub(super) fn after(text: &str, at: usize) -> &str {
    text.get(at..).unwrap_or_default()
}

/// The last letters of a text, at most `bytes` long.
pub(super) fn ending(text: &str, bytes: usize) -> &str {
    let mut from = text.len().saturating_sub(bytes);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    after(text, from)
}

/// Whether a letter continues a word or number; scripts without spaces between words do not count.
pub(super) fn is_word(letter: char) -> bool {
    letter == '_' || (letter < '\u{250}' && letter.is_alphanumeric())
}

/// Whether no word or number touches the range.
pub(super) fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    !before(text, range.start).ends_with(is_word) && !after(text, range.end).starts_with(is_word)
}

/// Whether the range is a number by itself: no part of a longer one, of a sum, of a path or of a price.
pub(super) fn is_whole_number(text: &str, range: &Range<usize>) -> bool {
    let (left, right) = (before(text, range.start), after(text, range.end));
    stands_alone(text, range)
        && !goes_on(left.chars().rev())
        && !goes_on(right.chars())
        && !left.ends_with("<<")
        && !left.ends_with(['$', '€', '£', '¥', '#', '@', '^', '~', '\\'])
        && !right.starts_with(['$', '€', '£', '¥', '%', '@', '^', '='])
}

/// Whether the letters beside a number, from near to far, belong to it.
fn goes_on(mut letters: impl Iterator<Item = char>) -> bool {
    let (near, far) = (letters.next(), letters.next());
    match near {
        Some('-' | '/') => far.is_some_and(is_word),
        Some('.' | ',' | ':' | '+' | '*') => far.is_some_and(|letter| letter.is_ascii_digit()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_of_words_compiles() {
        let all =
            [&PHONE, &PHONE_LABEL, &ORDER, &VERSION, &CARD, &TAX_ID, &NATIONAL_INSURANCE, &KEY];
        for words in all {
            assert!(words.regex().is_some(), "{}", words.pattern);
        }
    }

    #[test]
    fn words_reach_only_so_far() {
        assert!(VERSION.precede("version 1.2.3.4", 8));
        assert!(!VERSION.precede("a version of ours, 1.2.3.4", 19));
        assert!(!CARD.precede(&format!("card{}4", " ".repeat(40)), 44));
    }

    #[test]
    fn an_ending_begins_at_a_letter() {
        assert_eq!(ending("né", 2), "é");
        assert_eq!(ending("né", 1), "");
        assert_eq!(ending("né", 9), "né");
    }

    #[test]
    fn a_number_goes_on_behind_a_point_only_before_a_digit() {
        assert!(is_whole_number("123.", &(0..3)));
        assert!(!is_whole_number("123.4", &(0..3)));
        assert!(!is_whole_number("<<123", &(2..5)));
        assert!(!is_whole_number("TR-123", &(3..6)));
        assert!(!is_whole_number("€123", &(3..6)));
    }
}
