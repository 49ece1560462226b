//! Negative log-likelihood of tokens under logits.
//!
//! Shapes: N targets, V vocabulary. Units: nats.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::finite_difference::{gradient, relative_distance, sample};
    use candle_core::Device;

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
}
