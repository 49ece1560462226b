//! The rows of the input in their order, and what became of each so far.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rayon::prelude::*;
use serde_json::{Map, Value};
use xxhash_rust::xxh3::{xxh3_128, xxh3_64_with_seed};

use super::error::PrepareError;
use super::input::{InputFile, InputRow};
use super::written::{written, written_as};
use super::PrepareOptions;
use crate::example::{Body, Message};
use crate::field::excerpt;
use crate::format::RowFormat;
use crate::problem::RowProblem;
use crate::quality::{code_of, Code, Inspected, Place};
use crate::read::Row;

/// All rows.
pub(super) struct Pool {
    /// The files that they are from.
    pub(super) files: Vec<PathBuf>,
    /// The rows of one file after another.
    pub(super) entries: Vec<Entry>,
    /// The format that they are written in.
    pub(super) format: RowFormat,
    /// How many different secrets of each kind were replaced.
    pub(super) secrets: BTreeMap<&'static str, usize>,
}

/// A row of the input.
pub(super) struct Entry {
    /// Where it stands.
    pub(super) place: Place,
    /// What became of it.
    pub(super) state: State,
}

/// What became of a row.
pub(super) enum State {
    /// It is kept so far.
    Kept(Box<Candidate>),
    /// It is left out.
    Out(LeftOut),
}

/// A row that is kept so far.
pub(super) struct Candidate {
    /// What is written of it.
    pub(super) written: Map<String, Value>,
    /// Its texts, and what was found in them.
    pub(super) inspected: Inspected,
    /// A hash of all that it has besides question and answer, such as tool calls.
    pub(super) beside: u128,
    /// The value that tells which rows belong together.
    pub(super) group: Option<String>,
    /// The number of its group of rows that ask nearly the same.
    pub(super) question: usize,
    /// The kinds of secrets that were replaced in it.
    pub(super) redacted: Vec<&'static str>,
    /// The number of its split, once it has one.
    pub(super) side: usize,
}

/// A row that is left out, and why.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// Why.
    pub(super) reason: Reason,
    /// What it looks like.
    pub(super) detail: String,
    /// The row that it repeats or contradicts.
    pub(super) like: Option<Place>,
}

/// Why a row is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// What is wrong with it.
    Code(Code),
    /// There are as many rows as were asked for.
    BeyondMaxRows,
    /// The splits have as many rows as were asked for.
    BeyondSplit,
}

impl Pool {
    /// The rows of these files.
    ///
    /// # Errors
    /// A file that cannot be read, a bad row where such rows stop the work, files whose rows cannot be in one split, a
    /// key to group by that no row has.
    pub(super) fn read(files: &[PathBuf], options: &PrepareOptions) -> Result<Pool, PrepareError> {
        let mut entries = Vec::new();
        let mut first: Option<(&PathBuf, RowFormat)> = None;
        let mut keys: Vec<String> = Vec::new();
        for (file, path) in files.iter().enumerate() {
            let input = InputFile::read(path, file, &options.rows)?;
            // Without a good row there is nothing to write, whatever the format.
            let format = input.format.unwrap_or(RowFormat::Messages);
            if let Some((row, _)) = input.rows.iter().find_map(|row| row.read.as_ref().ok()) {
                if first.is_none() {
                    keys = row.raw.keys().map(|key| excerpt(key)).collect();
                }
                let (of, expected) = *first.get_or_insert((path, format));
                if written_as(expected) != written_as(format) {
                    return Err(PrepareError::OtherKind {
                        path: path.clone(),
                        found: format,
                        first: of.clone(),
                        expected,
                    });
                }
            }
            let rows = input.rows.into_par_iter();
            let rows: Vec<Entry> = rows.map(|row| Entry::of(row, file, format, options)).collect();
            entries.extend(rows);
        }
        let format = first.map_or(RowFormat::Messages, |(_, format)| written_as(format));
        let pool = Pool { files: files.to_vec(), entries, format, secrets: BTreeMap::new() };
        pool.check_group_key(options.group_by.as_deref(), keys)?;
        Ok(pool)
    }

    /// The rows that are kept so far, and their numbers among the entries.
    pub(super) fn kept(&self) -> impl Iterator<Item = (usize, &Candidate)> {
        self.entries.iter().enumerate().filter_map(|(at, entry)| Some((at, entry.kept()?)))
    }

    /// The kept row of that number.
    pub(super) fn kept_mut(&mut self, at: usize) -> Option<&mut Candidate> {
        match self.entries.get_mut(at).map(|entry| &mut entry.state) {
            Some(State::Kept(row)) => Some(row),
            Some(State::Out(_)) | None => None,
        }
    }

    /// Where the row of that number stands.
    pub(super) fn place(&self, at: usize) -> Option<Place> {
        self.entries.get(at).map(|entry| entry.place)
    }

    /// Leaves the row of that number out, where it is kept so far.
    pub(super) fn leave_out(&mut self, at: usize, out: LeftOut) {
        if let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.kept().is_some()) {
            entry.state = State::Out(out);
        }
    }

    /// Leaves out all but `most` rows, which the seed chooses.
    pub(super) fn leave_out_beyond(&mut self, most: usize, seed: u64) {
        let drawn = |(at, row): (usize, &Candidate)| {
            let text = format!("{}\n{}", row.inspected.question, row.inspected.answer);
            (draw(seed, "rows", &text), at)
        };
        let mut order: Vec<(u64, usize)> = self.kept().map(drawn).collect();
        order.sort_unstable();
        for (_, at) in order.into_iter().skip(most) {
            let detail = format!("`--max-rows` is {most}");
            self.leave_out(at, LeftOut { reason: Reason::BeyondMaxRows, detail, like: None });
        }
    }

    /// How many rows are left out by each reason.
    pub(super) fn reasons(&self) -> BTreeMap<&'static str, usize> {
        let mut reasons = BTreeMap::new();
        for entry in &self.entries {
            if let State::Out(out) = &entry.state {
                *reasons.entry(out.reason.name()).or_default() += 1;
            }
        }
        reasons
    }

    /// Nothing, where some row has the key, or there is none; `keys` are those of the first row.
    fn check_group_key(&self, key: Option<&str>, keys: Vec<String>) -> Result<(), PrepareError> {
        let grouped = || self.kept().any(|(_, row)| row.group.is_some());
        match key {
            Some(key) if !keys.is_empty() && !grouped() => {
                Err(PrepareError::NoGroupKey { key: excerpt(key), keys })
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Entry {
    fn of(input: InputRow, file: usize, format: RowFormat, options: &PrepareOptions) -> Entry {
        let state = match input.read {
            Ok((row, inspected)) => {
                State::Kept(Box::new(Candidate::of(row, inspected, format, options)))
            }
            Err(problem) => {
                let reason = Reason::of(&problem);
                State::Out(LeftOut { reason, detail: problem.to_string(), like: None })
            }
        };
        Entry { place: Place { file, line: input.line }, state }
    }

    /// The row, where it is kept so far.
    pub(super) fn kept(&self) -> Option<&Candidate> {
        match &self.state {
            State::Kept(row) => Some(row),
            State::Out(_) => None,
        }
    }
}

impl Candidate {
    fn of(
        row: Row,
        inspected: Inspected,
        format: RowFormat,
        options: &PrepareOptions,
    ) -> Candidate {
        let value = options.group_by.as_deref().and_then(|key| row.raw.get(key));
        let group = value.filter(|value| !value.is_null()).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        Candidate {
            beside: beside(&row.example.body),
            written: written(row, format, &options.rows.columns),
            inspected,
            group,
            question: 0,
            redacted: Vec::new(),
            side: 0,
        }
    }

    /// What the row is about: its question, or the whole of a plain text.
    pub(super) fn asked(&self) -> &str {
        self.inspected.asked()
    }
}

impl Reason {
    /// The reason that a problem gives to leave its row out.
    pub(super) fn of(problem: &RowProblem) -> Reason {
        Reason::Code(code_of(problem))
    }

    /// The name that programs read.
    pub(super) fn name(self) -> &'static str {
        match self {
            Reason::Code(code) => code.name(),
            Reason::BeyondMaxRows => "beyond-max-rows",
            Reason::BeyondSplit => "beyond-split",
        }
    }
}

/// A number drawn for a text: the same for one seed and purpose, whatever other texts there are.
pub(super) fn draw(seed: u64, purpose: &str, text: &str) -> u64 {
    xxh3_64_with_seed(format!("{purpose}\0{text}").as_bytes(), seed)
}

/// A hash of what tells rows apart whose questions and answers read the same: tools, tool calls, rejected answers.
fn beside(body: &Body) -> u128 {
    let of_turn = |(at, turn): (usize, &Message)| format!("{at} {:?}", turn.extra);
    let parts: Vec<String> = match body {
        Body::Chat { messages, tools } | Body::Question { messages, tools } => {
            let turns = messages.iter().enumerate().filter(|(_, turn)| !turn.extra.is_empty());
            turns.map(of_turn).chain(tools.iter().flatten().map(Value::to_string)).collect()
        }
        Body::Preference { rejected, .. } => {
            rejected.iter().map(|turn| format!("{turn:?}")).collect()
        }
        Body::PromptCompletion { .. } | Body::Text { .. } => Vec::new(),
    };
    xxh3_128(parts.join("\n").as_bytes())
}
