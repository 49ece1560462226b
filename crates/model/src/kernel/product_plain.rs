//! The plain product, which tests compare the fast one with.

use super::panels::widen;
use super::product::{check, Left, Part, Right, Start};
use super::tile::TileKernel;

/// The product as its definition says, one number after the other: what tests compare [`multiply`] with.
pub fn multiply_plain(out: &mut [f32], stride: usize, m: usize, parts: &[Part<'_>], start: Start) {
    check(out, stride, m, parts);
    for part in parts {
        for (row, out) in out.chunks_mut(stride).take(m).enumerate() {
            for (column, out) in out[part.column..][..part.columns].iter_mut().enumerate() {
                let mut sum = if start == Start::Present { f64::from(*out) } else { 0.0 };
                for term in part.terms {
                    for step in 0..term.steps() {
                        sum += f64::from(left_number(term.left, row, step))
                            * f64::from(right_number(term.right, step, column));
                    }
                }
                *out = sum as f32;
            }
        }
    }
}

fn left_number(left: Left<'_>, row: usize, step: usize) -> f32 {
    match left {
        Left::Rows(left) => left.row(row)[step],
        Left::Columns(left) => left.row(step)[row],
        Left::Bf16(left) => {
            let mr = TileKernel::current().mr;
            let pairs = left.width.div_ceil(2);
            widen(left.pairs[(row / mr * pairs + step / 2) * mr + row % mr], step)
        }
    }
}

fn right_number(right: Right<'_>, step: usize, column: usize) -> f32 {
    match right {
        Right::Panels(right) => right.number(step, column),
        Right::TransposedPanels(right) => right.number(column, step),
        Right::Rows(right) => right.row(step)[column],
        Right::Columns(right) => right.row(column)[step],
    }
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::*;
    use crate::kernel::panels::Panels;
    use crate::kernel::product::{multiply, PackedRows, Term};
    use crate::kernel::view::Rows;

    fn numbers(count: usize, seed: f32) -> Vec<f32> {
        (0..count).map(|i| ((i as f32 + seed) * 0.731).sin()).collect()
    }

    /// The largest distance, in roundings of the largest number.
    fn distance(a: &[f32], b: &[f32]) -> f32 {
        let largest =
            |numbers: &mut dyn Iterator<Item = f32>| numbers.fold(0.0, |a, b| f32::max(a, b.abs()));
        let off = largest(&mut a.iter().zip(b).map(|(a, b)| a - b));
        off / largest(&mut b.iter().copied()).max(1.0) / f32::EPSILON
    }

    fn assert_equal(m: usize, n: usize, k: usize, terms: &[Term<'_>]) {
        let stride = n + 3;
        let start = numbers(m * stride, 5.0);
        for begin in [Start::Zero, Start::Present] {
            let (mut fast, mut plain) = (start.clone(), start.clone());
            let part = Part { column: 2, columns: n, terms };
            multiply(&mut fast, stride, m, &[part], begin);
            multiply_plain(&mut plain, stride, m, &[part], begin);
            let off = distance(&fast, &plain);
            // A sum of K terms is off by about √K roundings.
            assert!(off < 4.0 + (k as f32).sqrt(), "{m} x {n} x {k}, {begin:?}: {off}");
            // What lies beside the part's columns is left alone.
            for (fast, start) in fast.chunks(stride).zip(start.chunks(stride)) {
                assert_eq!((fast[..2].to_vec(), fast[n + 2]), (start[..2].to_vec(), start[n + 2]));
            }
        }
    }

    const SHAPES: [(usize, usize, usize); 8] = [
        (1, 1, 1),
        (5, 16, 7),
        (6, 33, 64),
        (13, 40, 321),
        (50, 96, 650),
        (3, 500, 33),
        (200, 8, 100),
        (8, 70, 200),
    ];

    #[test]
    fn every_pair_of_operands_gives_the_plain_product() {
        for (m, n, k) in SHAPES {
            let (left, left_t) = (numbers(m * k, 1.0), numbers(m * k, 2.0));
            let (right, right_t) = (numbers(k * (n + 2), 3.0), numbers(n * (k + 1), 4.0));
            let panels = Panels::f32(k, n, |s, c| right[s * (n + 2) + c]);
            let turned = panels.transposed();
            let half = Panels::bf16(k, n, |s, c| bf16::from_f32(right[s * (n + 2) + c]));
            let half_turned = half.transposed();
            let lefts =
                [Left::Rows(Rows::dense(&left, m, k)), Left::Columns(Rows::dense(&left_t, k, m))];
            let rights = [
                Right::Panels(&panels),
                Right::TransposedPanels(&turned),
                Right::Panels(&half),
                Right::TransposedPanels(&half_turned),
                Right::Rows(Rows::new(&right, k, n, n + 2)),
                Right::Columns(Rows::new(&right_t, n, k, k + 1)),
            ];
            for left in lefts {
                for right in rights {
                    assert_equal(m, n, k, &[Term { left, right }]);
                }
            }
        }
    }

    #[test]
    fn terms_and_parts_are_summed_and_placed() {
        let (m, k, r) = (70, 130, 3);
        let (x, low) = (numbers(m * k, 1.0), numbers(m * r, 2.0));
        let widths = [40, 17, 64];
        let weights = widths.map(|n| numbers(n * k, n as f32));
        let ups = widths.map(|n| numbers(n * r, n as f32 + 1.0));
        let terms: Vec<[Term<'_>; 2]> = (0..3)
            .map(|i| {
                let frozen = Rows::dense(&weights[i], widths[i], k);
                let up = Rows::dense(&ups[i], widths[i], r);
                [
                    Term { left: Left::Rows(Rows::dense(&x, m, k)), right: Right::Columns(frozen) },
                    Term { left: Left::Rows(Rows::dense(&low, m, r)), right: Right::Columns(up) },
                ]
            })
            .collect();
        let mut column = 0;
        let parts: Vec<Part<'_>> = terms
            .iter()
            .zip(widths)
            .map(|(terms, columns)| {
                column += columns;
                Part { column: column - columns, columns, terms }
            })
            .collect();
        let (mut fast, mut plain) = (vec![0.0; m * column], vec![0.0; m * column]);
        multiply(&mut fast, column, m, &parts, Start::Zero);
        multiply_plain(&mut plain, column, m, &parts, Start::Zero);
        let off = distance(&fast, &plain);
        assert!(off < 16.0, "{off}");
    }

    #[test]
    fn bf16_instructions_give_the_product_of_the_rounded_operands() {
        if TileKernel::current().bf16.is_none() {
            println!("skipped: this processor does not multiply bf16");
            return;
        }
        for (m, n, k) in SHAPES {
            let (left, right) = (numbers(m * k, 1.0), numbers(k * n, 3.0));
            let half = Panels::bf16(k, n, |s, c| bf16::from_f32(right[s * n + c]));
            let mut packed = PackedRows::default();
            packed.pack(Rows::dense(&left, m, k));
            let term = Term { left: Left::Bf16(&packed), right: Right::Panels(&half) };
            assert_equal(m, n, k, &[term]);
        }
    }
}
