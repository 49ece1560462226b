//! Holm's adjustment for several comparisons.

use super::{checked, StatisticsError};

/// The p-values adjusted so that rejecting those below α errs anywhere at most α of the time.
///
/// The k-th smallest of m is multiplied by m − k + 1; no adjusted value is below that of a smaller
/// p-value, and none is above 1. The order is that of the input.
///
/// # Errors
/// When the list is empty or holds something that is no probability.
///
/// Source: Holm, "A Simple Sequentially Rejective Multiple Test Procedure", 1979.
pub fn holm(p_values: &[f64]) -> Result<Vec<f64>, StatisticsError> {
    checked("p-values", p_values)?;
    if let Some(found) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(StatisticsError::OutOfRange {
            what: "p-value",
            expected: "a number from 0 to 1",
            found: *found,
        });
    }
    let mut ascending: Vec<(usize, f64)> = p_values.iter().copied().enumerate().collect();
    ascending.sort_by(|a, b| a.1.total_cmp(&b.1));
    let mut adjusted = vec![0.0; p_values.len()];
    let mut largest = 0.0f64;
    for (rank, (index, p_value)) in ascending.into_iter().enumerate() {
        let remaining = (p_values.len() - rank) as f64;
        largest = largest.max((p_value * remaining).min(1.0));
        adjusted[index] = largest;
    }
    Ok(adjusted)
}
