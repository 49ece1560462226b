//! Flags of `bench`.

use clap::Args;

use super::compute::ModelArgs;
use super::positive;

/// Flags of `bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The model.
    #[command(flatten)]
    pub model: ModelArgs,
    /// The training step: rows × tokens of each, every token supervised
    #[arg(long, value_name = "ROWSxTOKENS", default_value = "4x256", value_parser = step)]
    pub step: StepShape,
    /// Rank of the adapter, on all linear layers
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = positive, allow_negative_numbers = true)]
    pub r: usize,
    /// Times that each figure is measured; the median is told
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = positive, allow_negative_numbers = true)]
    pub repeats: usize,
}

/// Rows of equal length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepShape {
    /// Rows.
    pub rows: usize,
    /// Tokens of each.
    pub tokens: usize,
}

/// The most tokens of a step, so that a slip of the finger does not fill the memory.
const MOST: usize = 1 << 20;

fn step(text: &str) -> Result<StepShape, String> {
    let numbers = text.split_once('x').and_then(|(rows, tokens)| {
        Some(StepShape { rows: rows.parse().ok()?, tokens: tokens.parse().ok()? })
    });
    numbers.filter(|step| (1..=MOST).contains(&step.rows.saturating_mul(step.tokens))).ok_or_else(
        || format!("expected rows x tokens such as `4x256`, at most {MOST} tokens in all"),
    )
}
