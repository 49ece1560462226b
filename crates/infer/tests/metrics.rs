//! Metrics against the figures of published implementations (`scripts/make_metric_golden.py`).
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use serde::Deserialize;
use tunewise_infer::metric::squad_normalised;
use tunewise_infer::{Metric, MetricError};

#[derive(Deserialize)]
struct Golden {
    items: Vec<Item>,
    corpora: Vec<Corpus>,
    labels: Vec<Labels>,
}

#[derive(Deserialize)]
struct Item {
    output: String,
    reference: String,
    normalised: String,
    exact_match: f64,
    exact_match_strict: f64,
    rouge_l: f64,
    chrf: f64,
    bleu: f64,
}

#[derive(Deserialize)]
struct Corpus {
    name: String,
    items: Vec<usize>,
    exact_match: f64,
    rouge_l: f64,
    chrf: f64,
    bleu: f64,
}

#[derive(Deserialize)]
struct Labels {
    outputs: Vec<String>,
    references: Vec<String>,
    accuracy: f64,
    macro_f1: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/metrics.json")).unwrap()
}

fn metric(name: &str) -> Metric {
    name.parse().unwrap()
}

/// Sums of a few logarithms and quotients differ in the last digits between languages.
#[track_caller]
fn assert_close(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() < 1e-12, "{what}: {found} against {expected}");
}

#[test]
fn item_scores_equal_those_of_the_published_implementations() {
    let golden = golden();
    assert_eq!(golden.items.len(), 32);
    for item in &golden.items {
        let score = |name: &str| metric(name).score(&item.output, &item.reference);
        let what = |name: &str| format!("{name} of {:?} for {:?}", item.output, item.reference);
        assert_eq!(squad_normalised(&item.output), item.normalised);
        assert_eq!(score("exact-match"), item.exact_match, "{}", what("exact-match"));
        assert_eq!(score("exact-match-strict"), item.exact_match_strict, "{}", what("strict"));
        assert_close(score("rouge-l"), item.rouge_l, &what("rouge-l"));
        assert_close(score("chrf"), item.chrf, &what("chrf"));
        assert_close(score("bleu"), item.bleu, &what("bleu"));
    }
}

#[test]
fn corpus_figures_equal_those_of_the_published_implementations() {
    let golden = golden();
    assert_eq!(golden.corpora.len(), 9);
    for corpus in &golden.corpora {
        let texts = |text: fn(&Item) -> &str| -> Vec<&str> {
            corpus.items.iter().map(|i| text(&golden.items[*i])).collect()
        };
        let (outputs, references) = (texts(|i| &i.output), texts(|i| &i.reference));
        let figures = [
            ("exact-match", corpus.exact_match),
            ("rouge-l", corpus.rouge_l),
            ("chrf", corpus.chrf),
            ("bleu", corpus.bleu),
        ];
        for (name, expected) in figures {
            let found = metric(name).corpus(&outputs, &references).unwrap();
            assert_close(found, expected, &format!("{name} of {}", corpus.name));
        }
    }
}

#[test]
fn a_resample_has_the_figure_of_the_corpus_it_draws() {
    let golden = golden();
    let outputs: Vec<&str> = golden.items.iter().map(|i| i.output.as_str()).collect();
    let references: Vec<&str> = golden.items.iter().map(|i| i.reference.as_str()).collect();
    let bleu = metric("bleu").measure(&outputs, &references).unwrap();
    let chrf = metric("chrf").measure(&outputs, &references).unwrap();
    let rouge = metric("rouge-l").measure(&outputs, &references).unwrap();
    for corpus in &golden.corpora {
        assert_close(bleu.figure_of(&corpus.items), corpus.bleu, &corpus.name);
        assert_close(chrf.figure_of(&corpus.items), corpus.chrf, &corpus.name);
        assert_close(rouge.figure_of(&corpus.items), corpus.rouge_l, &corpus.name);
    }
}

#[test]
fn label_figures_equal_those_of_scikit_learn() {
    for labels in golden().labels {
        let figure = |name: &str| metric(name).corpus(&labels.outputs, &labels.references).unwrap();
        assert_close(figure("label-accuracy"), labels.accuracy, "accuracy");
        assert_close(figure("macro-f1"), labels.macro_f1, "macro-f1");
    }
}

#[test]
fn macro_f1_of_a_resample_counts_only_the_labels_in_it() {
    let outputs = ["x", "y", "x", "z"];
    let references = ["x", "x", "y", "z"];
    let scores = metric("macro-f1").measure(&outputs, &references).unwrap();
    assert_eq!(scores.scores(), [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(scores.figure_of(&[0, 3, 3]), 1.0);
    assert_eq!(scores.figure_of(&[0, 1]), (2.0 / 3.0) / 2.0);
}

#[test]
fn a_label_differs_where_another_wrong_one_is_answered() {
    let references = ["x", "y"];
    let first = metric("macro-f1").measure(&["y", "y"], &references).unwrap();
    let second = metric("macro-f1").measure(&["z", "y"], &references).unwrap();
    assert_eq!(first.scores(), second.scores());
    assert_eq!(first.differing(&second), 1);
}

#[test]
fn measures_are_aligned_only_on_the_same_references_by_the_same_metric() {
    let measure =
        |name: &str, references: &[&str]| metric(name).measure(&["a", "b"], references).unwrap();
    let base = measure("chrf", &["a", "b"]);
    assert!(base.is_aligned_with(&measure("chrf", &["a", "b"])));
    assert!(!base.is_aligned_with(&measure("chrf", &["b", "a"])));
    assert!(!base.is_aligned_with(&measure("bleu", &["a", "b"])));
}

#[test]
fn a_pattern_is_searched_for_in_the_output_alone() {
    let found = metric("regex:(?i)order #\\d+");
    assert_eq!(found.score("Your Order #12 is on its way", ""), 1.0);
    assert_eq!(found.score("your order is on its way", "order #12"), 0.0);
    assert_eq!(found.to_string(), "regex:(?i)order #\\d+");
}

#[test]
fn json_is_valid_whatever_the_reference_says() {
    let outputs = ["{\"a\": 1}", "```json\n[1, 2]\n```", "sure: {}", ""];
    assert_eq!(metric("valid-json").corpus(&outputs, &["x"; 4]).unwrap(), 0.5);
}

#[test]
fn every_listed_name_parses_and_prints_itself() {
    let names: Vec<&str> = Metric::all().iter().map(|m| m.name).collect();
    assert_eq!(names.len(), 9);
    for name in names {
        assert_eq!(metric(name).to_string(), name);
        assert_eq!(metric(name), metric(name));
    }
    assert_ne!(metric("regex:a"), metric("regex:b"));
}

#[test]
fn an_unknown_name_is_an_error_with_the_known_ones_and_the_nearest() {
    let error = "ROUGE_L".parse::<Metric>().unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown metric `ROUGE_L`, expected one of `exact-match`, `exact-match-strict`, \
         `label-accuracy`, `macro-f1`, `rouge-l`, `chrf`, `bleu`, `valid-json`, `regex:PATTERN`"
    );
    assert_eq!(error.hint().unwrap(), "the nearest name is `rouge-l`");
    assert_eq!("??".parse::<Metric>().unwrap_err().hint(), None);
}

#[test]
fn a_broken_pattern_is_an_error_that_shows_it() {
    let error = "regex:(".parse::<Metric>().unwrap_err();
    assert!(matches!(&error, MetricError::Pattern { pattern, .. } if pattern == "("));
    assert!(error.to_string().starts_with("metric `regex:(`: the pattern does not compile: "));
}

#[test]
fn lists_of_different_length_and_empty_lists_are_errors() {
    let error = metric("chrf").measure(&["a"], &["a", "b"]).unwrap_err();
    assert_eq!(error.to_string(), "1 outputs stand against 2 references, expected one for each");
    let none: [&str; 0] = [];
    let error = metric("macro-f1").corpus(&none, &none).unwrap_err();
    assert!(matches!(error, MetricError::NoItems));
}
