//! `tunewise check --report`: a page that holds what was found, runs nothing of the rows, and replaces no input.

// A test that cannot go on has to panic.
#![allow(clippy::unwrap_used)]

mod program;

use std::path::Path;

use program::{chat_rows, tiny_model, words, Folder, Run};
use serde_json::{json, Value};

const QUESTION: &str = "Tell me what <script>alert(1)</script> and </script> do in pages";
const ANSWER: &str = "The first one runs, and the second one ends it & all.";

fn row(question: &str, answer: &str) -> String {
    let row = json!({ "messages": [
        { "role": "user", "content": question },
        { "role": "assistant", "content": answer },
    ]});
    format!("{row}\n")
}

/// A folder whose training rows hold one row twice and a line that is no row, and whose test asks what they ask.
fn leaky() -> Folder {
    let folder = Folder::new();
    folder.write("data/train.jsonl", row(QUESTION, ANSWER).repeat(2) + "{}\n");
    folder.write("data/test.jsonl", row(QUESTION, "They run, and they end."));
    folder
}

fn check(data: &str, page: &str) -> Run {
    words(["check", "--data", data, "--report", page, "--json"])
}

/// What was found in the rows of a file or folder, and the page that tells it.
fn checked(folder: &Folder, data: &str, code: i32) -> (Value, String) {
    let run = check(&folder.name(data), &folder.name("page.html")).expect_code(code);
    (run.json()["quality"].clone(), String::from_utf8(folder.read("page.html")).unwrap())
}

/// The JSON inside the page.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

/// The code of each row, where it stands, and which row it is about, as the report tells them.
fn reported(quality: &Value) -> Vec<[String; 3]> {
    let place = |at: &Value| match at["file"].as_str() {
        Some(file) => {
            let name = Path::new(file).file_name().unwrap().to_str().unwrap();
            format!("{name}:{}", at["line"])
        }
        None => String::new(),
    };
    let mut rows = Vec::new();
    for finding in quality["findings"].as_array().unwrap() {
        for row in finding["rows"].as_array().unwrap() {
            let code = finding["code"].as_str().unwrap().to_owned();
            rows.push([code, place(&row["at"]), place(&row["like"])]);
        }
    }
    rows
}

/// The same as the page tells it.
fn shown(data: &Value) -> Vec<[String; 3]> {
    let place = |text: &Value| match text.as_u64() {
        Some(text) => {
            let text = &data["texts"][text as usize];
            let file = data["files"][text["file"].as_u64().unwrap() as usize].as_str().unwrap();
            format!("{file}:{}", text["line"])
        }
        None => String::new(),
    };
    let row = |row: &Value| {
        let finding = &data["findings"][row["finding"].as_u64().unwrap() as usize];
        [finding["code"].as_str().unwrap().to_owned(), place(&row["text"]), place(&row["other"])]
    };
    data["rows"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn the_page_holds_each_finding_and_the_rows_as_text_only() {
    let (quality, page) = checked(&leaky(), "data", 1);
    let findings = quality["findings"].as_array().unwrap();
    let codes: Vec<&str> = findings.iter().map(|found| found["code"].as_str().unwrap()).collect();
    assert!(codes.contains(&"leak") && codes.contains(&"duplicate"), "{codes:?}");
    for finding in findings {
        let title = format!("<h3>{}</h3>", finding["title"].as_str().unwrap());
        assert!(page.contains(&title), "{title}");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; and &lt;/script&gt;"));
    assert!(page
        .contains("\\u003cscript\\u003ealert(1)\\u003c/script\\u003e and \\u003c/script\\u003e"));
    // The data and the program, and nothing else.
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (2, 2));
}

#[test]
fn the_data_in_the_page_are_the_rows_of_the_report() {
    let (quality, page) = checked(&leaky(), "data", 1);
    let data = data(&page);
    assert_eq!(data["files"], json!(["train.jsonl", "test.jsonl"]));
    assert_eq!(shown(&data), reported(&quality));
    let leak = ["leak", "test.jsonl:1", "train.jsonl:1"].map(str::to_owned);
    assert!(shown(&data).contains(&leak), "{data}");
    let first = json!({ "file": 0, "line": 1, "question": QUESTION, "answer": ANSWER });
    assert_eq!(data["texts"][0], first);
    let unread = &data["texts"][2];
    assert_eq!((&unread["file"], &unread["line"]), (&0.into(), &3.into()));
    assert!(unread["problem"].as_str().unwrap().contains("`messages`"), "{unread}");
}

#[test]
fn the_page_loads_nothing_and_writes_no_html_of_its_own() {
    let (_, page) = checked(&leaky(), "data", 1);
    for other in ["http:", "https:", "//", "url(", "@import", "<link", " src=", "innerHTML"] {
        assert!(!page.contains(other), "{other}");
    }
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
    assert!(page.contains(&format!("http-equiv=\"Content-Security-Policy\" content=\"{policy}\"")));
}

#[test]
fn a_data_file_is_never_replaced() {
    let folder = leaky();
    for name in ["data/train.jsonl", "data/test.jsonl"] {
        let (file, bytes) = (folder.name(name), folder.read(name));
        let run = check(&folder.name("data"), &file).expect_code(2);
        let error = format!(
            "error: `--report` would replace `{file}`, which is read, expected another path"
        );
        let hint = "hint: name a new path; inputs are never written";
        assert_eq!(run.failure(), [error.as_str(), hint]);
        assert_eq!(folder.read(name), bytes);
    }
}

#[test]
fn an_older_page_is_replaced_and_nothing_is_left_beside_it() {
    let folder = Folder::new();
    let file = folder.write("rows.jsonl", chat_rows(1));
    folder.write("page.html", "older");
    let run = check(&file, &folder.name("page.html")).expect_code(0);
    assert!(run.stderr.contains(&format!("wrote `{}`", folder.name("page.html"))));
    assert!(folder.read("page.html").starts_with(b"<!DOCTYPE html>"));
    let names = std::fs::read_dir(folder.path("")).unwrap();
    assert_eq!(names.count(), 2);
}

#[test]
fn rows_without_a_finding_have_no_table() {
    let folder = Folder::new();
    folder.write("rows.jsonl", row("Where is my parcel?", "It will arrive on Monday."));
    let (quality, page) = checked(&folder, "rows.jsonl", 0);
    assert_eq!(quality["findings"], json!([]));
    assert!(page.contains("Nothing was found in these rows.") && !page.contains("<table>"));
    assert_eq!(data(&page)["rows"], json!([]));
}

#[test]
fn of_very_many_rows_two_thousand_are_shown_and_the_others_counted() {
    let folder = Folder::new();
    folder.write("rows.jsonl", chat_rows(1) + &"{}\n".repeat(2105));
    let (_, page) = checked(&folder, "rows.jsonl", 1);
    let data = data(&page);
    assert_eq!(data["rows"].as_array().unwrap().len(), 2000);
    assert_eq!(data["findings"][0]["left_out"], 105);
    assert!(page.contains("2,000 of 2,105 rows are in this page, 105 left out"));
}

#[test]
fn texts_are_cut_and_secrets_not_repeated() {
    let folder = Folder::new();
    let words = "It is about my parcel again. ".repeat(30);
    let question = format!("Please write to jane.doe@mail.com soon. {words}");
    folder.write("rows.jsonl", row(&question, "Thank you, we will write to you soon."));
    let (_, page) = checked(&folder, "rows.jsonl", 0);
    assert!(!page.contains("jane.doe"));
    let text = data(&page)["texts"][0]["question"].as_str().unwrap().to_owned();
    assert!(text.starts_with("Please write to ⟨e-mail address: jane…⟩ soon. It is"), "{text}");
    assert!(text.ends_with(" …"), "{text}");
    assert_eq!(text.chars().count(), 402);
}

#[test]
fn lengths_are_tokens_where_there_is_a_model_and_labels_are_counted() {
    let folder = Folder::new();
    let (file, page) = (folder.write("rows.jsonl", chat_rows(40)), folder.name("page.html"));
    let html = |run: Run| {
        run.expect_code(0);
        String::from_utf8(folder.read("page.html")).unwrap()
    };
    let without = html(check(&file, &page));
    assert!(without.contains("Rows by length in characters"));
    assert!(without
        .contains("Training rows of 4 labels: delivery 10, invoice 10, opening 10, refund 10"));
    let model = tiny_model();
    let line = ["check", "--data", &file, "--report", &page, "--model", &model];
    let with = html(words(line));
    assert!(with.contains("Training rows by length in tokens") && !with.contains("in characters"));
}
