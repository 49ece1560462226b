//! Numeric ops, each with its forward and its backward side by side.
//!
//! They work on rows of f32 numbers, threaded and vectorised. Beside each stands the plain op on tensors of any number
//! format, which tests take finite differences of and compare the fast one with.

pub mod adamw;
pub mod attention;
pub mod cross_entropy;
pub mod dropout;
#[cfg(test)]
pub(crate) mod finite_difference;
pub(crate) mod lanes;
pub mod rms_norm;
pub mod rope;
pub mod swiglu;
