//! What a set of rows is worth: a grade, whether its good rows are enough for the task, and what to do first.
//!
//! In order: rows are counted, the kind of task tells how many of them others needed, and the plan says what to mend.

mod plan;
mod task;

use std::collections::BTreeMap;
use std::fmt;

use super::code_set::CodeSet;
use super::finding::{Code, Finding, Severity};

pub use plan::{Remedy, Step};
pub(crate) use task::{shape_of, Shapes};
pub use task::{Basis, Shape, TaskKind};

/// How good the training rows are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Letter {
    /// Hardly anything to mend.
    A,
    /// Little to mend.
    B,
    /// Something that is wrong, or much to mend.
    C,
    /// Hardly more good rows than others.
    D,
    /// Fewer good rows than others.
    F,
}

impl Letter {
    /// The rule, in words.
    pub const RULE: &'static str =
        "A from 95 % good training rows, B from 85 %, C from 70 %, D from 50 %, F below; \
         with a finding of severity error in any file, C at best";
    /// The least good rows of each letter, in percent.
    const LEAST: [(Letter, usize); 4] =
        [(Letter::A, 95), (Letter::B, 85), (Letter::C, 70), (Letter::D, 50)];

    fn of(good: usize, training: usize, has_error: bool) -> Letter {
        let reached =
            Letter::LEAST.into_iter().find(|(_, percent)| 100 * good >= percent * training);
        let letter = reached.map_or(Letter::F, |(letter, _)| letter);
        match has_error {
            true => letter.max(Letter::C),
            false => letter,
        }
    }

    /// The letter that programs read.
    pub fn name(self) -> &'static str {
        match self {
            Letter::A => "A",
            Letter::B => "B",
            Letter::C => "C",
            Letter::D => "D",
            Letter::F => "F",
        }
    }
}

impl fmt::Display for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Whether rows are enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Fewer than others began with.
    TooFew,
    /// Enough to begin with.
    Starts,
    /// As many as others were at ease with.
    Plenty,
    /// No published number is relied on.
    NoRange,
}

impl Verdict {
    /// The name that programs read.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::TooFew => "too-few",
            Verdict::Starts => "starts",
            Verdict::Plenty => "plenty",
            Verdict::NoRange => "no-range",
        }
    }
}

/// How much there is to learn from, beside what others needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Enough {
    /// Whether it is enough.
    pub verdict: Verdict,
    /// Units: distinct good rows, those of the shortest label where there are labels; characters of plain texts.
    pub have: usize,
    /// As many as others began with, in the same unit.
    pub need: Option<usize>,
    /// As many as others were at ease with.
    pub comfortable: Option<usize>,
    /// How the labels stand, where there are labels.
    pub labels: Option<LabelCounts>,
}

/// How many labels have how many distinct good rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelCounts {
    /// Labels with fewer than are needed.
    pub short: usize,
    /// Labels with as many as are comfortable.
    pub ample: usize,
}

impl Enough {
    fn of(task: TaskKind, have: usize, labels: &[usize]) -> Enough {
        let range = task.range();
        let verdict = match range {
            None => Verdict::NoRange,
            Some(range) if have < range.need => Verdict::TooFew,
            Some(range) if have < range.comfortable => Verdict::Starts,
            Some(_) => Verdict::Plenty,
        };
        let labels = match (task, range) {
            (TaskKind::Labels { .. }, Some(range)) => Some(LabelCounts {
                short: labels.iter().filter(|rows| **rows < range.need).count(),
                ample: labels.iter().filter(|rows| **rows >= range.comfortable).count(),
            }),
            _ => None,
        };
        Enough {
            verdict,
            have,
            need: range.map(|range| range.need),
            comfortable: range.map(|range| range.comfortable),
            labels,
        }
    }
}

/// What a set of rows is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grade {
    /// How good the training rows are.
    pub letter: Letter,
    /// Lines of the training split, rows and others.
    pub training: usize,
    /// Training rows without an error or a warning.
    pub good: usize,
    /// Good rows that do not nearly repeat an earlier row: what there is to learn from.
    pub distinct: usize,
    /// What the rows teach.
    pub task: TaskKind,
    /// Whether the distinct good rows are enough for that.
    pub enough: Enough,
    /// What to do first, at most five steps.
    pub plan: Vec<Step>,
    /// Lines of any file that are no rows: `tunewise prepare` has to be told to pass over them.
    pub unread: usize,
}

/// The training rows of each label.
pub(super) struct LabelledRows {
    /// What the labels are called, by their numbers.
    pub(super) names: Vec<String>,
    /// The number of each training row, and that of its label.
    pub(super) rows: Vec<(usize, usize)>,
}

/// What a grade is made of.
pub(super) struct GradeInput<'a> {
    /// The codes of each row by its number; rows beyond the end have none.
    pub(super) codes: &'a [CodeSet],
    /// Whether each line is one of the training split, by its number.
    pub(super) training: &'a [bool],
    /// What the training rows look like, those that could be read.
    pub(super) shapes: &'a Shapes,
    /// The labels, where answers are labels.
    pub(super) labels: Option<LabelledRows>,
    /// What was found.
    pub(super) findings: &'a [Finding],
    /// Lines of any file that are no rows.
    pub(super) unread: usize,
}

/// Training rows, counted.
#[derive(Default)]
struct Counts {
    training: usize,
    good: usize,
    distinct: usize,
    /// Rows that have this error or warning and no other.
    alone: BTreeMap<Code, usize>,
    /// Distinct good rows of each label.
    labels: Vec<usize>,
}

impl Counts {
    fn of(input: &GradeInput<'_>) -> Counts {
        let harmful = CodeSet::harmful();
        let codes_of = |number: usize| input.codes.get(number).copied().unwrap_or_default();
        let is_good = |codes: CodeSet| codes.both(harmful).is_empty();
        let is_distinct = |codes: CodeSet| is_good(codes) && !codes.contains(Code::NearDuplicate);
        let mut counts = Counts::default();
        for (number, _) in input.training.iter().enumerate().filter(|(_, training)| **training) {
            let codes = codes_of(number);
            counts.training += 1;
            counts.good += usize::from(is_good(codes));
            counts.distinct += usize::from(is_distinct(codes));
            if let Some(code) = codes.both(harmful).only() {
                *counts.alone.entry(code).or_default() += 1;
            }
        }
        if let Some(labels) = &input.labels {
            counts.labels = vec![0; labels.names.len()];
            for (number, label) in &labels.rows {
                if let Some(rows) = counts.labels.get_mut(*label) {
                    *rows += usize::from(is_distinct(codes_of(*number)));
                }
            }
        }
        counts
    }
}

impl Grade {
    /// What published ranges are worth.
    pub const CAVEAT: &'static str =
        "these are ranges from other models and other data, not a law: \
         only `tunewise compare` on rows held out tells";

    /// The grade; `None` where no training row could be read.
    pub(super) fn of(input: &GradeInput<'_>) -> Option<Grade> {
        let labels = input.labels.as_ref();
        let task = TaskKind::of(labels.map(|labels| labels.names.len()), input.shapes)?;
        let counts = Counts::of(input);
        let have = match task {
            TaskKind::Labels { .. } => counts.labels.iter().min().copied().unwrap_or(0),
            TaskKind::Text => input.shapes.characters(),
            TaskKind::Replies | TaskKind::ToolCalls | TaskKind::Preferences => counts.distinct,
        };
        let enough = Enough::of(task, have, &counts.labels);
        let collect = enough.need.and_then(|need| match labels {
            Some(labels) => Step::collect_labels(&labels.names, &counts.labels, need),
            None => Step::collect(have, need),
        });
        let has_error =
            input.findings.iter().any(|finding| finding.code.severity() == Severity::Error);
        Some(Grade {
            letter: Letter::of(counts.good, counts.training, has_error),
            training: counts.training,
            good: counts.good,
            distinct: counts.distinct,
            task,
            enough,
            plan: plan::steps(input.findings, &counts.alone, collect),
            unread: input.unread,
        })
    }

    /// The flags that tell `tunewise prepare` to do these steps; `None` where it helps with none of them.
    pub fn flags(&self, steps: &[Step]) -> Option<Vec<String>> {
        plan::flags(steps, self.unread)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of a training split, each with its codes.
    struct Rows {
        codes: Vec<CodeSet>,
        training: Vec<bool>,
        shapes: Shapes,
    }

    impl Rows {
        /// So many replies in which nothing was found, and the others with what was.
        fn of(good: usize, bad: &[&[Code]]) -> Rows {
            let mut codes = vec![CodeSet::default(); good];
            codes.extend(bad.iter().map(|row| {
                let mut set = CodeSet::default();
                row.iter().for_each(|code| set.insert(*code));
                set
            }));
            let mut shapes = Shapes::default();
            (0..good).for_each(|_| shapes.add(Shape::Conversation, "Yes."));
            Rows { training: vec![true; codes.len()], codes, shapes }
        }

        fn input<'a>(&'a self, findings: &'a [Finding]) -> GradeInput<'a> {
            let Rows { codes, training, shapes } = self;
            GradeInput { codes, training, shapes, labels: None, findings, unread: 0 }
        }
    }

    fn finding(code: Code) -> Finding {
        Finding { code, count: 1, rows: Vec::new(), examples: Vec::new() }
    }

    #[test]
    fn letters_follow_the_share_of_good_rows_and_an_error_costs_them() {
        let letters = |has_error| {
            [1000, 950, 949, 850, 849, 700, 699, 500, 499, 0]
                .map(|good| Letter::of(good, 1000, has_error).name())
                .concat()
        };
        assert_eq!(letters(false), "AABBCCDDFF");
        assert_eq!(letters(true), "CCCCCCDDFF");
    }

    #[test]
    fn good_rows_have_no_error_or_warning_and_near_repeats_count_once() {
        let rows = Rows::of(
            16,
            &[
                &[Code::NearDuplicate],
                &[Code::StyleOutlier],
                &[Code::CutOff],
                &[Code::CutOff, Code::PersonalData],
            ],
        );
        let findings = [Code::CutOff, Code::PersonalData, Code::NearDuplicate].map(finding);
        let grade = Grade::of(&rows.input(&findings)).unwrap();
        assert_eq!((grade.training, grade.good, grade.distinct), (20, 18, 17));
        assert_eq!((grade.letter, grade.task), (Letter::B, TaskKind::Replies));
        let expected = Enough {
            verdict: Verdict::TooFew,
            have: 17,
            need: Some(50),
            comfortable: Some(1000),
            labels: None,
        };
        assert_eq!(grade.enough, expected);
        let plan: Vec<(Option<Code>, usize)> =
            grade.plan.iter().map(|step| (step.code, step.gain)).collect();
        assert_eq!(plan, [(Some(Code::CutOff), 1), (Some(Code::PersonalData), 0), (None, 33)]);
    }

    #[test]
    fn rows_of_other_splits_do_not_count_but_their_errors_do() {
        let mut rows = Rows::of(60, &[&[Code::Leak]]);
        rows.training[60] = false;
        let grade = Grade::of(&rows.input(&[finding(Code::Leak)])).unwrap();
        assert_eq!((grade.letter, grade.training, grade.good), (Letter::C, 60, 60));
        assert_eq!(grade.enough.verdict, Verdict::Starts);
        assert_eq!(grade.flags(&grade.plan), Some(Vec::new()));
    }

    #[test]
    fn labels_are_counted_one_by_one() {
        let rows = Rows::of(42, &[&[Code::SuspectLabel], &[Code::NearDuplicate]]);
        // Thirty rows of the first label, eleven of the second with one suspect and one repeated, three of the third.
        let label = |row: usize| match row {
            0..30 => 0,
            30..33 => 2,
            _ => 1,
        };
        let names = ["a", "b", "c"].map(str::to_owned).into();
        let labels = LabelledRows { names, rows: (0..44).map(|row| (row, label(row))).collect() };
        let input = GradeInput { labels: Some(labels), ..rows.input(&[]) };
        let grade = Grade::of(&input).unwrap();
        assert_eq!(grade.task, TaskKind::Labels { labels: 3 });
        assert_eq!((grade.enough.verdict, grade.enough.have), (Verdict::TooFew, 3));
        assert_eq!(grade.enough.labels, Some(LabelCounts { short: 2, ample: 1 }));
        assert_eq!(
            grade.plan[0].advice,
            "collect 8 more rows, so that each label has 10, or join labels: `c` has 3, `b` has 9"
        );
    }

    #[test]
    fn plain_texts_are_counted_in_characters_and_not_judged() {
        let mut rows = Rows::of(0, &[&[], &[]]);
        assert_eq!(Grade::of(&rows.input(&[])), None);
        rows.shapes.add(Shape::Text, "Once upon a time.");
        rows.shapes.add(Shape::Text, "The end.");
        let grade = Grade::of(&rows.input(&[])).unwrap();
        assert_eq!((grade.letter, grade.task), (Letter::A, TaskKind::Text));
        assert_eq!((grade.enough.verdict, grade.enough.have), (Verdict::NoRange, 25));
        assert_eq!((grade.enough.need, grade.plan), (None, Vec::new()));
    }
}
