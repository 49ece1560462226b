//! Negative log-likelihood of tokens under logits.
//!
//! Shapes: N targets, V vocabulary. Units: nats.

use rayon::prelude::*;

use super::lanes;
use crate::kernel::exp::exp;
use crate::kernel::instructions::vectorized;
use crate::{Target, TargetScore};

/// Exponentials summed in f32 before the sum goes on in f64.
const CHUNK: usize = 4096;

/// Writes the score of each target.
///
/// Shapes: `logits` (N, V), `targets` and `scores` (N).
pub fn forward(logits: &[f32], vocabulary: usize, targets: &[Target], scores: &mut [TargetScore]) {
    let rows = logits.par_chunks(vocabulary).zip(targets).zip(scores);
    rows.for_each(|((logits, target), score)| {
        let mut copy = [0f32; CHUNK];
        let row = Row::of(logits, target);
        let sum = logits.chunks(CHUNK).map(|chunk| {
            let copy = &mut copy[..chunk.len()];
            copy.copy_from_slice(chunk);
            exponentiate(copy, row.largest)
        });
        *score = row.score(sum.sum());
    });
}

/// Writes the score of each target, and over the logits the gradient of `Σ weight · nll`.
///
/// Shapes: as [`forward`].
pub fn forward_and_backward(
    logits: &mut [f32],
    vocabulary: usize,
    targets: &[Target],
    scores: &mut [TargetScore],
) {
    let rows = logits.par_chunks_mut(vocabulary).zip(targets).zip(scores);
    rows.for_each(|((logits, target), score)| {
        let row = Row::of(logits, target);
        let sum = logits.chunks_mut(CHUNK).map(|chunk| exponentiate(chunk, row.largest)).sum();
        *score = row.score(sum);
        scale(logits, target.weight / sum as f32);
        logits[target.token as usize] -= target.weight;
    });
}

/// What a row of logits says of its target.
struct Row {
    largest: f32,
    /// The target's own.
    chosen: f32,
    correct: bool,
}

impl Row {
    fn of(logits: &[f32], target: &Target) -> Self {
        let (largest, token) = (largest(logits), target.token as usize);
        let chosen = logits[token];
        // The first among equals is the one that greedy decoding would choose.
        let correct = chosen == largest && !logits[..token].contains(&largest);
        Self { largest, chosen, correct }
    }

    /// The target's score; `sum` is that of all `exp(logit − largest)`.
    fn score(&self, sum: f64) -> TargetScore {
        let nll = sum.ln() + f64::from(self.largest) - f64::from(self.chosen);
        // A NaN hides from comparisons, but not from the sum.
        let nll = if sum.is_finite() { nll } else { f64::NAN };
        TargetScore { nll, correct: self.correct }
    }
}

/// Turns logits into `exp(logit − largest)`, and returns their sum.
fn exponentiate(logits: &mut [f32], largest: f32) -> f64 {
    write_exponentials(logits, largest);
    f64::from(total(logits))
}

vectorized! {
    fn largest(logits: &[f32]) -> f32 {
        lanes::largest(logits)
    }
}

vectorized! {
    fn write_exponentials(logits: &mut [f32], largest: f32) -> () {
        for x in logits {
            *x = exp::<FMA>(*x - largest);
        }
    }
}

vectorized! {
    fn total(numbers: &[f32]) -> f32 {
        lanes::total(numbers)
    }
}

vectorized! {
    fn scale(numbers: &mut [f32], factor: f32) -> () {
        for x in numbers {
            *x *= factor;
        }
    }
}

/// The plain op, in any number format.
#[cfg(test)]
pub(crate) mod plain {
    use candle_core::{Result, Tensor, D};

    /// The negative log-likelihood of each target.
    ///
    /// Shapes: `logits` (N, V), `tokens` (N) u32; (N) out.
    pub fn forward(logits: &Tensor, tokens: &Tensor) -> Result<Tensor> {
        let picked = logits.gather(&tokens.unsqueeze(1)?, 1)?.squeeze(1)?;
        logits.log_sum_exp(D::Minus1)?.sub(&picked)
    }

    /// The gradient of the logits of `Σ weight · nll`.
    ///
    /// Shapes: `logits` (N, V), `tokens` and `weights` (N); (N, V) out.
    pub fn backward(logits: &Tensor, tokens: &Tensor, weights: &Tensor) -> Result<Tensor> {
        let weights = weights.unsqueeze(1)?;
        let pull = candle_nn::ops::softmax_last_dim(logits)?.broadcast_mul(&weights)?;
        pull.scatter_add(&tokens.unsqueeze(1)?, &weights.neg()?, 1)
    }
}

#[cfg(test)]
mod tests {
    use super::plain::{backward, forward};
    use crate::op::finite_difference::{assert_near, numbers, tensor};
    use crate::op::finite_difference::{gradient, relative_distance, sample};
    use crate::{Target, TargetScore};
    use candle_core::Device;
    use candle_core::Tensor;

    #[test]
    fn backward_is_the_slope_of_forward() {
        let logits = (sample(&[3, 7], 1) * 3.0).unwrap();
        let tokens = Tensor::new(&[2u32, 6, 0], &Device::Cpu).unwrap();
        let weights = Tensor::new(&[1.0f64, 0.0, 2.5], &Device::Cpu).unwrap();
        let expected = gradient(&logits, &weights, |logits| forward(logits, &tokens).unwrap());
        assert!(
            relative_distance(&backward(&logits, &tokens, &weights).unwrap(), &expected) < 1e-7
        );
    }

    #[test]
    fn equal_logits_cost_the_logarithm_of_the_vocabulary() {
        let logits = Tensor::zeros((1, 8), candle_core::DType::F64, &Device::Cpu).unwrap();
        let nll = forward(&logits, &Tensor::new(&[5u32], &Device::Cpu).unwrap()).unwrap();
        assert_eq!(nll.to_vec1::<f64>().unwrap(), [8f64.ln()]);
    }

    fn target(token: u32, weight: f32) -> Target {
        Target { position: 0, token, weight }
    }

    const NONE: TargetScore = TargetScore { nll: 0.0, correct: false };

    #[test]
    fn the_fast_op_equals_the_plain_one() {
        let (count, vocabulary) = (3, 9000);
        let mut logits: Vec<f32> = numbers(count * vocabulary, 1).iter().map(|x| x * 9.0).collect();
        let tokens = [8999u32, 17, 0];
        let weights = [1.0f32, 0.0, 2.5];
        let targets: Vec<Target> = tokens.iter().zip(weights).map(|(t, w)| target(*t, w)).collect();
        let plain = tensor(&logits, &[count, vocabulary]);
        let tokens = Tensor::new(&tokens, &Device::Cpu).unwrap();
        let mut scores = [NONE; 3];
        super::forward(&logits, vocabulary, &targets, &mut scores);
        let expected: Vec<f64> = forward(&plain, &tokens).unwrap().to_vec1().unwrap();
        for (score, expected) in scores.iter().zip(expected) {
            assert!((score.nll - expected).abs() < 1e-6 * expected, "{} {expected}", score.nll);
        }
        let mut again = [NONE; 3];
        super::forward_and_backward(&mut logits, vocabulary, &targets, &mut again);
        assert_eq!(again, scores);
        let weights = tensor(&weights, &[count]);
        assert_near(&logits, &backward(&plain, &tokens, &weights).unwrap(), 1e-6);
    }

    #[test]
    fn only_the_first_of_the_likeliest_is_correct_and_nan_is_not_hidden() {
        let mut scores = [NONE; 3];
        let logits = [0.0, 3.0, 3.0, 0.0, 3.0, 3.0, 0.0, f32::NAN, 1.0];
        super::forward(&logits, 3, &[target(1, 1.0), target(2, 1.0), target(2, 1.0)], &mut scores);
        assert!(scores[0].correct && !scores[1].correct);
        assert!(scores[2].nll.is_nan());
    }
}
