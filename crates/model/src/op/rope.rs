//! Rotary position embedding in the half-split layout of Hugging Face checkpoints.
//!
//! Source: Su et al. 2021 (RoFormer), equation 34. Shapes: T tokens, H heads, R width of a head.

use candle_core::{DType, Device, Result, Tensor, D};

use crate::config::{RopeConfig, RopeScaling};

/// Cosines and sines of the angles of some positions.
///
/// Shapes: both (T, R/2).
#[derive(Debug, Clone)]
pub struct Rotation {
    cos: Tensor,
    sin: Tensor,
}

impl Rotation {
    /// The rotation of tokens at `positions`.
    pub fn new(
        frequencies: &[f32],
        positions: &[usize],
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        // f32 angles, as the reference implementation computes them.
        let angles = || positions.iter().flat_map(|p| frequencies.iter().map(|f| *p as f32 * f));
        let shape = (positions.len(), frequencies.len());
        let table = |values: Vec<f32>| Tensor::from_vec(values, shape, device)?.to_dtype(dtype);
        Ok(Self {
            cos: table(angles().map(f32::cos).collect())?,
            sin: table(angles().map(f32::sin).collect())?,
        })
    }
}

/// The frequency of each pair of features, in radians a token.
///
/// Source: the default, `linear` and `llama3` types of transformers' `modeling_rope_utils`.
pub fn frequencies(rope: &RopeConfig, head_dim: usize) -> Vec<f32> {
    let plain =
        (0..head_dim / 2).map(|i| 1.0 / (rope.theta as f32).powf((2 * i) as f32 / head_dim as f32));
    match rope.scaling {
        RopeScaling::Default => plain.collect(),
        RopeScaling::Linear { factor } => plain.map(|f| f / factor as f32).collect(),
        RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_position_embeddings,
        } => plain
            .map(|f| {
                let turns = original_max_position_embeddings * f64::from(f) / std::f64::consts::TAU;
                let kept = ((turns - low_freq_factor) / (high_freq_factor - low_freq_factor))
                    .clamp(0.0, 1.0);
                (f64::from(f) * (kept + (1.0 - kept) / factor)) as f32
            })
            .collect(),
    }
}

/// `x` with each pair of features turned by its angle.
///
/// Shapes: `x` (T, H, R); (T, H, R) out.
pub fn forward(x: &Tensor, rotation: &Rotation) -> Result<Tensor> {
    turn(x, &rotation.cos, &rotation.sin)
}

/// The gradient of the input: the opposite turn.
///
/// Shapes: `grad` (T, H, R); (T, H, R) out.
pub fn backward(grad: &Tensor, rotation: &Rotation) -> Result<Tensor> {
    turn(grad, &rotation.cos, &rotation.sin.neg()?)
}

fn turn(x: &Tensor, cos: &Tensor, sin: &Tensor) -> Result<Tensor> {
    let half = x.dim(D::Minus1)? / 2;
    let (cos, sin) = (cos.unsqueeze(1)?, sin.unsqueeze(1)?);
    let (first, second) = (x.narrow(D::Minus1, 0, half)?, x.narrow(D::Minus1, half, half)?);
    let turned_first = (first.broadcast_mul(&cos)? - second.broadcast_mul(&sin)?)?;
    let turned_second = (second.broadcast_mul(&cos)? + first.broadcast_mul(&sin)?)?;
    Tensor::cat(&[turned_first, turned_second], D::Minus1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::finite_difference::{gradient, relative_distance, sample};

    fn rotation() -> Rotation {
        let rope = RopeConfig { theta: 100.0, scaling: RopeScaling::Default };
        Rotation::new(&frequencies(&rope, 6), &[0, 3, 11], DType::F64, &Device::Cpu).unwrap()
    }

    #[test]
    fn backward_is_the_slope_of_forward() {
        let (x, grad) = (sample(&[3, 2, 6], 1), sample(&[3, 2, 6], 2));
        let expected = gradient(&x, &grad, |x| forward(x, &rotation()).unwrap());
        assert!(relative_distance(&backward(&grad, &rotation()).unwrap(), &expected) < 1e-7);
    }

    #[test]
    fn a_quarter_turn_moves_the_first_half_into_the_second() {
        let quarter =
            Rotation::new(&[std::f32::consts::FRAC_PI_2], &[1], DType::F64, &Device::Cpu).unwrap();
        let x = Tensor::new(&[[[2.0f64, 0.0]]], &Device::Cpu).unwrap();
        let y: Vec<f64> = forward(&x, &quarter).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        assert!(y[0].abs() < 1e-6 && (y[1] - 2.0).abs() < 1e-6);
    }

    #[test]
    fn llama3_keeps_high_frequencies_and_stretches_low_ones() {
        let scaling = RopeScaling::Llama3 {
            factor: 8.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 64.0,
        };
        let scaled = frequencies(&RopeConfig { theta: 10_000.0, scaling }, 8);
        let plain = frequencies(&RopeConfig { theta: 10_000.0, scaling: RopeScaling::Default }, 8);
        assert_eq!(plain, [1.0, 0.1, 0.01, 0.001]);
        assert_eq!(scaled[0], 1.0);
        // 64 · 0.1 / 2π = 1.0186 turns: kept = 0.0186 / 3.
        assert!((f64::from(scaled[1]) - 0.1 * (0.006_197 + 0.993_803 / 8.0)).abs() < 1e-7);
        assert_eq!(scaled[2..], [0.01 / 8.0, 0.001 / 8.0]);
    }
}
