//! What can go wrong between a recipe and a trained adapter.

use std::path::PathBuf;

use tunewise_data::quality::Severity;
use tunewise_data::DataError;
use tunewise_model::ModelError;

use crate::checked_rows::{have, placed, RowFinding};

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, TrainError>;

/// Why a recipe was refused or a training run stopped.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A file could not be read or written.
    #[error("`{path}`: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A JSON file of an earlier run does not parse.
    #[error("`{path}`: not the JSON that a run writes: {source}", path = path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A recipe is not YAML, or a value has the wrong type.
    #[error("`{place}`: {source}")]
    RecipeValue {
        /// File and line.
        place: String,
        /// What was expected and found.
        source: serde_norway::Error,
    },
    /// A recipe file that cannot be read.
    #[error("`{path}` {found}, expected a recipe file", path = path.display())]
    RecipeFile {
        /// The file.
        path: PathBuf,
        /// What is there instead, as a predicate.
        found: String,
    },
    /// A value that is none of those that a key takes.
    #[error("{}`{key}` is `{found}`, expected {expected}", at(place))]
    WrongValue {
        /// File and line; empty for a flag.
        place: String,
        /// The recipe key.
        key: String,
        /// The value.
        found: String,
        /// What would do.
        expected: String,
    },
    /// A value given for a key is not YAML.
    #[error("`{key}` is `{found}`: {source}")]
    KeyValue {
        /// The recipe key.
        key: String,
        /// The text given.
        found: String,
        /// What was expected.
        source: serde_norway::Error,
    },
    /// A key that no recipe has.
    #[error("{}unknown recipe key `{key}`", at(place))]
    UnknownKey {
        /// File and line; empty for a flag.
        place: String,
        /// The key.
        key: String,
        /// The known key that looks most like it.
        nearest: Option<String>,
    },
    /// A key that stands twice.
    #[error("{}recipe key `{key}` stands here a second time, expected once", at(place))]
    DuplicateKey {
        /// File and line.
        place: String,
        /// The key.
        key: String,
    },
    /// A key or value that is known from other tools and that this version does not have.
    #[error("{}`{what}` is recognised but not built yet", at(place))]
    NotBuilt {
        /// File and line; empty where none is known.
        place: String,
        /// The key, or key and value.
        what: String,
        /// What serves instead.
        instead: Option<String>,
    },
    /// A value outside its range, or two values that exclude each other.
    #[error("`{key}` is {found}, expected {expected}")]
    Setting {
        /// The recipe key.
        key: &'static str,
        /// What would do.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// A key without which there is nothing to do.
    #[error("`{flag}` (recipe key `{key}`) is not set, expected {expected}")]
    MissingKey {
        /// The flag that sets it.
        flag: &'static str,
        /// The recipe key.
        key: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// A layer that the model does not have.
    #[error("`{key}` is `{found}`, expected linear layers of the model such as {expected}")]
    UnknownLayer {
        /// The recipe key.
        key: &'static str,
        /// The name or pattern.
        found: String,
        /// The names of the model's layers.
        expected: String,
        /// The known name that looks most like it.
        nearest: Option<String>,
    },
    /// An output folder in which the run would overwrite something that no run wrote.
    #[error("`output_dir` is `{}`, {found}, expected a folder for the result alone", path.display())]
    OutputTaken {
        /// The folder.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// A recipe key that contradicts the adapter that training starts from.
    #[error("`{key}` is {recipe}, expected {adapter} as in the configuration of `init_adapter`")]
    InitAdapter {
        /// The recipe key.
        key: &'static str,
        /// The recipe's value.
        recipe: String,
        /// The adapter's value.
        adapter: String,
    },
    /// Rows in which the check finds errors.
    #[error("{}, expected none: {}", have(findings, Severity::Error), placed(findings))]
    FaultyRows {
        /// The command that tells more.
        command: String,
        /// The findings of severity error.
        findings: Vec<RowFinding>,
    },
    /// A row whose loss would be empty.
    #[error("line {line} has no supervised token, expected at least one")]
    NoSupervisedToken {
        /// The row's line.
        line: usize,
    },
    /// A token that the model has no embedding for.
    #[error("`{path}:{line}`: the row has token id {id}, expected ids below {vocab_size}, the model's `vocab_size`", path = path.display())]
    TokenBeyondVocabulary {
        /// The data file.
        path: PathBuf,
        /// The row's line.
        line: usize,
        /// The token's id.
        id: u32,
        /// Token ids that the model has.
        vocab_size: usize,
    },
    /// Nothing to train on.
    #[error("no rows to train on, expected at least one")]
    NoRows,
    /// A checkpoint of another run.
    #[error("`{checkpoint}`: `{key}` was {then} when it was saved and is {now} now, expected the same", checkpoint = checkpoint.display())]
    OtherRun {
        /// The checkpoint.
        checkpoint: PathBuf,
        /// The recipe key, or `data`, `base model`, …
        key: String,
        /// The value at the time of saving.
        then: String,
        /// The value of this run.
        now: String,
    },
    /// A checkpoint that lacks something.
    #[error("`{path}`: {reason}", path = path.display())]
    BadCheckpoint {
        /// The checkpoint or its file.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// Checkpoints of a run that did not finish stand where a new run would write.
    #[error("`{output}` holds `{checkpoint}` of a run that did not finish, expected a folder without one", output = output.display())]
    UnfinishedRun {
        /// The output folder.
        output: PathBuf,
        /// Its latest checkpoint.
        checkpoint: String,
    },
    /// A loss or gradient that is not a number.
    #[error("step {step}: the {what} is {found}, expected a finite number; rows at {places}")]
    NonFinite {
        /// The optimizer step, counted from 1.
        step: usize,
        /// `loss`, `gradient norm`, …
        what: &'static str,
        /// The value.
        found: f64,
        /// File and line of the rows.
        places: String,
        /// The latest checkpoint in the output folder.
        checkpoint: Option<String>,
    },
    /// A gradient that does not fit its tensor.
    #[error("the gradient of `{tensor}` has {found} numbers, expected those of shape {shape:?}")]
    GradientShape {
        /// The tensor.
        tensor: String,
        /// Its rows and columns.
        shape: (usize, usize),
        /// Numbers of the gradient.
        found: usize,
    },
    /// A tensor that is not a number and was about to be saved.
    #[error("step {step}: `{tensor}` holds a value that is not finite, so nothing was saved")]
    NonFiniteTensor {
        /// The optimizer step, counted from 1.
        step: usize,
        /// The tensor.
        tensor: String,
        /// The latest checkpoint in the output folder.
        checkpoint: Option<String>,
    },
    /// Tensors that are what they were before training.
    #[error("{} of {total} trainable tensors did not move in {steps} steps: {}", still.len(), some(still))]
    DidNotMove {
        /// The tensors' keys.
        still: Vec<String>,
        /// How many trainable tensors there are.
        total: usize,
        /// Optimizer steps with a learning rate above zero.
        steps: usize,
    },
    /// An adapter that changes nothing.
    #[error("the logits before and after training are equal on {rows} rows after {steps} steps, expected a difference")]
    SameLogits {
        /// How many rows were compared.
        rows: usize,
        /// Optimizer steps with a learning rate above zero.
        steps: usize,
    },
    /// An adapter that is the best on the valid split because training had not begun.
    #[error("the best on the valid split is step {step}, but the learning rate was 0 up to there, expected a step that trained")]
    BestDidNotTrain {
        /// The optimizer step, counted from 1.
        step: usize,
    },
    /// The data crate refused.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model crate refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The tensor library failed.
    #[error("tensor computation: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The optimizer's state could not be put into a file.
    #[error("`optimizer.safetensors`: {0}")]
    Safetensors(#[from] safetensors::SafeTensorError),
}

impl TrainError {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownKey { nearest: Some(nearest), .. }
            | Self::UnknownLayer { nearest: Some(nearest), .. } => format!("did you mean `{nearest}`?"),
            Self::UnknownKey { .. } => "`tunewise recipe` lists every key".into(),
            Self::RecipeFile { .. } => "`tunewise recipe > recipe.yaml` writes one with every key".into(),
            Self::MissingKey { .. } => {
                "`tunewise train --model FOLDER --data rows.jsonl --output adapter`, or the keys in a `--config` file".into()
            }
            Self::Setting { key: "r", .. } => "ranks of 8 to 64 are common; 8 is the default".into(),
            Self::OutputTaken { .. } => "choose a folder of its own, such as `run`".into(),
            Self::NotBuilt { instead, .. } => return instead.clone(),
            Self::InitAdapter { key, .. } => format!("drop `{key}`, or train a new adapter without `init_adapter`"),
            Self::FaultyRows { command, .. } => {
                format!("mend them (`{command}` tells more), or pass `--force` to train anyway")
            }
            Self::NoSupervisedToken { .. } => {
                "give the row an assistant turn with weight 1, or raise `max_length`".into()
            }
            Self::TokenBeyondVocabulary { .. } => {
                "tokenizer and weights belong to different models, or the model's embeddings need resizing; for a new model, raise `vocab_size` in its `config.json`".into()
            }
            Self::OtherRun { .. } => "give the same values, or start a new run in another `output_dir`".into(),
            Self::BadCheckpoint { .. } => "resume from an earlier `checkpoint-N`".into(),
            Self::UnfinishedRun { .. } => {
                "pass `resume_from_checkpoint: true` to continue it, remove its checkpoints, or choose another `output_dir`".into()
            }
            Self::NonFinite { checkpoint, .. } | Self::NonFiniteTensor { checkpoint, .. } => {
                let saved = match checkpoint {
                    Some(checkpoint) => format!("`{checkpoint}` is intact"),
                    None => "no checkpoint was saved".to_owned(),
                };
                format!("lower `learning_rate`, or look at those rows; {saved}")
            }
            Self::BestDidNotTrain { .. } => {
                "lower `learning_rate` or the warm-up, or drop `load_best_model_at_end`".into()
            }
            Self::DidNotMove { .. } | Self::SameLogits { .. } => {
                "raise `learning_rate` or the number of steps; rows of a single token cannot train attention".into()
            }
            Self::Data(source) => return source.hint(),
            Self::Model(source) => return source.hint(),
            _ => return None,
        })
    }

    /// The same error; one about numbers that are not finite says which checkpoint is left.
    pub(crate) fn with_checkpoint(mut self, latest: Option<String>) -> Self {
        if let Self::NonFinite { checkpoint, .. } | Self::NonFiniteTensor { checkpoint, .. } =
            &mut self
        {
            *checkpoint = latest;
        }
        self
    }

    /// Whether the input was fine and the run itself failed a check (exit code 1 rather than 2).
    pub fn is_failed_check(&self) -> bool {
        matches!(
            self,
            Self::NonFinite { .. }
                | Self::NonFiniteTensor { .. }
                | Self::DidNotMove { .. }
                | Self::SameLogits { .. }
                | Self::BestDidNotTrain { .. }
        )
    }
}

/// The place and a colon; nothing where there is no place.
fn at(place: &str) -> String {
    if place.is_empty() {
        String::new()
    } else {
        format!("`{place}`: ")
    }
}

/// The first names in backticks, and how many more there are.
fn some(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(4).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(shown.len()) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
