//! The gated activation of the MLP.
//!
//! Source: Shazeer 2020, equation 6 (SwiGLU), without its linear maps. Shapes: T tokens, F width of the MLP.

use rayon::prelude::*;

use crate::kernel::exp::exp;
use crate::kernel::instructions::vectorized;

/// Rows that a thread takes at a time.
const ROWS: usize = 4;

/// Writes `silu(gate) · up`.
///
/// Shapes: `gate_up` (T, 2F), the gates before the others in each row; `activated` (T, F).
pub fn forward(gate_up: &[f32], width: usize, activated: &mut [f32]) {
    activated
        .par_chunks_mut(ROWS * width)
        .zip(gate_up.par_chunks(2 * ROWS * width))
        .for_each(|(activated, gate_up)| forward_rows(gate_up, width, activated));
}

/// Writes the gradients of `gate` and `up`.
///
/// Shapes: `gate_up` and `d_gate_up` (T, 2F), `d_activated` (T, F).
pub fn backward(gate_up: &[f32], width: usize, d_activated: &[f32], d_gate_up: &mut [f32]) {
    let read = gate_up.par_chunks(2 * ROWS * width).zip(d_activated.par_chunks(ROWS * width));
    d_gate_up.par_chunks_mut(2 * ROWS * width).zip(read).for_each(
        |(d_gate_up, (gate_up, d_activated))| {
            backward_rows(gate_up, width, d_activated, d_gate_up);
        },
    );
}

vectorized! {
    fn forward_rows(gate_up: &[f32], width: usize, activated: &mut [f32]) -> () {
        for (gate_up, activated) in gate_up.chunks(2 * width).zip(activated.chunks_mut(width)) {
            let (gate, up) = gate_up.split_at(width);
            for ((gate, up), activated) in gate.iter().zip(up).zip(activated) {
                *activated = gate / (1.0 + exp::<FMA>(-gate)) * up;
            }
        }
    }
}

vectorized! {
    fn backward_rows(gate_up: &[f32], width: usize, d_activated: &[f32], d_gate_up: &mut [f32]) -> () {
        let rows = gate_up.chunks(2 * width).zip(d_activated.chunks(width));
        for ((gate_up, d_activated), d_gate_up) in rows.zip(d_gate_up.chunks_mut(2 * width)) {
            let (gate, up) = gate_up.split_at(width);
            let (d_gate, d_up) = d_gate_up.split_at_mut(width);
            let read = gate.iter().zip(up).zip(d_activated);
            for (((gate, up), grad), (d_gate, d_up)) in read.zip(d_gate.iter_mut().zip(d_up)) {
                let sigmoid = 1.0 / (1.0 + exp::<FMA>(-gate));
                let silu = gate * sigmoid;
                // silu' = σ·(1 + gate − silu)
                *d_gate = grad * up * (sigmoid * (1.0 + gate - silu));
                *d_up = grad * silu;
            }
        }
    }
}

/// The plain op, in any number format.
#[cfg(test)]
pub(crate) mod plain {
    use candle_core::{Result, Tensor};

    /// `silu(gate) · up`.
    ///
    /// Shapes: both (T, F); (T, F) out.
    pub fn forward(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
        gate.silu()?.mul(up)
    }

    /// The gradients of `gate` and `up`.
    ///
    /// Shapes: `gate`, `up` and `grad` (T, F); both out (T, F).
    pub fn backward(gate: &Tensor, up: &Tensor, grad: &Tensor) -> Result<(Tensor, Tensor)> {
        let sigmoid = (gate.neg()?.exp()? + 1.0)?.recip()?;
        let silu = gate.mul(&sigmoid)?;
        // silu' = σ·(1 + gate − silu)
        let slope = sigmoid.mul(&((gate - &silu)? + 1.0)?)?;
        Ok((grad.mul(up)?.mul(&slope)?, grad.mul(&silu)?))
    }
}

#[cfg(test)]
mod tests {
    use super::plain::{backward, forward};
    use crate::op::finite_difference::{assert_near, numbers, tensor};
    use crate::op::finite_difference::{gradient, relative_distance, sample};
    use candle_core::Tensor;

    #[test]
    fn backward_is_the_slope_of_forward() {
        let (gate, up, grad) =
            ((sample(&[4, 5], 1) * 4.0).unwrap(), sample(&[4, 5], 2), sample(&[4, 5], 3));
        let (d_gate, d_up) = backward(&gate, &up, &grad).unwrap();
        let slope_gate = gradient(&gate, &grad, |gate| forward(gate, &up).unwrap());
        let slope_up = gradient(&up, &grad, |up| forward(&gate, up).unwrap());
        assert!(relative_distance(&d_gate, &slope_gate) < 1e-7);
        assert!(relative_distance(&d_up, &slope_up) < 1e-7);
    }

    #[test]
    fn gates_far_from_zero_stay_finite() {
        let gate = Tensor::new(&[[-200.0f32, 200.0]], &candle_core::Device::Cpu).unwrap();
        let one = gate.ones_like().unwrap();
        let (d_gate, d_up) = backward(&gate, &one, &one).unwrap();
        assert_eq!(d_gate.to_vec2::<f32>().unwrap(), [[0.0, 1.0]]);
        assert_eq!(d_up.to_vec2::<f32>().unwrap(), [[0.0, 200.0]]);
    }

    #[test]
    fn the_fast_op_equals_the_plain_one() {
        let (rows, width) = (13, 37);
        let gate_up: Vec<f32> = numbers(rows * 2 * width, 1).iter().map(|x| x * 8.0).collect();
        let grad = numbers(rows * width, 2);
        let both = tensor(&gate_up, &[rows, 2 * width]);
        let (gate, up) = (both.narrow(1, 0, width).unwrap(), both.narrow(1, width, width).unwrap());
        let mut activated = vec![0.0; rows * width];
        super::forward(&gate_up, width, &mut activated);
        assert_near(&activated, &forward(&gate, &up).unwrap(), 1e-6);
        let mut d_gate_up = vec![0.0; rows * 2 * width];
        super::backward(&gate_up, width, &grad, &mut d_gate_up);
        let (d_gate, d_up) = backward(&gate, &up, &tensor(&grad, &[rows, width])).unwrap();
        assert_near(&d_gate_up, &Tensor::cat(&[d_gate, d_up], 1).unwrap(), 1e-6);
    }

    #[test]
    fn fast_gates_far_from_zero_stay_finite() {
        let mut d_gate_up = [0.0; 4];
        super::backward(&[-200.0, 200.0, 1.0, 1.0], 2, &[1.0, 1.0], &mut d_gate_up);
        assert!(d_gate_up[0].abs() < 1e-30 && d_gate_up[2].abs() < 1e-30);
        assert_eq!((d_gate_up[1], d_gate_up[3]), (1.0, 200.0));
    }
}
