//! Comparison runs from files to a report.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use serde_json::Value;
use support::TinyModel;
use tunewise_data::{Body, DataSet, Role};
use tunewise_infer::demonstration::Demonstrations;
use tunewise_infer::{
    compare, AdapterSource, ArmRequest, ComparisonInput, ComparisonOptions, Decoding, InferError,
    LabelLength, Metric, Report,
};
use tunewise_model::Adapter;

fn row(user: &str, answer: &str) -> String {
    serde_json::json!({"messages": [
        {"role": "system", "content": "Sort."},
        {"role": "user", "content": user},
        {"role": "assistant", "content": answer},
    ]})
    .to_string()
}

fn train(tiny: &TinyModel) -> DataSet {
    let rows = [("pay", "bill"), ("broken", "fix"), ("card", "bill"), ("stuck", "fix")];
    tiny.rows("train.jsonl", &rows.map(|(user, answer)| row(user, answer)))
}

fn test(tiny: &TinyModel) -> DataSet {
    let rows = [("my card", "bill"), ("it broke", "fix"), ("pay", "bill"), ("stuck here", "fix")];
    tiny.rows("test.jsonl", &rows.map(|(user, answer)| row(user, answer)))
}

fn options(arms: &str, metric: &str) -> ComparisonOptions {
    ComparisonOptions {
        arms: arms.split(',').map(|arm| arm.parse().unwrap()).collect(),
        metric: metric.parse().unwrap(),
        shots: 2,
        limit: None,
        seed: 3,
        decoding: Decoding::greedy(6),
        label_length: LabelLength::default(),
        resamples: 200,
    }
}

fn run(
    tiny: &TinyModel,
    adapters: &[&Adapter],
    options: &ComparisonOptions,
) -> Result<Report, InferError> {
    let (train, test) = (train(tiny), test(tiny));
    let folders: Vec<_> = ["runs/a", "runs/b"].iter().map(std::path::Path::new).collect();
    let adapters = folders.iter().zip(adapters);
    let adapters: Vec<AdapterSource<'_>> =
        adapters.map(|(path, adapter)| AdapterSource { path, adapter, trained_on: None }).collect();
    let input = ComparisonInput {
        model: "tiny",
        decoder: &tiny.decoder,
        renderer: &tiny.renderer,
        adapters: &adapters,
        train: &train,
        test: &test,
        system_prompt: Some("Say bill or fix."),
    };
    compare(input, options, &mut |_| {})
}

fn names(report: &Report) -> Vec<&str> {
    report.arms.iter().map(|arm| arm.name.as_str()).collect()
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const EVERY_ARM: &str = "zero-shot,system-prompt,few-shot,tuned,tuned+system-prompt";

#[test]
fn the_report_has_the_documented_keys_and_every_answer() {
    let tiny = TinyModel::new(256);
    let adapter = tiny.adapter(1);
    let report = run(&tiny, &[&adapter], &options(EVERY_ARM, "exact-match")).unwrap();
    let folder = tiny.dir.path().join("out/report");
    report.write(&folder).unwrap();
    let json: Value =
        serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap();
    assert_eq!(keys(&json)[..5], ["metric", "items", "arms", "comparisons", "verdict"]);
    assert_eq!(
        keys(&json["arms"][0]),
        ["name", "score", "ci95", "prompt_tokens_per_item", "seconds_per_item"]
    );
    assert_eq!(json["arms"][0]["ci95"].as_array().unwrap().len(), 2);
    assert_eq!(
        keys(&json["comparisons"][0]),
        ["a", "b", "difference", "ci95", "test", "p_value", "p_adjusted", "family"]
    );
    let comparisons = json["comparisons"].as_array().unwrap();
    let family = |name: &str| comparisons.iter().filter(|c| c["family"] == name).count();
    assert_eq!((family("tuned-against-prompt"), family("within")), (6, 4));
    assert_eq!(json["comparisons"][0]["test"], "mcnemar-exact");
    assert_eq!(keys(&json["verdict"]), ["choice", "why", "items_needed"]);
    assert_eq!(json["items"], 4);
    let items = std::fs::read_to_string(folder.join("items.jsonl")).unwrap();
    let items: Vec<Value> = items.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(items.len(), 20);
    assert_eq!(keys(&items[0]), ["line", "arm", "output", "reference", "score"]);
    let first: Vec<&Value> = items.iter().take(5).map(|item| &item["arm"]).collect();
    assert_eq!(first, EVERY_ARM.split(',').collect::<Vec<_>>());
    assert_eq!(items[5]["line"], 2);
    let markdown = std::fs::read_to_string(folder.join("report.md")).unwrap();
    for heading in [
        "# Comparison by exact-match",
        "## Arms",
        "## Differences",
        "## Differences within a kind",
        "## How to read this",
    ] {
        assert!(markdown.contains(heading), "{markdown}");
    }
    assert!(report.table().contains("tuned+system-prompt  "));
    let mut written: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    written.sort();
    assert_eq!(written, ["items.jsonl", "report.json", "report.md"]);
}

#[test]
fn arms_of_equal_wording_answer_alike_and_longer_prompts_cost_more() {
    let tiny = TinyModel::new(256);
    let mut adapter = tiny.adapter(1);
    let zero = options("zero-shot,system-prompt,few-shot,tuned", "rouge-l");
    let report = run(&tiny, &[&adapter], &zero).unwrap();
    let answers = |report: &Report, arm: &str| -> Vec<String> {
        let answers = report.answers.iter().filter(|answer| answer.arm == arm);
        answers.map(|answer| answer.output.clone()).collect()
    };
    assert_ne!(answers(&report, "zero-shot"), answers(&report, "tuned"));
    let tokens: Vec<f64> = report.arms.iter().map(|arm| arm.prompt_tokens_per_item).collect();
    assert!(tokens[0] < tokens[1] && tokens[1] < tokens[2], "{tokens:?}");
    assert_eq!(tokens[0], tokens[3]);
    // An adapter whose B is zero changes nothing.
    let zeroed: Vec<(String, candle_core::Tensor)> = adapter
        .tensors()
        .unwrap()
        .into_iter()
        .filter(|(key, _)| key.contains("lora_B"))
        .map(|(key, tensor)| (key, tensor.zeros_like().unwrap()))
        .collect();
    for (key, tensor) in zeroed {
        adapter.set_tensor(&key, tensor).unwrap();
    }
    let report = run(&tiny, &[&adapter], &zero).unwrap();
    assert_eq!(answers(&report, "zero-shot"), answers(&report, "tuned"));
    assert_eq!(report.comparisons[0].difference, 0.0);
}

#[test]
fn several_adapters_are_several_arms_and_two_runs_give_the_same_figures() {
    let tiny = TinyModel::new(256);
    let (one, two) = (tiny.adapter(1), tiny.adapter(2));
    let options = options("few-shot,tuned", "macro-f1");
    let first = run(&tiny, &[&one, &two], &options).unwrap();
    assert_eq!(names(&first), ["few-shot", "tuned:a", "tuned:b"]);
    assert_eq!(first.adapters[1].path, "runs/b");
    assert!(first.answers.iter().all(|answer| ["bill", "fix"].contains(&answer.output.as_str())));
    let note = "each answer is the likeliest of the 2 labels of the training rows";
    assert!(first.notes.iter().any(|found| found == note), "{:?}", first.notes);
    let figures = |report: &Report| -> Vec<(f64, [f64; 2])> {
        let arms = report.arms.iter();
        arms.map(|arm| (arm.score, [arm.ci95.low, arm.ci95.high])).collect()
    };
    let second = run(&tiny, &[&one, &two], &options).unwrap();
    assert_eq!(figures(&first), figures(&second));
    assert_eq!(first.answers, second.answers);
}

#[test]
fn demonstrations_are_the_same_turns_for_all_after_the_system_message() {
    let tiny = TinyModel::new(256);
    let (train, test) = (train(&tiny), test(&tiny));
    let items: Vec<_> = test.rows.iter().map(|row| &row.example).collect();
    let chosen = Demonstrations::choose(&train, 9, 3, &items);
    // The training row that asks `pay` asks what a test row does.
    assert_eq!(chosen.count(), 3);
    let question = items[0].question(None).unwrap();
    let shown = chosen.before(&tiny.renderer, &question, 2).unwrap();
    let Body::Question { messages, .. } = &shown.body else { panic!("{shown:?}") };
    let roles: Vec<Role> = messages.iter().map(|message| message.role).collect();
    let turn = [Role::User, Role::Assistant];
    assert_eq!(roles, [&[Role::System], &turn[..], &turn[..], &[Role::User]].concat());
    assert_eq!(messages[5].content.as_deref(), Some("my card"));
    let other = chosen.before(&tiny.renderer, &items[1].question(None).unwrap(), 2).unwrap();
    let Body::Question { messages: others, .. } = &other.body else { panic!("{other:?}") };
    assert_eq!(messages[..5], others[..5]);
    assert_eq!(chosen.before(&tiny.renderer, &question, 0).unwrap(), question);
}

#[test]
fn demonstrations_that_do_not_fit_are_dropped_and_counted() {
    let tiny = TinyModel::new(256);
    let (train, test) = (train(&tiny), test(&tiny));
    let questions: Vec<_> =
        test.rows.iter().map(|row| row.example.question(None).unwrap()).collect();
    let chosen = Demonstrations::choose(&train, 3, 3, &[]);
    let length = |question: usize, count: usize| {
        let shown = chosen.before(&tiny.renderer, &questions[question], count).unwrap();
        tiny.renderer.encode_prompt(&shown).unwrap().len()
    };
    // Room for two demonstrations before the longest question, or more before shorter ones.
    let longest = (0..4).max_by_key(|index| length(*index, 0)).unwrap();
    let context = length(longest, 2) + 5;
    let fitted = chosen.fit(&tiny.renderer, &questions, context, 5).unwrap();
    for (index, fitted) in fitted.iter().enumerate() {
        let fits = (0..=3).filter(|count| length(index, *count) + 5 <= context).max().unwrap();
        assert_eq!(fitted.dropped, 3 - fits, "question {index}");
        assert_eq!(
            fitted.question,
            chosen.before(&tiny.renderer, &questions[index], fits).unwrap()
        );
    }
    assert_eq!(fitted[longest].dropped, 1);
    let none = chosen.fit(&tiny.renderer, &questions, 4, 3).unwrap();
    assert!(none.iter().all(|fitted| fitted.dropped == 3));

    let tight = TinyModel::new(length(longest, 2) + 6);
    let options = ComparisonOptions { shots: 3, ..options("few-shot", "exact-match") };
    let report = run(&tight, &[], &options).unwrap();
    assert!(report.dropped_demonstrations >= 1, "{report:?}");
    assert!(report.notes.iter().any(|note| note.contains("dropped over all items")));
}

#[test]
fn a_limit_draws_items_by_the_seed_and_says_so() {
    let tiny = TinyModel::new(256);
    let drawn = |seed: u64| -> Vec<usize> {
        let options =
            ComparisonOptions { limit: Some(2), seed, ..options("zero-shot", "regex:^.") };
        let report = run(&tiny, &[], &options).unwrap();
        assert_eq!(report.notes[0], format!("2 of 4 items, drawn by seed {seed}"));
        assert_eq!(report.items, 2);
        report.answers.iter().map(|answer| answer.line).collect()
    };
    let lines: Vec<Vec<usize>> = (0..6).map(drawn).collect();
    assert!(lines.iter().all(|lines| lines[0] < lines[1]));
    assert!(lines.iter().any(|other| *other != lines[0]));
    assert_eq!(drawn(0), lines[0]);
}

#[test]
fn what_a_run_lacks_is_named() {
    let tiny = TinyModel::new(256);
    let lacking = run(&tiny, &[], &options("tuned", "exact-match")).unwrap_err();
    assert_eq!(lacking.to_string(), "arm `tuned` needs an adapter, found none");
    assert_eq!(lacking.hint().unwrap(), "pass `--adapter DIR`");
    let texts = tiny.rows("texts.jsonl", &[r#"{"text": "once"}"#.to_owned()]);
    let train = train(&tiny);
    let input = ComparisonInput {
        model: "tiny",
        decoder: &tiny.decoder,
        renderer: &tiny.renderer,
        adapters: &[],
        train: &train,
        test: &texts,
        system_prompt: None,
    };
    let error = compare(input, &options("zero-shot", "chrf"), &mut |_| {}).unwrap_err();
    let expected = "texts.jsonl`: none of 1 rows has a question and an answer's text";
    assert!(error.to_string().ends_with(expected), "{error}");
    let metric = "exact".parse::<Metric>().unwrap_err();
    assert!(InferError::from(metric).hint().is_some());
    assert!("zeroshot".parse::<ArmRequest>().is_err());
}

#[test]
fn an_arm_that_gives_every_item_one_label_is_called_out() {
    let tiny = TinyModel::new(256);
    let report = run(&tiny, &[], &options("zero-shot", "label-accuracy")).unwrap();
    let first = &report.answers[0].output;
    let same = report.answers.iter().all(|answer| answer.output == *first);
    let note =
        format!("`zero-shot`: all 4 answers are `{first}`; the arm does not tell the items apart");
    assert_eq!(report.notes.contains(&note), same);
    assert!(same, "choose another seed for the tiny model: {:?}", report.answers);
}

#[test]
fn items_whose_question_is_in_the_training_rows_are_counted() {
    let tiny = TinyModel::new(256);
    let adapter = tiny.adapter(1);
    let report = run(&tiny, &[&adapter], &options("zero-shot,tuned", "exact-match")).unwrap();
    let note = "1 of 4 test items have their question in the training rows; a tuned arm may have \
                learned them by heart";
    assert!(report.notes.iter().any(|found| found == note), "{:?}", report.notes);
}

#[test]
fn an_adapter_that_was_trained_on_the_test_file_is_named() {
    let tiny = TinyModel::new(256);
    let (train, test, adapter) = (train(&tiny), test(&tiny), tiny.adapter(1));
    let path = std::path::Path::new("runs/a");
    let notes = |trained_on: &str| {
        let adapters = [AdapterSource { path, adapter: &adapter, trained_on: Some(trained_on) }];
        let input = ComparisonInput {
            model: "tiny",
            decoder: &tiny.decoder,
            renderer: &tiny.renderer,
            adapters: &adapters,
            train: &train,
            test: &test,
            system_prompt: None,
        };
        compare(input, &options("tuned", "exact-match"), &mut |_| {}).unwrap().notes
    };
    let note = "adapter `runs/a` was trained on the test file itself: its score says nothing of \
                other rows";
    assert!(notes(&test.sha256).iter().any(|found| found == note));
    assert!(!notes(&train.sha256).iter().any(|found| found == note));
}

#[test]
fn questions_without_answers_are_compared_by_metrics_that_read_none() {
    let tiny = TinyModel::new(256);
    let train = train(&tiny);
    let asking = r#"{"messages": [{"role": "user", "content": "my card"}]}"#;
    let test = tiny.rows("asking.jsonl", &[asking.to_owned()]);
    let input = ComparisonInput {
        model: "tiny",
        decoder: &tiny.decoder,
        renderer: &tiny.renderer,
        adapters: &[],
        train: &train,
        test: &test,
        system_prompt: None,
    };
    for metric in ["valid-json", "regex:^"] {
        assert!(!metric.parse::<Metric>().unwrap().reads_reference());
        let report = compare(input, &options("few-shot", metric), &mut |_| {}).unwrap();
        assert_eq!((report.items, report.answers[0].reference.as_str()), (1, ""));
    }
    assert!(compare(input, &options("few-shot", "chrf"), &mut |_| {}).is_err());
}
