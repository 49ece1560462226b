//! Whether the answers of a pool are labels.

use super::pool::{Candidate, Pool};
use super::Stratify;
use crate::quality::{label, label_names, Inspected};

/// What the answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AnswerLabels {
    /// Texts.
    None,
    /// Labels, which do not matter to the splits.
    Known,
    /// Labels, each of which is split in the same shares.
    Stratified,
}

impl AnswerLabels {
    /// What the answers of the kept rows are, and what was asked for.
    pub(super) fn of(pool: &Pool, stratify: Stratify) -> AnswerLabels {
        let texts = pool.kept().map(|(_, row)| {
            let Inspected { question, answer, .. } = &row.inspected;
            (question.as_str(), answer.as_str())
        });
        let are_labels = stratify == Stratify::Label || label_names(texts).is_some();
        match stratify {
            _ if !are_labels => AnswerLabels::None,
            Stratify::Auto | Stratify::Label => AnswerLabels::Stratified,
            Stratify::Never => AnswerLabels::Known,
        }
    }

    /// Whether they are labels.
    pub(super) fn are_known(self) -> bool {
        self != AnswerLabels::None
    }
}

/// The label that a row has, where answers are labels.
pub(super) fn label_of(row: &Candidate) -> String {
    label(&row.inspected.answer)
}
