//! Rows whose answers are labels: contradictions, suspect labels, rare and unseen ones.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::excerpt::excerpt;
use super::finding::{Code, Found};
use super::grade::LabelledRows;
use super::label_noise::{suspicions, Suspicion};
use super::near::normalized;
use super::set::{Findings, Kept};
use super::splits::QuestionGroups;
use super::word_space::MOST_TEXTS;

/// Training rows below which answers are not taken for labels.
const FEWEST_ROWS: usize = 20;
/// Words of a label at most.
const LABEL_WORDS: usize = 5;
/// Bytes of a label at most.
const LABEL_BYTES: usize = 60;
/// Share of the answers that have to be that short.
const SHORT_SHARE: f64 = 0.98;
/// Rows for each label at least, on average.
const ROWS_PER_LABEL: usize = 3;
/// Training rows of a label below which it is rare.
const RARE: usize = 10;
/// Suspicion from which a label is told, where its neighbours agree on another.
const SUSPECT: f64 = 0.9;

/// The labels of a set, numbered in order of their names.
pub(super) struct LabelTask {
    numbers: BTreeMap<String, usize>,
}

impl LabelTask {
    /// The labels, where the training rows' answers are such.
    pub(super) fn of(rows: &[Kept]) -> Option<LabelTask> {
        let training = rows.iter().filter(|row| row.is_training());
        let trained = label_names(training.map(|row| (&*row.question, &*row.answer)))?;
        // Labels of other splits are known too, so that each answer has a number.
        let all = rows.iter().map(|row| label(&row.answer)).chain(trained);
        let names: BTreeSet<String> = all.collect();
        let numbers = names.into_iter().enumerate().map(|(number, name)| (name, number)).collect();
        Some(LabelTask { numbers })
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.numbers.len()
    }

    /// The training rows and their labels.
    pub(super) fn labelled(&self, rows: &[Kept]) -> LabelledRows {
        let training = rows.iter().filter(|row| row.is_training());
        LabelledRows {
            names: self.numbers.keys().map(|name| excerpt(name)).collect(),
            rows: training.map(|row| (row.number, self.number(&row.answer))).collect(),
        }
    }

    fn number(&self, answer: &str) -> usize {
        self.numbers.get(&label(answer)).copied().unwrap_or(self.numbers.len())
    }
}

/// The names of the labels, where the answers to these questions are such; `None` where they are texts or few.
pub(crate) fn label_names<'a>(
    rows: impl Iterator<Item = (&'a str, &'a str)>,
) -> Option<BTreeSet<String>> {
    let rows: Vec<(&str, &str)> = rows.collect();
    if rows.len() < FEWEST_ROWS || rows.iter().any(|(question, _)| question.is_empty()) {
        return None;
    }
    let is_short = |answer: &str| {
        let words = answer.split_whitespace().count();
        answer.len() <= LABEL_BYTES && (1..=LABEL_WORDS).contains(&words)
    };
    let short = rows.iter().filter(|(_, answer)| is_short(answer)).count();
    let names: BTreeSet<String> = rows.iter().map(|(_, answer)| label(answer)).collect();
    let are_labels = (short as f64) >= SHORT_SHARE * rows.len() as f64
        && names.len() >= 2
        && names.len() * ROWS_PER_LABEL <= rows.len();
    are_labels.then_some(names)
}

/// The label that an answer is.
pub(crate) fn label(answer: &str) -> String {
    answer.trim().to_owned()
}

/// Adds what the labels show, and returns how suspect the label of each training row is, by the row's number.
///
/// Beyond [`MOST_TEXTS`] training rows labels are not compared with those of their neighbours, and nothing is returned.
pub(super) fn compare(
    rows: &[Kept],
    task: &LabelTask,
    questions: &QuestionGroups,
    findings: &mut Findings,
) -> Vec<(usize, f64)> {
    let numbers: Vec<usize> = rows.iter().map(|row| task.number(&row.answer)).collect();
    contradictions(rows, &numbers, questions, findings);
    near_contradictions(rows, &numbers, questions, findings);
    let suspicions = suspects(rows, &numbers, task, findings);
    counts(rows, &numbers, task, findings);
    suspicions
}

/// One question under one system message, different labels: told of the rows that do not have the label of most.
fn contradictions(
    rows: &[Kept],
    numbers: &[usize],
    questions: &QuestionGroups,
    findings: &mut Findings,
) {
    for members in questions.same() {
        let usual = most(members.iter().map(|row| numbers[*row]));
        for &row in members.iter().filter(|row| usual != Some(numbers[**row])) {
            let other = members.iter().find(|other| numbers[**other] != numbers[row]);
            if let Some(&other) = other {
                findings.add_pair(Code::Contradiction, &rows[row], &rows[other], None);
            }
        }
    }
}

/// The label that more than half have, if one does.
fn most(labels: impl Iterator<Item = usize>) -> Option<usize> {
    let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
    labels.for_each(|label| *counts.entry(label).or_default() += 1);
    let all: usize = counts.values().sum();
    counts.into_iter().find(|(_, count)| 2 * count > all).map(|(label, _)| label)
}

/// Nearly one question, different labels: told of the later row of each pair.
fn near_contradictions(
    rows: &[Kept],
    numbers: &[usize],
    questions: &QuestionGroups,
    findings: &mut Findings,
) {
    let mut told = vec![false; rows.len()];
    for edge in questions.near().edges() {
        let (first, second) = (questions.row(edge.first), questions.row(edge.second));
        if numbers[first] != numbers[second]
            && rows[first].system == rows[second].system
            && !told[second]
        {
            told[second] = true;
            findings.add_pair(Code::NearContradiction, &rows[second], &rows[first], None);
        }
    }
}

/// Labels that the nearest training rows do not have; returns the suspicion of each training row, by its number.
fn suspects(
    rows: &[Kept],
    numbers: &[usize],
    task: &LabelTask,
    findings: &mut Findings,
) -> Vec<(usize, f64)> {
    let training: Vec<usize> = (0..rows.len()).filter(|row| rows[*row].is_training()).collect();
    if training.len() > MOST_TEXTS {
        findings.not_looked_for.push(Code::SuspectLabel);
        return Vec::new();
    }
    let texts: Vec<String> = training.iter().map(|row| normalized(&rows[*row].question)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let labels: Vec<usize> = training.iter().map(|row| numbers[*row]).collect();
    let names: Vec<&str> = task.numbers.keys().map(String::as_str).collect();
    let found = suspicions(&texts, &labels);
    let mut suspect: Vec<usize> = (0..found.len())
        .filter(|at| found[*at].score >= SUSPECT && found[*at].majority != labels[*at])
        .collect();
    suspect.sort_by(|a, b| found[*b].score.total_cmp(&found[*a].score).then(a.cmp(b)));
    for at in suspect {
        let Suspicion { score, majority, nearest, .. } = found[at];
        let row = &rows[training[at]];
        let other = nearest.map(|near| rows[training[near]].place);
        let found = Found { place: row.place, other, score: Some(score) };
        findings.add(Code::SuspectLabel, row.number, found, || {
            let expected = names.get(majority).copied().unwrap_or_default();
            let (question, answer) = (excerpt(&row.question), excerpt(&row.answer));
            let expected = excerpt(expected);
            format!("`{question}` → `{answer}`, its neighbours `{expected}`")
        });
    }
    let scored = training.iter().zip(&found);
    scored.map(|(row, found)| (rows[*row].number, found.score)).collect()
}

/// Rare labels of the training rows, and labels of other rows that no training row has.
fn counts(rows: &[Kept], numbers: &[usize], task: &LabelTask, findings: &mut Findings) {
    let mut training: HashMap<usize, usize> = HashMap::new();
    for (row, number) in rows.iter().zip(numbers) {
        if row.is_training() {
            *training.entry(*number).or_default() += 1;
        }
    }
    let names: Vec<&String> = task.numbers.keys().collect();
    let name = |number: usize| names.get(number).map_or("", |name| name.as_str());
    for (row, &number) in rows.iter().zip(numbers) {
        let count = training.get(&number).copied().unwrap_or(0);
        let code = match (row.is_training(), count) {
            (false, 0) => Code::UnseenLabel,
            (true, count) if count < RARE => Code::RareLabel,
            _ => continue,
        };
        let found = Found { place: row.place, other: None, score: None };
        findings.add(code, row.number, found, || {
            let rows = if count == 1 { "row" } else { "rows" };
            format!("`{}`: {count} training {rows}", excerpt(name(number)))
        });
    }
}
