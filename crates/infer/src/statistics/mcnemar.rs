//! McNemar's test: do two arms get different items right?

use super::{check_paired, StatisticsError};

/// The outcome of McNemar's exact test.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct McNemar {
    /// Items that only the first arm gets right.
    pub only_a: usize,
    /// Items that only the second arm gets right.
    pub only_b: usize,
    /// All items.
    pub items: usize,
    /// The two-sided p-value.
    pub p_value: f64,
}

impl McNemar {
    /// Items that one arm gets right and the other wrong.
    pub fn discordant(&self) -> usize {
        self.only_a + self.only_b
    }

    /// The first arm's share of right items minus the second's.
    pub fn difference(&self) -> f64 {
        (self.only_a as f64 - self.only_b as f64) / self.items as f64
    }
}

/// The exact test on two aligned lists of scores 0 and 1.
///
/// Under the null hypothesis each discordant item favours either arm with chance one half; the
/// p-value is the binomial chance of a split at least as uneven, both sides counted. No mid-p: the
/// test never errs more often than it says.
///
/// # Errors
/// When the lists differ in length, are empty, or hold another score.
///
/// Source: McNemar, "Note on the sampling error of the difference between correlated proportions",
/// 1947; the exact form as in Agresti, "Categorical Data Analysis", 2nd edition, chapter 10.
pub fn mcnemar(a: &[f64], b: &[f64]) -> Result<McNemar, StatisticsError> {
    check_paired(a, b)?;
    for list in [a, b] {
        if let Some(index) = list.iter().position(|score| *score != 0.0 && *score != 1.0) {
            let value = list[index];
            return Err(StatisticsError::NotZeroOne { index, value });
        }
    }
    let only_a = a.iter().zip(b).filter(|(a, b)| a > b).count();
    let only_b = a.iter().zip(b).filter(|(a, b)| a < b).count();
    Ok(McNemar { only_a, only_b, items: a.len(), p_value: two_sided_sign_test(only_a, only_b) })
}

/// Twice the chance that a fair coin falls on its rarer side at most this often, at most 1.
///
/// Binomial terms are taken relative to the central one, so that no count overflows or cancels.
fn two_sided_sign_test(a: usize, b: usize) -> f64 {
    let (throws, rarer) = (a + b, a.min(b));
    let centre = throws / 2;
    let (mut below_centre, mut tail) = (0.0, 0.0);
    let mut term = 1.0;
    for heads in (0..=centre).rev() {
        if 2 * heads < throws {
            below_centre += term;
        }
        if heads <= rarer {
            tail += term;
        }
        term *= heads as f64 / (throws - heads + 1) as f64;
    }
    let middle = if throws % 2 == 0 { 1.0 } else { 0.0 };
    (2.0 * tail / (2.0 * below_centre + middle)).min(1.0)
}
