//! Rows that are there twice or nearly so, in one split or in two.

use std::collections::HashMap;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_128;

use super::excerpt::excerpt;
use super::finding::{Code, Found};
use super::groups;
use super::near::{near_duplicates, similarity, wording, Groups, NEAR};
use super::overlap::GramIndex;
use super::set::{Findings, Kept};

/// Words or characters from which a question in two splits is a leak: everybody says shorter ones, and some scripts have
/// no spaces between words.
const LEAK_WORDS: usize = 8;
const LEAK_CHARACTERS: usize = 60;
/// Share of a text's runs of words that stand in the training rows too, from which it is told.
const OVERLAP: f64 = 0.5;
/// Training rows of a group that a row is compared with, where no near one is known.
const MOST_COMPARED: usize = 50;
/// How near texts are said to be at most that differ in nothing but marks, which are no part of the comparison.
const MOST_NEAR: f64 = 0.999;

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

/// Adds what is there twice, and groups that are in two splits.
pub(super) fn compare(rows: &[Kept], questions: &QuestionGroups, findings: &mut Findings) {
    duplicates(rows, questions, findings);
    near_duplicate_rows(rows, questions, findings);
    let leaked = leaks(rows, questions, findings);
    overlaps(rows, &leaked, findings);
    groups::compare(rows, findings);
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
    let mut leaked = vec![false; rows.len()];
    if rows.iter().all(Kept::is_training) {
        return leaked;
    }
    for (row, train, similarity) in leaking_pairs(rows, questions) {
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

/// Each row of another split that asks what a training row does, in order; that training row, and how near the two are.
fn leaking_pairs(rows: &[Kept], questions: &QuestionGroups) -> Vec<(usize, usize, f64)> {
    let mut groups: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut same: HashMap<u128, usize> = HashMap::new();
    for (question, members) in questions.same.iter().enumerate() {
        let group = groups.entry(questions.near.group_of(question)).or_default();
        for &row in members.iter().filter(|row| rows[**row].is_training()) {
            same.entry(questions.wordings[row]).or_insert(row);
            if group.len() < MOST_COMPARED {
                group.push(row);
            }
        }
    }
    let joined = joined_training_rows(rows, questions);
    let pair = |question: usize, row: usize| {
        let group = groups.get(&questions.near.group_of(question));
        let same = same.get(&questions.wordings[row]).map(|same| (*same, 1.0));
        let nearest = same.or_else(|| joined.get(&question).copied());
        let (train, similarity) = nearest.or_else(|| nearest_training_row(rows, row, group?))?;
        Some((row, train, similarity))
    };
    let pair = &pair;
    let mut pairs: Vec<(usize, usize, f64)> = questions
        .same
        .par_iter()
        .enumerate()
        .flat_map_iter(|(question, members)| {
            let others = members.iter().copied().filter(|row| !rows[*row].is_training());
            others.filter_map(move |row| pair(question, row))
        })
        .collect();
    pairs.sort_unstable_by_key(|(row, ..)| *row);
    pairs
}

/// The nearest training row that an edge joins to each question of another split, and how near, below 1.
fn joined_training_rows(rows: &[Kept], questions: &QuestionGroups) -> HashMap<usize, (usize, f64)> {
    let is_training = |row: &&usize| rows[**row].is_training();
    let trained = |question: usize| questions.same[question].iter().find(is_training).copied();
    let trained: Vec<Option<usize>> = (0..questions.same.len()).map(trained).collect();
    let is_asked_elsewhere: Vec<bool> = questions
        .same
        .iter()
        .map(|members| members.iter().any(|row| !rows[*row].is_training()))
        .collect();
    let mut joined: HashMap<usize, (usize, f64)> = HashMap::new();
    for edge in questions.near.edges() {
        for (question, other) in [(edge.first, edge.second), (edge.second, edge.first)] {
            let Some(row) = trained[other].filter(|_| is_asked_elsewhere[question]) else {
                continue;
            };
            let near = edge.similarity.min(MOST_NEAR);
            let nearest = joined.entry(question).or_insert((row, near));
            if near > nearest.1 {
                *nearest = (row, near);
            }
        }
    }
    joined
}

/// The training row that is the nearest to a row of another wording, and how near, below 1; `None` where none is near.
fn nearest_training_row(rows: &[Kept], row: usize, training: &[usize]) -> Option<(usize, f64)> {
    let asked = rows[row].asked();
    let near = training
        .iter()
        .map(|row| (*row, similarity(asked, rows[*row].asked())))
        .filter(|(_, similarity)| *similarity >= NEAR);
    near.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(row, near)| (row, near.min(MOST_NEAR)))
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
    for (row, other, share, text) in shared {
        let found =
            Found { place: row.place, other: Some(training[other].place), score: Some(share) };
        findings.add(Code::Overlap, row.number, found, || excerpt(&text));
    }
}
