//! Telephone numbers, told from other numbers by how their digits are grouped.

use std::collections::BTreeSet;
use std::ops::Range;

use super::surroundings::{after, before, is_whole_number, ORDER, PHONE, PHONE_LABEL};

/// Digits that a number with its country code has.
///
/// Source: ITU-T E.164 section 6.
const MOST_DIGITS: usize = 15;

/// The telephone number at `place`.
pub(super) fn accept_phone(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let written = text.get(place.clone())?;
    let mut groups = digit_groups(written);
    let most = match is_domestic(written) {
        true => 11,
        false => MOST_DIGITS,
    };
    // The groups behind are other numbers of the sentence.
    while digits(&groups) > most || groups.last().is_some_and(|last| last.len() == 1) {
        groups.pop();
    }
    if written.starts_with('+') && groups.first().is_some_and(|first| first.len() >= 10) {
        groups.truncate(1);
    }
    let range = place.start..place.start + groups.last()?.end;
    let written = text.get(range.clone())?;
    let is_phone = match (written.starts_with('+'), groups.as_slice()) {
        (true, _) => is_international(written, &groups),
        (false, [only]) => is_plain_phone(text, &range, only.len()),
        (false, _) => is_grouped_phone(text, &range, &groups),
    };
    (is_phone && is_whole_number(text, &range)).then_some(range)
}

/// The runs of digits in a text, in bytes.
fn digit_groups(written: &str) -> Vec<Range<usize>> {
    let mut groups: Vec<Range<usize>> = Vec::new();
    for (at, _) in written.char_indices().filter(|(_, letter)| letter.is_ascii_digit()) {
        match groups.last_mut() {
            Some(last) if last.end == at => last.end += 1,
            _ => groups.push(at..at + 1),
        }
    }
    groups
}

fn digits(groups: &[Range<usize>]) -> usize {
    groups.iter().map(|group| group.len()).sum()
}

/// Whether the number begins as one that is dialled inside a country: `0` and an area code.
fn is_domestic(written: &str) -> bool {
    let mut letters = written.trim_start_matches('(').chars();
    letters.next() == Some('0') && letters.next().is_some_and(|letter| letter != '0')
}

fn is_international(written: &str, groups: &[Range<usize>]) -> bool {
    let thousands = groups.iter().skip(1).all(|group| group.len() == 3) || groups.len() == 2;
    let is_decimal = groups.len() > 1 && thousands && separators(written) == BTreeSet::from(['.']);
    (8..=MOST_DIGITS).contains(&digits(groups)) && !is_decimal
}

/// Whether digits without separators are a telephone number: only where they begin like one or are called one.
fn is_plain_phone(text: &str, range: &Range<usize>, length: usize) -> bool {
    let written = text.get(range.clone()).unwrap_or_default();
    let called = PHONE_LABEL.precede(text, range.start);
    let likely = match (is_domestic(written), length) {
        (true, 11) => true,
        (true, 10) => PHONE.precede(text, range.start),
        _ => false,
    };
    called || (likely && !ORDER.precede(text, range.start))
}

/// Whether a North American area code or exchange may begin so.
fn is_area(letter: char) -> bool {
    ('2'..='9').contains(&letter)
}

fn is_grouped_phone(text: &str, range: &Range<usize>, groups: &[Range<usize>]) -> bool {
    let written = text.get(range.clone()).unwrap_or_default();
    let lengths: Vec<usize> = groups.iter().map(|group| group.len()).collect();
    let begins = |place: usize, wanted: fn(char) -> bool| {
        let group = groups.get(place).and_then(|group| written.get(group.clone()));
        group.is_some_and(|group| group.starts_with(wanted))
    };
    let area = written.contains('(');
    let known = match lengths.as_slice() {
        // Dates, social security numbers, ZIP+4 codes and ISBNs.
        [4, 2, 2, ..] | [2, 2, 4, ..] | [3, 2, 4] | [5, 4] | [3, 1, ..] => return false,
        [3, 3, 4] => area || (begins(0, is_area) && begins(1, is_area)),
        [1, 3, 3, 4] if begins(0, |letter| letter == '1') => true,
        [2, 2, 2, 2, 2] => is_domestic(written) && separators(written).len() == 1,
        _ => is_domestic(written) && matches!(digits(groups), 10 | 11),
    };
    let in_list = !is_domestic(written) && !area && is_in_list(text, range, written);
    (known || is_called_phone(text, range, groups)) && !in_list
}

/// Whether the words before a number of unknown grouping say what it is.
fn is_called_phone(text: &str, range: &Range<usize>, groups: &[Range<usize>]) -> bool {
    let written = text.get(range.clone()).unwrap_or_default();
    let separators = separators(written);
    let is_address = separators.contains(&'.') && groups.len() == 4;
    let longest = groups.iter().map(|group| group.len()).max().unwrap_or_default();
    (9..=MOST_DIGITS).contains(&digits(groups))
        && groups.len() <= 5
        && longest <= 8
        && (separators.len() == 1 || written.contains('('))
        && !is_address
        && PHONE.precede(text, range.start)
        && !ORDER.precede(text, range.start)
}

/// What stands between the digits.
fn separators(written: &str) -> BTreeSet<char> {
    let inside = written.trim_start_matches(['+', '(']);
    inside.chars().filter(|letter| !letter.is_ascii_digit()).collect()
}

/// Whether numbers with spaces between them go on before or behind.
fn is_in_list(text: &str, range: &Range<usize>, written: &str) -> bool {
    let is_digit = |letter: char| letter.is_ascii_digit();
    let front = before(text, range.start).strip_suffix(' ');
    let rest = after(text, range.end).strip_prefix(' ');
    written.contains(' ')
        && (front.is_some_and(|front| front.ends_with(is_digit))
            || rest.is_some_and(|rest| rest.starts_with(is_digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_by_what_stands_between() {
        assert_eq!(digit_groups("+1 (55)5-6"), [1..2, 4..6, 7..8, 9..10]);
    }

    #[test]
    fn only_an_area_code_makes_a_number_domestic() {
        assert!(is_domestic("01223"));
        assert!(is_domestic("(020"));
        assert!(!is_domestic("00123842"));
        assert!(!is_domestic("123"));
    }

    #[test]
    fn a_number_behind_the_phone_number_is_no_part_of_it() {
        let accept = |text: &str, end: usize| accept_phone(text, 0..end);
        assert_eq!(accept("01223 358966 20", 15), Some(0..12));
        assert_eq!(accept("+441223358966 50", 16), Some(0..13));
        assert_eq!(accept("+33 6 12 34 56 78 9", 19), Some(0..17));
    }
}
