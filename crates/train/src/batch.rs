//! Rows on their way into the decoder.

use tunewise_data::{lay_out, PrefixSharing};
use tunewise_model::{Segment, Target, TargetScore, TokenTree};

use crate::error::Result;
use tunewise_data::TokenExample;

/// One pass through the decoder: a token tree and what it predicts.
#[derive(Debug)]
pub(crate) struct Batch {
    /// The tokens.
    pub tree: TokenTree,
    /// What is predicted.
    pub targets: Vec<Target>,
    /// The row of each target, as an index into the rows laid out.
    pub target_rows: Vec<usize>,
    /// Number, within the optimizer step, of the first row.
    pub first_row: usize,
    /// Tokens that shared prefixes spared the decoder.
    pub saved_prefix_tokens: usize,
}

/// What a row of a step contributed to the loss.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct RowScore {
    /// Sum over the supervised tokens, in nats.
    pub nll: f64,
    /// Supervised tokens predicted best.
    pub correct: usize,
}

/// The rows as batches: one for all of them, or one for each.
pub(crate) fn batches(
    rows: &[&TokenExample],
    first_row: usize,
    packing: bool,
    sharing: PrefixSharing,
) -> Result<Vec<Batch>> {
    let rows_per_batch = if packing { rows.len().max(1) } else { 1 };
    let chunks = rows.chunks(rows_per_batch).enumerate();
    chunks.map(|(index, rows)| batch(rows, first_row + index * rows_per_batch, sharing)).collect()
}

fn batch(rows: &[&TokenExample], first_row: usize, sharing: PrefixSharing) -> Result<Batch> {
    let packed = lay_out(rows, sharing);
    let saved_prefix_tokens = packed.saved_prefix_tokens();
    let segments = packed.segments.iter();
    let segments =
        segments.map(|s| Segment { start: s.start, len: s.len, parent: s.parent, row: s.row });
    let targets = packed.targets.iter();
    let targets =
        targets.map(|t| Target { position: t.position, token: t.token, weight: t.weight });
    Ok(Batch {
        targets: targets.collect(),
        target_rows: packed.targets.iter().map(|target| target.row).collect(),
        tree: TokenTree::new(packed.ids, segments.collect())?,
        first_row,
        saved_prefix_tokens,
    })
}

impl Batch {
    /// Adds the targets' scores to those of their rows.
    pub fn add_scores(&self, scores: &[TargetScore], rows: &mut [RowScore]) {
        for ((score, target), row) in scores.iter().zip(&self.targets).zip(&self.target_rows) {
            if let Some(row) = rows.get_mut(self.first_row + row) {
                row.nll += f64::from(target.weight) * score.nll;
                row.correct += usize::from(score.correct);
            }
        }
    }
}
