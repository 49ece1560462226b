//! A whole set of rows, checked: what each row shows alone, and what shows only among rows.
//!
//! The first file is the training split; what other files share with it is leakage.

use std::collections::{BTreeMap, HashMap};

use super::finding::{Code, Finding, Found, Place, Severity};
use super::inspect::{asked, code_of, excerpt, Inspected};
use super::labels::{self, LabelTask};
use super::replies;
use super::splits::{self, QuestionGroups};
use super::style::Style;
use crate::problem::RowProblem;

/// Bytes of rows that are kept to be compared with one another.
const MOST_KEPT_BYTES: usize = 192 << 20;
/// Bytes of a kept row beside its texts.
const KEPT_BYTES: usize = size_of::<Kept>() + 32;

/// A row as it is compared with others.
pub(super) struct Kept {
    pub(super) place: Place,
    /// The row's number over all files.
    pub(super) number: usize,
    pub(super) system: usize,
    pub(super) question: Box<str>,
    pub(super) answer: Box<str>,
    pub(super) style: Option<Box<Style>>,
}

impl Kept {
    /// What the row is about: its question, or the whole of a plain text.
    pub(super) fn asked(&self) -> &str {
        asked(&self.question, &self.answer)
    }

    pub(super) fn is_training(&self) -> bool {
        self.place.file == 0
    }
}

/// Rows on their way into a report.
#[derive(Default)]
pub struct QualityCheck {
    findings: Findings,
    kept: Vec<Kept>,
    kept_bytes: usize,
    systems: HashMap<String, usize>,
    rows: usize,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings {
    by_code: BTreeMap<Code, Finding>,
    /// Whether the worst of each row is an error or a warning, by the row's number.
    harmful: Vec<bool>,
    /// Whether rows beyond [`Finding::ROWS`] are named too.
    every_row: bool,
}

impl Findings {
    /// Adds a row; `example` is asked for where one is still wanted.
    pub(super) fn add(
        &mut self,
        code: Code,
        number: usize,
        found: Found,
        example: impl FnOnce() -> String,
    ) {
        let empty = || Finding { code, count: 0, rows: Vec::new(), examples: Vec::new() };
        let finding = self.by_code.entry(code).or_insert_with(empty);
        finding.count += 1;
        if self.every_row || finding.rows.len() < Finding::ROWS {
            finding.rows.push(found);
        }
        if finding.examples.len() < Finding::EXAMPLES {
            finding.examples.push(example());
        }
        if code.severity() != Severity::Note {
            self.harmful.resize(self.harmful.len().max(number + 1), false);
            self.harmful[number] = true;
        }
    }

    /// Adds a row that is about another one, with the texts of both.
    pub(super) fn add_pair(&mut self, code: Code, row: &Kept, other: &Kept, score: Option<f64>) {
        let found = Found { place: row.place, other: Some(other.place), score };
        self.add(code, row.number, found, || pair_example(row, other));
    }
}

fn pair_example(row: &Kept, other: &Kept) -> String {
    let shown = |row: &Kept| match (&*row.question, &*row.answer) {
        ("", answer) => format!("`{}`", excerpt(answer)),
        (question, answer) => format!("`{}` → `{}`", excerpt(question), excerpt(answer)),
    };
    format!("{} and {}", shown(row), shown(other))
}

/// What a set of rows is like.
#[derive(Debug, Clone, PartialEq)]
pub struct QualityReport {
    /// What was found, the most harmful first.
    pub findings: Vec<Finding>,
    /// Rows of all files, good and bad.
    pub rows: usize,
    /// Rows with an error or a warning.
    pub harmful_rows: usize,
    /// Labels, where the answers are labels.
    pub labels: Option<usize>,
    /// How much alike the replies are written, from 0 to 1; `None` where answers are labels or few.
    pub style_consistency: Option<f64>,
    /// Whether rows were compared with one another; a set of many gigabytes is too large for that.
    pub compared: bool,
}

impl QualityCheck {
    /// A check whose findings name every row, however many there are.
    pub fn of_every_row() -> QualityCheck {
        let findings = Findings { every_row: true, ..Findings::default() };
        QualityCheck { findings, ..QualityCheck::default() }
    }

    /// Adds a row.
    pub fn add(&mut self, row: Inspected) {
        let number = self.rows;
        self.rows += 1;
        for (code, example) in row.found {
            let found = Found { place: row.place, other: None, score: None };
            self.findings.add(code, number, found, || example);
        }
        let next = self.systems.len();
        let length = row.system.len();
        let system = *self.systems.entry(row.system).or_insert_with(|| {
            self.kept_bytes += length;
            next
        });
        self.kept_bytes += KEPT_BYTES + row.question.len() + row.answer.len();
        self.kept_bytes += row.style.as_ref().map_or(0, |_| size_of::<Style>());
        if self.compares() {
            self.kept.push(Kept {
                place: row.place,
                number,
                system,
                question: row.question.into_boxed_str(),
                answer: row.answer.into_boxed_str(),
                style: row.style.map(Box::new),
            });
        } else {
            self.kept = Vec::new();
            self.systems = HashMap::new();
        }
    }

    /// Adds a line that is no row.
    pub fn add_bad(&mut self, place: Place, problem: &RowProblem) {
        let found = Found { place, other: None, score: None };
        self.findings.add(code_of(problem), self.rows, found, || problem.to_string());
        self.rows += 1;
    }

    fn compares(&self) -> bool {
        self.kept_bytes <= MOST_KEPT_BYTES
    }

    /// The report, once every row was added.
    pub fn finish(mut self) -> QualityReport {
        let task = LabelTask::of(&self.kept);
        let compared = self.compares();
        let mut consistency = None;
        if compared {
            let questions = QuestionGroups::of(&self.kept);
            splits::compare(&self.kept, &questions, &mut self.findings);
            match &task {
                Some(task) => labels::compare(&self.kept, task, &questions, &mut self.findings),
                None => consistency = replies::compare(&self.kept, &mut self.findings),
            }
        }
        let mut findings: Vec<Finding> = self.findings.by_code.into_values().collect();
        for finding in &mut findings {
            let place = |a: &Found, b: &Found| a.place.cmp(&b.place);
            finding.rows.sort_by(|a, b| match (a.score, b.score) {
                (Some(x), Some(y)) => y.total_cmp(&x).then(place(a, b)),
                _ => place(a, b),
            });
        }
        findings.sort_by_key(|finding| (finding.code.severity(), finding.code));
        QualityReport {
            findings,
            rows: self.rows,
            harmful_rows: self.findings.harmful.iter().filter(|harmful| **harmful).count(),
            labels: task.map(|task| task.len()),
            style_consistency: consistency,
            compared,
        }
    }
}
