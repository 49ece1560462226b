//! The files that rows are read from: tables, Parquet, folders of them.

use std::io::Write;
use std::path::Path;

use serde_json::{json, Value};

use super::program::{words, Folder};
use super::{jsonl, labelled, prepare, row};

/// The path of a file that `scripts/make_parquet_fixture.py` wrote.
fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    folder.join(name).display().to_string()
}

#[test]
fn tables_are_read_by_their_header() {
    let folder = Folder::new();
    let csv = "id,question,answer\r\n1,\"Where, \"\"exactly\"\"\r\nis it?\",here\r\n2,When?,\r\n3,Who?,me\r\n";
    let file = folder.write("rows.csv", csv);
    let line = ["--prompt-feature", "question", "--completion-feature", "answer", "--split"];
    let line: Vec<&str> = line.into_iter().chain(["1/0/0", "--on-bad-row", "skip"]).collect();
    prepare(&folder, "rows.csv", &line).expect_code(0);
    let mut first = row("Where, \"exactly\"\r\nis it?", "here");
    first["id"] = json!("1");
    let rows = folder.read_rows("out/train.jsonl");
    assert_eq!((rows.len(), &rows[0]), (2, &first));
    let told = &folder.read_rows("out/ledger.jsonl")[1];
    assert_eq!((&told["file"], &told["line"]), (&json!(file), &4.into()));
    assert_eq!(told["detail"], "`answer` is missing, expected a string or an array of messages");
}

#[test]
fn files_of_a_folder_are_prepared_together_packed_or_not() {
    let folder = Folder::new();
    let rows = labelled(12);
    folder.write("data/a.jsonl", jsonl(&rows[..6]));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let quoted = |row: &Value| row["messages"].to_string().replace('"', "\"\"");
    let lines: String = rows[6..].iter().map(|row| format!("\"{}\"\t7\n", quoted(row))).collect();
    packed.write_all(format!("messages\tid\n{lines}").as_bytes()).unwrap();
    folder.write("data/b.tsv.gz", packed.finish().unwrap());
    folder.write("data/ledger.jsonl", "{\"kept\": true}\n");
    prepare(&folder, "data", &["--split", "1/0/0"]).expect_code(0);
    let written = folder.read_rows("out/train.jsonl");
    let messages =
        |rows: &[Value]| -> Vec<Value> { rows.iter().map(|row| row["messages"].clone()).collect() };
    assert_eq!(messages(&written), messages(&rows));
    assert_eq!(written[11]["id"], "7");
}

#[test]
fn a_parquet_file_is_read_as_the_same_rows_in_jsonl_without_their_nulls_would_be() {
    let folder = Folder::new();
    let shard = "data/train-00000-of-00001.parquet";
    let file = folder.write(shard, std::fs::read(fixture("chats.parquet")).unwrap());
    let run = prepare(&folder, "data", &["--split", "1/0/0"]).expect_code(2);
    let missing = "`messages` is missing, expected an array of messages";
    assert_eq!(run.failure()[0], format!("error: `{file}:4`: {missing}"));
    prepare(&folder, "data", &["--split", "1/0/0", "--on-bad-row", "skip"]).expect_code(0);
    let mut first = row("Where is my parcel?", "In Lyon.");
    for (key, value) in [
        ("source", json!("mail")),
        ("asked_at", json!("2024-05-01T12:30:00Z")),
        ("day", json!("2024-05-01")),
        ("score", json!(0.1)),
        ("price", json!("12.50")),
        ("turns", json!(2)),
        ("tags", json!(["parcel", null])),
        ("counts", json!({ "words": 4 })),
        ("digest", json!("/wA=")),
    ] {
        first[key] = value;
    }
    let call = json!({ "name": "track", "arguments": { "parcel": 7 } });
    let calls = json!([{ "type": "function", "function": call }]);
    let second = json!({ "source": "chat", "digest": "plain", "messages": [
        { "role": "system", "content": "You are kind." },
        { "role": "user", "content": "Track number 7, please." },
        { "role": "assistant", "content": null, "tool_calls": calls },
        { "role": "tool", "content": "Oslo", "name": "track" },
        { "role": "assistant", "content": "It is in Oslo." },
    ]});
    let mut third = row("When do you open?", "At nine — every day.");
    third["source"] = json!("mail");
    third["tags"] = json!([]);
    let mut last = row("May I mend my kettle?", "Yes.");
    last["turns"] = json!(2);
    assert_eq!(folder.read_rows("out/train.jsonl"), [first, second, third, last]);
    let told = &folder.read_rows("out/ledger.jsonl")[3];
    assert_eq!((&told["line"], &told["detail"]), (&4.into(), &missing.into()));
}

#[test]
fn a_parquet_file_that_is_not_unpacked_is_told_with_its_compression() {
    let (folder, file) = (Folder::new(), fixture("lz4.parquet"));
    let run = words(["prepare", "--data", &file, "--output", &folder.name("out")]).expect_code(2);
    let error = format!(
        "error: `{file}` is compressed with `lz4_raw`, expected `snappy`, `zstd`, `gzip` or no compression"
    );
    let hint = "hint: write it again with `snappy`, as pandas and pyarrow do, or as JSONL";
    assert_eq!(run.failure(), [error.as_str(), hint]);
}

#[test]
fn a_quote_that_is_never_closed_is_a_bad_row_and_not_the_rest_of_the_file() {
    let folder = Folder::new();
    folder.write("rows.csv", "prompt,completion\nWhen?,now\nWho?,\"me\nWhere?,here\nWhy?,so\n");
    prepare(&folder, "rows.csv", &["--split", "1/0/0", "--on-bad-row", "skip"]).expect_code(0);
    assert_eq!(folder.read_rows("out/train.jsonl").len(), 1);
    let told = &folder.read_rows("out/ledger.jsonl")[1];
    assert_eq!(told["detail"], "a quoted cell is not closed before the end of the file");
}
