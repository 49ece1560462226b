//! The trainable tensors.

use std::collections::BTreeMap;

use candle_core::{DType, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::config::{layer_index, InitLoraWeights, LoraConfig};
use crate::op::dropout::name_key;
use crate::{Decoder, ModelError, Result};

/// The two factors of one layer's update `scale · B · A`.
///
/// Shapes: `a` (r, in), `b` (out, r); f32.
#[derive(Debug, Clone)]
pub struct LoraPair {
    /// Maps the layer's input to the low rank.
    pub a: Tensor,
    /// Maps the low rank to the layer's output.
    pub b: Tensor,
    /// α/r, or α/√r.
    pub scale: f64,
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
            let (outputs, inputs) = linear.weight().dims2()?;
            let rank = config.rank(path)?;
            let mut rng = ChaCha8Rng::seed_from_u64(seed ^ name_key(path));
            let values = initial_values(config.init_lora_weights, rank, inputs, &mut rng);
            let a = Tensor::from_vec(values, (rank, inputs), decoder.device())?;
            let b = Tensor::zeros((outputs, rank), DType::F32, decoder.device())?;
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

    /// Every tensor with its PEFT key, sorted by key; f32.
    pub fn tensors(&self) -> impl Iterator<Item = (String, &Tensor)> {
        self.pairs.iter().flat_map(|(path, pair)| [(a_key(path), &pair.a), (b_key(path), &pair.b)])
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
        if slot.dims() != value.dims() {
            return Err(ModelError::WrongShape {
                path: "adapter".into(),
                name: key.into(),
                expected: slot.dims().into(),
                found: value.dims().into(),
            });
        }
        *slot = value.to_dtype(DType::F32)?;
        Ok(())
    }

    /// Number of trainable parameters.
    pub fn parameter_count(&self) -> usize {
        self.tensors().map(|(_, t)| t.elem_count()).sum()
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
fn normal(rng: &mut ChaCha8Rng) -> f32 {
    let (u, v): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    ((-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()) as f32
}
