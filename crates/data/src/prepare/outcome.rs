//! The text of the splits and of the ledger.

use serde_json::{json, Value};

use super::pool::{Pool, State};
use super::SPLIT_FILES;
use crate::quality::Place;

/// The text of all files.
pub(super) struct Texts {
    /// The name and the text of each split that has rows.
    pub(super) splits: Vec<(&'static str, String)>,
    /// The text of the ledger.
    pub(super) ledger: String,
}

/// A split while it is written.
#[derive(Default)]
struct Split {
    text: String,
    lines: usize,
}

impl Split {
    /// Adds a row and returns its line, counted from 1.
    fn add(&mut self, row: &Value) -> usize {
        push_line(&mut self.text, row);
        self.lines += 1;
        self.lines
    }
}

impl Texts {
    /// The rows of a pool, each in its split and all in the ledger, in the order of the input.
    pub(super) fn of(pool: Pool) -> Texts {
        let files: Vec<String> = pool.files.iter().map(|file| file.display().to_string()).collect();
        let name = |place: Place| files.get(place.file).map_or("", String::as_str);
        let mut splits: [Split; SPLIT_FILES.len()] = Default::default();
        let mut ledger = String::new();
        for entry in pool.entries {
            let (file, line) = (name(entry.place), entry.place.line);
            let told = match entry.state {
                State::Kept(row) => {
                    let (to, side) = (SPLIT_FILES[row.side], row.side);
                    let at = splits[side].add(&Value::Object(row.written));
                    let mut told =
                        json!({ "file": file, "line": line, "kept": true, "to": to, "at": at });
                    if !row.redacted.is_empty() {
                        told["redacted"] = json!(row.redacted);
                    }
                    told
                }
                State::Out(out) => {
                    let mut told = json!({
                        "file": file,
                        "line": line,
                        "kept": false,
                        "reason": out.reason.name(),
                        "detail": out.detail,
                    });
                    if let Some(like) = out.like {
                        told["like"] = json!({ "file": name(like), "line": like.line });
                    }
                    told
                }
            };
            push_line(&mut ledger, &told);
        }
        let splits = SPLIT_FILES.into_iter().zip(splits).filter(|(_, split)| split.lines > 0);
        Texts { splits: splits.map(|(name, split)| (name, split.text)).collect(), ledger }
    }
}

fn push_line(text: &mut String, value: &Value) {
    text.push_str(&value.to_string());
    text.push('\n');
}
