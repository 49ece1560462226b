//! Rows that repeat earlier ones, and rows that ask nearly the same.

use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;

use super::labels::AnswerLabels;
use super::pool::{Candidate, LeftOut, Pool, Reason};
use super::Dedupe;
use crate::quality::near::{near_duplicates, similarity, wording, NEAR};
use crate::quality::Code;

/// Rows of a group that a row is compared with, so that a full group costs no square of its size.
const MOST_COMPARED: usize = 100;

/// A row of the pool and its number.
type Numbered<'a> = (usize, &'a Candidate);

/// A row that repeats another, and how.
struct Repeat {
    row: usize,
    like: usize,
    code: Code,
    detail: String,
}

/// When a row repeats another.
#[derive(Clone, Copy)]
struct Rule {
    dedupe: Dedupe,
    /// Whether answers are labels, of which only equal ones are alike.
    labels: bool,
}

impl Pool {
    /// Numbers the groups of kept rows that ask the same or nearly the same.
    pub(super) fn group_questions(&mut self) {
        let rows: Vec<usize> = self.kept().map(|(at, _)| at).collect();
        let asked: Vec<&str> = self.kept().map(|(_, row)| row.asked()).collect();
        let groups = near_duplicates(&asked, NEAR);
        for (number, at) in rows.into_iter().enumerate() {
            if let Some(row) = self.kept_mut(at) {
                row.question = groups.group_of(number);
            }
        }
    }

    /// Leaves out the rows that repeat an earlier one, once questions are grouped.
    pub(super) fn leave_out_repeats(&mut self, dedupe: Dedupe, labels: AnswerLabels) {
        if dedupe == Dedupe::Never {
            return;
        }
        let rule = Rule { dedupe, labels: labels.are_known() };
        let mut groups: BTreeMap<usize, Vec<Numbered<'_>>> = BTreeMap::new();
        for (at, row) in self.kept() {
            groups.entry(row.question).or_default().push((at, row));
        }
        let groups: Vec<Vec<Numbered<'_>>> =
            groups.into_values().filter(|rows| rows.len() > 1).collect();
        let repeats: Vec<Repeat> =
            groups.par_iter().flat_map_iter(|rows| rule.repeats(rows)).collect();
        for Repeat { row, like, code, detail } in repeats {
            let like = self.place(like);
            self.leave_out(row, LeftOut { reason: Reason::Code(code), detail, like });
        }
    }
}

impl Rule {
    /// The rows of a group that repeat an earlier one that is kept.
    fn repeats(self, rows: &[Numbered<'_>]) -> Vec<Repeat> {
        let mut firsts: HashMap<(&str, String, &str, u128), usize> = HashMap::new();
        let mut kept: Vec<Numbered<'_>> = Vec::new();
        let mut repeats = Vec::new();
        for &(row, candidate) in rows {
            let texts = &candidate.inspected;
            let question = wording(candidate.asked());
            let key = (texts.system.as_str(), question, texts.answer.trim(), candidate.beside);
            if let Some(&like) = firsts.get(&key) {
                let detail = "the same question and answer".to_owned();
                repeats.push(Repeat { row, like, code: Code::Duplicate, detail });
                continue;
            }
            let near = self.nearly_repeated(candidate, &kept);
            firsts.insert(key, near.map_or(row, |(like, _)| like));
            match near {
                Some((like, share)) => {
                    let detail = format!("the question is {:.0} % alike", 100.0 * share);
                    repeats.push(Repeat { row, like, code: Code::NearDuplicate, detail });
                }
                None => kept.push((row, candidate)),
            }
        }
        repeats
    }

    /// The last of some rows that a row nearly repeats, and how much alike the two questions are.
    fn nearly_repeated(self, row: &Candidate, kept: &[Numbered<'_>]) -> Option<(usize, f64)> {
        if self.dedupe != Dedupe::Near {
            return None;
        }
        kept.iter().rev().take(MOST_COMPARED).find_map(|(at, other)| {
            let (a, b) = (&row.inspected, &other.inspected);
            if a.system != b.system || row.beside != other.beside {
                return None;
            }
            let alike = match self.labels {
                true => a.answer.trim() == b.answer.trim(),
                false => similarity(&a.answer, &b.answer) >= NEAR,
            };
            if !alike {
                return None;
            }
            let share = similarity(row.asked(), other.asked());
            (share >= NEAR).then_some((*at, share))
        })
    }
}
