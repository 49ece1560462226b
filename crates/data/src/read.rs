//! Files of rows, read line by line into checked examples.

use std::io;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use crate::error::DataError;
use crate::example::Example;
use crate::field::excerpt;
use crate::format::{ColumnMap, RowFormat};
use crate::json::parse_object;
use crate::line::{Lines, MAX_LINE_BYTES};
use crate::problem::RowProblem;
use crate::row::{body, Demand};
use crate::source::Source;
use crate::splits::{is_folder, unreadable};

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
    for row in reader.by_ref() {
        match row {
            Ok(row) => rows.push(row),
            Err(DataError::Row { line, problem, .. }) if options.on_bad_row == OnBadRow::Skip => {
                bad_rows.push(BadRow { line, message: problem.to_string(), hint: problem.hint() });
            }
            Err(error) => return Err(error),
        }
    }
    let (rows_read, format) = (reader.rows_read(), reader.format());
    let sha256 = reader.into_sha256()?;
    match format {
        Some(format) if !rows.is_empty() => {
            Ok(DataSet { path: path.to_owned(), format, rows, rows_read, bad_rows, sha256 })
        }
        _ => Err(DataError::NoRows { path: path.to_owned(), skipped: bad_rows.len() }),
    }
}

/// The rows of a file one after another, with no more than a line in memory.
///
/// A bad row is a [`DataError::Row`], after which the next row can be read; any other error ends the rows.
pub struct RowReader {
    path: PathBuf,
    lines: Lines<Source>,
    options: ReadOptions,
    settled: Option<RowFormat>,
    detected: Option<RowFormat>,
    rows_read: usize,
    ended: bool,
}

impl RowReader {
    /// The reader at the beginning of the file.
    ///
    /// # Errors
    /// A file that is not there or cannot be read, a folder, a column mapping that contradicts the format.
    pub fn open(path: &Path, options: &ReadOptions) -> Result<RowReader, DataError> {
        let settled = options.columns.settle(options.format)?;
        if is_folder(path)? {
            return Err(DataError::IsFolder { path: path.to_owned() });
        }
        let source = Source::open(path).map_err(|source| unreadable(path, source))?;
        Ok(RowReader {
            path: path.to_owned(),
            lines: Lines::new(source, MAX_LINE_BYTES),
            options: options.clone(),
            settled,
            detected: None,
            rows_read: 0,
            ended: false,
        })
    }

    /// The format of the rows; `None` before the first good one, where nothing else settled it.
    pub fn format(&self) -> Option<RowFormat> {
        self.settled.or(self.detected)
    }

    /// Lines so far that are not blank.
    pub fn rows_read(&self) -> usize {
        self.rows_read
    }

    /// The SHA-256 of the file's bytes, in hexadecimal; reads what has not been read yet.
    ///
    /// # Errors
    /// A file that cannot be read on.
    pub fn into_sha256(self) -> Result<String, DataError> {
        let path = self.path;
        self.lines.into_reader().into_sha256().map_err(|source| unreadable(&path, source))
    }

    fn next_row(&mut self) -> Result<Option<Row>, DataError> {
        let complete = self.lines.number();
        let (line, text) = match self.lines.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => return Ok(None),
            Err(source) => return Err(broken(&self.path, complete, source)),
        };
        self.rows_read += 1;
        let known = Known {
            settled: self.settled,
            detected: self.detected,
            demand: Demand { columns: &self.options.columns, answer: self.options.require_answer },
        };
        match text.and_then(|text| known.row(line, text)) {
            Ok((format, row)) => {
                self.detected.get_or_insert(format);
                Ok(Some(row))
            }
            Err(problem) => {
                Err(DataError::Row { path: self.path.clone(), line, problem: Box::new(problem) })
            }
        }
    }
}

impl Iterator for RowReader {
    type Item = Result<Row, DataError>;

    fn next(&mut self) -> Option<Result<Row, DataError>> {
        if self.ended {
            return None;
        }
        let row = self.next_row().transpose();
        self.ended = !matches!(row, Some(Ok(_) | Err(DataError::Row { .. })));
        row
    }
}

/// What is known of a file's rows before the next one is read.
struct Known<'a> {
    settled: Option<RowFormat>,
    detected: Option<RowFormat>,
    demand: Demand<'a>,
}

impl Known<'_> {
    fn row(&self, line: usize, text: &str) -> Result<(RowFormat, Row), RowProblem> {
        let raw = parse_object(text)?;
        let format = self.format(&raw)?;
        let body = body(&raw, format, &self.demand)?;
        Ok((format, Row { raw, example: Example { line, body } }))
    }

    fn format(&self, raw: &Map<String, Value>) -> Result<RowFormat, RowProblem> {
        if let Some(format) = self.settled {
            return Ok(format);
        }
        match self.detected {
            Some(format) => format.admit(raw).map(|()| format),
            None => RowFormat::detect(raw).ok_or_else(|| RowProblem::UnknownFormat {
                keys: raw.keys().map(|key| excerpt(key)).collect(),
            }),
        }
    }
}

fn broken(path: &Path, line: usize, source: io::Error) -> DataError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData => {
            DataError::Gzip { path, line, source }
        }
        _ => DataError::Read { path, source },
    }
}
