//! Names and shapes of the tensors of a Llama checkpoint.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use crate::base_weights::{BaseWeights, TensorShape};
use crate::block::Block;
use crate::kernel::attention::Heads;
use crate::linear::Linear;
use crate::weights::Weights;
use crate::{ModelConfig, Result};

/// The embedding, and the head where the two are tied.
pub(crate) const EMBEDDING: &str = "model.embed_tokens.weight";
/// The norm before the head.
pub(crate) const FINAL_NORM: &str = "model.norm.weight";
/// The head where it is not tied.
pub(crate) const HEAD: &str = "lm_head.weight";

/// Where tensors are read from.
pub(crate) enum Source<'a> {
    /// A folder's files.
    Files(&'a Weights),
    /// Memory.
    Memory(&'a BaseWeights),
}

/// Reads the decoder's parts by their names.
pub(crate) struct Loader<'a> {
    pub source: Source<'a>,
    pub config: &'a ModelConfig,
    pub dtype: DType,
    pub device: &'a Device,
}

impl Loader<'_> {
    /// A weight in the base's number format, (outputs, inputs).
    pub fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Result<Tensor> {
        self.tensor(name, &[outputs, inputs], self.dtype)
    }

    fn tensor(&self, name: &str, shape: &[usize], dtype: DType) -> Result<Tensor> {
        match self.source {
            Source::Files(weights) => weights.tensor(name, shape, dtype, self.device),
            Source::Memory(weights) => weights.tensor(name, shape, dtype),
        }
    }

    /// A norm's weight, (D).
    pub fn norm(&self, name: &str) -> Result<Arc<[f32]>> {
        let shape = [self.config.hidden_size];
        let weight = self.tensor(name, &shape, DType::F32)?;
        Ok(weight.to_vec1::<f32>()?.into())
    }

    fn linear(&self, path: String, outputs: usize, inputs: usize, biased: bool) -> Result<Linear> {
        let weight = self.matrix(&format!("{path}.weight"), outputs, inputs)?;
        let bias = match biased {
            true => Some(self.tensor(&format!("{path}.bias"), &[outputs], DType::F32)?),
            false => None,
        };
        Linear::new(path, &weight, bias.as_ref())
    }

    /// One block.
    pub fn block(&self, layer: usize) -> Result<Block> {
        let c = self.config;
        let base = block_path(layer);
        let [q, k, v, o, gate, up, down] =
            linear_shapes(c).map(|(name, outputs, inputs, biased)| {
                self.linear(format!("{base}.{name}"), outputs, inputs, biased)
            });
        Ok(Block {
            input_norm: self.norm(&format!("{base}.input_layernorm.weight"))?,
            q: q?,
            k: k?,
            v: v?,
            o: o?,
            mlp_norm: self.norm(&format!("{base}.post_attention_layernorm.weight"))?,
            gate: gate?,
            up: up?,
            down: down?,
            eps: c.rms_norm_eps as f32,
            heads: Heads {
                queries: c.num_attention_heads,
                groups: c.num_key_value_heads,
                width: c.head_dim,
            },
            path: base,
        })
    }
}

fn block_path(layer: usize) -> String {
    format!("model.layers.{layer}")
}

/// The linear layers of a block: name, outputs, inputs, and whether each has a bias.
fn linear_shapes(config: &ModelConfig) -> [(&'static str, usize, usize, bool); 7] {
    let (width, mlp) = (config.hidden_size, config.intermediate_size);
    let queries = config.num_attention_heads * config.head_dim;
    let groups = config.num_key_value_heads * config.head_dim;
    let (attention_bias, mlp_bias) = (config.attention_bias, config.mlp_bias);
    [
        ("self_attn.q_proj", queries, width, attention_bias),
        ("self_attn.k_proj", groups, width, attention_bias),
        ("self_attn.v_proj", groups, width, attention_bias),
        ("self_attn.o_proj", width, queries, attention_bias),
        ("mlp.gate_proj", mlp, width, mlp_bias),
        ("mlp.up_proj", mlp, width, mlp_bias),
        ("mlp.down_proj", width, mlp, mlp_bias),
    ]
}

/// The name and shape of every tensor of a checkpoint, in the order of the decoder.
pub(crate) fn tensor_shapes(config: &ModelConfig) -> Vec<(String, TensorShape)> {
    let width = config.hidden_size;
    let vocabulary = TensorShape::Weight([config.vocab_size, width]);
    let mut shapes = vec![(EMBEDDING.to_owned(), vocabulary)];
    for base in (0..config.num_hidden_layers).map(block_path) {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            shapes.push((format!("{base}.{norm}.weight"), TensorShape::Norm([width])));
        }
        for (name, outputs, inputs, biased) in linear_shapes(config) {
            let weight = TensorShape::Weight([outputs, inputs]);
            shapes.push((format!("{base}.{name}.weight"), weight));
            if biased {
                shapes.push((format!("{base}.{name}.bias"), TensorShape::Bias([outputs])));
            }
        }
    }
    shapes.push((FINAL_NORM.to_owned(), TensorShape::Norm([width])));
    if !config.tie_word_embeddings {
        shapes.push((HEAD.to_owned(), vocabulary));
    }
    shapes
}
