//! Flags of whatever computes with a model.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::thread_count;

/// A model and how it is computed.
#[derive(Debug, Args)]
pub struct ModelArgs {
    /// Model folder
    #[arg(long, value_name = "DIR", alias = "model-name-or-path")]
    pub model: PathBuf,
    /// Number format of the weights: `auto` is bf16 where the model's files have it and the processor multiplies it, else f32
    #[arg(long, value_name = "auto|f32|bf16", default_value = "auto", hide_possible_values = true)]
    pub dtype: Numbers,
    /// Where and with how many threads.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Where to compute, and with how many threads.
#[derive(Debug, Args)]
pub struct ComputeArgs {
    /// Where to compute; this build has the processor alone
    #[arg(long, value_name = "auto|cpu", default_value = "auto", hide_possible_values = true)]
    pub device: Place,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = thread_count, allow_negative_numbers = true)]
    pub threads: Option<usize>,
}

/// The number format of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Numbers {
    /// What suits the model's files and the processor.
    Auto,
    /// 32 bits.
    F32,
    /// 16 bits with the exponent of 32.
    Bf16,
}

/// Where to compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Place {
    /// The best there is.
    Auto,
    /// The processor.
    Cpu,
    /// An NVIDIA card.
    Cuda,
    /// An Apple graphics processor.
    Metal,
}
