//! Linear layers that read the same input: their products, forward and backward, with the low-rank updates inside.
//!
//! Shapes: T tokens, in the width of the input, Σout the layers' outputs side by side, Σr the ranks of those adapted.

use rayon::prelude::*;

use crate::buffer::Buffer;
use crate::kernel::instructions::{vectorized, Instructions};
use crate::kernel::product::{multiply, Left, PackedRows, Part, Right, Start, Term};
use crate::kernel::view::Rows;
use crate::linear::{Linear, LoraPass};
use crate::lora::adapter::{a_key, b_key};
use crate::lora::LoraPair;
use crate::{BaseDtype, Gradients, Result};

/// Columns that a thread sums at a time.
const COLUMNS: usize = 64;

/// Buffers that every group of layers uses in turn.
#[derive(Debug, Default)]
pub(crate) struct LayerScratch {
    packed: [PackedRows; 3],
    d_low: Buffer,
    masked: Buffer,
    mask: Buffer,
}

/// A group of layers with the same input.
#[derive(Clone, Copy)]
pub(crate) struct Layers<'a, const N: usize> {
    /// The layers, their outputs in this order.
    pub layers: [&'a Linear; N],
    /// Adapter and dropout.
    pub pass: LoraPass<'a>,
}

/// A layer's place among its group's outputs, and its adapter's among the ranks.
#[derive(Clone, Copy)]
struct Place<'a> {
    layer: &'a Linear,
    column: usize,
    pair: Option<&'a LoraPair>,
    low: usize,
}

impl<'a, const N: usize> Layers<'a, N> {
    fn places(&self) -> [Place<'a>; N] {
        let (mut column, mut low) = (0, 0);
        self.layers.map(|layer| {
            let pair = self.pass.adapter.and_then(|a| a.pair(layer.path()));
            let place = Place { layer, column, pair, low };
            column += layer.outputs();
            low += pair.map_or(0, LoraPair::rank);
            place
        })
    }

    /// Σout.
    pub fn outputs(&self) -> usize {
        self.layers.iter().map(|layer| layer.outputs()).sum()
    }

    /// Σr.
    pub fn ranks(&self) -> usize {
        self.places().iter().filter_map(|place| place.pair).map(LoraPair::rank).sum()
    }

    /// Writes the layers' outputs, and `scale · A·x` for the backward.
    ///
    /// Shapes: `x` (T, in), `out` (T, Σout), `low` (T, Σr).
    pub fn forward(
        &self,
        x: Rows<'_>,
        scratch: &mut LayerScratch,
        low: &mut Buffer,
        out: &mut [f32],
        start: Start,
    ) {
        let (places, ranks, width) = (self.places(), self.ranks(), self.outputs());
        let low = low.sized(x.rows * ranks);
        self.write_low(x, &places, ranks, scratch, low);
        let packed = &mut scratch.packed[0];
        let left = frozen_left(x, self.layers[0], packed);
        let terms = places.map(|place| {
            let frozen = Term { left, right: Right::Panels(place.layer.panels()) };
            let update = place.pair.map(|pair| Term {
                left: Left::Rows(Rows::dense(low, x.rows, ranks).columns(place.low, pair.rank())),
                right: Right::Columns(pair.b.rows()),
            });
            (frozen, update)
        });
        let terms =
            terms.map(|(frozen, update)| (update.is_some(), [frozen, update.unwrap_or(frozen)]));
        let parts: [Part<'_>; N] = std::array::from_fn(|i| {
            let (updated, both) = &terms[i];
            Part {
                column: places[i].column,
                columns: places[i].layer.outputs(),
                terms: if *updated { both } else { &both[..1] },
            }
        });
        multiply(out, width, x.rows, &parts, start);
        for place in places {
            if let Some(bias) = place.layer.bias() {
                out.par_chunks_mut(width)
                    .take(x.rows)
                    .for_each(|row| add(&mut row[place.column..], bias));
            }
        }
    }

    fn write_low(
        &self,
        x: Rows<'_>,
        places: &[Place<'_>; N],
        ranks: usize,
        scratch: &mut LayerScratch,
        low: &mut [f32],
    ) {
        for place in places {
            let Some(pair) = place.pair else { continue };
            let x = self.dropped(place.layer, x, &mut scratch.mask, &mut scratch.masked);
            let term = [Term { left: Left::Rows(x), right: Right::Columns(pair.a.rows()) }];
            let part = Part { column: place.low, columns: pair.rank(), terms: &term };
            multiply(low, ranks, x.rows, &[part], Start::Zero);
        }
        scale_columns(low, ranks, places);
    }

    /// The layer's input behind dropout.
    fn dropped<'s>(
        &self,
        layer: &Linear,
        x: Rows<'s>,
        mask: &'s mut Buffer,
        masked: &'s mut Buffer,
    ) -> Rows<'s> {
        let Some((dropout, keys)) = self.pass.dropout else {
            return x;
        };
        let mask = mask.sized(x.rows * x.width);
        dropout.write_mask(layer.path(), keys, mask);
        let masked = masked.sized(x.rows * x.width);
        for ((row, masked), mask) in
            (0..x.rows).zip(masked.chunks_mut(x.width)).zip(mask.chunks(x.width))
        {
            for ((masked, x), mask) in masked.iter_mut().zip(x.row(row)).zip(mask) {
                *masked = x * mask;
            }
        }
        Rows::dense(masked, x.rows, x.width)
    }

    /// Adds the gradients of what is trained, and writes (or adds) that of the input where it is asked for.
    ///
    /// Shapes: `x` (T, in), `low` (T, Σr) as the forward left it, `d_out` (T, Σout), `d_x` (T, in).
    ///
    /// # Errors
    /// When the gradients have no place for an adapter's.
    pub fn backward(
        &self,
        x: Rows<'_>,
        low: &Buffer,
        d_out: &[f32],
        scratch: &mut LayerScratch,
        gradients: &mut Gradients,
        d_x: Option<(&mut [f32], Start)>,
    ) -> Result<()> {
        let (places, ranks) = (self.places(), self.ranks());
        let d_out = Rows::dense(d_out, x.rows, self.outputs());
        let LayerScratch { packed, d_low, masked, mask } = scratch;
        let d_low = d_low.sized(x.rows * ranks);
        let parts = places.map(|place| {
            place.pair.map(|pair| {
                let left = Left::Rows(d_out.columns(place.column, place.layer.outputs()));
                (Term { left, right: Right::Rows(pair.b.rows()) }, place.low, pair.rank())
            })
        });
        for (term, column, columns) in parts.into_iter().flatten() {
            multiply(
                d_low,
                ranks,
                x.rows,
                &[Part { column, columns, terms: &[term] }],
                Start::Zero,
            );
        }
        scale_columns(d_low, ranks, &places);
        let d_low = Rows::dense(d_low, x.rows, ranks);
        let low = Rows::dense(low.get(x.rows * ranks), x.rows, ranks);
        for place in &places {
            let Some(pair) = place.pair else { continue };
            let x = self.dropped(place.layer, x, mask, masked);
            let grad = d_out.columns(place.column, place.layer.outputs());
            let low = low.columns(place.low, pair.rank());
            let d_low = d_low.columns(place.low, pair.rank());
            transposed_product(gradients.of(&a_key(place.layer.path()))?, d_low, x);
            transposed_product(gradients.of(&b_key(place.layer.path()))?, grad, low);
        }
        if gradients.are_of_base() {
            weight_gradients(&places, x, d_out, gradients)?;
        }
        if let Some((d_x, start)) = d_x {
            self.input_gradient(&places, d_out, d_low, packed, d_x, start);
            self.masked_input_gradient(&places, d_low, mask, masked, d_x);
        }
        Ok(())
    }

    fn input_gradient(
        &self,
        places: &[Place<'_>; N],
        d_out: Rows<'_>,
        d_low: Rows<'_>,
        packed: &mut [PackedRows; 3],
        d_x: &mut [f32],
        start: Start,
    ) {
        let width = places[0].layer.inputs();
        for (place, packed) in places.iter().zip(packed.iter_mut()) {
            let grad = d_out.columns(place.column, place.layer.outputs());
            if multiplies_bf16(place.layer) && place.layer.backward_panels().is_some() {
                packed.pack(grad);
            }
        }
        let mut terms = Vec::with_capacity(2 * N);
        for (place, packed) in places.iter().zip(packed.iter()) {
            let grad = d_out.columns(place.column, place.layer.outputs());
            terms.push(match place.layer.backward_panels() {
                Some(panels) if multiplies_bf16(place.layer) => {
                    Term { left: Left::Bf16(packed), right: Right::Panels(panels) }
                }
                Some(panels) => Term { left: Left::Rows(grad), right: Right::Panels(panels) },
                None => Term {
                    left: Left::Rows(grad),
                    right: Right::TransposedPanels(place.layer.panels()),
                },
            });
        }
        if self.pass.dropout.is_none() {
            terms.extend(places.iter().filter_map(|place| {
                let pair = place.pair?;
                let left = Left::Rows(d_low.columns(place.low, pair.rank()));
                Some(Term { left, right: Right::Rows(pair.a.rows()) })
            }));
        }
        multiply(
            d_x,
            width,
            d_out.rows,
            &[Part { column: 0, columns: width, terms: &terms }],
            start,
        );
    }

    /// Adds what comes through the low rank where dropout is on: dropout is its own transpose.
    fn masked_input_gradient(
        &self,
        places: &[Place<'_>; N],
        d_low: Rows<'_>,
        mask: &mut Buffer,
        masked: &mut Buffer,
        d_x: &mut [f32],
    ) {
        let Some((dropout, keys)) = self.pass.dropout else { return };
        for place in places {
            let Some(pair) = place.pair else { continue };
            let width = place.layer.inputs();
            let through = masked.sized(d_low.rows * width);
            let left = Left::Rows(d_low.columns(place.low, pair.rank()));
            let terms = [Term { left, right: Right::Rows(pair.a.rows()) }];
            let part = Part { column: 0, columns: width, terms: &terms };
            multiply(through, width, d_low.rows, &[part], Start::Zero);
            let mask = mask.sized(d_low.rows * width);
            dropout.write_mask(place.layer.path(), keys, mask);
            for ((d_x, through), mask) in d_x.iter_mut().zip(through.iter()).zip(mask.iter()) {
                *d_x += through * mask;
            }
        }
    }
}

/// Adds the gradients of the layers' own weights and biases.
fn weight_gradients(
    places: &[Place<'_>],
    x: Rows<'_>,
    d_out: Rows<'_>,
    gradients: &mut Gradients,
) -> Result<()> {
    for place in places {
        let grad = d_out.columns(place.column, place.layer.outputs());
        transposed_product(gradients.of(place.layer.weight_name())?, grad, x);
        if place.layer.bias().is_some() {
            add_rows(gradients.of(&place.layer.bias_name())?, grad);
        }
    }
    Ok(())
}

/// Adds every row to `sum`, in their order whatever the threads.
///
/// Shapes: `rows` (T, out), `sum` (out).
fn add_rows(sum: &mut [f32], rows: Rows<'_>) {
    sum.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, sum)| {
        for row in 0..rows.rows {
            add(sum, &rows.row(row)[block * COLUMNS..][..sum.len()]);
        }
    });
}

/// Whether products with this weight run on bf16 operands.
fn multiplies_bf16(layer: &Linear) -> bool {
    layer.dtype() == BaseDtype::Bf16 && Instructions::current().multiplies_bf16()
}

/// The left operand of a product with a frozen weight, rounded where the product is.
fn frozen_left<'s>(x: Rows<'s>, layer: &Linear, packed: &'s mut PackedRows) -> Left<'s> {
    if multiplies_bf16(layer) {
        packed.pack(x);
        Left::Bf16(packed)
    } else {
        Left::Rows(x)
    }
}

/// Adds `aᵀ·b` to `out`.
///
/// Shapes: `a` (T, m), `b` (T, n), `out` (m, n).
fn transposed_product(out: &mut [f32], a: Rows<'_>, b: Rows<'_>) {
    let terms = [Term { left: Left::Columns(a), right: Right::Rows(b) }];
    let part = Part { column: 0, columns: b.width, terms: &terms };
    multiply(out, b.width, a.width, &[part], Start::Present);
}

/// Multiplies each adapter's columns by its scale.
fn scale_columns(low: &mut [f32], ranks: usize, places: &[Place<'_>]) {
    if ranks == 0 {
        return;
    }
    for place in places {
        let Some(pair) = place.pair else { continue };
        let scale = pair.scale as f32;
        for row in low.chunks_mut(ranks) {
            row[place.low..][..pair.rank()].iter_mut().for_each(|x| *x *= scale);
        }
    }
}

vectorized! {
    fn add(row: &mut [f32], bias: &[f32]) -> () {
        for (x, bias) in row.iter_mut().zip(bias) {
            *x += bias;
        }
    }
}
