//! Questions of the training rows that stand in another split too, in files that were written.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_128;

use super::SPLIT_FILES;
use crate::error::DataError;
use crate::quality::near::normalized;
use crate::quality::Inspected;
use crate::read::{ReadOptions, Row};
use crate::reader::RowReader;

/// A question that stands in the training rows and in another split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leak {
    /// The file of the other split.
    pub file: PathBuf,
    /// The line there, counted from 1.
    pub line: usize,
    /// The file of the training rows.
    pub train_file: PathBuf,
    /// The line there, counted from 1.
    pub train_line: usize,
}

/// The first row of a folder's other splits whose question is, but for case, spaces and punctuation, one of its
/// training rows; `None` where there is none.
///
/// # Errors
/// A split that cannot be read.
pub fn find_leak(folder: &Path) -> Result<Option<Leak>, DataError> {
    let [train, others @ ..] = SPLIT_FILES.map(|name| folder.join(name));
    let mut trained: HashMap<u128, usize> = HashMap::new();
    for (line, question) in questions(&train)? {
        trained.entry(question).or_insert(line);
    }
    for file in others {
        let rows = questions(&file)?;
        let found = rows.iter().find_map(|(line, question)| {
            trained.get(question).map(|train_line| (*line, *train_line))
        });
        if let Some((line, train_line)) = found {
            return Ok(Some(Leak { file, line, train_file: train, train_line }));
        }
    }
    Ok(None)
}

/// The line of each row and a hash of what it asks; none where there is no such file.
fn questions(path: &Path) -> Result<Vec<(usize, u128)>, DataError> {
    let mut questions = Vec::new();
    if !path.is_file() {
        return Ok(questions);
    }
    let question = |row: Row| {
        let inspected = Inspected::of(&row.example, 0);
        (row.example.line, xxh3_128(normalized(inspected.asked()).as_bytes()))
    };
    let mut reader = RowReader::open(path, &ReadOptions::default())?;
    reader.for_each(question, |row| -> Result<ControlFlow<()>, DataError> {
        questions.push(row?);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(questions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(question: &str) -> String {
        format!("{{\"prompt\": \"{question}\", \"completion\": \"yes\"}}\n")
    }

    #[test]
    fn a_question_in_two_splits_is_found_whatever_its_case_and_punctuation() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, rows: &[&str]| {
            let text: String = rows.iter().map(|question| row(question)).collect();
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        write("train.jsonl", &["where?", "Is it open?"]);
        write("valid.jsonl", &["when?"]);
        assert_eq!(find_leak(folder.path()).unwrap(), None);
        write("test.jsonl", &["why?", "is it OPEN"]);
        let leak = find_leak(folder.path()).unwrap().unwrap();
        assert_eq!((leak.line, leak.train_line), (2, 2));
        assert_eq!(leak.file, folder.path().join("test.jsonl"));
    }
}
