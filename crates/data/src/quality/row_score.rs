//! What is known of each row: what was found in it, how suspect it is, and its loss.

use std::collections::HashMap;

use super::code_set::CodeSet;
use super::finding::{Code, Place};

/// What is known of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RowScore {
    /// Where it stands.
    pub place: Place,
    /// How suspect it is, from 0 to 1, where that is measured: its label, or else its loss.
    pub suspicion: Option<f64>,
    /// Its mean loss under the base model, in nats per supervised token, where that was measured.
    pub loss: Option<f64>,
    codes: CodeSet,
}

impl RowScore {
    /// What was found in the row, in the order of [`Code::ALL`].
    pub fn codes(&self) -> Vec<Code> {
        Code::ALL.into_iter().filter(|code| self.codes.contains(*code)).collect()
    }
}

/// The scores of rows in order, by what is known of the rows of each number.
///
/// Shapes: `places` (N), `codes` up to N; N out.
pub(super) fn row_scores(
    places: Vec<Place>,
    codes: &[CodeSet],
    suspicions: &[(usize, f64)],
    losses: &HashMap<Place, f64>,
) -> Vec<RowScore> {
    let score = |(number, place): (usize, Place)| RowScore {
        place,
        suspicion: None,
        loss: losses.get(&place).copied(),
        codes: codes.get(number).copied().unwrap_or_default(),
    };
    let mut scores: Vec<RowScore> = places.into_iter().enumerate().map(score).collect();
    for &(number, suspicion) in suspicions {
        if let Some(score) = scores.get_mut(number) {
            score.suspicion = Some(suspicion);
        }
    }
    scores
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::example::{Body, Example};
    use crate::problem::RowProblem;
    use crate::quality::{Inspected, QualityCheck};

    fn row(line: usize, question: &str, answer: &str) -> Inspected {
        let completion = Some(answer.to_owned());
        let body = Body::PromptCompletion { prompt: question.to_owned(), completion };
        Inspected::of(&Example { line, body }, 0)
    }

    #[test]
    fn every_row_has_a_score_whatever_was_found_in_it() {
        let mut check = QualityCheck::default().with_row_scores();
        check.add(row(1, "Is it open?", "Yes, until ten."));
        check.add_bad(Place { file: 0, line: 3 }, &RowProblem::NoAssistant);
        check.add(row(4, " ", "I am jane.doe@mail.com"));
        check.add_loss(Place { file: 0, line: 4 }, 1.5);
        let scores = check.finish().row_scores;
        let lines: Vec<usize> = scores.iter().map(|score| score.place.line).collect();
        assert_eq!(lines, [1, 3, 4]);
        let codes: Vec<Vec<Code>> = scores.iter().map(RowScore::codes).collect();
        assert_eq!(
            codes,
            [vec![], vec![Code::NoAnswer], vec![Code::EmptyTurn, Code::PersonalData]]
        );
        let losses: Vec<Option<f64>> = scores.iter().map(|score| score.loss).collect();
        assert_eq!(losses, [None, None, Some(1.5)]);
        assert_eq!((scores[1].suspicion, scores[2].suspicion), (None, Some(1.0)));
    }

    #[test]
    fn scores_are_kept_only_where_they_are_asked_for() {
        let mut check = QualityCheck::default();
        check.add(row(1, "Is it open?", "Yes, until ten."));
        assert_eq!(check.finish().row_scores, []);
    }
}
