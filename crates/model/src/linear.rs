//! Linear layers with an optional low-rank update.
//!
//! Source: Hu et al. 2021, equation 3: `h = W·x + scale·B·A·dropout(x)`.
//! Shapes: T tokens, in and out the layer's widths, r the rank. Layers that read the same input are worked on together:
//! their outputs lie side by side in each row.

use std::sync::{Arc, OnceLock};

use candle_core::{DType, Device, Tensor};
use half::bf16;

use crate::kernel::panels::Panels;
use crate::lora::{Adapter, LoraPair};
use crate::op::dropout::{Dropout, TokenKey};
use crate::{BaseDtype, Result};

/// A linear layer.
#[derive(Debug, Clone)]
pub struct Linear {
    path: String,
    /// The tensor that its weight is.
    weight_name: String,
    /// Packed for `x·Wᵀ`: in steps, out columns.
    forward: Arc<Panels>,
    /// Packed for `g·W`, when training asked for it.
    backward: Arc<OnceLock<Panels>>,
    bias: Option<Arc<[f32]>>,
}

/// The adapter of a pass and, in training, its dropout.
#[derive(Clone, Copy)]
pub struct LoraPass<'a> {
    /// The adapter; `None` computes the base alone.
    pub adapter: Option<&'a Adapter>,
    /// Masks, with the key of each token.
    pub dropout: Option<(Dropout, &'a [TokenKey])>,
}

impl Linear {
    /// A layer at a path such as `model.layers.0.mlp.up_proj`.
    ///
    /// Shapes: `weight` (out, in), f32 or bf16; `bias` (out).
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn new(path: String, weight: &Tensor, bias: Option<&Tensor>) -> Result<Self> {
        let bias = bias.map(|bias| bias.to_dtype(DType::F32)?.to_vec1::<f32>()).transpose()?;
        let forward = Arc::new(packed(weight)?);
        let weight_name = format!("{path}.weight");
        let backward = Arc::default();
        Ok(Self { path, weight_name, forward, backward, bias: bias.map(Arc::from) })
    }

    /// The same layer with its weight under another tensor's name: a head whose weight is the embedding.
    #[must_use]
    pub(crate) fn with_weight_name(self, weight_name: &str) -> Self {
        Self { weight_name: weight_name.to_owned(), ..self }
    }

    /// The tensor that its weight is.
    pub(crate) fn weight_name(&self) -> &str {
        &self.weight_name
    }

    /// The tensor that its bias is.
    pub(crate) fn bias_name(&self) -> String {
        format!("{}.bias", self.path)
    }

    /// Replaces its numbers, rounded to its number format.
    ///
    /// Shapes: `weight` (out, in), `bias` (out).
    pub(crate) fn set(&mut self, weight: &[f32], bias: Option<&[f32]>) {
        let inputs = self.inputs();
        Arc::make_mut(&mut self.forward).fill(|step, out| weight[out * inputs + step]);
        if let Some(panels) = Arc::make_mut(&mut self.backward).get_mut() {
            panels.fill(|out, step| weight[out * inputs + step]);
        }
        self.bias = bias.map(Arc::from);
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The width of its input.
    pub fn inputs(&self) -> usize {
        self.forward.steps()
    }

    /// The width of its output.
    pub fn outputs(&self) -> usize {
        self.forward.columns()
    }

    /// Number of frozen parameters.
    pub fn parameter_count(&self) -> usize {
        self.inputs() * self.outputs() + self.bias().map_or(0, <[f32]>::len)
    }

    /// The number format of its weight.
    pub fn dtype(&self) -> BaseDtype {
        if self.forward.is_bf16() {
            BaseDtype::Bf16
        } else {
            BaseDtype::F32
        }
    }

    /// A copy of its weight (out, in), in its number format.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn weight(&self) -> Result<Tensor> {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        let numbers: Vec<f32> = (0..outputs)
            .flat_map(|out| (0..inputs).map(move |step| (step, out)))
            .map(|(step, out)| self.forward.number(step, out))
            .collect();
        let weight = Tensor::from_vec(numbers, (outputs, inputs), &Device::Cpu)?;
        Ok(weight.to_dtype(self.dtype().dtype())?)
    }

    /// Its bias (out).
    pub fn bias(&self) -> Option<&[f32]> {
        self.bias.as_deref()
    }

    /// Writes one row of the weight (in): the embedding of a token, where the layer is a tied output head.
    pub(crate) fn write_row(&self, row: usize, out: &mut [f32]) {
        for (step, out) in out.iter_mut().enumerate() {
            *out = self.forward.number(step, row);
        }
    }

    /// The weight packed for `x·Wᵀ`.
    pub(crate) fn panels(&self) -> &Panels {
        &self.forward
    }

    /// The weight packed for `g·W`; `None` where that was not asked for.
    pub(crate) fn backward_panels(&self) -> Option<&Panels> {
        self.backward.get()
    }

    /// Packs the weight for `g·W` too, if it is not.
    pub(crate) fn pack_backward(&self) {
        self.backward.get_or_init(|| self.forward.transposed());
    }

    /// The layer with `sign · scale · B·A` added to its weight, in the weight's number format.
    ///
    /// Shapes: the weight stays (out, in).
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn folded(&self, adapter: &Adapter, sign: f64) -> Result<Self> {
        let Some(pair) = adapter.pair(&self.path) else {
            return Ok(self.clone());
        };
        let forward = Arc::new(packed(&fold(&self.weight()?, pair, sign)?)?);
        Ok(Self { forward, backward: Arc::default(), ..self.clone() })
    }
}

/// A weight (out, in) packed for `x·Wᵀ`.
fn packed(weight: &Tensor) -> Result<Panels> {
    let (outputs, inputs) = weight.dims2()?;
    if weight.dtype() == DType::BF16 {
        let numbers: Vec<bf16> = weight.flatten_all()?.to_vec1()?;
        return Ok(Panels::bf16(inputs, outputs, |step, out| numbers[out * inputs + step]));
    }
    let numbers: Vec<f32> = weight.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    Ok(Panels::f32(inputs, outputs, |step, out| numbers[out * inputs + step]))
}

/// `weight + sign · scale · B·A`, summed in f32 and returned in the weight's number format.
pub(crate) fn fold(weight: &Tensor, pair: &LoraPair, sign: f64) -> Result<Tensor> {
    let delta = (pair.b.tensor()?.matmul(&pair.a.tensor()?)? * (sign * pair.scale))?;
    Ok((weight.to_dtype(delta.dtype())? + delta)?.to_dtype(weight.dtype())?)
}
