//! Token trees: a flat list of tokens cut into segments, each of which may continue a parent.

use crate::{ModelError, Result};

/// A run of tokens that attend to one another, causally, and to every token of the segment's ancestors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Flat index of the first token.
    pub start: usize,
    /// Number of tokens.
    pub len: usize,
    /// Index of the earlier segment that this one continues.
    pub parent: Option<usize>,
    /// The batch's row that the segment belongs to (the first one, where several share it).
    pub row: usize,
}

impl Segment {
    /// A segment that continues nothing.
    pub fn root(start: usize, len: usize, row: usize) -> Self {
        Self { start, len, parent: None, row }
    }

    /// A segment whose tokens follow those of `parent`.
    pub fn child(start: usize, len: usize, parent: usize, row: usize) -> Self {
        Self { start, len, parent: Some(parent), row }
    }

    /// The flat range of the segment's tokens.
    pub fn range(&self) -> std::ops::Range<usize> {
        self.start..self.start + self.len
    }
}

/// A token to be predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// Flat index of the token whose hidden state predicts.
    pub position: usize,
    /// The token that should follow it.
    pub token: u32,
    /// Factor of its negative log-likelihood in the loss.
    pub weight: f32,
}

/// A batch: tokens and the forest of segments over them.
#[derive(Debug, Clone)]
pub struct TokenTree {
    ids: Vec<u32>,
    segments: Vec<Segment>,
    positions: Vec<usize>,
}

impl TokenTree {
    /// A checked tree.
    ///
    /// # Errors
    /// When segments do not tile `ids` in order, are empty, or name a parent that does not come before them.
    pub fn new(ids: Vec<u32>, segments: Vec<Segment>) -> Result<Self> {
        let mut positions = Vec::with_capacity(ids.len());
        let mut ends: Vec<usize> = Vec::with_capacity(segments.len());
        for (index, segment) in segments.iter().enumerate() {
            let fault = |reason: String| ModelError::Tree { segment: index, reason };
            if segment.start != positions.len() {
                return Err(fault(format!(
                    "starts at token {}, expected {}",
                    segment.start,
                    positions.len()
                )));
            }
            if segment.len == 0 {
                return Err(fault("is empty, expected at least one token".into()));
            }
            let first = match segment.parent {
                None => 0,
                Some(parent) => *ends.get(parent).ok_or_else(|| {
                    fault(format!("names parent {parent}, expected an earlier segment"))
                })?,
            };
            positions.extend(first..first + segment.len);
            ends.push(first + segment.len);
        }
        if positions.len() != ids.len() {
            let reason = format!("ends at token {}, expected {}", positions.len(), ids.len());
            return Err(ModelError::Tree { segment: segments.len().saturating_sub(1), reason });
        }
        Ok(Self { ids, segments, positions })
    }

    /// A tree of one segment.
    ///
    /// # Errors
    /// When `ids` is empty.
    pub fn single(ids: Vec<u32>) -> Result<Self> {
        let len = ids.len();
        Self::new(ids, vec![Segment::root(0, len, 0)])
    }

    /// The tokens.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The segments, parents before children.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Each token's place in its row, ancestors counted.
    pub fn positions(&self) -> &[usize] {
        &self.positions
    }

    /// The row of each token.
    pub fn rows(&self) -> Vec<usize> {
        self.segments.iter().flat_map(|s| std::iter::repeat_n(s.row, s.len)).collect()
    }

    /// The segment and its ancestors, the oldest first.
    pub fn lineage(&self, segment: usize) -> Vec<usize> {
        let mut lineage = vec![segment];
        let mut at = segment;
        while let Some(parent) = self.segments.get(at).and_then(|s| s.parent) {
            lineage.push(parent);
            at = parent;
        }
        lineage.reverse();
        lineage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_continue_those_of_the_parent() {
        let segments = vec![
            Segment::root(0, 3, 0),
            Segment::child(3, 2, 0, 0),
            Segment::child(5, 1, 1, 1),
            Segment::root(6, 2, 2),
        ];
        let tree = TokenTree::new((0..8).collect(), segments).unwrap();
        assert_eq!(tree.positions(), [0, 1, 2, 3, 4, 5, 0, 1]);
        assert_eq!(tree.lineage(2), [0, 1, 2]);
        assert_eq!(tree.rows(), [0, 0, 0, 0, 0, 1, 2, 2]);
    }

    #[test]
    fn a_gap_and_a_later_parent_are_errors() {
        let gap = TokenTree::new(vec![1, 2, 3], vec![Segment::root(1, 2, 0)]).unwrap_err();
        assert_eq!(gap.to_string(), "segment 0 of the token tree: starts at token 1, expected 0");
        let later = TokenTree::new(vec![1, 2], vec![Segment::child(0, 2, 0, 0)]).unwrap_err();
        assert_eq!(
            later.to_string(),
            "segment 0 of the token tree: names parent 0, expected an earlier segment"
        );
        let rest = TokenTree::new(vec![1, 2], vec![Segment::root(0, 1, 0)]).unwrap_err();
        assert_eq!(rest.to_string(), "segment 0 of the token tree: ends at token 1, expected 2");
    }
}
