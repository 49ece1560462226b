//! How many items would tell.

use super::normal::normal_quantile;
use super::{check_share, StatisticsError};

/// What a test is planned for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Planned {
    /// The chance of a false alarm, both sides together.
    pub alpha: f64,
    /// The chance of seeing the difference.
    pub power: f64,
}

impl Default for Planned {
    fn default() -> Self {
        Planned { alpha: super::ALPHA, power: super::POWER }
    }
}

/// The number of items at which McNemar's test would tell, if the shares observed are the true ones.
///
/// `only_a` and `only_b` are the shares of items that only one arm gets right. `None` where they
/// are equal: no number of items shows a difference that is not there. The formula is for the test
/// without continuity correction; the exact test has a power of a few points less at that number.
/// It is never below [`fewest_items_for_signs`], where the exact test cannot reach alpha.
///
/// # Errors
/// When a share is negative, both exceed 1 together, or the plan's chances are not between 0 and 1.
///
/// Source: Connor, "Sample Size for Testing Differences in Proportions for the Paired-Sample
/// Design", 1987.
pub fn mcnemar_items_needed(
    only_a: f64,
    only_b: f64,
    planned: &Planned,
) -> Result<Option<usize>, StatisticsError> {
    let discordant = only_a + only_b;
    let valid = only_a >= 0.0 && only_b >= 0.0 && discordant <= 1.0 + 1e-9;
    if !valid {
        return Err(StatisticsError::OutOfRange {
            what: "share of discordant items",
            expected: "two numbers of at least 0 that add up to at most 1",
            found: discordant,
        });
    }
    let (z_alpha, z_power) = quantiles(planned)?;
    let difference = only_a - only_b;
    if is_zero(difference) {
        return Ok(None);
    }
    let spread = (discordant - difference * difference).max(0.0).sqrt();
    let root = (z_alpha * discordant.sqrt() + z_power * spread) / difference;
    let fewest = fewest_items_for_signs(discordant, planned)?.unwrap_or_default();
    Ok(Some(whole(root * root).max(fewest)))
}

/// The number of items below which an exact test of signs cannot reach alpha, however one-sided.
///
/// `differing` is the share of items on which two arms differ. Where all k of them favour one arm,
/// the two-sided p-value is 2^(1 − k). `None` where no item differs.
///
/// # Errors
/// When the share is not in 0..1, or the plan's chances are not between 0 and 1.
pub fn fewest_items_for_signs(
    differing: f64,
    planned: &Planned,
) -> Result<Option<usize>, StatisticsError> {
    if !(0.0..=1.0 + 1e-9).contains(&differing) {
        return Err(StatisticsError::OutOfRange {
            what: "share of differing items",
            expected: "a number from 0 to 1",
            found: differing,
        });
    }
    check_share("alpha", planned.alpha)?;
    if is_zero(differing) {
        return Ok(None);
    }
    let signs = (1.0 - planned.alpha.log2()).ceil();
    // A share is a quotient of counts: its rounding must not ask for one item more.
    Ok(Some(whole(signs / differing - 1e-9)))
}

/// The number of items at which a paired test of means would tell, if the difference observed is
/// the true one.
///
/// `spread` is the standard deviation of the differences per item; for a figure that is no mean,
/// the standard error times the square root of the number of items. `None` where the difference
/// is 0.
///
/// # Errors
/// When a number is not finite, the spread is negative, or the plan's chances are not between 0
/// and 1.
///
/// Source: Cohen, "Statistical Power Analysis for the Behavioral Sciences", 1988, chapter 2, by
/// the normal approximation n = ((z₁₋α/₂ + z_power)·σ/δ)².
pub fn paired_items_needed(
    difference: f64,
    spread: f64,
    planned: &Planned,
) -> Result<Option<usize>, StatisticsError> {
    if !difference.is_finite() {
        return Err(StatisticsError::OutOfRange {
            what: "difference",
            expected: "a finite number",
            found: difference,
        });
    }
    if !(spread.is_finite() && spread >= 0.0) {
        return Err(StatisticsError::OutOfRange {
            what: "standard deviation of the differences",
            expected: "a finite number of at least 0",
            found: spread,
        });
    }
    let (z_alpha, z_power) = quantiles(planned)?;
    if is_zero(difference) {
        return Ok(None);
    }
    let root = (z_alpha + z_power) * spread / difference;
    Ok(Some(whole(root * root)))
}

/// The number of items that would show the gain to stay below a margin, if the gain observed is the
/// true one.
///
/// `None` where the gain observed reaches the margin. It plans for the upper end of the two-sided
/// interval of 1 − α to fall below the margin.
///
/// # Errors
/// As [`paired_items_needed`].
///
/// Source: Julious, "Sample sizes for clinical trials with Normal data", 2004, on the
/// one-sided shift of the margin.
pub fn items_to_bound_gain(
    gain: f64,
    spread: f64,
    margin: f64,
    planned: &Planned,
) -> Result<Option<usize>, StatisticsError> {
    let room = margin - gain;
    let needed = paired_items_needed(room, spread, planned)?;
    Ok(needed.filter(|_| room > 0.0))
}

fn quantiles(planned: &Planned) -> Result<(f64, f64), StatisticsError> {
    check_share("alpha", planned.alpha)?;
    check_share("power", planned.power)?;
    let z_alpha = -normal_quantile(planned.alpha / 2.0)?;
    Ok((z_alpha, normal_quantile(planned.power)?))
}

/// Whether a difference of figures is no more than rounding.
fn is_zero(difference: f64) -> bool {
    difference.abs() < 1e-12
}

fn whole(items: f64) -> usize {
    (items.ceil() as usize).max(1)
}
