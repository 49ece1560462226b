//! The report of a comparison: `report.json`, `report.md`, `items.jsonl` and a table for a terminal.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tunewise_model::files::write_whole;
use tunewise_model::ModelError;

use crate::arm::adapter_names;
use crate::comparison::Comparison;
use crate::error::InferError;
use crate::report_text;
use crate::statistics::Interval;
use crate::verdict::Verdict;

/// What a comparison found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The metric's name.
    pub metric: String,
    /// How many items every arm answered.
    pub items: usize,
    /// The arms, in the order asked for.
    pub arms: Vec<ArmReport>,
    /// Their differences.
    pub comparisons: Vec<Comparison>,
    /// What the figures advise.
    pub verdict: Verdict,
    /// Demonstrations left out because an item's context was full, over all items and arms.
    pub dropped_demonstrations: usize,
    /// The adapters compared.
    pub adapters: Vec<AdapterReport>,
    /// The model's name.
    pub model: String,
    /// The training file, from which demonstrations and labels come.
    pub train: String,
    /// The test file.
    pub test: String,
    /// The seed of the items drawn, the demonstrations and the resamples.
    pub seed: u64,
    /// What else a reader needs to know, a sentence each.
    pub notes: Vec<String>,
    /// Every answer, item by item, arms in their order.
    #[serde(skip)]
    pub answers: Vec<Answer>,
}

/// An arm's figure and what asking in its way costs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ArmReport {
    /// Its name.
    pub name: String,
    /// The metric over all items, in 0..1.
    pub score: f64,
    /// Its 95 % interval.
    pub ci95: Interval,
    /// The mean length of its prompts, in tokens.
    pub prompt_tokens_per_item: f64,
    /// The time it took, divided by the items; items are answered together.
    pub seconds_per_item: f64,
}

/// An adapter that was compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AdapterReport {
    /// Its name in the arms' names.
    pub name: String,
    /// Its folder.
    pub path: String,
}

/// An arm's answer to an item: a line of `items.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The test row's physical line, counted from 1.
    pub line: usize,
    /// The arm's name.
    pub arm: String,
    /// What it answered.
    pub output: String,
    /// What the row has.
    pub reference: String,
    /// The score, in 0..1.
    pub score: f64,
}

impl AdapterReport {
    /// The adapters of some folders, named as the arms name them.
    pub(crate) fn of(folders: &[PathBuf]) -> Result<Vec<AdapterReport>, InferError> {
        let names = adapter_names(folders)?.into_iter();
        let adapter = |(name, folder): (String, &PathBuf)| AdapterReport {
            name,
            path: folder.display().to_string(),
        };
        Ok(names.zip(folders).map(adapter).collect())
    }
}

impl Report {
    /// The text of `report.json`.
    ///
    /// # Errors
    /// Never for these fields; the type is that of the JSON writer.
    pub fn json(&self) -> Result<String, InferError> {
        let mut text = serde_json::to_string_pretty(self)?;
        text.push('\n');
        Ok(text)
    }

    /// The text of `report.md`.
    pub fn markdown(&self) -> String {
        report_text::markdown(self)
    }

    /// A table of the arms and their differences, and the verdict, for a terminal.
    pub fn table(&self) -> String {
        report_text::table(self)
    }

    /// The text of `items.jsonl`.
    ///
    /// # Errors
    /// Never for these fields; the type is that of the JSON writer.
    pub fn items_jsonl(&self) -> Result<String, InferError> {
        let mut lines = String::new();
        for answer in &self.answers {
            lines.push_str(&serde_json::to_string(answer)?);
            lines.push('\n');
        }
        Ok(lines)
    }

    /// Writes `items.jsonl`, `report.md` and `report.json` into a folder, each whole or not at all.
    ///
    /// # Errors
    /// When the folder cannot be made or written.
    pub fn write(&self, folder: &Path) -> Result<(), InferError> {
        std::fs::create_dir_all(folder)
            .map_err(|source| ModelError::Io { path: folder.to_owned(), source })?;
        write_whole(&folder.join("items.jsonl"), self.items_jsonl()?.as_bytes())?;
        write_whole(&folder.join("report.md"), self.markdown().as_bytes())?;
        write_whole(&folder.join("report.json"), self.json()?.as_bytes())?;
        Ok(())
    }

    /// The answers of each item, arms in their order.
    pub(crate) fn by_item(&self) -> impl Iterator<Item = &[Answer]> {
        self.answers.chunks(self.arms.len().max(1))
    }
}
