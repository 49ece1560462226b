//! A whole set of rows, checked: what each row shows alone, and what shows only among rows.
//!
//! The first file is the training split; what other files share with it is leakage.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU64;

use whatlang::Lang;

use super::code_set::CodeSet;
use super::excerpt::excerpt;
use super::finding::{Code, Evidence, Finding, Found, Place};
use super::grade::{Grade, GradeInput, Shapes};
use super::groups;
use super::inspect::{asked, code_of, Inspected};
use super::labels::{self, LabelTask};
use super::language::Languages;
use super::loss;
use super::replies;
use super::row_score::{row_scores, RowScore};
use super::shift;
use super::splits::{self, QuestionGroups};
use super::style::Style;
use crate::problem::RowProblem;

/// Bytes of rows that are kept to be compared with one another.
const MOST_KEPT_BYTES: usize = 208 << 20;
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
    /// What the row belongs to, as [`groups::hash`] gives it.
    pub(super) group: Option<NonZeroU64>,
    /// The language of its answer, or of its question where the answer is short.
    pub(super) language: Option<Lang>,
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
    /// Nats per supervised token under the base model, of the training rows that were measured.
    losses: HashMap<Place, f64>,
    /// Whether each line is one of the training split, by its number.
    training: Vec<bool>,
    shapes: Shapes,
    /// Lines that are no rows.
    unread: usize,
    /// Where the row of each number stands; `None` where rows are not to be scored.
    places: Option<Vec<Place>>,
}

/// What was found so far.
#[derive(Default)]
pub(super) struct Findings {
    by_code: BTreeMap<Code, Finding>,
    /// What was found in each row, by the row's number.
    codes: Vec<CodeSet>,
    /// Whether rows beyond [`Finding::ROWS`] are named too.
    every_row: bool,
    /// What the rows are too many for.
    pub(super) not_looked_for: Vec<Code>,
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
        self.codes.resize(self.codes.len().max(number + 1), CodeSet::default());
        self.codes[number].insert(code);
    }

    /// Adds a row that is about another one, with the texts of both.
    pub(super) fn add_pair(&mut self, code: Code, row: &Kept, other: &Kept, score: Option<f64>) {
        let found = Found { place: row.place, other: Some(other.place), score };
        self.add(code, row.number, found, || pair_example(row, other));
    }

    /// Adds rows, each after its number, which one example shows.
    pub(super) fn add_alike(
        &mut self,
        code: Code,
        rows: impl Iterator<Item = (usize, Found)>,
        example: &str,
    ) {
        rows.for_each(|(number, found)| self.add(code, number, found, || example.to_owned()));
        if let Some(finding) = self.by_code.get_mut(&code) {
            finding.examples.dedup();
        }
    }

    /// Adds a file as a whole, given with the number of its rows: none of them alone is harmful.
    pub(super) fn add_file(
        &mut self,
        code: Code,
        file: usize,
        score: f64,
        examples: impl Iterator<Item = String>,
    ) {
        let empty = Finding { code, count: 0, rows: Vec::new(), examples: Vec::new() };
        let finding = self.by_code.entry(code).or_insert(empty);
        finding.count += 1;
        let place = Place { file, line: 0 };
        finding.rows.push(Found { place, other: None, score: Some(score) });
        finding.examples.extend(examples);
        finding.examples.truncate(Finding::EXAMPLES);
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
    /// What the training rows are worth; `None` where none could be read.
    pub grade: Option<Grade>,
    /// Labels, where the answers are labels.
    pub labels: Option<usize>,
    /// How much alike the replies are written, from 0 to 1; `None` where answers are labels or few.
    pub style_consistency: Option<f64>,
    /// English names of the languages of the training rows and how many rows are in each, most first; rows that are too
    /// short to tell have none.
    ///
    /// The language is that of the replies, or of the questions where the answers are labels.
    pub languages: Vec<(String, usize)>,
    /// Whether rows were compared with one another; a set of many gigabytes is too large for that.
    pub compared: bool,
    /// Codes that were not looked for, because the rows are too many.
    pub not_looked_for: Vec<Code>,
    /// What is known of each row, in the order in which rows were added; empty unless
    /// [`QualityCheck::with_row_scores`] asked for it.
    pub row_scores: Vec<RowScore>,
}

impl QualityCheck {
    /// A check whose findings name every row, however many there are.
    pub fn of_every_row() -> QualityCheck {
        let findings = Findings { every_row: true, ..Findings::default() };
        QualityCheck { findings, ..QualityCheck::default() }
    }

    /// The same check, whose report scores every row.
    pub fn with_row_scores(self) -> QualityCheck {
        QualityCheck { places: Some(Vec::new()), ..self }
    }

    /// Adds what the base model finds of a row of the first file, in nats per supervised token.
    pub fn add_loss(&mut self, place: Place, nats_per_token: f64) {
        if nats_per_token.is_finite() {
            self.losses.insert(place, nats_per_token);
        }
    }

    /// Adds a row.
    pub fn add(&mut self, row: Inspected) {
        let number = self.rows;
        self.rows += 1;
        self.places.iter_mut().for_each(|places| places.push(row.place));
        let is_training = row.place.file == 0;
        self.training.push(is_training);
        if is_training {
            self.shapes.add(row.shape, &row.answer);
        }
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
                group: row.group.as_deref().and_then(groups::hash),
                language: row.language,
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
        self.places.iter_mut().for_each(|places| places.push(place));
        self.training.push(place.file == 0);
        self.unread += 1;
        self.rows += 1;
    }

    /// Whether a code is found by comparing rows; high losses only where they were measured.
    fn compares_for(&self, code: Code) -> bool {
        match code.evidence() {
            Evidence::Rows | Evidence::Repeat | Evidence::Splits => true,
            Evidence::Line | Evidence::Row => false,
            Evidence::Model => code == Code::HighLoss && !self.losses.is_empty(),
        }
    }

    fn compares(&self) -> bool {
        self.kept_bytes <= MOST_KEPT_BYTES
    }

    /// The report, once every row was added.
    pub fn finish(mut self) -> QualityReport {
        let task = LabelTask::of(&self.kept);
        let languages = Languages::of(&self.kept, task.is_some());
        let compared = self.compares();
        let (consistency, suspicions) = match compared {
            true => self.compare_rows(task.as_ref(), &languages),
            false => {
                let missed = Code::ALL.into_iter().filter(|code| self.compares_for(*code));
                self.findings.not_looked_for = missed.collect();
                (None, Vec::new())
            }
        };
        let places = self.places.unwrap_or_default();
        let row_scores = row_scores(places, &self.findings.codes, &suspicions, &self.losses);
        let findings = sorted(self.findings.by_code);
        let codes = &self.findings.codes;
        let harmful = CodeSet::harmful();
        let grade = Grade::of(&GradeInput {
            codes,
            training: &self.training,
            shapes: &self.shapes,
            labels: task.as_ref().map(|task| task.labelled(&self.kept)),
            findings: &findings,
            unread: self.unread,
        });
        QualityReport {
            findings,
            rows: self.rows,
            harmful_rows: codes.iter().filter(|codes| !codes.both(harmful).is_empty()).count(),
            grade,
            labels: task.map(|task| task.len()),
            style_consistency: consistency,
            languages: languages.named(),
            compared,
            not_looked_for: self.findings.not_looked_for,
            row_scores,
        }
    }

    /// Adds what shows among the rows, and returns how much alike replies are written and how suspect the training rows
    /// are, by their numbers.
    fn compare_rows(
        &mut self,
        task: Option<&LabelTask>,
        languages: &Languages,
    ) -> (Option<f64>, Vec<(usize, f64)>) {
        let questions = QuestionGroups::of(&self.kept);
        splits::compare(&self.kept, &questions, &mut self.findings);
        let mut consistency = None;
        let of_labels = match task {
            Some(task) => Some(labels::compare(&self.kept, task, &questions, &mut self.findings)),
            None => {
                consistency = replies::compare(&self.kept, &mut self.findings);
                None
            }
        };
        languages.compare(&self.kept, &mut self.findings);
        shift::compare(&self.kept, task.is_some(), languages, &mut self.findings);
        let of_losses = match self.losses.is_empty() {
            true => Vec::new(),
            false => loss::compare(&self.kept, &self.losses, &mut self.findings),
        };
        (consistency, of_labels.unwrap_or(of_losses))
    }
}

/// The findings, the most harmful first, and in each the rows in their order, or the worst first where they have scores.
fn sorted(by_code: BTreeMap<Code, Finding>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = by_code.into_values().collect();
    for finding in &mut findings {
        let place = |a: &Found, b: &Found| a.place.cmp(&b.place);
        finding.rows.sort_by(|a, b| match (a.score, b.score) {
            (Some(x), Some(y)) => y.total_cmp(&x).then(place(a, b)),
            _ => place(a, b),
        });
    }
    findings.sort_by_key(|finding| (finding.code.severity(), finding.code));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_about_files_counts_them_and_makes_no_row_harmful() {
        let mut findings = Findings::default();
        let examples = ["a", "b", "c", "d"].map(str::to_owned);
        findings.add_file(Code::Shift, 1, 0.5, examples.into_iter());
        findings.add_file(Code::Shift, 2, 0.25, std::iter::empty());
        let finding = &findings.by_code[&Code::Shift];
        assert_eq!(finding.count, 2);
        let found = |file: usize, score: f64| {
            let place = Place { file, line: 0 };
            Found { place, other: None, score: Some(score) }
        };
        assert_eq!(finding.rows, [found(1, 0.5), found(2, 0.25)]);
        assert_eq!(finding.examples, ["a", "b", "c"]);
        assert!(findings.codes.is_empty());
    }

    #[test]
    fn rows_alike_have_one_example() {
        let row = |line: usize| {
            let place = Place { file: 0, line };
            (line, Found { place, other: None, score: None })
        };
        let mut findings = Findings::default();
        findings.add_alike(Code::SameOpening, (1..6).map(row), "first");
        findings.add_alike(Code::SameOpening, (6..8).map(row), "second");
        let finding = &findings.by_code[&Code::SameOpening];
        assert_eq!((finding.count, finding.rows.len()), (7, 7));
        assert_eq!(finding.examples, ["first", "second"]);
    }
}
