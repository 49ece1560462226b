//! Files of rows, read line by line into checked examples.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::DataError;
use crate::example::Example;
use crate::format::{ColumnMap, RowFormat};
use crate::reader::RowReader;

/// What a bad row does to the file it stands in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnBadRow {
    /// It is an error.
    #[default]
    Fail,
    /// It is told in [`DataSet::bad_rows`] and passed over.
    Skip,
}

/// How a file is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadOptions {
    /// The format of the rows; `None` lets the first good row tell.
    pub format: Option<RowFormat>,
    /// Columns that are called otherwise; a mapping settles the format where `format` does not.
    pub columns: ColumnMap,
    /// What a bad row does.
    pub on_bad_row: OnBadRow,
    /// Whether a row must end in an answer, as training and evaluation need it and generation does not.
    pub require_answer: bool,
}

/// A row as it was written and as it is understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The object, its keys in the file's order.
    pub raw: Map<String, Value>,
    /// What it means.
    pub example: Example,
}

/// A row that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// Its physical line, counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
    /// What the user can do about it.
    pub hint: String,
}

/// The rows of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct DataSet {
    /// The file.
    pub path: PathBuf,
    /// The format of its rows.
    pub format: RowFormat,
    /// The good rows, in order; never empty.
    pub rows: Vec<Row>,
    /// Lines that are not blank, good and bad.
    pub rows_read: usize,
    /// The bad rows, in order; empty unless they are skipped.
    pub bad_rows: Vec<BadRow>,
    /// The SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
}

/// The rows of a `.jsonl` or `.jsonl.gz` file.
///
/// # Errors
/// A file that is not there, cannot be read, is damaged, or has no good row; and, unless bad rows are skipped,
/// the first bad row with its line.
pub fn read_file(path: &Path, options: &ReadOptions) -> Result<DataSet, DataError> {
    let mut reader = RowReader::open(path, options)?;
    let mut rows = Vec::new();
    let mut bad_rows = Vec::new();
    reader.for_each(
        |row| row,
        |row| {
            match row {
                Ok(row) => rows.push(row),
                Err(error) => bad_rows.push(BadRow::skipped(error, options.on_bad_row)?),
            }
            Ok::<_, DataError>(ControlFlow::Continue(()))
        },
    )?;
    let rows_read = reader.rows_read();
    let (format, sha256) = reader.finish(bad_rows.len())?;
    Ok(DataSet { path: path.to_owned(), format, rows, rows_read, bad_rows, sha256 })
}

impl BadRow {
    /// The row that a [`DataError::Row`] tells of, where bad rows are skipped.
    ///
    /// # Errors
    /// The error itself, where they are not or it is another one.
    pub(crate) fn skipped(error: DataError, on_bad_row: OnBadRow) -> Result<BadRow, DataError> {
        match error {
            DataError::Row { line, problem, .. } if on_bad_row == OnBadRow::Skip => {
                Ok(BadRow { line, message: problem.to_string(), hint: problem.hint() })
            }
            error => Err(error),
        }
    }
}
