//! The exponential function without branches, so that loops over it are vectorised.

use super::instructions::multiply_add;

/// `eˣ` within two units in the last place; beyond f32's range the least or greatest normal power.
///
/// Source: Cody and Waite 1980, chapter 6: x = n·ln 2 + r, and a polynomial for eʳ (Cephes' coefficients).
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts: the first has few bits, so its product with n is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding and taking away 1.5 · 2²³ rounds to whole numbers.
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.33, 88.37);
    let rounded = multiply_add::<FMA>(x, LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = multiply_add::<FMA>(n, -LN_2_LOW, multiply_add::<FMA>(n, -LN_2_HIGH, x));
    let mut p = 1.987_569_1e-4;
    for c in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5] {
        p = multiply_add::<FMA>(p, r, c);
    }
    let p = multiply_add::<FMA>(p * r, r, r) + 1.0;
    // 2ⁿ by its exponent bits; n lies between -126 and 127, and stands in the low bits of `rounded`. (A conversion to
    // an integer would be checked for its range, number by number.)
    p * f32::from_bits(rounded.to_bits().wrapping_add(127) << 23)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worst<const FMA: bool>() -> f64 {
        let points = (-873_300..883_700).map(|i| i as f32 * 1e-4);
        points
            .map(|x| {
                let exact = f64::from(x).exp();
                (f64::from(exp::<FMA>(x)) - exact).abs() / exact
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn it_is_within_two_units_in_the_last_place() {
        let ulp = f64::from(f32::EPSILON);
        assert!(
            worst::<false>() < ulp && worst::<true>() < ulp,
            "{} {}",
            worst::<false>(),
            worst::<true>()
        );
    }

    #[test]
    fn numbers_out_of_range_give_the_ends() {
        assert!(exp::<false>(-1e9) < 1.3e-38 && exp::<false>(f32::NEG_INFINITY) < 1.3e-38);
        assert!(exp::<false>(1e9) > 2e38 && exp::<false>(0.0) == 1.0);
        assert!(exp::<false>(f32::NAN).is_nan());
    }
}
