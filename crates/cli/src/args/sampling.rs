//! Flags that say how tokens are chosen.

use clap::Args;

use super::{number, positive, seed};

/// How tokens are chosen in generation.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Sampling")]
pub struct SamplingArgs {
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value = "256", value_parser = positive, allow_negative_numbers = true)]
    pub max_new_tokens: usize,
    /// 0 takes the likeliest token; higher is more varied
    #[arg(long, value_name = "T", default_value = "0", value_parser = number, allow_negative_numbers = true)]
    pub temperature: f64,
    /// Choose among the K likeliest tokens
    #[arg(long, value_name = "K", value_parser = positive, allow_negative_numbers = true)]
    pub top_k: Option<usize>,
    /// Choose among the likeliest tokens whose shares add up to P
    #[arg(long, value_name = "P", value_parser = number, allow_negative_numbers = true)]
    pub top_p: Option<f64>,
    /// Choose among tokens at least P times as likely as the likeliest
    #[arg(long, value_name = "P", value_parser = number, allow_negative_numbers = true)]
    pub min_p: Option<f64>,
    /// Make tokens that stand in the text already less likely; 1 leaves them
    #[arg(long, value_name = "X", default_value = "1", value_parser = number, allow_negative_numbers = true)]
    pub repetition_penalty: f64,
    /// Seed of the choice
    #[arg(long, value_name = "S", default_value = "42", value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
    /// End the answer before this text; give it once for each
    #[arg(long, value_name = "TEXT")]
    pub stop: Vec<String>,
}
