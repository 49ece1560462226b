//! A decoder block: attention and a gated MLP, each behind a norm and beside a residual.
//!
//! Shapes: T tokens, N of them whose output is wanted, D width, F width of the MLP, H query heads, G key/value heads,
//! R width of a head.

use std::sync::Arc;

use crate::buffer::Buffer;
use crate::kernel::attention::Heads;
use crate::kernel::product::Start;
use crate::kernel::view::Rows;
use crate::layers::{LayerScratch, Layers};
use crate::linear::{Linear, LoraPass};
use crate::op::dropout::TokenKey;
use crate::op::rope::{self, Rotation};
use crate::op::{attention, rms_norm, swiglu};
use crate::{Gradients, Result, TokenTree};

/// The weights of a block.
#[derive(Debug, Clone)]
pub struct Block {
    /// Where it stands, such as `model.layers.0`.
    pub path: String,
    /// Norm before attention (D).
    pub input_norm: Arc<[f32]>,
    /// Query, key, value and output maps.
    pub q: Linear,
    /// Keys.
    pub k: Linear,
    /// Values.
    pub v: Linear,
    /// Output of attention.
    pub o: Linear,
    /// Norm before the MLP (D).
    pub mlp_norm: Arc<[f32]>,
    /// The gate of the MLP.
    pub gate: Linear,
    /// What the gate opens.
    pub up: Linear,
    /// Back to the residual stream.
    pub down: Linear,
    /// Added to the mean square in both norms.
    pub eps: f32,
    /// Its heads.
    pub heads: Heads,
}

/// What a block's backward needs of its forward.
#[derive(Debug, Default)]
pub(crate) struct BlockTrace {
    /// (T, (H + 2G)·R), queries and keys turned.
    pub qkv: Buffer,
    pub log_sums: Buffer,
    pub attended: Buffer,
    /// The residual stream between attention and MLP (N, D).
    middle: Buffer,
    gate_up: Buffer,
    input_inverse: Buffer,
    mlp_inverse: Buffer,
    low_qkv: Buffer,
    low_o: Buffer,
    low_gate_up: Buffer,
    low_down: Buffer,
}

/// Buffers that blocks use in turn.
#[derive(Debug, Default)]
pub(crate) struct BlockScratch {
    pub layers: LayerScratch,
    normed: Buffer,
    activated: Buffer,
    d_activated: Buffer,
    d_gate_up: Buffer,
    d_normed: Buffer,
    d_attended: Buffer,
    d_all_attended: Buffer,
    d_qkv: Buffer,
    dots: Buffer,
    chosen_attended: Buffer,
}

/// What a block's passes know of a batch.
#[derive(Clone, Copy)]
pub(crate) struct BlockPass<'a> {
    /// The adapter.
    pub lora: LoraPass<'a>,
    /// The tokens' rotation.
    pub rotation: &'a Rotation,
    /// The tokens whose output is wanted, ascending, and their masks' keys; `None` for all.
    pub chosen: Option<Chosen<'a>>,
}

/// Tokens whose output is wanted.
#[derive(Clone, Copy)]
pub(crate) struct Chosen<'a> {
    /// Their rows, ascending.
    pub rows: &'a [usize],
    /// Where their dropout masks are drawn from.
    pub keys: &'a [TokenKey],
}

impl BlockPass<'_> {
    /// N of T.
    fn count(&self, tokens: usize) -> usize {
        self.chosen.map_or(tokens, |chosen| chosen.rows.len())
    }

    /// The pass of the layers that see the chosen tokens only.
    fn chosen_lora(&self) -> LoraPass<'_> {
        let dropout = match (self.lora.dropout, self.chosen) {
            (Some((dropout, _)), Some(chosen)) => Some((dropout, chosen.keys)),
            (dropout, _) => dropout,
        };
        LoraPass { dropout, ..self.lora }
    }
}

impl Block {
    /// All its linear layers.
    pub fn linears(&self) -> [&Linear; 7] {
        [&self.q, &self.k, &self.v, &self.o, &self.gate, &self.up, &self.down]
    }

    /// All its linear layers, to be set.
    pub(crate) fn linears_mut(&mut self) -> [&mut Linear; 7] {
        let Self { q, k, v, o, gate, up, down, .. } = self;
        [q, k, v, o, gate, up, down]
    }

    /// The tensor of the norm before attention.
    pub(crate) fn input_norm_name(&self) -> String {
        format!("{}.input_layernorm.weight", self.path)
    }

    /// The tensor of the norm before the MLP.
    pub(crate) fn mlp_norm_name(&self) -> String {
        format!("{}.post_attention_layernorm.weight", self.path)
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

    fn width(&self) -> usize {
        self.input_norm.len()
    }

    fn mlp_width(&self) -> usize {
        self.gate.outputs()
    }

    fn attention_width(&self) -> usize {
        self.heads.queries * self.heads.width
    }

    fn qkv_layers<'a>(&'a self, pass: LoraPass<'a>) -> Layers<'a, 3> {
        Layers { layers: [&self.q, &self.k, &self.v], pass }
    }

    fn gate_up_layers<'a>(&'a self, pass: LoraPass<'a>) -> Layers<'a, 2> {
        Layers { layers: [&self.gate, &self.up], pass }
    }

    /// Writes the tokens' queries, keys and values into the trace.
    ///
    /// Shapes: `x` (T, D).
    pub(crate) fn project(
        &self,
        x: &[f32],
        pass: BlockPass<'_>,
        trace: &mut BlockTrace,
        scratch: &mut BlockScratch,
    ) {
        let (width, layers) = (self.width(), self.qkv_layers(pass.lora));
        let tokens = x.len() / width;
        let normed = scratch.normed.sized(x.len());
        rms_norm::forward(x, &self.input_norm, self.eps, normed, trace.input_inverse.sized(tokens));
        let qkv = trace.qkv.sized(tokens * layers.outputs());
        let normed = Rows::dense(normed, tokens, width);
        layers.forward(normed, &mut scratch.layers, &mut trace.low_qkv, qkv, Start::Zero);
        rope::forward(qkv, layers.outputs(), self.heads.queries + self.heads.groups, pass.rotation);
    }

    /// Writes what a tree's tokens gather into the trace; [`Block::project`] comes before.
    pub(crate) fn attend(&self, tree: &TokenTree, trace: &mut BlockTrace) {
        let tokens = tree.ids().len();
        let qkv =
            trace.qkv.get(tokens * (self.heads.queries + 2 * self.heads.groups) * self.heads.width);
        let attended = trace.attended.sized(tokens * self.attention_width());
        let log_sums = trace.log_sums.sized(tokens * self.heads.queries);
        attention::forward(qkv, tree, self.heads, attended, log_sums);
    }

    /// Writes the block's output at the wanted tokens, given what they gathered.
    ///
    /// Shapes: `x` (T, D), `output` (N, D).
    pub(crate) fn finish(
        &self,
        x: &[f32],
        pass: BlockPass<'_>,
        trace: &mut BlockTrace,
        scratch: &mut BlockScratch,
        output: &mut [f32],
    ) {
        let (width, mlp) = (self.width(), self.mlp_width());
        let tokens = x.len() / width;
        let count = pass.count(tokens);
        let lora = pass.chosen_lora();
        let middle = trace.middle.sized(count * width);
        choose(x, width, pass.chosen, middle);
        let attended = self.attended(
            pass,
            trace.attended.get(tokens * self.attention_width()),
            &mut scratch.chosen_attended,
        );
        let attended = Rows::dense(attended, count, self.attention_width());
        let o = Layers { layers: [&self.o], pass: lora };
        o.forward(attended, &mut scratch.layers, &mut trace.low_o, middle, Start::Present);
        let normed = scratch.normed.sized(count * width);
        rms_norm::forward(middle, &self.mlp_norm, self.eps, normed, trace.mlp_inverse.sized(count));
        let gate_up = trace.gate_up.sized(count * 2 * mlp);
        let layers = self.gate_up_layers(lora);
        let normed = Rows::dense(normed, count, width);
        layers.forward(normed, &mut scratch.layers, &mut trace.low_gate_up, gate_up, Start::Zero);
        let activated = scratch.activated.sized(count * mlp);
        swiglu::forward(gate_up, mlp, activated);
        output.copy_from_slice(middle);
        let down = Layers { layers: [&self.down], pass: lora };
        let activated = Rows::dense(activated, count, mlp);
        down.forward(activated, &mut scratch.layers, &mut trace.low_down, output, Start::Present);
    }

    /// What the wanted tokens gathered (N, H·R).
    fn attended<'s>(
        &self,
        pass: BlockPass<'_>,
        all: &'s [f32],
        chosen: &'s mut Buffer,
    ) -> &'s [f32] {
        match pass.chosen {
            None => all,
            Some(some) => {
                let width = self.attention_width();
                let chosen = chosen.sized(some.rows.len() * width);
                choose(all, width, pass.chosen, chosen);
                chosen
            }
        }
    }

    /// Turns the gradient of the block's output into that of its input, and adds those of what is trained.
    ///
    /// Shapes: `x` (T, D), `d_output` (N, D), `d_x` (T, D); `None` for the lowest adapted block, whose input needs none.
    ///
    /// # Errors
    /// When the gradients have no place for an adapter's.
    #[allow(clippy::too_many_arguments)]
    pub(crate) fn backward(
        &self,
        x: &[f32],
        tree: &TokenTree,
        pass: BlockPass<'_>,
        trace: &BlockTrace,
        scratch: &mut BlockScratch,
        d_output: &mut [f32],
        d_x: Option<&mut [f32]>,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let (width, tokens) = (self.width(), tree.ids().len());
        self.mlp_backward(pass, trace, scratch, d_output, gradients)?;
        self.attention_backward(tree, pass, trace, scratch, d_output, gradients)?;
        let layers = self.qkv_layers(pass.lora);
        let normed = scratch.normed.sized(tokens * width);
        let inverse = trace.input_inverse.get(tokens);
        rms_norm::again(x, &self.input_norm, inverse, normed);
        let normed = Rows::dense(normed, tokens, width);
        let d_qkv = scratch.d_qkv.get(tokens * layers.outputs());
        let Some(d_x) = d_x else {
            return layers.backward(
                normed,
                &trace.low_qkv,
                d_qkv,
                &mut scratch.layers,
                gradients,
                None,
            );
        };
        let d_normed = scratch.d_normed.sized(tokens * width);
        let wanted = Some((&mut *d_normed, Start::Zero));
        layers.backward(normed, &trace.low_qkv, d_qkv, &mut scratch.layers, gradients, wanted)?;
        place(d_output, width, pass.chosen, d_x);
        rms_norm::backward(x, &self.input_norm, inverse, d_normed, d_x);
        if gradients.are_of_base() {
            let d_weight = gradients.of(&self.input_norm_name())?;
            rms_norm::weight_backward(x, inverse, d_normed, d_weight);
        }
        Ok(())
    }

    /// Turns the gradient of the output into that of the residual stream before the MLP.
    fn mlp_backward(
        &self,
        pass: BlockPass<'_>,
        trace: &BlockTrace,
        scratch: &mut BlockScratch,
        grad: &mut [f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let (width, mlp, lora) = (self.width(), self.mlp_width(), pass.chosen_lora());
        let count = grad.len() / width;
        let gate_up = trace.gate_up.get(count * 2 * mlp);
        let BlockScratch { layers, normed, activated, d_activated, d_gate_up, d_normed, .. } =
            scratch;
        let down = Layers { layers: [&self.down], pass: lora };
        let d_activated = d_activated.sized(count * mlp);
        let d_gate_up = d_gate_up.sized(count * 2 * mlp);
        let activated = activated.sized(count * mlp);
        swiglu::forward(gate_up, mlp, activated);
        let input = Rows::dense(activated, count, mlp);
        down.backward(
            input,
            &trace.low_down,
            grad,
            layers,
            gradients,
            Some((d_activated, Start::Zero)),
        )?;
        swiglu::backward(gate_up, mlp, d_activated, d_gate_up);
        let middle = trace.middle.get(count * width);
        let inverse = trace.mlp_inverse.get(count);
        let normed = normed.sized(count * width);
        rms_norm::again(middle, &self.mlp_norm, inverse, normed);
        let d_normed = d_normed.sized(count * width);
        let input = Rows::dense(normed, count, width);
        let wanted = Some((&mut *d_normed, Start::Zero));
        self.gate_up_layers(lora).backward(
            input,
            &trace.low_gate_up,
            d_gate_up,
            layers,
            gradients,
            wanted,
        )?;
        rms_norm::backward(middle, &self.mlp_norm, inverse, d_normed, grad);
        if gradients.are_of_base() {
            let d_weight = gradients.of(&self.mlp_norm_name())?;
            rms_norm::weight_backward(middle, inverse, d_normed, d_weight);
        }
        Ok(())
    }

    /// Writes the gradients of queries, keys and values before their rotation.
    fn attention_backward(
        &self,
        tree: &TokenTree,
        pass: BlockPass<'_>,
        trace: &BlockTrace,
        scratch: &mut BlockScratch,
        grad: &[f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let (tokens, width) = (tree.ids().len(), self.attention_width());
        let all_width = (self.heads.queries + 2 * self.heads.groups) * self.heads.width;
        let count = pass.count(tokens);
        let all = trace.attended.get(tokens * width);
        let attended = self.attended(pass, all, &mut scratch.chosen_attended);
        let attended = Rows::dense(attended, count, width);
        let d_attended = scratch.d_attended.sized(count * width);
        let o = Layers { layers: [&self.o], pass: pass.chosen_lora() };
        let wanted = Some((&mut *d_attended, Start::Zero));
        o.backward(attended, &trace.low_o, grad, &mut scratch.layers, gradients, wanted)?;
        let d_attended: &[f32] = match pass.chosen {
            None => d_attended,
            Some(_) => {
                let all = scratch.d_all_attended.sized(tokens * width);
                place(d_attended, width, pass.chosen, all);
                all
            }
        };
        let qkv = trace.qkv.get(tokens * all_width);
        let log_sums = trace.log_sums.get(tokens * self.heads.queries);
        let saved = attention::Trace { qkv, out: all, log_sums };
        let d_qkv = scratch.d_qkv.sized(tokens * all_width);
        let dots = scratch.dots.sized(tokens * self.heads.queries);
        attention::backward(saved, tree, self.heads, d_attended, d_qkv, dots);
        rope::backward(d_qkv, all_width, self.heads.queries + self.heads.groups, pass.rotation);
        Ok(())
    }
}

/// Copies the chosen rows.
fn choose(all: &[f32], width: usize, chosen: Option<Chosen<'_>>, to: &mut [f32]) {
    match chosen {
        None => to.copy_from_slice(all),
        Some(chosen) => {
            copy_rows(all, width, chosen.rows, to);
        }
    }
}

/// Copies rows by their numbers.
pub(crate) fn copy_rows(all: &[f32], width: usize, rows: &[usize], to: &mut [f32]) {
    for (row, to) in rows.iter().zip(to.chunks_mut(width)) {
        to.copy_from_slice(&all[row * width..][..width]);
    }
}

/// Copies rows to the chosen places; the others become zero.
fn place(rows: &[f32], width: usize, chosen: Option<Chosen<'_>>, all: &mut [f32]) {
    match chosen {
        None => all.copy_from_slice(rows),
        Some(chosen) => {
            all.fill(0.0);
            for (row, from) in chosen.rows.iter().zip(rows.chunks(width)) {
                all[row * width..][..width].copy_from_slice(from);
            }
        }
    }
}
