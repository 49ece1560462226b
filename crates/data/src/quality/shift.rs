//! Splits that are made up otherwise than the training rows: of other labels, lengths or languages.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::excerpt::excerpt;
use super::finding::Code;
use super::labels::label;
use super::language::Languages;
use super::set::{Findings, Kept};
use super::two_samples::{of_counts, of_values, Difference};

/// Rows below which a split is not compared.
const FEWEST: usize = 30;
/// The chance below which a difference is told, so that one of a thousand equal splits is.
const CHANCE: f64 = 0.001;
/// How far labels and languages, and lengths, have to be apart: chance alone does not matter in large splits.
const SHARES_APART: f64 = 0.1;
const LENGTHS_APART: f64 = 0.2;

/// What a split is made up of.
struct Makeup {
    rows: usize,
    /// Rows of each label, where answers are labels.
    labels: BTreeMap<String, usize>,
    /// Characters of the questions, sorted.
    questions: Vec<usize>,
    /// Characters of the answers, sorted; none where answers are labels.
    answers: Vec<usize>,
    /// Rows in the main language, and rows in another.
    languages: (usize, usize),
}

/// How a split differs, from 0 to 1, and what shows it.
type Told = (f64, String);

/// Adds the files whose rows differ from the training rows.
pub(super) fn compare(
    rows: &[Kept],
    are_labels: bool,
    languages: &Languages,
    findings: &mut Findings,
) {
    if rows.iter().all(Kept::is_training) {
        return;
    }
    let mut files: BTreeMap<usize, Vec<&Kept>> = BTreeMap::new();
    for row in rows {
        files.entry(row.place.file).or_default().push(row);
    }
    let mut makeups: BTreeMap<usize, Makeup> = files
        .par_iter()
        .map(|(file, rows)| (*file, Makeup::of(rows, are_labels, languages)))
        .collect();
    let Some(training) = makeups.remove(&0) else { return };
    for (file, here) in makeups {
        let told = differences(&here, &training);
        if told.is_empty() {
            continue;
        }
        let score = told.iter().fold(0.0_f64, |most, (distance, _)| most.max(*distance));
        let examples = told.into_iter().map(|(_, example)| example);
        findings.add_file(Code::Shift, file, score, examples);
    }
}

impl Makeup {
    fn of(rows: &[&Kept], are_labels: bool, languages: &Languages) -> Makeup {
        let mut labels: BTreeMap<String, usize> = BTreeMap::new();
        let mut answers = Vec::new();
        if are_labels {
            rows.iter().for_each(|row| *labels.entry(label(&row.answer)).or_default() += 1);
        } else {
            answers = lengths(rows, |row| &row.answer);
        }
        let is_main: Vec<bool> = rows.iter().filter_map(|row| languages.is_main(row)).collect();
        let main = is_main.iter().filter(|is_main| **is_main).count();
        Makeup {
            rows: rows.len(),
            labels,
            questions: lengths(rows, |row| &row.question),
            answers,
            languages: (main, is_main.len() - main),
        }
    }
}

/// The characters of a text of each row that has it, sorted.
fn lengths(rows: &[&Kept], text: impl Fn(&Kept) -> &str + Sync) -> Vec<usize> {
    let texts = rows.par_iter().map(|row| text(row)).filter(|text| !text.is_empty());
    let mut lengths: Vec<usize> = texts.map(|text| text.chars().count()).collect();
    lengths.par_sort_unstable();
    lengths
}

/// What differs in a split.
fn differences(here: &Makeup, training: &Makeup) -> Vec<Told> {
    let told = [
        labels_differ(here, training),
        lengths_differ("questions", &here.questions, &training.questions),
        lengths_differ("answers", &here.answers, &training.answers),
        languages_differ(here, training),
    ];
    told.into_iter().flatten().collect()
}

/// The distance, where it is large and no chance.
fn told(difference: Difference, least: f64) -> Option<f64> {
    let Difference { distance, chance } = difference;
    (chance < CHANCE && distance >= least).then_some(distance)
}

fn labels_differ(here: &Makeup, training: &Makeup) -> Option<Told> {
    if here.labels.is_empty() || here.rows.min(training.rows) < FEWEST {
        return None;
    }
    let names: BTreeSet<&String> = here.labels.keys().chain(training.labels.keys()).collect();
    let count = |makeup: &Makeup, name: &String| makeup.labels.get(name).copied().unwrap_or(0);
    let counts = names.iter().map(|name| (count(here, name), count(training, name)));
    let counts: Vec<(usize, usize)> = counts.collect();
    let distance = told(of_counts(&counts), SHARES_APART)?;
    let share =
        |(a, b): (usize, usize)| (a as f64 / here.rows as f64, b as f64 / training.rows as f64);
    let shares = names.into_iter().zip(counts.into_iter().map(share));
    let apart = |(a, b): (f64, f64)| (a - b).abs();
    let (name, shares) = shares.max_by(|a, b| apart(a.1).total_cmp(&apart(b.1)))?;
    Some((distance, format!("label `{}`: {}", excerpt(name), in_percent(shares))))
}

fn lengths_differ(what: &str, here: &[usize], training: &[usize]) -> Option<Told> {
    if here.len().min(training.len()) < FEWEST {
        return None;
    }
    let distance = told(of_values(here, training), LENGTHS_APART)?;
    let median = |sorted: &[usize]| sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    let (here, training) = (median(here), median(training));
    let example = format!("{what} have {here} characters here, {training} in training (medians)");
    Some((distance, example))
}

fn languages_differ(here: &Makeup, training: &Makeup) -> Option<Told> {
    let rows = |(main, other): (usize, usize)| main + other;
    let (all_here, all_training) = (rows(here.languages), rows(training.languages));
    if all_here.min(all_training) < FEWEST {
        return None;
    }
    let main = (here.languages.0, training.languages.0);
    let others = (here.languages.1, training.languages.1);
    let distance = told(of_counts(&[main, others]), SHARES_APART)?;
    let shares = (main.0 as f64 / all_here as f64, main.1 as f64 / all_training as f64);
    Some((distance, format!("main language: {}", in_percent(shares))))
}

fn in_percent((here, training): (f64, f64)) -> String {
    format!("{:.1} % here, {:.1} % of the training rows", 100.0 * here, 100.0 * training)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn makeup(labels: &[(&str, usize)]) -> Makeup {
        Makeup {
            rows: labels.iter().map(|(_, count)| count).sum(),
            labels: labels.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect(),
            questions: Vec::new(),
            answers: Vec::new(),
            languages: (0, 0),
        }
    }

    #[test]
    fn labels_of_other_shares_are_told_with_the_one_that_differs_most() {
        let training = makeup(&[("booking", 30), ("refund", 30), ("visa", 30)]);
        let here = makeup(&[("booking", 5), ("refund", 30), ("visa", 5)]);
        let (distance, example) = labels_differ(&here, &training).unwrap();
        assert!((distance - 5.0 / 12.0).abs() < 1e-12, "{distance}");
        assert_eq!(example, "label `refund`: 75.0 % here, 33.3 % of the training rows");
    }

    #[test]
    fn few_rows_and_small_differences_are_not_told() {
        let training = makeup(&[("refund", 3000), ("visa", 3000)]);
        assert_eq!(labels_differ(&makeup(&[("refund", 29)]), &training), None);
        assert_eq!(labels_differ(&makeup(&[("refund", 20), ("visa", 14)]), &training), None);
        // Such a difference is no chance, but five rows in a hundred change no score much.
        assert_eq!(labels_differ(&makeup(&[("refund", 3300), ("visa", 2700)]), &training), None);
        assert_eq!(labels_differ(&makeup(&[]), &makeup(&[])), None);
    }

    #[test]
    fn lengths_are_told_by_their_medians() {
        let told = lengths_differ("questions", &[210; 30], &[95; 30]).unwrap();
        let example = "questions have 210 characters here, 95 in training (medians)";
        assert_eq!(told, (1.0, example.to_owned()));
        assert_eq!(lengths_differ("questions", &[210; 29], &[95; 30]), None);
        assert_eq!(lengths_differ("questions", &[95; 30], &[95; 30]), None);
    }

    #[test]
    fn a_smaller_share_of_the_main_language_is_told() {
        let training = Makeup { languages: (40, 0), ..makeup(&[]) };
        let here = Makeup { languages: (20, 20), ..makeup(&[]) };
        let example = "main language: 50.0 % here, 100.0 % of the training rows";
        assert_eq!(languages_differ(&here, &training), Some((0.5, example.to_owned())));
        let few = Makeup { languages: (10, 19), ..makeup(&[]) };
        assert_eq!(languages_differ(&few, &training), None);
    }
}
