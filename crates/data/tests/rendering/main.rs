//! Rendering, tokenizing and masking, against exact values and against what transformers gives
//! (`scripts/make_render_golden.py`).

#![allow(clippy::unwrap_used)]

mod folders;
mod golden;
mod limits;
mod literals;
mod masks;
mod questions;

use std::path::{Path, PathBuf};

use chrono::{Local, TimeZone};
use serde_json::{json, Map, Value};
use tunewise_data::{Body, Example, Message, Rendered, Renderer, Role};

/// A file or folder beside the tests.
fn beside(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(path)
}

/// The renderer of a fixture folder, its clock where the expectations were made.
fn renderer(fixture: &str) -> Renderer {
    stopped(Renderer::from_folder(&beside("fixtures").join(fixture)).unwrap())
}

fn stopped(renderer: Renderer) -> Renderer {
    renderer.at_time(Local.with_ymd_and_hms(2024, 7, 26, 9, 5, 0).unwrap())
}

/// The byte-level fixture under one of the fixture templates.
fn under(template: &str) -> Renderer {
    let path = beside("fixtures/templates").join(format!("{template}.jinja"));
    renderer("tiny-bytes").with_template(std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A folder that only some checkouts have beside them.
fn shared() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: ../shared is absent");
    None
}

fn message(value: &Value) -> Message {
    let mut extra: Map<String, Value> = value.as_object().unwrap().clone();
    let role = Role::from_name(extra.remove("role").unwrap().as_str().unwrap()).unwrap();
    let content = extra.remove("content").and_then(|content| content.as_str().map(str::to_string));
    let weight = extra.remove("weight").map(|weight| weight == json!(1));
    Message { role, content, weight, extra }
}

/// A row of messages, and tools where `value` has them.
fn chat(value: &Value) -> Example {
    let messages = value["messages"].as_array().unwrap().iter().map(message).collect();
    let tools = value.get("tools").map(|tools| tools.as_array().unwrap().clone());
    Example { line: 7, body: Body::Chat { messages, tools } }
}

/// A row of turns, each a role and a text.
fn turns(turns: &[(&str, &str)]) -> Example {
    let messages: Vec<Value> =
        turns.iter().map(|(role, text)| json!({"role": role, "content": text})).collect();
    chat(&json!({"messages": messages}))
}

fn prompt_completion(prompt: &str, completion: Option<&str>) -> Example {
    let completion = completion.map(str::to_string);
    Example { line: 3, body: Body::PromptCompletion { prompt: prompt.into(), completion } }
}

fn text(text: &str) -> Example {
    Example { line: 1, body: Body::Text { text: text.into() } }
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// The texts of the tokens, with `[` and `]` around each run of supervised ones.
fn shown(row: &Rendered) -> String {
    let mut out = String::new();
    let mut inside = false;
    for (supervised, (start, end)) in row.supervised.iter().zip(&row.offsets) {
        if *supervised != inside {
            out.push(if inside { ']' } else { '[' });
            inside = *supervised;
        }
        out.push_str(&row.text[*start..*end]);
    }
    if inside {
        out.push(']');
    }
    out
}
