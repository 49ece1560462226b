//! Numbers that carry their own proof: payment cards, bank accounts and national ids.

use std::ops::Range;

use super::surroundings::{
    after, is_whole_number, stands_alone, CARD, NATIONAL_INSURANCE, ORDER, TAX_ID,
};

/// The letters that an IBAN has in each country.
///
/// Source: ISO 13616-1 and the IBAN registry.
const IBAN_LENGTHS: [(&str, usize); 64] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("TR", 26),
    ("UA", 29),
];

/// The control letters of the Spanish DNI and NIE, by the number's remainder.
const DNI_LETTERS: &str = "TRWAGMYFPDXBNJZSQVHLCKE";

/// First two letters that no National Insurance number has.
const NOT_ISSUED: [&str; 7] = ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"];

/// The payment card number at `place`.
pub(super) fn accept_card(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let written = text.get(place.clone())?;
    // The group behind the last one may be a number of its own.
    let shorter = written.rfind([' ', '-']).and_then(|at| written.get(..at));
    let is_card = |number: &&str| is_card_number(&digits(number));
    let number = [Some(written), shorter].into_iter().flatten().find(is_card)?;
    let range = place.start..place.start + number.len();
    let plain = number.chars().all(|letter| letter.is_ascii_digit());
    let order = plain && ORDER.precede(text, place.start);
    // Bar codes have thirteen digits too.
    let named = digits(number).len() != 13 || CARD.precede(text, place.start);
    (named && !order && is_whole_number(text, &range)).then_some(range)
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|letter| letter.to_digit(10)).collect()
}

fn is_card_number(digits: &[u32]) -> bool {
    is_issued(digits) && has_luhn_digit(digits)
}

/// Whether the last digit is the check digit of the others.
///
/// Source: ISO/IEC 7812-1 annex B, the Luhn formula.
fn has_luhn_digit(digits: &[u32]) -> bool {
    let value = |(place, digit): (usize, &u32)| match place % 2 {
        0 => *digit,
        _ => digit * 2 / 10 + digit * 2 % 10,
    };
    let sum: u32 = digits.iter().rev().enumerate().map(value).sum();
    sum.is_multiple_of(10)
}

/// Whether an issuer of cards has numbers that begin so and are as long.
///
/// Source: ISO/IEC 7812-1; the ranges are those the card schemes publish.
fn is_issued(digits: &[u32]) -> bool {
    let append = |sum: u32, digit: &u32| sum * 10 + digit;
    let prefix = |length: usize| digits.iter().take(length).fold(0, append);
    let (one, two, three, four, six) = (prefix(1), prefix(2), prefix(3), prefix(4), prefix(6));
    let visa = one == 4;
    let mastercard = (51..=55).contains(&two) || (2221..=2720).contains(&four);
    let amex = two == 34 || two == 37;
    let diners = matches!(two, 36 | 38 | 39) || (300..=305).contains(&three) || four == 3095;
    let jcb = (3528..=3589).contains(&four);
    let discover = four == 6011
        || two == 65
        || (644..=649).contains(&three)
        || (622_126..=622_925).contains(&six);
    match digits.len() {
        13 => visa,
        14 => diners,
        15 => amex,
        16 => visa || mastercard || diners || jcb || discover,
        17 | 18 => jcb || discover,
        19 => visa || jcb || discover,
        _ => false,
    }
}

/// The IBAN whose country and check digits are at `place`.
///
/// Source: ISO 13616-1; the check is MOD 97-10 of ISO/IEC 7064.
pub(super) fn accept_iban(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let start = text.get(place.clone())?.to_ascii_uppercase();
    let (_, length) = IBAN_LENGTHS.iter().find(|(country, _)| start.starts_with(*country))?;
    let (number, written) = take_iban(after(text, place.start), *length)?;
    let range = place.start..place.start + written;
    let numeric = digits(&number).len() >= 10;
    (numeric && has_mod_97_digits(&number) && stands_alone(text, &range)).then_some(range)
}

/// The first `length` letters and digits of a text, and the bytes they take with what separates groups of four.
fn take_iban(text: &str, length: usize) -> Option<(String, usize)> {
    let mut number = String::with_capacity(length);
    let mut end = 0;
    for (at, letter) in text.char_indices() {
        if number.len() == length {
            break;
        }
        match letter {
            '0'..='9' | 'A'..='Z' | 'a'..='z' => {
                number.push(letter.to_ascii_uppercase());
                end = at + 1;
            }
            ' ' | '-' | '\u{a0}' if at == end && number.len().is_multiple_of(4) => {}
            _ => return None,
        }
    }
    (number.len() == length).then_some((number, end))
}

fn has_mod_97_digits(number: &str) -> bool {
    let Some((head, tail)) = number.split_at_checked(4) else {
        return false;
    };
    let values = tail.chars().chain(head.chars()).filter_map(|letter| letter.to_digit(36));
    let append = |remainder: u32, value: u32| match value {
        0..=9 => (remainder * 10 + value) % 97,
        _ => (remainder * 100 + value) % 97,
    };
    values.fold(0, append) == 1
}

/// The US social security number at `place`.
///
/// Source: 20 CFR 422.103 and the Social Security Administration's rules on numbers never assigned.
pub(super) fn accept_social_security(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let mut groups = text.get(place.clone())?.split('-');
    let (area, group, serial) = (groups.next()?, groups.next()?, groups.next()?);
    let assigned = !matches!(area, "000" | "666") && !area.starts_with('9');
    let assigned = assigned && group != "00" && serial != "0000";
    (assigned && is_whole_number(text, &place)).then_some(place)
}

/// The UK National Insurance number at `place`; in small letters only where it is called so.
///
/// Source: HMRC National Insurance Manual, NIM39110.
pub(super) fn accept_national_insurance(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let written = text.get(place.clone())?;
    let upper = written.to_ascii_uppercase();
    let mut letters = upper.chars();
    let (first, second) = (letters.next()?, letters.next()?);
    let issued = !"DFIQUV".contains(first)
        && !"DFIOQUV".contains(second)
        && !NOT_ISSUED.iter().any(|prefix| upper.starts_with(*prefix));
    let named = written == upper || NATIONAL_INSURANCE.precede(text, place.start);
    (issued && named && stands_alone(text, &place)).then_some(place)
}

/// The Spanish DNI or NIE at `place`.
///
/// Source: Real Decreto 1553/2005 article 11; a NIE begins with X, Y or Z for 0, 1 or 2.
pub(super) fn accept_dni(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let written = text.get(place.clone())?;
    let (last, letter) = written.char_indices().next_back()?;
    let digit = |letter: char| match letter {
        'X' => Some(0),
        'Y' => Some(1),
        'Z' => Some(2),
        _ => letter.to_digit(10),
    };
    let number = written.get(..last)?.chars().filter_map(digit);
    let number = number.fold(0, |sum: u32, digit| sum * 10 + digit);
    let expected = DNI_LETTERS.chars().nth((number % 23) as usize);
    let proven = expected == Some(letter) && !ORDER.precede(text, place.start);
    (proven && is_whole_number(text, &place)).then_some(place)
}

/// The French social security number at `place`.
///
/// Source: INSEE, the key is 97 less the number modulo 97; 2A counts as 19 and 2B as 18.
pub(super) fn accept_nir(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let written = text.get(place.clone())?.to_ascii_uppercase();
    let written: String = written.chars().filter(char::is_ascii_alphanumeric).collect();
    let written = written.replace("2A", "19").replace("2B", "18");
    let (number, key) = written.split_at_checked(13)?;
    let (number, key): (u64, u64) = (number.parse().ok()?, key.parse().ok()?);
    let proven = 97 - number % 97 == key && !ORDER.precede(text, place.start);
    (proven && is_whole_number(text, &place)).then_some(place)
}

/// The German tax id at `place`, where it is called so.
///
/// Source: the Federal Central Tax Office's rules on the number; the check is MOD 11,10 of ISO/IEC 7064.
pub(super) fn accept_tax_id(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let digits = digits(text.get(place.clone())?);
    let (check, number) = digits.split_last()?;
    let count = |wanted: u32| number.iter().filter(|digit| **digit == wanted).count();
    let counts: Vec<usize> = (0..=9).map(count).filter(|count| *count > 1).collect();
    // Of the first ten digits, one occurs twice or three times and the others at most once.
    let issued = matches!(counts.as_slice(), [2 | 3]);
    let append = |product: u32, digit: &u32| {
        let sum = match (product + digit) % 10 {
            0 => 10,
            sum => sum,
        };
        sum * 2 % 11
    };
    let expected = (11 - number.iter().fold(10, append)) % 10;
    let proven = issued && expected == *check && TAX_ID.precede(text, place.start);
    (proven && is_whole_number(text, &place)).then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_digit_breaks_the_luhn_formula() {
        assert!(has_luhn_digit(&digits("4111111111111111")));
        assert!(!has_luhn_digit(&digits("4111111111111112")));
        assert!(!has_luhn_digit(&digits("4111111111111211")));
    }

    #[test]
    fn a_card_has_the_length_of_its_issuer() {
        let issued = |number: &str| is_issued(&digits(number));
        assert!(issued("378282246310005"));
        assert!(!issued("478282246310005"));
        assert!(issued("2221000000000009"));
        assert!(!issued("2220990000000009"));
        assert!(!issued("9111111111111111"));
    }

    #[test]
    fn groups_of_an_iban_have_four_letters() {
        let taken = Some(("BE68539007547034".to_owned(), 19));
        assert_eq!(take_iban("BE68 5390 0754 7034 x", 16), taken);
        assert_eq!(take_iban("BE6 85390 0754 7034", 16), None);
        assert!(has_mod_97_digits("BE68539007547034"));
        assert!(!has_mod_97_digits("BE68539007547043"));
    }
}
