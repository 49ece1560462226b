//! Root-mean-square normalisation.
//!
//! Source: Zhang and Sennrich 2019, equation 4. Shapes: T tokens, D width.

use rayon::prelude::*;

use super::lanes::{chunks, sum};
use crate::kernel::instructions::{multiply_add, vectorized};

/// Rows that a thread takes at a time.
const ROWS: usize = 16;
/// Columns of the weight's gradient that a thread sums at a time.
const COLUMNS: usize = 64;

/// Writes `weight · x / √(mean(x²) + eps)` and the factor of each row.
///
/// Shapes: `x` and `normed` (T, D), `weight` (D), `inverse` (T).
pub fn forward(x: &[f32], weight: &[f32], eps: f32, normed: &mut [f32], inverse: &mut [f32]) {
    let width = weight.len();
    normed
        .par_chunks_mut(ROWS * width)
        .zip(inverse.par_chunks_mut(ROWS))
        .zip(x.par_chunks(ROWS * width))
        .for_each(|((normed, inverse), x)| forward_rows(x, weight, eps, normed, inverse));
}

/// As [`forward`], of the residual stream after a branch is added to it: `x` becomes `x + branch`.
///
/// Shapes: as [`forward`]; `branch` (T, D).
pub fn forward_added(
    x: &mut [f32],
    branch: &[f32],
    weight: &[f32],
    eps: f32,
    normed: &mut [f32],
    inverse: &mut [f32],
) {
    let width = weight.len();
    let rows = x.par_chunks_mut(ROWS * width).zip(branch.par_chunks(ROWS * width));
    rows.zip(normed.par_chunks_mut(ROWS * width)).zip(inverse.par_chunks_mut(ROWS)).for_each(
        |(((x, branch), normed), inverse)| {
            add(x, branch);
            forward_rows(x, weight, eps, normed, inverse);
        },
    );
}

/// Writes the output of [`forward`] again, from the factors that it left.
pub fn again(x: &[f32], weight: &[f32], inverse: &[f32], normed: &mut [f32]) {
    let width = weight.len();
    let rows = normed.par_chunks_mut(ROWS * width).zip(x.par_chunks(ROWS * width));
    rows.zip(inverse.par_chunks(ROWS))
        .for_each(|((normed, x), inverse)| scale_rows(x, weight, inverse, normed));
}

/// Adds the gradient of the weight to `d_weight`: each column's sum over the rows in their order, whatever the threads.
///
/// Shapes: `x` and `d_normed` (T, D), `inverse` (T), `d_weight` (D).
pub fn weight_backward(x: &[f32], inverse: &[f32], d_normed: &[f32], d_weight: &mut [f32]) {
    let width = d_weight.len();
    d_weight.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, d_weight)| {
        let rows = x.chunks(width).zip(d_normed.chunks(width)).zip(inverse);
        for ((x, d_normed), inverse) in rows {
            let (first, count) = (block * COLUMNS, d_weight.len());
            add_scaled(&x[first..][..count], &d_normed[first..][..count], *inverse, d_weight);
        }
    });
}

/// Adds the gradient of the input to `d_x`; that of the weight is [`weight_backward`]'s.
///
/// Shapes: `x`, `d_normed` and `d_x` (T, D), `weight` (D), `inverse` (T).
pub fn backward(x: &[f32], weight: &[f32], inverse: &[f32], d_normed: &[f32], d_x: &mut [f32]) {
    let width = weight.len();
    let rows = d_x.par_chunks_mut(ROWS * width).zip(d_normed.par_chunks(ROWS * width));
    rows.zip(x.par_chunks(ROWS * width)).zip(inverse.par_chunks(ROWS)).for_each(
        |(((d_x, d_normed), x), inverse)| backward_rows(x, weight, inverse, d_normed, d_x),
    );
}

vectorized! {
    fn add(x: &mut [f32], branch: &[f32]) -> () {
        for (x, branch) in x.iter_mut().zip(branch) {
            *x += branch;
        }
    }
}

vectorized! {
    fn add_scaled(x: &[f32], d_normed: &[f32], inverse: f32, d_weight: &mut [f32]) -> () {
        for ((x, d_normed), d_weight) in x.iter().zip(d_normed).zip(d_weight) {
            *d_weight += x * inverse * d_normed;
        }
    }
}

vectorized! {
    fn forward_rows(x: &[f32], weight: &[f32], eps: f32, normed: &mut [f32], inverse: &mut [f32]) -> () {
        let width = weight.len();
        for (x, inverse) in x.chunks(width).zip(inverse.iter_mut()) {
            let (whole, rest) = chunks(x);
            let squares = sum(whole, rest, |x, sums| {
                for (x, sum) in x.iter().zip(sums) {
                    *sum = multiply_add::<FMA>(*x, *x, *sum);
                }
            });
            *inverse = 1.0 / (squares / width as f32 + eps).sqrt();
        }
        scale_rows(x, weight, inverse, normed);
    }
}

vectorized! {
    fn scale_rows(x: &[f32], weight: &[f32], inverse: &[f32], normed: &mut [f32]) -> () {
        let width = weight.len();
        for ((x, normed), &inverse) in x.chunks(width).zip(normed.chunks_mut(width)).zip(inverse) {
            for ((x, normed), weight) in x.iter().zip(normed).zip(weight) {
                *normed = x * inverse * weight;
            }
        }
    }
}

vectorized! {
    fn backward_rows(x: &[f32], weight: &[f32], inverse: &[f32], d_normed: &[f32], d_x: &mut [f32]) -> () {
        let width = weight.len();
        let rows = x.chunks(width).zip(inverse).zip(d_normed.chunks(width)).zip(d_x.chunks_mut(width));
        for (((x, &inverse), d_normed), d_x) in rows {
            let (normed, of_weight) = (chunks(d_normed), chunks(weight));
            let (whole, rest) = chunks(x);
            let rest = ((rest, normed.1), of_weight.1);
            let whole = whole.zip(normed.0).zip(of_weight.0);
            let dot = sum(whole, rest, |((x, d_normed), weight), sums| {
                for (((x, d_normed), weight), sum) in x.iter().zip(d_normed).zip(weight).zip(sums) {
                    *sum = multiply_add::<FMA>(x * weight, *d_normed, *sum);
                }
            });
            let along = dot / width as f32 * inverse * inverse * inverse;
            for (((x, d_normed), weight), d_x) in x.iter().zip(d_normed).zip(weight).zip(d_x) {
                *d_x += d_normed * weight * inverse - x * along;
            }
        }
    }
}

/// The plain op, in any number format.
#[cfg(test)]
pub(crate) mod plain {
    use candle_core::{Result, Tensor, D};

    /// `weight · x / √(mean(x²) + eps)`.
    ///
    /// Shapes: `x` (T, D), `weight` (D); (T, D) out.
    pub fn forward(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
        x.broadcast_mul(&inverse_rms(x, eps)?)?.broadcast_mul(weight)
    }

    /// The gradient of the input.
    ///
    /// Shapes: `x` and `grad` (T, D), `weight` (D); (T, D) out.
    pub fn backward(x: &Tensor, weight: &Tensor, eps: f64, grad: &Tensor) -> Result<Tensor> {
        let inverse = inverse_rms(x, eps)?;
        let scaled = grad.broadcast_mul(weight)?;
        let along = (scaled.mul(x)?.mean_keepdim(D::Minus1)? * inverse.powf(3.0)?)?;
        scaled.broadcast_mul(&inverse)?.sub(&x.broadcast_mul(&along)?)
    }

    /// The gradient of the weight.
    ///
    /// Shapes: `x` and `grad` (T, D); (D) out.
    pub fn weight_backward(x: &Tensor, eps: f64, grad: &Tensor) -> Result<Tensor> {
        x.broadcast_mul(&inverse_rms(x, eps)?)?.mul(grad)?.sum(0)
    }

    fn inverse_rms(x: &Tensor, eps: f64) -> Result<Tensor> {
        (x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?.recip()
    }
}

#[cfg(test)]
mod tests {
    use super::plain::{backward, forward, weight_backward};
    use crate::op::finite_difference::{assert_near, numbers, tensor};
    use crate::op::finite_difference::{gradient, relative_distance, sample};

    #[test]
    fn backward_is_the_slope_of_forward() {
        let (x, weight, grad) = (sample(&[3, 8], 1), sample(&[8], 2), sample(&[3, 8], 3));
        let expected = gradient(&x, &grad, |x| forward(x, &weight, 1e-5).unwrap());
        // Central differences in f64 are good to about 1e-9 here.
        assert!(relative_distance(&backward(&x, &weight, 1e-5, &grad).unwrap(), &expected) < 1e-7);
    }

    #[test]
    fn the_weights_gradient_is_the_slope_of_forward() {
        let (x, weight, grad) = (sample(&[3, 8], 1), sample(&[8], 2), sample(&[3, 8], 3));
        let expected = gradient(&weight, &grad, |weight| forward(&x, weight, 1e-5).unwrap());
        let found = weight_backward(&x, 1e-5, &grad).unwrap();
        assert!(relative_distance(&found, &expected) < 1e-7);
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

    #[test]
    fn the_fast_op_equals_the_plain_one() {
        // f32 against f64, sums of 75 products.
        let (rows, width) = (37, 75);
        let (x, branch, d_normed) =
            (numbers(rows * width, 1), numbers(rows * width, 2), numbers(rows * width, 3));
        let weight = numbers(width, 4);
        let total: Vec<f32> = x.iter().zip(&branch).map(|(a, b)| a + b).collect();
        let (mut normed, mut inverse) = (vec![0.0; rows * width], vec![0.0; rows]);
        super::forward(&total, &weight, 1e-5, &mut normed, &mut inverse);
        let (total_t, weight_t) = (tensor(&total, &[rows, width]), tensor(&weight, &[width]));
        assert_near(&normed, &forward(&total_t, &weight_t, 1e-5).unwrap(), 1e-6);
        let (mut x, mut also, mut also_inverse) = (x, vec![0.0; rows * width], vec![0.0; rows]);
        super::forward_added(&mut x, &branch, &weight, 1e-5, &mut also, &mut also_inverse);
        assert_eq!((&x, &also, &also_inverse), (&total, &normed, &inverse));
        super::again(&x, &weight, &inverse, &mut also);
        assert_eq!(also, normed);
        let mut d_x = branch.clone();
        super::backward(&x, &weight, &inverse, &d_normed, &mut d_x);
        let d_normed_t = tensor(&d_normed, &[rows, width]);
        let expected = backward(&total_t, &weight_t, 1e-5, &d_normed_t).unwrap();
        assert_near(&d_x, &(expected + tensor(&branch, &[rows, width])).unwrap(), 1e-6);
        let mut d_weight = weight.clone();
        super::weight_backward(&x, &inverse, &d_normed, &mut d_weight);
        let expected = weight_backward(&total_t, 1e-5, &d_normed_t).unwrap();
        assert_near(&d_weight, &(expected + &weight_t).unwrap(), 1e-5);
    }
}
