//! Rows on their way into the decoder.

use std::ops::Range;

use tunewise_data::{alike, lay_out, PrefixSharing};
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

/// The rows cut into runs that are worked through one after another.
///
/// A run has about `tokens` tokens, a beginning that rows share counted once, or is a single longer row. A longer shared
/// beginning makes longer runs, so that it is not computed again for every few rows. Without packing each row goes
/// alone. How rows are cut changes no gradient beyond the order of its sums.
pub(crate) fn pieces(
    rows: &[&TokenExample],
    packing: bool,
    tokens: usize,
    sharing: PrefixSharing,
) -> Vec<Range<usize>> {
    let mut pieces: Vec<Range<usize>> = Vec::new();
    let (mut used, mut limit) = (0, 0);
    for (index, row) in rows.iter().enumerate() {
        let shared = match (sharing, index.checked_sub(1).and_then(|before| rows.get(before))) {
            (PrefixSharing::Share, Some(before)) => alike(&before.ids, &row.ids),
            _ => 0,
        };
        let own = row.ids.len() - shared;
        limit = tokens.max(PREFIXES * shared).max(if used == 0 { 0 } else { limit });
        match pieces.last_mut() {
            Some(piece) if packing && used + own <= limit => {
                piece.end = index + 1;
                used += own;
            }
            _ => {
                pieces.push(index..index + 1);
                (used, limit) = (row.ids.len(), tokens);
            }
        }
    }
    pieces
}

/// How many times its shared beginning a run is long at least, before it is cut.
const PREFIXES: usize = 4;

/// Rows laid out for one pass through the decoder; `first_row` is the first one's number within the step.
pub(crate) fn batch(
    rows: &[&TokenExample],
    first_row: usize,
    sharing: PrefixSharing,
) -> Result<Batch> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ids: Range<u32>) -> TokenExample {
        TokenExample { line: 1, supervised: vec![false; ids.len()], ids: ids.collect() }
    }

    fn cut(rows: &[Range<u32>], packing: bool, sharing: PrefixSharing) -> Vec<Range<usize>> {
        let rows: Vec<TokenExample> = rows.iter().cloned().map(row).collect();
        pieces(&rows.iter().collect::<Vec<_>>(), packing, 100, sharing)
    }

    #[test]
    fn a_piece_has_its_tokens_or_is_one_longer_row() {
        let rows = [0..40, 1..50, 2..20, 3..203, 4..10];
        let found = cut(&rows, true, PrefixSharing::Share);
        assert_eq!(found, [0..2, 2..3, 3..4, 4..5]);
        assert_eq!(cut(&rows, false, PrefixSharing::Share), [0..1, 1..2, 2..3, 3..4, 4..5]);
    }

    #[test]
    fn a_shared_beginning_counts_once_and_makes_longer_pieces() {
        // 30 tokens are shared: pieces of up to 120.
        let rows = [0..30, 0..60, 0..80, 0..95, 0..200];
        assert_eq!(cut(&rows, true, PrefixSharing::Share), vec![0..5; 1]);
        assert_eq!(cut(&rows, true, PrefixSharing::Separate), [0..2, 2..3, 3..4, 4..5]);
    }
}
