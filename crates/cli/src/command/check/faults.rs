//! Rows that fail: the first of them, how many there are, and the findings that they are.

use serde_json::{json, Value};
use tunewise_data::quality::Code;
use tunewise_data::{BadRow, DataError, RenderProblem};

use crate::number::{counted, grouped};

/// Rows that are kept to be told; further ones are counted, so that a file of nothing else fits in memory.
const MOST_KEPT: usize = 1000;

/// What is wrong with a row, by what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// It cannot be read.
    Unreadable,
    /// It is beyond the length limit.
    TooLong,
    /// It cannot be rendered, or nothing in it is trained on.
    Untrainable,
}

/// A row that would fail.
pub struct Fault {
    /// Where and why.
    pub row: BadRow,
    /// What would help.
    pub kind: FaultKind,
}

/// The rows of a file that would fail.
#[derive(Default)]
pub struct Faults {
    first: Vec<BadRow>,
    count: usize,
    kinds: Vec<FaultKind>,
}

impl Faults {
    /// Adds the next row.
    pub fn add(&mut self, fault: Fault) {
        self.count += 1;
        if !self.kinds.contains(&fault.kind) {
            self.kinds.push(fault.kind);
        }
        if self.first.len() < MOST_KEPT {
            self.first.push(fault.row);
        }
    }

    /// The first rows, by line.
    pub fn first(&self) -> &[BadRow] {
        &self.first
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether one is of that kind.
    pub fn has(&self, kind: FaultKind) -> bool {
        self.kinds.contains(&kind)
    }

    /// The first rows for programs.
    pub fn to_json(&self) -> Value {
        let row =
            |row: &BadRow| json!({ "line": row.line, "message": row.message, "hint": row.hint });
        self.first.iter().map(row).collect()
    }
}

/// The row that an error tells of; `None` where it is about more than a row.
pub fn bad_row(error: &DataError) -> Option<BadRow> {
    let (line, message) = match error {
        DataError::Row { line, problem, .. } => (*line, problem.to_string()),
        DataError::Render { line, problem, .. } => (*line, problem.to_string()),
        _ => return None,
    };
    Some(BadRow { line, message, hint: error.hint().unwrap_or_default() })
}

/// The finding that a failure to tokenize a row is, with what it looks like.
pub fn note(error: &DataError) -> (Code, String) {
    let DataError::Render { problem, .. } = error else {
        return (Code::Unrenderable, error.to_string());
    };
    match &**problem {
        RenderProblem::TooLong { tokens, max_length } => {
            (Code::OverLength, beyond(*tokens, *max_length))
        }
        RenderProblem::FarTooLong { bytes, max_length } => {
            let limit = counted(*max_length, "token");
            (Code::OverLength, format!("{} bytes of text, the limit is {limit}", grouped(*bytes)))
        }
        RenderProblem::NothingSupervised(why) => (Code::NothingSupervised, why.to_string()),
        other => (Code::Unrenderable, other.to_string()),
    }
}

/// How long a row beyond the limit is.
pub fn beyond(tokens: usize, max_length: usize) -> String {
    format!("{}, the limit is {}", counted(tokens, "token"), grouped(max_length))
}

#[cfg(test)]
mod tests {
    use tunewise_data::NothingSupervised;

    use super::*;

    #[test]
    fn the_first_rows_are_kept_and_all_are_counted() {
        let mut faults = Faults::default();
        for line in 1..=MOST_KEPT + 5 {
            let row = BadRow { line, message: String::new(), hint: String::new() };
            faults.add(Fault { row, kind: FaultKind::TooLong });
        }
        assert_eq!((faults.count(), faults.first().len()), (MOST_KEPT + 5, MOST_KEPT));
        assert_eq!(faults.first().last().map(|row| row.line), Some(MOST_KEPT));
        assert!(faults.has(FaultKind::TooLong) && !faults.has(FaultKind::Unreadable));
    }

    #[test]
    fn a_failure_to_tokenize_is_a_finding() {
        let note = |problem: RenderProblem| {
            let problem = Box::new(problem);
            note(&DataError::Render { path: None, line: 1, problem })
        };
        let why = NothingSupervised::Truncated { first: 511, max_length: 256 };
        let message = "Roles must alternate.".to_owned();
        for (problem, code, example) in [
            (
                RenderProblem::TooLong { tokens: 1204, max_length: 512 },
                Code::OverLength,
                "1,204 tokens, the limit is 512",
            ),
            (
                RenderProblem::FarTooLong { bytes: 5_000_000, max_length: 2048 },
                Code::OverLength,
                "5,000,000 bytes of text, the limit is 2,048 tokens",
            ),
            (
                RenderProblem::NothingSupervised(why),
                Code::NothingSupervised,
                "the first supervised token is number 512, cut off by `max_length` 256",
            ),
            (
                RenderProblem::Rejected { message },
                Code::Unrenderable,
                "the chat template rejects the row: Roles must alternate.",
            ),
        ] {
            assert_eq!(note(problem), (code, example.to_owned()));
        }
    }
}
