//! What the program says about command lines and files that it cannot work with.

// A test that cannot go on has to panic.
#![allow(clippy::unwrap_used)]

mod program;

use program::{chat_rows, tiny_model, tunewise, words, Folder};
use serde_json::json;

#[test]
fn a_wrong_command_line_exits_2_and_says_what_is_wrong() {
    for (line, error, hint) in [
        (
            "chekc --data x",
            "error: unknown command `chekc`",
            "hint: did you mean `check`? `tunewise --help` shows the commands",
        ),
        (
            "check",
            "error: `--data <FILE|DIR>` is not given",
            "hint: `tunewise check --help` shows the flags",
        ),
        (
            "train --learning-rat 1",
            "error: unknown flag `--learning-rat`",
            "hint: did you mean `--learning-rate`? `tunewise train --help` shows the flags",
        ),
        (
            "train --load-in-4bit",
            "error: `load_in_4bit` is recognised but not built yet",
            "hint: use `dtype: bf16` to halve the base's memory",
        ),
        (
            "evaluate --model m --data d --dtype f64",
            "error: `--dtype` is `f64`, expected `auto`, `f32`, `bf16`",
            "hint: `tunewise evaluate --help` shows the flags",
        ),
        (
            "render --model m --data d --line 0",
            "error: `--line` is `0`, expected a whole number of at least 1",
            "hint: `tunewise render --help` shows the flags",
        ),
        (
            "generate --model m --prompt a --max-new-tokens -1",
            "error: `--max-new-tokens` is `-1`, expected a whole number of at least 1",
            "hint: `tunewise generate --help` shows the flags",
        ),
        (
            "compare --model m --seed -1",
            "error: `--seed` is `-1`, expected a whole number of at least 0",
            "hint: `tunewise compare --help` shows the flags",
        ),
        (
            "evaluate --model m --data d --threads 100000",
            "error: `--threads` is `100000`, expected a whole number from 1 to 1024",
            "hint: `tunewise evaluate --help` shows the flags",
        ),
        (
            "generate --model m --prompt a --input b --output c",
            "error: `--prompt <TEXT>` and `--input <FILE>`, `--output <FILE>` exclude each other",
            "hint: `tunewise generate --help` shows the flags",
        ),
        (
            "generate --model m --prompt a --output c",
            "error: `--prompt <TEXT>` and `--output <FILE>` exclude each other",
            "hint: `tunewise generate --help` shows the flags",
        ),
        (
            "generate --model m",
            "error: neither `--prompt` nor `--input` is given, expected one of them",
            "hint: `tunewise generate --help` shows examples",
        ),
        (
            "check --data x stray",
            "error: `stray` is not expected here",
            "hint: `tunewise check --help` shows the flags",
        ),
    ] {
        let run = tunewise(line).expect_code(2);
        assert_eq!(run.failure(), [error, hint], "{line}");
        assert_eq!(run.stdout, "", "{line}");
    }
}

#[test]
fn a_recipe_value_out_of_range_exits_2() {
    for (line, error) in [
        ("train --r 0", "error: `r` is 0, expected at least 1"),
        ("train --use-dora", "error: `use_dora: true` is recognised but not built yet"),
        ("train --device cuda", "error: `device: cuda` is recognised but not built yet"),
        ("train --threads 0", "error: `threads` is 0, expected at least 1"),
    ] {
        let run = tunewise(line).expect_code(2);
        assert_eq!(run.failure()[0], error, "{line}");
    }
    let run = tunewise("train --r four").expect_code(2);
    assert_eq!(run.failure()[0], "error: `r` is `four`, expected a whole number of at least 1");
    let run = tunewise("train").expect_code(2);
    assert_eq!(
        run.failure()[0],
        "error: `--model` (recipe key `model_name_or_path`) is not set, expected a model folder"
    );
}

#[test]
fn a_recipe_file_is_told_with_its_line() {
    let folder = Folder::new();
    let recipe = folder.write("recipe.yaml", "r: 4\nlearning_rat: 1\n");
    let run = words(["train", "--config", &recipe]).expect_code(2);
    let error = format!("error: `{recipe}:2`: unknown recipe key `learning_rat`");
    assert_eq!(run.failure(), [error.as_str(), "hint: did you mean `learning_rate`?"]);
}

#[test]
fn a_failure_with_json_is_an_object_on_standard_output() {
    let run = tunewise("train --r 0 --json").expect_code(2);
    let hint = "ranks of 8 to 64 are common; 8 is the default";
    assert_eq!(run.json(), json!({ "error": "`r` is 0, expected at least 1", "hint": hint }));
    let run = tunewise("chekc --json").expect_code(2);
    assert_eq!(run.json()["error"], "unknown command `chekc`");
}

#[test]
fn a_model_that_is_not_there_exits_2() {
    let folder = Folder::new();
    let data = folder.write("rows.jsonl", chat_rows(1));
    let run = words(["evaluate", "--model", "org/name", "--data", &data]).expect_code(2);
    assert_eq!(
        run.failure(),
        [
            "error: `org/name` does not exist, expected a model folder",
            "hint: a hub id is not fetched yet: download the model and name its folder"
        ]
    );
    let run =
        words(["train", "--model", "org/name", "--data", &data, "--output", &folder.name("run")]);
    assert_eq!(
        run.expect_code(2).failure()[0],
        "error: `org/name` does not exist, expected a model folder"
    );
}

#[test]
fn a_folder_that_is_no_model_exits_2() {
    let folder = Folder::new();
    let data = folder.write("data/train.jsonl", chat_rows(1));
    let model = folder.name("data");
    let expected = "expected `config.json`, `tokenizer.json` and `model.safetensors` in it";
    for line in [["check", "--data", &data], ["evaluate", "--data", &data]] {
        let run = words(line.into_iter().chain(["--model", &model])).expect_code(2);
        let error = format!("error: `{model}` is not a model folder, {expected}");
        assert_eq!(run.failure()[0], error);
    }
    folder.write("run/adapter_config.json", "{}");
    let run = words(["evaluate", "--data", &data, "--model", &folder.name("run")]).expect_code(2);
    let hint = "hint: it is an adapter: pass it as `--adapter`, and its base model as `--model`";
    assert_eq!(run.failure()[1], hint);
}

#[test]
fn an_output_that_cannot_be_written_exits_2_before_anything_is_read() {
    let folder = Folder::new();
    let missing = folder.name("nowhere/out.jsonl");
    let line = ["generate", "--model", "m", "--input", "i", "--output"];
    for output in [".", "", &missing] {
        let run = words(line.iter().chain(&[output])).expect_code(2);
        assert!(run.failure()[0].starts_with("error: `--output` "), "{output}: {}", run.stderr);
    }
}

#[test]
fn a_device_that_this_build_lacks_exits_2() {
    let run = words(["evaluate", "--model", &tiny_model(), "--data", "x", "--device", "metal"])
        .expect_code(2);
    assert_eq!(
        run.failure(),
        ["error: `--device` is `metal`, which this build does not have", "hint: use `cpu`"]
    );
}

#[test]
fn help_and_version_exit_0_and_no_command_exits_2() {
    let version = tunewise("--version").expect_code(0);
    assert_eq!(version.stdout, concat!("tunewise ", env!("CARGO_PKG_VERSION"), "\n"));
    for command in [
        "check", "prepare", "train", "render", "generate", "evaluate", "compare", "merge",
        "recipe", "doctor",
    ] {
        let help = words([command, "--help"]).expect_code(0);
        assert!(help.stdout.contains("Examples:\n  tunewise "), "{command}");
        assert!(tunewise("--help").stdout.contains(&format!("\n  {command} ")), "{command}");
    }
    tunewise("").expect_code(2);
}

#[test]
fn the_metrics_are_in_the_help() {
    let help = tunewise("compare --help").expect_code(0).stdout;
    for metric in [
        "exact-match",
        "label-accuracy",
        "macro-f1",
        "rouge-l",
        "chrf",
        "bleu",
        "valid-json",
        "regex:PATTERN",
    ] {
        assert!(help.contains(&format!("\n  {metric} ")), "{metric}");
    }
}

#[test]
fn the_recipe_that_is_printed_can_be_read() {
    let folder = Folder::new();
    let recipe = folder.write("recipe.yaml", tunewise("recipe").expect_code(0).stdout);
    let run = words(["train", "--config", &recipe]).expect_code(2);
    assert_eq!(
        run.failure()[0],
        "error: `--model` (recipe key `model_name_or_path`) is not set, expected a model folder"
    );
    let schema = tunewise("recipe --schema --json").expect_code(0).json();
    assert_eq!(schema["properties"]["r"]["default"], 8);
}

#[test]
fn doctor_tells_the_machine() {
    let found = tunewise("doctor --json").expect_code(0).json();
    assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(found["device"], "cpu");
    assert!(found["processor"]["cores"].as_u64().unwrap() >= 1);
    assert_eq!(found["caches"][0]["variable"], "HF_HOME");
}
