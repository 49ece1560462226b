//! The normal distribution.

use super::{check_share, StatisticsError};

/// The standard normal value below which a share `probability` lies.
///
/// # Errors
/// When the probability is not between 0 and 1.
///
/// Source: the distribution function by its series (Marsaglia, "Evaluating the Normal
/// Distribution", 2004), inverted by Newton's method.
pub fn normal_quantile(probability: f64) -> Result<f64, StatisticsError> {
    check_share("probability", probability)?;
    if probability < 0.5 {
        return Ok(-upper_quantile(probability));
    }
    Ok(upper_quantile(1.0 - probability))
}

/// The value above which a share `tail`, at most one half, lies.
///
/// The upper tail is convex there, so Newton's steps from 0 approach from below and never overshoot.
fn upper_quantile(tail: f64) -> f64 {
    let mut x = 0.0;
    for _ in 0..200 {
        let step = (upper_tail(x) - tail) / density(x);
        x += step;
        if step.abs() <= 1e-15 * x {
            break;
        }
    }
    x
}

/// The share above `x`, for `x` of at least 0.
///
/// The series loses its last digits in the far tail, where the continued fraction is exact.
fn upper_tail(x: f64) -> f64 {
    if x > 3.0 {
        let fraction = (1..=200).rev().fold(x, |below, k| x + f64::from(k) / below);
        return density(x) / fraction;
    }
    let (mut sum, mut term, mut odd) = (x, x, 1.0);
    while term > 1e-18 * sum {
        odd += 2.0;
        term *= x * x / odd;
        sum += term;
    }
    0.5 - density(x) * sum
}

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / std::f64::consts::TAU.sqrt()
}
