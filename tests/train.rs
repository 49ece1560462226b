//! `tunewise train`: an adapter from rows, whatever the number of threads.

// A test that cannot go on has to panic.
#![allow(clippy::unwrap_used)]

mod program;

use program::{chat_rows, command, tiny_model, words, Folder, Run};
use serde_json::{json, Value};

const KEYS: [&str; 10] = [
    "steps",
    "rows",
    "tokens",
    "supervised_tokens",
    "final_loss",
    "rows_per_second",
    "tokens_per_second",
    "train_seconds",
    "peak_memory_bytes",
    "adapter",
];

/// A question that stands in two splits by a leak and not by chance.
const QUESTION: &str = "where is the parcel that I ordered from your shop two weeks ago";

/// The words of a short training run in a folder that has `rows.jsonl`.
fn line(folder: &Folder, output: &str, more: &[&str]) -> Vec<String> {
    line_on(folder, "rows.jsonl", output, more)
}

/// The words of a short training run on a file or folder.
fn line_on(folder: &Folder, data: &str, output: &str, more: &[&str]) -> Vec<String> {
    let (data, output, model) = (folder.name(data), folder.name(output), tiny_model());
    let line = ["train", "--model", &model, "--data", &data, "--output", &output, "--json"];
    let fixed = ["--learning-rate", "1e-2", "--per-device-train-batch-size", "4"];
    line.iter().chain(&fixed).chain(more).map(|word| (*word).to_owned()).collect()
}

fn train(folder: &Folder, output: &str, more: &[&str]) -> Run {
    words(line(folder, output, more))
}

fn folder_of_rows() -> Folder {
    let folder = Folder::new();
    folder.write("rows.jsonl", chat_rows(12));
    folder
}

/// A folder of eight rows in `data`, of which the second valid one asks what a training row asks.
fn folder_with_a_leak() -> Folder {
    let row = |question: &str| {
        let turn = |role: &str, content: &str| json!({ "role": role, "content": content });
        let turns = [turn("user", question), turn("assistant", "delivery")];
        json!({ "messages": turns }).to_string() + "\n"
    };
    let folder = Folder::new();
    folder.write("data/train.jsonl", chat_rows(5) + &row(QUESTION));
    folder.write("data/valid.jsonl", row("is my parcel there yet") + &row(QUESTION));
    folder
}

/// What is said of the leak in that folder.
fn leak(folder: &Folder) -> String {
    let place = folder.name("data/valid.jsonl");
    format!("1 row `leak` (questions of the training rows in another split) at `{place}:2`")
}

/// The provenance in the record of a run.
fn provenance(folder: &Folder, output: &str) -> Value {
    let record = folder.read(&format!("{output}/tunewise.json"));
    let record: Value = serde_json::from_slice(&record).unwrap();
    record["provenance"].clone()
}

fn card(folder: &Folder, output: &str) -> String {
    String::from_utf8(folder.read(&format!("{output}/README.md"))).unwrap()
}

fn adapter(folder: &Folder, output: &str) -> Vec<u8> {
    folder.read(&format!("{output}/adapter_model.safetensors"))
}

#[test]
fn a_run_leaves_an_adapter_and_accounts_for_every_token() {
    let folder = folder_of_rows();
    let run = train(&folder, "run", &["--num-train-epochs", "2"]).expect_code(0);
    let found = run.json();
    assert_eq!(found.as_object().unwrap().keys().collect::<Vec<_>>(), KEYS);
    let rendered =
        words(["render", "--model", &tiny_model(), "--data", &folder.name("rows.jsonl"), "--json"]);
    let rows: Vec<Value> =
        rendered.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count =
        |key: &str| rows.iter().map(|row| row[key].as_array().unwrap().len()).sum::<usize>();
    assert_eq!((&found["steps"], &found["rows"]), (&6.into(), &24.into()));
    assert_eq!(found["tokens"], 2 * count("ids"));
    assert_eq!(found["supervised_tokens"], 2 * count("supervised"));
    assert_eq!(found["adapter"], folder.name("run"));
    for file in ["adapter_config.json", "README.md", "tunewise.json", "metrics.jsonl"] {
        assert!(!folder.read(&format!("run/{file}")).is_empty(), "{file}");
    }
    assert!(run.stderr.contains("12 rows read"), "{}", run.stderr);
    assert!(run.stderr.contains("first ids: 1 "), "{}", run.stderr);
    assert!(run.stderr.contains("step 6/6 "), "{}", run.stderr);
}

#[test]
fn loss_falls_below_half() {
    let folder = folder_of_rows();
    train(&folder, "run", &["--max-steps", "30", "--lr-scheduler-type", "constant"]).expect_code(0);
    let log = folder.read_rows("run/metrics.jsonl");
    let loss = |entry: &Value| entry["loss"].as_f64().unwrap();
    assert!(loss(log.last().unwrap()) < 0.5 * loss(&log[0]), "{log:?}");
}

#[test]
fn one_thread_and_two_give_the_same_adapter() {
    let folder = folder_of_rows();
    let steps = ["--max-steps", "4"];
    train(&folder, "one", &["--max-steps", "4", "--threads", "1"]).expect_code(0);
    train(&folder, "two", &["--max-steps", "4", "--threads", "2"]).expect_code(0);
    let mut by_variable = command(line(&folder, "variable", &steps));
    let run: Run = by_variable.env("RAYON_NUM_THREADS", "1").output().unwrap().into();
    run.expect_code(0);
    let one = adapter(&folder, "one");
    assert_eq!(one, adapter(&folder, "two"));
    assert_eq!(one, adapter(&folder, "variable"));
}

#[test]
fn a_recipe_file_gives_what_its_flags_give_and_flags_go_before_it() {
    let folder = folder_of_rows();
    train(&folder, "flags", &["--max-steps", "2", "--r", "4", "--no-shuffle"]).expect_code(0);
    let recipe = folder.write("recipe.yaml", "max_steps: 2\nr: 16\nshuffle: false\n");
    train(&folder, "file", &["--config", &recipe, "--r", "4"]).expect_code(0);
    assert_eq!(adapter(&folder, "flags"), adapter(&folder, "file"));
}

#[test]
fn a_flag_that_contradicts_the_initial_adapter_exits_2() {
    let folder = folder_of_rows();
    train(&folder, "first", &["--max-steps", "1", "--r", "4"]).expect_code(0);
    let first = folder.name("first");
    let run = train(&folder, "second", &["--init-adapter", &first, "--r", "8"]).expect_code(2);
    let error = "error: `r` is 8, expected 4 as in the configuration of `init_adapter`";
    assert_eq!(run.failure()[0], error);
    train(&folder, "second", &["--init-adapter", &first, "--max-steps", "1"]).expect_code(0);
    let config: Value = serde_json::from_slice(&folder.read("second/adapter_config.json")).unwrap();
    assert_eq!(config["r"], 4);
}

#[test]
fn resuming_where_there_is_no_checkpoint_starts_anew_and_says_so() {
    let folder = folder_of_rows();
    let steps = ["--max-steps", "3"];
    train(&folder, "plain", &steps).expect_code(0);
    let run = train(&folder, "run", &["--max-steps", "3", "--resume-from-checkpoint", "true"])
        .expect_code(0);
    assert!(run.stderr.contains("no checkpoint in `"), "{}", run.stderr);
    assert_eq!(adapter(&folder, "plain"), adapter(&folder, "run"));
}

#[test]
fn resuming_a_finished_run_exits_0_and_changes_nothing() {
    let folder = folder_of_rows();
    let steps = ["--max-steps", "3"];
    let first = train(&folder, "run", &steps).expect_code(0).json();
    let listed = files(&folder, "run");
    let again =
        train(&folder, "run", &["--max-steps", "3", "--resume-from-checkpoint"]).expect_code(0);
    assert_eq!(again.json(), first);
    assert_eq!(files(&folder, "run"), listed);
}

/// Path, time and bytes of every file below a folder.
fn files(folder: &Folder, name: &str) -> Vec<(String, std::time::SystemTime, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![name.to_owned()];
    while let Some(name) = open.pop() {
        for entry in std::fs::read_dir(folder.path(&name)).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{name}/{}", entry.file_name().to_string_lossy());
            match entry.file_type().unwrap().is_dir() {
                true => open.push(path),
                false => found.push((
                    path.clone(),
                    entry.metadata().unwrap().modified().unwrap(),
                    folder.read(&path),
                )),
            }
        }
    }
    found.sort();
    found
}

#[test]
fn a_bad_row_stops_training_before_it_starts_or_is_counted() {
    let folder = Folder::new();
    let data = folder.write("rows.jsonl", chat_rows(4) + "{}\n" + &chat_rows(4));
    let run = train(&folder, "run", &["--max-steps", "1"]).expect_code(2);
    assert!(run.failure()[0].starts_with(&format!("error: `{data}:5`: ")), "{}", run.stderr);
    assert!(!folder.path("run/adapter_model.safetensors").exists());
    let run = train(&folder, "run", &["--max-steps", "1", "--on-bad-row", "skip"]).expect_code(0);
    assert!(run.stderr.contains("9 rows read, 1 bad and left out, 8 used"), "{}", run.stderr);
}

#[test]
fn a_row_beyond_the_limit_is_an_error_that_names_it() {
    let folder = folder_of_rows();
    let run = train(&folder, "run", &["--max-length", "20"]).expect_code(2);
    let place = format!("error: `{}:1`: the row has ", folder.name("rows.jsonl"));
    assert!(run.failure()[0].starts_with(&place), "{}", run.stderr);
    assert!(
        run.failure()[0].ends_with(" tokens, expected at most 20 (`max_length`)"),
        "{}",
        run.stderr
    );
}

#[test]
fn a_valid_split_that_asks_what_was_trained_stops_training_and_exits_2() {
    let folder = folder_with_a_leak();
    let run = words(line_on(&folder, "data", "run", &["--max-steps", "1"])).expect_code(2);
    let leak = leak(&folder);
    let error = format!("error: the rows have 1 finding of severity error, expected none: {leak}");
    let data = folder.name("data");
    let hint = format!(
        "hint: mend them (`tunewise check --data {data}` tells more), or pass `--force` to train anyway"
    );
    assert_eq!(run.failure(), [error.as_str(), hint.as_str()]);
    assert!(!folder.path("run").exists());
}

#[test]
fn a_forced_run_trains_on_faulty_rows_and_its_card_says_so() {
    let folder = folder_with_a_leak();
    let more = ["--max-steps", "1", "--force"];
    let run = words(line_on(&folder, "data", "run", &more)).expect_code(0);
    let said = format!("the rows have 1 finding of severity error: {}; ", leak(&folder));
    assert!(run.stderr.contains(&said), "{}", run.stderr);
    assert!(!adapter(&folder, "run").is_empty());
    let card = card(&folder, "run");
    assert!(
        card.contains("the check looked at 8 rows of the training and validation data"),
        "{card}"
    );
    assert!(card.contains("| `leak` | error | 1 | 12.5 % |"), "{card}");
    assert!(card.contains("this one was forced to use these rows"), "{card}");
    let found = json!({ "code": "leak", "severity": "error", "count": 1, "share": 0.125 });
    assert_eq!(provenance(&folder, "run")["findings"][0], found);
}

#[test]
fn warnings_are_told_and_stand_in_card_and_record() {
    let folder = Folder::new();
    let data = folder.write("rows.jsonl", chat_rows(14) + &chat_rows(2));
    let run = train(&folder, "run", &["--max-steps", "1"]).expect_code(0);
    let said = format!(
        "the rows have 1 finding of severity warning: 2 `duplicate`; `tunewise check --data {data}` tells more"
    );
    assert!(run.stderr.lines().any(|line| line == said), "{}", run.stderr);
    let card = card(&folder, "run");
    assert!(card.contains("the check looked at 16 rows of the training data: "), "{card}");
    assert!(card.contains("| `duplicate` | warning | 2 | 12.5 % |"), "{card}");
    assert!(!card.contains("forced"), "{card}");
    let found = json!({ "code": "duplicate", "severity": "warning", "count": 2, "share": 0.125 });
    assert_eq!(provenance(&folder, "run")["findings"][0], found);
}

#[test]
fn a_dry_run_tells_of_faulty_rows_and_goes_on() {
    let folder = folder_with_a_leak();
    let run = words(line_on(&folder, "data", "run", &["--max-steps", "1", "--dry-run"]));
    let run = run.expect_code(0);
    let said = format!(
        "the rows have 1 finding of severity error: {}; a run without `--force` stops at them; `tunewise check \
         --data {}` tells more",
        leak(&folder),
        folder.name("data")
    );
    assert!(run.stderr.lines().any(|line| line == said), "{}", run.stderr);
    assert_eq!(run.json()["steps"], 1);
    assert!(!folder.path("run").exists());
}

#[test]
fn a_resumed_run_is_checked_and_forced_again() {
    let folder = folder_with_a_leak();
    let forced = |more: &[&str]| {
        let more = [&["--max-steps", "2", "--force"][..], more].concat();
        words(line_on(&folder, "data", "run", &more))
    };
    let first = forced(&[]).expect_code(0).json();
    assert_eq!(forced(&["--resume-from-checkpoint"]).expect_code(0).json(), first);
    let more = ["--max-steps", "2", "--resume-from-checkpoint"];
    let refused = words(line_on(&folder, "data", "run", &more)).expect_code(2);
    assert!(refused.failure()[0].contains("1 row `leak`"), "{}", refused.stderr);
}
