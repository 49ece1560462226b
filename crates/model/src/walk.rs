//! The walk over the blocks, forward and back.
//!
//! Shapes: T tokens, D width, V vocabulary.

use crate::block::{BlockPass, Chosen};
use crate::linear::LoraPass;
use crate::llama::EMBEDDING;
use crate::op::rope::Rotation;
use crate::workspace::Workspace;
use crate::{Adapter, Checkpointing, Decoder, Gradients, Result, TokenTree};

/// What a walk over the blocks knows of its batch.
#[derive(Clone, Copy)]
pub(crate) struct Walk<'a> {
    pub tree: &'a TokenTree,
    pub lora: LoraPass<'a>,
    /// The tokens whose output the head reads.
    pub chosen: Chosen<'a>,
    /// The first block whose backward is wanted.
    pub lowest: usize,
}

impl<'a> Walk<'a> {
    fn block_pass<'r>(&self, rotation: &'r Rotation, last: bool) -> BlockPass<'r>
    where
        'a: 'r,
    {
        BlockPass { lora: self.lora, rotation, chosen: last.then_some(self.chosen) }
    }
}

impl Decoder {
    /// Walks the blocks forward, keeping nothing but the wanted tokens' outputs.
    pub(crate) fn scoring_walk<'w>(
        &self,
        adapter: Option<&'w Adapter>,
        tree: &'w TokenTree,
        rows: &'w [usize],
        work: &mut Workspace,
    ) -> Result<Walk<'w>> {
        work.rotation.set(&self.frequencies, tree.positions());
        let lora = LoraPass { adapter, dropout: None };
        let chosen = Chosen { rows, keys: &[] };
        // No block is walked back.
        let walk = Walk { tree, lora, chosen, lowest: self.blocks.len() };
        self.walk_forward(walk, Checkpointing::Recompute, work)?;
        Ok(walk)
    }

    /// Walks the blocks forward; the last one's output is there at the wanted tokens only.
    pub(crate) fn walk_forward(
        &self,
        walk: Walk<'_>,
        checkpointing: Checkpointing,
        work: &mut Workspace,
    ) -> Result<()> {
        let (width, tokens) = (self.config().hidden_size, walk.tree.ids().len());
        let Workspace { inputs, traces, spare, output, scratch, rotation, .. } = work;
        let slots = if walk.lowest < self.blocks.len() { self.blocks.len() } else { 2 };
        inputs.resize_with(slots.max(inputs.len()), Default::default);
        traces.resize_with(self.blocks.len().max(traces.len()), Default::default);
        self.embed(walk.tree.ids(), inputs[0].sized(tokens * width))?;
        for (layer, block) in self.blocks.iter().enumerate() {
            let pass = walk.block_pass(rotation, layer + 1 == self.blocks.len());
            let kept = checkpointing == Checkpointing::Keep && layer >= walk.lowest;
            let trace = if kept { &mut traces[layer] } else { &mut *spare };
            // Taken out of its slot, so that the next one can be written beside it.
            let input = std::mem::take(&mut inputs[layer % slots]);
            let x = input.get(tokens * width);
            block.project(x, pass, trace, scratch);
            block.attend(walk.tree, trace);
            let to = match pass.chosen {
                Some(chosen) => output.sized(chosen.rows.len() * width),
                None => inputs[(layer + 1) % slots].sized(tokens * width),
            };
            block.finish(x, pass, trace, scratch, to);
            inputs[layer % slots] = input;
        }
        Ok(())
    }

    /// Walks the blocks from the last to the lowest trained one, and to the embedding where that is trained.
    pub(crate) fn walk_back(
        &self,
        walk: Walk<'_>,
        checkpointing: Checkpointing,
        work: &mut Workspace,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let len = walk.tree.ids().len() * self.config().hidden_size;
        let Workspace {
            inputs, traces, spare, output, d_output, d_next, scratch, rotation, ..
        } = work;
        for (layer, block) in self.blocks.iter().enumerate().skip(walk.lowest).rev() {
            let last = layer + 1 == self.blocks.len();
            let pass = walk.block_pass(rotation, last);
            let x = inputs[layer].get(len);
            let wanted =
                if last { walk.chosen.rows.len() * self.config().hidden_size } else { len };
            let trace = match checkpointing {
                Checkpointing::Keep => &traces[layer],
                Checkpointing::Recompute => {
                    block.project(x, pass, spare, scratch);
                    block.attend(walk.tree, spare);
                    block.finish(x, pass, spare, scratch, output.sized(wanted));
                    &*spare
                }
            };
            let needed = layer > walk.lowest || gradients.are_of_base();
            let d_x = if needed { Some(d_next.sized(len)) } else { None };
            let d_out = d_output.get_mut(wanted);
            block.backward(x, walk.tree, pass, trace, scratch, d_out, d_x, gradients)?;
            std::mem::swap(d_output, d_next);
        }
        if gradients.are_of_base() {
            add_embeddings(gradients.of(EMBEDDING)?, walk.tree.ids(), d_output.get(len));
        }
        Ok(())
    }
}

/// Adds the gradient of each token's embedding to its row of the table.
///
/// Shapes: `table` (V, D), `d_embedded` (T, D).
fn add_embeddings(table: &mut [f32], ids: &[u32], d_embedded: &[f32]) {
    let width = d_embedded.len() / ids.len().max(1);
    for (id, row) in ids.iter().zip(d_embedded.chunks(width.max(1))) {
        let sums = &mut table[*id as usize * width..][..width];
        sums.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}
