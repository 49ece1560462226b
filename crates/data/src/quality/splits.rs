//! Rows that are there twice or nearly so, in one split or in two.

use std::collections::HashMap;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use super::finding::{Code, Found};
use super::near::{near_duplicates, similarity, wording, Groups, NEAR};
use super::overlap::GramIndex;
use super::set::{Findings, Kept};

/// Words or characters from which a question in two splits is a leak: everybody says shorter ones, and some scripts have
/// no spaces between words.
const LEAK_WORDS: usize = 8;
const LEAK_CHARACTERS: usize = 60;
/// Share of a text's runs of words that stand in the training rows too, from which it is told.
const OVERLAP: f64 = 0.5;
/// Members of a group that a row is compared with.
const MOST_COMPARED: usize = 50;

/// Rows that ask the same, and questions that are nearly the same.
pub(super) struct QuestionGroups {
    /// Rows of each question under each system message, in order of the first.
    same: Vec<Vec<usize>>,
    near: Groups,
    /// A hash of each row's wording.
    wordings: Vec<u128>,
}

impl QuestionGroups {
    /// The groups of rows by what they ask.
    pub(super) fn of(rows: &[Kept]) -> QuestionGroups {
        let hash = |row: &Kept| xxh3_128(wording(row.asked()).as_bytes());
        let wordings: Vec<u128> = rows.par_iter().map(hash).collect();
        let mut numbers: HashMap<(usize, u128), usize> = HashMap::new();
        let mut same: Vec<Vec<usize>> = Vec::new();
        for (row, wording) in wordings.iter().enumerate() {
            let number = *numbers.entry((rows[row].system, *wording)).or_insert(same.len());
            match same.get_mut(number) {
                Some(members) => members.push(row),
                None => same.push(vec![row]),
            }
        }
        let texts: Vec<&str> = same.iter().map(|members| rows[members[0]].asked()).collect();
        let near = near_duplicates(&texts, NEAR);
        QuestionGroups { same, near, wordings }
    }

    /// The rows of each question, those with more than one.
    pub(super) fn same(&self) -> impl Iterator<Item = &Vec<usize>> {
        self.same.iter().filter(|members| members.len() > 1)
    }

    /// Questions that are nearly the same; [`QuestionGroups::row`] tells a row of each.
    pub(super) fn near(&self) -> &Groups {
        &self.near
    }

    /// The first row of a question.
    pub(super) fn row(&self, question: usize) -> usize {
        self.same[question][0]
    }
}

/// Adds what is there twice.
pub(super) fn compare(rows: &[Kept], questions: &QuestionGroups, findings: &mut Findings) {
    duplicates(rows, questions, findings);
    near_duplicate_rows(rows, questions, findings);
    let leaked = leaks(rows, questions, findings);
    overlaps(rows, &leaked, findings);
}

/// The same question and answer again in one file.
fn duplicates(rows: &[Kept], questions: &QuestionGroups, findings: &mut Findings) {
    for members in questions.same() {
        let mut first: HashMap<(usize, &str), usize> = HashMap::new();
        for &row in members {
            let key = (rows[row].place.file, rows[row].answer.trim());
            match first.get(&key) {
                Some(&other) => findings.add_pair(Code::Duplicate, &rows[row], &rows[other], None),
                None => {
                    first.insert(key, row);
                }
            }
        }
    }
}

/// Nearly the same question and answer again in one file: told of the later row of each pair.
fn near_duplicate_rows(rows: &[Kept], questions: &QuestionGroups, findings: &mut Findings) {
    let mut told = vec![false; rows.len()];
    for edge in questions.near.edges() {
        let (first, second) = (questions.row(edge.first), questions.row(edge.second));
        let (a, b) = (&rows[first], &rows[second]);
        let one_file = a.place.file == b.place.file && a.system == b.system;
        if !one_file || similarity(&a.answer, &b.answer) < NEAR {
            continue;
        }
        let is_smallest = questions.near.group_of(edge.first) == edge.first;
        if !told[second] {
            told[second] = true;
            findings.add_pair(Code::NearDuplicate, b, a, Some(edge.similarity));
        } else if !told[first] && !is_smallest {
            // Its later neighbour is told already: of n rows that hang together, n - 1 are.
            told[first] = true;
            findings.add_pair(Code::NearDuplicate, a, b, Some(edge.similarity));
        }
    }
}

/// Rows of other splits whose question is, or nearly is, one of the training rows; returns which they are.
fn leaks(rows: &[Kept], questions: &QuestionGroups, findings: &mut Findings) -> Vec<bool> {
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    for (question, members) in questions.same.iter().enumerate() {
        groups.entry(questions.near.group_of(question)).or_default().extend(members);
    }
    let mut leaked = vec![false; rows.len()];
    let training = rows.iter().enumerate().filter(|(_, row)| row.is_training());
    let mut same: HashMap<u128, usize> = HashMap::new();
    for (at, _) in training {
        same.entry(questions.wordings[at]).or_insert(at);
    }
    let mut pairs: Vec<(usize, usize, f64)> = groups
        .par_iter()
        .flat_map_iter(|(_, members)| {
            let others = members.iter().filter(|row| !rows[**row].is_training());
            others.filter_map(|row| {
                let near = || nearest_training_row(rows, *row, members);
                let same = same.get(&questions.wordings[*row]).map(|same| (*same, 1.0));
                let (train, similarity) = same.or_else(near)?;
                Some((*row, train, similarity))
            })
        })
        .collect();
    pairs.sort_unstable_by_key(|(row, ..)| *row);
    for (row, train, similarity) in pairs {
        leaked[row] = true;
        let asked = rows[row].asked();
        let long = asked.split_whitespace().count() >= LEAK_WORDS
            || asked.chars().count() >= LEAK_CHARACTERS;
        let code = match (long, similarity >= 1.0) {
            (true, true) => Code::Leak,
            (true, false) => Code::NearLeak,
            (false, _) => Code::ShortLeak,
        };
        findings.add_pair(code, &rows[row], &rows[train], Some(similarity));
    }
    leaked
}

/// The training row of a group that is the nearest to a row of another wording, and how near, below 1; `None` where
/// none is near.
fn nearest_training_row(rows: &[Kept], row: usize, members: &[usize]) -> Option<(usize, f64)> {
    let asked = rows[row].asked();
    let near = members
        .iter()
        .copied()
        .filter(|member| rows[*member].is_training())
        .take(MOST_COMPARED)
        .map(|member| (member, similarity(asked, rows[member].asked())))
        .filter(|(_, similarity)| *similarity >= NEAR);
    near.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(member, near)| (member, near.min(0.999)))
}

/// Rows of other splits of which most stands in the training rows.
fn overlaps(rows: &[Kept], leaked: &[bool], findings: &mut Findings) {
    let text = |row: &Kept| format!("{}\n{}", row.question, row.answer);
    if rows.iter().all(Kept::is_training) {
        return;
    }
    let training: Vec<&Kept> = rows.iter().filter(|row| row.is_training()).collect();
    let texts: Vec<String> = training.par_iter().map(|row| text(row)).collect();
    let index = GramIndex::of(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    let shared: Vec<_> = rows
        .par_iter()
        .enumerate()
        .filter(|(at, row)| !row.is_training() && !leaked[*at])
        .filter_map(|(_, row)| {
            let text = text(row);
            let overlap = index.overlap(&text)?;
            (overlap.share >= OVERLAP)
                .then(|| (row, overlap.row, overlap.share, text[overlap.excerpt].to_owned()))
        })
        .collect();
    for (row, other, share, excerpt) in shared {
        let found =
            Found { place: row.place, other: Some(training[other].place), score: Some(share) };
        findings.add(Code::Overlap, row.number, found, || super::inspect::excerpt(&excerpt));
    }
}
