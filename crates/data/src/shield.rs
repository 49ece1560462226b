//! Keeps control tokens in a user's strings apart from those a template writes.
//!
//! The first letter of each literal in a user's string is replaced by a private-use letter that the row does not
//! have. The template then works on strings of the same length, and whatever literal the rendering holds is its own.

use std::collections::BTreeSet;
use std::ops::Range;

use regex::Regex;
use serde_json::{Map, Value};

use crate::template::Rendering;

/// The private-use letters that are not in `used`.
pub(crate) fn private_letters(used: &BTreeSet<char>) -> impl Iterator<Item = char> + '_ {
    ('\u{F000}'..='\u{F8F0}')
        .chain('\u{F0000}'..='\u{FFFF0}')
        .filter(|letter| !used.contains(letter))
}

/// A rendered text that says which control tokens are the template's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MarkedText {
    /// The text as the model sees it.
    pub text: String,
    /// Byte ranges of the template's `generation` blocks.
    pub spans: Vec<Range<usize>>,
    /// Byte ranges of the template's control tokens; `None` where every literal in the text is one.
    pub controls: Option<Vec<Range<usize>>>,
}

/// Which letters stand in for which in one row.
#[derive(Debug)]
pub(crate) struct Shield {
    pairs: Vec<(char, char)>,
    everywhere: Vec<char>,
}

impl Shield {
    /// The shield that the strings of a row need; `None` where they hold no literal and none of `marks`.
    pub(crate) fn for_row(
        row: &[&Value],
        literals: Option<&Regex>,
        marks: Option<[char; 2]>,
    ) -> Option<Shield> {
        let marks: Vec<char> = marks.into_iter().flatten().collect();
        let mut needed = false;
        let mut inspect = |text: &str| {
            needed |= literals.is_some_and(|literals| literals.is_match(text))
                || text.chars().any(|letter| marks.contains(&letter));
        };
        row.iter().for_each(|value| visit(value, &mut inspect));
        if !needed {
            return None;
        }
        let mut used: BTreeSet<char> = marks.iter().copied().collect();
        let mut firsts = BTreeSet::new();
        let mut collect = |text: &str| {
            used.extend(text.chars());
            let starts = literal_starts(literals, text).into_iter();
            firsts.extend(starts.filter_map(|start| text[start..].chars().next()));
        };
        row.iter().for_each(|value| visit(value, &mut collect));
        let originals: BTreeSet<char> = firsts.into_iter().chain(marks.iter().copied()).collect();
        let pairs = originals.into_iter().zip(private_letters(&used)).collect();
        Some(Shield { pairs, everywhere: marks })
    }

    /// `value` with stand-ins for the first letters of the literals in its strings and keys.
    pub(crate) fn cover(&self, value: &Value, literals: Option<&Regex>) -> Value {
        match value {
            Value::String(text) => Value::String(self.cover_text(text, literals)),
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.cover(item, literals)).collect())
            }
            Value::Object(entries) => {
                let cover = |(key, item): (&String, &Value)| {
                    (self.cover_text(key, literals), self.cover(item, literals))
                };
                Value::Object(entries.iter().map(cover).collect::<Map<_, _>>())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
        }
    }

    fn cover_text(&self, text: &str, literals: Option<&Regex>) -> String {
        let starts = literal_starts(literals, text);
        let mut out = String::with_capacity(text.len() + 3 * starts.len());
        for (at, letter) in text.char_indices() {
            let hide = self.everywhere.contains(&letter) || starts.binary_search(&at).is_ok();
            let pair = self.pairs.iter().find(|(original, _)| hide && *original == letter);
            out.push(pair.map_or(letter, |(_, stand_in)| *stand_in));
        }
        out
    }

    /// The rendering with the user's letters back in place; `controls` are byte ranges in it as given.
    pub(crate) fn uncover(&self, rendering: Rendering, controls: Vec<Range<usize>>) -> MarkedText {
        let mut text = String::with_capacity(rendering.text.len());
        // Bytes by which the text has shrunk (stand-ins are longer than ASCII) up to each stand-in.
        let mut moved: Vec<(usize, isize)> = vec![(0, 0)];
        let mut shift = 0isize;
        for (at, letter) in rendering.text.char_indices() {
            match self.pairs.iter().find(|(_, stand_in)| *stand_in == letter) {
                Some((original, _)) => {
                    text.push(*original);
                    shift += original.len_utf8() as isize - letter.len_utf8() as isize;
                    moved.push((at + letter.len_utf8(), shift));
                }
                None => text.push(letter),
            }
        }
        let place = |at: usize| {
            let index = moved.partition_point(|(from, _)| *from <= at).saturating_sub(1);
            at.saturating_add_signed(moved.get(index).map_or(0, |(_, shift)| *shift))
        };
        let place_range = |range: Range<usize>| place(range.start)..place(range.end);
        MarkedText {
            text,
            spans: rendering.spans.into_iter().map(place_range).collect(),
            controls: Some(controls.into_iter().map(place_range).collect()),
        }
    }
}

/// The first literal in a text that reads as a mark; `None` where there is none.
///
/// Some models have control tokens that read as words or white space: those say nothing of where a text comes from.
pub(crate) fn control_text<'t>(literals: Option<&Regex>, text: &'t str) -> Option<&'t str> {
    let is_mark = |found: &&str| found.chars().count() >= 3 && found.contains(['<', '[', '|']);
    literals?.find_iter(text).map(|found| found.as_str()).find(is_mark)
}

/// Byte positions where a literal starts, overlapping ones included, in order.
fn literal_starts(literals: Option<&Regex>, text: &str) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut from = 0;
    while let Some(found) = literals.and_then(|literals| literals.find_at(text, from)) {
        starts.push(found.start());
        from = found.start() + text[found.start()..].chars().next().map_or(1, char::len_utf8);
    }
    starts
}

fn visit(value: &Value, inspect: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => inspect(text),
        Value::Array(items) => items.iter().for_each(|item| visit(item, inspect)),
        Value::Object(entries) => {
            for (key, item) in entries {
                inspect(key);
                visit(item, inspect);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn covered_strings_hold_no_literal_and_come_back_whole() {
        let literals = Regex::new("<a>>|<a>|a>").unwrap();
        let row = json!({"x": ["é<a>> \u{F000}", {"a>": 1}]});
        let shield = Shield::for_row(&[&row], Some(&literals), None).unwrap();
        let covered = shield.cover(&row, Some(&literals)).to_string();
        assert!(!literals.is_match(&covered));
        let length = covered.len();
        let rendering = Rendering { text: covered, spans: vec![0..length, 1..2] };
        let marked = shield.uncover(rendering, vec![0..1, length - 1..length]);
        assert_eq!(marked.text, row.to_string());
        let end = marked.text.len();
        assert_eq!(
            (marked.spans, marked.controls),
            (vec![0..end, 1..2], Some(vec![0..1, end - 1..end]))
        );
    }

    #[test]
    fn a_literal_that_reads_as_words_is_no_mark() {
        let literals = Regex::new(r"<\|end\|>|\[/INST\]|<s|\n|user").unwrap();
        let found = |text| control_text(Some(&literals), text);
        assert_eq!(found("user\n<s> [/INST] <|end|>"), Some("[/INST]"));
        assert_eq!(found("a user <s>\n"), None);
        assert_eq!(control_text(None, "<|end|>"), None);
    }

    #[test]
    fn a_row_without_literals_needs_no_shield() {
        let literals = Regex::new("<a>").unwrap();
        assert!(Shield::for_row(&[&json!("<b>")], Some(&literals), None).is_none());
        assert!(
            Shield::for_row(&[&json!("\u{F000}")], None, Some(['\u{F000}', '\u{F001}'])).is_some()
        );
    }
}
