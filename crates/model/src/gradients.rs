//! Gradients of an adapter's tensors.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use crate::Result;

/// A gradient for each adapter tensor, by PEFT key; f32.
#[derive(Debug, Clone, Default)]
pub struct Gradients {
    tensors: BTreeMap<String, Tensor>,
}

impl Gradients {
    /// Every gradient with its key, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(key, tensor)| (key.as_str(), tensor))
    }

    /// The gradient of one tensor.
    pub fn get(&self, key: &str) -> Option<&Tensor> {
        self.tensors.get(key)
    }

    /// Adds to the gradient of one tensor.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn accumulate(&mut self, key: String, gradient: Tensor) -> Result<()> {
        let sum = match self.tensors.get(&key) {
            Some(sum) => (sum + gradient)?,
            None => gradient,
        };
        self.tensors.insert(key, sum);
        Ok(())
    }

    /// Adds those of another batch.
    ///
    /// # Errors
    /// When shapes differ.
    pub fn add(&mut self, other: Self) -> Result<()> {
        other.tensors.into_iter().try_for_each(|(key, gradient)| self.accumulate(key, gradient))
    }

    /// Multiplies all of them.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn scale(&mut self, factor: f64) -> Result<()> {
        for tensor in self.tensors.values_mut() {
            *tensor = (&*tensor * factor)?;
        }
        Ok(())
    }

    /// The Euclidean norm over all of them.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn global_norm(&self) -> Result<f64> {
        let mut sum = 0.0;
        for tensor in self.tensors.values() {
            // Sum in f64 and in a fixed order: the norm then depends neither on threads nor on the tensors' number.
            sum += tensor
                .to_device(&Device::Cpu)?
                .to_dtype(DType::F64)?
                .sqr()?
                .sum_all()?
                .to_scalar::<f64>()?;
        }
        Ok(sum.sqrt())
    }
}
