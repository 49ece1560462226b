//! The gradient of one optimizer step and the loss of an evaluation: sums over micro-batches.

use std::sync::atomic::{AtomicBool, Ordering};

use tunewise_data::PrefixSharing;
use tunewise_data::TokenExample;
use tunewise_model::{Checkpointing, Decoder, Dropout, Gradients, TrainingPass};

use crate::batch::{batch, pieces, RowScore};
use crate::error::{Result, TrainError};
use crate::settings::Settings;
use crate::trainee::Trainee;

/// How the rows of a step are computed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StepPlan {
    /// Whether rows are laid out together.
    pub packing: bool,
    /// Tokens that are worked through at a time.
    pub piece_tokens: usize,
    /// What the backward pass starts from.
    pub checkpointing: Checkpointing,
    /// Share of the adapter's inputs dropped.
    pub dropout: f64,
    /// Seed of the masks.
    pub seed: u64,
}

impl StepPlan {
    /// The plan of a run.
    pub fn of(settings: &Settings) -> Self {
        Self {
            packing: settings.packing,
            piece_tokens: settings.piece_tokens,
            checkpointing: settings.checkpointing,
            dropout: settings.dropout,
            seed: settings.seed,
        }
    }
}

/// What the rows of a step or of an evaluation add up to.
#[derive(Debug, Default)]
pub(crate) struct Sums {
    /// Each row's part.
    pub scores: Vec<RowScore>,
    /// Supervised tokens.
    pub supervised: usize,
    /// Tokens of the rows.
    pub tokens: usize,
    /// Tokens that shared prefixes spared the decoder.
    pub saved_prefix_tokens: usize,
}

impl Sums {
    fn of(rows: &[&TokenExample]) -> Self {
        Self {
            scores: vec![RowScore::default(); rows.len()],
            supervised: rows.iter().map(|row| row.supervised_tokens()).sum(),
            tokens: rows.iter().map(|row| row.ids.len()).sum(),
            ..Self::default()
        }
    }

    /// Mean negative log-likelihood per supervised token, in nats.
    pub fn loss(&self) -> f64 {
        self.scores.iter().map(|score| score.nll).sum::<f64>() / self.supervised as f64
    }

    /// Share of the supervised tokens that were predicted best.
    pub fn accuracy(&self) -> f64 {
        self.scores.iter().map(|score| score.correct).sum::<usize>() as f64 / self.supervised as f64
    }

    /// Nothing, where the loss is a finite number; else an error with the rows of `file` whose part is not.
    pub fn check_finite(
        &self,
        rows: &[&TokenExample],
        file: &str,
        what: &'static str,
        step: usize,
    ) -> Result<()> {
        let found = self.loss();
        if found.is_finite() {
            return Ok(());
        }
        let bad = rows.iter().zip(&self.scores).filter(|(_, score)| !score.nll.is_finite());
        let bad: Vec<&TokenExample> = bad.map(|(row, _)| *row).collect();
        let places = places(if bad.is_empty() { rows } else { &bad }, file);
        Err(TrainError::NonFinite { step, what, found, places, checkpoint: None })
    }
}

/// The sums of a step's rows, with the gradients of the summed loss added to `gradients`; `None` where the interrupt
/// came first.
pub(crate) fn gradients(
    base: &Decoder,
    trainee: &Trainee,
    rows: &[&TokenExample],
    plan: StepPlan,
    step: usize,
    interrupt: &AtomicBool,
    gradients: &mut Gradients,
) -> Result<Option<Sums>> {
    let mut sums = Sums::of(rows);
    let mut scores = Vec::new();
    let sharing = if plan.dropout > 0.0 { PrefixSharing::Separate } else { PrefixSharing::Share };
    for piece in pieces(rows, plan.packing, plan.piece_tokens, sharing) {
        if interrupt.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = batch(&rows[piece.clone()], piece.start, sharing)?;
        let dropout = (plan.dropout > 0.0).then_some(Dropout {
            rate: plan.dropout as f32,
            seed: plan.seed,
            step: step as u64,
            first_row: batch.first_row as u64,
        });
        let pass = TrainingPass { checkpointing: plan.checkpointing, dropout };
        let laid_out = (&batch.tree, batch.targets.as_slice());
        trainee.add_gradients(base, laid_out, &pass, &mut scores, gradients)?;
        batch.add_scores(&scores, &mut sums.scores);
        sums.saved_prefix_tokens += batch.saved_prefix_tokens;
    }
    Ok(Some(sums))
}

/// The sums of rows that are only scored; `None` where the interrupt came first.
pub(crate) fn evaluation(
    base: &Decoder,
    trainee: &Trainee,
    rows: &[&TokenExample],
    batch_rows: usize,
    interrupt: &AtomicBool,
) -> Result<Option<Sums>> {
    let mut sums = Sums::of(rows);
    for (index, chunk) in rows.chunks(batch_rows).enumerate() {
        if interrupt.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = batch(chunk, index * batch_rows, PrefixSharing::Share)?;
        let scores = trainee.score(base, &batch.tree, &batch.targets)?;
        batch.add_scores(&scores, &mut sums.scores);
    }
    Ok(Some(sums))
}

/// Where rows stand, as a message shows it; `file` is empty where none is known.
pub(crate) fn places(rows: &[&TokenExample], file: &str) -> String {
    let mut lines: Vec<usize> = rows.iter().map(|row| row.line).collect();
    // A conversation may have become several rows.
    lines.dedup();
    let place = |line: &usize| match file {
        "" => format!("line {line}"),
        file => format!("`{file}:{line}`"),
    };
    let shown: Vec<String> = lines.iter().take(8).map(place).collect();
    match lines.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
