//! Rotary position embedding in the half-split layout of Hugging Face checkpoints.
//!
//! Source: Su et al. 2021 (RoFormer), equation 34. Shapes: T tokens, H heads, R width of a head.

use rayon::prelude::*;

use crate::config::{RopeConfig, RopeScaling};
use crate::kernel::instructions::vectorized;

/// Rows that a thread takes at a time.
const ROWS: usize = 16;

/// Cosines and sines of the angles of some positions.
///
/// Shapes: (T, R): a row has the R/2 cosines, then the sines.
#[derive(Debug, Default)]
pub struct Rotation {
    table: Vec<f32>,
    half: usize,
}

impl Rotation {
    /// The rotation of tokens at `positions`.
    pub fn new(frequencies: &[f32], positions: &[usize]) -> Self {
        let mut rotation = Self::default();
        rotation.set(frequencies, positions);
        rotation
    }

    /// Becomes the rotation of tokens at `positions`, in the memory that it has.
    pub fn set(&mut self, frequencies: &[f32], positions: &[usize]) {
        self.half = frequencies.len();
        self.table.clear();
        self.table.reserve_exact(2 * positions.len() * self.half);
        for position in positions {
            // f32 angles, as the reference implementation computes them.
            let angles = || frequencies.iter().map(|f| *position as f32 * f);
            self.table.extend(angles().map(f32::cos));
            self.table.extend(angles().map(f32::sin));
        }
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

/// Turns each pair of features of the first `heads` heads of every row by its angle.
///
/// Shapes: `rows` (T, `stride`), heads of width R side by side.
pub fn forward(rows: &mut [f32], stride: usize, heads: usize, rotation: &Rotation) {
    turn_all(rows, stride, heads, rotation, 1.0);
}

/// Makes gradients of the turned features those of the features before: the opposite turn.
///
/// Shapes: as [`forward`].
pub fn backward(rows: &mut [f32], stride: usize, heads: usize, rotation: &Rotation) {
    turn_all(rows, stride, heads, rotation, -1.0);
}

fn turn_all(rows: &mut [f32], stride: usize, heads: usize, rotation: &Rotation, sign: f32) {
    let half = rotation.half;
    rows.par_chunks_mut(ROWS * stride)
        .zip(rotation.table.par_chunks(2 * ROWS * half))
        .for_each(|(rows, table)| turn_rows(rows, stride, heads, half, table, sign));
}

vectorized! {
    fn turn_rows(rows: &mut [f32], stride: usize, heads: usize, half: usize, table: &[f32], sign: f32) -> () {
        for (row, table) in rows.chunks_mut(stride).zip(table.chunks(2 * half)) {
            let (cos, sin) = table.split_at(half);
            for head in row.chunks_mut(2 * half).take(heads) {
                let (first, second) = head.split_at_mut(half);
                for ((first, second), (cos, sin)) in first.iter_mut().zip(second).zip(cos.iter().zip(sin)) {
                    let sin = sin * sign;
                    let (x, y) = (*first, *second);
                    *first = x * cos - y * sin;
                    *second = y * cos + x * sin;
                }
            }
        }
    }
}

/// The plain op, in any number format.
#[cfg(test)]
pub(crate) mod plain {
    use candle_core::{DType, Device, Result, Tensor, D};

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
            let angles =
                || positions.iter().flat_map(|p| frequencies.iter().map(|f| *p as f32 * f));
            let shape = (positions.len(), frequencies.len());
            let table = |values: Vec<f32>| Tensor::from_vec(values, shape, device)?.to_dtype(dtype);
            Ok(Self {
                cos: table(angles().map(f32::cos).collect())?,
                sin: table(angles().map(f32::sin).collect())?,
            })
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
}

#[cfg(test)]
mod tests {
    use super::frequencies;
    use super::plain::{backward, forward, Rotation};
    use crate::config::{RopeConfig, RopeScaling};
    use crate::op::finite_difference::{assert_near, numbers, tensor};
    use crate::op::finite_difference::{gradient, relative_distance, sample};
    use candle_core::{DType, Device, Tensor};

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

    #[test]
    fn the_fast_op_equals_the_plain_one_and_leaves_other_heads_alone() {
        let positions: Vec<usize> = (0..21).map(|t| t * t).collect();
        let (tokens, heads, width) = (positions.len(), 3, 6);
        let stride = (heads + 1) * width;
        let rope = RopeConfig { theta: 100.0, scaling: RopeScaling::Default };
        let plain = Rotation::new(&frequencies(&rope, width), &positions, DType::F64, &Device::Cpu)
            .unwrap();
        let fast = super::Rotation::new(&frequencies(&rope, width), &positions);
        let rows = numbers(tokens * stride, 1);
        let all = tensor(&rows, &[tokens, heads + 1, width]);
        let (turned, rest) = (all.narrow(1, 0, heads).unwrap(), all.narrow(1, heads, 1).unwrap());
        let expected = |turned: Tensor| {
            Tensor::cat(&[turned, rest.clone()], 1).unwrap().reshape((tokens, stride)).unwrap()
        };
        let mut forwards = rows.clone();
        super::forward(&mut forwards, stride, heads, &fast);
        assert_near(&forwards, &expected(forward(&turned, &plain).unwrap()), 1e-6);
        let mut backwards = rows;
        super::backward(&mut backwards, stride, heads, &fast);
        assert_near(&backwards, &expected(backward(&turned, &plain).unwrap()), 1e-6);
    }
}
