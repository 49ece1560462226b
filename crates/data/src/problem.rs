//! What can be wrong with one row, apart from where it stands.

use std::borrow::Cow;

use crate::error::names;
use crate::example::Role;
use crate::format::RowFormat;

/// Why a line cannot become an example; the file and line are told by whoever holds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RowProblem {
    /// A line beyond the bound on memory.
    #[error("the line is longer than {limit} bytes")]
    LineTooLong {
        /// The most a line may have, in bytes.
        limit: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("byte {byte} of the line is 0x{found:02x}, expected UTF-8")]
    NotUtf8 {
        /// Position in the line, counted from 1.
        byte: usize,
        /// The byte there.
        found: u8,
    },
    /// A line that is not JSON.
    #[error("invalid JSON at column {column}: {reason}")]
    NotJson {
        /// Position in the line in bytes, counted from 1.
        column: usize,
        /// The parser's reason.
        reason: String,
        /// Whether the line ended before its value did.
        cut: bool,
    },
    /// A key that an object has twice.
    #[error("{} has the key `{key}` twice, expected it once", place(field))]
    DuplicateKey {
        /// The path of the object; empty for the row itself.
        field: String,
        /// The key.
        key: String,
    },
    /// Arrays or objects nested without end.
    #[error("the row is nested deeper than {limit} levels")]
    TooDeep {
        /// The most levels a row may have.
        limit: usize,
    },
    /// An integer that would lose digits.
    #[error(
        "the number `{found}` is an integer beyond 64 bits, expected one that can be kept exactly"
    )]
    LongInteger {
        /// The number as written.
        found: String,
    },
    /// A row of a table with more or fewer cells than its header.
    #[error("the number of cells is {found}, expected {expected} as in the header")]
    CellCount {
        /// The cells of the row.
        found: usize,
        /// The cells of the header.
        expected: usize,
    },
    /// A row of a table that runs to the end of the file in an open quote.
    #[error("a quoted cell is not closed before the end of the file")]
    OpenQuote,
    /// A line that is JSON but no object.
    #[error("the row is {found}, expected an object")]
    NotAnObject {
        /// The JSON type, with its article.
        found: &'static str,
    },
    /// A row whose keys fit no format.
    #[error("the row has the keys {}, expected those of a row format", names(keys))]
    UnknownFormat {
        /// The row's keys.
        keys: Vec<String>,
    },
    /// A row of another format than the rows before it.
    #[error("the row has the format `{found}`, expected `{expected}` as in the rows before")]
    OtherFormat {
        /// The format of the first good row.
        expected: RowFormat,
        /// The format of this row.
        found: RowFormat,
    },
    /// A key that is not there.
    #[error("`{field}` is missing, expected {expected}")]
    MissingField {
        /// The path of the key.
        field: String,
        /// The JSON type it should have, with its article.
        expected: &'static str,
    },
    /// A value of the wrong JSON type.
    #[error("`{field}` is {found}, expected {expected}")]
    WrongType {
        /// The path of the value.
        field: String,
        /// The JSON type it should have, with its article.
        expected: &'static str,
        /// The JSON type it has, with its article.
        found: &'static str,
    },
    /// A role nobody knows.
    #[error("`{field}` is `{found}`, expected {}", names(expected))]
    UnknownRole {
        /// The path of the role.
        field: String,
        /// The role as written.
        found: String,
        /// The roles that may stand there.
        expected: &'static [&'static str],
    },
    /// A weight that is neither 0 nor 1.
    #[error("`{field}` is `{found}`, expected 0 or 1")]
    Weight {
        /// The path of the weight.
        field: String,
        /// The value as written.
        found: String,
    },
    /// A content part that is no text.
    #[error("`{field}` is `{found}`, expected `text`")]
    ContentPart {
        /// The path of the part's type.
        field: String,
        /// The type as written.
        found: String,
    },
    /// A message without words and without tool calls.
    #[error("`{field}` is null, expected a string where the message has no tool calls")]
    NoContent {
        /// The path of the content.
        field: String,
    },
    /// Tool calls of somebody who is not the assistant.
    #[error("`{field}` belongs to role `{role}`, expected `assistant`")]
    ToolCallRole {
        /// The path of the tool calls.
        field: String,
        /// The message's role.
        role: Role,
    },
    /// A called function that does not parse.
    #[error(
        "`{field}` is no tool call, expected JSON text of an object with a `name` and `arguments`"
    )]
    ToolCallText {
        /// The path of the text.
        field: String,
    },
    /// A list of messages without any.
    #[error("`{field}` is empty, expected at least one message")]
    NoMessages {
        /// The path of the list.
        field: String,
    },
    /// A conversation in which the assistant never speaks.
    #[error("no message has role `assistant`, expected at least one")]
    NoAssistant,
    /// A conversation that ends before its answer.
    #[error("the last message has role `{found}`, expected `assistant`")]
    LastRole {
        /// Who speaks last.
        found: Role,
    },
    /// A side of a preference that ends before its answer.
    #[error("the last message of `{field}` has role `{found}`, expected `assistant`")]
    PreferenceRole {
        /// `chosen` or `rejected`.
        field: &'static str,
        /// Who speaks last.
        found: Role,
    },
}

impl RowProblem {
    /// What the user can do about it.
    pub fn hint(&self) -> String {
        self.advice().into_owned()
    }

    fn advice(&self) -> Cow<'static, str> {
        use RowProblem as P;
        match self {
            P::LineTooLong { .. } => "split the row; a row that long fits no model's context".into(),
            P::NotUtf8 { found: 0xfe | 0xff, byte: 1 } => "the file seems to be UTF-16: save it as UTF-8".into(),
            P::NotUtf8 { .. } => "save the file as UTF-8".into(),
            P::NotJson { cut: true, .. } => {
                "each line holds one whole JSON object: a row must not go on over several lines".into()
            }
            P::NotJson { .. } => "each line holds one JSON object".into(),
            P::DuplicateKey { .. } => "keep one of the two".into(),
            P::TooDeep { .. } => "flatten the row, or write the nested part as a string".into(),
            P::LongInteger { .. } => "put the number in quotes".into(),
            P::CellCount { .. } => "put cells that hold the delimiter or a line break in double quotes".into(),
            P::OpenQuote => "close the quote; a quote inside a quoted cell is written twice".into(),
            P::NotAnObject { found: "an array" } => "write one object per line instead of one array".into(),
            P::NotAnObject { .. } => "each line holds one JSON object".into(),
            P::UnknownFormat { .. } => "write `messages`, `conversations`, `prompt` and `completion`, `instruction` \
                 and `output`, `chosen` and `rejected`, or `text`; or name your columns with `prompt_feature`, \
                 `completion_feature`, `text_feature`"
                .into(),
            P::OtherFormat { .. } => "put rows of one format in one file".into(),
            P::MissingField { field, .. } => missing_hint(field),
            P::WrongType { found: "null", .. } => "write the value, or drop the row".into(),
            P::WrongType { expected: "a string", .. } => "put the value in quotes".into(),
            P::WrongType { found: "a string", .. } => "write the value itself, without quotes around it".into(),
            P::WrongType { .. } => "compare with the other rows of the file".into(),
            P::UnknownRole { found, .. } => role_hint(found),
            P::Weight { .. } => "a message is trained on (1) or not (0); nothing in between".into(),
            P::ContentPart { .. } => "only text can be trained on: drop the row or the part".into(),
            P::NoContent { .. } => "write the text, or drop the row".into(),
            P::ToolCallRole { .. } => "only the assistant calls tools".into(),
            P::ToolCallText { .. } => "write it as `{\"name\": \"…\", \"arguments\": {…}}`".into(),
            P::NoMessages { .. } => "drop the row".into(),
            P::NoAssistant => "add the answer to learn, or drop the row".into(),
            P::LastRole { .. } => "drop the row, or put it in a file for evaluation".into(),
            P::PreferenceRole { .. } => "both sides end in the answer that is compared".into(),
        }
    }
}

/// The object at a path: the row itself where the path is empty.
fn place(field: &str) -> Cow<'static, str> {
    if field.is_empty() {
        "the row".into()
    } else {
        format!("`{field}`").into()
    }
}

fn missing_hint(field: &str) -> Cow<'static, str> {
    match field {
        "prompt" => "name the column with `prompt_feature` if it is called otherwise".into(),
        "completion" => {
            "name the column with `completion_feature` if it is called otherwise".into()
        }
        "text" => "name the column with `text_feature` if it is called otherwise".into(),
        _ => "add it, or drop the row".into(),
    }
}

fn role_hint(found: &str) -> Cow<'static, str> {
    match found {
        "developer" => "write `system`: chat templates know no `developer`".into(),
        "function" => "write `tool`".into(),
        "human" => "write `user`".into(),
        "gpt" | "bot" | "model" | "ai" | "chatgpt" => "write `assistant`".into(),
        _ => match Role::from_name(&found.trim().to_lowercase()) {
            Some(role) => format!("write `{role}`").into(),
            None => "rename the role, or drop the row".into(),
        },
    }
}
