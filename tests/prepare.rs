//! `tunewise prepare`: every row in one split or accounted for, what belongs together on one side.

// A test that cannot go on has to panic.
#![allow(clippy::unwrap_used)]

#[path = "prepare/input.rs"]
mod input;
mod program;

use std::collections::{BTreeMap, BTreeSet};

use program::{words, Folder, Run};
use serde_json::{json, Value};

const THINGS: [&str; 13] = [
    "parcel", "invoice", "jacket", "password", "voucher", "kettle", "contract", "bicycle",
    "mattress", "passport", "umbrella", "charger", "lantern",
];
const VERBS: [&str; 11] = [
    "cancel", "mend", "exchange", "collect", "insure", "return", "track", "upgrade", "measure",
    "borrow", "polish",
];
const PLACES: [&str; 7] = ["Lyon", "Oslo", "Madrid", "Tokyo", "Quito", "Cairo", "Perth"];
const LABELS: [&str; 3] = ["billing", "delivery", "returns"];

/// Questions below number 77 share one word at most.
fn question(number: usize) -> String {
    format!("{} my {} near {}?", VERBS[number % 11], THINGS[number % 13], PLACES[number % 7])
}

fn row(question: &str, answer: &str) -> Value {
    json!({ "messages": [
        { "role": "user", "content": question },
        { "role": "assistant", "content": answer },
    ]})
}

/// Rows that share no question, each label as often as the others.
fn labelled(count: usize) -> Vec<Value> {
    (0..count).map(|number| row(&question(number), LABELS[number % 3])).collect()
}

fn jsonl(rows: &[Value]) -> String {
    rows.iter().map(|row| format!("{row}\n")).collect()
}

/// Prepares a file of that folder into its folder `out`.
fn prepare(folder: &Folder, file: &str, more: &[&str]) -> Run {
    let (data, output) = (folder.name(file), folder.name("out"));
    words(["prepare", "--json", "--data", &data, "--output", &output].iter().chain(more))
}

/// The split of each row of the ledger; empty for one that is left out.
fn splits(folder: &Folder) -> Vec<String> {
    let to = |row: &Value| row["to"].as_str().unwrap_or("").to_owned();
    folder.read_rows("out/ledger.jsonl").iter().map(to).collect()
}

#[test]
fn the_ledger_accounts_for_every_row_and_names_its_line() {
    let folder = Folder::new();
    let mut rows = labelled(30);
    rows.insert(9, row(&question(2).to_uppercase(), LABELS[2]));
    let text = jsonl(&rows[..5]) + "\n{\"messages\": [\n" + &jsonl(&rows[5..]);
    let file = folder.write("rows.jsonl", text);
    let run = prepare(&folder, "rows.jsonl", &["--on-bad-row", "skip"]).expect_code(0);
    let ledger = folder.read_rows("out/ledger.jsonl");
    assert_eq!(ledger.len(), 32);
    let lines: Vec<u64> = ledger.iter().map(|row| row["line"].as_u64().unwrap()).collect();
    let expected: Vec<u64> = (1..=5).chain(7..=33).collect();
    assert_eq!(lines, expected);
    assert_eq!(
        ledger[5],
        json!({
            "file": file, "line": 7, "kept": false, "reason": "unreadable",
            "detail": "invalid JSON at column 14: EOF while parsing a list",
        })
    );
    assert_eq!(
        ledger[10],
        json!({
            "file": file, "line": 12, "kept": false, "reason": "duplicate",
            "detail": "the same question and answer", "like": { "file": file, "line": 3 },
        })
    );
    let good: Vec<&Value> = ledger.iter().filter(|row| row["reason"] != "unreadable").collect();
    for (told, row) in good.iter().zip(&rows).filter(|(told, _)| told["kept"] == true) {
        let split = folder.read_rows(&format!("out/{}", told["to"].as_str().unwrap()));
        assert_eq!(&split[told["at"].as_u64().unwrap() as usize - 1], row);
    }
    let summary = run.json();
    assert_eq!((&summary["rows"], &summary["kept"]), (&32.into(), &30.into()));
    assert_eq!(summary["left_out"], json!({ "duplicate": 1, "unreadable": 1 }));
    assert_eq!(summary["leak"], Value::Null);
    words(["check", "--data", &folder.name("out")]).expect_code(0);
}

#[test]
fn a_bad_row_stops_the_work_unless_such_rows_are_skipped() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", jsonl(&labelled(3)) + "{\"messages\": []}\n");
    let run = prepare(&folder, "rows.jsonl", &[]).expect_code(2);
    let error = format!("error: `{file}:4`: `messages` is empty, expected at least one message");
    let hint = "hint: drop the row; or pass `--on-bad-row skip` to leave such rows out and tell them in `ledger.jsonl`";
    assert_eq!(run.failure(), [error.as_str(), hint]);
    assert!(!folder.path("out").exists());
    prepare(&folder, "rows.jsonl", &["--on-bad-row", "skip"]).expect_code(0);
    assert_eq!(folder.read_rows("out/ledger.jsonl")[3]["reason"], "empty-turn");
}

#[test]
fn one_seed_gives_the_same_bytes_and_another_seed_another_split() {
    let folder = Folder::new();
    folder.write("rows.jsonl", jsonl(&labelled(60)));
    let line = ["--split", "0.6/0.2/0.2", "--seed"];
    let bytes = |seed: &str| {
        let line: Vec<&str> = line.iter().copied().chain([seed]).collect();
        // The second run writes over what the first wrote.
        prepare(&folder, "rows.jsonl", &line).expect_code(0);
        ["train", "valid", "test", "ledger"].map(|name| folder.read(&format!("out/{name}.jsonl")))
    };
    let first = bytes("1");
    assert!(first == bytes("1"));
    assert!(first != bytes("2"));
}

#[test]
fn near_duplicates_are_left_out_or_kept_on_one_side() {
    let folder = Folder::new();
    let pair = |number: usize| {
        let asked = question(number);
        [row(&asked, "yes"), row(&asked.replace('?', "s?"), "yes")]
    };
    let rows: Vec<Value> = (0..20).flat_map(pair).collect();
    folder.write("rows.jsonl", jsonl(&rows));
    let run = prepare(&folder, "rows.jsonl", &[]).expect_code(0);
    assert_eq!(run.json()["left_out"], json!({ "near-duplicate": 20 }));
    let told = &folder.read_rows("out/ledger.jsonl")[1];
    assert_eq!((&told["reason"], &told["like"]["line"]), (&"near-duplicate".into(), &1.into()));
    let line = ["--dedupe", "none", "--split", "0.6/0.2/0.2"];
    let run = prepare(&folder, "rows.jsonl", &line).expect_code(0);
    assert_eq!((&run.json()["kept"], &run.json()["largest_group"]), (&40.into(), &2.into()));
    let splits = splits(&folder);
    assert!(splits.chunks(2).all(|pair| pair[0] == pair[1]), "{splits:?}");
    assert_eq!(splits.iter().collect::<BTreeSet<_>>().len(), 3);
}

#[test]
fn rows_of_a_group_are_in_one_split_and_keep_their_key() {
    let folder = Folder::new();
    let mut rows = labelled(60);
    for (number, row) in rows.iter_mut().enumerate() {
        row["user"] = json!(number / 4);
    }
    folder.write("rows.jsonl", jsonl(&rows));
    let line = ["--group-by", "user", "--split", "0.6/0.2/0.2"];
    let run = prepare(&folder, "rows.jsonl", &line).expect_code(0);
    assert_eq!((&run.json()["groups"], &run.json()["largest_group"]), (&15.into(), &4.into()));
    let splits = splits(&folder);
    assert!(splits.chunks(4).all(|user| user.iter().all(|split| *split == user[0])), "{splits:?}");
    assert_eq!(splits.iter().filter(|split| *split == "train.jsonl").count(), 36);
    let first = &folder.read_rows("out/train.jsonl")[0];
    assert_eq!(first.as_object().unwrap().keys().collect::<Vec<_>>(), ["messages", "user"]);
    let run = prepare(&folder, "rows.jsonl", &["--group-by", "usr"]).expect_code(2);
    assert_eq!(
        run.failure()[0],
        "error: no row has the key `usr` to group by, expected one of `messages`, `user`"
    );
}

#[test]
fn a_wrong_key_to_group_by_is_told_beside_the_keys_of_the_rows_as_they_are() {
    let folder = Folder::new();
    let text = "{\"prompt\": \"Where?\", \"completion\": \"Here.\", \"user\": 1}\n";
    folder.write("rows.jsonl", text);
    let run = prepare(&folder, "rows.jsonl", &["--group-by", "usr"]).expect_code(2);
    let error = "error: no row has the key `usr` to group by, expected one of `prompt`, `completion`, `user`";
    assert_eq!(run.failure()[0], error);
}

#[test]
fn rows_on_their_own_are_no_groups() {
    let folder = Folder::new();
    let mut rows = labelled(10);
    rows.push(row(&question(0), LABELS[1]));
    let file = folder.write("rows.jsonl", jsonl(&rows));
    let run = words(["prepare", "--data", &file, "--output", &folder.name("out")]).expect_code(0);
    let told = "\n1 group of two or more rows kept together, the largest of 2 rows\n";
    assert!(run.stdout.contains(told), "{}", run.stdout);
    let summary = prepare(&folder, "rows.jsonl", &[]).expect_code(0).json();
    assert_eq!((&summary["groups"], &summary["largest_group"]), (&1.into(), &2.into()));
}

#[test]
fn each_label_is_split_in_the_same_shares() {
    let folder = Folder::new();
    folder.write("rows.jsonl", jsonl(&labelled(60)));
    let summary = prepare(&folder, "rows.jsonl", &["--split", "0.8/0.1/0.1"]).expect_code(0).json();
    assert_eq!(summary["stratified"], true);
    for (split, rows) in [(0_usize, 16), (1, 2), (2, 2)] {
        let labels: BTreeMap<&str, i32> = LABELS.map(|label| (label, rows)).into();
        assert_eq!(summary["splits"][split]["labels"], json!(labels));
    }
    // Of ten rows of a label, half a row each is for validation and test.
    folder.write("few.jsonl", jsonl(&labelled(30)));
    let summary = prepare(&folder, "few.jsonl", &[]).expect_code(0).json();
    for label in LABELS {
        assert_eq!(summary["splits"][0]["labels"][label], 9, "{summary}");
    }
    let rows = |split: usize| summary["splits"][split]["rows"].as_u64().unwrap();
    assert_eq!((rows(0), rows(1) + rows(2)), (27, 3));
}

#[test]
fn numbers_of_rows_are_met_and_the_rest_is_accounted_for() {
    let folder = Folder::new();
    folder.write("rows.jsonl", jsonl(&labelled(60)));
    let summary = prepare(&folder, "rows.jsonl", &["--split", "30/9/6"]).expect_code(0).json();
    let rows: Vec<&Value> = (0..3_usize).map(|split| &summary["splits"][split]["rows"]).collect();
    assert_eq!(rows, [30, 9, 6]);
    assert_eq!(summary["left_out"], json!({ "beyond-split": 15 }));
    let line = ["--max-rows", "20", "--split", "1/0/0"];
    let summary = prepare(&folder, "rows.jsonl", &line).expect_code(0).json();
    assert_eq!(summary["left_out"], json!({ "beyond-max-rows": 40 }));
    assert_eq!(folder.read_rows("out/train.jsonl").len(), 20);
    assert!(!folder.path("out/valid.jsonl").exists(), "a split of the earlier run is left");
}

#[test]
fn the_same_secret_has_the_same_placeholder_in_every_row() {
    let folder = Folder::new();
    let rows = [
        row("Write to jane.doe@mail.com, please", "I wrote to jane.doe@mail.com"),
        row("What is the price of a kettle?", "twelve"),
        row("Is bob@mail.com in your list?", "No, but Jane.Doe@mail.com is."),
    ];
    folder.write("rows.jsonl", jsonl(&rows));
    let run = prepare(&folder, "rows.jsonl", &["--redact", "--split", "1/0/0"]).expect_code(0);
    let expected = [
        row("Write to [EMAIL_1], please", "I wrote to [EMAIL_1]"),
        rows[1].clone(),
        row("Is [EMAIL_2] in your list?", "No, but [EMAIL_1] is."),
    ];
    assert_eq!(folder.read_rows("out/train.jsonl"), expected);
    let ledger = folder.read_rows("out/ledger.jsonl");
    assert_eq!(ledger[0]["redacted"], json!(["email"]));
    assert_eq!(ledger[1].get("redacted"), None);
    assert_eq!(run.json()["redacted"], json!({ "email": 2 }));
}

#[test]
fn a_row_that_is_none_once_it_is_redacted_is_a_bad_row() {
    let folder = Folder::new();
    let calls = json!([{ "function": { "name": "send" } }]);
    let asked =
        json!({ "from": "human", "value": "Write to jane.doe@mail.com", "tool_calls": calls });
    let rows = [
        json!({ "conversations": [
            { "from": "human", "value": "Where is it?" }, { "from": "gpt", "value": "Here." },
        ]}),
        json!({ "conversations": [asked, { "from": "gpt", "value": "Done." }] }),
    ];
    let file = folder.write("rows.jsonl", jsonl(&rows));
    let line = ["--redact", "--split", "1/0/0"];
    let run = prepare(&folder, "rows.jsonl", &line).expect_code(2);
    let problem = "`messages[0].tool_calls` belongs to role `user`, expected `assistant`";
    assert_eq!(run.failure()[0], format!("error: `{file}:2`: {problem}"));
    let line = [&line[..], &["--on-bad-row", "skip"]].concat();
    let run = prepare(&folder, "rows.jsonl", &line).expect_code(0);
    assert_eq!(run.json()["left_out"], json!({ "role-order": 1 }));
    assert_eq!(folder.read_rows("out/train.jsonl"), [row("Where is it?", "Here.")]);
    let told = &folder.read_rows("out/ledger.jsonl")[1];
    assert_eq!((&told["reason"], &told["detail"]), (&"role-order".into(), &problem.into()));
}

#[test]
fn rows_with_a_finding_are_left_out_by_its_code() {
    let folder = Folder::new();
    let mut rows = labelled(40);
    rows[3] = row("Write to jane.doe@mail.com, please", LABELS[0]);
    rows[8] = row(&question(7), LABELS[2]);
    folder.write("rows.jsonl", jsonl(&rows));
    let line = ["--drop", "personal-data,contradiction"];
    let summary = prepare(&folder, "rows.jsonl", &line).expect_code(0).json();
    assert_eq!(summary["left_out"], json!({ "contradiction": 2, "personal-data": 1 }));
    let ledger = folder.read_rows("out/ledger.jsonl");
    assert_eq!(ledger[3]["detail"], "e-mail address: jane…");
    assert_eq!((&ledger[7]["like"]["line"], &ledger[8]["like"]["line"]), (&9.into(), &8.into()));
}

#[test]
fn texts_stay_texts_and_do_not_stand_beside_chats() {
    let folder = Folder::new();
    let text = |number: usize| json!({ "text": question(number), "id": number });
    let rows: Vec<Value> = (0..5).map(text).collect();
    let texts = folder.write("texts.jsonl", jsonl(&rows));
    prepare(&folder, "texts.jsonl", &["--split", "1/0/0"]).expect_code(0);
    assert_eq!(folder.read_rows("out/train.jsonl"), rows);
    let chats = folder.write("chats.jsonl", jsonl(&labelled(3)));
    let output = folder.name("both");
    let run = words(["prepare", "--data", &chats, &texts, "--output", &output]).expect_code(2);
    let error = format!(
        "error: `{texts}` has rows of format `text`, expected rows that can be written beside those of `{chats}`, \
         of format `messages`"
    );
    assert_eq!(run.failure()[0], error);
}

#[test]
fn an_output_folder_that_holds_something_else_is_refused() {
    let folder = Folder::new();
    let file = folder.write("data/rows.jsonl", jsonl(&labelled(3)));
    let data = folder.name("data");
    let into =
        |output: &str| words(["prepare", "--data", &file, "--output", output]).expect_code(2);
    let run = into(&data);
    let error = format!(
        "error: `--output` is `{data}`, which holds the input `{file}`, expected another folder"
    );
    assert_eq!(
        run.failure(),
        [error.as_str(), "hint: name a new folder; inputs are never written"]
    );
    let others = folder.name("others");
    let expected = "expected an empty folder or one that `prepare` wrote";
    for (name, found) in [
        ("others/train.jsonl", "`train.jsonl` and no `ledger.jsonl`"),
        ("others/notes.txt", "`notes.txt`"),
    ] {
        folder.write(name, "mine");
        let error = format!("error: `--output` is `{others}`, which holds {found}, {expected}");
        let hint = "hint: name a new folder, or empty this one";
        assert_eq!(into(&others).failure(), [error.as_str(), hint]);
    }
    assert_eq!(folder.read("others/train.jsonl"), b"mine");
    let run = into(&file);
    assert_eq!(run.failure()[0], format!("error: `--output` is `{file}`, expected a folder"));
}

#[test]
fn wrong_requests_are_told_before_anything_is_written() {
    let folder = Folder::new();
    folder.write("rows.jsonl", jsonl(&labelled(3)));
    let broken = folder.write("rows.parquet", "PAR1");
    let failure = |file: &str, more: &[&str]| {
        let run = prepare(&folder, file, more).expect_code(2);
        assert!(!folder.path("out").exists());
        run.failure()[0].to_owned()
    };
    let split = failure("rows.jsonl", &["--split", "0.8/0.3"]);
    let expected = "error: `--split` is `0.8/0.3`, expected three shares that add up to 1, such as `0.8/0.1/0.1`";
    assert!(split.starts_with(expected), "{split}");
    let code = failure("rows.jsonl", &["--drop", "leak"]);
    assert!(
        code.starts_with("error: `--drop` is `leak`, expected one of `empty-turn`, "),
        "{code}"
    );
    let expected = format!("error: `{broken}`: the Parquet data cannot be read after row 0: ");
    let error = failure("rows.parquet", &[]);
    assert!(error.starts_with(&expected), "{error}");
    folder.write("empty.jsonl", "\n");
    assert_eq!(
        failure("empty.jsonl", &[]),
        "error: the input holds no rows, expected at least one"
    );
    folder.write("bad.jsonl", "{}\n{}\n");
    assert_eq!(
        failure("bad.jsonl", &["--on-bad-row", "skip"]),
        "error: all rows are left out (2 `unreadable`), expected at least one to keep"
    );
}

#[test]
fn the_arguments_of_a_call_stay_json_when_they_are_redacted() {
    let folder = Folder::new();
    let arguments =
        json!({ "body": "Hi\nbob@mail.com", "card": 4_111_111_111_111_111_u64 }).to_string();
    let call =
        json!({ "type": "function", "function": { "name": "send", "arguments": arguments } });
    let row = json!({ "messages": [
        { "role": "user", "content": "Send it." },
        { "role": "assistant", "tool_calls": [call] },
    ]});
    folder.write("rows.jsonl", format!("{row}\n"));
    prepare(&folder, "rows.jsonl", &["--split", "1/0/0", "--redact"]).expect_code(0);
    let call = &folder.read_rows("out/train.jsonl")[0]["messages"][1]["tool_calls"][0];
    let written: Value =
        serde_json::from_str(call["function"]["arguments"].as_str().unwrap()).unwrap();
    assert_eq!(written, json!({ "body": "Hi\n[EMAIL_1]", "card": "[CARD_NUMBER_1]" }));
}
