//! The files of the input, line by line or as tables, each row read and looked at.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rayon::prelude::*;

use super::error::PrepareError;
use super::table::Table;
use super::LEDGER_FILE;
use crate::error::DataError;
use crate::format::RowFormat;
use crate::problem::RowProblem;
use crate::quality::Inspected;
use crate::read::{OnBadRow, ReadOptions, Row};
use crate::reader::RowReader;
use crate::splits::{is_folder, unreadable};

/// Endings of files that hold rows.
const ENDINGS: [&str; 4] = [".jsonl", ".csv", ".tsv", ".parquet"];

/// The rows of a file.
pub(super) struct InputFile {
    /// The format of its rows; `None` where none is good and nothing else settled it.
    pub(super) format: Option<RowFormat>,
    /// The rows in order.
    pub(super) rows: Vec<InputRow>,
}

/// A row, or what is wrong with it.
pub(super) struct InputRow {
    /// The line it begins on, or its number in a Parquet file, counted from 1.
    pub(super) line: usize,
    /// The row as it was read, and what was found in it.
    pub(super) read: Result<(Row, Inspected), Box<RowProblem>>,
}

/// How the rows of a file are laid out.
enum Layout {
    /// One JSON object a line.
    Lines,
    /// A table under a header.
    Table { delimiter: u8 },
    /// Columns under a schema.
    Parquet,
}

/// The files that these paths stand for: a folder stands for its files of rows, sorted by name.
///
/// # Errors
/// A path that is not there, a folder without such files.
pub fn input_files(data: &[PathBuf]) -> Result<Vec<PathBuf>, PrepareError> {
    let mut files = Vec::new();
    for path in data {
        if is_folder(path)? {
            files.extend(row_files(path)?);
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

impl InputFile {
    /// The rows of a file, of which number `file` is told with each.
    ///
    /// # Errors
    /// A file that cannot be read, and, unless bad rows are skipped, the first bad row.
    pub(super) fn read(
        path: &Path,
        file: usize,
        options: &ReadOptions,
    ) -> Result<InputFile, PrepareError> {
        let mut rows = Vec::new();
        let work = |row: Row| {
            let inspected = Inspected::of(&row.example, file);
            (row, inspected)
        };
        let mut take = |read: Result<(Row, Inspected), DataError>| -> Result<(), PrepareError> {
            rows.push(InputRow::of(read, options.on_bad_row)?);
            Ok(())
        };
        let table = match Layout::of(path) {
            Layout::Lines => {
                let mut reader = RowReader::open(path, options)?;
                reader.for_each(work, |read| -> Result<ControlFlow<()>, PrepareError> {
                    take(read)?;
                    Ok(ControlFlow::Continue(()))
                })?;
                return Ok(InputFile { format: reader.format(), rows });
            }
            Layout::Table { delimiter } => Table::read(path, delimiter, options)?,
            Layout::Parquet => Table::read_parquet(path, options)?,
        };
        let read: Vec<_> = table.rows.into_par_iter().map(|row| row.map(work)).collect();
        read.into_iter().try_for_each(&mut take)?;
        Ok(InputFile { format: table.format, rows })
    }
}

impl InputRow {
    fn of(
        read: Result<(Row, Inspected), DataError>,
        on_bad_row: OnBadRow,
    ) -> Result<InputRow, PrepareError> {
        match read {
            Ok((row, inspected)) => {
                Ok(InputRow { line: row.example.line, read: Ok((row, inspected)) })
            }
            Err(DataError::Row { line, problem, .. }) if on_bad_row == OnBadRow::Skip => {
                Ok(InputRow { line, read: Err(problem) })
            }
            Err(error @ DataError::Row { .. }) => Err(PrepareError::BadRow(error)),
            Err(error) => Err(error.into()),
        }
    }
}

impl Layout {
    fn of(path: &Path) -> Layout {
        let name = plain_name(path);
        if name.ends_with(".csv") {
            Layout::Table { delimiter: b',' }
        } else if name.ends_with(".tsv") {
            Layout::Table { delimiter: b'\t' }
        } else if name.ends_with(".parquet") {
            Layout::Parquet
        } else {
            Layout::Lines
        }
    }
}

fn row_files(folder: &Path) -> Result<Vec<PathBuf>, PrepareError> {
    let mut files = Vec::new();
    for entry in folder.read_dir().map_err(|source| unreadable(folder, source))? {
        let path = entry.map_err(|source| unreadable(folder, source))?.path();
        let name = plain_name(&path);
        // The ledger of an earlier preparation holds no rows.
        if name != LEDGER_FILE && ENDINGS.iter().any(|ending| name.ends_with(ending)) {
            files.push(path);
        }
    }
    if files.is_empty() {
        return Err(PrepareError::NoRowFiles { folder: folder.to_owned() });
    }
    files.sort();
    Ok(files)
}

/// The name of a file in small letters, without the ending that says that it is gzipped.
fn plain_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    name.strip_suffix(".gz").map_or_else(|| name.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_stands_for_its_row_files_and_not_for_a_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let shard = "train-00000-of-00001.parquet";
        for name in ["b.jsonl.gz", shard, "a.CSV", "ledger.jsonl", "notes.txt", "c.TSV"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let files = input_files(&[folder.path().to_owned()]).unwrap();
        let expected = ["a.CSV", "b.jsonl.gz", "c.TSV", shard];
        assert_eq!(files, expected.map(|name| folder.path().join(name)));
    }
}
