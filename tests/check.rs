//! `tunewise check`: what is in a file, and every kind of row that would fail.

// A test that cannot go on has to panic.
#![allow(clippy::unwrap_used)]

mod program;

use std::io::Write;

use program::{chat_rows, tiny_model, words, Folder, Run};
use serde_json::json;

fn check(file: &str) -> Run {
    words(["check", "--data", file])
}

/// The lines that tell bad rows, without the file's path.
fn told(run: &Run, file: &str) -> Vec<String> {
    let place = format!("`{file}:");
    let lines = run.stdout.lines().filter_map(|line| line.trim().strip_prefix(&place));
    lines.map(str::to_owned).collect()
}

/// What is told of a file whose second line is bad.
fn second_line(line: &[u8]) -> (Run, String) {
    let folder = Folder::new();
    let mut bytes = chat_rows(1).into_bytes();
    bytes.extend(line);
    bytes.extend(b"\n");
    bytes.extend(chat_rows(1).as_bytes());
    let file = folder.write("rows.jsonl", bytes);
    let run = check(&file).expect_code(1);
    let told = told(&run, &file);
    assert_eq!(told.len(), 1, "{}", run.stdout);
    assert_eq!(run.failure()[0], "error: 3 rows read, 1 would fail");
    let message = told[0].strip_prefix("2`: ").unwrap_or_else(|| panic!("{told:?}"));
    let message = message.to_owned();
    (run, message)
}

#[test]
fn each_bad_row_is_told_with_file_line_and_reason() {
    let deep = "[".repeat(10_000);
    for (line, reason) in [
        (&b"{\"text\": \"\xff\"}"[..], "byte 11 of the line is 0xff, expected UTF-8"),
        (b"{\"messages\": [", "invalid JSON at column 14: EOF while parsing a list"),
        (b"[1, 2]", "the row is an array, expected an object"),
        (b"{\"messages\": 3}", "`messages` is a number, expected an array"),
        (b"{\"messages\": []}", "`messages` is empty, expected at least one message"),
        (
            b"{\"messages\": [{\"role\": \"robot\", \"content\": \"x\"}]}",
            "`messages[0].role` is `robot`, expected `system`, `user`, `assistant`, `tool`",
        ),
        (
            b"{\"messages\": [{\"role\": \"user\", \"content\": 3}]}",
            "`messages[0].content` is a number, expected a string",
        ),
        (
            b"{\"messages\": [{\"role\": \"user\", \"content\": \"x\"}]}",
            "no message has role `assistant`, expected at least one",
        ),
        (
            br#"{"messages": [{"role": "assistant", "content": "x"}, {"role": "user", "content": "x"}]}"#,
            "the last message has role `user`, expected `assistant`",
        ),
        (
            b"{\"messages\": [], \"messages\": []}",
            "the row has the key `messages` twice, expected it once",
        ),
        (b"{\"question\": 1}", "`messages` is missing, expected an array of messages"),
        (deep.as_bytes(), "the row is nested deeper than 100 levels"),
    ] {
        let (_, message) = second_line(line);
        assert_eq!(message, reason);
    }
}

#[test]
fn a_line_beyond_the_bound_is_told_and_passed() {
    let long = format!(
        "{{\"messages\": [{{\"role\": \"user\", \"content\": \"{}\"}}]}}",
        "x".repeat(17 << 20)
    );
    let (_, message) = second_line(long.as_bytes());
    assert_eq!(message, "the line is longer than 16777216 bytes");
}

#[test]
fn byte_order_mark_carriage_returns_and_blank_lines_are_accepted() {
    let folder = Folder::new();
    let text = format!("\u{feff}{}\r\n\r\n", chat_rows(3).replace('\n', "\r\n\n"));
    let file = folder.write("rows.jsonl", text);
    let run = words(["check", "--json", "--data", &file]).expect_code(0);
    assert_eq!((&run.json()["rows"], &run.json()["bad_rows"]), (&3.into(), &0.into()));
}

#[test]
fn an_empty_file_fails_the_check_without_a_failing_row() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", "\n\n");
    let run = check(&file).expect_code(1);
    assert_eq!(told(&run, &file), Vec::<String>::new());
    assert_eq!(run.failure()[0], format!("error: `{file}` holds no rows, expected at least one"));
    let found = words(["check", "--data", &file, "--json"]).expect_code(1).json();
    assert_eq!((&found["rows"], &found["bad_rows"]), (&0.into(), &0.into()));
}

#[test]
fn unreadable_rows_that_training_skips_do_not_fail_the_check() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", chat_rows(2) + "{}\n");
    let skip = |file: &str| words(["check", "--data", file, "--on-bad-row", "skip", "--json"]);
    let run = skip(&file).expect_code(0);
    assert!(run.stderr.contains("1 row cannot be read; `--on-bad-row skip`"), "{}", run.stderr);
    assert_eq!((&run.json()["bad_rows"], &run.json()["skipped_rows"]), (&0.into(), &1.into()));
    let none = folder.write("none.jsonl", "{}\n");
    let run = skip(&none).expect_code(1);
    assert!(run.failure()[0].contains("none of them left to train on"), "{}", run.stderr);
}

#[test]
fn rows_beyond_the_limit_are_dropped_or_cut_as_in_training() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", chat_rows(8));
    let model = tiny_model();
    let line = ["check", "--model", &model, "--data", &file, "--json", "--max-length"];
    let check = |more: &[&str]| words(line.iter().chain(more));
    let lengths = check(&["256"]).json()["files"][0]["tokens"]["per_row"].clone();
    let shortest = lengths["min"].to_string();
    let run = check(&[&shortest]).expect_code(1);
    let bad = run.json()["bad_rows"].as_u64().unwrap();
    assert!(bad > 0 && bad < 8);
    assert!(run.failure()[1].contains("`--excess-length-strategy drop`"), "{}", run.stderr);
    let run = check(&[&shortest, "--excess-length-strategy", "drop"]).expect_code(0);
    let file = &run.json()["files"][0];
    assert_eq!((&file["dropped"], &file["truncated"]), (&bad.into(), &0.into()));
}

#[test]
fn a_limit_beyond_the_context_or_without_a_model_exits_2() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", chat_rows(1));
    let model = tiny_model();
    for command in ["check", "evaluate"] {
        let line = [command, "--model", &model, "--data", &file, "--max-length", "257"];
        let error = "error: `--max-length` is 257, expected at most 256, the model's context";
        assert_eq!(words(line).expect_code(2).failure()[0], error);
    }
    let run = words(["check", "--data", &file, "--max-length", "9"]).expect_code(2);
    assert_eq!(run.failure()[0], "error: `--max-length` is given without `--model`, expected both");
}

#[test]
fn a_file_that_is_not_there_is_wrong_input() {
    let run = check("nowhere.jsonl").expect_code(2);
    assert_eq!(
        run.failure()[0],
        "error: `nowhere.jsonl` does not exist, expected a file or a folder"
    );
}

#[test]
fn only_the_first_twenty_bad_rows_are_listed() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", chat_rows(1) + &"{}\n".repeat(25));
    let run = check(&file).expect_code(1);
    assert_eq!(told(&run, &file).len(), 20);
    assert!(run.stdout.contains("  … and 5 more\n"));
    assert_eq!(run.failure()[0], "error: 26 rows read, 25 of them would fail");
    let run = words(["check", "--data", &file, "--json"]).expect_code(1);
    let bad = run.json()["files"][0]["bad_rows"].as_array().unwrap().len();
    assert_eq!(bad, 25);
}

#[test]
fn of_very_many_bad_rows_the_first_thousand_are_listed_and_all_are_counted() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", chat_rows(1) + &"{}\n".repeat(1005));
    let found = words(["check", "--data", &file, "--json"]).expect_code(1).json();
    let of_file = &found["files"][0];
    assert_eq!(of_file["bad_rows"].as_array().unwrap().len(), 1000);
    assert_eq!(of_file["bad_rows"][999]["line"], 1001);
    assert_eq!((&found["bad_rows"], &of_file["bad_row_count"]), (&1005.into(), &1005.into()));
    assert_eq!(of_file["skipped_row_count"], 0);
}

#[test]
fn the_time_of_a_check_is_told_to_programs() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", chat_rows(8));
    let line = ["check", "--model", &tiny_model(), "--data", &file, "--json"];
    let found = words(line).expect_code(0).json();
    let figure = |key: &str| found["files"][0][key].as_f64().unwrap();
    let rows = figure("seconds") * figure("rows_per_second");
    assert!((rows - 8.0).abs() < 1e-6, "{rows}");
}

#[test]
fn a_folder_is_checked_split_by_split_and_compressed_files_too() {
    let folder = Folder::new();
    folder.write("data/train.jsonl", chat_rows(5));
    folder.write("data/valid.jsonl", chat_rows(2));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(chat_rows(3).as_bytes()).unwrap();
    folder.write("data/test.jsonl.gz", packed.finish().unwrap());
    // Rows of one generator: the other splits ask what training told.
    let run = words(["check", "--json", "--data", &folder.name("data")]).expect_code(1);
    let found = run.json();
    let leak = &found["quality"]["findings"][0];
    assert_eq!((&leak["code"], &leak["count"]), (&"leak".into(), &2.into()));
    assert_eq!(
        (&leak["rows"][0]["at"]["line"], &leak["rows"][0]["like"]["line"]),
        (&2.into(), &2.into())
    );
    let files = found["files"].as_array().unwrap();
    let rows: Vec<u64> = files.iter().map(|file| file["rows"].as_u64().unwrap()).collect();
    assert_eq!((rows, &found["rows"]), (vec![5, 2, 3], &10.into()));
    assert!(files.iter().all(|file| file["format"] == "messages" && file["tokens"].is_null()));
}

#[test]
fn with_a_model_lengths_are_counted_and_long_rows_fail() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", chat_rows(8));
    let model = tiny_model();
    let run = words(["check", "--model", &model, "--data", &file, "--json"]).expect_code(0);
    let tokens = run.json()["files"][0]["tokens"].clone();
    let longest = tokens["per_row"]["max"].as_u64().unwrap();
    assert_eq!((&tokens["training_rows"], &tokens["max_length"]), (&8.into(), &256.into()));
    assert!(tokens["supervised"].as_u64().unwrap() >= 16);
    let limit = (longest - 1).to_string();
    let run =
        words(["check", "--model", &model, "--data", &file, "--max-length", &limit]).expect_code(1);
    let reason = format!("the row has {longest} tokens, expected at most {limit} (`max_length`)");
    assert!(told(&run, &file).iter().all(|line| line.ends_with(&reason)), "{}", run.stdout);
}

/// One of twenty rows of two labels, in which nothing is found.
fn labelled_row(number: usize) -> String {
    const PLACES: [&str; 10] =
        ["Paris", "Oslo", "Lima", "Cairo", "Quito", "Delhi", "Rome", "Bern", "Kyoto", "Accra"];
    let (text, label) = match number {
        0..10 => ("please refund my cancelled hotel night in", "refund"),
        _ => ("please book a window seat on the train to", "booking"),
    };
    let at = number % 10;
    let row = json!({ "messages": [
        { "role": "user", "content": format!("{text} {} for {} guests number {at}", PLACES[at], at + 2) },
        { "role": "assistant", "content": label },
    ]});
    format!("{row}\n")
}

/// Those rows with one twice and a line that is no row, and a test that asks what they ask.
fn faulty_labels() -> Folder {
    let folder = Folder::new();
    let rows: String = (0..20).map(labelled_row).collect();
    folder.write("data/train.jsonl", rows + &labelled_row(3) + "{\"messages\": [\n");
    folder.write("data/test.jsonl", labelled_row(13));
    folder
}

#[test]
fn a_grade_says_what_the_rows_are_worth_within_a_screen() {
    let data = faulty_labels();
    let run = words(["check", "--data", &data.name("data")]).expect_code(1);
    let graded = "\ngrade C: 20 of 22 training rows are good\n         2 labels, none with 30 such rows or more, \
                  the fewest 10: enough to start (Casanueva et al. 2020: 10 to 30 rows per label; ";
    assert!(run.stdout.contains(graded), "{}", run.stdout);
    let planned = "\nto do first\n  1. mend 1 row with `unreadable` (+1 good row); `--on-bad-row skip` leaves it out\n  \
                   2. split anew for 1 row with `leak`: ";
    assert!(run.stdout.contains(planned), "{}", run.stdout);
    assert!(run.stdout.lines().count() <= 45, "{}", run.stdout);
    let found = words(["check", "--data", &data.name("data"), "--json"]).expect_code(1).json();
    let grade = &found["quality"]["grade"];
    assert_eq!((&grade["letter"], &grade["task"]), (&"C".into(), &"labels".into()));
    assert_eq!((&grade["good_rows"], &grade["training_rows"]), (&20.into(), &22.into()));
    let enough = json!({
        "verdict": "starts", "have": 10, "need": 10, "comfortable": 30, "short_labels": 0, "ample_labels": 0,
    });
    assert_eq!(grade["enough"], enough);
    assert_eq!((&grade["plan"][1]["rows"], &grade["plan"][1]["gain"]), (&1.into(), &0.into()));
}

#[test]
fn the_command_of_a_plan_mends_what_a_command_can() {
    let folder = faulty_labels();
    let found = words(["check", "--data", &folder.name("data"), "--json"]).expect_code(1).json();
    let command = found["quality"]["grade"]["command"].as_str().unwrap();
    let files =
        ["train", "test"].map(|split| folder.name(&format!("data/{split}.jsonl"))).join(" ");
    let flags = "--on-bad-row skip --dedupe near";
    assert_eq!(command, format!("tunewise prepare --data {files} --output OUT {flags}"));
    let out = folder.name("out");
    let prepare = command.split(' ').skip(1).map(|word| if word == "OUT" { &*out } else { word });
    words(prepare).expect_code(0);
    let mended = words(["check", "--data", &out, "--json"]).expect_code(0).json();
    assert_eq!(mended["quality"]["grade"]["letter"], "A");
}
