//! Secrets in the rows, replaced by placeholders that are the same for the same secret in every row.

use std::collections::BTreeSet;
use std::path::PathBuf;

use rayon::prelude::*;
use serde_json::{Map, Value};

use super::error::PrepareError;
use super::pool::{Candidate, LeftOut, Pool, Reason, State};
use crate::error::DataError;
use crate::example::Example;
use crate::format::{ColumnMap, RowFormat};
use crate::problem::RowProblem;
use crate::quality::secrets::{find, Redaction, SecretKind};
use crate::quality::{Inspected, Place};
use crate::read::OnBadRow;
use crate::row::{body, Demand};

impl Pool {
    /// Replaces the secrets in every text of the kept rows, and in what is told of the others.
    ///
    /// A row that is none any more as it would be written is left out, where bad rows are skipped.
    ///
    /// # Errors
    /// Such a row, where they are not.
    pub(super) fn redact(&mut self, on_bad_row: OnBadRow) -> Result<(), PrepareError> {
        let entries = self.entries.par_iter();
        let held = entries
            .map(|entry| entry.kept().is_some_and(|row| row.written.values().any(holds_secret)));
        let held: Vec<bool> = held.collect();
        let mut redaction = Redaction::new();
        for (entry, held) in self.entries.iter_mut().zip(held) {
            let place = entry.place;
            match &mut entry.state {
                State::Kept(row) if held => {
                    row.redact(&mut redaction);
                    match inspected(&row.written, self.format, place) {
                        Ok(again) => row.inspected = again,
                        Err(problem) if on_bad_row == OnBadRow::Skip => {
                            let (reason, detail) = (Reason::of(&problem), problem.to_string());
                            entry.state = State::Out(LeftOut { reason, detail, like: None });
                        }
                        Err(problem) => return Err(bad_row(&self.files, place, problem)),
                    }
                }
                State::Kept(_) => {}
                State::Out(out) => {
                    if let Some(redacted) = redaction.redact(&out.detail) {
                        out.detail = redacted;
                    }
                }
            }
        }
        let counts = redaction.counts().into_iter();
        self.secrets = counts.map(|(kind, count)| (kind.code(), count)).collect();
        Ok(())
    }
}

impl Candidate {
    fn redact(&mut self, redaction: &mut Redaction) {
        let mut kinds = BTreeSet::new();
        for value in self.written.values_mut() {
            redact_value(value, redaction, &mut kinds);
        }
        self.redacted = kinds.into_iter().map(SecretKind::code).collect();
    }
}

fn bad_row(files: &[PathBuf], place: Place, problem: RowProblem) -> PrepareError {
    let path = files.get(place.file).cloned().unwrap_or_default();
    PrepareError::BadRow(DataError::Row { path, line: place.line, problem: Box::new(problem) })
}

/// A written row, looked at again.
fn inspected(
    written: &Map<String, Value>,
    format: RowFormat,
    place: Place,
) -> Result<Inspected, RowProblem> {
    let columns = ColumnMap::default();
    let demand = Demand { columns: &columns, answer: false };
    let body = body(written, format, &demand)?;
    Ok(Inspected::of(&Example { line: place.line, body }, place.file))
}

fn holds_secret(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            !find(text).is_empty() || inner(text).is_some_and(|v| holds_secret(&v))
        }
        Value::Number(number) => !find(&number.to_string()).is_empty(),
        Value::Array(items) => items.iter().any(holds_secret),
        Value::Object(entries) => entries.values().any(holds_secret),
        Value::Null | Value::Bool(_) => false,
    }
}

/// Replaces the secrets in a value's texts, and adds their kinds.
fn redact_value(value: &mut Value, redaction: &mut Redaction, kinds: &mut BTreeSet<SecretKind>) {
    match value {
        Value::String(text) => {
            // JSON in a text stays JSON: a call's arguments are read by programs.
            if let Some(mut value) = inner(text).filter(holds_secret) {
                redact_value(&mut value, redaction, kinds);
                *text = value.to_string();
                return;
            }
            kinds.extend(find(text).iter().map(|secret| secret.kind));
            if let Some(redacted) = redaction.redact(text) {
                *text = redacted;
            }
        }
        Value::Number(number) => {
            let mut text = Value::String(number.to_string());
            if holds_secret(&text) {
                redact_value(&mut text, redaction, kinds);
                *value = text;
            }
        }
        Value::Array(items) => {
            for item in items {
                redact_value(item, redaction, kinds);
            }
        }
        Value::Object(entries) => {
            for entry in entries.values_mut() {
                redact_value(entry, redaction, kinds);
            }
        }
        Value::Null | Value::Bool(_) => {}
    }
}

/// The object or array that a text is the JSON of.
fn inner(text: &str) -> Option<Value> {
    let is_json = text.trim_start().starts_with(['{', '[']);
    let value: Value = is_json.then(|| serde_json::from_str(text).ok()).flatten()?;
    matches!(value, Value::Object(_) | Value::Array(_)).then_some(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_text_of_a_value_is_redacted_and_the_same_secret_alike() {
        let mut value = json!({
            "messages": [{ "content": "I am jane.doe@mail.com" }],
            "tools": { "arguments": "{\"to\": \"jane.doe@mail.com\"}" },
            "id": 7,
        });
        let mut kinds = BTreeSet::new();
        redact_value(&mut value, &mut Redaction::new(), &mut kinds);
        let expected = json!({
            "messages": [{ "content": "I am [EMAIL_1]" }],
            "tools": { "arguments": "{\"to\":\"[EMAIL_1]\"}" },
            "id": 7,
        });
        assert_eq!(value, expected);
        assert_eq!(kinds, BTreeSet::from([SecretKind::Email]));
        assert!(!holds_secret(&value));
    }
}
