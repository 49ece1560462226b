//! The logs of a run: `metrics.jsonl` and TensorBoard event files.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use tunewise_model::files::write_whole;

use crate::error::{Result, TrainError};
use crate::model_card::remove_file;
use crate::record::LogEntry;
use crate::tensorboard::{remove_event_files, EventWriter};

const LINES: &str = "metrics.jsonl";
const EVENTS: &str = "runs";

/// The logs that a run writes, as far as it was asked for them.
#[derive(Debug)]
pub(crate) struct Logs {
    lines: Option<(PathBuf, File)>,
    events: Option<EventWriter>,
}

impl Logs {
    /// The logs in `dir`, continued after `history`, whose last step is `steps_taken`.
    ///
    /// `metrics.jsonl` is written anew from the history, so that nothing stays of steps that will be repeated.
    pub fn open(
        dir: &Path,
        jsonl: bool,
        tensorboard: bool,
        history: &[LogEntry],
        steps_taken: usize,
    ) -> Result<Self> {
        let lines = match jsonl {
            true => Some(open_lines(dir.join(LINES), history)?),
            false => None,
        };
        let events = match tensorboard {
            true => Some(EventWriter::create(&dir.join(EVENTS), steps_taken)?),
            false => None,
        };
        Ok(Self { lines, events })
    }

    /// Appends an entry to every log.
    pub fn append(&mut self, entry: &LogEntry) -> Result<()> {
        if let Some((path, file)) = &mut self.lines {
            let written = file.write_all(line(entry, path)?.as_bytes());
            written.map_err(|source| TrainError::Io { path: path.clone(), source })?;
        }
        let Some(events) = &mut self.events else {
            return Ok(());
        };
        match entry {
            LogEntry::Step(record) => {
                let mut values = vec![
                    ("train/loss", record.loss),
                    ("train/grad_norm", record.grad_norm),
                    ("train/learning_rate", record.learning_rate),
                    ("train/epoch", record.epoch),
                    ("train/num_tokens", record.num_tokens as f64),
                    ("train/mean_token_accuracy", record.mean_token_accuracy),
                    ("train/tokens_per_second", record.tokens_per_second),
                ];
                values.extend(
                    record.peak_memory_bytes.map(|bytes| ("train/peak_memory_bytes", bytes as f64)),
                );
                events.scalars(record.step, &values)
            }
            LogEntry::Evaluation(record) => {
                let accuracy = record.eval_mean_token_accuracy;
                let values =
                    [("eval/loss", record.eval_loss), ("eval/mean_token_accuracy", accuracy)];
                events.scalars(record.step, &values)
            }
        }
    }
}

/// Removes the logs of an earlier run from its folder.
pub(crate) fn remove(dir: &Path) -> Result<()> {
    remove_file(&dir.join(LINES))?;
    remove_event_files(&dir.join(EVENTS))
}

fn open_lines(path: PathBuf, history: &[LogEntry]) -> Result<(PathBuf, File)> {
    let text: String = history.iter().map(|entry| line(entry, &path)).collect::<Result<_>>()?;
    write_whole(&path, text.as_bytes())?;
    let file = OpenOptions::new().append(true).open(&path);
    let file = file.map_err(|source| TrainError::Io { path: path.clone(), source })?;
    Ok((path, file))
}

fn line(entry: &LogEntry, path: &Path) -> Result<String> {
    let text = serde_json::to_string(entry);
    let text = text.map_err(|source| TrainError::Json { path: path.into(), source })?;
    Ok(text + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::StepRecord;

    fn entry(step: usize) -> LogEntry {
        LogEntry::Step(StepRecord {
            step,
            epoch: 0.1,
            loss: 1.0 / 3.0,
            grad_norm: 2.0,
            learning_rate: 2e-4,
            num_tokens: 9,
            mean_token_accuracy: 0.5,
            tokens_per_second: 1.0,
            peak_memory_bytes: None,
        })
    }

    #[test]
    fn a_resumed_log_forgets_the_steps_that_will_be_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("metrics.jsonl");
        let mut logs = Logs::open(dir.path(), true, false, &[], 0).unwrap();
        (1..=4).for_each(|step| logs.append(&entry(step)).unwrap());
        let four = std::fs::read_to_string(&path).unwrap();
        assert_eq!(four.lines().count(), 4);
        let mut logs = Logs::open(dir.path(), true, false, &[entry(1), entry(2)], 2).unwrap();
        (3..=4).for_each(|step| logs.append(&entry(step)).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), four);
        assert!(!dir.path().join("runs").exists());
    }

    #[test]
    fn a_line_reads_back_as_the_numbers_that_were_written() {
        let text = line(&entry(7), Path::new("m")).unwrap();
        assert_eq!(serde_json::from_str::<LogEntry>(&text).unwrap(), entry(7));
        assert!(text.starts_with(r#"{"step":7,"epoch":0.1,"loss":0.3333333333333333,"#));
    }
}
