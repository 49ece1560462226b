//! The rows of a file one batch after another, worked on by all threads and told in order.

use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{Map, Value};

use crate::error::DataError;
use crate::example::Example;
use crate::field::excerpt;
use crate::format::RowFormat;
use crate::json::parse_object;
use crate::line::{Batch, Lines, NumberedLine, MAX_LINE_BYTES};
use crate::problem::RowProblem;
use crate::read::{ReadOptions, Row};
use crate::row::{body, Demand};
use crate::source::Source;
use crate::splits::{is_folder, unreadable};

/// Bytes of lines that are worked on while as many are read: enough for every thread to have rows, and little memory.
const BATCH_BYTES: usize = 1 << 19;

/// The rows of a file, of which no more than two batches of lines are in memory.
pub struct RowReader {
    lines: Lines<Source>,
    parser: RowParser,
    rows_read: usize,
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
        let options = options.clone();
        Ok(RowReader {
            lines: Lines::new(source, MAX_LINE_BYTES),
            parser: RowParser { path: path.to_owned(), options, settled, detected: None },
            rows_read: 0,
        })
    }

    /// The format of the rows; `None` before the first good one, where nothing else settled it.
    pub fn format(&self) -> Option<RowFormat> {
        self.parser.format()
    }

    /// Lines so far that are not blank.
    pub fn rows_read(&self) -> usize {
        self.rows_read
    }

    /// Hands every row to `work`, on all threads of the pool, and what comes of it to `take`, in the file's order.
    ///
    /// A bad row comes to `take` as a [`DataError::Row`]. The rows end where `take` breaks.
    ///
    /// # Errors
    /// What `take` returns, and a file that cannot be read to its end.
    pub fn for_each<T: Send, E: From<DataError>>(
        &mut self,
        work: impl Fn(Row) -> T + Sync,
        mut take: impl FnMut(Result<T, DataError>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        let mut batch = self.lines.next_batch(BATCH_BYTES);
        loop {
            self.rows_read += batch.len();
            let settling = self.parser.settle(&batch);
            let (parser, lines) = (&self.parser, &mut self.lines);
            let parsed = || -> Vec<Result<T, DataError>> {
                let rest = batch.par_lines(settling.len());
                rest.map(|line| parser.row(line).map(&work)).collect()
            };
            let read = || matches!(batch.more, Ok(true)).then(|| lines.next_batch(BATCH_BYTES));
            let (rest, next) = rayon::join(parsed, read);
            let settling = settling.into_iter().map(|row| row.map(&work));
            for row in settling.chain(rest) {
                if take(row)?.is_break() {
                    return Ok(());
                }
            }
            match (next, batch.more) {
                (Some(next), _) => batch = next,
                (None, Err(source)) => {
                    return Err(broken(&parser.path, batch.last, source).into());
                }
                (None, Ok(_)) => return Ok(()),
            }
        }
    }

    /// The format and the SHA-256 of the file's bytes, in hexadecimal; reads what has not been read yet.
    ///
    /// # Errors
    /// [`DataError::NoRows`] where none was good, and a file that cannot be read on.
    pub(crate) fn finish(self, skipped: usize) -> Result<(RowFormat, String), DataError> {
        let path = self.parser.path;
        let bytes = self.lines.into_reader();
        let sha256 = bytes.into_sha256().map_err(|source| unreadable(&path, source))?;
        match self.parser.detected {
            Some(format) => Ok((format, sha256)),
            None => Err(DataError::NoRows { path, skipped }),
        }
    }
}

/// What a line is read as, given the lines before it.
struct RowParser {
    path: PathBuf,
    options: ReadOptions,
    settled: Option<RowFormat>,
    detected: Option<RowFormat>,
}

impl RowParser {
    fn format(&self) -> Option<RowFormat> {
        self.settled.or(self.detected)
    }

    /// The rows up to the first good one, which tells what the others must be.
    fn settle(&mut self, batch: &Batch) -> Vec<Result<Row, DataError>> {
        let mut rows = Vec::new();
        let mut lines = batch.lines();
        while self.detected.is_none() {
            let Some(line) = lines.next() else { break };
            let row = self.row(line);
            if let Ok(row) = &row {
                self.detected = self.settled.or_else(|| RowFormat::detect(&row.raw));
            }
            rows.push(row);
        }
        rows
    }

    fn row(&self, (line, text): NumberedLine<'_>) -> Result<Row, DataError> {
        let read = |text: &str| {
            let raw = parse_object(text)?;
            let demand =
                Demand { columns: &self.options.columns, answer: self.options.require_answer };
            let body = body(&raw, self.format_of(&raw)?, &demand)?;
            Ok(Row { raw, example: Example { line, body } })
        };
        text.and_then(read).map_err(|problem| {
            let problem = Box::new(problem);
            DataError::Row { path: self.path.clone(), line, problem }
        })
    }

    fn format_of(&self, raw: &Map<String, Value>) -> Result<RowFormat, RowProblem> {
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
