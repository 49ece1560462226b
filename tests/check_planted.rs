//! `tunewise check` with a model: faults that only tokens show, planted at known lines, and exactly those lines told.

// A test that cannot go on has to panic.
#![allow(clippy::unwrap_used)]

mod program;

use std::path::Path;

use program::{tiny_model, words, Folder};
use serde_json::{json, Value};

const ROWS: usize = 300;
/// One row in so many has each fault.
const ONE_IN: usize = 15;
/// Tokens of each row without a fault.
const LIMIT: &str = "50";

/// What is planted.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// A reply of a token more than fits: to cut it costs the line break behind the turn, which nobody learns.
    OneTokenMore,
    /// A reply of two tokens more: to cut it costs the end of the turn, which is learned.
    TwoTokensMore,
    /// A long reply.
    LongReply,
    /// A question beyond the limit, behind which no reply is left.
    LongQuestion,
    /// The text of a control token of this model alone.
    ControlToken,
    /// A reply that is not to be learned.
    Unweighted,
    /// A call without content, which the template cannot write.
    Call,
}

const FAULTS: [Fault; 7] = [
    Fault::OneTokenMore,
    Fault::TwoTokensMore,
    Fault::LongReply,
    Fault::LongQuestion,
    Fault::ControlToken,
    Fault::Unweighted,
    Fault::Call,
];

fn fault_of(n: usize) -> Option<Fault> {
    FAULTS.get(n % ONE_IN).copied()
}

/// The lines of the rows with these faults.
fn lines(faults: &[Fault]) -> Vec<u64> {
    let has = |n: &usize| fault_of(*n).is_some_and(|fault| faults.contains(&fault));
    (0..ROWS).filter(has).map(|n| n as u64 + 1).collect()
}

fn row(n: usize) -> Value {
    let number = 1000 + n;
    let mut question = format!("where is parcel {number}, please");
    let mut answer = format!("it is in town {number}");
    match fault_of(n) {
        Some(Fault::OneTokenMore) => answer.push('!'),
        Some(Fault::TwoTokensMore) => answer.push_str("!!"),
        Some(Fault::LongReply) => answer.push_str(&" and on its way".repeat(10)),
        Some(Fault::LongQuestion) => question.push_str(&" and when does it come".repeat(10)),
        Some(Fault::ControlToken) => question = format!("wait <|pause|> {number}"),
        Some(Fault::Unweighted | Fault::Call) | None => {}
    }
    let mut turns = vec![
        json!({ "role": "user", "content": question }),
        json!({ "role": "assistant", "content": answer }),
    ];
    match fault_of(n) {
        Some(Fault::Unweighted) => turns[1]["weight"] = 0.into(),
        Some(Fault::Call) => {
            let call =
                json!({ "type": "function", "function": { "name": "find", "arguments": "{}" } });
            let called = json!({ "role": "assistant", "tool_calls": [call] });
            turns.splice(1..1, [called, json!({ "role": "tool", "content": "town" })]);
        }
        _ => {}
    }
    json!({ "messages": turns })
}

/// The tiny model with a control token that no other model has.
fn model(folder: &Folder) -> String {
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
        let text = std::fs::read_to_string(Path::new(&tiny_model()).join(name)).unwrap();
        folder.write(&format!("model/{name}"), text.replace("<|endoftext|>", "<|pause|>"));
    }
    folder.name("model")
}

/// The lines of each finding that a model brings.
fn told(data: &str, model: &str, strategy: &str) -> [Vec<u64>; 5] {
    let line = ["check", "--json", "--data", data, "--model", model, "--max-length", LIMIT];
    let run = words([&line[..], &["--excess-length-strategy", strategy]].concat()).expect_code(1);
    let quality = run.json()["quality"].clone();
    let findings = quality["findings"].as_array().unwrap();
    ["over-length", "cut-by-limit", "nothing-supervised", "unrenderable", "control-token"].map(
        |code| {
            let of_code = findings.iter().filter(|finding| finding["code"] == code);
            let rows = of_code.flat_map(|finding| finding["rows"].as_array().unwrap());
            rows.map(|row| row["at"]["line"].as_u64().unwrap()).collect()
        },
    )
}

#[test]
fn faults_that_tokens_show_are_told_at_each_line_where_they_were_planted_and_at_no_other() {
    use Fault::{ControlToken, LongQuestion, LongReply, OneTokenMore, TwoTokensMore, Unweighted};
    let folder = Folder::new();
    let rows: String = (0..ROWS).map(|n| format!("{}\n", row(n))).collect();
    let (data, model) = (folder.write("rows.jsonl", rows), model(&folder));
    assert!(FAULTS.iter().all(|fault| lines(&[*fault]).len() == 20));
    let (call, control) = (lines(&[Fault::Call]), lines(&[ControlToken]));
    let beyond = lines(&[OneTokenMore, TwoTokensMore, LongReply, LongQuestion]);
    let unlearned = lines(&[Unweighted]);
    let raised = [beyond.clone(), Vec::new(), unlearned.clone(), call.clone(), control.clone()];
    assert_eq!(told(&data, &model, "raise"), raised);
    let dropped = [Vec::new(), beyond, unlearned, call.clone(), control.clone()];
    assert_eq!(told(&data, &model, "drop"), dropped);
    let cut = lines(&[TwoTokensMore, LongReply]);
    let nothing_left = lines(&[LongQuestion, Unweighted]);
    let truncated = [Vec::new(), cut, nothing_left, call.clone(), control];
    assert_eq!(told(&data, &model, "truncate"), truncated);
    // To a model without that token its text is text.
    let [.., of_other_model] = told(&data, &tiny_model(), "truncate");
    assert_eq!(of_other_model, Vec::<u64>::new());
}
