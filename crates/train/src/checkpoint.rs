//! `checkpoint-N` folders: whatever a run needs to go on as if it had never stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use tunewise_model::files::write_whole;

use crate::error::{Result, TrainError};
use crate::optimizer::{AdamW, AdamWConstants};
use crate::record::LogEntry;
use crate::schedule::Schedule;
use crate::trainee::Trainee;
use crate::trainer::Material;

const STATE: &str = "trainer_state.json";
const OPTIMIZER: &str = "optimizer.safetensors";
const SCHEDULER: &str = "scheduler.json";
const RANDOM: &str = "rng_state.json";
/// Ending of a checkpoint that is being written.
const PARTIAL: &str = ".partial";
/// Ending of a checkpoint that is being replaced or removed.
const OLD: &str = ".old";

/// Where a run stands; the first keys are those of transformers' `trainer_state.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrainerState {
    /// Lowest loss on the valid split.
    pub best_metric: Option<f64>,
    /// The step it was reached at.
    pub best_global_step: Option<usize>,
    /// The checkpoint of that step, where one was kept.
    pub best_model_checkpoint: Option<String>,
    /// Epochs passed.
    pub epoch: f64,
    /// Optimizer steps taken.
    pub global_step: usize,
    /// Optimizer steps of the whole run.
    pub max_steps: usize,
    /// Every line of the log.
    pub log_history: Vec<LogEntry>,
    /// Evaluations since the best one.
    pub evaluations_without_improvement: usize,
    /// The step of the last evaluation.
    pub last_evaluated_step: Option<usize>,
    /// Whether early stopping ended the run.
    pub stopped_early: bool,
    /// Steps with a learning rate above zero.
    pub effective_steps: usize,
    /// What was processed.
    pub totals: Totals,
    /// Loss of the last step.
    pub last_loss: f64,
    /// The time that the chat template read, fixed for the whole run.
    pub clock: String,
    /// What must be the same in the run that goes on: recipe keys, data, base model.
    pub fingerprint: BTreeMap<String, Value>,
}

/// What a run has processed, over all epochs and sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// Rows.
    pub rows: usize,
    /// Their tokens.
    pub tokens: usize,
    /// Supervised tokens.
    pub supervised_tokens: usize,
    /// Tokens that shared prefixes spared the decoder.
    pub saved_prefix_tokens: usize,
    /// Seconds from the first batch to the last optimizer step of each session.
    pub train_seconds: f64,
}

impl TrainerState {
    /// Whether the run has nothing left to do.
    pub fn is_finished(&self) -> bool {
        self.stopped_early || self.global_step >= self.max_steps
    }
}

/// The folder of a step's checkpoint.
pub(crate) fn folder(output: &Path, step: usize) -> PathBuf {
    output.join(format!("checkpoint-{step}"))
}

/// What a checkpoint holds besides the state.
pub(crate) struct Contents<'a> {
    pub trainee: &'a Trainee,
    pub optimizer: &'a AdamW,
    pub schedule: Schedule,
    /// Seed, epoch and step within the epoch.
    pub position: [u64; 3],
}

/// Writes a checkpoint beside its place and moves it there, so that it is whole or absent. Returns its folder.
pub(crate) fn write(
    output: &Path,
    state: &TrainerState,
    contents: &Contents<'_>,
) -> Result<PathBuf> {
    let place = folder(output, state.global_step);
    let partial = output.join(format!(".checkpoint-{}{PARTIAL}", state.global_step));
    remove_folder(&partial)?;
    contents.trainee.save_state(&partial)?;
    write_whole(&partial.join(OPTIMIZER), &contents.optimizer.to_safetensors()?)?;
    write_json(&partial.join(SCHEDULER), &scheduler(contents.schedule, state.global_step))?;
    let [seed, epoch, step_in_epoch] = contents.position;
    // Rows and dropout are drawn from the seed and the step alone, so no generator's state is needed.
    let random = json!({ "seed": seed, "epoch": epoch, "step_in_epoch": step_in_epoch });
    write_json(&partial.join(RANDOM), &random)?;
    write_json(&partial.join(STATE), state)?;
    let old = set_aside(&place)?;
    rename(&partial, &place)?;
    remove_folder(&old)?;
    Ok(place)
}

/// Moves a checkpoint, if it is there, to a name that no listing shows, and returns that place.
fn set_aside(place: &Path) -> Result<PathBuf> {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let old = place.with_file_name(format!(".{name}{OLD}"));
    if place.is_dir() {
        remove_folder(&old)?;
        rename(place, &old)?;
    }
    Ok(old)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|source| TrainError::Io { path: to.into(), source })
}

/// Removes a checkpoint, so that a crash never leaves a part of it under its name.
pub(crate) fn remove(place: &Path) -> Result<()> {
    let old = set_aside(place)?;
    remove_folder(&old)
}

/// Brings back the checkpoints that a crash left aside while they were being replaced.
pub(crate) fn recover(output: &Path) -> Result<()> {
    let io = |source| TrainError::Io { path: output.into(), source };
    if !output.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(output).map_err(io)? {
        let old = entry.map_err(io)?.path();
        let name = old.file_name().and_then(|name| name.to_str());
        let Some(name) = name.and_then(|name| name.strip_prefix('.')?.strip_suffix(OLD)) else {
            continue;
        };
        let place = output.join(name);
        if step_of(name).is_none() {
            continue;
        }
        // Without a new one beside it, the old one was being deleted.
        let replaced = output.join(format!(".{name}{PARTIAL}")).join(STATE).is_file();
        if replaced && !place.exists() {
            rename(&old, &place)?;
        } else {
            remove_folder(&old)?;
        }
    }
    Ok(())
}

/// The step in the name of a checkpoint's folder.
fn step_of(name: &str) -> Option<usize> {
    name.strip_prefix("checkpoint-")?.parse().ok()
}

fn scheduler(schedule: Schedule, step: usize) -> Value {
    json!({
        "lr_scheduler_type": format!("{:?}", schedule.shape).to_lowercase(),
        "base_lr": schedule.peak,
        "warmup_steps": schedule.warmup_steps,
        "total_steps": schedule.total_steps,
        "last_epoch": step,
        "next_lr": schedule.learning_rate(step),
    })
}

/// The JSON text of a value, in a file that is whole or absent.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|source| TrainError::Json { path: path.into(), source })?;
    Ok(write_whole(path, (text + "\n").as_bytes())?)
}

/// The state in a checkpoint.
///
/// # Errors
/// When the folder is not a checkpoint.
pub fn read_state(checkpoint: &Path) -> Result<TrainerState> {
    let path = checkpoint.join(STATE);
    if !path.is_file() {
        let reason = format!("no `{STATE}`, so this is not a checkpoint");
        return Err(TrainError::BadCheckpoint { path: checkpoint.into(), reason });
    }
    let bytes =
        std::fs::read(&path).map_err(|source| TrainError::Io { path: path.clone(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| TrainError::Json { path, source })
}

/// What is trained and the optimizer in a checkpoint.
pub(crate) fn read_tensors(
    checkpoint: &Path,
    material: &Material<'_>,
    constants: AdamWConstants,
    step: usize,
) -> Result<(Trainee, AdamW)> {
    let trainee = material.trainee.load_state(material.decoder, checkpoint)?;
    let path = checkpoint.join(OPTIMIZER);
    let device = material.decoder.device();
    let optimizer = AdamW::from_safetensors(constants, &path, step, device)?;
    optimizer.check_complete(&trainee, &path)?;
    Ok((trainee, optimizer))
}

/// Nothing, where the checkpoint belongs to the same run.
pub(crate) fn check_fingerprint(
    checkpoint: &Path,
    then: &BTreeMap<String, Value>,
    now: &BTreeMap<String, Value>,
) -> Result<()> {
    let keys: std::collections::BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let shown =
        |value: Option<&Value>| value.map_or("absent".to_owned(), |value| format!("`{value}`"));
    match keys.into_iter().find(|key| then.get(*key) != now.get(*key)) {
        None => Ok(()),
        Some(key) => Err(TrainError::OtherRun {
            checkpoint: checkpoint.into(),
            key: key.clone(),
            then: shown(then.get(key)),
            now: shown(now.get(key)),
        }),
    }
}

/// The checkpoints of a folder with their steps, the earliest first.
///
/// # Errors
/// When the folder is there and cannot be read.
pub fn list(output: &Path) -> Result<Vec<(usize, PathBuf)>> {
    let io = |source| TrainError::Io { path: output.into(), source };
    if !output.is_dir() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(output).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let step = name.and_then(step_of);
        if let (Some(step), true) = (step, path.join(STATE).is_file()) {
            found.push((step, path));
        }
    }
    found.sort();
    Ok(found)
}

/// Deletes the earliest checkpoints beyond `limit`, but never the best and never the newest written.
pub(crate) fn prune(output: &Path, limit: usize, best: Option<usize>, newest: usize) -> Result<()> {
    let all = list(output)?;
    let excess = all.len().saturating_sub(limit);
    let kept = |step: usize| step == newest || Some(step) == best;
    for (_, path) in all.iter().filter(|(step, _)| !kept(*step)).take(excess) {
        remove(path)?;
    }
    Ok(())
}

/// Removes a folder, if it is there.
fn remove_folder(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::Io { path: path.into(), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_checkpoints(steps: &[usize]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for step in steps {
            let place = folder(dir.path(), *step);
            std::fs::create_dir(&place).unwrap();
            write_json(&place.join(STATE), &TrainerState::default()).unwrap();
        }
        std::fs::create_dir(dir.path().join("checkpoint-best")).unwrap();
        std::fs::create_dir(dir.path().join(".checkpoint-99.partial")).unwrap();
        dir
    }

    fn steps(dir: &Path) -> Vec<usize> {
        list(dir).unwrap().into_iter().map(|(step, _)| step).collect()
    }

    #[test]
    fn checkpoints_are_listed_by_number_and_partial_ones_are_not() {
        let dir = with_checkpoints(&[100, 20, 3]);
        assert_eq!(steps(dir.path()), [3, 20, 100]);
        assert_eq!(steps(&dir.path().join("absent")), [0; 0]);
    }

    #[test]
    fn pruning_spares_the_best_and_the_newest() {
        let dir = with_checkpoints(&[1, 2, 3, 4, 5]);
        prune(dir.path(), 2, Some(2), 5).unwrap();
        assert_eq!(steps(dir.path()), [2, 5]);
        let dir = with_checkpoints(&[1, 2, 3]);
        prune(dir.path(), 1, Some(1), 3).unwrap();
        assert_eq!(steps(dir.path()), [1, 3]);
    }

    #[test]
    fn a_checkpoint_that_a_crash_left_aside_while_it_was_replaced_comes_back() {
        let dir = with_checkpoints(&[3, 7]);
        for step in [3, 7] {
            set_aside(&folder(dir.path(), step)).unwrap();
        }
        assert_eq!(steps(dir.path()), [0; 0]);
        let partial = dir.path().join(".checkpoint-7.partial");
        std::fs::create_dir(&partial).unwrap();
        write_json(&partial.join(STATE), &TrainerState::default()).unwrap();
        recover(dir.path()).unwrap();
        assert_eq!(steps(dir.path()), [7]);
        remove(&folder(dir.path(), 7)).unwrap();
        assert_eq!(steps(dir.path()), [0; 0]);
        assert!(!dir.path().join(".checkpoint-7.old").exists());
    }

    #[test]
    fn another_run_is_refused_by_the_first_key_that_differs() {
        let then = BTreeMap::from([("data".to_owned(), json!("a")), ("r".to_owned(), json!(8))]);
        let mut now = then.clone();
        check_fingerprint(Path::new("c"), &then, &now).unwrap();
        now.insert("r".to_owned(), json!(16));
        let error = check_fingerprint(Path::new("c"), &then, &now).unwrap_err();
        let expected = "`c`: `r` was `8` when it was saved and is `16` now, expected the same";
        assert_eq!(error.to_string(), expected);
        now.remove("r");
        let error = check_fingerprint(Path::new("c"), &then, &now).unwrap_err();
        assert!(error.to_string().contains("is absent now"));
    }

    #[test]
    fn a_folder_without_state_is_not_a_checkpoint() {
        let dir = tempfile::tempdir().unwrap();
        let error = read_state(dir.path()).unwrap_err().to_string();
        assert!(error.ends_with("no `trainer_state.json`, so this is not a checkpoint"), "{error}");
    }
}
