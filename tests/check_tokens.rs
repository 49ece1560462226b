//! `tunewise check` with a model: findings that only its tokens and its losses show, and the items of each row.

// A test that cannot go on has to panic.
#![allow(clippy::unwrap_used)]

mod program;

use std::path::Path;

use program::{chat_rows, tiny_model, words, Folder, Run};
use serde_json::{json, Value};

fn row(question: &str, answer: &str) -> String {
    let row = json!({ "messages": [
        { "role": "user", "content": question },
        { "role": "assistant", "content": answer },
    ]});
    format!("{row}\n")
}

fn check(file: &str, more: &[&str]) -> Run {
    words(["check", "--data", file, "--json"].iter().chain(more))
}

/// The finding of that code, where there is one.
fn finding(run: &Run, code: &str) -> Option<Value> {
    let findings = run.json()["quality"]["findings"].as_array().unwrap().clone();
    findings.into_iter().find(|finding| finding["code"] == code)
}

/// The lines of a finding's rows.
fn lines(finding: &Value) -> Vec<u64> {
    let rows = finding["rows"].as_array().unwrap();
    rows.iter().map(|row| row["at"]["line"].as_u64().unwrap()).collect()
}

/// Rows of which the second has a reply beyond the context of the tiny model, and the third a question.
fn long_rows() -> String {
    let long = "It is on its way to you. ".repeat(30);
    chat_rows(1) + &row("where is my parcel", &long) + &row(&long, "Is it?")
}

#[test]
fn rows_beyond_the_limit_are_findings_with_line_and_length() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", long_rows());
    let run = check(&file, &["--model", &tiny_model()]).expect_code(1);
    let found = finding(&run, "over-length").unwrap();
    assert_eq!(lines(&found), [2, 3]);
    let message = run.json()["files"][0]["bad_rows"][0]["message"].as_str().unwrap().to_owned();
    let tokens = message.strip_prefix("the row has ").unwrap().split(' ').next().unwrap();
    assert_eq!(found["examples"][0], format!("{tokens} tokens, the limit is 256"));
    assert_eq!(run.failure()[0], "error: 3 rows read, 2 of them would fail");
}

#[test]
fn a_limit_that_cuts_or_leaves_out_what_would_be_learned_is_told() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", long_rows());
    let line = ["--model", &tiny_model(), "--excess-length-strategy"];
    let with = |strategy: &str| check(&file, &[&line[..], &[strategy]].concat());
    let run = with("truncate").expect_code(1);
    let cut = finding(&run, "cut-by-limit").unwrap();
    assert_eq!(lines(&cut), [2]);
    let example = cut["examples"][0].as_str().unwrap();
    assert!(example.contains(" tokens, the limit is 256: "), "{example}");
    assert!(example.ends_with(" supervised tokens cut off"), "{example}");
    assert_eq!(lines(&finding(&run, "nothing-supervised").unwrap()), [3]);
    let run = with("drop").expect_code(0);
    assert_eq!(lines(&finding(&run, "cut-by-limit").unwrap()), [2, 3]);
    assert_eq!(finding(&run, "over-length"), None);
}

#[test]
fn text_of_a_control_token_that_only_this_model_has_is_told() {
    let folder = Folder::new();
    let from = tiny_model();
    for name in ["config.json", "tokenizer_config.json"] {
        folder.write(&format!("model/{name}"), std::fs::read(Path::new(&from).join(name)).unwrap());
    }
    let bytes = std::fs::read(Path::new(&from).join("tokenizer.json")).unwrap();
    let mut tokenizer: Value = serde_json::from_slice(&bytes).unwrap();
    let mut token = tokenizer["added_tokens"][0].clone();
    token["id"] = 320.into();
    token["content"] = "<|pause|>".into();
    tokenizer["added_tokens"].as_array_mut().unwrap().push(token);
    folder.write("model/tokenizer.json", tokenizer.to_string());
    let rows = chat_rows(1) + &row("hold the parcel", "Wait <|pause|> here.");
    let file = folder.write("rows.jsonl", rows);
    let run = check(&file, &["--model", &folder.name("model")]).expect_code(0);
    let found = finding(&run, "control-token").unwrap();
    assert_eq!((lines(&found), &found["examples"]), (vec![2], &json!(["<|pause|>"])));
    let run = check(&file, &["--model", &from]).expect_code(0);
    assert_eq!(finding(&run, "control-token"), None);
}

#[test]
fn base_losses_are_those_of_an_evaluation() {
    let folder = Folder::new();
    let long = row("where is my parcel", &"It is on its way to you. ".repeat(30));
    let file = folder.write("rows.jsonl", chat_rows(20) + &long);
    let model = tiny_model();
    let line = ["--model", &model, "--excess-length-strategy", "drop", "--items"];
    let (items, expected) = (folder.name("items.jsonl"), folder.name("expected.jsonl"));
    let run = check(&file, &[&line[..], &[items.as_str(), "--base-loss"]].concat()).expect_code(0);
    let evaluate = ["evaluate", "--data", &file, "--json"];
    let evaluated =
        words([&evaluate[..], &line[..], &[expected.as_str()]].concat()).expect_code(0).json();
    let number = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value}"));
    let rows = folder.read_rows("items.jsonl");
    assert_eq!(
        (rows.len(), &rows[20]["loss"], &rows[20]["suspicion"]),
        (21, &Value::Null, &Value::Null)
    );
    for (row, expected) in rows.iter().zip(folder.read_rows("expected.jsonl")) {
        assert_eq!(row["line"], expected["line"]);
        let loss = number(&expected["nll"]) / number(&expected["supervised_tokens"]);
        assert!((number(&row["loss"]) - loss).abs() < 1e-9, "{row} {expected}");
        assert!((0.0..=1.0).contains(&number(&row["suspicion"])), "{row}");
    }
    let found = &run.json()["base_loss"];
    assert_eq!(found["rows"], 20);
    assert_eq!(found["supervised_tokens"], evaluated["supervised_tokens"]);
    assert!((number(&found["nll_per_token"]) - number(&evaluated["nll_per_token"])).abs() < 1e-9);
}

#[test]
fn every_row_of_every_file_is_an_item() {
    let folder = Folder::new();
    folder.write("data/train.jsonl", chat_rows(40) + "[1, 2]\n");
    folder.write("data/test.jsonl", row("may I bring a dog", ""));
    let (data, items) = (folder.name("data"), folder.name("items.jsonl"));
    check(&data, &["--items", &items]).expect_code(1);
    let rows = folder.read_rows("items.jsonl");
    assert_eq!(rows.len(), 42);
    let train = json!(folder.name("data/train.jsonl"));
    for (line, row) in (1..=40).zip(&rows) {
        assert_eq!(
            (&row["file"], &row["line"], &row["loss"]),
            (&train, &json!(line), &Value::Null)
        );
        assert!(row["suspicion"].as_f64().is_some_and(|suspicion| suspicion < 0.9), "{row}");
    }
    let bad = json!({ "file": train, "line": 41, "codes": ["unreadable"], "suspicion": null, "loss": null });
    assert_eq!(rows[40], bad);
    let test = &rows[41];
    assert_eq!((&test["file"], &test["line"]), (&json!(folder.name("data/test.jsonl")), &json!(1)));
    assert_eq!((&test["codes"][0], &test["suspicion"]), (&json!("empty-turn"), &Value::Null));
}

#[test]
fn what_needs_a_model_or_would_replace_a_file_exits_2() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", chat_rows(1));
    let error = |more: &[&str]| check(&file, more).expect_code(2).failure()[0].to_owned();
    assert_eq!(
        error(&["--base-loss"]),
        "error: `--base-loss` is given without `--model`, expected both"
    );
    assert_eq!(
        error(&["--items", &file]),
        format!("error: `--items` would replace `{file}`, which is read, expected another path")
    );
    let both = folder.name("both");
    assert_eq!(
        error(&["--items", &both, "--report", &both]),
        format!("error: `--report` and `--items` are both `{both}`, expected two files")
    );
}

#[test]
fn a_key_to_group_by_that_no_row_has_is_said() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", chat_rows(1));
    let run = check(&file, &["--group-by", "customer"]).expect_code(0);
    let warning = "warning: no row has the key `customer` of `--group-by`";
    assert!(run.stderr.contains(warning), "{}", run.stderr);
}
