//! The frozen decoder of tunewise, its LoRA adapters, and every numeric op with its hand-written backward.
//!
//! A [`Decoder`] is read from a Hugging Face folder and never changes; an [`Adapter`] is a separate value with the
//! trainable tensors. Tokens come as [`TokenTree`]s: flat lists cut into segments that attend to themselves and to
//! their ancestors, never padded rectangles.
//!
//! In pipeline order: [`config`] → [`weights`] → [`lora`] → [`tree`] → [`op`] → [`linear`] → [`block`] →
//! [`decoder`] → [`gradients`]; [`cache`] keeps keys and values between calls, [`merge`] folds an adapter into
//! weights, [`files`] writes whole files.
//!
//! ```
//! use tunewise_model::{Segment, TokenTree};
//! // Two rows of four and five tokens share their first two: seven tokens are computed instead of nine.
//! let tree = TokenTree::new(
//!     vec![1, 2, 10, 11, 20, 21, 22],
//!     vec![Segment::root(0, 2, 0), Segment::child(2, 2, 0, 0), Segment::child(4, 3, 0, 1)],
//! )?;
//! assert_eq!(tree.positions(), [0, 1, 2, 3, 2, 3, 4]);
//! # Ok::<(), tunewise_model::ModelError>(())
//! ```

pub mod block;
pub mod cache;
pub mod config;
pub mod decoder;
pub mod error;
pub mod files;
pub mod gradients;
mod kernel;
pub mod linear;
mod llama;
pub mod lora;
pub mod merge;
pub mod op;
pub mod tree;
pub mod weights;

pub use cache::{Addition, KvCache, NodeId};
pub use config::{ModelConfig, RopeConfig, RopeScaling};
pub use decoder::{BaseDtype, Checkpointing, Decoder, TargetScore, TrainingPass};
pub use error::ModelError;
pub use gradients::Gradients;
pub use lora::{Adapter, InitLoraWeights, LoraConfig, TargetModules};
pub use op::dropout::Dropout;
pub use tree::{Segment, Target, TokenTree};

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, ModelError>;
