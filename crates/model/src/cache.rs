//! Keys and values kept between calls: a cache node is a segment whose tokens were computed earlier.

use candle_core::Tensor;

use crate::block::{BlockPass, BlockTrace, Chosen};
use crate::kernel::attention::{self, Asking, Heads, Piece};
use crate::kernel::view::Rows;
use crate::linear::LoraPass;
use crate::walk::Walk;
use crate::workspace::Workspace;
use crate::{Adapter, Decoder, ModelError, Result, TokenTree};

/// Names a node of a [`KvCache`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(usize);

/// Tokens to be appended to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The node.
    pub node: NodeId,
    /// At least one token.
    pub ids: Vec<u32>,
}

/// A forest of segments whose keys and values are kept.
#[derive(Debug, Default)]
pub struct KvCache {
    nodes: Vec<Option<Node>>,
}

#[derive(Debug)]
struct Node {
    parent: Option<NodeId>,
    children: usize,
    /// Position of the first token; fixed when the node gets its first tokens.
    first: usize,
    len: usize,
    capacity: usize,
    /// Keys and values of each block, (capacity, 2·G·R), allocated with the first tokens.
    blocks: Vec<Vec<f32>>,
}

impl KvCache {
    /// An empty cache.
    pub fn new() -> Self {
        Self::default()
    }

    /// A node that continues nothing, with room for `capacity` tokens.
    pub fn root(&mut self, capacity: usize) -> NodeId {
        self.insert(None, capacity)
    }

    /// A node that continues `parent`, with room for `capacity` tokens of its own.
    ///
    /// # Errors
    /// When the parent was removed.
    pub fn child(&mut self, parent: NodeId, capacity: usize) -> Result<NodeId> {
        self.node_mut(parent)?.children += 1;
        Ok(self.insert(Some(parent), capacity))
    }

    /// Frees a node.
    ///
    /// # Errors
    /// When it has children or is gone already.
    pub fn remove(&mut self, node: NodeId) -> Result<()> {
        let children = self.node(node)?.children;
        if children > 0 {
            return Err(fault(node, format!("has {children} children, so it cannot be removed")));
        }
        let removed = self.nodes.get_mut(node.0).and_then(Option::take);
        if let Some(parent) = removed.and_then(|node| node.parent) {
            self.node_mut(parent)?.children -= 1;
        }
        Ok(())
    }

    /// Position that the next token of a node will have.
    ///
    /// # Errors
    /// When the node was removed.
    pub fn position(&self, node: NodeId) -> Result<usize> {
        let found = self.node(node)?;
        match found.parent {
            Some(parent) if found.len == 0 => self.position(parent),
            _ => Ok(found.first + found.len),
        }
    }

    fn insert(&mut self, parent: Option<NodeId>, capacity: usize) -> NodeId {
        let node = Node { parent, children: 0, first: 0, len: 0, capacity, blocks: Vec::new() };
        match self.nodes.iter().position(Option::is_none) {
            Some(free) => {
                self.nodes[free] = Some(node);
                NodeId(free)
            }
            None => {
                self.nodes.push(Some(node));
                NodeId(self.nodes.len() - 1)
            }
        }
    }

    fn node(&self, id: NodeId) -> Result<&Node> {
        self.nodes.get(id.0).and_then(Option::as_ref).ok_or_else(|| fault(id, "was removed".into()))
    }

    fn node_mut(&mut self, id: NodeId) -> Result<&mut Node> {
        self.nodes
            .get_mut(id.0)
            .and_then(Option::as_mut)
            .ok_or_else(|| fault(id, "was removed".into()))
    }

    /// Makes room for the additions and returns the positions of their tokens.
    fn grow(&mut self, additions: &[Addition], decoder: &Decoder) -> Result<Vec<usize>> {
        let mut positions = Vec::new();
        for Addition { node: id, ids } in additions {
            let first = self.position(*id)?;
            let children_started = self.has_started_children(*id);
            let node = self.node_mut(*id)?;
            if ids.is_empty() {
                return Err(fault(*id, "gets no tokens, expected at least one".into()));
            }
            if children_started {
                return Err(fault(*id, "cannot grow, since a child continues it".into()));
            }
            if node.len + ids.len() > node.capacity {
                let reason = format!(
                    "has room for {} tokens, expected {}",
                    node.capacity,
                    node.len + ids.len()
                );
                return Err(fault(*id, reason));
            }
            if node.blocks.is_empty() {
                node.first = first;
                node.blocks = empty_blocks(decoder, node.capacity);
            }
            node.len += ids.len();
            positions.extend(first..first + ids.len());
        }
        Ok(positions)
    }

    fn has_started_children(&self, id: NodeId) -> bool {
        self.nodes.iter().flatten().any(|node| node.parent == Some(id) && node.len > 0)
    }

    /// Writes keys and values, side by side in each row, behind those that a node already has in a block.
    fn write<'r>(
        &mut self,
        addition: &Addition,
        layer: usize,
        rows: impl Iterator<Item = &'r [f32]>,
    ) -> Result<()> {
        let node = self.node_mut(addition.node)?;
        let offset = node.len - addition.ids.len();
        let Some(block) = node.blocks.get_mut(layer) else {
            return Err(fault(addition.node, "is empty".into()));
        };
        let width = block.len() / node.capacity.max(1);
        for (row, from) in block.chunks_mut(width).skip(offset).zip(rows) {
            row.copy_from_slice(from);
        }
        Ok(())
    }

    /// What a node's tokens attend to in a block, the oldest ancestor first.
    fn lineage(&self, id: NodeId, layer: usize, heads: Heads) -> Result<Vec<Piece<'_>>> {
        let width = heads.groups * heads.width;
        let mut pieces = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            let node = self.node(id)?;
            if let (Some(block), true) = (node.blocks.get(layer), node.len > 0) {
                let rows = Rows::dense(block, node.len, 2 * width);
                pieces.push(Piece {
                    keys: rows.columns(0, width),
                    values: rows.columns(width, width),
                });
            }
            at = node.parent;
        }
        pieces.reverse();
        Ok(pieces)
    }
}

impl Decoder {
    /// Appends tokens to cache nodes and returns the logits behind the last token of each.
    ///
    /// A parent may come before its children in the same call. Shapes: (additions, V) out, f32.
    ///
    /// # Errors
    /// When a node is gone, full, or has been continued; or a token is outside the vocabulary. The cache is of no use then.
    pub fn extend(
        &self,
        adapter: Option<&Adapter>,
        cache: &mut KvCache,
        additions: &[Addition],
    ) -> Result<Tensor> {
        let ids: Vec<u32> = additions.iter().flat_map(|a| a.ids.iter().copied()).collect();
        let width = self.config().hidden_size;
        let mut workspace = self.workspace();
        let Workspace { inputs, spare, output, scratch, rotation, .. } = &mut *workspace;
        inputs.resize_with(inputs.len().max(2), Default::default);
        let [x, next, ..] = inputs.as_mut_slice() else {
            return Ok(Tensor::zeros((0, 0), candle_core::DType::F32, self.device())?);
        };
        self.embed(&ids, x.sized(ids.len() * width))?;
        let positions = cache.grow(additions, self)?;
        rotation.set(&self.frequencies, &positions);
        // Growing has seen that no addition is empty.
        let last: Vec<usize> = ranges(additions).map(|(_, range)| range.end - 1).collect();
        let lora = LoraPass { adapter, dropout: None };
        let chosen = Chosen { rows: &last, keys: &[] };
        for (layer, block) in self.blocks.iter().enumerate() {
            let is_last = layer + 1 == self.blocks.len();
            let pass = BlockPass { lora, rotation, chosen: is_last.then_some(chosen) };
            let input = x.get(ids.len() * width);
            block.project(input, pass, spare, scratch);
            attend_cached(cache, additions, layer, block.heads, spare)?;
            let rows = if is_last { last.len() } else { ids.len() };
            let to = if is_last { &mut *output } else { &mut *next };
            block.finish(input, pass, spare, scratch, to.sized(rows * width));
            std::mem::swap(x, next);
        }
        let tree = TokenTree::single(ids)?;
        let walk = Walk { tree: &tree, lora, chosen, lowest: self.blocks.len() };
        self.logits_of(walk, &last, &mut workspace)
    }
}

/// Puts the new tokens' keys and values into the cache, and writes what their queries gather from it.
fn attend_cached(
    cache: &mut KvCache,
    additions: &[Addition],
    layer: usize,
    heads: Heads,
    trace: &mut BlockTrace,
) -> Result<()> {
    let tokens: usize = additions.iter().map(|addition| addition.ids.len()).sum();
    let (own, shared) = (heads.queries * heads.width, 2 * heads.groups * heads.width);
    let qkv = Rows::dense(trace.qkv.get(tokens * (own + shared)), tokens, own + shared);
    for (addition, range) in ranges(additions) {
        cache.write(addition, layer, range.map(|row| &qkv.row(row)[own..]))?;
    }
    let asking: Vec<Asking<'_>> = ranges(additions)
        .map(|(addition, range)| {
            let pieces = cache.lineage(addition.node, layer, heads)?;
            Ok(Asking { first: range.start, count: range.len(), pieces })
        })
        .collect::<Result<_>>()?;
    let attended = trace.attended.sized(tokens * own);
    let log_sums = trace.log_sums.sized(tokens * heads.queries);
    attention::forward(qkv.columns(0, own), &asking, heads, attended, log_sums);
    Ok(())
}

/// The flat range of each addition's tokens.
fn ranges(additions: &[Addition]) -> impl Iterator<Item = (&Addition, std::ops::Range<usize>)> {
    additions.iter().scan(0, |end, addition| {
        let start = *end;
        *end += addition.ids.len();
        Some((addition, start..*end))
    })
}

fn empty_blocks(decoder: &Decoder, capacity: usize) -> Vec<Vec<f32>> {
    let config = decoder.config();
    let width = 2 * config.num_key_value_heads * config.head_dim;
    (0..config.num_hidden_layers).map(|_| vec![0.0; capacity * width]).collect()
}

fn fault(node: NodeId, reason: String) -> ModelError {
    ModelError::Cache { node: node.0, reason }
}
