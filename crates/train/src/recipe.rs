//! The recipe of a training run: one struct, one key per field, read from YAML and from flags.

mod check;
mod describe;
mod keys;
mod read;
mod targets;
mod value;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use describe::KeyInfo;
pub use targets::{Layers, ModuleNames, Patterns, TargetModules};
pub use value::{
    BaseNumbers, ComputeDevice, DataFormat, FinetuneType, InitLoraWeights, LengthStrategy, Report,
    Reports, Resume, RowFault, ScheduleName, TrainedTurns,
};

/// A recipe: what to train, on what, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Recipe {
    /// Folder of the base model, as Hugging Face lays it out.
    pub model_name_or_path: Option<String>,
    /// JSONL file to train on, or a folder with `train.jsonl` and, where there are, `valid.jsonl` and `test.jsonl`.
    pub data: Option<String>,
    /// Folder for the adapter or the trained model, its checkpoints and its logs.
    #[schemars(extend("minLength" = 1))]
    pub output_dir: Option<String>,
    /// What is trained: an adapter (`lora`), or every weight of the model (`full`), for which a learning rate of 1e-5 to
    /// 5e-5 is usual. The LoRA keys then have no effect.
    pub finetune_type: FinetuneType,
    /// Whether the model starts from random weights, drawn from `seed`, as its `config.json` has it, and needs none in its
    /// folder; with `finetune_type: full`.
    pub from_scratch: bool,
    /// How the rows are written; `auto` looks at the first row of each file.
    pub data_format: DataFormat,
    /// Key of a row that stands for `prompt`.
    pub prompt_feature: Option<String>,
    /// Key of a row that stands for `completion`.
    pub completion_feature: Option<String>,
    /// Key of a row that stands for `text`.
    pub text_feature: Option<String>,
    /// What a bad row does: `fail` stops before training, `skip` leaves it out and counts it.
    pub on_bad_row: RowFault,
    /// Which assistant turns are trained on: `all`, or the `last` one.
    pub train_on: TrainedTurns,
    /// Longest row, in tokens; `null` is the model's context.
    #[schemars(extend("minimum" = 1))]
    pub max_length: Option<usize>,
    /// What a longer row does: `raise` stops before training, `truncate` cuts its end, `drop` leaves it out.
    pub excess_length_strategy: LengthStrategy,
    /// Whether rows of a micro-batch are laid out together, shared prefixes once. Layout alone: the result is the same.
    pub packing: bool,
    /// Whether each epoch has its own order of rows, from `seed`; `false` keeps the file's order.
    pub shuffle: bool,
    /// PEFT adapter folder to start from; its configuration (rank, alpha, targets) then governs.
    pub init_adapter: Option<String>,
    /// Rank of the adapter.
    #[schemars(extend("minimum" = 1, "maximum" = check::MOST_RANK))]
    pub r: usize,
    /// Scale of the adapter: its output is multiplied by alpha/r, with `use_rslora` by alpha/√r.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub lora_alpha: f64,
    /// Share of the adapter's inputs set to zero while training. Above 0, shared prefixes are computed per row.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub lora_dropout: f64,
    /// Layers that get an adapter: `all-linear` (without the output head), a list of names, or one regular
    /// expression over whole paths.
    pub target_modules: TargetModules,
    /// Names, or a regular expression, of layers that get none after all.
    pub exclude_modules: Option<ModuleNames>,
    /// Numbers of the blocks that get an adapter; `null` is every block.
    pub layers_to_transform: Option<Layers>,
    /// Rank by layer name or regular expression, where it is not `r`.
    #[schemars(extend("additionalProperties" = serde_json::json!({ "type": "integer", "minimum": 1, "maximum": check::MOST_RANK })))]
    pub rank_pattern: Patterns<usize>,
    /// Alpha by layer name or regular expression, where it is not `lora_alpha`.
    #[schemars(extend("additionalProperties" = serde_json::json!({ "type": "number", "exclusiveMinimum": 0 })))]
    pub alpha_pattern: Patterns<f64>,
    /// Whether the scale is alpha/√r, which keeps it steady at high ranks.
    pub use_rslora: bool,
    /// Whether weights are split into magnitude and direction (DoRA). Not built yet.
    pub use_dora: bool,
    /// How A starts (B starts at zero): `true` as PEFT does (Kaiming), or `gaussian`.
    pub init_lora_weights: InitLoraWeights,
    /// Highest learning rate.
    #[schemars(extend("minimum" = 0))]
    pub learning_rate: f64,
    /// How the learning rate falls: `cosine`, `linear`, or `constant` (which has no warm-up).
    pub lr_scheduler_type: ScheduleName,
    /// Share of the steps over which the learning rate rises from zero, rounded up to steps.
    #[schemars(extend("minimum" = 0, "maximum" = 1))]
    pub warmup_ratio: f64,
    /// Steps over which the learning rate rises from zero; above 0 it goes before `warmup_ratio`.
    pub warmup_steps: usize,
    /// Share of the adapter's weights taken away per step and unit of learning rate (AdamW, decoupled).
    #[schemars(extend("minimum" = 0))]
    pub weight_decay: f64,
    /// AdamW's decay of the mean gradient.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub adam_beta1: f64,
    /// AdamW's decay of the mean squared gradient.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub adam_beta2: f64,
    /// AdamW's addition to the root of the mean squared gradient.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub adam_epsilon: f64,
    /// Largest norm of the gradient over all tensors; a larger one is scaled down. 0 never clips.
    #[schemars(extend("minimum" = 0))]
    pub max_grad_norm: f64,
    /// Rows computed at once in training.
    #[schemars(extend("minimum" = 1, "maximum" = check::MOST_STEP_ROWS))]
    pub per_device_train_batch_size: usize,
    /// Rows computed at once in evaluation.
    #[schemars(extend("minimum" = 1))]
    pub per_device_eval_batch_size: usize,
    /// Micro-batches per optimizer step: a step takes batch size × this many rows.
    #[schemars(extend("minimum" = 1, "maximum" = check::MOST_STEP_ROWS))]
    pub gradient_accumulation_steps: usize,
    /// Tokens of an optimizer step, about, instead of a number of rows; `null` counts rows.
    #[schemars(extend("minimum" = 1))]
    pub tokens_per_batch: Option<usize>,
    /// Passes over the rows; a fraction is fine.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub num_train_epochs: f64,
    /// Optimizer steps of the run, whatever the epochs; -1 or `null` goes by the epochs.
    #[schemars(extend("minimum" = -1, "not" = serde_json::json!({ "const": 0 })))]
    pub max_steps: Option<i64>,
    /// Whether a block's intermediate values are computed again in the backward pass instead of kept. Saves memory.
    pub gradient_checkpointing: bool,
    /// Number format of the base weights: `auto` (bf16 where the model's files have it and
    /// the processor multiplies it, else f32), `f32`, or `bf16`.
    pub dtype: BaseNumbers,
    /// Where to compute: `auto` or `cpu`.
    pub device: ComputeDevice,
    /// Threads to compute with; `null` is one per processor core. The result is the same for any number.
    #[schemars(extend("minimum" = 1))]
    pub threads: Option<usize>,
    /// Seed of the adapter's start, the order of rows and dropout.
    pub seed: u64,
    /// Steps between evaluations on the valid split; `null` evaluates at the end of each epoch.
    #[schemars(extend("minimum" = 1))]
    pub eval_steps: Option<usize>,
    /// Steps between checkpoints; `null` keeps only the last step's and the best.
    #[schemars(extend("minimum" = 1))]
    pub save_steps: Option<usize>,
    /// How many checkpoints are kept; the best one is never deleted. `null` keeps all that `save_steps` asked for.
    #[schemars(extend("minimum" = 1))]
    pub save_total_limit: Option<usize>,
    /// Whether the adapter at the end is the one with the lowest loss on the valid split, not the last.
    pub load_best_model_at_end: bool,
    /// Evaluations without improvement after which training stops; `null` never stops early.
    #[schemars(extend("minimum" = 1))]
    pub early_stopping_patience: Option<usize>,
    /// `true` continues from the latest checkpoint of `output_dir`, a folder from that checkpoint.
    pub resume_from_checkpoint: Resume,
    /// Steps between lines of the log; each line has that step's own figures.
    #[schemars(extend("minimum" = 1))]
    pub logging_steps: usize,
    /// Logs to write: `jsonl` (`metrics.jsonl`), `tensorboard` (event files in `runs`), `all`, or `none`.
    pub report_to: Reports,
    #[serde(skip)]
    explicit: BTreeSet<String>,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            model_name_or_path: None,
            data: None,
            output_dir: None,
            finetune_type: FinetuneType::Lora,
            from_scratch: false,
            data_format: DataFormat::Auto,
            prompt_feature: None,
            completion_feature: None,
            text_feature: None,
            on_bad_row: RowFault::Fail,
            train_on: TrainedTurns::All,
            max_length: None,
            excess_length_strategy: LengthStrategy::Raise,
            packing: true,
            shuffle: true,
            init_adapter: None,
            r: 8,
            lora_alpha: 16.0,
            lora_dropout: 0.0,
            target_modules: TargetModules::AllLinear,
            exclude_modules: None,
            layers_to_transform: None,
            rank_pattern: Patterns::default(),
            alpha_pattern: Patterns::default(),
            use_rslora: false,
            use_dora: false,
            init_lora_weights: InitLoraWeights::Kaiming,
            learning_rate: 2e-4,
            lr_scheduler_type: ScheduleName::Cosine,
            warmup_ratio: 0.0,
            warmup_steps: 0,
            weight_decay: 0.0,
            adam_beta1: 0.9,
            adam_beta2: 0.999,
            adam_epsilon: 1e-8,
            max_grad_norm: 1.0,
            per_device_train_batch_size: 8,
            per_device_eval_batch_size: 8,
            gradient_accumulation_steps: 1,
            tokens_per_batch: None,
            num_train_epochs: 3.0,
            max_steps: Some(-1),
            gradient_checkpointing: false,
            dtype: BaseNumbers::Auto,
            device: ComputeDevice::Auto,
            threads: None,
            seed: 42,
            eval_steps: None,
            save_steps: Some(500),
            save_total_limit: None,
            load_best_model_at_end: false,
            early_stopping_patience: None,
            resume_from_checkpoint: Resume::No,
            logging_steps: 1,
            report_to: Reports(vec![Report::Jsonl, Report::Tensorboard]),
            explicit: BTreeSet::new(),
        }
    }
}

impl Recipe {
    /// Whether a file or a flag set the key, be it to its default.
    pub fn is_explicit(&self, key: &str) -> bool {
        self.explicit.contains(key)
    }

    /// The optimizer steps asked for; `None` where the epochs decide.
    pub fn max_steps(&self) -> Option<usize> {
        self.max_steps.and_then(|steps| usize::try_from(steps).ok())
    }
}
