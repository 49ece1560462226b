//! The trainable tensors.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::config::{layer_index, InitLoraWeights, LoraConfig};
use crate::kernel::view::Rows;
use crate::op::dropout::name_key;
use crate::{Decoder, ModelError, Result};

/// The two factors of one layer's update `scale · B · A`.
///
/// Shapes: `a` (r, in), `b` (out, r); f32.
#[derive(Debug, Clone)]
pub struct LoraPair {
    /// Maps the layer's input to the low rank.
    pub a: Matrix,
    /// Maps the low rank to the layer's output.
    pub b: Matrix,
    /// α/r, or α/√r.
    pub scale: f64,
}

impl LoraPair {
    /// The rank r.
    pub fn rank(&self) -> usize {
        self.a.shape.0
    }
}

/// One trainable tensor: f32 numbers, row by row.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    shape: (usize, usize),
    values: Vec<f32>,
}

impl Matrix {
    /// Zeros.
    pub fn zeros(shape: (usize, usize)) -> Self {
        Self { shape, values: vec![0.0; shape.0 * shape.1] }
    }

    /// The numbers of a tensor of two dimensions.
    ///
    /// # Errors
    /// When it has others.
    pub fn from_tensor(tensor: &Tensor) -> Result<Self> {
        let shape = tensor.dims2()?;
        Ok(Self { shape, values: tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()? })
    }

    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// Its numbers.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Its numbers, to be moved by an optimizer.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// A copy as a tensor.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn tensor(&self) -> Result<Tensor> {
        Ok(Tensor::from_slice(&self.values, self.shape, &Device::Cpu)?)
    }

    pub(crate) fn rows(&self) -> Rows<'_> {
        Rows::dense(&self.values, self.shape.0, self.shape.1)
    }
}

/// A LoRA adapter of a decoder: a pair of tensors for each adapted layer.
#[derive(Debug, Clone)]
pub struct Adapter {
    config: LoraConfig,
    pairs: BTreeMap<String, LoraPair>,
}

impl Adapter {
    /// A fresh adapter: A drawn from `seed`, B zero, so the model's answers are those of the base.
    ///
    /// # Errors
    /// When the targets match no layer or a pattern is malformed.
    pub fn new(decoder: &Decoder, config: LoraConfig, seed: u64) -> Result<Self> {
        let mut pairs = BTreeMap::new();
        for linear in decoder.linears() {
            let path = linear.path();
            if !config.adapts(path)? {
                continue;
            }
            let (outputs, inputs) = (linear.outputs(), linear.inputs());
            let rank = config.rank(path)?;
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ name_key(path));
            let values = initial_values(config.init_lora_weights, rank, inputs, &mut rng);
            let a = Matrix { shape: (rank, inputs), values };
            let b = Matrix::zeros((outputs, rank));
            pairs.insert(path.to_owned(), LoraPair { a, b, scale: config.scale(path)? });
        }
        Self::from_pairs(decoder, config, pairs)
    }

    /// An adapter of given pairs, keyed by layer path.
    ///
    /// # Errors
    /// When there are none.
    pub(crate) fn from_pairs(
        decoder: &Decoder,
        config: LoraConfig,
        pairs: BTreeMap<String, LoraPair>,
    ) -> Result<Self> {
        if pairs.is_empty() {
            let mut found = format!("target modules {}", config.target_modules);
            if let Some(excluded) = &config.exclude_modules {
                found.push_str(&format!(" without {excluded}"));
            }
            if let Some(layers) = &config.layers_to_transform {
                found.push_str(&format!(" in blocks {layers:?}"));
            }
            return Err(ModelError::NoTargets { found, available: leaf_names(decoder) });
        }
        Ok(Self { config, pairs })
    }

    /// Its configuration.
    pub fn config(&self) -> &LoraConfig {
        &self.config
    }

    /// The pair of the layer at `path`, if it is adapted.
    pub fn pair(&self, path: &str) -> Option<&LoraPair> {
        self.pairs.get(path)
    }

    /// Paths of the adapted layers, sorted.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.pairs.keys().map(String::as_str)
    }

    /// Every tensor with its PEFT key, sorted by key.
    pub fn matrices(&self) -> impl Iterator<Item = (String, &Matrix)> {
        self.pairs.iter().flat_map(|(path, pair)| [(a_key(path), &pair.a), (b_key(path), &pair.b)])
    }

    /// As [`Adapter::matrices`], to be moved.
    pub fn matrices_mut(&mut self) -> impl Iterator<Item = (String, &mut Matrix)> {
        self.pairs
            .iter_mut()
            .flat_map(|(path, pair)| [(a_key(path), &mut pair.a), (b_key(path), &mut pair.b)])
    }

    /// The shape of every tensor, with its PEFT key.
    pub fn shapes(&self) -> impl Iterator<Item = (String, (usize, usize))> + '_ {
        self.matrices().map(|(key, matrix)| (key, matrix.shape))
    }

    /// A copy of every tensor with its PEFT key, sorted by key; f32.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn tensors(&self) -> Result<Vec<(String, Tensor)>> {
        self.matrices().map(|(key, matrix)| Ok((key, matrix.tensor()?))).collect()
    }

    /// Replaces a tensor.
    ///
    /// # Errors
    /// When no tensor has this key, or its shape differs.
    pub fn set_tensor(&mut self, key: &str, value: Tensor) -> Result<()> {
        let unknown = || ModelError::UnknownModule { name: key.into() };
        let (path, factor) = split_key(key).ok_or_else(unknown)?;
        let pair = self.pairs.get_mut(path).ok_or_else(unknown)?;
        let slot = match factor {
            Factor::A => &mut pair.a,
            Factor::B => &mut pair.b,
        };
        if value.dims() != [slot.shape.0, slot.shape.1] {
            return Err(ModelError::WrongShape {
                path: "adapter".into(),
                name: key.into(),
                expected: vec![slot.shape.0, slot.shape.1],
                found: value.dims().into(),
            });
        }
        *slot = Matrix::from_tensor(&value)?;
        Ok(())
    }

    /// Number of trainable parameters.
    pub fn parameter_count(&self) -> usize {
        self.shapes().map(|(_, (rows, columns))| rows * columns).sum()
    }

    /// The lowest block with an adapter; gradients need not go below it. `None` when only the head has one.
    pub(crate) fn lowest_block(&self) -> Option<usize> {
        self.pairs.keys().filter_map(|path| layer_index(path)).min()
    }
}

/// Which of the two factors a PEFT key names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factor {
    A,
    B,
}

/// PEFT's key of a layer's A.
pub(crate) fn a_key(path: &str) -> String {
    format!("base_model.model.{path}.lora_A.weight")
}

/// PEFT's key of a layer's B.
pub(crate) fn b_key(path: &str) -> String {
    format!("base_model.model.{path}.lora_B.weight")
}

/// The layer path and factor that a PEFT key names.
pub(crate) fn split_key(key: &str) -> Option<(&str, Factor)> {
    let rest = key.strip_prefix("base_model.model.")?;
    let a = rest.strip_suffix(".lora_A.weight").map(|path| (path, Factor::A));
    a.or_else(|| rest.strip_suffix(".lora_B.weight").map(|path| (path, Factor::B)))
}

fn leaf_names(decoder: &Decoder) -> String {
    let names: std::collections::BTreeSet<String> = decoder
        .linears()
        .map(|l| format!("`{}`", l.path().rsplit('.').next().unwrap_or_default()))
        .collect();
    names.into_iter().collect::<Vec<_>>().join(", ")
}

/// Source: PEFT's `reset_lora_parameters`; kaiming_uniform with a = √5 is uniform in ±1/√in.
fn initial_values(
    init: InitLoraWeights,
    rank: usize,
    inputs: usize,
    rng: &mut ChaCha8Rng,
) -> Vec<f32> {
    let count = rank * inputs;
    match init {
        InitLoraWeights::Kaiming => {
            let bound = 1.0 / (inputs as f32).sqrt();
            (0..count).map(|_| rng.random_range(-bound..bound)).collect()
        }
        InitLoraWeights::Gaussian => (0..count).map(|_| normal(rng) / rank as f32).collect(),
    }
}

/// A standard normal draw (Box and Muller 1958).
pub(crate) fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}
