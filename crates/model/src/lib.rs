//! The decoder of tunewise, its LoRA adapters, and every numeric op with its hand-written backward.
//!
//! A [`Decoder`] is read from a Hugging Face folder and stays as it is while an [`Adapter`], a separate value with the
//! trainable tensors, learns; where the whole model learns, its trainable tensors are [`BaseWeights`]. Tokens come as [`TokenTree`]s: flat lists cut into segments that attend to themselves and to
//! their ancestors, never padded rectangles.
//!
//! In pipeline order: [`config`] → [`weights`] → [`base_weights`] → [`lora`] → [`tree`] → [`kernel`] → [`op`] → [`linear`] → [`block`] →
//! [`decoder`] → [`gradients`]; [`cache`] keeps keys and values between calls, [`merge`] folds an adapter into
//! weights, [`files`] writes whole files, [`buffer`] holds numbers in memory that is used again.
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

pub mod base_weights;
pub mod block;
pub mod buffer;
pub mod cache;
pub mod config;
pub mod decoder;
pub mod error;
pub mod files;
pub mod gradients;
mod head;
pub mod kernel;
mod layers;
pub mod linear;
mod llama;
pub mod lora;
pub mod memory;
pub mod merge;
pub mod op;
pub mod tree;
mod walk;
pub mod weights;
mod workspace;

pub use base_weights::BaseWeights;
pub use cache::{Addition, KvCache, NodeId};
pub use config::{ModelConfig, RopeConfig, RopeScaling};
pub use decoder::{BaseDtype, Checkpointing, Decoder, TargetScore, TrainingPass};
pub use error::ModelError;
pub use gradients::Gradients;
pub use kernel::instructions::Instructions;
pub use lora::{Adapter, InitLoraWeights, LoraConfig, Matrix, TargetModules};
pub use memory::{MemoryEstimate, PieceSize};
pub use op::dropout::Dropout;
pub use tree::{Segment, Target, TokenTree};

/// Result of this crate's functions.
pub type Result<T> = std::result::Result<T, ModelError>;
