//! What a run tells while it goes on.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The figures of one optimizer step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// The step, counted from 1.
    pub step: usize,
    /// Epochs passed, this step included.
    pub epoch: f64,
    /// Mean negative log-likelihood of the step's supervised tokens, in nats.
    pub loss: f64,
    /// Norm of the gradient over all tensors, before clipping.
    pub grad_norm: f64,
    /// The learning rate that the step used.
    pub learning_rate: f64,
    /// Tokens of the rows processed so far, over all epochs.
    pub num_tokens: usize,
    /// Share of the step's supervised tokens that were predicted best.
    pub mean_token_accuracy: f64,
    /// Tokens of the step's rows per second of the step.
    pub tokens_per_second: f64,
    /// The process's largest memory so far, in bytes.
    pub peak_memory_bytes: Option<u64>,
}

/// The figures of one evaluation on the valid split.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EvaluationRecord {
    /// Optimizer steps taken before it.
    pub step: usize,
    /// Epochs passed.
    pub epoch: f64,
    /// Mean negative log-likelihood per supervised token, in nats.
    pub eval_loss: f64,
    /// Share of supervised tokens that were predicted best.
    pub eval_mean_token_accuracy: f64,
    /// Supervised tokens.
    pub eval_supervised_tokens: usize,
    /// Seconds it took.
    pub eval_runtime: f64,
}

/// A line of the log.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum LogEntry {
    /// An optimizer step.
    Step(StepRecord),
    /// An evaluation.
    Evaluation(EvaluationRecord),
}

/// Something that happened in a run, for whoever shows it.
#[derive(Debug)]
pub enum Event<'a> {
    /// A sentence to be said once.
    Notice(&'a str),
    /// The first row to train on, as the model sees it.
    FirstRow {
        /// Its physical line.
        line: usize,
        /// Its rendered text.
        text: &'a str,
        /// Its tokens.
        ids: &'a [u32],
        /// The supervised ones among them.
        supervised: usize,
    },
    /// The loop is about to take its first step of this session.
    Begin {
        /// Steps already taken by the run that is resumed.
        steps_taken: usize,
        /// Steps of the whole run.
        total_steps: usize,
        /// Trainable numbers.
        trainable: usize,
        /// Frozen numbers.
        frozen: usize,
    },
    /// A step is done.
    Step {
        /// Its figures.
        record: &'a StepRecord,
        /// Steps of the whole run.
        total_steps: usize,
    },
    /// An evaluation is done.
    Evaluation(&'a EvaluationRecord),
    /// A checkpoint is on disk.
    Checkpoint(&'a Path),
}

/// Whoever shows what happens.
pub type Observer<'a> = dyn FnMut(Event<'_>) + 'a;
