//! Second operands of products, packed once: panels of NR columns, every step of a panel side by side.

use half::bf16;
use rayon::prelude::*;

use super::tile::TileKernel;

/// A matrix of K steps and N columns, packed in panels.
#[derive(Debug, Clone)]
pub struct Panels {
    steps: usize,
    columns: usize,
    nr: usize,
    numbers: Numbers,
}

#[derive(Debug, Clone)]
enum Numbers {
    F32(Vec<f32>),
    /// Two steps in each number, the earlier in the lower half.
    Bf16(Vec<u32>),
}

/// A panel as it lies in memory.
#[derive(Clone, Copy)]
pub(crate) enum Panel<'a> {
    F32(&'a [f32]),
    Bf16(&'a [u32]),
}

impl Panels {
    /// Panels of f32 numbers; `number(step, column)` tells each.
    pub fn f32(steps: usize, columns: usize, number: impl Fn(usize, usize) -> f32 + Sync) -> Self {
        let nr = TileKernel::current().nr;
        let mut numbers = vec![0.0; columns.div_ceil(nr) * nr * steps];
        write_f32(&mut numbers, (steps, columns, nr), number);
        Self { steps, columns, nr, numbers: Numbers::F32(numbers) }
    }

    /// Panels of bf16 numbers; `number(step, column)` tells each.
    pub fn bf16(
        steps: usize,
        columns: usize,
        number: impl Fn(usize, usize) -> bf16 + Sync,
    ) -> Self {
        let nr = TileKernel::current().nr;
        let pairs = steps.div_ceil(2);
        let mut numbers = vec![0u32; columns.div_ceil(nr) * nr * pairs];
        write_bf16(&mut numbers, (steps, columns, nr), number);
        Self { steps, columns, nr, numbers: Numbers::Bf16(numbers) }
    }

    /// Replaces every number, rounded to the number format; `number(step, column)` tells each.
    pub fn fill(&mut self, number: impl Fn(usize, usize) -> f32 + Sync) {
        let shape = (self.steps, self.columns, self.nr);
        match &mut self.numbers {
            Numbers::F32(numbers) => write_f32(numbers, shape, number),
            Numbers::Bf16(numbers) => {
                write_bf16(numbers, shape, |step, column| bf16::from_f32(number(step, column)));
            }
        }
    }

    /// The transposed matrix in the same number format.
    pub fn transposed(&self) -> Self {
        match &self.numbers {
            Numbers::F32(_) => Self::f32(self.columns, self.steps, |c, s| self.number(s, c)),
            Numbers::Bf16(_) => Self::bf16(self.columns, self.steps, |c, s| {
                bf16::from_bits((self.number(s, c).to_bits() >> 16) as u16)
            }),
        }
    }

    /// Steps K.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Columns N.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Whether numbers are bf16.
    pub fn is_bf16(&self) -> bool {
        matches!(self.numbers, Numbers::Bf16(_))
    }

    /// One number.
    pub fn number(&self, step: usize, column: usize) -> f32 {
        let (panel, lane) = (column / self.nr, column % self.nr);
        match &self.numbers {
            Numbers::F32(numbers) => numbers[(panel * self.steps + step) * self.nr + lane],
            Numbers::Bf16(numbers) => {
                let pair = panel * self.steps.div_ceil(2) + step / 2;
                widen(numbers[pair * self.nr + lane], step)
            }
        }
    }

    /// Panel `panel` from step `step` on, which is even.
    pub(crate) fn panel(&self, panel: usize, step: usize) -> Panel<'_> {
        match &self.numbers {
            Numbers::F32(numbers) => Panel::F32(
                &numbers[(panel * self.steps + step) * self.nr..][..self.nr * (self.steps - step)],
            ),
            Numbers::Bf16(numbers) => {
                let pairs = self.steps.div_ceil(2);
                Panel::Bf16(
                    &numbers[(panel * pairs + step / 2) * self.nr..]
                        [..self.nr * (pairs - step / 2)],
                )
            }
        }
    }
}

/// Writes f32 panels of a shape: steps, columns, columns of a panel.
fn write_f32(
    numbers: &mut [f32],
    (steps, columns, nr): (usize, usize, usize),
    number: impl Fn(usize, usize) -> f32 + Sync,
) {
    numbers.par_chunks_mut((nr * steps).max(1)).enumerate().for_each(|(panel, numbers)| {
        let first = panel * nr;
        for (step, numbers) in numbers.chunks_mut(nr).enumerate() {
            for (column, out) in (first..columns).zip(numbers) {
                *out = number(step, column);
            }
        }
    });
}

/// As [`write_f32`], two steps in each number.
fn write_bf16(
    numbers: &mut [u32],
    (steps, columns, nr): (usize, usize, usize),
    number: impl Fn(usize, usize) -> bf16 + Sync,
) {
    let pairs = steps.div_ceil(2);
    numbers.par_chunks_mut((nr * pairs).max(1)).enumerate().for_each(|(panel, numbers)| {
        let first = panel * nr;
        for (pair, numbers) in numbers.chunks_mut(nr).enumerate() {
            for (column, out) in (first..columns).zip(numbers) {
                let bits = |step| u32::from(number(step, column).to_bits());
                let odd = if 2 * pair + 1 < steps { bits(2 * pair + 1) } else { 0 };
                *out = bits(2 * pair) | odd << 16;
            }
        }
    });
}

/// The number of a step in a pair.
#[inline(always)]
pub(crate) fn widen(pair: u32, step: usize) -> f32 {
    f32::from_bits(if step.is_multiple_of(2) { pair << 16 } else { pair & 0xffff_0000 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_is_where_it_was_put_and_its_transpose_too() {
        let number = |step: usize, column: usize| (step * 100 + column) as f32;
        for (steps, columns) in [(5, 37), (1, 1), (8, 64)] {
            let exact = Panels::f32(steps, columns, number);
            let half = Panels::bf16(steps, columns, |s, c| bf16::from_f32(number(s, c)));
            for panels in [&exact, &half] {
                let turned = panels.transposed();
                for step in 0..steps {
                    for column in 0..columns {
                        let found = panels.number(step, column);
                        // bf16 keeps eight bits of a number.
                        let tolerance =
                            if panels.is_bf16() { number(step, column) / 256.0 } else { 0.0 };
                        assert!((found - number(step, column)).abs() <= tolerance);
                        assert_eq!(turned.number(column, step), found);
                    }
                }
            }
        }
    }
}
