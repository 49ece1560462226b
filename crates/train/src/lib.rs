//! Training of tunewise: a recipe, tokenized rows and a frozen decoder become a LoRA adapter, or a model trained whole.
//!
//! In pipeline order: [`recipe`] → [`run`](mod@run) → [`checked_rows`] → [`settings`] → [`sampler`] → [`trainer`] →
//! [`schedule`] and [`optimizer`] → [`record`], [`tensorboard`] and [`checkpoint`] → [`summary`], [`provenance`] and the
//! model card.
//!
//! ```
//! use tunewise_train::Recipe;
//! let mut recipe = Recipe::from_yaml("r: 4\nlearning_rate: 1e-3\n", "recipe.yaml")?;
//! recipe.set("max_steps", "100")?;
//! recipe.validate()?;
//! assert_eq!((recipe.r, recipe.lora_alpha, recipe.max_steps()), (4, 16.0, Some(100)));
//! let error = Recipe::from_yaml("r: 4\nlearning_rat: 1", "recipe.yaml").unwrap_err();
//! assert_eq!(error.to_string(), "`recipe.yaml:2`: unknown recipe key `learning_rat`");
//! assert_eq!(error.hint().as_deref(), Some("did you mean `learning_rate`?"));
//! # Ok::<(), tunewise_train::TrainError>(())
//! ```

pub mod adapter;
mod batch;
pub mod checked_rows;
pub mod checkpoint;
pub mod error;
mod logs;
mod model_card;
mod nearest;
pub mod optimizer;
pub mod plan;
pub mod provenance;
pub mod recipe;
pub mod record;
mod rows;
pub mod run;
pub mod sampler;
pub mod schedule;
pub mod settings;
mod start;
mod step;
pub mod summary;
pub mod tensorboard;
mod trained;
pub mod trainee;
pub mod trainer;

pub use checked_rows::{CheckedRows, FaultyRows, RowFinding};
pub use error::{Result, TrainError};
pub use provenance::{base_fingerprint, Provenance};
pub use recipe::{KeyInfo, Recipe};
pub use record::{EvaluationRecord, Event, LogEntry, Observer, StepRecord};
pub use run::{dry_run, run};
pub use settings::{ResumeFrom, Settings};
pub use summary::TrainSummary;
pub use trainee::{Trainee, WholeModel};
pub use trainer::{train, Material, Outcome};
