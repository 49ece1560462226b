//! A folder of rows and what reading says of them.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};
use tempfile::TempDir;
use tunewise_data::{read_file, Body, DataSet, Message, OnBadRow, ReadOptions, Role};

pub const ANSWERED: &str = r#"{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}"#;

pub struct Folder(pub TempDir);

impl Folder {
    pub fn new() -> Folder {
        Folder(tempfile::tempdir().unwrap())
    }

    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A text in which this folder is called `data`.
    pub fn told(&self, text: impl ToString) -> String {
        text.to_string().replace(&self.0.path().display().to_string(), "data")
    }

    /// The message and hint of the error that reading gives.
    pub fn error(&self, bytes: impl AsRef<[u8]>, options: &ReadOptions) -> (String, String) {
        let error = read_file(&self.write("train.jsonl", bytes), options).unwrap_err();
        (self.told(&error), error.hint().unwrap_or_default())
    }
}

pub fn answers() -> ReadOptions {
    ReadOptions { require_answer: true, ..ReadOptions::default() }
}

pub fn skipping() -> ReadOptions {
    ReadOptions { on_bad_row: OnBadRow::Skip, ..answers() }
}

pub fn read(bytes: impl AsRef<[u8]>, options: &ReadOptions) -> DataSet {
    read_file(&Folder::new().write("train.jsonl", bytes), options).unwrap()
}

pub fn body(row: &str, options: &ReadOptions) -> Body {
    read(row, options).rows.remove(0).example.body
}

pub fn chat(messages: Vec<Message>) -> Body {
    Body::Chat { messages, tools: None }
}

pub fn user(text: &str) -> Message {
    Message::new(Role::User, text)
}

pub fn assistant(text: &str) -> Message {
    Message::new(Role::Assistant, text)
}

pub fn system(text: &str) -> Message {
    Message::new(Role::System, text)
}

pub fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// Asserts what a row's error says after `data/train.jsonl:1: `, and its hint.
pub fn refused(row: &str, message: &str, hint: &str) {
    refused_with(row, &answers(), message, hint);
}

pub fn refused_with(row: &str, options: &ReadOptions, message: &str, hint: &str) {
    let found = Folder::new().error(row, options);
    assert_eq!(found, (format!("`data/train.jsonl:1`: {message}"), hint.to_owned()));
}
