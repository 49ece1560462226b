//! The training loop: one for every run.

mod evaluation;
mod finish;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tunewise_data::{TokenExample, TokenRows};
use tunewise_model::{Decoder, Gradients};

use crate::checkpoint::{self, Contents, TrainerState};
use crate::error::{Result, TrainError};
use crate::logs::Logs;
use crate::optimizer::{clipping_factor, AdamW};
use crate::provenance::Provenance;
use crate::record::{Event, LogEntry, Observer, StepRecord};
use crate::sampler::Sampler;
use crate::schedule::{warmup_steps, Schedule};
use crate::settings::Settings;
use crate::start::{self, Position, Start};
use crate::step::{self, places, StepPlan, Sums};
use crate::summary::{peak_memory_bytes, TrainSummary};
use crate::trained;
use crate::trainee::Trainee;

/// What is trained, on what.
#[derive(Debug)]
pub struct Material<'a> {
    /// The model that training starts from.
    pub decoder: &'a Decoder,
    /// What is trained, as it is before the first step of the run, also where the run is resumed.
    pub trainee: Trainee,
    /// Rows to train on.
    pub train: &'a TokenRows,
    /// Rows to evaluate on, where there are any.
    pub valid: Option<&'a TokenRows>,
    /// Where they come from.
    pub provenance: &'a Provenance,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The adapter is in the output folder.
    Finished(TrainSummary),
    /// It was there already; nothing was changed.
    AlreadyFinished(TrainSummary),
    /// The run was interrupted; `resume_from_checkpoint` goes on from here.
    Interrupted {
        /// The checkpoint.
        checkpoint: PathBuf,
        /// Optimizer steps taken.
        step: usize,
        /// Optimizer steps of the whole run.
        total_steps: usize,
    },
}

/// Trains an adapter, or the whole model, and writes it, its checkpoints and its logs to the output folder.
///
/// Setting `interrupt` ends the run after the last whole step with a checkpoint.
///
/// # Errors
/// When a loss or gradient is not finite, the adapter did not train, a checkpoint belongs to another run, or a file
/// cannot be written.
pub fn train(
    material: Material<'_>,
    settings: &Settings,
    interrupt: &AtomicBool,
    observer: &mut Observer<'_>,
) -> Result<Outcome> {
    check_rows(material.train)?;
    material.valid.map_or(Ok(()), check_supervised)?;
    let sampler = sampler(material.train, settings);
    let total_steps = sampler.total_steps(settings.epochs, settings.max_steps);
    let start = match start::prepare(&material, settings, total_steps, observer)? {
        Start::AlreadyFinished(summary) => return Ok(Outcome::AlreadyFinished(summary)),
        Start::At(position) => *position,
    };
    let Position { state, trainee, optimizer, saved_here } = start;
    let logs = Logs::open(
        &settings.output_dir,
        settings.jsonl,
        settings.tensorboard,
        &state.log_history,
        state.global_step,
    )?;
    observer(Event::Begin {
        steps_taken: state.global_step,
        total_steps,
        trainable: trainee.parameter_count(),
        frozen: match trainee {
            Trainee::Adapter(_) => material.decoder.parameter_count(),
            Trainee::Model(_) => 0,
        },
    });
    let mut trainer = Trainer {
        saved_step: saved_here.then_some(state.global_step),
        superseded_best: None,
        session: Session { start: None, seconds_before: state.totals.train_seconds },
        material: &material,
        settings,
        interrupt,
        observer,
        gradients: trainee.zero_gradients(),
        trainee,
        optimizer,
        sampler,
        schedule: schedule(settings, total_steps),
        state,
        logs,
    };
    trainer.run().map_err(|error| error.with_checkpoint(latest_checkpoint(&settings.output_dir)))
}

/// The rows at some places.
pub(crate) fn rows_at(train: &TokenRows, places: &[usize]) -> Result<Vec<TokenExample>> {
    let rows = places.iter().filter_map(|row| train.get(*row).transpose());
    Ok(rows.collect::<std::result::Result<_, _>>()?)
}

/// The rows of each step of a run.
pub(crate) fn sampler(train: &TokenRows, settings: &Settings) -> Sampler {
    if let Some(tokens) = settings.tokens_per_batch {
        let lengths = train.lengths().collect();
        return Sampler::by_tokens(lengths, tokens, settings.order);
    }
    let rows_per_step = settings.batch_rows.saturating_mul(settings.accumulation);
    Sampler::new(train.len(), rows_per_step, settings.order)
}

/// The name of the latest checkpoint of an output folder.
fn latest_checkpoint(output: &Path) -> Option<String> {
    let (_, dir) = checkpoint::list(output).ok()?.pop()?;
    Some(dir.file_name()?.to_string_lossy().into_owned())
}

fn schedule(settings: &Settings, total_steps: usize) -> Schedule {
    let warmup = warmup_steps(settings.warmup_steps, settings.warmup_ratio, total_steps);
    let (shape, peak) = (settings.schedule, settings.learning_rate);
    Schedule { shape, peak, warmup_steps: warmup, total_steps }
}

fn check_rows(rows: &TokenRows) -> Result<()> {
    if rows.is_empty() {
        return Err(TrainError::NoRows);
    }
    check_supervised(rows)
}

fn check_supervised(rows: &TokenRows) -> Result<()> {
    for row in rows.iter() {
        let row = row?;
        if row.supervised_tokens() == 0 {
            return Err(TrainError::NoSupervisedToken { line: row.line });
        }
    }
    Ok(())
}

/// The time of this session of a run.
struct Session {
    /// When the first batch began.
    start: Option<Instant>,
    /// Seconds of the sessions before.
    seconds_before: f64,
}

struct Trainer<'a, 'o> {
    material: &'a Material<'a>,
    settings: &'a Settings,
    interrupt: &'a AtomicBool,
    observer: &'a mut Observer<'o>,
    trainee: Trainee,
    /// Those of the step, summed over its pieces.
    gradients: Gradients,
    optimizer: AdamW,
    sampler: Sampler,
    schedule: Schedule,
    state: TrainerState,
    logs: Logs,
    /// The step whose checkpoint is in the output folder already.
    saved_step: Option<usize>,
    /// The step of the checkpoint that was the best before the current step.
    superseded_best: Option<usize>,
    session: Session,
}

impl Trainer<'_, '_> {
    fn run(&mut self) -> Result<Outcome> {
        loop {
            if self.evaluation_is_due() && !self.evaluate()? {
                return self.interrupted();
            }
            let finished = self.state.is_finished();
            if finished || self.checkpoint_is_due() {
                self.save()?;
            }
            if finished {
                return self.finish();
            }
            if self.interrupt.load(Ordering::Relaxed) || !self.step()? {
                return self.interrupted();
            }
        }
    }

    fn checkpoint_is_due(&self) -> bool {
        let step = self.state.global_step;
        let at_interval =
            self.settings.save_steps.is_some_and(|interval| step.is_multiple_of(interval));
        step > 0 && (at_interval || self.state.best_global_step == Some(step))
    }

    /// Takes one optimizer step; false where the interrupt came first.
    fn step(&mut self) -> Result<bool> {
        let begin = Instant::now();
        self.session.start.get_or_insert(begin);
        let step = self.state.global_step + 1;
        let train = self.material.train;
        let rows = self.sampler.rows_of(step - 1);
        let rows = rows_at(train, &rows)?;
        let rows: Vec<&TokenExample> = rows.iter().collect();
        let Some(sums) = self.gradients(&rows, step)? else {
            return Ok(false);
        };
        let file = &self.material.provenance.train_data.path;
        sums.check_finite(&rows, file, "loss", step)?;
        // The sum becomes a mean as it enters the optimizer, in one pass with clipping.
        let mean = 1.0 / sums.supervised as f64;
        let norm = self.gradients.global_norm() * mean;
        if !norm.is_finite() {
            let (what, places) = ("gradient norm", places(&rows, file));
            let checkpoint = None;
            return Err(TrainError::NonFinite { step, what, found: norm, places, checkpoint });
        }
        let clipping =
            self.settings.max_grad_norm.map_or(1.0, |max_norm| clipping_factor(norm, max_norm));
        let learning_rate = self.schedule.learning_rate(step - 1);
        let gradients = &self.gradients;
        let tensors = self.trainee.matrices_mut();
        self.optimizer.step(tensors, gradients, mean * clipping, learning_rate)?;
        self.trainee.moved()?;
        self.advance(&sums, rows.len(), learning_rate);
        self.report(&sums, norm, learning_rate, begin)?;
        Ok(true)
    }

    fn gradients(&mut self, rows: &[&TokenExample], step: usize) -> Result<Option<Sums>> {
        let plan = StepPlan::of(self.settings);
        self.gradients.clear();
        let (decoder, gradients) = (self.material.decoder, &mut self.gradients);
        step::gradients(decoder, &self.trainee, rows, plan, step, self.interrupt, gradients)
    }

    fn advance(&mut self, sums: &Sums, rows: usize, learning_rate: f64) {
        let state = &mut self.state;
        state.global_step += 1;
        state.epoch = self.sampler.epochs_after(state.global_step);
        state.effective_steps += usize::from(learning_rate > 0.0);
        state.last_loss = sums.loss();
        state.totals.rows += rows;
        state.totals.tokens += sums.tokens;
        state.totals.supervised_tokens += sums.supervised;
        state.totals.saved_prefix_tokens += sums.saved_prefix_tokens;
        let session = self.session.start.map_or(0.0, |start| start.elapsed().as_secs_f64());
        state.totals.train_seconds = self.session.seconds_before + session;
    }

    fn report(&mut self, sums: &Sums, norm: f64, learning_rate: f64, begin: Instant) -> Result<()> {
        let step = self.state.global_step;
        let record = StepRecord {
            step,
            epoch: self.state.epoch,
            loss: sums.loss(),
            grad_norm: norm,
            learning_rate,
            num_tokens: self.state.totals.tokens,
            mean_token_accuracy: sums.accuracy(),
            tokens_per_second: sums.tokens as f64 / begin.elapsed().as_secs_f64().max(1e-9),
            peak_memory_bytes: peak_memory_bytes(),
        };
        (self.observer)(Event::Step { record: &record, total_steps: self.state.max_steps });
        if step.is_multiple_of(self.settings.logging_steps) || step == self.state.max_steps {
            self.log(LogEntry::Step(record))?;
        }
        Ok(())
    }

    fn log(&mut self, entry: LogEntry) -> Result<()> {
        self.logs.append(&entry)?;
        self.state.log_history.push(entry);
        Ok(())
    }

    /// Writes the checkpoint of the current step, if it is not there, and returns its folder.
    fn save(&mut self) -> Result<PathBuf> {
        let (output, step) = (&self.settings.output_dir, self.state.global_step);
        let place = checkpoint::folder(output, step);
        if self.saved_step == Some(step) {
            return Ok(place);
        }
        self.check_tensors()?;
        if self.state.best_global_step == Some(step) {
            self.state.best_model_checkpoint = Some(place.display().to_string());
        }
        let steps_per_epoch = self.sampler.steps_per_epoch();
        let contents = Contents {
            trainee: &self.trainee,
            optimizer: &self.optimizer,
            schedule: self.schedule,
            position: [
                self.settings.seed,
                (step / steps_per_epoch) as u64,
                (step % steps_per_epoch) as u64,
            ],
        };
        checkpoint::write(output, &self.state, &contents)?;
        self.saved_step = Some(step);
        self.remove_superseded()?;
        if let Some(limit) = self.settings.save_total_limit {
            checkpoint::prune(output, limit, self.state.best_global_step, step)?;
        }
        (self.observer)(Event::Checkpoint(&place));
        Ok(place)
    }

    /// Removes the checkpoint that was kept only for being the best, now that a better one is on disk.
    fn remove_superseded(&mut self) -> Result<()> {
        let Some(step) = self.superseded_best.take() else { return Ok(()) };
        if self.settings.save_steps.is_some_and(|interval| step.is_multiple_of(interval)) {
            return Ok(());
        }
        checkpoint::remove(&checkpoint::folder(&self.settings.output_dir, step))
    }

    fn check_tensors(&self) -> Result<()> {
        let step = self.state.global_step;
        let tensors = self.trainee.matrices().map(|(key, matrix)| (key, matrix.values()));
        for (tensor, values) in tensors.chain(self.optimizer.numbers()) {
            if !trained::is_finite(values) {
                return Err(TrainError::NonFiniteTensor { step, tensor, checkpoint: None });
            }
        }
        Ok(())
    }

    fn interrupted(&mut self) -> Result<Outcome> {
        let (step, total_steps) = (self.state.global_step, self.state.max_steps);
        Ok(Outcome::Interrupted { checkpoint: self.save()?, step, total_steps })
    }
}
