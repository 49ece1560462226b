//! What the processor's multipliers can do at most: a loop that touches registers only.
//!
//! Units: GFLOP/s, a multiplication and an addition counting as two.
#![allow(unsafe_code)]

use std::hint::black_box;
use std::time::Instant;

use rayon::prelude::*;

use super::instructions::Instructions;

/// Rounds of the loop that is timed; a few milliseconds.
const ROUNDS: usize = 4_000_000;
/// Sums side by side: enough that each waits for no other.
const SUMS: usize = 12;

/// The rate of f32 multiply-adds with all threads together, the best of `tries`.
pub fn f32_ceiling(tries: usize) -> f64 {
    best(tries, || match Instructions::current() {
        #[cfg(target_arch = "x86_64")]
        // SAFETY: `current` names instructions that the processor has.
        Instructions::Avx2 => unsafe { x86::avx2() },
        #[cfg(target_arch = "x86_64")]
        // SAFETY: as above.
        Instructions::Avx512 | Instructions::Avx512Bf16 => unsafe { x86::avx512() },
        _ => portable(),
    })
}

/// The rate of bf16 multiply-adds with all threads together; `None` where the processor has none.
pub fn bf16_ceiling(tries: usize) -> Option<f64> {
    #[cfg(target_arch = "x86_64")]
    if Instructions::current().multiplies_bf16() {
        // SAFETY: `current` names instructions that the processor has.
        return Some(best(tries, || unsafe { x86::avx512_bf16() }));
    }
    let _ = tries;
    None
}

/// The best rate of a loop that returns its floating-point operations, run by every thread at once.
fn best(tries: usize, run: impl Fn() -> f64 + Sync) -> f64 {
    let threads = rayon::current_num_threads();
    let once = || {
        let begin = Instant::now();
        let work: f64 = (0..threads).into_par_iter().with_max_len(1).map(|_| run()).sum();
        work / begin.elapsed().as_secs_f64() / 1e9
    };
    (0..tries.max(1)).map(|_| once()).fold(0.0, f64::max)
}

fn portable() -> f64 {
    const LANES: usize = 16;
    let mut sums = [[0f32; LANES]; 4];
    let (x, y) = (black_box([1.000_001f32; LANES]), black_box([1e-9f32; LANES]));
    for _ in 0..ROUNDS / 4 {
        for sums in &mut sums {
            for ((sum, x), y) in sums.iter_mut().zip(&x).zip(&y) {
                *sum += x * y;
            }
        }
    }
    black_box(sums);
    (2 * 4 * LANES * (ROUNDS / 4)) as f64
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::{black_box, ROUNDS, SUMS};

    #[target_feature(enable = "avx2,fma")]
    pub fn avx2() -> f64 {
        let mut sums = [_mm256_setzero_ps(); SUMS];
        let (x, y) = (_mm256_set1_ps(black_box(1.000_001)), _mm256_set1_ps(black_box(1e-9)));
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(x, y, *sum);
            }
        }
        black_box(sums);
        (2 * 8 * SUMS * ROUNDS) as f64
    }

    #[target_feature(enable = "avx512f")]
    pub fn avx512() -> f64 {
        let mut sums = [_mm512_setzero_ps(); SUMS];
        let (x, y) = (_mm512_set1_ps(black_box(1.000_001)), _mm512_set1_ps(black_box(1e-9)));
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(x, y, *sum);
            }
        }
        black_box(sums);
        (2 * 16 * SUMS * ROUNDS) as f64
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    pub fn avx512_bf16() -> f64 {
        let mut sums = [_mm512_setzero_ps(); SUMS];
        let x = _mm512_cvtne2ps_pbh(_mm512_set1_ps(black_box(1.0)), _mm512_set1_ps(1.0));
        let y = _mm512_cvtne2ps_pbh(_mm512_set1_ps(black_box(1e-9)), _mm512_set1_ps(1e-9));
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_dpbf16_ps(*sum, x, y);
            }
        }
        black_box(sums);
        (2 * 32 * SUMS * ROUNDS) as f64
    }
}
