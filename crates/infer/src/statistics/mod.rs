//! Statistics of scores: how sure a figure is, whether two differ, and how many items would tell.
//!
//! Nothing here knows of models or metrics. Lists hold one score per item; two lists are aligned,
//! the same item at the same place. A figure that is not a mean (BLEU, macro-F1) comes as a
//! function of item indices, so that a resample can be taken of it.
//!
//! Wrong input (lists of different length, empty or non-finite ones) is a [`StatisticsError`].

mod bootstrap;
mod holm;
mod mcnemar;
mod normal;
mod power;
mod proportion;

pub use bootstrap::{
    bootstrap_interval, mean_interval, paired_bootstrap, paired_mean_bootstrap, percentile,
    PairedBootstrap, Resampling,
};
pub use holm::holm;
pub use mcnemar::{mcnemar, McNemar};
pub use normal::normal_quantile;
pub use power::{
    fewest_items_for_signs, items_to_bound_gain, mcnemar_items_needed, paired_items_needed, Planned,
};
pub use proportion::{agresti_min_interval, wilson_interval};

use serde::{Serialize, Serializer};

/// The confidence of every interval that is reported: 95 %.
pub const CONFIDENCE: f64 = 0.95;

/// The chance of a false alarm that a test may have, over all comparisons together: 5 %.
pub const ALPHA: f64 = 0.05;

/// The chance of seeing a difference that is there, for which sample sizes are planned: 80 %.
pub const POWER: f64 = 0.8;

/// A confidence interval; written as `[low, high]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How it was found.
    pub method: IntervalMethod,
}

impl Serialize for Interval {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        [self.low, self.high].serialize(serializer)
    }
}

/// How a confidence interval was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalMethod {
    /// Percentiles of resampled figures.
    Bootstrap,
    /// Wilson's score interval of a share.
    Wilson,
    /// Agresti and Min's interval of a difference of paired shares.
    AgrestiMin,
}

/// What can be wrong with the numbers given.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum StatisticsError {
    /// There is nothing to compute from.
    #[error("{what}: the list is empty, expected at least one entry")]
    Empty {
        /// What the list holds.
        what: &'static str,
    },
    /// Two lists that stand for the same items have different lengths.
    #[error("paired scores: one list has {a} items and the other {b}, expected as many in both")]
    DifferentLengths {
        /// The first list's length.
        a: usize,
        /// The second list's length.
        b: usize,
    },
    /// A number is infinite or no number.
    #[error("{what} at index {index}: found {value}, expected a finite number")]
    NotFinite {
        /// What the list holds.
        what: &'static str,
        /// Where it stands.
        index: usize,
        /// The number found.
        value: f64,
    },
    /// A test for right and wrong met a score in between.
    #[error("score at index {index}: found {value}, expected 0 or 1")]
    NotZeroOne {
        /// Where it stands.
        index: usize,
        /// The score found.
        value: f64,
    },
    /// A number lies outside its range.
    #[error("{what}: found {found}, expected {expected}")]
    OutOfRange {
        /// What the number is.
        what: &'static str,
        /// The range, in words.
        expected: &'static str,
        /// The number found.
        found: f64,
    },
    /// Two arms were not measured alike.
    #[error("arms `{a}` and `{b}`: expected the same metric on the same items in the same order")]
    NotAligned {
        /// The first arm's name.
        a: String,
        /// The second arm's name.
        b: String,
    },
    /// Two arms have one name.
    #[error("arm `{name}` stands in the list twice, expected each name once")]
    DuplicateArm {
        /// The name found twice.
        name: String,
    },
    /// A verdict needs a comparison that was not made.
    #[error("no comparison between `{a}` and `{b}` was found, expected one")]
    NotCompared {
        /// The tuned arm's name.
        a: String,
        /// The prompt-only arm's name.
        b: String,
    },
}

impl StatisticsError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            StatisticsError::NotZeroOne { .. } => {
                Some("use the paired bootstrap for scores other than 0 and 1")
            }
            StatisticsError::NotAligned { .. } | StatisticsError::DifferentLengths { .. } => {
                Some("score every arm on the same test rows")
            }
            StatisticsError::DuplicateArm { .. } => Some("name each arm, or adapter, once"),
            _ => None,
        }
    }
}

/// The scores, if there are any and all are finite.
fn checked<'a>(what: &'static str, scores: &'a [f64]) -> Result<&'a [f64], StatisticsError> {
    if scores.is_empty() {
        return Err(StatisticsError::Empty { what });
    }
    match scores.iter().position(|score| !score.is_finite()) {
        Some(index) => Err(StatisticsError::NotFinite { what, index, value: scores[index] }),
        None => Ok(scores),
    }
}

fn check_paired(a: &[f64], b: &[f64]) -> Result<(), StatisticsError> {
    if a.len() != b.len() {
        return Err(StatisticsError::DifferentLengths { a: a.len(), b: b.len() });
    }
    checked("scores", a)?;
    checked("scores", b)?;
    Ok(())
}

fn check_share(what: &'static str, share: f64) -> Result<(), StatisticsError> {
    if share > 0.0 && share < 1.0 {
        return Ok(());
    }
    Err(StatisticsError::OutOfRange {
        what,
        expected: "a number between 0 and 1, neither included",
        found: share,
    })
}
