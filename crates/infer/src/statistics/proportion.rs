//! Intervals of shares, for the cases where a bootstrap has too little to resample.

use super::normal::normal_quantile;
use super::{check_share, Interval, IntervalMethod, StatisticsError};

/// Wilson's score interval of a share, from how many of the items are right.
///
/// It keeps its width at 0 and at all items right, where a bootstrap collapses to a point.
///
/// # Errors
/// When there are no items, more right ones than items, or the confidence is not between 0 and 1.
///
/// Source: Wilson, "Probable Inference, the Law of Succession, and Statistical Inference", 1927;
/// Brown, Cai and DasGupta, "Interval Estimation for a Binomial Proportion", 2001, equation 4.
pub fn wilson_interval(
    right: usize,
    items: usize,
    confidence: f64,
) -> Result<Interval, StatisticsError> {
    check_counts(right, items)?;
    let z = two_sided_quantile(confidence)?;
    let (right, items) = (right as f64, items as f64);
    let share = right / items;
    let total = items + z * z;
    let centre = (right + z * z / 2.0) / total;
    let half = z * (items * share * (1.0 - share) + z * z / 4.0).sqrt() / total;
    Ok(Interval {
        low: if right == 0.0 { 0.0 } else { (centre - half).max(0.0) },
        high: if right == items { 1.0 } else { (centre + half).min(1.0) },
        method: IntervalMethod::Wilson,
    })
}

/// The interval of the difference of two shares on the same items, from the discordant ones.
///
/// One half is added to each cell of the two-by-two table, two items in all, before the usual
/// normal interval is taken: without discordant items it still has a width.
///
/// # Errors
/// When there are no items, more discordant ones than items, or the confidence is not between 0
/// and 1.
///
/// Source: Agresti and Min, "Simple improved confidence intervals for comparing matched
/// proportions", 2005.
pub fn agresti_min_interval(
    only_a: usize,
    only_b: usize,
    items: usize,
    confidence: f64,
) -> Result<Interval, StatisticsError> {
    check_counts(only_a.saturating_add(only_b), items)?;
    let z = two_sided_quantile(confidence)?;
    let items = items as f64 + 2.0;
    let (a, b) = (only_a as f64 + 0.5, only_b as f64 + 0.5);
    let difference = (a - b) / items;
    let half = z * (a + b - (a - b) * (a - b) / items).sqrt() / items;
    Ok(Interval {
        low: (difference - half).max(-1.0),
        high: (difference + half).min(1.0),
        method: IntervalMethod::AgrestiMin,
    })
}

fn two_sided_quantile(confidence: f64) -> Result<f64, StatisticsError> {
    check_share("confidence", confidence)?;
    Ok(-normal_quantile((1.0 - confidence) / 2.0)?)
}

fn check_counts(counted: usize, items: usize) -> Result<(), StatisticsError> {
    if items == 0 {
        return Err(StatisticsError::Empty { what: "items" });
    }
    if counted > items {
        return Err(StatisticsError::OutOfRange {
            what: "count of items",
            expected: "at most the number of all items",
            found: counted as f64,
        });
    }
    Ok(())
}
