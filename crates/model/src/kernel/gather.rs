//! Panels made while a product runs, of operands that are not packed for it.

use std::ops::Range;

use super::instructions::vectorized;
use super::panels::{widen, Panel, Panels};
use super::product::Right;

vectorized! {
    pub(super) fn widen_panel(out: &mut [f32], pairs: &[u32], nr: usize, steps: usize) -> () {
        for (out, pairs) in out.chunks_mut(2 * nr).zip(pairs.chunks(nr)).take(steps.div_ceil(2)) {
            let (even, odd) = out.split_at_mut(nr);
            for ((even, odd), pair) in even.iter_mut().zip(odd).zip(pairs) {
                *even = widen(*pair, 0);
                *odd = widen(*pair, 1);
            }
        }
    }
}

/// Copies a block of a matrix that is not packed into the form of a panel, zeros behind its last column.
pub(super) fn gather(
    out: &mut [f32],
    right: Right<'_>,
    nr: usize,
    steps: Range<usize>,
    columns: Range<usize>,
) {
    let width = columns.len();
    let out = &mut out[..steps.len() * nr];
    if width < nr {
        out.fill(0.0);
    }
    match right {
        Right::Rows(right) => {
            for (step, out) in steps.zip(out.chunks_mut(nr)) {
                out[..width].copy_from_slice(&right.row(step)[columns.clone()]);
            }
        }
        Right::Columns(right) => {
            for (lane, column) in columns.enumerate() {
                gather_column(out, &right.row(column)[steps.clone()], lane, nr);
            }
        }
        Right::TransposedPanels(right) => gather_transposed(out, right, nr, steps, columns),
        Right::Panels(_) => unreachable!("panels are not gathered"),
    }
}

vectorized! {
    fn gather_column(out: &mut [f32], column: &[f32], lane: usize, nr: usize) -> () {
        for (out, number) in out.chunks_mut(nr).zip(column) {
            out[lane] = *number;
        }
    }
}

/// As [`gather`], of the transpose of what `right` holds: its columns are the steps.
fn gather_transposed(
    out: &mut [f32],
    right: &Panels,
    nr: usize,
    steps: Range<usize>,
    columns: Range<usize>,
) {
    let mut at = steps.start;
    while at < steps.end {
        let (panel, lane) = (at / nr, at % nr);
        let lanes = (nr - lane).min(steps.end - at);
        let out = &mut out[(at - steps.start) * nr..][..lanes * nr];
        match right.panel(panel, 0) {
            Panel::F32(numbers) => {
                let rows = &numbers[columns.start * nr..columns.end * nr];
                turn(out, rows, nr, lane);
            }
            Panel::Bf16(pairs) => turn_pairs(out, pairs, nr, lane, columns.start, columns.len()),
        }
        at += lanes;
    }
}

vectorized! {
    /// Row `c` of a panel, from `lane` on, becomes column `c` of `out`.
    fn turn(out: &mut [f32], rows: &[f32], nr: usize, lane: usize) -> () {
        for (column, row) in rows.chunks(nr).enumerate() {
            for (out, number) in out.chunks_mut(nr).zip(&row[lane..]) {
                out[column] = *number;
            }
        }
    }
}

vectorized! {
    /// As [`turn`], of a panel of pairs, from its step `first` on.
    fn turn_pairs(out: &mut [f32], pairs: &[u32], nr: usize, lane: usize, first: usize, count: usize) -> () {
        for column in 0..count {
            let step = first + column;
            let row = &pairs[step / 2 * nr..][..nr];
            for (out, pair) in out.chunks_mut(nr).zip(&row[lane..]) {
                out[column] = widen(*pair, step);
            }
        }
    }
}
