//! Central differences in f64, the oracle of every backward.

use candle_core::{Device, Tensor};

/// A seeded tensor of values in (-1, 1), f64.
pub fn sample(shape: &[usize], seed: u64) -> Tensor {
    use rand::{Rng, SeedableRng};
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let count = shape.iter().product();
    let values: Vec<f64> = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// The gradient of `Σ f(x)·weight` by central differences, with `weight` standing for the incoming gradient.
pub fn gradient(x: &Tensor, weight: &Tensor, f: impl Fn(&Tensor) -> Tensor) -> Tensor {
    const STEP: f64 = 1e-5;
    let flat: Vec<f64> = x.flatten_all().unwrap().to_vec1().unwrap();
    let at = |index: usize, delta: f64| {
        let mut moved = flat.clone();
        moved[index] += delta;
        let y = f(&Tensor::from_vec(moved, x.dims(), &Device::Cpu).unwrap());
        (y * weight).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap()
    };
    let slopes: Vec<f64> =
        (0..flat.len()).map(|i| (at(i, STEP) - at(i, -STEP)) / (2.0 * STEP)).collect();
    Tensor::from_vec(slopes, x.dims(), &Device::Cpu).unwrap()
}

/// ‖a − b‖ / ‖b‖.
pub fn relative_distance(a: &Tensor, b: &Tensor) -> f64 {
    let norm = |t: &Tensor| t.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap().sqrt();
    norm(&(a - b).unwrap()) / norm(b)
}

/// Seeded numbers in (-1, 1), f32.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    sample(&[count], seed).to_dtype(candle_core::DType::F32).unwrap().to_vec1().unwrap()
}

/// f32 numbers as an f64 tensor.
pub fn tensor(numbers: &[f32], shape: &[usize]) -> Tensor {
    let tensor = Tensor::from_slice(numbers, shape, &Device::Cpu).unwrap();
    tensor.to_dtype(candle_core::DType::F64).unwrap()
}

/// Asserts that numbers are those of a plain op's f64 tensor, relative to its norm.
#[track_caller]
pub fn assert_near(numbers: &[f32], expected: &Tensor, tolerance: f64) {
    let off = relative_distance(&tensor(numbers, expected.dims()), expected);
    assert!(off < tolerance, "{off:e}");
}
