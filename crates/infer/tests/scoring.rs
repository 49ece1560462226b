//! Likelihoods of rows and of labels: shared equals separate, and each equals a pass of its own.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use candle_core::DType;
use support::TinyModel;
use tunewise_data::{PrefixSharing, TokenExample, TrainOn};
use tunewise_infer::evaluate::score_rows;
use tunewise_infer::{choose_labels, evaluate, InferError, LabelLength, Labels, Model};
use tunewise_model::TokenTree;

/// Supervised tokens' negative log-likelihood in f64, and how many are the likeliest, from the
/// logits of a pass over the row alone.
fn alone(model: Model<'_>, row: &TokenExample) -> (f64, usize) {
    let tree = TokenTree::single(row.ids.clone()).unwrap();
    let positions: Vec<usize> = (0..row.ids.len()).collect();
    let logits = model.decoder.logits(model.adapter, &tree, &positions).unwrap();
    let logits: Vec<Vec<f64>> = logits.to_dtype(DType::F64).unwrap().to_vec2().unwrap();
    let (mut nll, mut correct) = (0.0, 0);
    for position in (1..row.ids.len()).filter(|position| row.supervised[*position]) {
        let (token, logits) = (row.ids[position] as usize, &logits[position - 1]);
        let best = logits.iter().copied().fold(f64::MIN, f64::max);
        let sum: f64 = logits.iter().map(|logit| (logit - best).exp()).sum();
        nll += best + sum.ln() - logits[token];
        correct += usize::from(logits[token] == best);
    }
    (nll, correct)
}

fn close(a: f64, b: f64) -> bool {
    // Sums in f32 over at most a few hundred tokens, in another order.
    (a - b).abs() <= 1e-5 * b.abs().max(1.0)
}

fn conversations() -> Vec<String> {
    let row = |user: &str, answer: &str| {
        format!(
            r#"{{"messages": [{{"role": "system", "content": "You are the helper of the shop."}},
                {{"role": "user", "content": "{user}"}}, {{"role": "assistant", "content": "{answer}"}}]}}"#
        )
        .replace('\n', " ")
    };
    let rows = [("where is it", "there"), ("is it there", "no"), ("where is it", "the shop")];
    rows.iter().map(|(user, answer)| row(user, answer)).collect()
}

#[test]
fn an_evaluation_is_that_of_each_row_alone_with_shared_prefixes_or_without() {
    let tiny = TinyModel::new(256);
    let set = tiny.rows("rows.jsonl", &conversations());
    let examples: Vec<TokenExample> = set
        .rows
        .iter()
        .flat_map(|row| tiny.renderer.encode_training(&row.example, TrainOn::All).unwrap())
        .collect();
    let adapter = tiny.adapter(1);
    for adapter in [None, Some(&adapter)] {
        let model = Model { adapter, ..tiny.model() };
        let expected: Vec<(f64, usize)> = examples.iter().map(|row| alone(model, row)).collect();
        let mut done = Vec::new();
        let found = evaluate(model, &examples, &mut |rows| done.push(rows)).unwrap();
        assert_eq!(done, [3]);
        for ((item, (nll, _)), line) in found.items.iter().zip(&expected).zip(1..) {
            assert!(close(item.nll, *nll), "{} {nll}", item.nll);
            assert_eq!(item.line, line);
        }
        let tokens: usize = examples.iter().map(TokenExample::supervised_tokens).sum();
        let nll: f64 = expected.iter().map(|(nll, _)| nll).sum();
        let correct: usize = expected.iter().map(|(_, correct)| correct).sum();
        assert_eq!((found.rows, found.supervised_tokens), (3, tokens));
        assert!(close(found.nll_per_token, nll / tokens as f64));
        assert!(close(found.perplexity, (nll / tokens as f64).exp()));
        assert_eq!(found.token_accuracy, correct as f64 / tokens as f64);
        let rows: Vec<&TokenExample> = examples.iter().collect();
        let separate = score_rows(model, &rows, PrefixSharing::Separate, &mut |_| {}).unwrap();
        for (separate, (nll, correct)) in separate.iter().zip(&expected) {
            assert!(close(separate.nll, *nll));
            assert_eq!(separate.correct, *correct);
        }
    }
}

#[test]
fn examples_of_one_line_are_one_row() {
    let tiny = TinyModel::new(64);
    let example = |line: usize, ids: [u32; 3]| TokenExample {
        line,
        ids: ids.to_vec(),
        supervised: vec![false, true, true],
    };
    let examples = [example(4, [1, 2, 3]), example(4, [1, 2, 9]), example(6, [5, 6, 7])];
    let found = evaluate(tiny.model(), &examples, &mut |_| {}).unwrap();
    assert_eq!(found.rows, 2);
    assert_eq!(found.items[0].supervised_tokens, 4);
    let correct: usize = found.items.iter().map(|item| item.correct).sum();
    assert_eq!(found.token_accuracy, correct as f64 / 6.0);
    let lines = found.items_jsonl().unwrap();
    assert!(lines.starts_with(r#"{"line":4,"nll":"#), "{lines}");
    let end = format!(r#""supervised_tokens":4,"correct":{}}}"#, found.items[0].correct);
    assert!(lines.lines().next().unwrap().ends_with(&end), "{lines}");
    assert_eq!(lines.lines().count(), 2);
    let json = serde_json::to_value(&found).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["nll_per_token", "perplexity", "token_accuracy", "supervised_tokens", "rows"]
    );
}

#[test]
fn rows_without_a_supervised_token_are_an_error() {
    let tiny = TinyModel::new(64);
    let error = evaluate(tiny.model(), &[], &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "no rows to evaluate, expected at least one");
    let example = TokenExample { line: 1, ids: vec![1, 2], supervised: vec![false; 2] };
    let error = evaluate(tiny.model(), &[example], &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "1 rows have no supervised token, expected at least one");
}

#[test]
fn a_label_scores_what_it_scores_alone_and_the_likeliest_is_chosen() {
    let tiny = TinyModel::new(256);
    let set = tiny.rows("rows.jsonl", &conversations());
    let labels = Labels::of(&set).unwrap();
    assert_eq!(labels.texts(), ["no", "the shop", "there"]);
    let questions: Vec<_> =
        set.rows.iter().map(|row| row.example.question(None).unwrap()).collect();
    for length in [LabelLength::Whole, LabelLength::PerToken] {
        let choose = |labels| {
            choose_labels(tiny.model(), &tiny.renderer, &questions, labels, length, &mut |_| {})
        };
        let choices = choose(&labels).unwrap();
        for (question, choice) in questions.iter().zip(&choices) {
            let mut lowest = (f64::MAX, 0);
            for (index, label) in labels.texts().iter().enumerate() {
                let (prompt, answer) = tiny.renderer.encode_continuation(question, label).unwrap();
                assert_eq!(choice.prompt_tokens, prompt.len());
                let mut supervised = vec![false; prompt.len()];
                supervised.resize(prompt.len() + answer.len(), true);
                let row =
                    TokenExample { line: 1, ids: [prompt, answer.clone()].concat(), supervised };
                let (nll, _) = alone(tiny.model(), &row);
                assert!(close(choice.scores[index].nll, nll));
                assert_eq!(choice.scores[index].supervised_tokens, answer.len());
                let weighed = match length {
                    LabelLength::Whole => nll,
                    LabelLength::PerToken => nll / answer.len() as f64,
                };
                if weighed < lowest.0 {
                    lowest = (weighed, index);
                }
            }
            assert_eq!(choice.label, lowest.1);
        }
    }
}

#[test]
fn answers_that_hardly_repeat_are_refused_as_labels() {
    let tiny = TinyModel::new(64);
    let line = |n: usize| format!(r#"{{"prompt": "a", "completion": "answer {n}"}}"#);
    let rows: Vec<String> = (0..250).map(|n| line(n % 220)).collect();
    let error = Labels::of(&tiny.rows("free.jsonl", &rows)).unwrap_err();
    let end = "free.jsonl` holds 220 distinct answers in 250 rows, expected labels, which repeat";
    assert!(error.to_string().ends_with(end), "{error}");
    assert!(error.hint().unwrap().contains("use another metric for free text"));
}

#[test]
fn a_question_without_room_for_a_label_is_an_error_naming_both() {
    let tiny = TinyModel::new(32);
    let set = tiny.rows("rows.jsonl", &conversations());
    let labels = Labels::of(&set).unwrap();
    let questions = [set.rows[0].example.question(None).unwrap()];
    let length = LabelLength::Whole;
    let error =
        choose_labels(tiny.model(), &tiny.renderer, &questions, &labels, length, &mut |_| {});
    let error = error.unwrap_err();
    assert!(matches!(error, InferError::LabelTooLong { line: 1, context: 32, .. }), "{error}");
    let one = tiny.rows("one.jsonl", &conversations()[..1]);
    let error = Labels::of(&one).unwrap_err().to_string();
    assert!(
        error.ends_with("one.jsonl` holds 1 distinct labels, expected at least two"),
        "{error}"
    );
}
