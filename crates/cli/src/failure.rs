//! Errors, as users read them.

use std::fmt;
use std::io;

use anyhow::Error;
use serde_json::{json, Value};
use tunewise_data::prepare::PrepareError;
use tunewise_data::DataError;
use tunewise_infer::InferError;
use tunewise_model::ModelError;
use tunewise_train::TrainError;

use crate::exit::Exit;

/// A failure of the command line's own: what is wrong, and what to do about it.
#[derive(Debug)]
pub struct Problem {
    what: String,
    hint: Option<String>,
    exit: Exit,
}

impl Problem {
    /// Wrong input, with what the user can do about it.
    pub fn with_hint(what: impl Into<String>, hint: impl Into<String>) -> Problem {
        Problem { what: what.into(), hint: Some(hint.into()), exit: Exit::WrongInput }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for Problem {}

/// What is said about a failure, and how the program ends on it.
#[derive(Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What, where, what was expected and what was found.
    pub error: String,
    /// What the user can do about it.
    pub hint: Option<String>,
    /// The exit code.
    pub exit: Exit,
}

impl Verdict {
    /// What to say about an error; `None` where the reader of standard output went away, which is no failure.
    pub fn of(error: &Error) -> Option<Verdict> {
        let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
            let kind = cause.downcast_ref::<io::Error>().map(io::Error::kind);
            kind == Some(io::ErrorKind::BrokenPipe)
        };
        if error.chain().any(broken_pipe) {
            return None;
        }
        Some(Verdict {
            error: message(error),
            hint: error.chain().find_map(hint),
            exit: error.chain().find_map(exit).unwrap_or(Exit::WrongInput),
        })
    }

    /// The failure as the JSON object that ends standard output.
    pub fn to_json(&self) -> Value {
        json!({ "error": self.error, "hint": self.hint })
    }
}

/// The messages of the chain, each that says something its wrapper does not say already.
fn message(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let part = cause.to_string();
        text = if text.is_empty() { part } else { joined(&text, &part) };
    }
    text
}

/// A message and its cause as one; a file and a line in it become one place.
fn joined(outer: &str, inner: &str) -> String {
    let file = outer.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    let place = inner.strip_prefix("line ").and_then(|rest| rest.split_once(": "));
    match (file, place) {
        _ if outer.contains(inner) => outer.to_owned(),
        (Some(file), Some((line, what))) => format!("`{file}:{line}`: {what}"),
        (Some(file), None) if inner.starts_with(&format!("`{file}")) => inner.to_owned(),
        _ => format!("{outer}: {inner}"),
    }
}

fn hint(cause: &(dyn std::error::Error + 'static)) -> Option<String> {
    if let Some(error) = cause.downcast_ref::<Problem>() {
        error.hint.clone()
    } else if let Some(error) = cause.downcast_ref::<TrainError>() {
        error.hint()
    } else if let Some(error) = cause.downcast_ref::<InferError>() {
        error.hint()
    } else if let Some(error) = cause.downcast_ref::<ModelError>() {
        error.hint()
    } else if let Some(error) = cause.downcast_ref::<PrepareError>() {
        error.hint()
    } else if let Some(error) = cause.downcast_ref::<DataError>() {
        error.hint()
    } else {
        None
    }
}

fn exit(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(problem) = cause.downcast_ref::<Problem>() {
        return Some(problem.exit);
    }
    let failed = cause.downcast_ref::<TrainError>().is_some_and(TrainError::is_failed_check);
    failed.then_some(Exit::CheckFailed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn a_cause_that_its_wrapper_tells_is_not_told_again() {
        let path = std::path::PathBuf::from("m");
        let source = io::Error::other("disk on fire");
        let error = Error::new(ModelError::Io { path, source }).context("reading the model");
        let verdict = Verdict::of(&error).unwrap();
        assert_eq!(verdict.error, "reading the model: `m`: disk on fire");
        assert_eq!(verdict.exit, Exit::WrongInput);
    }

    #[test]
    fn a_file_and_a_line_become_one_place() {
        assert_eq!(joined("`a.jsonl`", "line 7: too long"), "`a.jsonl:7`: too long");
        assert_eq!(joined("`a.jsonl`", "`a.jsonl:7`: too long"), "`a.jsonl:7`: too long");
        assert_eq!(joined("the prompt", "line 1: too long"), "the prompt: line 1: too long");
    }

    #[test]
    fn the_hint_is_found_anywhere_in_the_chain() {
        let error: Error = Problem::with_hint("no", "yes").into();
        let error = Err::<(), _>(error).context("outer").unwrap_err();
        assert_eq!(Verdict::of(&error).unwrap().hint.as_deref(), Some("yes"));
    }

    #[test]
    fn a_failed_training_check_exits_1() {
        let error: Error = TrainError::SameLogits { rows: 1, steps: 2 }.into();
        assert_eq!(Verdict::of(&error).unwrap().exit, Exit::CheckFailed);
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let error: Error = io::Error::from(io::ErrorKind::BrokenPipe).into();
        assert_eq!(Verdict::of(&error.context("printing")), None);
    }
}
