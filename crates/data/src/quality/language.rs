//! The languages that rows are written in, and the rows in another one than most.
//!
//! A language is told only where the text is long and the guess sure, so that a finding is seldom a wrong guess.

use std::cmp::Reverse;
use std::collections::HashMap;

use whatlang::Lang;

use super::excerpt::excerpt;
use super::finding::{Code, Found};
use super::set::{Findings, Kept};

/// Bytes of an answer beyond which it has a language of its own; a shorter one may be a label.
const REPLY_BYTES: usize = 60;
/// Letters from which a text has a language, and letters of it that are looked at.
const FEWEST_LETTERS: usize = 80;
const MOST_LETTERS: usize = 400;
/// Bytes below which a text cannot have as many letters, as [`letters`] counts them.
const FEWEST_BYTES: usize = 60;
/// Letters that a sign of a script with thousands of signs is worth, and the first such sign.
const LETTERS_OF_SIGN: usize = 4;
const FIRST_SIGN: char = '\u{2e80}';
/// Words that are common in English and rare elsewhere; one word in seven and more makes a text English.
const ENGLISH: [&str; 26] = [
    "the", "and", "you", "your", "with", "that", "this", "are", "it", "will", "can", "from", "our",
    "not", "my", "what", "how", "of", "to", "there", "would", "they", "their", "was", "were",
    "have",
];
const ENGLISH_ONE_IN: usize = 7;
/// Languages too close to be told apart surely.
const KIN: [(Lang, Lang); 4] = [
    (Lang::Dan, Lang::Nob),
    (Lang::Ces, Lang::Slk),
    (Lang::Nld, Lang::Afr),
    (Lang::Ind, Lang::Jav),
];

/// The languages of the training rows.
pub(super) struct Languages {
    /// With their rows, most first.
    counts: Vec<(Lang, usize)>,
    /// Whether the questions were looked at, as answers are labels.
    of_questions: bool,
}

impl Languages {
    /// The languages of the replies, or of the questions where the answers are labels.
    pub(super) fn of(rows: &[Kept], are_labels: bool) -> Languages {
        let mut languages = Languages { counts: Vec::new(), of_questions: are_labels };
        let mut counts: HashMap<Lang, usize> = HashMap::new();
        for row in rows.iter().filter(|row| row.is_training()) {
            if let Some(language) = languages.of_row(row) {
                *counts.entry(language).or_default() += 1;
            }
        }
        languages.counts = counts.into_iter().collect();
        languages.counts.sort_by_key(|(language, count)| (Reverse(*count), language.eng_name()));
        languages
    }

    /// The language of a row, where it was told by the same of its texts as that of the others.
    fn of_row(&self, row: &Kept) -> Option<Lang> {
        let is_of_question = row.answer.len() <= REPLY_BYTES;
        row.language.filter(|_| is_of_question == self.of_questions)
    }

    /// The language of half of the rows at least, of those that have one.
    pub(super) fn main(&self) -> Option<Lang> {
        let all: usize = self.counts.iter().map(|(_, count)| count).sum();
        let (language, count) = self.counts.first()?;
        (2 * count >= all).then_some(*language)
    }

    /// Whether a row is in the main language or one close to it; `None` where either is not known.
    pub(super) fn is_main(&self, row: &Kept) -> Option<bool> {
        let (main, language) = (self.main()?, self.of_row(row)?);
        let is_kin = |pair: &(Lang, Lang)| *pair == (main, language) || *pair == (language, main);
        Some(main == language || KIN.iter().any(is_kin))
    }

    /// The English names and the rows of the languages, most rows first.
    pub(super) fn named(&self) -> Vec<(String, usize)> {
        let named = |(language, count): &(Lang, usize)| (language.eng_name().to_owned(), *count);
        self.counts.iter().map(named).collect()
    }

    /// Adds the training rows in another language than the main one.
    pub(super) fn compare(&self, rows: &[Kept], findings: &mut Findings) {
        for row in rows.iter().filter(|row| row.is_training()) {
            let (Some(false), Some(language)) = (self.is_main(row), self.of_row(row)) else {
                continue;
            };
            let found = Found { place: row.place, other: None, score: None };
            findings.add(Code::OtherLanguage, row.number, found, || {
                let text = judged(&row.question, &row.answer);
                format!("`{}`: `{}`", language.eng_name(), excerpt(text))
            });
        }
    }
}

/// The language of a row's reply, or of its question where the reply is as short as a label; `None` where it is not
/// sure.
pub(super) fn of_row(question: &str, answer: &str) -> Option<Lang> {
    of_text(judged(question, answer))
}

/// The text that tells a row's language.
fn judged<'a>(question: &'a str, answer: &'a str) -> &'a str {
    if answer.len() > REPLY_BYTES {
        answer
    } else {
        question
    }
}

fn of_text(text: &str) -> Option<Lang> {
    if text.len() < FEWEST_BYTES {
        return None;
    }
    let words = prose(text);
    if words.iter().map(|word| letters(word)).sum::<usize>() < FEWEST_LETTERS {
        return None;
    }
    // Comparing a text with the profiles of all languages takes a tenth of a millisecond.
    let is_english = |word: &&&str| ENGLISH.iter().any(|known| known.eq_ignore_ascii_case(word));
    if words.iter().filter(is_english).count() * ENGLISH_ONE_IN >= words.len() {
        return Some(Lang::Eng);
    }
    let guess = whatlang::detect(&words.join(" "))?;
    (guess.confidence() >= 1.0).then(|| guess.lang())
}

/// The first words of a text, without code, addresses, numbers and names of things.
fn prose(text: &str) -> Vec<&str> {
    let outside_blocks = text.split("```").step_by(2);
    let outside_code = outside_blocks.flat_map(|part| part.split('`').step_by(2));
    let mut words = Vec::new();
    let mut found = 0;
    for word in outside_code.flat_map(str::split_whitespace).map(bare) {
        if is_prose(word) {
            found += letters(word);
            words.push(word);
        }
        if found >= MOST_LETTERS {
            break;
        }
    }
    words
}

/// A word without the marks around it.
fn bare(word: &str) -> &str {
    word.trim_matches(|c: char| "'\".,;:!?()*…".contains(c))
}

fn is_prose(word: &str) -> bool {
    let fits = |c: char| !c.is_ascii() || c.is_ascii_alphabetic() || "'-,;!?".contains(c);
    !word.is_empty() && word.chars().all(fits)
}

/// How many letters a word has, where a sign of Chinese, Japanese or Korean counts as several.
fn letters(word: &str) -> usize {
    let letters = word.chars().filter(|c| c.is_alphabetic());
    letters.map(|c| if c >= FIRST_SIGN { LETTERS_OF_SIGN } else { 1 }).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUTCH: &str =
        "Dank u voor uw bericht. Uw bestelling is gisteren verzonden en wordt morgen bij u thuis \
        bezorgd. Laat het ons weten als u nog vragen heeft.";

    #[test]
    fn the_language_of_a_long_text_is_told() {
        for (text, expected) in [
            (DUTCH, Lang::Nld),
            (
                "Thank you for your message. Your order was sent yesterday and will arrive tomorrow. Please \
                 write to us if you have questions.",
                Lang::Eng,
            ),
            (
                "Vielen Dank für Ihre Nachricht. Ihre Bestellung wurde gestern verschickt und kommt morgen \
                 bei Ihnen an.",
                Lang::Deu,
            ),
            (
                "Merci pour votre message. Votre commande a été expédiée hier et arrivera demain chez vous. \
                 N'hésitez pas à nous écrire.",
                Lang::Fra,
            ),
            ("您好，您的订单已经发货，预计明天送达。如有其他问题请随时联系我们。", Lang::Cmn),
        ] {
            assert_eq!(of_text(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn short_texts_codes_and_names_have_no_language() {
        for text in [
            "Dank u voor uw bericht. Uw bestelling is gisteren verzonden.",
            "Order AX-4471 ships Monday via DHL Express. Samsung Galaxy Buds Pro replacement approved, refund \
             pending. Contact Kowalski or Nguyen, Düsseldorf office.",
            "```\nlet orders = customers.iter().map(|customer| customer.orders()).flatten().collect();\n``` \
             `while not done wait for the next event and handle it before the others`",
            "https://example.com/a/very/long/path/to/something/that/has/many/letters/but/is/no/text/at/all",
        ] {
            assert_eq!(of_text(text), None, "{text}");
        }
    }

    #[test]
    fn languages_too_close_to_be_told_apart_are_not_guessed() {
        let danish = "Tak for din besked. Din ordre blev sendt i går og kommer i morgen. Skriv til os, hvis du har \
            flere spørgsmål om leveringen.";
        assert_eq!(of_text(danish), None);
    }

    #[test]
    fn a_short_answer_leaves_the_language_to_the_question() {
        assert_eq!(of_row(DUTCH, "refund"), Some(Lang::Nld));
        assert_eq!(of_row("Where is my parcel?", DUTCH), Some(Lang::Nld));
        assert_eq!(of_row("Where is my parcel?", "refund"), None);
    }

    #[test]
    fn words_of_prose_are_kept_alone() {
        let text = "Open `a b` the (file) at https://a.b, 3 times:\n```\nx y\n``` it's well-known!";
        assert_eq!(prose(text), ["Open", "the", "file", "at", "times", "it's", "well-known"]);
        assert_eq!((letters("it's"), letters("订单")), (3, 8));
    }
}
