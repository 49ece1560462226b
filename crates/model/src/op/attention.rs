//! Attention of tokens to their own segment and its ancestors.
//!
//! Source: Vaswani et al. 2017, equation 1, with grouped key/value heads (Ainslie et al. 2023).
//! Shapes: T tokens, H query heads, G key/value heads, R width of a head.

use crate::kernel::attention::{self, Asking, Heads, Piece};
use crate::kernel::attention_backward::{self, Answering, Saved};
use crate::kernel::view::Rows;
use crate::tree::TokenTree;

/// Writes what each token of a tree gathers from its own segment and its ancestors, and the logarithm of its summed
/// exponentials.
///
/// Shapes: `qkv` (T, (H + 2G)·R), queries before keys before values; `out` (T, H·R), `log_sums` (T, H).
pub fn forward(qkv: &[f32], tree: &TokenTree, heads: Heads, out: &mut [f32], log_sums: &mut [f32]) {
    let qkv = rows(qkv, tree, heads);
    attention::forward(queries(qkv, heads), &asking(qkv, tree, heads), heads, out, log_sums);
}

/// What the forward left for the backward.
#[derive(Clone, Copy)]
pub struct Trace<'a> {
    /// (T, (H + 2G)·R).
    pub qkv: &'a [f32],
    /// (T, H·R).
    pub out: &'a [f32],
    /// (T, H).
    pub log_sums: &'a [f32],
}

/// Writes the gradients of queries, keys and values.
///
/// Shapes: `grad` (T, H·R), `d_qkv` (T, (H + 2G)·R), `dots` (T, H), scratch.
pub fn backward(
    trace: Trace<'_>,
    tree: &TokenTree,
    heads: Heads,
    grad: &[f32],
    d_qkv: &mut [f32],
    dots: &mut [f32],
) {
    let tokens = tree.ids().len();
    let width = heads.queries * heads.width;
    let qkv = rows(trace.qkv, tree, heads);
    let asking = asking(qkv, tree, heads);
    let answering = answering(qkv, tree, heads, &asking);
    let out = Rows::dense(trace.out, tokens, width);
    let saved = Saved { q: queries(qkv, heads), out, log_sums: trace.log_sums };
    let grad = Rows::dense(grad, tokens, width);
    attention_backward::backward(saved, &asking, &answering, heads, grad, d_qkv, dots);
}

fn rows<'a>(qkv: &'a [f32], tree: &TokenTree, heads: Heads) -> Rows<'a> {
    Rows::dense(qkv, tree.ids().len(), (heads.queries + 2 * heads.groups) * heads.width)
}

fn queries(qkv: Rows<'_>, heads: Heads) -> Rows<'_> {
    qkv.columns(0, heads.queries * heads.width)
}

fn piece<'a>(qkv: Rows<'a>, segment: std::ops::Range<usize>, heads: Heads) -> Piece<'a> {
    let (first, width) = (heads.queries * heads.width, heads.groups * heads.width);
    let rows = qkv.slice(segment.start, segment.len());
    Piece { keys: rows.columns(first, width), values: rows.columns(first + width, width) }
}

/// A run of queries for each segment.
fn asking<'a>(qkv: Rows<'a>, tree: &TokenTree, heads: Heads) -> Vec<Asking<'a>> {
    let of = |(index, segment): (usize, &crate::Segment)| Asking {
        first: segment.start,
        count: segment.len,
        pieces: tree
            .lineage(index)
            .into_iter()
            .map(|ancestor| piece(qkv, tree.segments()[ancestor].range(), heads))
            .collect(),
    };
    tree.segments().iter().enumerate().map(of).collect()
}

/// Each segment's keys with the queries of itself and its descendants.
fn answering<'r, 'a>(
    qkv: Rows<'a>,
    tree: &TokenTree,
    heads: Heads,
    asking: &'r [Asking<'a>],
) -> Vec<Answering<'r, 'a>> {
    let mut answering: Vec<Answering<'r, 'a>> = tree
        .segments()
        .iter()
        .map(|segment| Answering {
            first: segment.start,
            piece: piece(qkv, segment.range(), heads),
            asking: Vec::new(),
            own: 0,
        })
        .collect();
    for (index, asking) in asking.iter().enumerate() {
        for ancestor in tree.lineage(index) {
            // Parents come before their children, so a segment's own queries are its first.
            answering[ancestor].asking.push(asking);
        }
    }
    answering
}

/// The plain op, in any number format.
#[cfg(test)]
pub(crate) mod plain {
    use candle_core::{Result, Tensor, D};

    use crate::tree::TokenTree;

    /// Queries of a chunk: the score matrix of a long segment is never whole in memory.
    pub const QUERIES: usize = 512;

    /// Keys and values that some queries attend to.
    ///
    /// Shapes: both (G, L, R).
    #[derive(Debug, Clone)]
    pub struct Piece {
        /// Keys.
        pub keys: Tensor,
        /// Values.
        pub values: Tensor,
    }

    impl Piece {
        fn range(keys: &Tensor, values: &Tensor, range: std::ops::Range<usize>) -> Result<Self> {
            Ok(Self {
                keys: keys.narrow(1, range.start, range.len())?,
                values: values.narrow(1, range.start, range.len())?,
            })
        }
    }

    /// What each token of a tree gathers from its own segment and its ancestors.
    ///
    /// Shapes: `q` (H, T, R), `k` and `v` (G, T, R); (H, T, R) out.
    pub fn forward(q: &Tensor, k: &Tensor, v: &Tensor, tree: &TokenTree) -> Result<Tensor> {
        let mut outputs = Vec::with_capacity(tree.segments().len());
        for (index, segment) in tree.segments().iter().enumerate() {
            let pieces = lineage_pieces(k, v, tree, index)?;
            outputs.push(attend(&q.narrow(1, segment.start, segment.len)?, &pieces)?);
        }
        Tensor::cat(&outputs, 1)
    }

    /// The gradients of queries, keys and values.
    ///
    /// Shapes: as [`forward`]; `grad` (H, T, R).
    pub fn backward(
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        tree: &TokenTree,
        grad: &Tensor,
    ) -> Result<(Tensor, Tensor, Tensor)> {
        let count = tree.segments().len();
        let mut d_q = Vec::with_capacity(count);
        let mut d_pieces: Vec<Option<Piece>> = vec![None; count];
        for (index, segment) in tree.segments().iter().enumerate() {
            let pieces = lineage_pieces(k, v, tree, index)?;
            let (queries, grads) = (
                q.narrow(1, segment.start, segment.len)?,
                grad.narrow(1, segment.start, segment.len)?,
            );
            let (d_queries, d_lineage) = attend_backward(&queries, &pieces, &grads)?;
            d_q.push(d_queries);
            for (owner, d_piece) in tree.lineage(index).into_iter().zip(d_lineage) {
                add_piece(&mut d_pieces[owner], d_piece)?;
            }
        }
        let d_pieces: Vec<Piece> = d_pieces.into_iter().flatten().collect();
        let join = |part: fn(&Piece) -> &Tensor| {
            Tensor::cat(&d_pieces.iter().map(part).collect::<Vec<_>>(), 1)
        };
        Ok((Tensor::cat(&d_q, 1)?, join(|p| &p.keys)?, join(|p| &p.values)?))
    }

    /// What N queries gather from pieces of keys; they are the last N tokens of the last piece and see no token after them.
    ///
    /// Shapes: `q` (H, N, R); (H, N, R) out.
    pub fn attend(q: &Tensor, pieces: &[Piece]) -> Result<Tensor> {
        let outputs: Vec<Tensor> = chunks(q.dim(1)?)
            .map(|(start, len)| {
                let visible = visible_pieces(pieces, q.dim(1)? - start - len)?;
                let q = grouped(&q.narrow(1, start, len)?, &visible)?;
                let weights = attention_weights(&q, &visible, len)?;
                let mut sum: Option<Tensor> = None;
                for (piece, weights) in visible.iter().zip(split_keys(&weights, &visible)?) {
                    let part = weights.matmul(&piece.values)?;
                    sum = Some(plus(sum, part)?);
                }
                ungrouped(&sum.ok_or_else(no_pieces)?, len)
            })
            .collect::<Result<_>>()?;
        Tensor::cat(&outputs, 1)
    }

    /// The gradients of the queries and of each piece.
    fn attend_backward(
        q: &Tensor,
        pieces: &[Piece],
        grad: &Tensor,
    ) -> Result<(Tensor, Vec<Piece>)> {
        let scale = scale(q)?;
        let mut d_q = Vec::new();
        let mut d_pieces: Vec<Option<Piece>> = vec![None; pieces.len()];
        for (start, len) in chunks(q.dim(1)?) {
            let hidden = q.dim(1)? - start - len;
            let visible = visible_pieces(pieces, hidden)?;
            let q = grouped(&q.narrow(1, start, len)?, &visible)?;
            let grad = grouped(&grad.narrow(1, start, len)?, &visible)?;
            let weights = attention_weights(&q, &visible, len)?;
            let d_weights: Vec<Tensor> =
                visible.iter().map(|p| grad.matmul(&p.values.t()?)).collect::<Result<_>>()?;
            let d_weights = Tensor::cat(&d_weights, D::Minus1)?;
            // Softmax: ds = w · (dw − Σ w·dw).
            let mean = weights.mul(&d_weights)?.sum_keepdim(D::Minus1)?;
            let d_scores = (weights.mul(&d_weights.broadcast_sub(&mean)?)? * scale)?;
            let mut sum: Option<Tensor> = None;
            let parts =
                split_keys(&weights, &visible)?.into_iter().zip(split_keys(&d_scores, &visible)?);
            for (index, (piece, (weights, d_scores))) in visible.iter().zip(parts).enumerate() {
                let part = d_scores.matmul(&piece.keys)?;
                sum = Some(plus(sum, part)?);
                let unseen = if index + 1 == visible.len() { hidden } else { 0 };
                let keys = d_scores.t()?.matmul(&q)?.pad_with_zeros(1, 0, unseen)?;
                let values = weights.t()?.matmul(&grad)?.pad_with_zeros(1, 0, unseen)?;
                add_piece(&mut d_pieces[index], Piece { keys, values })?;
            }
            d_q.push(ungrouped(&sum.ok_or_else(no_pieces)?, len)?);
        }
        Ok((Tensor::cat(&d_q, 1)?, d_pieces.into_iter().flatten().collect()))
    }

    fn lineage_pieces(
        k: &Tensor,
        v: &Tensor,
        tree: &TokenTree,
        segment: usize,
    ) -> Result<Vec<Piece>> {
        tree.lineage(segment)
            .into_iter()
            .map(|s| Piece::range(k, v, tree.segments()[s].range()))
            .collect()
    }

    /// The pieces without the last `hidden` tokens of the last one, which come after every query of a chunk.
    fn visible_pieces(pieces: &[Piece], hidden: usize) -> Result<Vec<Piece>> {
        let mut visible = pieces.to_vec();
        if let Some(last) = visible.last_mut() {
            let len = last.keys.dim(1)? - hidden;
            *last = Piece::range(&last.keys, &last.values, 0..len)?;
        }
        Ok(visible)
    }

    /// Softmax weights over the keys of all pieces.
    ///
    /// Shapes: `q` (G, H/G·N, R); (G, H/G·N, ΣL) out.
    pub fn attention_weights(q: &Tensor, pieces: &[Piece], queries: usize) -> Result<Tensor> {
        let scores: Vec<Tensor> =
            pieces.iter().map(|p| q.matmul(&p.keys.t()?)).collect::<Result<_>>()?;
        let scores = (Tensor::cat(&scores, D::Minus1)? * scale(q)?)?;
        let (groups, rows, keys) = scores.dims3()?;
        let masked = if queries == 1 {
            scores
        } else {
            let mask = causal_mask(queries, keys, q)?;
            scores.reshape((groups * rows / queries, queries, keys))?.broadcast_add(&mask)?
        };
        candle_nn::ops::softmax_last_dim(&masked.contiguous()?)?.reshape((groups, rows, keys))
    }

    /// 0 where a query may look, −∞ where the key comes after it.
    ///
    /// Shapes: (N, ΣL) out.
    fn causal_mask(queries: usize, keys: usize, like: &Tensor) -> Result<Tensor> {
        let first = keys - queries;
        let values: Vec<f32> = (0..queries)
            .flat_map(|query| {
                (0..keys).map(move |key| if key <= first + query { 0.0 } else { f32::NEG_INFINITY })
            })
            .collect();
        Tensor::from_vec(values, (queries, keys), like.device())?.to_dtype(like.dtype())
    }

    /// The columns of each piece in a matrix over all keys.
    fn split_keys(matrix: &Tensor, pieces: &[Piece]) -> Result<Vec<Tensor>> {
        let mut start = 0;
        pieces
            .iter()
            .map(|piece| {
                let len = piece.keys.dim(1)?;
                start += len;
                matrix.narrow(D::Minus1, start - len, len)
            })
            .collect()
    }

    /// (H, N, R) as (G, H/G·N, R): the queries of one key/value head side by side.
    fn grouped(q: &Tensor, pieces: &[Piece]) -> Result<Tensor> {
        let (heads, queries, width) = q.dims3()?;
        let groups = pieces.first().ok_or_else(no_pieces)?.keys.dim(0)?;
        q.contiguous()?.reshape((groups, heads / groups * queries, width))
    }

    fn ungrouped(x: &Tensor, queries: usize) -> Result<Tensor> {
        let (groups, rows, width) = x.dims3()?;
        x.reshape((groups * rows / queries, queries, width))
    }

    fn add_piece(sum: &mut Option<Piece>, piece: Piece) -> Result<()> {
        *sum = Some(match sum.take() {
            Some(sum) => {
                Piece { keys: (sum.keys + piece.keys)?, values: (sum.values + piece.values)? }
            }
            None => piece,
        });
        Ok(())
    }

    fn plus(sum: Option<Tensor>, part: Tensor) -> Result<Tensor> {
        match sum {
            Some(sum) => sum + part,
            None => Ok(part),
        }
    }

    fn scale(q: &Tensor) -> Result<f64> {
        Ok(1.0 / (q.dim(D::Minus1)? as f64).sqrt())
    }

    fn chunks(queries: usize) -> impl Iterator<Item = (usize, usize)> {
        (0..queries).step_by(QUERIES).map(move |start| (start, QUERIES.min(queries - start)))
    }

    fn no_pieces() -> candle_core::Error {
        candle_core::Error::msg("attention without keys")
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Tensor, D};

    use super::plain::*;
    use super::{Heads, TokenTree, Trace};
    use crate::op::finite_difference::{assert_near, numbers, tensor};
    use crate::op::finite_difference::{gradient, relative_distance, sample};
    use crate::tree::Segment;

    fn tree() -> TokenTree {
        let segments = vec![
            Segment::root(0, 2, 0),
            Segment::child(2, 3, 0, 0),
            Segment::child(5, 1, 0, 1),
            Segment::child(6, 2, 2, 1),
            Segment::root(8, 1, 2),
        ];
        TokenTree::new((0..9).collect(), segments).unwrap()
    }

    #[test]
    fn backward_is_the_slope_of_forward() {
        let (q, k, v) = (sample(&[4, 9, 4], 1), sample(&[2, 9, 4], 2), sample(&[2, 9, 4], 3));
        let grad = sample(&[4, 9, 4], 4);
        let (d_q, d_k, d_v) = backward(&q, &k, &v, &tree(), &grad).unwrap();
        assert!(
            relative_distance(&d_q, &gradient(&q, &grad, |q| forward(q, &k, &v, &tree()).unwrap()))
                < 1e-7
        );
        assert!(
            relative_distance(&d_k, &gradient(&k, &grad, |k| forward(&q, k, &v, &tree()).unwrap()))
                < 1e-7
        );
        assert!(
            relative_distance(&d_v, &gradient(&v, &grad, |v| forward(&q, &k, v, &tree()).unwrap()))
                < 1e-7
        );
    }

    #[test]
    fn a_shared_parent_equals_a_repeated_prefix() {
        let (q, k, v) = (sample(&[2, 9, 4], 1), sample(&[1, 9, 4], 2), sample(&[1, 9, 4], 3));
        let shared = forward(&q, &k, &v, &tree()).unwrap();
        // Row 1 is tokens 0, 1, 5, 6, 7.
        let row = Tensor::new(&[0u32, 1, 5, 6, 7], q.device()).unwrap();
        let pick = |t: &Tensor| t.index_select(&row, 1).unwrap();
        let alone =
            forward(&pick(&q), &pick(&k), &pick(&v), &TokenTree::single(vec![0; 5]).unwrap())
                .unwrap();
        assert!(relative_distance(&pick(&shared), &alone) < 1e-12);
    }

    #[test]
    fn chunks_of_a_long_segment_equal_its_plain_scores() {
        let count = QUERIES + 40;
        let (q, k, v) =
            (sample(&[1, count, 2], 1), sample(&[1, count, 2], 2), sample(&[1, count, 2], 3));
        let piece = Piece { keys: k.clone(), values: v.clone() };
        let chunked = attend(&q, std::slice::from_ref(&piece)).unwrap();
        let weights = attention_weights(&q, &[piece], count).unwrap();
        assert!(relative_distance(&chunked, &weights.matmul(&v).unwrap()) < 1e-12);
        let grad = sample(&[1, count, 2], 4);
        let tree = TokenTree::single(vec![0; count]).unwrap();
        let (d_q, d_k, d_v) = backward(&q, &k, &v, &tree, &grad).unwrap();
        let w = &weights;
        let d_w = grad.matmul(&v.t().unwrap()).unwrap();
        let mean = w.mul(&d_w).unwrap().sum_keepdim(D::Minus1).unwrap();
        let d_s = (w.mul(&d_w.broadcast_sub(&mean).unwrap()).unwrap() / 2f64.sqrt()).unwrap();
        assert!(relative_distance(&d_q, &d_s.matmul(&k).unwrap()) < 1e-12);
        assert!(relative_distance(&d_k, &d_s.t().unwrap().matmul(&q).unwrap()) < 1e-12);
        assert!(relative_distance(&d_v, &w.t().unwrap().matmul(&grad).unwrap()) < 1e-12);
    }

    /// (T, heads·R) as (heads, T, R), and back.
    fn head_major(rows: &Tensor, heads: usize) -> Tensor {
        let (tokens, width) = rows.dims2().unwrap();
        rows.reshape((tokens, heads, width / heads))
            .unwrap()
            .transpose(0, 1)
            .unwrap()
            .contiguous()
            .unwrap()
    }

    fn token_major(heads: &Tensor) -> Tensor {
        let tokens = heads.dim(1).unwrap();
        heads.transpose(0, 1).unwrap().contiguous().unwrap().reshape((tokens, ())).unwrap()
    }

    fn assert_parity(tree: &TokenTree, heads: Heads) {
        let tokens = tree.ids().len();
        let Heads { queries, groups, width } = heads;
        let all = (queries + 2 * groups) * width;
        let qkv: Vec<f32> = numbers(tokens * all, 1).iter().map(|x| x * 2.0).collect();
        let grad = numbers(tokens * queries * width, 2);
        let plain = tensor(&qkv, &[tokens, all]);
        let part = |first: usize, count: usize| {
            head_major(&plain.narrow(1, first * width, count * width).unwrap(), count)
        };
        let (q, k, v) = (part(0, queries), part(queries, groups), part(queries + groups, groups));
        let mut out = vec![0.0; tokens * queries * width];
        let mut log_sums = vec![0.0; tokens * queries];
        super::forward(&qkv, tree, heads, &mut out, &mut log_sums);
        assert_near(&out, &token_major(&forward(&q, &k, &v, tree).unwrap()), 2e-6);
        let (mut d_qkv, mut dots) = (vec![f32::NAN; tokens * all], vec![0.0; tokens * queries]);
        let trace = Trace { qkv: &qkv, out: &out, log_sums: &log_sums };
        super::backward(trace, tree, heads, &grad, &mut d_qkv, &mut dots);
        let grad = head_major(&tensor(&grad, &[tokens, queries * width]), queries);
        let (d_q, d_k, d_v) = backward(&q, &k, &v, tree, &grad).unwrap();
        let expected = Tensor::cat(&[d_q, d_k, d_v], 0).unwrap();
        // f32 against f64, with exponentials good to a unit in the last place.
        assert_near(&d_qkv, &token_major(&expected), 5e-6);
    }

    #[test]
    fn the_fast_op_equals_the_plain_one_on_trees_of_short_and_long_segments() {
        let heads = Heads { queries: 4, groups: 2, width: 6 };
        assert_parity(&tree(), heads);
        let segments = vec![
            Segment::root(0, 150, 0),
            Segment::child(150, 70, 0, 0),
            Segment::child(220, 3, 0, 1),
            Segment::child(223, 129, 2, 1),
            Segment::root(352, 200, 2),
        ];
        let long = TokenTree::new((0..552).collect(), segments).unwrap();
        assert_parity(&long, heads);
        assert_parity(&long, Heads { queries: 3, groups: 1, width: 16 });
        assert_parity(&long, Heads { queries: 2, groups: 2, width: 64 });
    }
}
