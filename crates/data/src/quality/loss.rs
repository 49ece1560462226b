//! Rows that the base model finds unlikely and that no other row resembles.
//!
//! An unlikely row may be just what the model has to learn; one that also stands alone is more often a mistake.
//!
//! Source: Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993 (robust deviations from the median, 3.5 of
//! which make an outlier).

use std::collections::HashMap;

use super::excerpt::excerpt;
use super::finding::{Code, Found, Place};
use super::set::{Findings, Kept};
use super::style::quantile;
use super::word_space::{Near, WordSpace, MOST_TEXTS};

/// Losses below which none is told to be high.
const FEWEST_LOSSES: usize = 30;
/// Robust deviations above the median from which a loss is high.
const OUTLYING: f64 = 3.5;
/// Share of the rows that stand alone: their nearest row is farther than those of the others.
const ALONE: f64 = 0.25;
/// What rounding may add to the similarity of two copies.
const ROUNDING: f64 = 1e-6;
/// Standard deviations of a normal distribution in its median and in its mean distance from the median.
const IN_MEDIAN: f64 = 1.4826;
const IN_MEAN: f64 = 1.253_314;

/// Adds the rows of high loss, and returns how suspect each training row with a loss is, by the row's number.
///
/// A row's suspicion is the product of two ranks from 0 to 1: of its loss, the highest 1, and of how near its nearest
/// row is, the farthest 1. Beyond [`MOST_TEXTS`] training rows none is looked for, and nothing is returned.
///
/// Units: losses in nats per supervised token.
pub(super) fn compare(
    rows: &[Kept],
    losses: &HashMap<Place, f64>,
    findings: &mut Findings,
) -> Vec<(usize, f64)> {
    let training: Vec<&Kept> = rows.iter().filter(|row| row.is_training()).collect();
    if training.len() > MOST_TEXTS {
        findings.not_looked_for.push(Code::HighLoss);
        return Vec::new();
    }
    // The reply before its question: of a long text only the beginning counts.
    let texts: Vec<String> =
        training.iter().map(|row| format!("{}\n{}", row.answer, row.question)).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let of_rows = training.iter().map(|row| losses.get(&row.place).copied());
    let measured = measured(&texts, &of_rows.collect::<Vec<Option<f64>>>());
    let mut told: Vec<&Measured> = measured.iter().filter(|row| row.is_told).collect();
    told.sort_by(|a, b| b.suspicion.total_cmp(&a.suspicion).then(a.row.cmp(&b.row)));
    for &Measured { row, loss, nearest, suspicion, .. } in told {
        let row = training[row];
        let other = nearest.map(|near| training[near.text].place);
        let found = Found { place: row.place, other, score: Some(suspicion) };
        findings.add(Code::HighLoss, row.number, found, || example(row, loss));
    }
    measured.iter().map(|row| (training[row.row].number, row.suspicion)).collect()
}

fn example(row: &Kept, loss: f64) -> String {
    let answer = excerpt(&row.answer);
    match &*row.question {
        "" => format!("{loss:.2} nats per token: `{answer}`"),
        question => format!("{loss:.2} nats per token: `{}` → `{answer}`", excerpt(question)),
    }
}

/// A row with a loss, against the others.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Measured {
    row: usize,
    loss: f64,
    nearest: Option<Near>,
    suspicion: f64,
    is_told: bool,
}

/// The rows that have losses, in order.
///
/// Shapes: `texts` and `losses` (N); up to N out.
fn measured(texts: &[&str], losses: &[Option<f64>]) -> Vec<Measured> {
    let known = sorted(losses.iter().flatten().copied());
    let median = quantile(&known, 0.5);
    let spread = spread(&known, median);
    let nearest = WordSpace::of(texts).map_neighbours(|near| near.first().copied());
    let similarity = |near: &Option<Near>| near.map_or(0.0, |near| near.similarity);
    let similarities = sorted(nearest.iter().map(similarity));
    let far = quantile(&similarities, ALONE);
    let measure = |(row, (loss, near)): (usize, (&Option<f64>, &Option<Near>))| {
        let loss = (*loss)?;
        let likelier = known.partition_point(|other| *other <= loss);
        let farther = similarities.partition_point(|other| *other < similarity(near));
        let of_loss = likelier as f64 / known.len() as f64;
        let of_distance = (similarities.len() - farther) as f64 / similarities.len() as f64;
        // Where many rows have nothing in common with any, none of them is farther than a quarter.
        let is_alone = near.is_none_or(|near| near.similarity + ROUNDING < far);
        let is_high = known.len() >= FEWEST_LOSSES && loss - median >= OUTLYING * spread;
        let (suspicion, is_told) = (of_loss * of_distance, is_high && is_alone);
        Some(Measured { row, loss, nearest: *near, suspicion, is_told })
    };
    losses.iter().zip(&nearest).enumerate().filter_map(measure).collect()
}

/// The standard deviation that the middle of these losses tells, however far some of them are; infinite for equal ones.
///
/// Where more than half are equal their distance from the median is taken in the mean.
fn spread(sorted_losses: &[f64], median: f64) -> f64 {
    let distances = sorted(sorted_losses.iter().map(|loss| (loss - median).abs()));
    let in_median = IN_MEDIAN * quantile(&distances, 0.5);
    if in_median > 0.0 {
        return in_median;
    }
    let in_mean = IN_MEAN * distances.iter().sum::<f64>() / distances.len().max(1) as f64;
    if in_mean > 0.0 {
        in_mean
    } else {
        f64::INFINITY
    }
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{Body, Example};
    use crate::quality::{Finding, Inspected, QualityCheck};

    const NONSENSE: (&str, &str) = ("Zzyzx qwrtpl", "Xvbnk wjqzf kkvvq zebra zzpqx jjwwk");
    const PLACES: [&str; 8] = ["Paris", "Oslo", "Lima", "Cairo", "Quito", "Delhi", "Rome", "Bern"];
    const DAYS: [&str; 5] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"];

    /// Forty rows alike with losses from 2 to 2.39, and further ones.
    fn rows(more: &[(&str, &str, f64)]) -> Vec<(String, String, f64)> {
        let alike = (0..40_u8).map(|n| {
            let (place, day) = (PLACES[usize::from(n % 8)], DAYS[usize::from(n / 8)]);
            let answer = format!("The parcel to {place} will arrive on {day}.");
            (format!("Where is the parcel to {place}?"), answer, 2.0 + 0.01 * f64::from(n))
        });
        let more = more
            .iter()
            .map(|(question, answer, loss)| ((*question).to_owned(), (*answer).to_owned(), *loss));
        alike.chain(more).collect()
    }

    /// What is found of high losses in training rows.
    fn high_losses(rows: &[(String, String, f64)]) -> Option<Finding> {
        let mut check = QualityCheck::default();
        for (line, (question, answer, loss)) in (1..).zip(rows) {
            let completion = Some(answer.clone());
            let body = Body::PromptCompletion { prompt: question.clone(), completion };
            check.add(Inspected::of(&Example { line, body }, 0));
            check.add_loss(Place { file: 0, line }, *loss);
        }
        let report = check.finish();
        report.findings.into_iter().find(|finding| finding.code == Code::HighLoss)
    }

    #[test]
    fn a_row_of_high_loss_that_stands_alone_is_told() {
        let (question, answer) = NONSENSE;
        let found = high_losses(&rows(&[(question, answer, 9.0)])).unwrap();
        let place = Place { file: 0, line: 41 };
        assert_eq!(found.rows, [Found { place, other: None, score: Some(1.0) }]);
        let example = format!("9.00 nats per token: `{question}` → `{answer}`");
        assert_eq!(found.examples, [example]);
    }

    #[test]
    fn the_nearest_row_is_told_with_it() {
        let (question, answer) = NONSENSE;
        let mut rows = rows(&[(question, answer, 9.0)]);
        rows[4].1.push_str(" The zebra will bring it.");
        let found = high_losses(&rows).unwrap();
        let other = Some(Place { file: 0, line: 5 });
        assert_eq!(found.rows[0].other, other);
        assert_eq!((found.rows.len(), found.rows[0].score), (1, Some(1.0)));
    }

    #[test]
    fn a_high_loss_among_rows_alike_and_a_usual_one_alone_are_not_told() {
        let (question, answer) = NONSENSE;
        let copy = rows(&[]).remove(7);
        assert_eq!(high_losses(&rows(&[(&copy.0, &copy.1, 9.0)])), None);
        assert_eq!(high_losses(&rows(&[(question, answer, 2.2)])), None);
        let few = &rows(&[(question, answer, 9.0)])[12..];
        assert_eq!(few.len(), 29);
        assert_eq!(high_losses(few), None);
    }

    #[test]
    fn suspicion_is_the_rank_of_the_loss_times_that_of_the_distance() {
        let texts = ["red apple", "red apple", "blue pear", "quux"];
        let losses = [Some(1.0), Some(2.0), None, Some(0.5)];
        let found = measured(&texts, &losses);
        let found: Vec<(usize, f64)> = found.iter().map(|row| (row.row, row.suspicion)).collect();
        // Two of four have no neighbour, two are each other's.
        assert_eq!(found, [(0, 2.0 / 3.0 * 0.5), (1, 0.5), (3, 1.0 / 3.0)]);
        assert_eq!(measured(&[], &[]), []);
    }

    #[test]
    fn the_spread_of_losses_ignores_the_farthest_and_needs_two_that_differ() {
        assert!((spread(&[1.0, 2.0, 3.0, 4.0, 1000.0], 3.0) - 1.4826).abs() < 1e-12);
        assert!((spread(&[1.0, 1.0, 1.0, 5.0], 1.0) - 1.253_314).abs() < 1e-12);
        assert_eq!(spread(&[1.0, 1.0], 1.0), f64::INFINITY);
        assert_eq!(spread(&[], 0.0), f64::INFINITY);
    }
}
