//! Labels chosen by likelihood: each candidate is scored as the model's answer to a prompt.

use std::collections::BTreeMap;

use tunewise_data::{DataError, DataSet, Example, PrefixSharing, Renderer, TokenExample};

use crate::candidates::Candidates;
use crate::error::InferError;
use crate::evaluate::{score_rows, RowScore};
use crate::prompt::Model;

/// Items whose candidates are laid out together: enough that a prefix of all is seldom read again.
const ITEMS: usize = 32;

/// Whether a candidate's log-likelihood is divided by its tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LabelLength {
    /// It is not: the label is chosen that the model is likeliest to answer, end of turn included.
    ///
    /// This is the default, because it is what an arm that generates would do, and because the end
    /// of turn keeps a label that begins another from winning by being short.
    #[default]
    Whole,
    /// It is: longer labels are not at a disadvantage.
    PerToken,
}

/// More distinct answers than this may be free text, and are told.
pub(crate) const MANY_LABELS: usize = 200;

/// Whether distinct answers are too many to be labels: four in five answers stand only once.
fn looks_free(distinct: usize, answers: usize) -> bool {
    distinct > MANY_LABELS && distinct as f64 >= 0.8 * answers as f64
}

/// The answers that training rows give, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    texts: Vec<String>,
}

impl Labels {
    /// The distinct answers of a file's rows, white space at the ends aside, in alphabetical order.
    ///
    /// Each is spelled as in the first row that has it.
    ///
    /// # Errors
    /// When there are fewer than two, or they look like free text: more than 200, and nearly as many
    /// as there are answers.
    pub fn of(train: &DataSet) -> Result<Labels, InferError> {
        let references = train.rows.iter().filter_map(|row| row.example.reference());
        let answers = references.clone().count();
        let labels = Labels::among(references);
        let (path, found) = (train.path.clone(), labels.texts.len());
        if found < 2 {
            return Err(InferError::FewLabels { path, found });
        }
        if looks_free(found, answers) {
            return Err(InferError::FreeText { path, found, answers });
        }
        Ok(labels)
    }

    pub(crate) fn among<'t>(references: impl Iterator<Item = &'t str>) -> Labels {
        let mut first: BTreeMap<&str, &str> = BTreeMap::new();
        for reference in references.filter(|reference| !reference.trim().is_empty()) {
            first.entry(reference.trim()).or_insert(reference);
        }
        Labels { texts: first.into_values().map(str::to_owned).collect() }
    }

    /// The labels.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    /// The tokens of the longest label as an answer to a question, the end of turn included.
    ///
    /// # Errors
    /// When the question cannot be rendered.
    pub fn longest(&self, renderer: &Renderer, question: &Example) -> Result<usize, DataError> {
        let mut longest = 0;
        for label in &self.texts {
            let (_, answer) = renderer.encode_continuation(question, label)?;
            longest = longest.max(answer.len());
        }
        Ok(longest)
    }
}

/// What was chosen among the labels.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelChoice {
    /// The chosen label's index.
    pub label: usize,
    /// How well each label was predicted.
    pub scores: Vec<RowScore>,
    /// The prompt's tokens.
    pub prompt_tokens: usize,
}

/// The likeliest label as an answer to each question; among equals the first.
///
/// A question's prompt, and what prompts have in common, is computed once for all labels.
/// `on_progress` gets the number of questions done.
///
/// # Errors
/// When a question cannot be rendered, does not fit in the context with a label, or the model fails.
pub fn choose_labels(
    model: Model<'_>,
    renderer: &Renderer,
    questions: &[Example],
    labels: &Labels,
    length: LabelLength,
    on_progress: &mut dyn FnMut(usize),
) -> Result<Vec<LabelChoice>, InferError> {
    let mut choices = Vec::with_capacity(questions.len());
    let mut candidates = Candidates::new(renderer, labels, model.context());
    for some in questions.chunks(ITEMS) {
        let mut rows = Vec::with_capacity(some.len() * labels.texts.len());
        let mut prompt_tokens = Vec::with_capacity(some.len());
        for question in some {
            let some = candidates.of(question)?;
            prompt_tokens.push(some.first().map_or(0, unsupervised_tokens));
            rows.extend(some);
        }
        let rows: Vec<&TokenExample> = rows.iter().collect();
        let scores = score_rows(model, &rows, PrefixSharing::Share, &mut |_| {})?;
        let scores = scores.chunks(labels.texts.len().max(1));
        choices.extend(scores.zip(prompt_tokens).map(|(scores, prompt_tokens)| LabelChoice {
            label: likeliest(scores, length),
            scores: scores.to_vec(),
            prompt_tokens,
        }));
        on_progress(choices.len());
    }
    Ok(choices)
}

fn unsupervised_tokens(row: &TokenExample) -> usize {
    row.ids.len() - row.supervised_tokens()
}

/// The index of the score with the highest log-likelihood, the first among equals.
fn likeliest(scores: &[RowScore], length: LabelLength) -> usize {
    let nll = |score: &RowScore| match length {
        LabelLength::Whole => score.nll,
        LabelLength::PerToken => score.nll / score.supervised_tokens.max(1) as f64,
    };
    let mut best: Option<(usize, f64)> = None;
    for (index, nll) in scores.iter().map(nll).enumerate() {
        if best.is_none_or(|(_, lowest)| nll < lowest) {
            best = Some((index, nll));
        }
    }
    best.map_or(0, |(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(nll: f64, supervised_tokens: usize) -> RowScore {
        RowScore { nll, supervised_tokens, correct: 0 }
    }

    #[test]
    fn length_decides_between_a_short_and_a_long_label_and_the_first_wins_a_tie() {
        let scores = [score(4.0, 2), score(5.0, 5), score(4.0, 2)];
        assert_eq!(likeliest(&scores, LabelLength::Whole), 0);
        assert_eq!(likeliest(&scores, LabelLength::PerToken), 1);
    }

    #[test]
    fn many_answers_that_hardly_repeat_are_free_text() {
        assert!(looks_free(201, 250));
        assert!(!looks_free(201, 260));
        assert!(!looks_free(200, 200));
    }

    #[test]
    fn labels_are_distinct_after_trimming_and_sorted() {
        let labels = Labels::among(["b", " a", "a", " ", "b\n"].into_iter());
        assert_eq!(labels.texts(), [" a", "b"]);
    }
}
