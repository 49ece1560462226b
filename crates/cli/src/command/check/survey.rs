//! One file, read to its end whatever its rows are like.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use serde_json::{json, Value};
use tunewise_data::{
    BadRow, DataError, ReadOptions, RenderProblem, Renderer, Row, RowFormat, RowReader, TrainOn,
};

use super::lengths::Lengths;

/// What tokenizes the rows, and how long they may be.
pub struct Tokens {
    /// The model's template and tokenizer.
    pub renderer: Renderer,
    /// The turns that are trained on.
    pub train_on: TrainOn,
    /// Longest row, in tokens.
    pub max_length: usize,
}

/// What a file holds.
pub struct Survey {
    /// The file.
    pub path: PathBuf,
    /// How its rows are written; `None` where none could be read.
    pub format: Option<RowFormat>,
    /// Rows read, good and bad.
    pub rows: usize,
    /// The rows that would fail, by line.
    pub bad: Vec<BadRow>,
    /// How long the rows are; `None` where they were not tokenized.
    pub lengths: Option<Lengths>,
}

/// What tokenizing a row gave.
#[derive(Default)]
struct Counts {
    /// Length and supervised tokens of each training row.
    lengths: Vec<(usize, usize)>,
    /// Why it fails, if it does.
    bad: Option<BadRow>,
}

impl Survey {
    /// Reads the file and tokenizes its rows.
    ///
    /// # Errors
    /// When the file itself cannot be read.
    pub fn of(
        path: &Path,
        options: &ReadOptions,
        tokens: Option<&Tokens>,
    ) -> anyhow::Result<Survey> {
        let mut reader = RowReader::open(path, options)?;
        let mut rows = Vec::new();
        let mut bad = Vec::new();
        for row in reader.by_ref() {
            match row {
                Ok(row) => rows.push(row),
                Err(error) => bad.push(bad_row(&error).ok_or(error)?),
            }
        }
        if reader.rows_read() == 0 {
            bad.push(empty(path));
        }
        let mut lengths = None;
        if let Some(tokens) = tokens {
            let (failed, counts) = tokens.count(&rows);
            let supervised = counts.iter().map(|(_, supervised)| supervised).sum();
            bad.extend(failed);
            bad.sort_by_key(|row| row.line);
            lengths = Lengths::new(
                counts.iter().map(|(length, _)| *length).collect(),
                supervised,
                tokens.max_length,
            );
        }
        Ok(Survey {
            path: path.to_owned(),
            format: reader.format(),
            rows: reader.rows_read(),
            bad,
            lengths,
        })
    }

    /// The survey for programs.
    pub fn to_json(&self) -> Value {
        let bad =
            |row: &BadRow| json!({ "line": row.line, "message": row.message, "hint": row.hint });
        json!({
            "path": self.path,
            "format": self.format.map(|format| format.to_string()),
            "rows": self.rows,
            "bad_rows": self.bad.iter().map(bad).collect::<Vec<_>>(),
            "tokens": self.lengths.as_ref().map(Lengths::to_json),
        })
    }
}

impl Tokens {
    /// The rows that fail, and length and supervised tokens of every training row.
    fn count(&self, rows: &[Row]) -> (Vec<BadRow>, Vec<(usize, usize)>) {
        let counted: Vec<Counts> = rows.par_iter().map(|row| self.count_row(row)).collect();
        let mut failed = Vec::new();
        let mut lengths = Vec::new();
        for row in counted {
            failed.extend(row.bad);
            lengths.extend(row.lengths);
        }
        (failed, lengths)
    }

    fn count_row(&self, row: &Row) -> Counts {
        let line = row.example.line;
        // A text that is far too long is told before it is tokenized, which would take its size many times over.
        let fits = self.renderer.check_length(&row.example, self.train_on, self.max_length);
        let encoded =
            fits.and_then(|()| self.renderer.encode_training(&row.example, self.train_on));
        let examples = match encoded {
            Ok(examples) => examples,
            Err(error) => {
                let bad =
                    bad_row(&error).unwrap_or_else(|| plain(line, error.to_string(), error.hint()));
                return Counts { bad: Some(bad), ..Counts::default() };
            }
        };
        let too_long = examples
            .iter()
            .map(|example| example.ids.len())
            .find(|tokens| *tokens > self.max_length);
        let bad = too_long.map(|tokens| {
            let problem = RenderProblem::TooLong { tokens, max_length: self.max_length };
            plain(line, problem.to_string(), problem.hint())
        });
        let lengths =
            examples.iter().map(|example| (example.ids.len(), example.supervised_tokens()));
        Counts { lengths: lengths.collect(), bad }
    }
}

/// The row that an error tells of; `None` where it is about more than a row.
fn bad_row(error: &DataError) -> Option<BadRow> {
    let (line, message) = match error {
        DataError::Row { line, problem, .. } => (*line, problem.to_string()),
        DataError::Render { line, problem, .. } => (*line, problem.to_string()),
        _ => return None,
    };
    Some(BadRow { line, message, hint: error.hint().unwrap_or_default() })
}

fn plain(line: usize, message: String, hint: Option<String>) -> BadRow {
    BadRow { line, message, hint: hint.unwrap_or_default() }
}

/// A file without rows, told like a bad first row.
fn empty(path: &Path) -> BadRow {
    let error = DataError::NoRows { path: path.to_owned(), skipped: 0 };
    plain(1, "the file has no rows, expected at least one".into(), error.hint())
}
