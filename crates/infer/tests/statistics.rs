//! Statistics against scipy, statsmodels and NumPy (`scripts/make_metric_golden.py`).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde::Deserialize;
use tunewise_infer::statistics::*;

#[derive(Deserialize)]
struct Golden {
    normal_quantile: Vec<Quantile>,
    mcnemar: Vec<Table>,
    holm: Vec<Family>,
    wilson: Vec<Share>,
    agresti_min: Vec<Discordant>,
    percentile: Percentiles,
    enumerated_bootstrap: Enumerated,
    bootstrap: Sampled,
}

#[derive(Deserialize)]
struct Quantile {
    p: f64,
    x: f64,
}

#[derive(Deserialize)]
struct Table {
    only_a: usize,
    only_b: usize,
    both: usize,
    p: f64,
}

#[derive(Deserialize)]
struct Family {
    p: Vec<f64>,
    adjusted: Vec<f64>,
}

#[derive(Deserialize)]
struct Share {
    right: usize,
    items: usize,
    confidence: f64,
    ci: [f64; 2],
}

#[derive(Deserialize)]
struct Discordant {
    only_a: usize,
    only_b: usize,
    items: usize,
    confidence: f64,
    ci: [f64; 2],
}

#[derive(Deserialize)]
struct Percentiles {
    values: Vec<f64>,
    at: Vec<PercentileAt>,
}

#[derive(Deserialize)]
struct PercentileAt {
    share: f64,
    value: f64,
}

#[derive(Deserialize)]
struct Enumerated {
    scores: Vec<f64>,
    ci: [f64; 2],
    standard_error: f64,
}

#[derive(Deserialize)]
struct Sampled {
    a: Vec<f64>,
    b: Vec<f64>,
    ci_a: [f64; 2],
    ci_b: [f64; 2],
    ci_difference: [f64; 2],
    standard_error_difference: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/statistics.json")).unwrap()
}

#[track_caller]
fn assert_near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} against {expected}");
}

#[track_caller]
fn assert_interval(found: Interval, expected: [f64; 2], tolerance: f64) {
    assert_near(found.low, expected[0], tolerance);
    assert_near(found.high, expected[1], tolerance);
}

fn right_and_wrong(only_a: usize, only_b: usize, both: usize, neither: usize) -> [Vec<f64>; 2] {
    let cells = [(1.0, 0.0, only_a), (0.0, 1.0, only_b), (1.0, 1.0, both), (0.0, 0.0, neither)];
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for (x, y, count) in cells {
        a.extend(vec![x; count]);
        b.extend(vec![y; count]);
    }
    [a, b]
}

#[test]
fn normal_quantiles_equal_scipy() {
    for point in golden().normal_quantile {
        assert_near(normal_quantile(point.p).unwrap(), point.x, 1e-12);
    }
}

#[test]
fn mcnemar_p_values_equal_statsmodels() {
    for table in golden().mcnemar {
        let [a, b] = right_and_wrong(table.only_a, table.only_b, table.both, 3);
        let found = mcnemar(&a, &b).unwrap();
        assert_eq!((found.only_a, found.only_b), (table.only_a, table.only_b));
        assert_eq!(found.items, a.len());
        assert_near(found.p_value, table.p, 1e-11 * table.p);
    }
}

#[test]
fn six_items_on_one_side_are_significant_and_five_are_not() {
    let p_value = |count: usize| {
        let [a, b] = right_and_wrong(count, 0, 0, 0);
        mcnemar(&a, &b).unwrap().p_value
    };
    assert_eq!(p_value(5), 0.0625);
    assert_eq!(p_value(6), 0.03125);
}

#[test]
fn holm_equals_statsmodels() {
    for family in golden().holm {
        for (found, expected) in holm(&family.p).unwrap().iter().zip(&family.adjusted) {
            assert_near(*found, *expected, 1e-15);
        }
    }
}

#[test]
fn wilson_equals_statsmodels() {
    for share in golden().wilson {
        let found = wilson_interval(share.right, share.items, share.confidence).unwrap();
        assert_interval(found, share.ci, 1e-12);
        assert_eq!(found.method, IntervalMethod::Wilson);
    }
}

#[test]
fn agresti_min_equals_its_formula_with_scipys_quantiles() {
    for table in golden().agresti_min {
        let found = agresti_min_interval(table.only_a, table.only_b, table.items, table.confidence);
        assert_interval(found.unwrap(), table.ci, 1e-12);
    }
}

#[test]
fn percentiles_equal_numpy() {
    let golden = golden().percentile;
    for point in golden.at {
        assert_near(percentile(&golden.values, point.share).unwrap(), point.value, 1e-14);
    }
}

#[test]
fn the_bootstrap_meets_the_distribution_over_every_resample() {
    let golden = golden().enumerated_bootstrap;
    let resampling = Resampling { resamples: 100_000, seed: 3 };
    // The distribution has 3125 equally likely resamples, so its percentiles move in steps of 0.01.
    let found = mean_interval(&golden.scores, 0.95, &resampling).unwrap();
    assert_interval(found, golden.ci, 0.0101);
    let zeros = vec![0.0; golden.scores.len()];
    let paired = paired_mean_bootstrap(&golden.scores, &zeros, &resampling).unwrap();
    // The standard deviation of 100,000 draws is off by a share of about 1/√200,000 = 0.0022.
    assert_near(paired.standard_error, golden.standard_error, 0.0010);
}

#[test]
fn bootstrap_intervals_meet_scipy() {
    let golden = golden().bootstrap;
    let resampling = Resampling::default();
    // The 2.5 % point of 10,000 draws wanders by about 0.027 standard errors, here 0.0005.
    let interval = |scores: &[f64]| mean_interval(scores, 0.95, &resampling).unwrap();
    assert_interval(interval(&golden.a), golden.ci_a, 0.0015);
    assert_interval(interval(&golden.b), golden.ci_b, 0.0015);
    let paired = paired_mean_bootstrap(&golden.a, &golden.b, &resampling).unwrap();
    assert_interval(paired.interval(0.95).unwrap(), golden.ci_difference, 0.0015);
    assert_near(paired.standard_error, golden.standard_error_difference, 0.0003);
}

#[test]
fn paired_bootstrap_rejects_exactly_where_the_interval_excludes_zero() {
    let base: Vec<f64> = (0..60).map(|i| f64::from(i % 7) / 7.0).collect();
    for shift in 0..30 {
        let shift = f64::from(shift) / 100.0;
        let noise = |i: usize| if i.is_multiple_of(2) { 0.4 } else { -0.4 };
        let other: Vec<f64> = (0..60).map(|i| base[i] + shift + noise(i)).collect();
        let found = paired_mean_bootstrap(&other, &base, &Resampling::default()).unwrap();
        assert_near(found.difference, shift, 1e-12);
        let excludes_zero = found.interval(0.95).unwrap().low > 0.0;
        assert_eq!(found.p_value < 0.05, excludes_zero, "shift {shift}, p {}", found.p_value);
    }
}

#[test]
fn a_bootstrap_p_value_is_never_below_that_of_a_sign_test() {
    let found = paired_mean_bootstrap(&[1.0; 5], &[0.5; 5], &Resampling::default()).unwrap();
    assert_eq!(found.p_value, 0.0625);
    let found = paired_mean_bootstrap(&[1.0; 40], &[0.5; 40], &Resampling::default()).unwrap();
    assert_eq!(found.p_value, 2.0 / 10_001.0);
}

#[test]
fn equal_lists_have_a_p_value_of_one() {
    let scores = [0.1, 0.9, 0.4];
    let found = paired_mean_bootstrap(&scores, &scores, &Resampling::default()).unwrap();
    assert_eq!((found.difference, found.p_value, found.standard_error), (0.0, 1.0, 0.0));
}

#[test]
fn the_same_seed_gives_the_same_interval_and_another_seed_another() {
    let scores: Vec<f64> = (0..50).map(|i| f64::from(i * i % 17) / 17.0).collect();
    let with = |seed: u64| {
        let resampling = Resampling { resamples: 1000, seed };
        mean_interval(&scores, 0.95, &resampling).unwrap()
    };
    assert_eq!(with(1), with(1));
    assert_ne!(with(1), with(2));
}

#[test]
fn any_number_of_threads_gives_the_same_interval() {
    let scores: Vec<f64> = (0..200).map(|i| f64::from(i * 31 % 101) / 101.0).collect();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| mean_interval(&scores, 0.95, &Resampling::default()).unwrap())
    };
    assert_eq!(with(1), with(3));
}

#[test]
fn empty_lists_are_errors() {
    let what = "scores";
    let empty = StatisticsError::Empty { what };
    assert_eq!(mean_interval(&[], 0.95, &Resampling::default()), Err(empty.clone()));
    assert_eq!(mcnemar(&[], &[]), Err(empty.clone()));
    assert_eq!(paired_mean_bootstrap(&[], &[], &Resampling::default()), Err(empty));
    assert_eq!(holm(&[]), Err(StatisticsError::Empty { what: "p-values" }));
    assert_eq!(wilson_interval(0, 0, 0.95), Err(StatisticsError::Empty { what: "items" }));
}

#[test]
fn lists_of_different_length_are_errors() {
    let error = StatisticsError::DifferentLengths { a: 2, b: 1 };
    assert_eq!(mcnemar(&[0.0, 1.0], &[0.0]), Err(error.clone()));
    let found = paired_mean_bootstrap(&[0.0, 1.0], &[0.0], &Resampling::default());
    assert_eq!(found, Err(error.clone()));
    assert_eq!(
        error.to_string(),
        "paired scores: one list has 2 items and the other 1, expected as many in both"
    );
}

#[test]
fn scores_that_are_no_numbers_are_errors_that_say_where() {
    let error = mean_interval(&[0.5, f64::INFINITY], 0.95, &Resampling::default()).unwrap_err();
    assert_eq!(error.to_string(), "scores at index 1: found inf, expected a finite number");
    assert!(mcnemar(&[f64::NAN], &[0.0]).is_err());
    assert!(holm(&[0.1, f64::NAN]).is_err());
    let not_finite = bootstrap_interval(3, |_| f64::NAN, 0.95, &Resampling::default());
    assert!(matches!(not_finite, Err(StatisticsError::NotFinite { .. })));
}

#[test]
fn numbers_outside_their_range_are_errors() {
    let error = mcnemar(&[1.0, 0.5], &[1.0, 1.0]).unwrap_err();
    let expected = StatisticsError::NotZeroOne { index: 1, value: 0.5 };
    assert_eq!(error, expected);
    assert!(holm(&[1.5]).is_err());
    assert!(normal_quantile(0.0).is_err());
    assert!(wilson_interval(3, 2, 0.95).is_err());
    assert!(wilson_interval(1, 2, 1.0).is_err());
    assert!(mcnemar_items_needed(0.8, 0.4, &Planned::default()).is_err());
    assert!(paired_items_needed(0.1, -1.0, &Planned::default()).is_err());
    assert!(paired_items_needed(f64::NAN, 1.0, &Planned::default()).is_err());
    let none = Resampling { resamples: 0, seed: 0 };
    assert!(mean_interval(&[1.0], 0.95, &none).is_err());
}
