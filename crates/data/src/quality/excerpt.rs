//! Texts as reports show them: short, their secrets hidden, with what no one sees made visible.

use super::secrets::{self, SecretKind};

/// Characters of an example at most.
const EXCERPT: usize = 80;
/// Characters of a secret that are shown.
const SHOWN_OF_SECRET: usize = 4;

/// The text with each secret as `⟨kind: abcd…⟩`, of passwords the kind alone: a report is passed on more easily than
/// the data.
pub fn masked(text: &str) -> String {
    let mut shown = String::new();
    let mut at = 0;
    for secret in secrets::find(text) {
        shown.push_str(&text[at..secret.range.start]);
        shown.push_str(&format!("⟨{}⟩", hidden(secret.kind, &text[secret.range.clone()])));
        at = secret.range.end;
    }
    shown.push_str(&text[at..]);
    shown
}

/// Whether a character leaves no mark, or turns the direction of those behind it; line breaks and tabs are such too.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// A secret's kind and its first characters; of a password, the kind alone.
pub(super) fn hidden(kind: SecretKind, secret: &str) -> String {
    if kind == SecretKind::Password {
        return kind.name().to_owned();
    }
    let start: String = secret.chars().take(SHOWN_OF_SECRET).collect();
    format!("{}: {start}…", kind.name())
}

/// The beginning of a text on one line, its secrets hidden.
pub(super) fn excerpt(text: &str) -> String {
    one_line(&masked(text))
}

/// The text around a byte, its secrets hidden.
pub(super) fn around(text: &str, at: usize) -> String {
    let before = text[..at].char_indices().rev().nth(19).map_or(0, |(start, _)| start);
    // A secret that the excerpt would cut is hidden as a whole.
    let cut = secrets::find(text).into_iter().find(|secret| secret.range.contains(&before));
    let before = cut.map_or(before, |secret| secret.range.start);
    let shown: String = masked(&text[before..]).chars().take(EXCERPT / 2).collect();
    // What no one sees is shown by its number.
    shown
        .chars()
        .map(|c| if is_unseen(c) { format!("⟨{:04X}⟩", u32::from(c)) } else { c.to_string() })
        .collect()
}

/// The end of a text on one line, its secrets hidden.
pub(super) fn end_of(text: &str) -> String {
    let text = masked(text.trim_end());
    let start = text.char_indices().rev().nth(EXCERPT / 2).map_or(0, |(start, _)| start);
    text[start..].split_whitespace().collect::<Vec<_>>().join(" ")
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_shown_by_their_kind_and_beginning() {
        let text = "Write to jane.doe@mail.com and the";
        assert_eq!(masked(text), "Write to ⟨e-mail address: jane…⟩ and the");
        assert_eq!(excerpt(text), "Write to ⟨e-mail address: jane…⟩ and the");
        assert_eq!(end_of(text), "Write to ⟨e-mail address: jane…⟩ and the");
    }

    #[test]
    fn a_password_is_shown_by_its_kind_alone() {
        assert_eq!(hidden(SecretKind::Password, "hunter2!"), "password");
        assert_eq!(hidden(SecretKind::Phone, "555"), "telephone number: 555…");
    }

    #[test]
    fn an_excerpt_is_one_line_of_eighty_characters() {
        assert_eq!(excerpt(" a \n b\t"), "a b");
        assert_eq!(excerpt(&"é".repeat(80)), "é".repeat(80));
        assert_eq!(excerpt(&"é".repeat(81)), "é".repeat(80) + " …");
    }

    #[test]
    fn what_no_one_sees_is_shown_by_its_number() {
        assert_eq!(around("ab\u{200b}cd", 2), "ab⟨200B⟩cd");
        let unseen = ['\0', '\n', '\u{ad}', '\u{200e}', '\u{202e}', '\u{2066}', '\u{feff}'];
        assert!(unseen.into_iter().all(is_unseen));
        assert!(!['a', ' ', 'é', '…', '😡'].into_iter().any(is_unseen));
    }
}
