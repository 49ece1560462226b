//! Verdicts on made-up arms.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use tunewise_infer::statistics::IntervalMethod;
use tunewise_infer::*;

const RESAMPLING: Resampling = Resampling { resamples: 2000, seed: 11 };

/// An arm of `right.len()` items, each answered right or wrong, by the metric named.
fn arm_by(metric: &str, name: &str, kind: ArmKind, right: &[bool]) -> ScoredArm {
    let metric: Metric = metric.parse().unwrap();
    let references: Vec<String> = (0..right.len()).map(|i| format!("answer {i}")).collect();
    let answer = |(i, right): (usize, &bool)| match right {
        true => format!("answer {i}"),
        false => "zzz".to_string(),
    };
    let outputs: Vec<String> = right.iter().enumerate().map(answer).collect();
    ScoredArm {
        name: name.to_string(),
        kind,
        scores: metric.measure(&outputs, &references).unwrap(),
        prompt_tokens_per_item: 10.0,
    }
}

fn prompt(name: &str, right: &[bool]) -> ScoredArm {
    arm_by("exact-match", name, ArmKind::PromptOnly, right)
}

fn tuned(name: &str, right: &[bool]) -> ScoredArm {
    arm_by("exact-match", name, ArmKind::Tuned, right)
}

fn first(right: usize, items: usize) -> Vec<bool> {
    (0..items).map(|i| i < right).collect()
}

/// Binomial terms are products of up to some dozens of factors, each rounded.
#[track_caller]
fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-12, "{found} against {expected}");
}

#[test]
fn a_tuned_arm_that_is_significantly_better_is_worth_tuning() {
    let arms = [prompt("zero-shot", &first(40, 100)), tuned("tuned", &first(70, 100))];
    let (comparisons, verdict) = judge(&arms, &RESAMPLING).unwrap();
    assert_eq!(comparisons.len(), 1);
    assert_eq!(comparisons[0].test, PairedTest::McnemarExact);
    assert_close(comparisons[0].p_value * 2f64.powi(29), 1.0);
    assert_close(comparisons[0].difference, 0.3);
    assert_eq!(verdict.choice, Choice::FineTune);
    assert_eq!(verdict.items_needed, None);
    let start = "`tuned` scores 0.700 in exact-match against 0.400 of `zero-shot`, the best \
                 prompt, on 100 items: +30.0 points (95 % interval +";
    assert!(verdict.why.starts_with(start), "{}", verdict.why);
    assert!(verdict.why.ends_with("adjusted p < 0.001)"), "{}", verdict.why);
}

#[test]
fn a_prompt_that_is_significantly_better_wins() {
    let arms = [prompt("few-shot", &first(70, 100)), tuned("tuned", &first(40, 100))];
    let (_, verdict) = judge(&arms, &RESAMPLING).unwrap();
    assert_eq!((verdict.choice, verdict.items_needed), (Choice::Prompt, None));
}

#[test]
fn arms_that_agree_on_many_items_are_decided_for_the_prompt() {
    let arms = [prompt("zero-shot", &first(150, 300)), tuned("tuned", &first(151, 300))];
    let (_, verdict) = judge(&arms, &RESAMPLING).unwrap();
    assert_eq!(verdict.choice, Choice::Prompt);
    let end = "; tuning gains less than 2 points, too little to pay for training";
    assert!(verdict.why.ends_with(end), "{}", verdict.why);
}

#[test]
fn arms_that_agree_on_few_items_tell_nothing() {
    for items in [2, 5, 100] {
        let right = first(items / 2, items);
        let arms = [prompt("zero-shot", &right), tuned("tuned", &right)];
        let (comparisons, verdict) = judge(&arms, &RESAMPLING).unwrap();
        assert_eq!(comparisons[0].ci95.method, IntervalMethod::AgrestiMin);
        assert_eq!(comparisons[0].p_adjusted, 1.0);
        assert_eq!((verdict.choice, verdict.items_needed), (Choice::CannotTell, Some(150)));
    }
}

#[test]
fn a_small_difference_on_few_items_needs_more_of_them() {
    // 12 items favour the tuned arm and 6 the prompt: shares 0.2 and 0.1 of 60.
    let base: Vec<bool> = (0..60).map(|i| i < 6).collect();
    let better: Vec<bool> = (0..60).map(|i| (6..18).contains(&i)).collect();
    let arms = [prompt("zero-shot", &base), tuned("tuned", &better)];
    let (_, verdict) = judge(&arms, &RESAMPLING).unwrap();
    // Connor's formula at alpha 0.05 and power 0.8, as in the golden file.
    assert_eq!((verdict.choice, verdict.items_needed), (Choice::CannotTell, Some(234)));
    assert!(
        verdict.why.ends_with("; about 234 items would show a difference of this size"),
        "{}",
        verdict.why
    );
}

#[test]
fn one_kind_of_arm_tells_nothing_and_is_still_compared() {
    let arms = [prompt("zero-shot", &first(4, 40)), prompt("few-shot", &first(30, 40))];
    let (comparisons, verdict) = judge(&arms, &RESAMPLING).unwrap();
    let names: Vec<_> = comparisons.iter().map(|c| (c.a.as_str(), c.b.as_str())).collect();
    assert_eq!(names, [("zero-shot", "few-shot")]);
    assert_eq!((verdict.choice, verdict.items_needed), (Choice::CannotTell, None));
    assert_eq!(verdict.why, "only prompt-only arms were run, expected a tuned arm to compare with");
    let (comparisons, verdict) = judge(&arms[..0], &RESAMPLING).unwrap();
    assert!(comparisons.is_empty());
    assert_eq!(verdict.why, "there is no arm to judge");
}

#[test]
fn every_tuned_arm_meets_every_prompt_and_all_count_in_the_adjustment() {
    let arms = [
        prompt("zero-shot", &first(40, 100)),
        tuned("tuned", &first(47, 100)),
        prompt("few-shot", &first(41, 100)),
        tuned("tuned+system-prompt", &first(45, 100)),
    ];
    let (comparisons, verdict) = judge(&arms, &RESAMPLING).unwrap();
    let comparisons = &comparisons[..4];
    let names: Vec<_> = comparisons.iter().map(|c| format!("{} {}", c.a, c.b)).collect();
    let expected = [
        "tuned zero-shot",
        "tuned few-shot",
        "tuned+system-prompt zero-shot",
        "tuned+system-prompt few-shot",
    ];
    assert_eq!(names, expected);
    let p_values = [0.015625, 0.03125, 0.0625, 0.125];
    let adjusted = [0.0625, 0.09375, 0.125, 0.125];
    for (index, comparison) in comparisons.iter().enumerate() {
        assert_close(comparison.p_value, p_values[index]);
        assert_close(comparison.p_adjusted, adjusted[index]);
    }
    // Alone, 6 discordant items to 0 would be significant.
    assert_eq!(verdict.choice, Choice::CannotTell);
    assert!(verdict.why.contains("`tuned` scores 0.470"), "{}", verdict.why);
    assert!(verdict.why.contains("0.410 of `few-shot`"), "{}", verdict.why);
}

#[test]
fn among_equal_prompts_the_shorter_one_is_compared() {
    let mut long = prompt("few-shot", &first(20, 50));
    long.prompt_tokens_per_item = 900.0;
    let arms = [long, prompt("zero-shot", &first(20, 50)), tuned("tuned", &first(21, 50))];
    let (_, verdict) = judge(&arms, &RESAMPLING).unwrap();
    assert!(verdict.why.contains("of `zero-shot`"), "{}", verdict.why);
}

#[test]
fn figures_that_are_no_shares_go_through_the_paired_bootstrap() {
    for metric in ["chrf", "bleu", "rouge-l", "macro-f1"] {
        let arms = [
            arm_by(metric, "zero-shot", ArmKind::PromptOnly, &first(30, 120)),
            arm_by(metric, "tuned", ArmKind::Tuned, &first(90, 120)),
        ];
        let (comparisons, verdict) = judge(&arms, &RESAMPLING).unwrap();
        let comparison = &comparisons[0];
        assert_eq!(comparison.test, PairedTest::PairedBootstrap);
        let expected = arms[1].scores.figure() - arms[0].scores.figure();
        assert_eq!(comparison.difference, expected, "{metric}");
        // BLEU is 0 where no answer has four words.
        let choice = if metric == "bleu" { Choice::CannotTell } else { Choice::FineTune };
        assert_eq!(verdict.choice, choice, "{metric}");
    }
}

#[test]
fn a_metric_that_gives_every_arm_0_tells_nothing_on_any_number_of_items() {
    let judged = |metric: &str, right: usize| {
        let arms = [
            arm_by(metric, "zero-shot", ArmKind::PromptOnly, &first(0, 400)),
            arm_by(metric, "tuned", ArmKind::Tuned, &first(right, 400)),
        ];
        judge(&arms, &RESAMPLING).unwrap().1
    };
    for (metric, right, end) in [
        // Right answers of two words, which BLEU over items cannot see.
        (
            "bleu",
            300,
            "; the metric is 0 over these items for every arm, try `chrf`, which compares characters",
        ),
        (
            "rouge-l",
            0,
            "; the metric scores every answer 0, try `chrf`, which compares characters",
        ),
        (
            "exact-match",
            0,
            "; the metric scores every answer 0: look at the answers, or take another metric",
        ),
    ] {
        let verdict = judged(metric, right);
        assert_eq!((verdict.choice, verdict.items_needed), (Choice::CannotTell, None), "{metric}");
        assert!(verdict.why.ends_with(end), "{}", verdict.why);
    }
    // Arms that are right everywhere leave nothing to gain.
    let all = [prompt("zero-shot", &first(400, 400)), tuned("tuned", &first(400, 400))];
    assert_eq!(judge(&all, &RESAMPLING).unwrap().1.choice, Choice::Prompt);
}

#[test]
fn no_plan_is_for_fewer_items_than_the_exact_test_needs() {
    // 3 of 3 have an exact p of 0.25, 5 of 5 of 0.0625, and 6 of 6 of 0.03125.
    for metric in ["exact-match", "rouge-l"] {
        let arms = [
            arm_by(metric, "zero-shot", ArmKind::PromptOnly, &first(0, 3)),
            arm_by(metric, "tuned", ArmKind::Tuned, &first(3, 3)),
        ];
        // `rouge-l` finds nothing in common between `zzz` and `answer 0`.
        let (_, verdict) = judge(&arms, &RESAMPLING).unwrap();
        assert_eq!(
            (verdict.choice, verdict.items_needed),
            (Choice::CannotTell, Some(6)),
            "{metric}"
        );
    }
}

#[test]
fn pairs_within_a_kind_are_a_family_of_their_own_that_the_verdict_does_not_read() {
    let arms = [
        prompt("zero-shot", &first(20, 100)),
        tuned("tuned:a", &first(47, 100)),
        prompt("few-shot", &first(41, 100)),
        tuned("tuned:b", &first(45, 100)),
    ];
    let (comparisons, verdict) = judge(&arms, &RESAMPLING).unwrap();
    let within: Vec<_> = comparisons.iter().filter(|c| c.family == Family::Within).collect();
    let names: Vec<_> = within.iter().map(|c| format!("{} {}", c.a, c.b)).collect();
    assert_eq!(names, ["zero-shot few-shot", "tuned:a tuned:b"]);
    assert!(comparisons[..4].iter().all(|c| c.family == Family::TunedAgainstPrompt));
    // 2 items to 0 have an exact p of 0.5, the larger of two.
    assert_close(within[1].p_adjusted, 0.5);
    assert_close(within[0].p_adjusted * 2f64.powi(20), 2.0);
    let across = arms.iter().filter(|arm| arm.name != "tuned:b" && arm.name != "zero-shot");
    let pair: Vec<ScoredArm> = across.cloned().collect();
    let alone = judge(&pair, &RESAMPLING).unwrap().0;
    assert_close(alone[0].p_value, comparisons[1].p_value);
    assert!(verdict.why.contains("0.410 of `few-shot`"), "{}", verdict.why);
}

#[test]
fn an_arm_with_few_right_or_wrong_items_has_wilsons_interval() {
    let method = |right: usize| {
        let arm = prompt("zero-shot", &first(right, 60));
        arm.interval(&RESAMPLING).unwrap().method
    };
    assert_eq!(method(0), IntervalMethod::Wilson);
    assert_eq!(method(9), IntervalMethod::Wilson);
    assert_eq!(method(10), IntervalMethod::Bootstrap);
    assert_eq!(method(51), IntervalMethod::Wilson);
    let interval = tuned("tuned", &first(20, 20)).interval(&RESAMPLING).unwrap();
    assert_eq!(interval.high, 1.0);
    // scipy and statsmodels: 20 of 20 has a lower end of 0.8389.
    assert!((interval.low - 0.838_874).abs() < 1e-5);
}

#[test]
fn a_figure_that_is_no_mean_keeps_its_bootstrap_interval_around_it() {
    // Every item is right, but in too few words for BLEU over items, which is 0.
    let arm = arm_by("bleu", "tuned", ArmKind::Tuned, &first(20, 20));
    let interval = arm.interval(&RESAMPLING).unwrap();
    assert_eq!((interval.low, interval.high), (0.0, 0.0));
}

#[test]
fn arms_on_other_items_or_under_one_name_are_errors() {
    let arms = [prompt("zero-shot", &first(1, 4)), tuned("tuned", &first(1, 5))];
    let error = judge(&arms, &RESAMPLING).unwrap_err();
    assert_eq!(
        error.to_string(),
        "arms `zero-shot` and `tuned`: expected the same metric on the same items in the same order"
    );
    let arms = [prompt("x", &first(1, 4)), tuned("x", &first(1, 4))];
    let error = judge(&arms, &RESAMPLING).unwrap_err();
    assert_eq!(error.to_string(), "arm `x` stands in the list twice, expected each name once");
}

#[test]
fn the_report_has_the_names_that_the_command_line_promises() {
    let arms = [prompt("zero-shot", &first(0, 6)), tuned("tuned", &first(6, 6))];
    let (comparisons, verdict) = judge(&arms, &RESAMPLING).unwrap();
    let comparison = serde_json::to_value(&comparisons[0]).unwrap();
    let keys: Vec<&String> = comparison.as_object().unwrap().keys().collect();
    let expected = ["a", "b", "difference", "ci95", "test", "p_value", "p_adjusted", "family"];
    assert_eq!(keys, expected);
    assert_eq!(comparison["test"], "mcnemar-exact");
    assert_eq!(comparison["family"], "tuned-against-prompt");
    assert_close(comparison["p_adjusted"].as_f64().unwrap(), 0.03125);
    assert_eq!(comparison["ci95"].as_array().unwrap().len(), 2);
    let verdict = serde_json::to_value(&verdict).unwrap();
    assert_eq!(verdict["choice"], "fine-tune");
    assert_eq!(verdict["items_needed"], serde_json::Value::Null);
    assert_eq!(serde_json::to_value(Choice::CannotTell).unwrap(), "cannot-tell");
    assert_eq!(serde_json::to_value(Choice::Prompt).unwrap(), "prompt");
}
