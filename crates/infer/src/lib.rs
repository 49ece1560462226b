//! Answers, scores and verdicts: what a model says with and without an adapter, and whether the
//! difference is real.
//!
//! In pipeline order:
//! - [`prompt`]: a row as tokens to be continued.
//! - [`sampling`]: the choice of the next token.
//! - [`decoding`]: completions as token ids, prompts and their common beginnings computed once.
//! - [`generate`]: completions as text ([`text_stream`], [`stop`]).
//! - [`evaluate`]: how well a model predicts rows.
//! - [`label`]: the likeliest of some labels as an answer.
//! - [`arm`] and [`demonstration`]: ways to ask the same items.
//! - [`metric`]: a score per item and a figure over all items, from outputs and references.
//! - [`statistics`]: intervals, paired tests, Holm's adjustment and sample sizes. It knows nothing
//!   of models or metrics; it takes lists of scores.
//! - [`comparison`]: which arms are compared, by which test, and with what outcome.
//! - [`verdict`]: prompt, fine-tune, or cannot tell.
//! - [`compare`]: a run from items to a [`report`].
//!
//! ```
//! use tunewise_infer::{judge, ArmKind, Choice, Metric, Resampling, ScoredArm};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let metric: Metric = "exact-match".parse()?;
//! let references = vec!["Paris"; 40];
//! let arm = |name: &str, kind, outputs: &[&str]| -> Result<ScoredArm, Box<dyn std::error::Error>> {
//!     Ok(ScoredArm {
//!         name: name.to_string(),
//!         kind,
//!         scores: metric.measure(outputs, &references)?,
//!         prompt_tokens_per_item: 12.0,
//!     })
//! };
//! let arms = [
//!     arm("zero-shot", ArmKind::PromptOnly, &["the city of light"; 40])?,
//!     arm("tuned", ArmKind::Tuned, &["paris."; 40])?,
//! ];
//! let (comparisons, verdict) = judge(&arms, &Resampling::default())?;
//! assert_eq!(comparisons[0].difference, 1.0);
//! assert_eq!(verdict.choice, Choice::FineTune);
//! # Ok(())
//! # }
//! ```

pub mod arm;
mod candidates;
pub mod compare;
pub mod comparison;
pub mod decoding;
pub mod demonstration;
pub mod error;
pub mod evaluate;
pub mod generate;
mod item;
pub mod label;
pub mod metric;
mod notes;
pub mod prompt;
mod prompt_tree;
pub mod report;
mod report_text;
pub mod sampling;
pub mod statistics;
pub mod stop;
pub mod text_stream;
pub mod verdict;
mod wording;

pub use arm::{AdapterSource, ArmRequest};
pub use compare::{compare, ComparisonInput, ComparisonOptions, ComparisonProgress};
pub use comparison::{compare_arms, ArmKind, Comparison, Family, PairedTest, ScoredArm};
pub use decoding::{Decoding, Limits};
pub use error::InferError;
pub use evaluate::{evaluate, Evaluation};
pub use generate::{generate, Completion, GenerationEvent};
pub use label::{choose_labels, LabelLength, Labels};
pub use metric::{ItemScores, Metric, MetricError};
pub use prompt::{Continues, Model, Prompt};
pub use report::Report;
pub use sampling::{Sampling, SamplingOptions};
pub use statistics::{Interval, Resampling, StatisticsError};
pub use stop::FinishReason;
pub use verdict::{judge, Choice, Verdict};
