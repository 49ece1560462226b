//! Two samples, how far apart they are, and how likely chance alone sets them so far apart.

/// Rows below which a cell of a table is too small for a chi-square test.
const FEWEST_EXPECTED: f64 = 5.0;

/// How two samples differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Difference {
    /// How far they are apart: 0 for shares or distributions that are the same, 1 for those that have nothing in common.
    pub(super) distance: f64,
    /// The chance that two samples of one population differ as much.
    pub(super) chance: f64,
}

const NONE: Difference = Difference { distance: 0.0, chance: 1.0 };

/// How two samples differ that are counted by kind: by total variation, half the sum of the differences of shares.
///
/// Kinds that are expected fewer than five times in one of the samples are joined with those behind them.
///
/// Source: Pearson 1900, the chi-square test, here of homogeneity; Cochran 1954 for the least number expected.
pub(super) fn of_counts(counts: &[(usize, usize)]) -> Difference {
    let cells: Vec<(f64, f64)> = counts.iter().map(|(a, b)| (*a as f64, *b as f64)).collect();
    let in_a: f64 = cells.iter().map(|cell| cell.0).sum();
    let in_b: f64 = cells.iter().map(|cell| cell.1).sum();
    let share_a = in_a / (in_a + in_b);
    let cells = merged(cells, share_a.min(1.0 - share_a));
    if cells.len() < 2 || in_a == 0.0 || in_b == 0.0 {
        return NONE;
    }
    let (mut distance, mut statistic) = (0.0, 0.0);
    for (a, b) in &cells {
        let (expected_a, expected_b) = ((a + b) * share_a, (a + b) * (1.0 - share_a));
        statistic += (a - expected_a).powi(2) / expected_a + (b - expected_b).powi(2) / expected_b;
        distance += (a / in_a - b / in_b).abs() / 2.0;
    }
    Difference { distance, chance: chi_square_survival(statistic, cells.len() - 1) }
}

/// The cells of a table, rare ones joined with those behind them until each is expected often enough; `share` is that
/// of the smaller sample.
///
/// They are joined in their order, which neither sample has a part in.
fn merged(cells: Vec<(f64, f64)>, share: f64) -> Vec<(f64, f64)> {
    let is_rare = |cell: &(f64, f64)| (cell.0 + cell.1) * share < FEWEST_EXPECTED;
    let mut merged: Vec<(f64, f64)> = Vec::new();
    let mut rare = (0.0, 0.0);
    for cell in cells {
        if !is_rare(&cell) {
            merged.push(cell);
            continue;
        }
        rare = (rare.0 + cell.0, rare.1 + cell.1);
        if !is_rare(&rare) {
            merged.push(std::mem::take(&mut rare));
        }
    }
    if rare.0 + rare.1 == 0.0 {
        return merged;
    }
    // What is left is too rare still; it goes to the smallest of the others.
    match merged.iter_mut().min_by(|a, b| (a.0 + a.1).total_cmp(&(b.0 + b.1))) {
        Some(smallest) => *smallest = (smallest.0 + rare.0, smallest.1 + rare.1),
        None => merged.push(rare),
    }
    merged
}

/// How two sorted samples differ: by the largest distance of their distribution functions.
///
/// Source: Smirnov 1948 for the test; Stephens 1970 for the correction that makes its limit fit small samples.
pub(super) fn of_values(a: &[usize], b: &[usize]) -> Difference {
    if a.is_empty() || b.is_empty() {
        return NONE;
    }
    let (in_a, in_b) = (a.len() as f64, b.len() as f64);
    let (mut below_a, mut below_b, mut distance) = (0, 0, 0.0_f64);
    while let (Some(x), Some(y)) = (a.get(below_a), b.get(below_b)) {
        let value = *x.min(y);
        below_a += a[below_a..].iter().take_while(|other| **other == value).count();
        below_b += b[below_b..].iter().take_while(|other| **other == value).count();
        distance = distance.max((below_a as f64 / in_a - below_b as f64 / in_b).abs());
    }
    let root = (in_a * in_b / (in_a + in_b)).sqrt();
    let chance = kolmogorov_survival((root + 0.12 + 0.11 / root) * distance);
    Difference { distance, chance }
}

/// The chance that a chi-square variable exceeds `statistic`: the upper regularized incomplete gamma function of half
/// the degrees of freedom and half the statistic.
///
/// Source: Abramowitz and Stegun, Handbook of Mathematical Functions, 26.4.19, with 6.5.29 for small statistics and
/// 6.5.31 for large ones.
fn chi_square_survival(statistic: f64, degrees: usize) -> f64 {
    let (a, x) = (degrees as f64 / 2.0, statistic / 2.0);
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma_of_half(degrees)).exp();
    let chance = if x < a + 1.0 { 1.0 - front * series(a, x) } else { front * fraction(a, x) };
    chance.clamp(0.0, 1.0)
}

/// The natural logarithm of the gamma function at half a whole number above 0.
///
/// Source: Abramowitz and Stegun, 6.1.8 and 6.1.15.
fn ln_gamma_of_half(twice: usize) -> f64 {
    let (start, first) = match twice % 2 {
        0 => (0.0, 2),
        _ => (std::f64::consts::PI.sqrt().ln(), 1),
    };
    (first..twice).step_by(2).fold(start, |sum, twice| sum + (twice as f64 / 2.0).ln())
}

/// The sum of x^n / (a (a + 1) … (a + n)) over n from 0.
fn series(a: f64, x: f64) -> f64 {
    let (mut term, mut sum, mut below) = (1.0 / a, 1.0 / a, a);
    while term > sum * f64::EPSILON {
        below += 1.0;
        term *= x / below;
        sum += term;
    }
    sum
}

/// The continued fraction 1/(x + 1 - a - 1 (1 - a)/(x + 3 - a - 2 (2 - a)/(x + 5 - a - …))), for x of a + 1 and more.
///
/// Source: Lentz 1976, from the top down.
fn fraction(a: f64, x: f64) -> f64 {
    let mut below = x + 1.0 - a;
    // All that stands before the first fraction is 0, which the method cannot divide by.
    let mut forward = 1.0 / f64::MIN_POSITIVE;
    let mut backward = 1.0 / below;
    let mut value = backward;
    for step in 1..10_000 {
        let above = f64::from(step) * (a - f64::from(step));
        below += 2.0;
        backward = 1.0 / (above * backward + below);
        forward = below + above / forward;
        let change = forward * backward;
        value *= change;
        if (change - 1.0).abs() < f64::EPSILON {
            break;
        }
    }
    value
}

/// The chance that the largest distance of two distribution functions, times the root of the samples' size, exceeds
/// `scaled`, for large samples of one population.
///
/// Source: Kolmogorov 1933: twice the sum of (-1)^(k - 1) exp(-2 k² scaled²) over k from 1.
fn kolmogorov_survival(scaled: f64) -> f64 {
    // Below, the sum converges slowly to what differs from 1 by less than 1e-12.
    if scaled < 0.2 {
        return 1.0;
    }
    let term = |k: i32| (-2.0 * f64::from(k).powi(2) * scaled * scaled).exp();
    let sum: f64 = (1..50).map(|k| if k % 2 == 1 { term(k) } else { -term(k) }).sum();
    (2.0 * sum).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both are sums of rounded terms, so that the last digits differ.
    fn assert_near(found: f64, expected: f64) {
        assert!((found / expected - 1.0).abs() < 1e-9, "{found}, expected {expected}");
    }

    #[test]
    fn survival_functions_are_those_of_scipy() {
        assert_near(chi_square_survival(10.0, 5), 0.075_235_246_146_512_17);
        assert_near(chi_square_survival(2.0, 4), 0.735_758_882_342_884_6);
        assert_near(kolmogorov_survival(1.0), 0.269_999_671_677_354_56);
        assert_near(kolmogorov_survival(1.5), 0.022_217_962_616_525_127);
        assert!((chi_square_survival(30.0, 10) - 0.000_856_641_2).abs() < 1e-9);
        assert_eq!((chi_square_survival(0.0, 3), kolmogorov_survival(0.1)), (1.0, 1.0));
    }

    #[test]
    fn even_degrees_give_a_finite_sum() {
        // exp(-x) (1 + x + x² / 2) at x of 1 and of 8.
        assert_near(chi_square_survival(2.0, 6), (-1.0_f64).exp() * 2.5);
        assert_near(chi_square_survival(16.0, 6), (-8.0_f64).exp() * 41.0);
        assert_near(ln_gamma_of_half(10), 24.0_f64.ln());
        assert_near(ln_gamma_of_half(5), (0.75 * std::f64::consts::PI.sqrt()).ln());
    }

    #[test]
    fn counts_differ_by_total_variation() {
        let found = of_counts(&[(30, 10), (10, 30)]);
        assert_eq!(found.distance, 0.5);
        // The statistic is 20, of one degree of freedom.
        assert_near(found.chance, 7.744_216_431_044_087e-6);
        assert_eq!(of_counts(&[(30, 60), (20, 40)]).distance, 0.0);
        assert_eq!(of_counts(&[(30, 60)]), NONE);
        assert_eq!(of_counts(&[(30, 0), (20, 0)]), NONE);
        assert_eq!(of_counts(&[]), NONE);
    }

    #[test]
    fn rare_kinds_are_joined_until_they_are_frequent_enough() {
        let cells = vec![(50.0, 50.0), (4.0, 0.0), (0.0, 4.0), (2.0, 3.0)];
        assert_eq!(merged(cells, 0.5), [(50.0, 50.0), (6.0, 7.0)]);
        let cells = vec![(60.0, 50.0), (20.0, 20.0), (1.0, 0.0)];
        assert_eq!(merged(cells, 0.5), [(60.0, 50.0), (21.0, 20.0)]);
        assert_eq!(merged(vec![(1.0, 0.0), (0.0, 1.0)], 0.5), [(1.0, 1.0)]);
        assert_eq!(merged(vec![(3.0, 3.0); 4], 0.5), [(6.0, 6.0), (6.0, 6.0)]);
    }

    #[test]
    fn values_differ_by_the_distance_of_their_distributions() {
        assert_eq!(of_values(&[1, 2, 2, 3], &[1, 2, 2, 3]), NONE);
        assert_eq!(of_values(&[1, 2, 3, 4], &[3, 4, 5, 6]).distance, 0.5);
        let apart = of_values(&[1; 40], &[2; 40]);
        assert_eq!(apart.distance, 1.0);
        assert!(apart.chance < 1e-15, "{}", apart.chance);
        assert_eq!(of_values(&[], &[1]), NONE);
    }
}
