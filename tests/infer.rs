//! `generate`, `evaluate`, `merge` and `compare` with a model and an adapter.

// A test that cannot go on has to panic.
#![allow(clippy::unwrap_used)]

mod program;

use std::sync::OnceLock;

use program::{chat_rows, tiny_model, words, Folder, Run};
use serde_json::{json, Value};

/// An adapter of the tiny model, trained once for all tests, and the rows it was trained on.
fn trained() -> &'static Folder {
    static TRAINED: OnceLock<Folder> = OnceLock::new();
    TRAINED.get_or_init(|| {
        let folder = Folder::new();
        let data = folder.write("train.jsonl", chat_rows(16));
        folder.write("test.jsonl", chat_rows(8));
        let (model, output) = (tiny_model(), folder.name("adapter"));
        let line = ["train", "--model", &model, "--data", &data, "--output", &output];
        let more = [
            "--max-steps",
            "40",
            "--learning-rate",
            "1e-2",
            "--lora-alpha",
            "12",
            "--save-steps",
            "null",
        ];
        words(line.iter().chain(&more)).expect_code(0);
        folder
    })
}

fn evaluate(model: &str, more: &[&str]) -> Value {
    let data = trained().name("test.jsonl");
    let line = ["evaluate", "--model", model, "--data", &data, "--json"];
    words(line.iter().chain(more)).expect_code(0).json()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value}"))
}

#[test]
fn the_items_of_an_evaluation_add_up_to_its_figures() {
    let folder = Folder::new();
    let items = folder.name("items.jsonl");
    let found = evaluate(&tiny_model(), &["--items", &items]);
    let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["nll_per_token", "perplexity", "token_accuracy", "supervised_tokens", "rows"]
    );
    let rows = folder.read_rows("items.jsonl");
    assert_eq!(
        rows.iter().map(|row| &row["line"]).collect::<Vec<_>>(),
        (1..=8).collect::<Vec<_>>()
    );
    let tokens: u64 = rows.iter().map(|row| row["supervised_tokens"].as_u64().unwrap()).sum();
    let nll: f64 = rows.iter().map(|row| number(&row["nll"])).sum();
    assert_eq!(found["supervised_tokens"], tokens);
    assert!((number(&found["nll_per_token"]) - nll / tokens as f64).abs() < 1e-12);
    assert!((number(&found["perplexity"]) - number(&found["nll_per_token"]).exp()).abs() < 1e-9);
}

#[test]
fn a_merged_model_predicts_as_model_and_adapter_do() {
    let folder = Folder::new();
    let (adapter, merged) = (trained().name("adapter"), folder.name("merged"));
    let merge = ["merge", "--model", &tiny_model(), "--adapter", &adapter, "--output", &merged];
    let run = words(merge.iter().chain(&["--json"])).expect_code(0);
    assert_eq!(run.json()["merged_layers"], 14);
    let base = number(&evaluate(&tiny_model(), &[])["nll_per_token"]);
    let tuned = number(&evaluate(&tiny_model(), &["--adapter", &adapter])["nll_per_token"]);
    let folded = number(&evaluate(&merged, &[])["nll_per_token"]);
    assert!(tuned < 0.5 * base, "{tuned} {base}");
    assert!((folded - tuned).abs() <= 1e-5 * tuned, "{folded} {tuned}");
    let again = words(merge).expect_code(2);
    let error = format!("error: `{merged}` has files already, expected an empty or a new folder");
    assert_eq!(again.failure(), [&error, "hint: name another folder, or pass `--overwrite`"]);
    words(merge.iter().chain(&["--overwrite"])).expect_code(0);
}

#[test]
fn generated_rows_are_the_input_rows_with_four_fields_behind() {
    let folder = Folder::new();
    let input = folder
        .write("in.jsonl", chat_rows(3).replace("{\"messages\"", "{\"id\": \"é\", \"messages\""));
    let output = folder.name("out.jsonl");
    let adapter = trained().name("adapter");
    let line = [
        "generate",
        "--model",
        &tiny_model(),
        "--adapter",
        &adapter,
        "--input",
        &input,
        "--output",
        &output,
    ];
    let run = words(line.iter().chain(&["--max-new-tokens", "12", "--json"])).expect_code(0);
    assert_eq!(run.json()["rows"], 3);
    let (given, found) = (folder.read_rows("in.jsonl"), folder.read_rows("out.jsonl"));
    assert_eq!(found.len(), 3);
    for (given, found) in given.iter().zip(&found) {
        let keys: Vec<&String> = found.as_object().unwrap().keys().collect();
        assert_eq!(
            keys,
            ["id", "messages", "completion", "prompt_tokens", "completion_tokens", "finish_reason"]
        );
        assert_eq!((&found["id"], &found["messages"]), (&given["id"], &given["messages"]));
        assert!(found["completion_tokens"].as_u64().unwrap() <= 12);
    }
    assert_eq!(found[0]["completion"], "delivery");
    assert_eq!(found[0]["finish_reason"], "stop");
}

#[test]
fn a_prompt_is_a_user_turn_unless_it_is_raw() {
    let answer = |more: &[&str]| -> Run {
        let model = tiny_model();
        let line = ["generate", "--model", &model, "--prompt", "hi", "--max-new-tokens", "3"];
        words(line.iter().chain(more)).expect_code(0)
    };
    let turn = answer(&["--json"]).json();
    let raw = answer(&["--json", "--raw"]).json();
    assert_eq!(raw["prompt_tokens"], 2);
    assert!(turn["prompt_tokens"].as_u64().unwrap() > 8);
    assert_eq!(turn["finish_reason"], "length");
    let text = answer(&[]).stdout;
    assert_eq!(text, format!("{}\n", turn["completion"].as_str().unwrap()));
}

#[test]
fn a_seed_repeats_what_is_drawn() {
    let draw = |seed: &str| {
        let model = tiny_model();
        let line = [
            "generate",
            "--model",
            &model,
            "--prompt",
            "hi",
            "--temperature",
            "1.5",
            "--seed",
            seed,
        ];
        words(line.iter().chain(&["--max-new-tokens", "20", "--json"])).expect_code(0).json()
            ["completion"]
            .clone()
    };
    assert_eq!(draw("1"), draw("1"));
    assert_ne!(draw("1"), draw("2"));
}

#[test]
fn a_model_with_another_template_than_the_adapter_was_trained_with_is_said() {
    let folder = Folder::new();
    for entry in std::fs::read_dir(tiny_model()).unwrap() {
        let path = entry.unwrap().path();
        folder.write(
            &format!("model/{}", path.file_name().unwrap().to_str().unwrap()),
            std::fs::read(&path).unwrap(),
        );
    }
    folder.write(
        "model/chat_template.jinja",
        "{% for m in messages %}{{ m.content }}<|im_end|>{% endfor %}",
    );
    let line =
        ["generate", "--model", &folder.name("model"), "--adapter", &trained().name("adapter")];
    let run = words(line.iter().chain(&["--prompt", "hi", "--max-new-tokens", "1"])).expect_code(0);
    assert!(run.stderr.contains("was trained with another chat template"), "{}", run.stderr);
}

fn compare(output: &str, more: &[&str]) -> Run {
    let folder = trained();
    let (model, train, test) =
        (tiny_model(), folder.name("train.jsonl"), folder.name("test.jsonl"));
    let line =
        ["compare", "--model", &model, "--train", &train, "--test", &test, "--output", output];
    words(line.iter().chain(more))
}

#[test]
fn a_comparison_leaves_a_report_with_every_arm_on_every_item() {
    let folder = Folder::new();
    let system = folder.write("system.txt", "Name the topic of the message.\n");
    let adapter = trained().name("adapter");
    let arms = "zero-shot,system-prompt,few-shot,tuned,tuned+system-prompt";
    let more = ["--arms", arms, "--adapter", &adapter, "--system-prompt", &system, "--shots", "2"];
    let last = ["--metric", "label-accuracy", "--seed", "3", "--json"];
    let more: Vec<&str> = more.into_iter().chain(last).collect();
    let run = compare(&folder.name("report"), &more).expect_code(0);
    let report: Value = serde_json::from_slice(&folder.read("report/report.json")).unwrap();
    assert_eq!(run.json()["verdict"], report["verdict"]);
    assert_eq!((&report["metric"], &report["items"]), (&json!("label-accuracy"), &json!(8)));
    let names: Vec<&Value> =
        report["arms"].as_array().unwrap().iter().map(|arm| &arm["name"]).collect();
    assert_eq!(names, arms.split(',').collect::<Vec<_>>());
    for arm in report["arms"].as_array().unwrap() {
        for key in ["score", "prompt_tokens_per_item", "seconds_per_item"] {
            assert!(arm[key].is_number(), "{key}: {arm}");
        }
        assert_eq!(arm["ci95"].as_array().unwrap().len(), 2);
    }
    let tuned =
        report["arms"].as_array().unwrap().iter().find(|arm| arm["name"] == "tuned").unwrap();
    assert_eq!(tuned["score"], 1.0);
    for comparison in report["comparisons"].as_array().unwrap() {
        for key in ["a", "b", "difference", "ci95", "test", "p_value", "p_adjusted"] {
            assert!(!comparison[key].is_null(), "{key}: {comparison}");
        }
    }
    for key in ["choice", "why", "items_needed"] {
        assert!(report["verdict"].as_object().unwrap().contains_key(key), "{key}");
    }
    let items = folder.read_rows("report/items.jsonl");
    assert_eq!(items.len(), 5 * 8);
    for key in ["line", "arm", "output", "reference", "score"] {
        assert!(items.iter().all(|item| !item[key].is_null()), "{key}");
    }
    assert!(!folder.read("report/report.md").is_empty());
}

#[test]
fn a_comparison_prints_a_table_and_its_verdict() {
    let folder = Folder::new();
    let more = [
        "--arms",
        "zero-shot,few-shot",
        "--metric",
        "exact-match",
        "--limit",
        "3",
        "--max-new-tokens",
        "4",
    ];
    let run = compare(&folder.name("report"), &more).expect_code(0);
    assert!(run.stdout.contains("zero-shot") && run.stdout.contains("few-shot"), "{}", run.stdout);
    let report: Value = serde_json::from_slice(&folder.read("report/report.json")).unwrap();
    assert_eq!(report["items"], 3);
    assert!(run.stdout.contains(report["verdict"]["why"].as_str().unwrap()), "{}", run.stdout);
}

#[test]
fn an_output_never_replaces_what_is_read() {
    let folder = Folder::new();
    let rows = folder.write("rows.jsonl", chat_rows(2));
    let model = tiny_model();
    let config = format!("{model}/config.json");
    let generate = ["generate", "--model", &model, "--input", &rows, "--output"];
    let evaluate = ["evaluate", "--model", &model, "--data", &rows, "--items"];
    folder.write("beside/file", "");
    let other = folder.name("beside/../rows.jsonl");
    for line in [generate, evaluate] {
        for output in [&rows, &other, &config] {
            let run = words(line.iter().chain(&[output.as_str()])).expect_code(2);
            assert!(run.failure()[0].contains("would replace"), "{}", run.stderr);
        }
    }
    assert_eq!(folder.read("rows.jsonl"), chat_rows(2).into_bytes());
    let run = compare(&model, &["--arms", "zero-shot", "--metric", "bleu"]).expect_code(2);
    assert!(run.failure()[0].contains("a model folder (it holds `config.json`)"), "{}", run.stderr);
    let items = folder.write("report/items.jsonl", chat_rows(2));
    let line = ["--arms", "zero-shot", "--metric", "bleu", "--system-prompt", &items];
    let run = compare(&folder.name("report"), &line).expect_code(2);
    assert!(run.failure()[0].contains("would replace"), "{}", run.stderr);
}

#[test]
fn an_adapter_on_another_base_than_its_own_is_said() {
    let folder = Folder::new();
    let (adapter, merged) = (trained().name("adapter"), folder.name("merged"));
    let warning = "whose weights are not those of";
    let merge = ["merge", "--model", &tiny_model(), "--adapter", &adapter, "--output", &merged];
    let run = words(merge).expect_code(0);
    assert!(!run.stderr.contains(warning), "{}", run.stderr);
    let line = ["generate", "--adapter", &adapter, "--prompt", "hi", "--max-new-tokens", "1"];
    let run = words(line.iter().chain(&["--model", &merged])).expect_code(0);
    assert!(run.stderr.contains(warning), "{}", run.stderr);
    let run = words(line.iter().chain(&["--model", &tiny_model()])).expect_code(0);
    assert!(!run.stderr.contains(warning), "{}", run.stderr);
}

/// The tiny model without a chat template and without the markers of one.
fn model_without_turns(folder: &Folder) -> String {
    for file in ["config.json", "model.safetensors"] {
        let bytes = std::fs::read(format!("{}/{file}", tiny_model())).unwrap();
        folder.write(&format!("plain/{file}"), bytes);
    }
    let tokenizer = std::fs::read_to_string(format!("{}/tokenizer.json", tiny_model())).unwrap();
    folder.write("plain/tokenizer.json", tokenizer.replace("<|im_", "<|other_"));
    folder.name("plain")
}

#[test]
fn a_prompt_to_an_adapter_of_conversations_is_a_user_turn_also_without_a_template() {
    let folder = Folder::new();
    let model = model_without_turns(&folder);
    let train = |name: &str, rows: String| {
        let (data, output) = (folder.write(&format!("{name}.jsonl"), rows), folder.name(name));
        let line = ["train", "--model", &model, "--data", &data, "--output", &output];
        words(line.iter().chain(&["--max-steps", "1"])).expect_code(0);
        output
    };
    let chat = train("chat", chat_rows(4));
    let text = train("text", "{\"text\": \"some words to go on with\"}\n".repeat(4));
    let ask = |adapter: &str, more: &[&str]| {
        let line = ["generate", "--model", &model, "--adapter", adapter, "--prompt", "hi"];
        let line = line.iter().chain(&["--max-new-tokens", "1", "--json"]).chain(more);
        let run = words(line).expect_code(0);
        (run.json()["prompt_tokens"].as_u64().unwrap(), run.stderr.contains("turns are separated"))
    };
    let (tokens, noted) = ask(&chat, &[]);
    assert!(tokens > 8 && noted, "{tokens} {noted}");
    assert_eq!(ask(&chat, &["--raw"]), (2, false));
    assert_eq!(ask(&text, &[]), (2, false));
}

#[test]
fn flags_of_a_comparison_that_no_arm_uses_are_said() {
    let folder = Folder::new();
    let system = folder.write("system.txt", "Name the topic.");
    let adapter = trained().name("adapter");
    let line = ["--arms", "zero-shot,few-shot", "--metric", "exact-match", "--limit", "2"];
    let more = ["--max-new-tokens", "2", "--adapter", &adapter, "--system-prompt", &system];
    let more: Vec<&str> = line.into_iter().chain(more).collect();
    let run = compare(&folder.name("report"), &more).expect_code(0);
    for flag in ["--adapter", "--system-prompt"] {
        assert!(run.stderr.contains(&format!("`{flag}` has no effect")), "{}", run.stderr);
    }
}

#[test]
fn an_arm_or_metric_that_is_not_there_exits_2() {
    let folder = Folder::new();
    let report = folder.name("report");
    let run = compare(&report, &["--arms", "few", "--metric", "bleu"]).expect_code(2);
    assert!(
        run.failure()[0].starts_with("error: unknown arm `few`, expected one of "),
        "{}",
        run.stderr
    );
    assert_eq!(run.failure()[1], "hint: did you mean `few-shot`?");
    let run = compare(&report, &["--arms", "tuned", "--metric", "bleu"]).expect_code(2);
    assert_eq!(
        run.failure(),
        ["error: arm `tuned` needs an adapter, found none", "hint: pass `--adapter DIR`"]
    );
    let run = compare(&report, &["--arms", "zero-shot", "--metric", "blue"]).expect_code(2);
    assert!(run.failure()[0].contains("`blue`"), "{}", run.stderr);
    assert_eq!(run.failure()[1], "hint: did you mean `bleu`?");
    let run = compare(&report, &["--arms", "zero-shot", "--metric", "regex:"]).expect_code(2);
    assert!(run.failure()[0].contains("without a pattern"), "{}", run.stderr);
    assert!(!folder.path("report").exists());
}
