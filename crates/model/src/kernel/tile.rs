//! Register tiles: the innermost loops of every matrix product.
//!
//! A tile computes MR rows and NR columns of `C (+)= A · B` over K steps. A is read one number a row and step, wherever
//! its strides say; B is read NR numbers a step. Source of the scheme: Goto and van de Geijn 2008.
#![allow(unsafe_code)]

use super::instructions::Instructions;

/// Numbers of a tile of C at most, over all instruction sets.
pub(crate) const MAX_TILE: usize = 12 * 32;

/// What a tile reads and writes.
#[derive(Clone, Copy)]
pub(crate) struct TileArguments<T> {
    /// Steps; of bf16, pairs of steps.
    pub k: usize,
    /// The first number of A.
    pub a: *const T,
    /// Numbers from one row of A to the next.
    pub a_row: usize,
    /// Numbers from one step of A to the next.
    pub a_step: usize,
    /// Columns: `nr` numbers a step.
    pub b: *const T,
    /// Numbers from one step of B to the next.
    pub b_stride: usize,
    /// The tile of C, every row of `nr` numbers.
    pub c: *mut f32,
    /// Numbers from one row of C to the next.
    pub c_stride: usize,
    /// Rows that C has, at most `mr`.
    pub rows: usize,
    /// Whether C is added to.
    pub accumulate: bool,
}

/// The tile of an instruction set. bf16 operands are pairs of steps in one number of 32 bits.
#[derive(Clone, Copy)]
pub(crate) struct TileKernel {
    /// Rows.
    pub mr: usize,
    /// Columns.
    pub nr: usize,
    /// # Safety
    /// The processor has the instructions, and the arguments point to what they describe.
    pub f32: unsafe fn(TileArguments<f32>),
    /// As `f32`; `None` where the processor does not multiply bf16.
    pub bf16: Option<unsafe fn(TileArguments<u32>)>,
}

impl TileKernel {
    /// The tile of an instruction set.
    pub fn of(instructions: Instructions) -> Self {
        match instructions {
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx2 => Self { mr: 6, nr: 16, f32: x86::avx2, bf16: None },
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512 => Self { mr: 12, nr: 32, f32: x86::avx512, bf16: None },
            #[cfg(target_arch = "x86_64")]
            Instructions::Avx512Bf16 => {
                let bf16: unsafe fn(TileArguments<u32>) = x86::avx512_bf16;
                Self { mr: 12, nr: 32, f32: x86::avx512, bf16: Some(bf16) }
            }
            _ => Self { mr: 4, nr: 16, f32: portable, bf16: None },
        }
    }

    /// The tile of the instructions in use.
    pub fn current() -> Self {
        Self::of(Instructions::current())
    }
}

/// The plain tile, four rows of sixteen columns.
///
/// # Safety
/// The arguments point to what they describe.
unsafe fn portable(t: TileArguments<f32>) {
    const MR: usize = 4;
    const NR: usize = 16;
    let mut sums = [[0f32; NR]; MR];
    for step in 0..t.k {
        // SAFETY: a step of B has NR numbers.
        let b = unsafe { std::slice::from_raw_parts(t.b.add(step * t.b_stride), NR) };
        for (row, sums) in sums.iter_mut().enumerate().take(t.rows) {
            // SAFETY: A has a number for each of its rows and steps.
            let a = unsafe { *t.a.add(row * t.a_row + step * t.a_step) };
            for (sum, b) in sums.iter_mut().zip(b) {
                *sum += a * b;
            }
        }
    }
    for (row, sums) in sums.iter().enumerate().take(t.rows) {
        // SAFETY: row `row` of C has NR numbers.
        let c = unsafe { std::slice::from_raw_parts_mut(t.c.add(row * t.c_stride), NR) };
        for (c, sum) in c.iter_mut().zip(sums) {
            *c = if t.accumulate { *c + sum } else { *sum };
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::TileArguments;

    /// Calls the tile of `t.rows` rows, so that few rows cost little.
    macro_rules! by_rows {
        ($t:ident, $tile:ident, $($rows:literal)*) => {
            match $t.rows {
                // SAFETY: the caller's promise.
                $($rows => unsafe { $tile::<$rows>($t) },)*
                _ => debug_assert!(false, "a tile has no {} rows", $t.rows),
            }
        };
    }

    /// # Safety
    /// The processor has AVX2 and FMA, and the arguments point to what they describe.
    pub unsafe fn avx2(t: TileArguments<f32>) {
        by_rows!(t, avx2_rows, 1 2 3 4 5 6);
    }

    /// # Safety
    /// The processor has AVX-512, and the arguments point to what they describe.
    pub unsafe fn avx512(t: TileArguments<f32>) {
        by_rows!(t, avx512_rows, 1 2 3 4 5 6 7 8 9 10 11 12);
    }

    /// # Safety
    /// The processor has AVX512-BF16, and the arguments point to what they describe.
    pub unsafe fn avx512_bf16(t: TileArguments<u32>) {
        by_rows!(t, avx512_bf16_rows, 1 2 3 4 5 6 7 8 9 10 11 12);
    }

    #[target_feature(enable = "avx2,fma")]
    unsafe fn avx2_rows<const ROWS: usize>(t: TileArguments<f32>) {
        let mut sums = [[_mm256_setzero_ps(); 2]; ROWS];
        let (mut at, mut b) = (0, t.b);
        let rows: [*const f32; ROWS] = std::array::from_fn(|row| t.a.wrapping_add(row * t.a_row));
        for _ in 0..t.k {
            // SAFETY: each row of A has a number a step, and a step of B has 16.
            unsafe {
                let (left, right) = (_mm256_loadu_ps(b), _mm256_loadu_ps(b.add(8)));
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let x = _mm256_broadcast_ss(&*row.add(at));
                    sums[0] = _mm256_fmadd_ps(x, left, sums[0]);
                    sums[1] = _mm256_fmadd_ps(x, right, sums[1]);
                }
                at += t.a_step;
                b = b.wrapping_add(t.b_stride);
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            // SAFETY: each of the ROWS rows of C has 16 numbers.
            unsafe {
                let c = t.c.add(row * t.c_stride);
                for (half, sum) in sums.iter().enumerate() {
                    let c = c.add(8 * half);
                    let old = if t.accumulate { _mm256_loadu_ps(c) } else { _mm256_setzero_ps() };
                    _mm256_storeu_ps(c, _mm256_add_ps(old, *sum));
                }
            }
        }
    }

    #[target_feature(enable = "avx512f")]
    unsafe fn avx512_rows<const ROWS: usize>(t: TileArguments<f32>) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let (mut at, mut b) = (0, t.b);
        let rows: [*const f32; ROWS] = std::array::from_fn(|row| t.a.wrapping_add(row * t.a_row));
        for _ in 0..t.k {
            // SAFETY: each row of A has a number a step, and a step of B has 32.
            unsafe {
                let (left, right) = (_mm512_loadu_ps(b), _mm512_loadu_ps(b.add(16)));
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let x = _mm512_set1_ps(*row.add(at));
                    sums[0] = _mm512_fmadd_ps(x, left, sums[0]);
                    sums[1] = _mm512_fmadd_ps(x, right, sums[1]);
                }
                at += t.a_step;
                b = b.wrapping_add(t.b_stride);
            }
        }
        // SAFETY: each of the ROWS rows of C has 32 numbers.
        unsafe { store512(&sums, t.c, t.c_stride, t.accumulate) };
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    unsafe fn avx512_bf16_rows<const ROWS: usize>(t: TileArguments<u32>) {
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let (mut at, mut b) = (0, t.b);
        let rows: [*const u32; ROWS] = std::array::from_fn(|row| t.a.wrapping_add(row * t.a_row));
        for _ in 0..t.k {
            // SAFETY: each row of A has a pair of bf16 a step, and a step of B has 32.
            unsafe {
                let pairs = |p: *const u32| -> __m512bh {
                    std::mem::transmute(_mm512_loadu_si512(p.cast()))
                };
                let (left, right) = (pairs(b), pairs(b.add(16)));
                for (row, sums) in rows.iter().zip(&mut sums) {
                    let x: __m512bh = std::mem::transmute(_mm512_set1_epi32(*row.add(at) as i32));
                    sums[0] = _mm512_dpbf16_ps(sums[0], x, left);
                    sums[1] = _mm512_dpbf16_ps(sums[1], x, right);
                }
                at += t.a_step;
                b = b.wrapping_add(t.b_stride);
            }
        }
        // SAFETY: each of the ROWS rows of C has 32 numbers.
        unsafe { store512(&sums, t.c, t.c_stride, t.accumulate) };
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    unsafe fn store512(sums: &[[__m512; 2]], c: *mut f32, c_stride: usize, accumulate: bool) {
        for (row, sums) in sums.iter().enumerate() {
            for (half, sum) in sums.iter().enumerate() {
                // SAFETY: the caller's promise: C has a row for each of `sums`, of 32 numbers.
                unsafe {
                    let c = c.add(row * c_stride + 16 * half);
                    let old = if accumulate { _mm512_loadu_ps(c) } else { _mm512_setzero_ps() };
                    _mm512_storeu_ps(c, _mm512_add_ps(old, *sum));
                }
            }
        }
    }
}
