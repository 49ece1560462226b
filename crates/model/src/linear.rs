//! Frozen linear layers with an optional low-rank update.
//!
//! Source: Hu et al. 2021, equation 3: `h = W·x + scale·B·A·dropout(x)`.
//! Shapes: T tokens, in and out the layer's widths, r the rank.

use candle_core::Tensor;

use crate::lora::adapter::{a_key, b_key};
use crate::lora::{Adapter, LoraPair};
use crate::op::dropout::{Dropout, TokenKey};
use crate::{Gradients, Result};

/// A linear layer whose weight never changes.
#[derive(Debug, Clone)]
pub struct Linear {
    path: String,
    weight: Tensor,
    bias: Option<Tensor>,
}

/// The adapter of a pass and, in training, its dropout.
#[derive(Clone, Copy)]
pub struct LoraPass<'a> {
    /// The adapter; `None` computes the base alone.
    pub adapter: Option<&'a Adapter>,
    /// Masks, with the key of each token.
    pub dropout: Option<(Dropout, &'a [TokenKey])>,
}

impl LoraPass<'_> {
    /// A pass of the base alone.
    pub const BASE: LoraPass<'static> = LoraPass { adapter: None, dropout: None };
}

impl Linear {
    /// A layer at a path such as `model.layers.0.mlp.up_proj`.
    ///
    /// Shapes: `weight` (out, in), `bias` (out).
    pub fn new(path: String, weight: Tensor, bias: Option<Tensor>) -> Self {
        Self { path, weight, bias }
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Its weight (out, in).
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// Its bias (out).
    pub fn bias(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    /// The layer's output.
    ///
    /// Shapes: `x` (T, in); (T, out) out.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn forward(&self, x: &Tensor, pass: LoraPass<'_>) -> Result<Tensor> {
        let mut y = frozen_product(x, &self.weight.t()?)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        let Some(pair) = pass.adapter.and_then(|a| a.pair(&self.path)) else {
            return Ok(y);
        };
        let low = self.dropped(x, pass)?.matmul(&like(&pair.a, x)?.t()?)?;
        Ok((y + (low.matmul(&like(&pair.b, x)?.t()?)? * pair.scale)?)?)
    }

    /// Adds the gradients of A and B, where the layer has them.
    ///
    /// Shapes: `x` (T, in), `grad` (T, out).
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn lora_gradients(
        &self,
        x: &Tensor,
        grad: &Tensor,
        pass: LoraPass<'_>,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let Some(pair) = pass.adapter.and_then(|a| a.pair(&self.path)) else {
            return Ok(());
        };
        let x = self.dropped(x, pass)?;
        let low = x.matmul(&like(&pair.a, &x)?.t()?)?;
        let d_low = low_rank_gradient(grad, pair)?;
        gradients.accumulate(a_key(&self.path), d_low.t()?.matmul(&x)?)?;
        gradients.accumulate(b_key(&self.path), (grad.t()?.matmul(&low)? * pair.scale)?)
    }

    /// The gradient of the layer's input.
    ///
    /// Shapes: `grad` (T, out); (T, in) out.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn input_gradient(&self, grad: &Tensor, pass: LoraPass<'_>) -> Result<Tensor> {
        let d_x = frozen_product(grad, &self.weight)?;
        let Some(pair) = pass.adapter.and_then(|a| a.pair(&self.path)) else {
            return Ok(d_x);
        };
        let through = low_rank_gradient(grad, pair)?.matmul(&like(&pair.a, grad)?)?;
        Ok((d_x + self.dropped(&through, pass)?)?)
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
        Ok(Self { weight: fold(&self.weight, pair, sign)?, ..self.clone() })
    }

    /// Dropout is its own transpose, so forward and backward both multiply by the mask.
    fn dropped(&self, x: &Tensor, pass: LoraPass<'_>) -> Result<Tensor> {
        let Some((dropout, keys)) = pass.dropout else {
            return Ok(x.clone());
        };
        Ok(x.mul(&dropout.mask(&self.path, keys, x.dim(1)?, x.dtype(), x.device())?)?)
    }
}

/// `weight + sign · scale · B·A`, summed in f32 and returned in the weight's number format.
pub(crate) fn fold(weight: &Tensor, pair: &LoraPair, sign: f64) -> Result<Tensor> {
    let delta = (pair.b.matmul(&pair.a)? * (sign * pair.scale))?;
    Ok((weight.to_dtype(delta.dtype())? + delta)?.to_dtype(weight.dtype())?)
}

/// A product with a frozen weight: its operands in the weight's number format, its result in that of `x`.
fn frozen_product(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    Ok(x.to_dtype(weight.dtype())?.matmul(weight)?.to_dtype(x.dtype())?)
}

/// scale · grad · B: (T, r).
fn low_rank_gradient(grad: &Tensor, pair: &LoraPair) -> Result<Tensor> {
    Ok((grad.matmul(&like(&pair.b, grad)?)? * pair.scale)?)
}

fn like(factor: &Tensor, x: &Tensor) -> Result<Tensor> {
    Ok(factor.to_dtype(x.dtype())?)
}
