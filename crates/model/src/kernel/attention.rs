//! Attention of tokens to their own segment and its ancestors, a block of queries and of keys at a time.
//!
//! Source: Dao 2023 (FlashAttention-2), algorithms 1 and 2: a running maximum and sum in place of the matrix of
//! scores, whose logarithm the backward starts from. Shapes: T tokens, H query heads, G key/value heads, R width of a
//! head; query head h reads key/value head h / (H / G).
#![allow(unsafe_code)]

use std::cell::RefCell;
use std::ops::Range;

use rayon::prelude::*;

use super::exp::exp;
use super::instructions::{multiply_add, vectorized};
use super::product::{multiply_alone, Left, Right, Start};
use super::view::Rows;
use crate::buffer::Buffer;
use crate::op::lanes::{self, chunks, sum};

/// Tokens whose queries are worked on at a time.
pub(super) const QUERIES: usize = 64;
/// Keys at a time.
pub(super) const KEYS: usize = 128;
/// Rows below which scores are dot products: turning the keys for a product would cost more.
const FEW_ROWS: usize = 8;

/// The heads of an attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads H.
    pub queries: usize,
    /// Key/value heads G.
    pub groups: usize,
    /// Width R of a head.
    pub width: usize,
}

impl Heads {
    pub(super) fn shared(&self) -> usize {
        self.queries / self.groups
    }

    /// 1 / √R.
    pub fn scale(&self) -> f32 {
        1.0 / (self.width as f32).sqrt()
    }
}

/// Keys and values that some queries attend to.
///
/// Shapes: both (L, G·R).
#[derive(Debug, Clone, Copy)]
pub struct Piece<'a> {
    /// Keys.
    pub keys: Rows<'a>,
    /// Values.
    pub values: Rows<'a>,
}

/// A run of queries: the last tokens of the last piece, none of which sees a later one.
#[derive(Debug, Clone)]
pub struct Asking<'a> {
    /// The first query's row.
    pub first: usize,
    /// How many there are.
    pub count: usize,
    /// What they attend to, the oldest ancestor first.
    pub pieces: Vec<Piece<'a>>,
}

/// A block of one group's queries.
pub(super) struct Block<'r, 'a> {
    pub(super) asking: &'r Asking<'a>,
    pub(super) group: usize,
    /// Among the queries of `asking`.
    pub(super) queries: Range<usize>,
}

/// Some keys of a piece and how many of them each query sees.
pub(super) struct Keys<'a> {
    pub(super) keys: Rows<'a>,
    pub(super) values: Rows<'a>,
    /// Keys that the first query of the block sees, and one more each further query; `None` where all see all.
    pub(super) seen_by_first: Option<isize>,
}

impl<'a> Block<'_, 'a> {
    /// The blocks of keys that a query of this block sees.
    pub(super) fn keys(&self, heads: Heads) -> impl Iterator<Item = Keys<'a>> + '_ {
        let last = self.asking.pieces.len().saturating_sub(1);
        self.asking.pieces.iter().enumerate().flat_map(move |(index, piece)| {
            let own = index == last;
            let hidden = if own { self.asking.count - self.queries.end } else { 0 };
            let seen = piece.keys.rows - hidden;
            (0..seen).step_by(KEYS).map(move |first| {
                let count = KEYS.min(seen - first);
                // The first query sees all but the tokens behind it.
                let seen_by_first =
                    seen as isize - self.queries.len() as isize + 1 - first as isize;
                Keys {
                    keys: piece
                        .keys
                        .columns(self.group * heads.width, heads.width)
                        .slice(first, count),
                    values: piece
                        .values
                        .columns(self.group * heads.width, heads.width)
                        .slice(first, count),
                    seen_by_first: own.then_some(seen_by_first),
                }
            })
        })
    }
}

pub(super) fn blocks<'r, 'a>(asking: &'r [Asking<'a>], heads: Heads) -> Vec<Block<'r, 'a>> {
    let of = |asking: &'r Asking<'a>| {
        (0..asking.count).step_by(QUERIES).flat_map(move |first| {
            let queries = first..(first + QUERIES).min(asking.count);
            (0..heads.groups).map(move |group| Block { asking, group, queries: queries.clone() })
        })
    };
    asking.iter().flat_map(of).collect()
}

/// A thread's blocks of numbers.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) queries: Buffer,
    pub(super) grads: Buffer,
    pub(super) scores: Buffer,
    pub(super) d_scores: Buffer,
    pub(super) sums: Buffer,
    pub(super) d_keys: Buffer,
    pub(super) d_values: Buffer,
    pub(super) rows: Buffer,
}

thread_local! {
    pub(super) static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Rows that several threads write, each its own.
#[derive(Clone, Copy)]
pub(super) struct Shared {
    pub(super) data: *mut f32,
    pub(super) stride: usize,
}

// SAFETY: the blocks of an attention write disjoint numbers, and the buffer outlives them.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// The row is within the buffer, and no other thread reads or writes these columns of it.
    #[allow(clippy::mut_from_ref)]
    pub(super) unsafe fn columns(&self, row: usize, first: usize, width: usize) -> &mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.stride + first), width) }
    }
}

pub(super) fn check(asking: &[Asking<'_>], rows: usize, heads: Heads) {
    let mut end = 0;
    for asking in asking {
        assert!(asking.first >= end, "attention: runs of queries overlap");
        end = asking.first + asking.count;
        let last = asking.pieces.last().map_or(0, |piece| piece.keys.rows);
        assert!(last >= asking.count, "attention: more queries than keys in the last piece");
        for piece in &asking.pieces {
            let width = heads.groups * heads.width;
            assert!(
                piece.keys.width == width && piece.values.width == width,
                "attention: widths differ"
            );
            assert_eq!(piece.keys.rows, piece.values.rows, "attention: keys without values");
        }
    }
    assert!(end <= rows, "attention: queries beyond the last row");
}

/// Writes what each query gathers, and the logarithm of its summed exponentials.
///
/// Shapes: `q` and `out` (T, H·R), `log_sums` (T, H).
pub fn forward(
    q: Rows<'_>,
    asking: &[Asking<'_>],
    heads: Heads,
    out: &mut [f32],
    log_sums: &mut [f32],
) {
    let width = heads.queries * heads.width;
    assert!(out.len() >= q.rows * width && log_sums.len() >= q.rows * heads.queries);
    check(asking, q.rows, heads);
    let out = Shared { data: out.as_mut_ptr(), stride: width };
    let log_sums = Shared { data: log_sums.as_mut_ptr(), stride: heads.queries };
    run(blocks(asking, heads), |block| {
        SCRATCH.with_borrow_mut(|scratch| forward_block(&block, q, heads, scratch, out, log_sums));
    });
}

/// Runs every block, those of one token at once by the thread that is there.
pub(super) fn run<B: Send>(blocks: Vec<B>, work: impl Fn(B) + Sync + Send) {
    if blocks.len() < 2 {
        blocks.into_iter().for_each(work);
    } else {
        blocks.into_par_iter().for_each(work);
    }
}

/// The rows of a block lie head by head, and in each head query by query.
pub(super) fn block_rows(
    block: &Block<'_, '_>,
    heads: Heads,
) -> impl Iterator<Item = (usize, usize)> {
    let first = block.asking.first + block.queries.start;
    let (count, shared, group) = (block.queries.len(), heads.shared(), block.group);
    (0..shared)
        .flat_map(move |head| (0..count).map(move |query| (first + query, group * shared + head)))
}

pub(super) fn copy_rows<'s>(
    from: Rows<'_>,
    block: &Block<'_, '_>,
    heads: Heads,
    to: &'s mut Buffer,
) -> &'s [f32] {
    let to = to.sized(heads.shared() * block.queries.len() * heads.width);
    for ((row, head), to) in block_rows(block, heads).zip(to.chunks_mut(heads.width)) {
        to.copy_from_slice(&from.row(row)[head * heads.width..][..heads.width]);
    }
    to
}

fn forward_block(
    block: &Block<'_, '_>,
    q: Rows<'_>,
    heads: Heads,
    scratch: &mut Scratch,
    out: Shared,
    log_sums: Shared,
) {
    let width = heads.width;
    let queries = copy_rows(q, block, heads, &mut scratch.queries);
    let rows = heads.shared() * block.queries.len();
    let queries = Rows::dense(queries, rows, width);
    let sums = scratch.sums.zeroed(rows * width);
    let (largest, total) = scratch.rows.sized(2 * rows).split_at_mut(rows);
    largest.fill(f32::NEG_INFINITY);
    total.fill(0.0);
    for keys in block.keys(heads) {
        let scores = scratch.scores.sized(rows * keys.keys.rows);
        write_scores(scores, queries, keys.keys);
        let state = State { largest, total, sums, width };
        soften(
            scores,
            keys.keys.rows,
            block.queries.len(),
            keys.seen_by_first,
            heads.scale(),
            state,
        );
        let weights = Rows::dense(scores, rows, keys.keys.rows);
        multiply_alone(sums, Left::Rows(weights), Right::Rows(keys.values), Start::Present);
    }
    for (index, (row, head)) in block_rows(block, heads).enumerate() {
        // SAFETY: a block has its own queries and heads, and `check` has seen that their rows are there.
        unsafe {
            let out = out.columns(row, head * width, width);
            for (out, sum) in out.iter_mut().zip(&sums[index * width..]) {
                *out = sum / total[index];
            }
            log_sums.columns(row, head, 1)[0] = largest[index] + total[index].ln();
        }
    }
}

/// Writes the dot product of each query with each key.
pub(super) fn write_scores(scores: &mut [f32], queries: Rows<'_>, keys: Rows<'_>) {
    if queries.rows < FEW_ROWS {
        dots(scores, queries, keys);
    } else {
        multiply_alone(scores, Left::Rows(queries), Right::Columns(keys), Start::Zero);
    }
}

vectorized! {
    fn dots(scores: &mut [f32], queries: Rows<'_>, keys: Rows<'_>) -> () {
        for key in 0..keys.rows {
            let row = keys.row(key);
            for query in 0..queries.rows {
                let ((k, k_rest), (q, q_rest)) = (chunks(row), chunks(queries.row(query)));
                scores[query * keys.rows + key] = sum(k.zip(q), (k_rest, q_rest), |(k, q), sums| {
                    for ((k, q), sum) in k.iter().zip(q).zip(sums) {
                        *sum = multiply_add::<FMA>(*k, *q, *sum);
                    }
                });
            }
        }
    }
}

/// The running softmax of a block's rows.
struct State<'a> {
    largest: &'a mut [f32],
    total: &'a mut [f32],
    /// Gathered values, (rows, `width`).
    sums: &'a mut [f32],
    width: usize,
}

/// Keys that a row sees of `count`, its query being the `query`-th of the block.
#[inline(always)]
pub(super) fn visible(seen_by_first: Option<isize>, query: usize, count: usize) -> usize {
    match seen_by_first {
        Some(seen) => (seen + query as isize).clamp(0, count as isize) as usize,
        None => count,
    }
}

vectorized! {
    /// Makes scores weights relative to the rows' running maxima, and shrinks what was gathered under older ones.
    fn soften(
        scores: &mut [f32],
        count: usize,
        queries: usize,
        seen_by_first: Option<isize>,
        scale: f32,
        state: State<'_>,
    ) -> () {
        for (index, row) in scores.chunks_mut(count).enumerate() {
            let seen = visible(seen_by_first, index % queries, count);
            let (row, unseen) = row.split_at_mut(seen);
            unseen.fill(0.0);
            if seen == 0 {
                continue;
            }
            let old = state.largest[index];
            let largest = f32::max(old, lanes::largest(row) * scale);
            let shrink = if old == f32::NEG_INFINITY { 0.0 } else { exp::<FMA>(old - largest) };
            for x in row.iter_mut() {
                *x = exp::<FMA>(multiply_add::<FMA>(*x, scale, -largest));
            }
            state.largest[index] = largest;
            state.total[index] = state.total[index] * shrink + lanes::total(row);
            if shrink != 1.0 {
                for x in &mut state.sums[index * state.width..][..state.width] {
                    *x *= shrink;
                }
            }
        }
    }
}
