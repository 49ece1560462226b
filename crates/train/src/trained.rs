//! Whether a run trained at all: tensors moved and logits differ.

use candle_core::Tensor;
use tunewise_data::{DataError, TokenExample, TokenRows};
use tunewise_model::{Decoder, TokenTree};

use crate::error::{Result, TrainError};
use crate::trainee::Trainee;

/// Rows whose logits are compared before training is said to have changed nothing.
const ROWS_COMPARED: usize = 8;

/// Nothing, where every tensor moved that `steps` steps with a learning rate above zero must move.
///
/// A B that starts at zero leaves its A without a gradient in the first step, so one step must move B alone.
///
/// # Errors
/// With the tensors that are bit for bit what they were.
pub(crate) fn check_moved(start: &Trainee, end: &Trainee, steps: usize) -> Result<()> {
    let mut still = Vec::new();
    let mut total = 0;
    for ((key, before), (_, after)) in start.matrices().zip(end.matrices()) {
        total += 1;
        let must_move = match steps {
            0 => false,
            1 => !key.ends_with("lora_A.weight"),
            _ => true,
        };
        if must_move && same_bits(before.values(), after.values()) {
            still.push(key);
        }
    }
    if still.is_empty() {
        return Ok(());
    }
    Err(TrainError::DidNotMove { still, total, steps })
}

/// Nothing, where training changed the logits of some row.
///
/// # Errors
/// When they are equal on every row compared.
pub(crate) fn check_logits(
    base: &Decoder,
    [start, end]: [&Trainee; 2],
    rows: &TokenRows,
    steps: usize,
) -> Result<()> {
    let mut compared = 0;
    let has_tokens = |row: &std::result::Result<TokenExample, DataError>| {
        row.as_ref().map_or(true, |row| !row.ids.is_empty())
    };
    for row in rows.iter().filter(has_tokens).take(ROWS_COMPARED) {
        let row = row?;
        let tree = TokenTree::single(row.ids.clone())?;
        let last = [row.ids.len() - 1];
        let before = start.logits(base, &tree, &last)?;
        let after = end.logits(base, &tree, &last)?;
        if !same_bits(&numbers(&before)?, &numbers(&after)?) {
            return Ok(());
        }
        compared += 1;
    }
    Err(TrainError::SameLogits { rows: compared, steps })
}

/// Whether every number is finite.
pub(crate) fn is_finite(numbers: &[f32]) -> bool {
    numbers.iter().all(|number| number.is_finite())
}

fn same_bits(before: &[f32], after: &[f32]) -> bool {
    let pairs = before.iter().zip(after);
    before.len() == after.len() && pairs.into_iter().all(|(a, b)| a.to_bits() == b.to_bits())
}

fn numbers(logits: &Tensor) -> Result<Vec<f32>> {
    Ok(logits.flatten_all()?.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_number_that_is_not_finite_is_found() {
        assert!(is_finite(&[1.0, -3e38, 3e38, 3e38]));
        assert!(!is_finite(&[1.0, f32::NAN, 2.0]));
        assert!(!is_finite(&[f32::NEG_INFINITY, 2.0]));
    }
}
