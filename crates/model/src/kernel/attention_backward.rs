//! The backward of [`attention`](super::attention): weights are computed again from the logarithms of their sums.
//!
//! Source and shapes as there.
#![allow(unsafe_code)]

use rayon::prelude::*;

use super::attention::{
    block_rows, blocks, check, copy_rows, run, visible, write_scores, Asking, Block, Heads, Keys,
    Piece, Scratch, Shared, QUERIES, SCRATCH,
};
use super::exp::exp;
use super::instructions::{multiply_add, vectorized};
use super::product::{multiply_alone, Left, Right, Start};
use super::view::Rows;
use crate::buffer::Buffer;
use crate::op::lanes::{chunks, sum};

/// Keys whose gradients are worked on at a time: as few as queries, so that little is computed of what is hidden.
const ANSWERING: usize = QUERIES;

/// What the backward reads of the forward.
#[derive(Clone, Copy)]
pub struct Saved<'a> {
    /// Queries (T, H·R).
    pub q: Rows<'a>,
    /// What was gathered (T, H·R).
    pub out: Rows<'a>,
    /// (T, H).
    pub log_sums: &'a [f32],
}

/// A segment's keys and who attends to them.
pub struct Answering<'r, 'a> {
    /// The first key's row in the gradient.
    pub first: usize,
    /// Keys and values.
    pub piece: Piece<'a>,
    /// The runs of queries that see the keys; only `own` sees them causally.
    pub asking: Vec<&'r Asking<'a>>,
    /// The index in `asking` of the segment's own queries.
    pub own: usize,
}

/// Writes the gradients of queries, keys and values.
///
/// Shapes: `grad` (T, H·R); `d_qkv` (T, (H + 2G)·R), queries before keys before values; `dots` (T, H), scratch.
pub fn backward(
    saved: Saved<'_>,
    asking: &[Asking<'_>],
    answering: &[Answering<'_, '_>],
    heads: Heads,
    grad: Rows<'_>,
    d_qkv: &mut [f32],
    dots: &mut [f32],
) {
    let stride = (heads.queries + 2 * heads.groups) * heads.width;
    let rows = saved.q.rows;
    assert!(d_qkv.len() >= rows * stride && saved.log_sums.len() >= rows * heads.queries);
    assert!(grad.rows == rows && saved.out.rows == rows);
    check(asking, rows, heads);
    let d_qkv = Shared { data: d_qkv.as_mut_ptr(), stride };
    row_dots(&mut dots[..rows * heads.queries], saved.out, grad, heads);
    let pass = Backward { saved, grad, heads, dots, d_qkv };
    run(blocks(asking, heads), |block| {
        SCRATCH.with_borrow_mut(|scratch| pass.queries(&block, scratch));
    });
    let mut key_blocks = Vec::new();
    for answering in answering {
        assert!(
            answering.first + answering.piece.keys.rows <= rows,
            "attention: keys beyond the last row"
        );
        for first in (0..answering.piece.keys.rows).step_by(ANSWERING) {
            key_blocks.extend((0..heads.groups).map(|group| (answering, first, group)));
        }
    }
    run(key_blocks, |(answering, first, group)| {
        SCRATCH.with_borrow_mut(|scratch| pass.keys(answering, first, group, scratch));
    });
}

/// Writes `Σ out · grad` of every row and head.
fn row_dots(dots: &mut [f32], out: Rows<'_>, grad: Rows<'_>, heads: Heads) {
    dots.par_chunks_mut(heads.queries).enumerate().for_each(|(row, dots)| {
        dot_heads(dots, out.row(row), grad.row(row), heads.width);
    });
}

vectorized! {
    fn dot_heads(dots: &mut [f32], a: &[f32], b: &[f32], width: usize) -> () {
        for (dot, (a, b)) in dots.iter_mut().zip(a.chunks(width).zip(b.chunks(width))) {
            let ((a, a_rest), (b, b_rest)) = (chunks(a), chunks(b));
            *dot = sum(a.zip(b), (a_rest, b_rest), |(a, b), sums| {
                for ((a, b), sum) in a.iter().zip(b).zip(sums) {
                    *sum = multiply_add::<FMA>(*a, *b, *sum);
                }
            });
        }
    }
}

#[derive(Clone, Copy)]
struct Backward<'a> {
    saved: Saved<'a>,
    grad: Rows<'a>,
    heads: Heads,
    dots: &'a [f32],
    d_qkv: Shared,
}

/// A block's queries, their gradients, and what each row's softmax is known by.
struct BlockRows<'s> {
    queries: Rows<'s>,
    grads: Rows<'s>,
    log_sums: &'s [f32],
    dots: &'s [f32],
}

impl Backward<'_> {
    /// Copies what a block's rows need side by side.
    fn block_rows<'s>(
        &self,
        block: &Block<'_, '_>,
        queries: &'s mut Buffer,
        grads: &'s mut Buffer,
        rows: &'s mut Buffer,
    ) -> BlockRows<'s> {
        let heads = self.heads;
        let count = heads.shared() * block.queries.len();
        let (log_sums, dots) = rows.sized(2 * count).split_at_mut(count);
        for (((row, head), log_sum), dot) in
            block_rows(block, heads).zip(log_sums.iter_mut()).zip(dots.iter_mut())
        {
            let at = row * heads.queries + head;
            (*log_sum, *dot) = (self.saved.log_sums[at], self.dots[at]);
        }
        BlockRows {
            queries: Rows::dense(
                copy_rows(self.saved.q, block, heads, queries),
                count,
                heads.width,
            ),
            grads: Rows::dense(copy_rows(self.grad, block, heads, grads), count, heads.width),
            log_sums,
            dots,
        }
    }

    fn queries(&self, block: &Block<'_, '_>, scratch: &mut Scratch) {
        let (heads, width) = (self.heads, self.heads.width);
        let Scratch { queries, grads, scores, d_scores, sums, rows, .. } = scratch;
        let of_block = self.block_rows(block, queries, grads, rows);
        let count = of_block.queries.rows;
        let d_queries = sums.zeroed(count * width);
        for keys in block.keys(heads) {
            let (_, d_scores) =
                self.weights(&of_block, &keys, block.queries.len(), scores, d_scores);
            multiply_alone(d_queries, Left::Rows(d_scores), Right::Rows(keys.keys), Start::Present);
        }
        for ((row, head), d_query) in block_rows(block, heads).zip(d_queries.chunks(width)) {
            // SAFETY: a block has its own queries and heads, and `check` has seen that their rows are there.
            unsafe { self.d_qkv.columns(row, head * width, width) }.copy_from_slice(d_query);
        }
    }

    fn keys(
        &self,
        answering: &Answering<'_, '_>,
        first: usize,
        group: usize,
        scratch: &mut Scratch,
    ) {
        let (heads, width) = (self.heads, self.heads.width);
        let count = ANSWERING.min(answering.piece.keys.rows - first);
        let keys = answering.piece.keys.columns(group * width, width).slice(first, count);
        let values = answering.piece.values.columns(group * width, width).slice(first, count);
        let Scratch { queries, grads, scores, d_scores, d_keys, d_values, rows, .. } = scratch;
        let (d_keys, d_values) = (d_keys.zeroed(count * width), d_values.zeroed(count * width));
        for (index, asking) in answering.asking.iter().enumerate() {
            let own = index == answering.own;
            // Queries before the first key of their own segment do not see it.
            let begin = if own { first / QUERIES * QUERIES } else { 0 };
            for start in (begin..asking.count).step_by(QUERIES) {
                let block =
                    Block { asking, group, queries: start..(start + QUERIES).min(asking.count) };
                let of_block = self.block_rows(&block, queries, grads, rows);
                let seen_by_first = own.then_some(start as isize + 1 - first as isize);
                let some = Keys { keys, values, seen_by_first };
                let (weights, d_scores) =
                    self.weights(&of_block, &some, block.queries.len(), scores, d_scores);
                multiply_alone(
                    d_values,
                    Left::Columns(weights),
                    Right::Rows(of_block.grads),
                    Start::Present,
                );
                multiply_alone(
                    d_keys,
                    Left::Columns(d_scores),
                    Right::Rows(of_block.queries),
                    Start::Present,
                );
            }
        }
        let (key_column, value_column) =
            ((heads.queries + group) * width, (heads.queries + heads.groups + group) * width);
        for (index, (d_key, d_value)) in
            d_keys.chunks(width).zip(d_values.chunks(width)).enumerate()
        {
            let row = answering.first + first + index;
            // SAFETY: a block of keys has its own rows and group, and `backward` has seen that they are there.
            unsafe {
                self.d_qkv.columns(row, key_column, width).copy_from_slice(d_key);
                self.d_qkv.columns(row, value_column, width).copy_from_slice(d_value);
            }
        }
    }

    /// The softmax weights of a block's rows over some keys, and the gradients of their scores.
    fn weights<'s>(
        &self,
        rows: &BlockRows<'_>,
        keys: &Keys<'_>,
        queries: usize,
        scores: &'s mut Buffer,
        d_scores: &'s mut Buffer,
    ) -> (Rows<'s>, Rows<'s>) {
        let (m, n) = (rows.queries.rows, keys.keys.rows);
        let weights = scores.sized(m * n);
        write_scores(weights, rows.queries, keys.keys);
        let d_scores = d_scores.sized(m * n);
        write_scores(d_scores, rows.grads, keys.values);
        slopes(
            weights,
            d_scores,
            n,
            queries,
            keys.seen_by_first,
            self.heads.scale(),
            rows.log_sums,
            rows.dots,
        );
        (Rows::dense(weights, m, n), Rows::dense(d_scores, m, n))
    }
}

vectorized! {
    /// Scores become weights w, and gradients dw of weights become those of scores: ds = w · (dw − Σ w·dw) / √R.
    fn slopes(
        scores: &mut [f32],
        d_scores: &mut [f32],
        count: usize,
        queries: usize,
        seen_by_first: Option<isize>,
        scale: f32,
        log_sums: &[f32],
        dots: &[f32],
    ) -> () {
        let rows = scores.chunks_mut(count).zip(d_scores.chunks_mut(count)).zip(log_sums.iter().zip(dots));
        for (index, ((row, d_row), (&log_sum, &dot))) in rows.enumerate() {
            let seen = visible(seen_by_first, index % queries, count);
            row[seen..].fill(0.0);
            d_row[seen..].fill(0.0);
            for (x, d) in row[..seen].iter_mut().zip(&mut d_row[..seen]) {
                *x = exp::<FMA>(multiply_add::<FMA>(*x, scale, -log_sum));
                *d = *x * (*d - dot) * scale;
            }
        }
    }
}
