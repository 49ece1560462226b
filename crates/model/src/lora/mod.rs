//! LoRA adapters: their configuration, tensors and PEFT files.
//!
//! Source: Hu et al. 2021, equation 3; names and files as PEFT has them.

pub mod adapter;
pub mod config;
pub mod peft;
mod peft_config;

pub use adapter::{Adapter, LoraPair, Matrix};
pub use config::{InitLoraWeights, LoraConfig, TargetModules};
