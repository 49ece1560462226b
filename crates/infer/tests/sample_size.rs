//! Sample sizes against statsmodels and scipy (`scripts/make_metric_golden.py`).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde::Deserialize;
use tunewise_infer::statistics::*;

#[derive(Deserialize)]
struct Golden {
    paired_items_needed: Vec<PairedPlan>,
    mcnemar_items_needed: Vec<McNemarPlan>,
}

#[derive(Deserialize)]
struct PairedPlan {
    difference: f64,
    spread: f64,
    alpha: f64,
    power: f64,
    items: usize,
}

#[derive(Deserialize)]
struct McNemarPlan {
    only_a: f64,
    only_b: f64,
    alpha: f64,
    power: f64,
    items: usize,
    exact_power: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/statistics.json")).unwrap()
}

#[test]
fn paired_sample_sizes_equal_statsmodels() {
    for plan in golden().paired_items_needed {
        let planned = Planned { alpha: plan.alpha, power: plan.power };
        let found = paired_items_needed(plan.difference, plan.spread, &planned);
        assert_eq!(found, Ok(Some(plan.items)));
    }
}

#[test]
fn mcnemar_sample_sizes_equal_connors_and_cost_the_exact_test_few_points_of_power() {
    for plan in golden().mcnemar_items_needed {
        let planned = Planned { alpha: plan.alpha, power: plan.power };
        let found = mcnemar_items_needed(plan.only_a, plan.only_b, &planned);
        assert_eq!(found, Ok(Some(plan.items)));
        let lost = plan.power - plan.exact_power;
        assert!((0.0..0.04).contains(&lost), "{lost}");
    }
}

#[test]
fn an_exact_test_of_signs_needs_enough_items_that_differ() {
    let fewest = |differing: f64, alpha: f64| {
        fewest_items_for_signs(differing, &Planned { alpha, ..Planned::default() }).unwrap()
    };
    assert_eq!(fewest(1.0, 0.05), Some(6));
    assert_eq!(fewest(0.1, 0.05), Some(60));
    // 2^(1 − 7) is 0.015625.
    assert_eq!(fewest(1.0, 0.015625), Some(7));
    assert_eq!(fewest(1.0, 0.0156), Some(8));
    assert_eq!(fewest(0.0, 0.05), None);
    assert_eq!(mcnemar_items_needed(1.0, 0.0, &Planned::default()), Ok(Some(6)));
    assert!(fewest_items_for_signs(1.1, &Planned::default()).is_err());
}

#[test]
fn no_number_of_items_shows_a_difference_of_zero() {
    let planned = Planned::default();
    assert_eq!(mcnemar_items_needed(0.1, 0.1, &planned), Ok(None));
    assert_eq!(paired_items_needed(0.0, 0.3, &planned), Ok(None));
}

#[test]
fn a_gain_is_bounded_with_fewer_items_the_further_it_stays_below_the_margin() {
    let planned = Planned::default();
    let items = |gain: f64| items_to_bound_gain(gain, 0.3, 0.02, &planned).unwrap();
    assert_eq!(items(0.0), Some(1766));
    assert_eq!(items(-0.04), Some(197));
    assert_eq!(items(0.02), None);
    assert_eq!(items(0.05), None);
}
