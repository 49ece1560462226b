//! Names and shapes of the tensors of a Llama checkpoint.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor};

use crate::block::Block;
use crate::kernel::attention::Heads;
use crate::linear::Linear;
use crate::weights::Weights;
use crate::{ModelConfig, Result};

/// Reads the decoder's parts by their names.
pub(crate) struct Loader<'a> {
    pub weights: &'a Weights,
    pub config: &'a ModelConfig,
    pub dtype: DType,
    pub device: &'a Device,
}

impl Loader<'_> {
    /// A weight in the base's number format, (outputs, inputs).
    pub fn matrix(&self, name: &str, outputs: usize, inputs: usize) -> Result<Tensor> {
        self.weights.tensor(name, &[outputs, inputs], self.dtype, self.device)
    }

    /// A norm's weight, (D).
    pub fn norm(&self, name: &str) -> Result<Arc<[f32]>> {
        let shape = [self.config.hidden_size];
        let weight = self.weights.tensor(name, &shape, DType::F32, self.device)?;
        Ok(weight.to_vec1::<f32>()?.into())
    }

    fn linear(&self, path: String, outputs: usize, inputs: usize, biased: bool) -> Result<Linear> {
        let weight = self.matrix(&format!("{path}.weight"), outputs, inputs)?;
        let bias = match biased {
            true => Some(self.weights.tensor(
                &format!("{path}.bias"),
                &[outputs],
                DType::F32,
                self.device,
            )?),
            false => None,
        };
        Linear::new(path, &weight, bias.as_ref())
    }

    /// One block.
    pub fn block(&self, layer: usize) -> Result<Block> {
        let c = self.config;
        let base = format!("model.layers.{layer}");
        let (queries, groups) =
            (c.num_attention_heads * c.head_dim, c.num_key_value_heads * c.head_dim);
        let attention = |name: &str, outputs, inputs| {
            self.linear(format!("{base}.self_attn.{name}"), outputs, inputs, c.attention_bias)
        };
        let mlp = |name: &str, outputs, inputs| {
            self.linear(format!("{base}.mlp.{name}"), outputs, inputs, c.mlp_bias)
        };
        Ok(Block {
            input_norm: self.norm(&format!("{base}.input_layernorm.weight"))?,
            q: attention("q_proj", queries, c.hidden_size)?,
            k: attention("k_proj", groups, c.hidden_size)?,
            v: attention("v_proj", groups, c.hidden_size)?,
            o: attention("o_proj", c.hidden_size, queries)?,
            mlp_norm: self.norm(&format!("{base}.post_attention_layernorm.weight"))?,
            gate: mlp("gate_proj", c.intermediate_size, c.hidden_size)?,
            up: mlp("up_proj", c.intermediate_size, c.hidden_size)?,
            down: mlp("down_proj", c.hidden_size, c.intermediate_size)?,
            eps: c.rms_norm_eps as f32,
            heads: Heads {
                queries: c.num_attention_heads,
                groups: c.num_key_value_heads,
                width: c.head_dim,
            },
        })
    }
}
