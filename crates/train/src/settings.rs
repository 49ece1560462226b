//! The numbers of a run, apart from where its rows and its model come from.

use std::path::PathBuf;

use tunewise_model::Checkpointing;

use crate::optimizer::AdamWConstants;
use crate::recipe::{Recipe, Report};
use crate::sampler::RowOrder;
use crate::schedule::ScheduleShape;

/// What the training loop needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Folder for the adapter, its checkpoints and its logs.
    pub output_dir: PathBuf,
    /// Seed of dropout.
    pub seed: u64,
    /// The order of rows.
    pub order: RowOrder,
    /// Rows of a micro-batch.
    pub batch_rows: usize,
    /// Tokens of an optimizer step, about; goes before rows.
    pub tokens_per_batch: Option<usize>,
    /// Micro-batches of an optimizer step.
    pub accumulation: usize,
    /// Rows computed at once in evaluation.
    pub eval_batch_rows: usize,
    /// Passes over the rows, where `max_steps` is absent.
    pub epochs: f64,
    /// Optimizer steps of the run.
    pub max_steps: Option<usize>,
    /// Whether rows of a step are laid out together.
    pub packing: bool,
    /// Tokens that are worked through at a time; a longer row goes alone.
    pub piece_tokens: usize,
    /// Share of the adapter's inputs dropped.
    pub dropout: f64,
    /// What the backward pass starts from.
    pub checkpointing: Checkpointing,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// How the learning rate falls.
    pub schedule: ScheduleShape,
    /// Steps of warm-up; 0 or absent goes by the ratio.
    pub warmup_steps: Option<usize>,
    /// Share of the steps that warm up.
    pub warmup_ratio: f64,
    /// The optimizer's constants.
    pub adamw: AdamWConstants,
    /// Largest norm of the gradient; `None` never clips.
    pub max_grad_norm: Option<f64>,
    /// Steps between evaluations; `None` is the end of each epoch.
    pub eval_steps: Option<usize>,
    /// Steps between checkpoints; `None` is the last step alone.
    pub save_steps: Option<usize>,
    /// How many checkpoints are kept.
    pub save_total_limit: Option<usize>,
    /// Whether the best adapter is the result, not the last.
    pub load_best: bool,
    /// Evaluations without improvement before stopping.
    pub patience: Option<usize>,
    /// Steps between log lines.
    pub logging_steps: usize,
    /// Whether `metrics.jsonl` is written.
    pub jsonl: bool,
    /// Whether TensorBoard event files are written.
    pub tensorboard: bool,
    /// Where to continue from.
    pub resume: ResumeFrom,
}

/// Tokens of a piece, unless memory asks for fewer: enough for the products' tiles, and little to keep.
pub const PIECE_TOKENS: usize = 512;

/// Where a run starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResumeFrom {
    /// At the first step.
    Start,
    /// At the latest checkpoint of the output folder.
    Latest,
    /// At this checkpoint.
    Checkpoint(PathBuf),
}

impl Settings {
    /// The settings of a recipe that writes to `output_dir`.
    ///
    /// The recipe must have passed [`Recipe::validate`].
    pub fn from_recipe(recipe: &Recipe, output_dir: PathBuf) -> Self {
        use crate::recipe::Resume;
        Self {
            output_dir,
            seed: recipe.seed,
            order: if recipe.shuffle {
                RowOrder::Shuffled { seed: recipe.seed }
            } else {
                RowOrder::File
            },
            batch_rows: recipe.per_device_train_batch_size,
            tokens_per_batch: recipe.tokens_per_batch,
            accumulation: recipe.gradient_accumulation_steps,
            eval_batch_rows: recipe.per_device_eval_batch_size,
            epochs: recipe.num_train_epochs,
            max_steps: recipe.max_steps(),
            packing: recipe.packing,
            piece_tokens: PIECE_TOKENS,
            dropout: recipe.lora_dropout,
            checkpointing: match recipe.gradient_checkpointing {
                true => Checkpointing::Recompute,
                false => Checkpointing::Keep,
            },
            learning_rate: recipe.learning_rate,
            schedule: recipe.lr_scheduler_type.into(),
            warmup_steps: Some(recipe.warmup_steps),
            warmup_ratio: recipe.warmup_ratio,
            adamw: AdamWConstants {
                beta1: recipe.adam_beta1,
                beta2: recipe.adam_beta2,
                epsilon: recipe.adam_epsilon,
                weight_decay: recipe.weight_decay,
            },
            max_grad_norm: Some(recipe.max_grad_norm).filter(|norm| *norm > 0.0),
            eval_steps: recipe.eval_steps,
            save_steps: recipe.save_steps,
            save_total_limit: recipe.save_total_limit,
            load_best: recipe.load_best_model_at_end,
            patience: recipe.early_stopping_patience,
            logging_steps: recipe.logging_steps,
            jsonl: recipe.report_to.has(Report::Jsonl),
            tensorboard: recipe.report_to.has(Report::Tensorboard),
            resume: match &recipe.resume_from_checkpoint {
                Resume::No => ResumeFrom::Start,
                Resume::Latest => ResumeFrom::Latest,
                Resume::From(dir) => ResumeFrom::Checkpoint(dir.into()),
            },
        }
    }
}
