//! Checks of whole sets: small ones written here, and real ones with faults planted at known lines.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod planted;
mod planted_sets;
mod set;

use std::ops::ControlFlow;
use std::path::Path;

use serde_json::Value;
use tunewise_data::quality::{group_of, Inspected, Place, QualityCheck, QualityReport};
use tunewise_data::{DataError, ReadOptions, RowReader};

/// The report on some files of rows, the training split first.
fn report(splits: &[&[String]]) -> QualityReport {
    let folder = tempfile::tempdir().unwrap();
    let mut check = QualityCheck::default();
    for (file, lines) in splits.iter().enumerate() {
        let path = folder.path().join(format!("{file}.jsonl"));
        std::fs::write(&path, lines.join("\n")).unwrap();
        add_file(&mut check, file, &path);
    }
    check.finish()
}

fn add_file(check: &mut QualityCheck, file: usize, path: &Path) {
    let options = ReadOptions { require_answer: true, ..ReadOptions::default() };
    let mut reader = RowReader::open(path, &options).unwrap();
    reader
        .for_each(
            |row| Inspected::of(&row.example, file).in_group(group_of(&row.raw, None)),
            |row| {
                match row {
                    Ok(row) => check.add(row),
                    Err(DataError::Row { line, problem, .. }) => {
                        check.add_bad(Place { file, line }, &problem);
                    }
                    Err(error) => return Err(error),
                }
                Ok(ControlFlow::Continue(()))
            },
        )
        .unwrap();
}

/// A conversation of one question and one answer.
fn chat(question: &str, answer: &str) -> Value {
    serde_json::json!({ "messages": [
        { "role": "user", "content": question },
        { "role": "assistant", "content": answer },
    ]})
}
