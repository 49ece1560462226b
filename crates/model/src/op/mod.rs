//! Numeric ops, each with its forward and its backward side by side.
//!
//! They are plain tensor arithmetic in the dtype of their input (f32 in use, f64 where a test takes finite differences).

pub mod attention;
pub mod cross_entropy;
pub mod dropout;
#[cfg(test)]
pub(crate) mod finite_difference;
pub mod rms_norm;
pub mod rope;
pub mod swiglu;
