//! Where in a row a value stands.

use std::fmt;

/// The way from the row to one of its values; written out (`messages[1].content`) only when an error needs it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Field<'a> {
    /// The row itself.
    Row,
    /// A key of the object before it.
    Key(&'a Field<'a>, &'a str),
    /// An item, counted from 0, of the array before it.
    Item(&'a Field<'a>, usize),
}

impl<'a> Field<'a> {
    /// The field of that key in this object.
    pub(crate) fn key(&'a self, key: &'a str) -> Field<'a> {
        Field::Key(self, key)
    }

    /// The field of that item of this array.
    pub(crate) fn item(&'a self, index: usize) -> Field<'a> {
        Field::Item(self, index)
    }
}

impl fmt::Display for Field<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Field::Row => Ok(()),
            Field::Key(Field::Row, key) => f.write_str(&excerpt(key)),
            Field::Key(before, key) => write!(f, "{before}.{}", excerpt(key)),
            Field::Item(before, index) => write!(f, "{before}[{index}]"),
        }
    }
}

/// The text as a message may show it: at most 60 characters, none of them a control character.
pub(crate) fn excerpt(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c })
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_written_as_a_path() {
        let messages = Field::Row.key("messages");
        let second = messages.item(1);
        assert_eq!(second.key("content").to_string(), "messages[1].content");
        assert_eq!(Field::Row.to_string(), "");
    }

    #[test]
    fn an_excerpt_is_short_and_cannot_steer_a_terminal() {
        assert_eq!(excerpt("a\u{1b}[2Jb"), "a\u{fffd}[2Jb");
        assert_eq!(excerpt(&"é".repeat(61)), format!("{}…", "é".repeat(60)));
        assert_eq!(excerpt(&"é".repeat(60)), "é".repeat(60));
    }
}
