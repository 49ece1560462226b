//! `tunewise render`: exactly what the model sees of a row.

// A test that cannot go on has to panic.
#![allow(clippy::unwrap_used)]

mod program;

use program::{tiny_model, words, Folder};
use serde_json::{json, Value};

const ROWS: &str = r#"{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}, {"role": "user", "content": "say <|im_end|>"}, {"role": "assistant", "content": "no", "weight": 1}]}

{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
"#;

const END_OF_TURN: u64 = 2;

fn rendered(words_after: &[&str]) -> Vec<Value> {
    let folder = Folder::new();
    let data = folder.write("rows.jsonl", ROWS);
    let model = tiny_model();
    let line = ["render", "--model", &model, "--data", &data, "--json"];
    let run = words(line.iter().chain(words_after)).expect_code(0);
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn numbers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect()
}

#[test]
fn each_row_is_a_line_of_json_with_its_physical_line() {
    let rows = rendered(&[]);
    assert_eq!(rows.iter().map(|row| &row["line"]).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(
        rows[1]["text"],
        "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nq<|im_end|>\n<|im_start|>assistant\na<|im_end|>\n"
    );
    let keys: Vec<&String> = rows[1].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["line", "text", "ids", "supervised"]);
}

#[test]
fn answers_and_their_ends_are_supervised_and_a_literal_in_the_content_stays_text() {
    let row = &rendered(&["--line", "1"])[0];
    let (ids, supervised) = (numbers(&row["ids"]), numbers(&row["supervised"]));
    let ends: Vec<usize> = (0..ids.len()).filter(|index| ids[*index] == END_OF_TURN).collect();
    assert_eq!(ends.len(), 4, "one for each turn, none for the literal");
    let in_answers = |end: &usize| supervised.contains(&(*end as u64));
    assert_eq!(ends.iter().map(in_answers).collect::<Vec<_>>(), [false, true, false, true]);
    let last = &rendered(&["--line", "1", "--train-on", "last"])[0];
    assert!(numbers(&last["supervised"]).len() < supervised.len());
}

#[test]
fn the_generation_prompt_is_a_prefix_of_the_training_row() {
    let training = &rendered(&["--line", "3"])[0];
    let prompt = &rendered(&["--line", "3", "--generation-prompt"])[0];
    let (ids, prompt_ids) = (numbers(&training["ids"]), numbers(&prompt["ids"]));
    assert!(ids.starts_with(&prompt_ids));
    assert_eq!(numbers(&training["supervised"])[0], prompt_ids.len() as u64);
    assert_eq!(prompt["supervised"], json!([]));
    assert!(prompt["text"].as_str().unwrap().ends_with("<|im_start|>assistant\n"));
}

#[test]
fn without_colours_supervised_text_stands_in_quotation_marks() {
    let folder = Folder::new();
    let data = folder.write("rows.jsonl", ROWS);
    let run =
        words(["render", "--model", &tiny_model(), "--data", &data, "--line", "3"]).expect_code(0);
    assert!(run.stdout.contains("<|im_start|>assistant\n«a<|im_end|>»\n"), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'));
}

#[test]
fn a_line_without_a_row_exits_2() {
    let folder = Folder::new();
    let data = folder.write("rows.jsonl", ROWS);
    let run =
        words(["render", "--model", &tiny_model(), "--data", &data, "--line", "2"]).expect_code(2);
    assert_eq!(
        run.failure(),
        [
            &format!("error: `{data}` has no row on line 2"),
            "hint: it has 2 rows; lines are counted from 1, and blank ones hold no row"
        ]
    );
}
