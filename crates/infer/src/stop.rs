//! Why a completion ends, and the strings that end it.

use std::fmt;

use serde::Serialize;

/// Why a completion ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FinishReason {
    /// The model ended it, or a stop string appeared.
    Stop,
    /// It reached the most tokens asked for, or the end of the model's context.
    Length,
}

impl fmt::Display for FinishReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
        })
    }
}

/// The text of a completion up to the first of some strings.
///
/// A piece of text that may be the beginning of such a string is held back until that is decided.
pub struct StopWatch<'a> {
    strings: &'a [String],
    text: String,
    released: usize,
    stopped: bool,
}

impl<'a> StopWatch<'a> {
    /// A watch for any of `strings`; empty ones are ignored.
    pub fn new(strings: &'a [String]) -> StopWatch<'a> {
        StopWatch { strings, text: String::new(), released: 0, stopped: false }
    }

    /// The text that can be shown after one more piece.
    pub fn push(&mut self, piece: &str) -> &str {
        if self.stopped || piece.is_empty() {
            return "";
        }
        let searched = self.text.len();
        self.text.push_str(piece);
        if let Some(begin) = self.first_stop(searched) {
            self.text.truncate(begin);
            self.stopped = true;
        }
        let safe = self.text.len() - self.held_back();
        let from = self.released.min(safe);
        self.released = safe.max(self.released);
        self.text.get(from..safe).unwrap_or_default()
    }

    /// Whether one of the strings appeared.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// The text that was held back and is not part of such a string after all.
    pub fn finish(&mut self) -> &str {
        let from = self.released.min(self.text.len());
        self.released = self.text.len();
        self.text.get(from..).unwrap_or_default()
    }

    /// The whole text, without the string that ended it.
    pub fn into_text(self) -> String {
        self.text
    }

    fn strings(&self) -> impl Iterator<Item = &'a str> {
        let strings = self.strings.iter().map(String::as_str);
        strings.filter(|string| !string.is_empty())
    }

    /// Where the first of the strings begins, given that none ends within the first `searched` bytes.
    fn first_stop(&self, searched: usize) -> Option<usize> {
        let begins = self.strings().filter_map(|string| {
            let mut from = searched.saturating_sub(string.len() - 1);
            while !self.text.is_char_boundary(from) {
                from -= 1;
            }
            let rest = self.text.get(from..)?;
            rest.find(string).map(|begin| from + begin)
        });
        begins.min()
    }

    /// How many bytes at the end may be the beginning of one of the strings.
    fn held_back(&self) -> usize {
        if self.stopped {
            return 0;
        }
        let beginnings = self.strings().flat_map(|string| {
            let ends = string.char_indices().map(|(index, _)| index).skip(1);
            ends.filter_map(|end| string.get(..end))
        });
        let held = beginnings.filter(|beginning| self.text.ends_with(beginning));
        held.map(str::len).max().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(strings: &[&str], pieces: &[&str]) -> (Vec<String>, bool, String) {
        let strings: Vec<String> = strings.iter().map(|s| s.to_string()).collect();
        let mut watch = StopWatch::new(&strings);
        let mut shown: Vec<String> = pieces.iter().map(|p| watch.push(p).to_string()).collect();
        shown.push(watch.finish().to_string());
        (shown, watch.stopped(), watch.into_text())
    }

    #[test]
    fn text_is_cut_before_a_string_that_spans_pieces() {
        let (shown, stopped, text) = run(&["\n\nUser:"], &["Yes.\n", "\nUs", "er: and"]);
        assert_eq!(shown, ["Yes.", "", "", ""]);
        assert!(stopped);
        assert_eq!(text, "Yes.");
    }

    #[test]
    fn a_beginning_that_does_not_go_on_is_shown_later() {
        let (shown, stopped, text) = run(&["END"], &["an E", "N", "d, E"]);
        assert_eq!(shown, ["an ", "", "ENd, ", "E"]);
        assert!(!stopped);
        assert_eq!(text, "an ENd, E");
    }

    #[test]
    fn the_earliest_of_several_strings_counts() {
        let (_, stopped, text) = run(&["c", "bc", ""], &["abcd"]);
        assert!(stopped);
        assert_eq!(text, "a");
        let (shown, _, text) = run(&["é!"], &["caf", "é", "!"]);
        assert_eq!((shown.concat().as_str(), text.as_str()), ("caf", "caf"));
    }
}
