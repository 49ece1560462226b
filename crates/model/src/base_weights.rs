//! A model's own weights as trainable tensors, in f32, by the names of its checkpoint.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::files::write_tensors;
use crate::llama::tensor_shapes;
use crate::lora::adapter::normal;
use crate::op::dropout::name_key;
use crate::weights::{Weights, SINGLE};
use crate::{BaseDtype, Matrix, ModelConfig, ModelError, Result};

/// Every weight of a model; norms and biases are matrices of one row.
#[derive(Debug, Clone, PartialEq)]
pub struct BaseWeights {
    matrices: BTreeMap<String, Matrix>,
}

impl BaseWeights {
    /// The weights in a model folder.
    ///
    /// # Errors
    /// When a tensor is missing, malformed or of another shape.
    pub fn load(dir: &Path, config: &ModelConfig) -> Result<Self> {
        Self::read(&Weights::open(dir)?, config)
    }

    /// The weights in one file, as [`BaseWeights::save`] writes it into a folder.
    ///
    /// # Errors
    /// As [`BaseWeights::load`].
    pub fn load_saved(dir: &Path, config: &ModelConfig) -> Result<Self> {
        Self::read(&Weights::from_files(dir, vec![dir.join(SINGLE)])?, config)
    }

    fn read(weights: &Weights, config: &ModelConfig) -> Result<Self> {
        let mut matrices = BTreeMap::new();
        for (name, shape) in tensor_shapes(config) {
            let tensor = weights.tensor(&name, shape.dims(), DType::F32, &Device::Cpu)?;
            let matrix = Matrix::from_tensor(&tensor.reshape(shape.matrix())?)?;
            matrices.insert(name, matrix);
        }
        Ok(Self { matrices })
    }

    /// Random weights to train from: normal with the standard deviation `deviation`, norms 1, biases 0.
    ///
    /// Source: `_init_weights` of transformers' Llama, whose `initializer_range` is the deviation.
    pub fn random(config: &ModelConfig, deviation: f64, seed: u64) -> Self {
        let matrix = |(name, shape): (String, TensorShape)| {
            let mut matrix = Matrix::zeros(shape.matrix());
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ name_key(&name));
            match shape {
                TensorShape::Weight(..) => {
                    let draw = |value: &mut f32| *value = normal(&mut rng) * deviation as f32;
                    matrix.values_mut().iter_mut().for_each(draw);
                }
                TensorShape::Norm(_) => matrix.values_mut().fill(1.0),
                TensorShape::Bias(_) => {}
            }
            (name, matrix)
        };
        Self { matrices: tensor_shapes(config).into_iter().map(matrix).collect() }
    }

    /// Every tensor with its name, sorted by name.
    pub fn matrices(&self) -> impl Iterator<Item = (String, &Matrix)> {
        self.matrices.iter().map(|(name, matrix)| (name.clone(), matrix))
    }

    /// As [`BaseWeights::matrices`], to be moved.
    pub fn matrices_mut(&mut self) -> impl Iterator<Item = (String, &mut Matrix)> {
        self.matrices.iter_mut().map(|(name, matrix)| (name.clone(), matrix))
    }

    /// The shape of every tensor, with its name.
    pub fn shapes(&self) -> impl Iterator<Item = (String, (usize, usize))> + '_ {
        self.matrices().map(|(name, matrix)| (name, matrix.shape()))
    }

    /// Number of parameters.
    pub fn parameter_count(&self) -> usize {
        self.matrices.values().map(|matrix| matrix.values().len()).sum()
    }

    /// The numbers of a tensor.
    ///
    /// # Errors
    /// When no tensor has this name.
    pub(crate) fn values(&self, name: &str) -> Result<&[f32]> {
        let unknown = || ModelError::UnknownModule { name: name.into() };
        Ok(self.matrices.get(name).ok_or_else(unknown)?.values())
    }

    /// A copy of a tensor.
    pub(crate) fn tensor(&self, name: &str, shape: &[usize], dtype: DType) -> Result<Tensor> {
        let values = self.values(name)?;
        Ok(Tensor::from_slice(values, shape, &Device::Cpu)?.to_dtype(dtype)?)
    }

    /// Writes `model.safetensors` into a folder, rounded to a number format.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, dir: &Path, config: &ModelConfig, dtype: BaseDtype) -> Result<()> {
        let io = |source| ModelError::Io { path: dir.into(), source };
        std::fs::create_dir_all(dir).map_err(io)?;
        let mut tensors = Vec::with_capacity(self.matrices.len());
        for (name, shape) in tensor_shapes(config) {
            let tensor = self.tensor(&name, shape.dims(), dtype.dtype())?;
            tensors.push((name, tensor));
        }
        write_tensors(&dir.join(SINGLE), tensors)
    }
}

/// What a tensor of a checkpoint is, and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TensorShape {
    /// A map from inputs to outputs, or an embedding: (out, in).
    Weight([usize; 2]),
    /// The weight of a norm: (D).
    Norm([usize; 1]),
    /// (out).
    Bias([usize; 1]),
}

impl TensorShape {
    /// Its dimensions in the file.
    pub fn dims(&self) -> &[usize] {
        match self {
            Self::Weight(dims) => dims,
            Self::Norm(dims) | Self::Bias(dims) => dims,
        }
    }

    /// Rows and columns.
    pub fn matrix(self) -> (usize, usize) {
        match self {
            Self::Weight([rows, columns]) => (rows, columns),
            Self::Norm([columns]) | Self::Bias([columns]) => (1, columns),
        }
    }
}
