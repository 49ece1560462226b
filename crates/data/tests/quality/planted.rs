//! Faults planted into real rows at known lines: how many are found, and how much else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};
use tunewise_data::quality::label_noise::{auroc, suspicions};
use tunewise_data::quality::{Code, Severity};

use crate::report;

/// Rows that each fault is planted in.
pub const PLANTED: usize = 20;
/// Training rows, and rows of the test split.
pub const ROWS: (usize, usize) = (1500, 200);
/// Precision and recall at least.
pub const LEAST: f64 = 0.95;

type Change = fn(&mut Vec<Value>, usize);
/// A fault and where it is: file and line.
pub type Row = (Code, (usize, usize));

/// Faults of one row: what each does to its messages; `n` tells the rows apart.
const CHANGES: [(Code, Change); 15] = [
    (Code::UnknownRole, |turns, _| turns[0]["role"] = json!("customer")),
    (Code::NoAnswer, |turns, _| {
        turns.pop();
    }),
    (Code::EmptyTurn, |turns, _| answer(turns, "  \n")),
    (Code::ToolArguments, |turns, _| call(turns, "{\"city\": ", true)),
    (Code::ToolUnanswered, |turns, _| call(turns, "{}", false)),
    (Code::RoleOrder, |turns, _| {
        let at = turns.len() - 2;
        turns.insert(at, json!({ "role": "user", "content": "And one more thing." }));
    }),
    (Code::Mojibake, |turns, _| ask(turns, " We met at the cafÃ© near the station.")),
    (Code::ControlCharacter, |turns, _| ask(turns, " Thanks\u{7} a lot.")),
    (Code::ZeroWidth, |turns, _| ask(turns, " Please check the book\u{200b}ing.")),
    (Code::ReplacementCharacter, |turns, _| ask(turns, " It is in K\u{fffd}ln.")),
    (Code::EscapedText, |turns, _| ask(turns, " We met at the caf\\u00e9.")),
    (Code::ControlToken, |turns, _| ask(turns, "<|im_end|>")),
    (Code::CutOff, |turns, n| {
        answer(
            turns,
            &format!(
                "Thank you for asking. We will look at the {} bookings that you have and then the",
                n + 2
            ),
        );
    }),
    (Code::PersonalData, |turns, n| {
        ask(turns, &format!(" Write to jane.roe{n}@mail.com, please."))
    }),
    (Code::Credential, |turns, n| {
        ask(turns, &format!(" My key is ghp_{}{n:02}.", "aB3dE5fG7hJ9kL1mN3pQ5rS7tU9vW1xY3z"));
    }),
];

/// Adds words to the last question.
pub fn ask(turns: &mut [Value], more: &str) {
    let at = turns.len() - 2;
    let text = format!("{}{more}", turns[at]["content"].as_str().unwrap());
    turns[at]["content"] = json!(text);
}

/// Replaces the answer.
pub fn answer(turns: &mut [Value], text: &str) {
    let at = turns.len() - 1;
    turns[at]["content"] = json!(text);
}

/// Puts a call of the tool `find` before the answer.
pub fn call(turns: &mut Vec<Value>, arguments: &str, answered: bool) {
    let call =
        json!({ "type": "function", "function": { "name": "find", "arguments": arguments } });
    let next = match answered {
        true => json!({ "role": "tool", "content": "3 rooms" }),
        false => json!({ "role": "user", "content": "And what did it say?" }),
    };
    let at = turns.len() - 1;
    turns.splice(at..at, [json!({ "role": "assistant", "tool_calls": [call] }), next]);
}

/// The file of a real split; `None` without the material beside the project.
pub fn shared(set: &str, split: &str) -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = root.join(set).join(format!("{split}.jsonl"));
    if !path.exists() {
        println!("skipped: ../shared is absent");
        return None;
    }
    Some(path)
}

/// The first rows of a file.
pub fn read(path: &Path, count: usize) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().take(count).map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The turns of a row.
pub fn turns(row: &mut Value) -> &mut Vec<Value> {
    row["messages"].as_array_mut().unwrap()
}

/// The last question of a row.
pub fn asked(row: &Value) -> &str {
    let turns = row["messages"].as_array().unwrap();
    turns[turns.len() - 2]["content"].as_str().unwrap()
}

/// Two files with faults in them, and which are where.
struct Plant {
    train: Vec<Value>,
    test: Vec<Value>,
    lines: Vec<String>,
    planted: Vec<Row>,
}

impl Plant {
    /// Rows with each fault in some of them; `before` is what they hold of their own.
    fn of(train: Vec<Value>, test: Vec<Value>, before: &BTreeSet<Row>) -> Plant {
        let mut plant = Plant { train, test, lines: Vec::new(), planted: Vec::new() };
        for (kind, (code, change)) in CHANGES.iter().enumerate() {
            for n in 0..PLANTED {
                let at = n * (CHANGES.len() + 2) + kind;
                change(turns(&mut plant.train[at]), n);
                plant.planted.push((*code, (0, at + 1)));
            }
        }
        plant.copies(before);
        plant.lines = plant.train.iter().map(Value::to_string).collect();
        plant.bad_lines();
        plant
    }

    /// Copies and near-copies of rows without a fault.
    fn copies(&mut self, before: &BTreeSet<Row>) {
        let first = PLANTED * (CHANGES.len() + 2);
        let has_fault = |line: usize| before.iter().any(|(_, place)| *place == (0, line));
        let chosen: Vec<Value> = (first..self.train.len())
            .filter(|at| !has_fault(at + 1))
            .filter(|at| asked(&self.train[*at]).split_whitespace().count() >= 10)
            .map(|at| self.train[at].clone())
            .collect();
        let mut chosen = chosen.into_iter();
        for n in 0..PLANTED {
            let copy = chosen.next().unwrap();
            self.train.push(copy);
            self.planted.push((Code::Duplicate, (0, self.train.len())));
            let mut near = chosen.next().unwrap();
            ask(turns(&mut near), " ok");
            self.train.push(near);
            self.planted.push((Code::NearDuplicate, (0, self.train.len())));
            self.test.push(chosen.next().unwrap());
            self.planted.push((Code::Leak, (1, self.test.len())));
            let mut near = chosen.next().unwrap();
            ask(turns(&mut near), [" ok", " hm"][n % 2]);
            self.test.push(near);
            self.planted.push((Code::NearLeak, (1, self.test.len())));
        }
    }

    /// Lines that are no rows, or rows of another format.
    fn bad_lines(&mut self) {
        for n in 0..PLANTED {
            let at = n * (CHANGES.len() + 2) + CHANGES.len();
            let cut = self.lines[at].len() / 2;
            let cut = (cut..).find(|cut| self.lines[at].is_char_boundary(*cut)).unwrap();
            self.lines[at].truncate(cut);
            self.planted.push((Code::Unreadable, (0, at + 1)));
            let prompt = json!({ "prompt": asked(&self.train[at + 1]), "completion": "yes" });
            self.lines[at + 1] = prompt.to_string();
            self.planted.push((Code::MixedFormats, (0, at + 2)));
        }
    }
}

/// The rows of each code in the report on some files.
pub fn found(splits: &[&[String]]) -> BTreeSet<Row> {
    let report = report(splits);
    let rows = report.findings.iter().flat_map(|finding| {
        finding.rows.iter().map(|found| (finding.code, (found.place.file, found.place.line)))
    });
    rows.collect()
}

/// The lines of rows.
pub fn strings(rows: &[Value]) -> Vec<String> {
    rows.iter().map(Value::to_string).collect()
}

/// Plants every fault into a set, each of which has to be found.
fn check(set: &str) {
    let (Some(train), Some(test)) = (shared(set, "train"), shared(set, "test")) else { return };
    let (train, test) = (read(&train, ROWS.0), read(&test, ROWS.1));
    let before = found(&[&strings(&train), &strings(&test)]);
    let errors: Vec<_> =
        before.iter().filter(|(code, _)| code.severity() == Severity::Error).collect();
    println!("{set}: {} errors in the rows as they are: {:?}", errors.len(), errors.first());
    let plant = Plant::of(train, test, &before);
    let after = found(&[&plant.lines, &strings(&plant.test)]);
    tell(set, &plant.planted, &before, &after, |_| (LEAST, LEAST));
}

/// Prints precision and recall of each planted code, which have to be as `least` says of it.
pub fn tell(
    set: &str,
    planted: &[Row],
    before: &BTreeSet<Row>,
    after: &BTreeSet<Row>,
    least: fn(Code) -> (f64, f64),
) {
    let codes: BTreeSet<Code> = planted.iter().map(|(code, _)| *code).collect();
    for code in codes {
        let planted: BTreeSet<Row> = planted.iter().filter(|row| row.0 == code).copied().collect();
        // What the rows hold of their own counts for nobody.
        let new: BTreeSet<Row> =
            after.difference(before).filter(|row| row.0 == code).copied().collect();
        let hits = new.intersection(&planted).count();
        let countable = planted.difference(before).count();
        let (precision, recall) =
            (hits as f64 / new.len().max(1) as f64, hits as f64 / countable.max(1) as f64);
        println!("| {set} | {code} | {countable} planted | precision {precision:.3} | recall {recall:.3} |");
        let others: Vec<_> = new.difference(&planted).take(3).collect();
        let missed: Vec<_> = planted.difference(&new).take(3).collect();
        let least = least(code);
        assert!(
            precision >= least.0 && recall >= least.1,
            "{code}: {precision} {recall}, others {others:?}, missed {missed:?}"
        );
    }
}

#[test]
fn faults_planted_into_support_replies_are_found() {
    check("support_replies");
}

#[test]
fn faults_planted_into_intents_are_found() {
    check("bitext_intent");
}

#[test]
fn flipped_labels_are_the_most_suspicious() {
    let Some(path) = shared("clinc150", "train") else { return };
    let rows = read(&path, usize::MAX);
    let texts: Vec<&str> = rows.iter().map(asked).collect();
    let answer =
        |row: &Value| row["messages"].as_array().unwrap().last().unwrap()["content"].to_string();
    let names: BTreeSet<String> = rows.iter().map(answer).collect();
    let names: Vec<&String> = names.iter().collect();
    let mut labels: Vec<usize> =
        rows.iter().map(|row| names.binary_search(&&answer(row)).unwrap()).collect();
    // A fixed multiplier walks over the rows: every twentieth gets another label.
    let flipped: Vec<bool> = (0..rows.len()).map(|row| (row * 7919 + 13) % 20 == 0).collect();
    for (row, label) in labels.iter_mut().enumerate().filter(|(row, _)| flipped[*row]) {
        *label = (*label + 1 + row * 104_729 % (names.len() - 1)) % names.len();
    }
    let scores: Vec<f64> = suspicions(&texts, &labels).iter().map(|found| found.score).collect();
    let area = auroc(&scores, &flipped);
    println!(
        "clinc150: {} of {} labels flipped, AUROC {area:.4}",
        flipped.iter().filter(|f| **f).count(),
        rows.len()
    );
    for least in [0.8, 0.85, 0.9, 0.93, 0.95] {
        let told = scores.iter().zip(&flipped).filter(|(score, _)| **score >= least);
        let (count, right) = told.fold((0, 0), |(n, r), (_, f)| (n + 1, r + usize::from(*f)));
        println!("  {least}: {count} told, {right} of them flipped");
    }
    assert!(area >= 0.90, "{area}");
}
