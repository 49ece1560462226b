//! One file, read to its end whatever its rows are like.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{json, Value};
use tunewise_data::quality::{Inspected, Place, QualityCheck};
use tunewise_data::{
    BadRow, DataError, ExcessLength, NothingSupervised, OnBadRow, ReadOptions, RenderProblem,
    Renderer, Row, RowFormat, RowReader, TokenExample, TrainOn,
};

use super::faults::{Fault, FaultKind, Faults};
use super::lengths::Lengths;
use crate::number::counted;

/// What tokenizes the rows, and how long they may be.
pub struct Tokens {
    /// The model's template and tokenizer.
    pub renderer: Renderer,
    /// The turns that are trained on.
    pub train_on: TrainOn,
    /// Longest row, in tokens.
    pub max_length: usize,
    /// What a longer row does.
    pub strategy: ExcessLength,
    /// The model's context, in tokens.
    pub context: usize,
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
    pub bad: Faults,
    /// The unreadable rows that would be left out, by line.
    pub skipped: Faults,
    /// What the length limit would do.
    pub excess: Excess,
    /// Why the file as a whole is of no use.
    pub useless: Option<String>,
    /// How long the rows are; `None` where they were not tokenized.
    pub lengths: Option<Lengths>,
    /// The time that reading and tokenizing took, in seconds.
    pub seconds: f64,
}

/// Training rows that the length limit leaves out or cuts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Excess {
    /// Left out.
    pub dropped: usize,
    /// Cut at the end.
    pub truncated: usize,
}

/// What tokenizing a row gave.
#[derive(Default)]
struct Counts {
    /// Length and supervised tokens of each training row.
    lengths: Vec<(usize, usize)>,
    /// What the limit does to them.
    excess: Excess,
    /// Why it fails, if it does.
    bad: Option<Fault>,
}

impl Survey {
    /// Reads the file, tokenizes its rows, and hands each to the quality check as one of file number `file`.
    ///
    /// # Errors
    /// When the file itself cannot be read.
    pub fn of(
        path: &Path,
        options: &ReadOptions,
        tokens: Option<&Tokens>,
        (file, quality): (usize, &mut QualityCheck),
    ) -> anyhow::Result<Survey> {
        let begin = Instant::now();
        let mut survey = Survey {
            path: path.to_owned(),
            format: None,
            rows: 0,
            bad: Faults::default(),
            skipped: Faults::default(),
            excess: Excess::default(),
            useless: None,
            lengths: tokens.map(|tokens| Lengths::against(tokens.max_length)),
            seconds: 0.0,
        };
        let mut readable = 0;
        let mut reader = RowReader::open(path, options)?;
        let work = |row: Row| {
            (Inspected::of(&row.example, file), tokens.map(|tokens| tokens.count_row(&row)))
        };
        reader.for_each(work, |row| -> anyhow::Result<ControlFlow<()>> {
            match row {
                Ok((inspected, counts)) => {
                    readable += 1;
                    quality.add(inspected);
                    counts.into_iter().for_each(|counts| survey.count(counts));
                }
                Err(error) => {
                    if let (DataError::Row { line, problem, .. }, OnBadRow::Fail) =
                        (&error, options.on_bad_row)
                    {
                        quality.add_bad(Place { file, line: *line }, problem);
                    }
                    survey.unreadable(error, options.on_bad_row)?;
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        survey.format = reader.format();
        survey.rows = reader.rows_read();
        let within = survey.lengths.as_ref().map(Lengths::within_limit);
        let used = within.map_or(readable, |within| within + survey.excess.truncated);
        survey.lengths = survey.lengths.filter(|lengths| !lengths.is_empty());
        survey.useless = survey.uselessness(used);
        survey.seconds = begin.elapsed().as_secs_f64();
        Ok(survey)
    }

    fn unreadable(&mut self, error: DataError, on_bad_row: OnBadRow) -> anyhow::Result<()> {
        let row = bad_row(&error).ok_or(error)?;
        let faults = match on_bad_row {
            OnBadRow::Skip => &mut self.skipped,
            OnBadRow::Fail => &mut self.bad,
        };
        faults.add(Fault { row, kind: FaultKind::Unreadable });
        Ok(())
    }

    fn count(&mut self, counts: Counts) {
        counts.bad.into_iter().for_each(|fault| self.bad.add(fault));
        self.excess.dropped += counts.excess.dropped;
        self.excess.truncated += counts.excess.truncated;
        if let Some(lengths) = &mut self.lengths {
            counts
                .lengths
                .iter()
                .for_each(|(length, supervised)| lengths.add(*length, *supervised));
        }
    }

    /// Why nothing is left of the file, where no row fails and none is used either.
    fn uselessness(&self, used: usize) -> Option<String> {
        let why = match (used, self.rows) {
            _ if used > 0 || self.bad.count() > 0 => return None,
            (_, 0) => "holds no rows, expected at least one".to_owned(),
            (_, rows) => format!(
                "{} read, none of them left to train on, expected at least one",
                counted(rows, "row")
            ),
        };
        Some(why)
    }

    /// The survey for programs; of the rows that fail, the first thousand.
    pub fn to_json(&self) -> Value {
        json!({
            "path": self.path,
            "format": self.format.map(|format| format.to_string()),
            "rows": self.rows,
            "seconds": self.seconds,
            "rows_per_second": self.rows as f64 / self.seconds,
            "bad_rows": self.bad.to_json(),
            "bad_row_count": self.bad.count(),
            "skipped_rows": self.skipped.to_json(),
            "skipped_row_count": self.skipped.count(),
            "dropped": self.excess.dropped,
            "truncated": self.excess.truncated,
            "error": self.useless,
            "tokens": self.lengths.as_ref().map(Lengths::to_json),
        })
    }
}

impl Tokens {
    fn count_row(&self, row: &Row) -> Counts {
        let line = row.example.line;
        // A text that is far too long is told before it is tokenized, which would take its size many times over.
        let fits = self.renderer.check_length(&row.example, self.train_on, self.max_length);
        match (&fits, self.strategy) {
            (Err(_), ExcessLength::Drop) => {
                let excess = Excess { dropped: 1, truncated: 0 };
                return Counts { excess, ..Counts::default() };
            }
            (Err(error), ExcessLength::Raise) => return self.failed(line, error),
            // To be cut it must be tokenized.
            (Ok(()), _) | (Err(_), ExcessLength::Truncate) => {}
        }
        let examples = match self.renderer.encode_training(&row.example, self.train_on) {
            Ok(examples) => examples,
            Err(error) => return self.failed(line, &error),
        };
        let lengths =
            examples.iter().map(|example| (example.ids.len(), example.supervised_tokens()));
        let mut counts = Counts { lengths: lengths.collect(), ..Counts::default() };
        for example in examples.iter().filter(|example| example.ids.len() > self.max_length) {
            match self.problem(example) {
                Some(problem) => {
                    let problem = Box::new(problem);
                    let error = DataError::Render { path: None, line, problem };
                    counts.bad.get_or_insert(self.fault(line, &error));
                }
                None if self.strategy == ExcessLength::Drop => counts.excess.dropped += 1,
                None => counts.excess.truncated += 1,
            }
        }
        counts
    }

    /// Why a training row beyond the limit fails; `None` where it is left out or cut.
    fn problem(&self, example: &TokenExample) -> Option<RenderProblem> {
        let max_length = self.max_length;
        match self.strategy {
            ExcessLength::Raise => {
                Some(RenderProblem::TooLong { tokens: example.ids.len(), max_length })
            }
            ExcessLength::Drop => None,
            ExcessLength::Truncate => {
                let first = example.supervised.iter().position(|supervised| *supervised);
                let first = first.filter(|first| *first >= max_length)?;
                let why = NothingSupervised::Truncated { first, max_length };
                Some(RenderProblem::NothingSupervised(why))
            }
        }
    }

    fn failed(&self, line: usize, error: &DataError) -> Counts {
        Counts { bad: Some(self.fault(line, error)), ..Counts::default() }
    }

    fn fault(&self, line: usize, error: &DataError) -> Fault {
        let mut row = bad_row(error).unwrap_or_else(|| BadRow {
            line,
            message: error.to_string(),
            hint: error.hint().unwrap_or_default(),
        });
        let DataError::Render { problem, .. } = error else {
            return Fault { row, kind: FaultKind::Untrainable };
        };
        let longer = match self.max_length < self.context {
            true => "raise `--max-length`, ",
            false => "",
        };
        match **problem {
            RenderProblem::TooLong { .. } | RenderProblem::FarTooLong { .. } => {
                row.hint =
                    format!("{longer}shorten the row, or pass `--excess-length-strategy` with `truncate` or `drop`");
                Fault { row, kind: FaultKind::TooLong }
            }
            RenderProblem::NothingSupervised(NothingSupervised::Truncated { .. }) => {
                row.hint =
                    format!("{longer}shorten the prompt, or pass `--excess-length-strategy drop`");
                Fault { row, kind: FaultKind::TooLong }
            }
            _ => Fault { row, kind: FaultKind::Untrainable },
        }
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
