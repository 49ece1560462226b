//! A decoder block: attention and a gated MLP, each behind a norm and beside a residual.
//!
//! Shapes: T tokens, D width, H query heads, G key/value heads, R width of a head.

use candle_core::Tensor;

use crate::linear::{Linear, LoraPass};
use crate::op::rope::Rotation;
use crate::op::{attention, rms_norm, rope, swiglu};
use crate::{Gradients, Result, TokenTree};

/// The frozen weights of a block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Norm before attention (D).
    pub input_norm: Tensor,
    /// Query, key, value and output maps.
    pub q: Linear,
    /// Keys.
    pub k: Linear,
    /// Values.
    pub v: Linear,
    /// Output of attention.
    pub o: Linear,
    /// Norm before the MLP (D).
    pub mlp_norm: Tensor,
    /// The gate of the MLP.
    pub gate: Linear,
    /// What the gate opens.
    pub up: Linear,
    /// Back to the residual stream.
    pub down: Linear,
    /// Added to the mean square in both norms.
    pub eps: f64,
    /// Width R of a head.
    pub head_dim: usize,
}

/// Queries, keys and values of some tokens, rotated and head-major.
///
/// Shapes: `q` (H, T, R), `k` and `v` (G, T, R), `normed` (T, D).
pub struct Projected {
    normed: Tensor,
    /// Queries.
    pub q: Tensor,
    /// Keys.
    pub k: Tensor,
    /// Values.
    pub v: Tensor,
}

/// What a block's backward needs of its forward.
pub struct BlockTrace {
    input: Tensor,
    projected: Projected,
    attended: Tensor,
    middle: Tensor,
    normed: Tensor,
    gate: Tensor,
    up: Tensor,
}

/// What both kinds of pass know of a batch.
#[derive(Clone, Copy)]
pub struct BlockPass<'a> {
    /// The adapter.
    pub lora: LoraPass<'a>,
    /// The tokens' rotation.
    pub rotation: &'a Rotation,
}

impl Block {
    /// All its linear layers.
    pub fn linears(&self) -> [&Linear; 7] {
        [&self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down]
    }

    /// The same block with every linear layer replaced.
    ///
    /// # Errors
    /// Those of `replace`.
    pub fn with_linears(&self, replace: impl Fn(&Linear) -> Result<Linear>) -> Result<Self> {
        Ok(Self {
            q: replace(&self.q)?,
            k: replace(&self.k)?,
            v: replace(&self.v)?,
            o: replace(&self.o)?,
            gate: replace(&self.gate)?,
            up: replace(&self.up)?,
            down: replace(&self.down)?,
            ..self.clone()
        })
    }

    /// The output for a tree of tokens, and what the backward needs.
    ///
    /// Shapes: `x` (T, D); (T, D) out.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn forward(
        &self,
        x: &Tensor,
        tree: &TokenTree,
        pass: BlockPass<'_>,
    ) -> Result<(Tensor, BlockTrace)> {
        let projected = self.project(x, pass)?;
        let attended = attention::forward(&projected.q, &projected.k, &projected.v, tree)?;
        self.finish(x, projected, &attended, pass)
    }

    /// Queries, keys and values of the tokens.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn project(&self, x: &Tensor, pass: BlockPass<'_>) -> Result<Projected> {
        let normed = rms_norm::forward(x, &self.input_norm, self.eps)?;
        let rotated = |y: &Tensor| -> Result<Tensor> {
            Ok(rope::forward(&self.split_heads(y)?, pass.rotation)?)
        };
        let q = head_major(&rotated(&self.q.forward(&normed, pass.lora)?)?)?;
        let k = head_major(&rotated(&self.k.forward(&normed, pass.lora)?)?)?;
        let v = head_major(&self.split_heads(&self.v.forward(&normed, pass.lora)?)?)?;
        Ok(Projected { normed, q, k, v })
    }

    /// The block's output, given what attention gathered.
    ///
    /// Shapes: `x` (T, D), `gathered` (H, T, R); (T, D) out.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn finish(
        &self,
        x: &Tensor,
        projected: Projected,
        gathered: &Tensor,
        pass: BlockPass<'_>,
    ) -> Result<(Tensor, BlockTrace)> {
        let attended = token_major(gathered)?;
        let middle = (x + self.o.forward(&attended, pass.lora)?)?;
        let normed = rms_norm::forward(&middle, &self.mlp_norm, self.eps)?;
        let gate = self.gate.forward(&normed, pass.lora)?;
        let up = self.up.forward(&normed, pass.lora)?;
        let output = (&middle + self.down.forward(&swiglu::forward(&gate, &up)?, pass.lora)?)?;
        Ok((output, BlockTrace { input: x.clone(), projected, attended, middle, normed, gate, up }))
    }

    /// The gradient of the block's input; adds those of its adapters.
    ///
    /// Shapes: `grad` (T, D); (T, D) out.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn backward(
        &self,
        trace: &BlockTrace,
        tree: &TokenTree,
        pass: BlockPass<'_>,
        grad: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let (d_middle, projections) =
            self.backward_to_projections(trace, tree, pass, grad, gradients)?;
        let [d_q, d_k, d_v] =
            projections.map(|(linear, d_out)| linear.input_gradient(&d_out, pass.lora));
        let d_normed = ((d_q? + d_k?)? + d_v?)?;
        let d_input = rms_norm::backward(&trace.input, &self.input_norm, self.eps, &d_normed)?;
        Ok((d_middle + d_input)?)
    }

    /// Adds the gradients of the block's adapters; for the lowest block, whose input needs none.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn backward_lowest(
        &self,
        trace: &BlockTrace,
        tree: &TokenTree,
        pass: BlockPass<'_>,
        grad: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<()> {
        self.backward_to_projections(trace, tree, pass, grad, gradients).map(|_| ())
    }

    /// The gradient of the residual behind attention, and q, k and v with those of their outputs.
    fn backward_to_projections(
        &self,
        trace: &BlockTrace,
        tree: &TokenTree,
        pass: BlockPass<'_>,
        grad: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<(Tensor, [(&Linear, Tensor); 3])> {
        let d_middle = self.mlp_backward(trace, pass.lora, grad, gradients)?;
        self.o.lora_gradients(&trace.attended, &d_middle, pass.lora, gradients)?;
        let d_attended =
            head_major(&self.split_heads(&self.o.input_gradient(&d_middle, pass.lora)?)?)?;
        let Projected { normed, q, k, v } = &trace.projected;
        let (d_q, d_k, d_v) = attention::backward(q, k, v, tree, &d_attended)?;
        let unrotated = |d: &Tensor| -> Result<Tensor> {
            let (_, tokens, _) = d.dims3()?;
            Ok(rope::backward(&d.transpose(0, 1)?, pass.rotation)?.reshape((tokens, ()))?)
        };
        let projections = [
            (&self.q, unrotated(&d_q)?),
            (&self.k, unrotated(&d_k)?),
            (&self.v, token_major(&d_v)?),
        ];
        for (linear, d_out) in &projections {
            linear.lora_gradients(normed, d_out, pass.lora, gradients)?;
        }
        Ok((d_middle, projections))
    }

    /// The gradient of the residual before the MLP.
    fn mlp_backward(
        &self,
        trace: &BlockTrace,
        lora: LoraPass<'_>,
        grad: &Tensor,
        gradients: &mut Gradients,
    ) -> Result<Tensor> {
        let activated = swiglu::forward(&trace.gate, &trace.up)?;
        self.down.lora_gradients(&activated, grad, lora, gradients)?;
        let d_activated = self.down.input_gradient(grad, lora)?;
        let (d_gate, d_up) = swiglu::backward(&trace.gate, &trace.up, &d_activated)?;
        self.gate.lora_gradients(&trace.normed, &d_gate, lora, gradients)?;
        self.up.lora_gradients(&trace.normed, &d_up, lora, gradients)?;
        let d_normed =
            (self.gate.input_gradient(&d_gate, lora)? + self.up.input_gradient(&d_up, lora)?)?;
        Ok((grad + rms_norm::backward(&trace.middle, &self.mlp_norm, self.eps, &d_normed)?)?)
    }

    /// (T, heads·R) as (T, heads, R).
    fn split_heads(&self, y: &Tensor) -> Result<Tensor> {
        let tokens = y.dim(0)?;
        Ok(y.reshape((tokens, (), self.head_dim))?)
    }
}

/// (T, heads, R) as (heads, T, R).
fn head_major(y: &Tensor) -> Result<Tensor> {
    Ok(y.transpose(0, 1)?.contiguous()?)
}

/// (heads, T, R) as (T, heads·R).
fn token_major(y: &Tensor) -> Result<Tensor> {
    let (_, tokens, _) = y.dims3()?;
    Ok(y.transpose(0, 1)?.contiguous()?.reshape((tokens, ()))?)
}
