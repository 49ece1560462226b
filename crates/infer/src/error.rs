//! What can go wrong between prompts and a report.

use std::path::PathBuf;

use tunewise_data::DataError;
use tunewise_model::ModelError;

use crate::metric::MetricError;
use crate::statistics::StatisticsError;

/// Why prompts could not be answered, rows not be scored, or arms not be compared.
#[derive(Debug, thiserror::Error)]
pub enum InferError {
    /// The model or an adapter failed, or a file could not be written.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// A row could not be rendered or tokenized.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Outputs could not be measured.
    #[error(transparent)]
    Metric(#[from] MetricError),
    /// Scores could not be compared.
    #[error(transparent)]
    Statistics(#[from] StatisticsError),
    /// A setting lies outside its range.
    #[error("`{setting}` is {found}, expected {expected}")]
    Setting {
        /// Its name on the command line, without the dashes.
        setting: &'static str,
        /// What would do.
        expected: &'static str,
        /// What was given.
        found: String,
    },
    /// A prompt leaves no room for an answer.
    #[error("line {line}: the prompt has {tokens} tokens, expected at most {most}, one fewer than the model's context")]
    PromptTooLong {
        /// The row's line.
        line: usize,
        /// The prompt's tokens.
        tokens: usize,
        /// The most that a prompt may have.
        most: usize,
    },
    /// A prompt and its longest candidate label do not fit together.
    #[error("line {line}: prompt and label `{label}` have {tokens} tokens, expected at most the model's context of {context}")]
    LabelTooLong {
        /// The row's line.
        line: usize,
        /// The label.
        label: String,
        /// The tokens of both.
        tokens: usize,
        /// The model's context.
        context: usize,
    },
    /// A prompt has no tokens.
    #[error("line {line}: the prompt has no tokens, expected at least one")]
    EmptyPrompt {
        /// The row's line.
        line: usize,
    },
    /// A token id is not one of the model's.
    #[error("line {line}: token id {id} is outside the model's vocabulary of {vocabulary}")]
    TokenId {
        /// The row's line.
        line: usize,
        /// The id.
        id: u32,
        /// The model's vocabulary size.
        vocabulary: usize,
    },
    /// The model computed something that is no number.
    #[error("line {line}: the model's likelihoods are not finite numbers")]
    NotFinite {
        /// The row's line.
        line: usize,
    },
    /// There is no row to predict.
    #[error("no rows to evaluate, expected at least one")]
    NothingToEvaluate,
    /// There is no token to predict in any row.
    #[error("{rows} rows have no supervised token, expected at least one")]
    NoTargets {
        /// The rows given.
        rows: usize,
    },
    /// The file holds no row to judge by.
    #[error("`{}`: none of {rows} rows has {expected}", path.display())]
    NoItems {
        /// The file.
        path: PathBuf,
        /// Its rows.
        rows: usize,
        /// What a row needs.
        expected: &'static str,
    },
    /// An arm's name is none of the known ones.
    #[error("unknown arm `{name}`, expected one of `zero-shot`, `system-prompt`, `few-shot`, `tuned`, `tuned+system-prompt`")]
    UnknownArm {
        /// The name found.
        name: String,
    },
    /// There is nothing to compare.
    #[error("no arms, expected at least one")]
    NoArms,
    /// An arm needs an adapter.
    #[error("arm `{arm}` needs an adapter, found none")]
    NoAdapter {
        /// The arm.
        arm: String,
    },
    /// An arm needs a system prompt.
    #[error("arm `{arm}` needs a system prompt, found none")]
    NoSystemPrompt {
        /// The arm.
        arm: String,
    },
    /// Two adapters cannot be told apart by their folders.
    #[error("adapter `{}` is given twice, expected each once", path.display())]
    SameAdapter {
        /// The folder.
        path: PathBuf,
    },
    /// The training rows do not offer a choice of labels.
    #[error("`{}` holds {found} distinct labels, expected at least two", path.display())]
    FewLabels {
        /// The training file.
        path: PathBuf,
        /// How many there are.
        found: usize,
    },
    /// The training rows' answers are no labels.
    #[error("`{}` holds {found} distinct answers in {answers} rows, expected labels, which repeat", path.display())]
    FreeText {
        /// The training file.
        path: PathBuf,
        /// How many there are.
        found: usize,
        /// The rows with an answer.
        answers: usize,
    },
    /// An item's question has no place for demonstrations.
    #[error("line {line}: the row is plain text, expected a conversation")]
    NotAConversation {
        /// The row's line.
        line: usize,
    },
    /// A value of a report could not be written as JSON.
    #[error("the report cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl InferError {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            InferError::Model(error) => return error.hint(),
            InferError::Data(error) => return error.hint(),
            InferError::Metric(error) => return error.hint(),
            InferError::Statistics(error) => return error.hint().map(str::to_owned),
            InferError::PromptTooLong { .. } => {
                "shorten the row, or use a model with a longer context"
            }
            InferError::LabelTooLong { .. } => {
                "shorten the row; labels are the distinct answers of the training file"
            }
            InferError::EmptyPrompt { .. } => "give the row some text",
            InferError::TokenId { .. } => "tokenizer and weights belong to different models",
            InferError::NotFinite { .. } => {
                "the weights or the adapter hold infinite or undefined numbers; try `--dtype f32`"
            }
            InferError::NothingToEvaluate => {
                "raise `--max-length`, or pass `--excess-length-strategy truncate`"
            }
            InferError::NoTargets { .. } => "check with `tunewise render` what is supervised",
            InferError::NoItems { .. } => "use a file whose rows hold a question and, unless the metric is `valid-json` or `regex:`, an answer",
            InferError::NoAdapter { .. } => "pass `--adapter DIR`",
            InferError::NoSystemPrompt { .. } => "pass `--system-prompt FILE`",
            InferError::FewLabels { .. } | InferError::FreeText { .. } => {
                "`label-accuracy` and `macro-f1` choose among the answers of `--train`; use another metric for free text"
            }
            _ => return None,
        };
        Some(hint.to_owned())
    }
}
