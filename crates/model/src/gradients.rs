//! Gradients of the tensors that are trained.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};
use rayon::prelude::*;

use crate::{Adapter, BaseWeights, ModelError, Result};

/// A gradient for each trained tensor, by its key: PEFT's for an adapter, that of the checkpoint for the model itself;
/// f32.
#[derive(Debug, Clone, Default)]
pub struct Gradients {
    tensors: BTreeMap<String, Gradient>,
    /// Whether the tensors are the model's own.
    of_base: bool,
}

#[derive(Debug, Clone)]
struct Gradient {
    shape: (usize, usize),
    values: Vec<f32>,
}

impl Gradients {
    /// Zeros for every tensor of an adapter.
    pub fn zeros(adapter: &Adapter) -> Self {
        Self { tensors: adapter.shapes().map(zeros).collect(), of_base: false }
    }

    /// Zeros for every tensor of a model.
    pub fn zeros_of_base(weights: &BaseWeights) -> Self {
        Self { tensors: weights.shapes().map(zeros).collect(), of_base: true }
    }

    /// Whether the model's own weights are trained.
    pub(crate) fn are_of_base(&self) -> bool {
        self.of_base
    }

    /// Makes every one zero.
    pub fn clear(&mut self) {
        self.tensors.values_mut().for_each(|gradient| gradient.values.fill(0.0));
    }

    /// Every gradient with its key, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[f32])> {
        self.tensors.iter().map(|(key, gradient)| (key.as_str(), gradient.values.as_slice()))
    }

    /// The gradient of one tensor.
    pub fn get(&self, key: &str) -> Option<&[f32]> {
        self.tensors.get(key).map(|gradient| gradient.values.as_slice())
    }

    /// A copy of the gradient of one tensor.
    ///
    /// # Errors
    /// When no tensor has this key.
    pub fn tensor(&self, key: &str) -> Result<Tensor> {
        let unknown = || ModelError::UnknownModule { name: key.into() };
        let gradient = self.tensors.get(key).ok_or_else(unknown)?;
        Ok(Tensor::from_slice(&gradient.values, gradient.shape, &Device::Cpu)?)
    }

    /// The gradient of one tensor, to be added to.
    ///
    /// # Errors
    /// When no tensor has this key.
    pub(crate) fn of(&mut self, key: &str) -> Result<&mut [f32]> {
        let unknown = || ModelError::UnknownModule { name: key.into() };
        Ok(&mut self.tensors.get_mut(key).ok_or_else(unknown)?.values)
    }

    /// Adds those of another batch; where it has more tensors, they are taken over.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn add(&mut self, other: Self) -> Result<()> {
        self.of_base |= other.of_base;
        for (key, gradient) in other.tensors {
            match self.tensors.get_mut(&key) {
                None => {
                    self.tensors.insert(key, gradient);
                }
                Some(sum) if sum.shape == gradient.shape => {
                    for (sum, value) in sum.values.iter_mut().zip(&gradient.values) {
                        *sum += value;
                    }
                }
                Some(sum) => {
                    return Err(ModelError::WrongShape {
                        path: "gradients".into(),
                        name: key,
                        expected: vec![sum.shape.0, sum.shape.1],
                        found: vec![gradient.shape.0, gradient.shape.1],
                    })
                }
            }
        }
        Ok(())
    }

    /// Multiplies all of them.
    pub fn scale(&mut self, factor: f64) {
        let factor = factor as f32;
        self.tensors
            .values_mut()
            .par_bridge()
            .for_each(|gradient| gradient.values.iter_mut().for_each(|value| *value *= factor));
    }

    /// The Euclidean norm over all of them.
    pub fn global_norm(&self) -> f64 {
        // Sum in f64 and in a fixed order: the norm then depends neither on threads nor on the tensors' number.
        let of = |gradient: &Gradient| -> f64 {
            gradient.values.iter().map(|value| f64::from(*value) * f64::from(*value)).sum()
        };
        self.tensors.values().map(of).sum::<f64>().sqrt()
    }
}

fn zeros((key, shape): (String, (usize, usize))) -> (String, Gradient) {
    (key, Gradient { shape, values: vec![0.0; shape.0 * shape.1] })
}
