//! Root-mean-square normalisation.
//!
//! Source: Zhang and Sennrich 2019, equation 4. Shapes: T tokens, D width.

use candle_core::{Result, Tensor, D};

/// `weight · x / √(mean(x²) + eps)`.
///
/// Shapes: `x` (T, D), `weight` (D); (T, D) out.
pub fn forward(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    x.broadcast_mul(&inverse_rms(x, eps)?)?.broadcast_mul(weight)
}

/// The gradient of the input; the weight is frozen and gets none.
///
/// Shapes: `x` and `grad` (T, D), `weight` (D); (T, D) out.
pub fn backward(x: &Tensor, weight: &Tensor, eps: f64, grad: &Tensor) -> Result<Tensor> {
    let inverse = inverse_rms(x, eps)?;
    let scaled = grad.broadcast_mul(weight)?;
    let along = (scaled.mul(x)?.mean_keepdim(D::Minus1)? * inverse.powf(3.0)?)?;
    scaled.broadcast_mul(&inverse)?.sub(&x.broadcast_mul(&along)?)
}

fn inverse_rms(x: &Tensor, eps: f64) -> Result<Tensor> {
    (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?.recip()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::finite_difference::{gradient, relative_distance, sample};

    #[test]
    fn backward_is_the_slope_of_forward() {
        let (x, weight, grad) = (sample(&[3, 8], 1), sample(&[8], 2), sample(&[3, 8], 3));
        let expected = gradient(&x, &grad, |x| forward(x, &weight, 1e-5).unwrap());
        // Central differences in f64 are good to about 1e-9 here.
        assert!(relative_distance(&backward(&x, &weight, 1e-5, &grad).unwrap(), &expected) < 1e-7);
    }

    #[test]
    fn forward_equals_the_published_op() {
        let x = sample(&[5, 16], 4).to_dtype(candle_core::DType::F32).unwrap();
        let weight = sample(&[16], 5).to_dtype(candle_core::DType::F32).unwrap();
        let ours = forward(&x, &weight, 1e-5).unwrap().to_dtype(candle_core::DType::F64).unwrap();
        let theirs = candle_nn::ops::rms_norm(&x, &weight, 1e-5)
            .unwrap()
            .to_dtype(candle_core::DType::F64)
            .unwrap();
        assert!(relative_distance(&ours, &theirs) < 1e-6);
    }
}
