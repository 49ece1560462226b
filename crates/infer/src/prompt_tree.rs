//! Prompts as a tree: a beginning that several have is one node.

use tunewise_data::{lay_out, PrefixSharing, TokenExample};

/// A run of tokens that its prompts have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PromptNode {
    /// The tokens; none only in a leaf whose prompt ends where its parent does.
    pub ids: Vec<u32>,
    /// The earlier node that it continues.
    pub parent: Option<usize>,
    /// How many prompts that go through it are not finished.
    pub unfinished: usize,
    /// Whether a completion starts behind its last token: it is a leaf, or a leaf without tokens
    /// continues it.
    pub starts_completions: bool,
}

/// The nodes of some prompts, parents first, and the leaf that each prompt ends in, its own.
#[derive(Debug)]
pub(crate) struct PromptTree {
    pub nodes: Vec<PromptNode>,
    pub leaf: Vec<usize>,
}

impl PromptTree {
    /// The tree of prompts, which are not empty and whose ids lie within a vocabulary.
    ///
    /// A last token of its own after each prompt keeps every prompt's end apart from the others',
    /// also where a prompt is the beginning of another.
    pub fn new(prompts: &[&[u32]]) -> PromptTree {
        let rows = ended(prompts);
        let batch = lay_out(&rows.iter().collect::<Vec<_>>(), PrefixSharing::Share);
        let mut leaf = vec![0; prompts.len()];
        let mut nodes: Vec<PromptNode> = Vec::with_capacity(batch.segments.len());
        for (index, segment) in batch.segments.iter().enumerate() {
            let range = segment.start..segment.start + segment.len;
            let mut ids = batch.ids.get(range).unwrap_or_default().to_vec();
            let is_leaf = ids.last() == Some(&end_of(segment.row));
            if is_leaf {
                ids.pop();
                leaf[segment.row] = index;
            }
            if let (true, Some(parent)) = (ids.is_empty(), segment.parent) {
                nodes[parent].starts_completions = true;
            }
            nodes.push(PromptNode {
                starts_completions: is_leaf && !ids.is_empty(),
                ids,
                parent: segment.parent,
                unfinished: 0,
            });
        }
        let mut tree = PromptTree { nodes, leaf };
        for row in 0..prompts.len() {
            for node in tree.path(row) {
                tree.nodes[node].unfinished += 1;
            }
        }
        tree
    }

    /// The nodes of a prompt from its beginning to its leaf.
    pub fn path(&self, row: usize) -> Vec<usize> {
        let leaf = self.leaf.get(row).copied();
        let upwards = std::iter::successors(leaf, |node| self.nodes[*node].parent);
        let mut path: Vec<usize> = upwards.collect();
        path.reverse();
        path
    }

    /// The prompts in an order that visits each node's prompts one after the other.
    pub fn order(&self) -> Vec<usize> {
        let mut rows: Vec<usize> = (0..self.leaf.len()).collect();
        rows.sort_by_key(|row| self.leaf[*row]);
        rows
    }
}

/// The prompts, each with a last token of its own.
fn ended(prompts: &[&[u32]]) -> Vec<TokenExample> {
    let row = |(row, ids): (usize, &&[u32])| TokenExample {
        line: row,
        ids: ids.iter().copied().chain([end_of(row)]).collect(),
        supervised: vec![false; ids.len() + 1],
    };
    prompts.iter().enumerate().map(row).collect()
}

/// The last token of a prompt; vocabularies do not reach so high.
fn end_of(row: usize) -> u32 {
    u32::MAX - row as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(tree: &PromptTree) -> Vec<(Vec<u32>, Option<usize>, usize, bool)> {
        let nodes = tree.nodes.iter();
        let shape = |n: &PromptNode| (n.ids.clone(), n.parent, n.unfinished, n.starts_completions);
        nodes.map(shape).collect()
    }

    #[test]
    fn equal_prompts_and_beginnings_of_others_end_in_leaves_of_their_own() {
        let (short, long) = (vec![1, 2, 3, 4], vec![1, 2, 3, 4, 5, 6, 7, 8]);
        let tree = PromptTree::new(&[&short, &long, &short]);
        assert_eq!(
            shape(&tree),
            [
                (vec![1, 2, 3, 4], None, 3, true),
                (vec![], Some(0), 1, false),
                (vec![5, 6, 7, 8], Some(0), 1, true),
                (vec![], Some(0), 1, false),
            ]
        );
        assert_eq!(tree.leaf, [1, 2, 3]);
        assert_eq!(tree.path(1), [0, 2]);
    }

    #[test]
    fn prompts_with_nothing_in_common_are_roots() {
        let tree = PromptTree::new(&[&[1, 2], &[1, 2], &[3]]);
        assert_eq!(
            shape(&tree),
            [(vec![1, 2], None, 1, true), (vec![1, 2], None, 1, true), (vec![3], None, 1, true),]
        );
    }

    #[test]
    fn the_order_keeps_prompts_of_a_node_together() {
        let (a, b) = ([1, 1, 1, 1, 1], [2, 2, 2, 2, 2]);
        let with = |ids: &[u32], last: u32| [ids, &[last]].concat();
        let rows = [with(&a, 7), with(&b, 7), with(&a, 8), with(&b, 8)];
        let rows: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        assert_eq!(PromptTree::new(&rows).order(), [0, 2, 1, 3]);
    }
}
