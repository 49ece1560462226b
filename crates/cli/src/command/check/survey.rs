//! One file, read to its end whatever its rows are like.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{json, Value};
use tunewise_data::quality::{group_of, Inspected, Place, QualityCheck};
use tunewise_data::{DataError, OnBadRow, ReadOptions, Row, RowFormat, RowReader};

use super::faults::{bad_row, Fault, FaultKind, Faults};
use super::lengths::Lengths;
use super::tokens::{Counts, Excess, Tokens};
use crate::number::counted;

/// How the rows of every file are looked at.
pub struct Inspection<'a> {
    /// How they are read.
    pub options: &'a ReadOptions,
    /// What tokenizes them, where they are tokenized.
    pub tokens: Option<&'a Tokens>,
    /// The key that tells which of them belong together, where one was named.
    pub group_by: Option<&'a str>,
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
    /// Rows that tell which others they belong to.
    pub grouped: usize,
    /// The time that reading and tokenizing took, in seconds.
    pub seconds: f64,
}

/// What was seen in a row.
struct Seen {
    inspected: Inspected,
    counts: Option<Counts>,
    is_grouped: bool,
}

impl Survey {
    /// Reads the file, tokenizes its rows, and hands each to the quality check as one of file number `file`.
    ///
    /// # Errors
    /// When the file itself cannot be read.
    pub fn of(
        path: &Path,
        inspection: &Inspection<'_>,
        (file, quality): (usize, &mut QualityCheck),
    ) -> anyhow::Result<Survey> {
        let begin = Instant::now();
        let on_bad_row = inspection.options.on_bad_row;
        let mut survey = Survey::empty(path, inspection.tokens);
        let mut readable = 0;
        let mut reader = RowReader::open(path, inspection.options)?;
        let work = |row: Row| inspection.see(&row, file);
        reader.for_each(work, |row| -> anyhow::Result<ControlFlow<()>> {
            match row {
                Ok(seen) => {
                    readable += 1;
                    survey.grouped += usize::from(seen.is_grouped);
                    seen.counts.into_iter().for_each(|counts| survey.count(counts));
                    quality.add(seen.inspected);
                }
                Err(error) => {
                    if let (DataError::Row { line, problem, .. }, OnBadRow::Fail) =
                        (&error, on_bad_row)
                    {
                        quality.add_bad(Place { file, line: *line }, problem);
                    }
                    survey.unreadable(error, on_bad_row)?;
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

    fn empty(path: &Path, tokens: Option<&Tokens>) -> Survey {
        Survey {
            path: path.to_owned(),
            format: None,
            rows: 0,
            bad: Faults::default(),
            skipped: Faults::default(),
            excess: Excess::default(),
            useless: None,
            lengths: tokens.map(|tokens| Lengths::against(tokens.max_length)),
            grouped: 0,
            seconds: 0.0,
        }
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

impl Inspection<'_> {
    /// What a row of file number `file` shows alone, what its tokens tell included.
    fn see(&self, row: &Row, file: usize) -> Seen {
        let group = group_of(&row.raw, self.group_by);
        let is_grouped = group.is_some();
        let mut inspected = Inspected::of(&row.example, file).in_group(group);
        let mut counts = self.tokens.map(|tokens| tokens.count(&row.example));
        if let Some(counts) = &mut counts {
            for (code, example) in counts.notes.drain(..) {
                inspected.note(code, example);
            }
        }
        Seen { inspected, counts, is_grouped }
    }
}
