//! The gated activation of the MLP.
//!
//! Source: Shazeer 2020, equation 6 (SwiGLU), without its linear maps. Shapes: T tokens, F width of the MLP.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::finite_difference::{gradient, relative_distance, sample};

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
}
