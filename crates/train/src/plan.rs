//! What a run will take, before it starts: pieces, memory, and after a few measured steps the time.
//!
//! Units: tokens, bytes, seconds.

use std::sync::atomic::AtomicBool;
use std::time::Instant;

use tunewise_data::{PrefixSharing, TokenExample, TokenRows};
use tunewise_model::{memory, Checkpointing, Decoder, MemoryEstimate, PieceSize};

use crate::batch::{batch, pieces};
use crate::error::Result;
use crate::sampler::Sampler;
use crate::settings::Settings;
use crate::step::{self, StepPlan};
use crate::summary::{available_memory_bytes, resident_memory_bytes};
use crate::trainee::Trainee;
use crate::trainer::rows_at;

/// Steps that are measured, after one that warms up.
const MEASURED: usize = 3;
/// The share of the memory that is free which a second packing of the weights may leave a run to take.
const SHARE_FOR_SPEED: f64 = 0.5;

/// What a run will take.
#[derive(Debug, Clone, PartialEq)]
pub struct RunPlan {
    /// Optimizer steps.
    pub steps: usize,
    /// Rows of those steps.
    pub rows: usize,
    /// Their tokens; a shared beginning counts for every row that has it.
    pub tokens: usize,
    /// Tokens that are computed: a shared beginning counts once a piece.
    pub computed_tokens: usize,
    /// Tokens that are predicted.
    pub supervised_tokens: usize,
    /// The largest piece.
    pub largest: PieceSize,
    /// What the run keeps.
    pub memory: MemoryEstimate,
    /// The largest memory that the process will have.
    pub peak_memory_bytes: Option<usize>,
    /// Memory that the machine has free.
    pub available_memory_bytes: Option<u64>,
    /// Whether intermediate values are computed again in the backward pass.
    pub recomputes: bool,
    /// Time of the steps, from some that were measured.
    pub seconds: f64,
    /// Steps that were measured.
    pub measured_steps: usize,
}

/// The pieces of a run, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Work {
    pub rows: usize,
    pub tokens: usize,
    pub computed_tokens: usize,
    pub supervised_tokens: usize,
    pub largest_tokens: usize,
    pub largest_targets: usize,
}

impl Work {
    /// The pieces of the first `steps` steps, at most an epoch's.
    pub fn of(
        train: &TokenRows,
        sampler: &Sampler,
        steps: usize,
        settings: &Settings,
    ) -> Result<Self> {
        let mut sampler = sampler.clone();
        let mut work = Self::default();
        for step in 0..steps.min(sampler.steps_per_epoch()) {
            let rows = rows_at(train, &sampler.rows_of(step))?;
            let rows: Vec<&TokenExample> = rows.iter().collect();
            work.add(&rows, settings)?;
        }
        Ok(work)
    }

    fn add(&mut self, rows: &[&TokenExample], settings: &Settings) -> Result<()> {
        let sharing = sharing(settings);
        for piece in pieces(rows, settings.packing, settings.piece_tokens, sharing) {
            let some = &rows[piece.clone()];
            let laid_out = batch(some, piece.start, sharing)?;
            let computed = laid_out.tree.ids().len();
            self.rows += some.len();
            self.tokens += some.iter().map(|row| row.ids.len()).sum::<usize>();
            self.computed_tokens += computed;
            self.supervised_tokens += laid_out.targets.len();
            self.largest_tokens = self.largest_tokens.max(computed);
            self.largest_targets = self.largest_targets.max(laid_out.targets.len());
        }
        Ok(())
    }

    /// The largest piece.
    pub fn largest(&self) -> PieceSize {
        PieceSize { tokens: self.largest_tokens, targets: self.largest_targets }
    }
}

fn sharing(settings: &Settings) -> PrefixSharing {
    if settings.dropout > 0.0 {
        PrefixSharing::Separate
    } else {
        PrefixSharing::Share
    }
}

/// Chooses what depends on memory, and says so: where the plain way does not fit, intermediate values are computed
/// again; where there is plenty, weights are packed for both directions. Neither changes a bit of the result.
pub(crate) fn fit(
    decoder: &Decoder,
    trainee: &Trainee,
    piece: PieceSize,
    settings: &mut Settings,
    may_recompute: bool,
    notice: &mut dyn FnMut(&str),
) -> MemoryEstimate {
    let estimate = |checkpointing| {
        let (config, dtype) = (decoder.config(), decoder.dtype());
        match trainee {
            Trainee::Adapter(adapter) => {
                memory::training(config, dtype, adapter, piece, checkpointing)
            }
            Trainee::Model(_) => memory::training_of_model(config, dtype, piece, checkpointing),
        }
    };
    let plain = estimate(settings.checkpointing);
    let Some(free) = available_memory_bytes() else {
        decoder.pack_backward();
        return plain;
    };
    // The forward's weights are in memory already.
    let needed = |estimate: MemoryEstimate| (estimate.total() - estimate.weights) as f64;
    if needed(plain) <= SHARE_FOR_SPEED * free as f64 {
        decoder.pack_backward();
        return plain;
    }
    let one = plain.with_one_packing();
    if needed(one) <= free as f64
        || !may_recompute
        || settings.checkpointing == Checkpointing::Recompute
    {
        return one;
    }
    settings.checkpointing = Checkpointing::Recompute;
    notice("intermediate values do not fit in memory and are computed again in the backward pass, as with `gradient_checkpointing: true`");
    estimate(Checkpointing::Recompute).with_one_packing()
}

/// Measures a few steps, which move nothing, and tells what the whole run will take.
///
/// # Errors
/// When a token is outside the vocabulary or a piece cannot be laid out.
#[allow(clippy::too_many_arguments)]
pub(crate) fn measure(
    decoder: &Decoder,
    trainee: &Trainee,
    train: &TokenRows,
    sampler: &Sampler,
    steps: usize,
    settings: &Settings,
    memory: MemoryEstimate,
    work: Work,
) -> Result<RunPlan> {
    // Everything but the weights, which are there, comes on top of what the process has now.
    let peak = resident_memory_bytes().map(|resident| {
        resident as usize + memory.total() - memory.weights - memory.backward_weights
    });
    let (seconds, measured_steps) = time_steps(decoder, trainee, train, sampler, steps, settings)?;
    let scale = |count: usize| {
        let per_epoch = steps.min(sampler.steps_per_epoch()).max(1);
        (count as f64 * steps as f64 / per_epoch as f64).round() as usize
    };
    Ok(RunPlan {
        steps,
        rows: scale(work.rows),
        tokens: scale(work.tokens),
        computed_tokens: scale(work.computed_tokens),
        supervised_tokens: scale(work.supervised_tokens),
        largest: work.largest(),
        memory,
        peak_memory_bytes: peak,
        available_memory_bytes: available_memory_bytes(),
        recomputes: settings.checkpointing == Checkpointing::Recompute,
        seconds: seconds * scale(work.computed_tokens) as f64,
        measured_steps,
    })
}

/// Seconds for each computed token, and the steps that were measured.
fn time_steps(
    decoder: &Decoder,
    trainee: &Trainee,
    train: &TokenRows,
    sampler: &Sampler,
    steps: usize,
    settings: &Settings,
) -> Result<(f64, usize)> {
    let mut sampler = sampler.clone();
    let mut gradients = trainee.zero_gradients();
    let plan = StepPlan::of(settings);
    let never = AtomicBool::new(false);
    let count = steps.min(sampler.steps_per_epoch());
    let measured = MEASURED.min(count).max(1);
    let mut computed = Work::default();
    let mut seconds = 0.0;
    for index in 0..=measured {
        // The first warms up; the others are spread over the epoch.
        let step = index.saturating_sub(1) * count / measured;
        let rows = rows_at(train, &sampler.rows_of(step))?;
        let rows: Vec<&TokenExample> = rows.iter().collect();
        let begin = Instant::now();
        step::gradients(decoder, trainee, &rows, plan, step, &never, &mut gradients)?;
        if index > 0 {
            seconds += begin.elapsed().as_secs_f64();
            computed.add(&rows, settings)?;
        }
    }
    Ok((seconds / computed.computed_tokens.max(1) as f64, measured))
}
