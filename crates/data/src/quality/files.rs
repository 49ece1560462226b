//! Files of rows, checked as training would read them.

use std::ops::ControlFlow;
use std::path::PathBuf;

use super::groups::group_of;
use super::inspect::Inspected;
use super::set::{QualityCheck, QualityReport};
use crate::error::DataError;
use crate::read::{BadRow, ReadOptions};
use crate::reader::RowReader;

/// What the rows of some files would teach; the first file is the training split.
///
/// Bad rows that are skipped are no part of it.
///
/// # Errors
/// As [`read_file`](crate::read_file), but for a file without rows.
pub fn check_files(files: &[PathBuf], options: &ReadOptions) -> Result<QualityReport, DataError> {
    let mut quality = QualityCheck::default();
    for (file, path) in files.iter().enumerate() {
        let mut reader = RowReader::open(path, options)?;
        reader.for_each(
            |row| Inspected::of(&row.example, file).in_group(group_of(&row.raw, None)),
            |row| {
                match row {
                    Ok(inspected) => quality.add(inspected),
                    Err(error) => {
                        BadRow::skipped(error, options.on_bad_row)?;
                    }
                }
                Ok::<_, DataError>(ControlFlow::Continue(()))
            },
        )?;
    }
    Ok(quality.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::{Code, Place};
    use crate::read::{read_file, OnBadRow};

    const ASKED: &str = "where is the parcel that I ordered from your shop two weeks ago";

    fn row(prompt: &str) -> String {
        format!("{{\"prompt\": \"{prompt}\", \"completion\": \"It is on its way.\"}}\n")
    }

    fn write(dir: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn the_first_file_is_what_the_others_leak_from() {
        let dir = tempfile::tempdir().unwrap();
        let train = write(&dir, "train.jsonl", &row(ASKED));
        let valid = write(&dir, "valid.jsonl", &(row("when do you open") + &row(ASKED)));
        let report = check_files(&[train, valid], &ReadOptions::default()).unwrap();
        assert_eq!(report.rows, 3);
        let leak = report.findings.iter().find(|finding| finding.code == Code::Leak).unwrap();
        assert_eq!(leak.count, 1);
        assert_eq!(leak.rows[0].place, Place { file: 1, line: 2 });
        assert_eq!(leak.rows[0].other, Some(Place { file: 0, line: 1 }));
    }

    #[test]
    fn a_bad_row_is_the_error_that_reading_gives_or_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = write(&dir, "rows.jsonl", &(row(ASKED) + "{}\n" + &row("when do you open")));
        let fail = ReadOptions::default();
        let error = check_files(std::slice::from_ref(&path), &fail).unwrap_err();
        assert_eq!(error.to_string(), read_file(&path, &fail).unwrap_err().to_string());
        assert!(error.to_string().starts_with(&format!("`{}:2`: ", path.display())), "{error}");
        let skip = ReadOptions { on_bad_row: OnBadRow::Skip, ..ReadOptions::default() };
        assert_eq!(check_files(&[path], &skip).unwrap().rows, 2);
    }
}
