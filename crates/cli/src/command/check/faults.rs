//! Rows that fail: the first of them, and how many there are.

use serde_json::{json, Value};
use tunewise_data::BadRow;

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

#[cfg(test)]
mod tests {
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
}
