//! `tunewise evaluate` and `render` on real models and real text against Hugging Face transformers, row by row.
//!
//! The figures in `tests/golden/real` are made by `scripts/make_golden.py`; models and texts lie in `../shared`.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{json, Value};
use sha2::{Digest, Sha256};

fn shared() -> Option<PathBuf> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    if shared.join("models").is_dir() {
        return Some(shared);
    }
    println!("skipped: ../shared is absent");
    None
}

/// The rule that the golden file states: each piece cut to 200 characters.
fn texts(shared: &Path, source: &str) -> Vec<String> {
    let cut = |text: &str| text.chars().take(200).collect::<String>();
    if source == "plain_text" {
        let text = std::fs::read_to_string(shared.join("data/plain_text/input.txt")).unwrap();
        let pieces = text.split("\n\n").filter(|piece| piece.chars().count() >= 40);
        return pieces.take(64).map(cut).collect();
    }
    let rows = std::fs::read_to_string(shared.join("data/gsm8k/test.jsonl")).unwrap();
    let question = |line: &str| {
        let row: Value = serde_json::from_str(line).unwrap();
        cut(row["messages"][0]["content"].as_str().unwrap())
    };
    rows.lines().take(64).map(question).collect()
}

fn tunewise(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tunewise")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn check(model: &str, source: &str) {
    let Some(shared) = shared() else { return };
    let golden =
        Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/golden/real/{model}.json"));
    let golden: Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
    let expected = golden[source].as_array().unwrap();
    assert_eq!(expected.len(), 64);
    let dir = tempfile::tempdir().unwrap();
    let (data, items) = (dir.path().join("rows.jsonl"), dir.path().join("items.jsonl"));
    let rows: String = texts(&shared, source)
        .iter()
        .map(|text| json!({"text": text}).to_string() + "\n")
        .collect();
    std::fs::write(&data, rows).unwrap();
    let (model, data, items) =
        (shared.join("models").join(model), data.to_str().unwrap(), items.to_str().unwrap());
    let model = model.to_str().unwrap();

    let rendered = tunewise(&["render", "--model", model, "--data", data, "--json"]);
    for (row, expected) in rendered.lines().zip(expected) {
        let row: Value = serde_json::from_str(row).unwrap();
        let ids: Vec<String> =
            row["ids"].as_array().unwrap().iter().map(Value::to_string).collect();
        let hash: String =
            Sha256::digest(ids.join(",")).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, expected["ids_sha256"].as_str().unwrap(), "{row}");
    }

    let printed = tunewise(&[
        "evaluate", "--model", model, "--data", data, "--items", items, "--dtype", "f32", "--json",
    ]);
    let written = std::fs::read_to_string(items).unwrap();
    let mut total = 0.0;
    let mut worst: f64 = 0.0;
    for (line, expected) in written.lines().zip(expected) {
        let item: Value = serde_json::from_str(line).unwrap();
        assert_eq!(item["supervised_tokens"], expected["supervised_tokens"]);
        let (ours, theirs) = (item["nll"].as_f64().unwrap(), expected["nll"].as_f64().unwrap());
        worst = worst.max((ours - theirs).abs() / theirs);
        total += theirs;
    }
    assert_eq!(written.lines().count(), 64);
    println!("{source}: worst row {worst:.1e} relative");
    assert!(worst < 1e-4, "{worst:e}");
    let figures: Value = serde_json::from_str(printed.lines().last().unwrap()).unwrap();
    let mean = total / figures["supervised_tokens"].as_f64().unwrap();
    assert!((figures["nll_per_token"].as_f64().unwrap() - mean).abs() < 1e-4 * mean);
    assert!((figures["perplexity"].as_f64().unwrap() - mean.exp()).abs() < 1e-3 * mean.exp());
}

#[test]
fn stories_260k_gives_plain_text_the_likelihood_of_transformers() {
    check("stories260K", "plain_text");
}

#[test]
fn stories_260k_gives_questions_the_likelihood_of_transformers() {
    check("stories260K", "gsm8k");
}

#[test]
fn babyllama_gives_plain_text_the_likelihood_of_transformers() {
    check("babyllama", "plain_text");
}
