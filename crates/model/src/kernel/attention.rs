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
use super::product::{multiply_alone, Left, Part, Right, Start, Term};
use super::view::Rows;
use crate::buffer::Buffer;
use crate::op::lanes::{sum, LANES};

/// Tokens whose queries are worked on at a time.
const QUERIES: usize = 64;
/// Keys at a time.
const KEYS: usize = 128;
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
    fn shared(&self) -> usize {
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
struct Block<'r, 'a> {
    asking: &'r Asking<'a>,
    group: usize,
    /// Among the queries of `asking`.
    queries: Range<usize>,
}

/// Some keys of a piece and how many of them each query sees.
struct Keys<'a> {
    keys: Rows<'a>,
    values: Rows<'a>,
    /// Keys that the first query of the block sees, and one more each further query; `None` where all see all.
    seen_by_first: Option<isize>,
}

impl<'a> Block<'_, 'a> {
    /// The blocks of keys that a query of this block sees.
    fn keys(&self, heads: Heads) -> impl Iterator<Item = Keys<'a>> + '_ {
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

fn blocks<'r, 'a>(asking: &'r [Asking<'a>], heads: Heads) -> Vec<Block<'r, 'a>> {
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
struct Scratch {
    queries: Buffer,
    grads: Buffer,
    scores: Buffer,
    d_scores: Buffer,
    sums: Buffer,
    d_keys: Buffer,
    d_values: Buffer,
    rows: Buffer,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Rows that several threads write, each its own.
#[derive(Clone, Copy)]
struct Shared {
    data: *mut f32,
    stride: usize,
}

// SAFETY: the blocks of an attention write disjoint numbers, and the buffer outlives them.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

impl Shared {
    /// # Safety
    /// The row is within the buffer, and no other thread reads or writes these columns of it.
    #[allow(clippy::mut_from_ref)]
    unsafe fn columns(&self, row: usize, first: usize, width: usize) -> &mut [f32] {
        // SAFETY: the caller's promise.
        unsafe { std::slice::from_raw_parts_mut(self.data.add(row * self.stride + first), width) }
    }
}

fn check(asking: &[Asking<'_>], rows: usize, heads: Heads) {
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
fn run<B: Send>(blocks: Vec<B>, work: impl Fn(B) + Sync + Send) {
    if blocks.len() < 2 {
        blocks.into_iter().for_each(work);
    } else {
        blocks.into_par_iter().for_each(work);
    }
}

/// The rows of a block lie head by head, and in each head query by query.
fn block_rows(block: &Block<'_, '_>, heads: Heads) -> impl Iterator<Item = (usize, usize)> {
    let first = block.asking.first + block.queries.start;
    let (count, shared, group) = (block.queries.len(), heads.shared(), block.group);
    (0..shared)
        .flat_map(move |head| (0..count).map(move |query| (first + query, group * shared + head)))
}

fn copy_rows<'s>(
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
        gather(sums, weights, keys.values);
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
fn write_scores(scores: &mut [f32], queries: Rows<'_>, keys: Rows<'_>) {
    if queries.rows < FEW_ROWS {
        dots(scores, queries, keys);
    } else {
        product(
            scores,
            queries.rows,
            keys.rows,
            Left::Rows(queries),
            Right::Columns(keys),
            Start::Zero,
        );
    }
}

fn gather(sums: &mut [f32], weights: Rows<'_>, values: Rows<'_>) {
    product(
        sums,
        weights.rows,
        values.width,
        Left::Rows(weights),
        Right::Rows(values),
        Start::Present,
    );
}

fn product(out: &mut [f32], m: usize, n: usize, left: Left<'_>, right: Right<'_>, start: Start) {
    let terms = [Term { left, right }];
    multiply_alone(out, n, m, &[Part { column: 0, columns: n, terms: &terms }], start);
}

vectorized! {
    fn dots(scores: &mut [f32], queries: Rows<'_>, keys: Rows<'_>) -> () {
        for key in 0..keys.rows {
            let row = keys.row(key);
            for query in 0..queries.rows {
                scores[query * keys.rows + key] = sum(
                    row.chunks(LANES).zip(queries.row(query).chunks(LANES)),
                    |(k, q), sums: &mut [f32; LANES]| {
                        for ((k, q), sum) in k.iter().zip(q).zip(sums) {
                            *sum = multiply_add::<FMA>(*k, *q, *sum);
                        }
                    },
                );
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
fn visible(seen_by_first: Option<isize>, query: usize, count: usize) -> usize {
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
            let mut lanes = [f32::NEG_INFINITY; LANES];
            for chunk in row.chunks(LANES) {
                for (lane, x) in lanes.iter_mut().zip(chunk) {
                    *lane = if *x > *lane { *x } else { *lane };
                }
            }
            let old = state.largest[index];
            let largest = f32::max(old, lanes.into_iter().fold(f32::NEG_INFINITY, f32::max) * scale);
            let shrink = if old == f32::NEG_INFINITY { 0.0 } else { exp::<FMA>(old - largest) };
            for x in row.iter_mut() {
                *x = exp::<FMA>(multiply_add::<FMA>(*x, scale, -largest));
            }
            let total = sum(row.chunks(LANES), |chunk, sums: &mut [f32; LANES]| {
                for (x, sum) in chunk.iter().zip(sums) {
                    *sum += x;
                }
            });
            state.largest[index] = largest;
            state.total[index] = state.total[index] * shrink + total;
            if shrink != 1.0 {
                for x in &mut state.sums[index * state.width..][..state.width] {
                    *x *= shrink;
                }
            }
        }
    }
}

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
        for first in (0..answering.piece.keys.rows).step_by(KEYS) {
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
            *dot = sum(a.chunks(LANES).zip(b.chunks(LANES)), |(a, b), sums: &mut [f32; LANES]| {
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
            product(
                d_queries,
                count,
                width,
                Left::Rows(d_scores),
                Right::Rows(keys.keys),
                Start::Present,
            );
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
        let count = KEYS.min(answering.piece.keys.rows - first);
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
                product(
                    d_values,
                    count,
                    width,
                    Left::Columns(weights),
                    Right::Rows(of_block.grads),
                    Start::Present,
                );
                product(
                    d_keys,
                    count,
                    width,
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
        for (index, ((row, d_row), (log_sum, dot))) in rows.enumerate() {
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
