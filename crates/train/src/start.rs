//! Where a run starts: at its first step, at a checkpoint, or not at all because it is finished.

use std::path::{Path, PathBuf};

use crate::checkpoint::{self, TrainerState};
use crate::error::{Result, TrainError};
use crate::logs;
use crate::model_card::{finished_run, has_record, remove_result};
use crate::optimizer::AdamW;
use crate::record::{Event, Observer};
use crate::settings::{ResumeFrom, Settings};
use crate::summary::TrainSummary;
use crate::trainee::Trainee;
use crate::trainer::Material;

/// The beginning of a session.
pub(crate) enum Start {
    /// Here.
    At(Box<Position>),
    /// Nowhere: the run is finished.
    AlreadyFinished(TrainSummary),
}

/// Where a run stands before the next step.
pub(crate) struct Position {
    /// Steps taken, best evaluation, log, totals.
    pub state: TrainerState,
    /// What is trained, after those steps.
    pub trainee: Trainee,
    /// The optimizer after those steps.
    pub optimizer: AdamW,
    /// Whether they come from a checkpoint of the output folder.
    pub saved_here: bool,
}

/// Where the run of `settings` starts. Makes the output folder ready for it.
pub(crate) fn prepare(
    material: &Material<'_>,
    settings: &Settings,
    total_steps: usize,
    observer: &mut Observer<'_>,
) -> Result<Start> {
    let output = &settings.output_dir;
    std::fs::create_dir_all(output)
        .map_err(|source| TrainError::Io { path: output.clone(), source })?;
    let fingerprint = material.provenance.fingerprint(material.train, material.valid)?;
    let fresh = TrainerState {
        max_steps: total_steps,
        fingerprint,
        clock: material.provenance.clock.clone(),
        ..TrainerState::default()
    };
    let Some(dir) = resumed_checkpoint(settings, observer)? else {
        if let Some(summary) = finished_before(settings, &fresh)? {
            return Ok(already_finished(summary, observer));
        }
        clear(output, observer)?;
        return Ok(Start::At(Box::new(Position {
            state: fresh,
            trainee: material.trainee.clone(),
            optimizer: AdamW::new(settings.adamw),
            saved_here: false,
        })));
    };
    let mut state = checkpoint::read_state(&dir)?;
    checkpoint::check_fingerprint(&dir, &state.fingerprint, &fresh.fingerprint)?;
    state.max_steps = total_steps;
    if let Some(summary) = finished_before(settings, &fresh)?.filter(|_| state.is_finished()) {
        return Ok(already_finished(summary, observer));
    }
    let (trainee, optimizer) =
        checkpoint::read_tensors(&dir, material, settings.adamw, state.global_step)?;
    let notice = format!("resuming from `{}` after step {}", dir.display(), state.global_step);
    observer(Event::Notice(&notice));
    let saved_here = is_same_folder(&dir, &checkpoint::folder(output, state.global_step));
    match lies_in(&dir, output) {
        true => remove_result(output)?,
        false => clear(output, observer)?,
    }
    Ok(Start::At(Box::new(Position { state, trainee, optimizer, saved_here })))
}

/// The time that the templates of the run to be resumed read; `None` for a new run.
pub(crate) fn earlier_clock(settings: &Settings) -> Result<Option<String>> {
    if let Some(dir) = resumed_checkpoint(settings, &mut |_| {})? {
        return Ok(Some(checkpoint::read_state(&dir)?.clock));
    }
    let finished = match settings.resume {
        ResumeFrom::Start => None,
        _ => finished_run(&settings.output_dir)?,
    };
    Ok(finished.map(|run| run.clock))
}

/// The checkpoint to go on from; `None` for a run from the first step.
fn resumed_checkpoint(settings: &Settings, observer: &mut Observer<'_>) -> Result<Option<PathBuf>> {
    match &settings.resume {
        ResumeFrom::Start => Ok(None),
        ResumeFrom::Checkpoint(dir) => Ok(Some(dir.clone())),
        ResumeFrom::Latest => {
            checkpoint::recover(&settings.output_dir)?;
            let latest = checkpoint::list(&settings.output_dir)?.pop();
            if latest.is_none() {
                let output = settings.output_dir.display();
                let notice = format!("no checkpoint in `{output}`: starting from the first step");
                observer(Event::Notice(&notice));
            }
            Ok(latest.map(|(_, dir)| dir))
        }
    }
}

/// The summary of the same run, where the output folder holds it whole and the settings ask to resume.
fn finished_before(settings: &Settings, now: &TrainerState) -> Result<Option<TrainSummary>> {
    if settings.resume == ResumeFrom::Start {
        return Ok(None);
    }
    let same = finished_run(&settings.output_dir)?
        .filter(|run| run.fingerprint == now.fingerprint && run.total_steps == now.max_steps);
    Ok(same.map(|run| run.summary))
}

fn already_finished(summary: TrainSummary, observer: &mut Observer<'_>) -> Start {
    let notice = format!("the run in `{}` is finished: nothing to do", summary.adapter);
    observer(Event::Notice(&notice));
    Start::AlreadyFinished(summary)
}

fn is_same_folder(one: &Path, other: &Path) -> bool {
    matches!((one.canonicalize(), other.canonicalize()), (Ok(one), Ok(other)) if one == other)
}

fn lies_in(folder: &Path, parent: &Path) -> bool {
    let folder = folder.canonicalize().unwrap_or_default();
    folder.parent().is_some_and(|found| is_same_folder(found, parent))
}

/// Makes room for a new run: a finished one is replaced, an unfinished one is an error.
fn clear(output: &Path, observer: &mut Observer<'_>) -> Result<()> {
    checkpoint::recover(output)?;
    let checkpoints = checkpoint::list(output)?;
    if let Some((_, latest)) = checkpoints.last() {
        if !checkpoint::read_state(latest)?.is_finished() {
            let checkpoint = latest.file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Err(TrainError::UnfinishedRun { output: output.into(), checkpoint });
        }
    }
    if !checkpoints.is_empty() || has_record(output) {
        let notice = format!("`{}` holds a finished run: replacing it", output.display());
        observer(Event::Notice(&notice));
        remove_result(output)?;
    }
    // The latest one, which says that the run was finished, goes last.
    for (_, dir) in &checkpoints {
        checkpoint::remove(dir)?;
    }
    logs::remove(output)
}
