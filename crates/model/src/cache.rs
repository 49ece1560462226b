//! Keys and values kept between calls: a cache node is a segment whose tokens were computed earlier.

use candle_core::Tensor;

use crate::block::BlockPass;
use crate::linear::LoraPass;
use crate::op::attention::{attend, Piece};
use crate::{Adapter, Decoder, ModelError, Result};

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
    /// One for each block, (G, capacity, R), allocated with the first tokens.
    pieces: Vec<Piece>,
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
        let node = Node { parent, children: 0, first: 0, len: 0, capacity, pieces: Vec::new() };
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
            if node.pieces.is_empty() {
                node.first = first;
                node.pieces = empty_pieces(decoder, node.capacity)?;
            }
            node.len += ids.len();
            positions.extend(first..first + ids.len());
        }
        Ok(positions)
    }

    fn has_started_children(&self, id: NodeId) -> bool {
        self.nodes.iter().flatten().any(|node| node.parent == Some(id) && node.len > 0)
    }

    /// Writes keys and values behind those that a node already has in a block.
    fn write(
        &self,
        addition: &Addition,
        layer: usize,
        keys: &Tensor,
        values: &Tensor,
    ) -> Result<()> {
        let node = self.node(addition.node)?;
        let Some(piece) = node.pieces.get(layer) else {
            return Err(fault(addition.node, "is empty".into()));
        };
        let offset = node.len - addition.ids.len();
        piece.keys.slice_set(&keys.contiguous()?, 1, offset)?;
        piece.values.slice_set(&values.contiguous()?, 1, offset)?;
        Ok(())
    }

    /// What a node's tokens attend to in a block, the oldest ancestor first.
    fn lineage(&self, id: NodeId, layer: usize) -> Result<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut at = Some(id);
        while let Some(id) = at {
            let node = self.node(id)?;
            if let (Some(piece), true) = (node.pieces.get(layer), node.len > 0) {
                pieces.push(Piece {
                    keys: piece.keys.narrow(1, 0, node.len)?,
                    values: piece.values.narrow(1, 0, node.len)?,
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
        let mut x = self.embed(&ids)?;
        let positions = cache.grow(additions, self)?;
        let rotation = self.rotation(&positions)?;
        let lora = LoraPass { adapter, dropout: None };
        let pass = BlockPass { lora, rotation: &rotation };
        for (layer, block) in self.blocks.iter().enumerate() {
            let projected = block.project(&x, pass)?;
            for (addition, range) in ranges(additions) {
                let part = |t: &Tensor| t.narrow(1, range.start, range.len());
                cache.write(addition, layer, &part(&projected.k)?, &part(&projected.v)?)?;
            }
            let mut gathered = Vec::with_capacity(additions.len());
            for (addition, range) in ranges(additions) {
                let pieces = cache.lineage(addition.node, layer)?;
                gathered.push(attend(&projected.q.narrow(1, range.start, range.len())?, &pieces)?);
            }
            x = block.finish(&x, projected, &Tensor::cat(&gathered, 1)?, pass)?.0;
        }
        self.logits_at(&x, ranges(additions).map(|(_, range)| range.end - 1), lora)
    }
}

/// The flat range of each addition's tokens.
fn ranges(additions: &[Addition]) -> impl Iterator<Item = (&Addition, std::ops::Range<usize>)> {
    additions.iter().scan(0, |end, addition| {
        let start = *end;
        *end += addition.ids.len();
        Some((addition, start..*end))
    })
}

fn empty_pieces(decoder: &Decoder, capacity: usize) -> Result<Vec<Piece>> {
    let config = decoder.config();
    let shape = (config.num_key_value_heads, capacity, config.head_dim);
    let zeros = || Tensor::zeros(shape, decoder.compute_dtype(), decoder.device());
    (0..config.num_hidden_layers).map(|_| Ok(Piece { keys: zeros()?, values: zeros()? })).collect()
}

fn fault(node: NodeId, reason: String) -> ModelError {
    ModelError::Cache { node: node.0, reason }
}
