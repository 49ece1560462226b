//! Buffers of a pass through the decoder, used again by the next.

use crate::block::{BlockScratch, BlockTrace};
use crate::buffer::Buffer;
use crate::op::rope::Rotation;

/// Everything that a pass writes.
#[derive(Debug, Default)]
pub(crate) struct Workspace {
    /// Each block's input (T, D); two in turn where no block is walked back.
    pub inputs: Vec<Buffer>,
    /// What each block's backward reads.
    pub traces: Vec<BlockTrace>,
    /// The trace of a block whose backward is not wanted, or that is computed again.
    pub spare: BlockTrace,
    /// The last block's output at the wanted tokens (N, D).
    pub output: Buffer,
    /// Gradients of a block's output and input (T, D).
    pub d_output: Buffer,
    pub d_next: Buffer,
    pub scratch: BlockScratch,
    pub rotation: Rotation,
    pub head: HeadScratch,
}

/// Buffers of the final norm and the output head.
#[derive(Debug, Default)]
pub(crate) struct HeadScratch {
    /// (N, D).
    pub normed: Buffer,
    pub d_normed: Buffer,
    /// (N).
    pub inverse: Buffer,
    /// A chunk's rows (C, D) and logits (C, V).
    pub rows: Buffer,
    pub d_rows: Buffer,
    pub logits: Buffer,
    pub low: Buffer,
}
