//! What a figure alone would hide, a sentence each.

use tunewise_data::{Body, DataSet};

use crate::arm::AdapterSource;
use crate::demonstration::Demonstrated;
use crate::item::Item;
use crate::label::{LabelLength, Labels, MANY_LABELS};
use crate::verdict::{Choice, Verdict};
use crate::wording::overlap;

/// What the labels are, and which items none of them answers.
pub(crate) fn label_notes(labels: &Labels, length: LabelLength, items: &[Item<'_>]) -> Vec<String> {
    let count = labels.texts().len();
    let weighed = match length {
        LabelLength::Whole => "",
        LabelLength::PerToken => " per token",
    };
    let mut notes = vec![format!(
        "each answer is the likeliest{weighed} of the {count} labels of the training rows"
    )];
    if count > MANY_LABELS {
        notes.push(format!(
            "{count} labels are many: each is scored for every item; if the answers are free text, \
             another metric suits them better"
        ));
    }
    let known = |item: &&Item<'_>| {
        let mut labels = labels.texts().iter();
        labels.any(|label| label.trim() == item.reference.trim())
    };
    let unknown = items.len() - items.iter().filter(known).count();
    if unknown > 0 {
        notes.push(format!(
            "{unknown} items ask for a label that no training row has: no arm can answer them"
        ));
    }
    notes
}

/// What became of the demonstrations before the questions.
pub(crate) fn demonstration_notes(
    arm: &str,
    fitted: &[Demonstrated],
    (found, asked_for): (usize, usize),
    bare: bool,
) -> Vec<String> {
    let mut notes = Vec::new();
    if found < asked_for {
        notes.push(format!(
            "`{arm}`: the training rows offer {found} demonstrations, fewer than the {asked_for} \
             asked for"
        ));
    }
    let as_turns = |one: &Demonstrated| matches!(one.question.body, Body::Question { .. });
    if bare && fitted.iter().any(as_turns) {
        notes.push(format!(
            "`{arm}`: the training rows are conversations, so that the prompts are asked as turns, \
             which the model has no template for, and not as the bare text that other arms ask"
        ));
    }
    let dropped: usize = fitted.iter().map(|question| question.dropped).sum();
    if dropped > 0 {
        let fewer = fitted.iter().filter(|question| question.dropped > 0).count();
        notes.push(format!(
            "`{arm}`: {fewer} of {} items had room for fewer than {found} demonstrations; \
             {dropped} were dropped over all items",
            fitted.len()
        ));
    }
    notes
}

/// What an arm's answers have in common that they should not.
pub(crate) fn answer_notes(
    arm: &str,
    outputs: &[String],
    cut: usize,
    are_labels: bool,
) -> Vec<String> {
    let items = outputs.len();
    let mut notes = Vec::new();
    if cut > 0 {
        notes.push(format!(
            "`{arm}`: {cut} of {items} answers did not end by themselves and were cut"
        ));
    }
    let first = outputs.first();
    let same = items > 1 && outputs.iter().all(|output| Some(output) == first);
    if let (Some(label), true, true) = (first, same, are_labels) {
        let label = label.trim();
        notes.push(format!(
            "`{arm}`: all {items} answers are `{label}`; the arm does not tell the items apart"
        ));
    }
    notes
}

/// What a tuned arm may have seen of the items in training.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    items: usize,
    in_training_rows: usize,
    /// Folders of adapters that were trained on the test file.
    trained_on_test: Vec<String>,
}

impl Seen {
    /// What the adapters' records and the training rows tell.
    pub fn of(
        items: &[Item<'_>],
        train: &DataSet,
        test: &DataSet,
        adapters: &[AdapterSource<'_>],
    ) -> Seen {
        let examples: Vec<_> = items.iter().map(|item| item.example).collect();
        let trained = adapters.iter().filter(|a| a.trained_on == Some(test.sha256.as_str()));
        Seen {
            items: items.len(),
            in_training_rows: overlap(&examples, train.rows.iter().map(|row| &row.example)),
            trained_on_test: trained.map(|a| a.path.display().to_string()).collect(),
        }
    }

    /// A note for each way.
    pub fn notes(&self) -> Vec<String> {
        let Seen { items, in_training_rows, trained_on_test } = self;
        let adapters = trained_on_test.iter().map(|path| {
            format!(
                "adapter `{path}` was trained on the test file itself: its score says nothing of \
                 other rows"
            )
        });
        let mut notes: Vec<String> = adapters.collect();
        if *in_training_rows > 0 {
            notes.push(format!(
                "{in_training_rows} of {items} test items have their question in the training \
                 rows; a tuned arm may have learned them by heart"
            ));
        }
        notes
    }

    /// Adds to a verdict for tuning what speaks against it.
    pub fn qualify(&self, verdict: &mut Verdict) {
        if verdict.choice != Choice::FineTune {
            return;
        }
        let Seen { items, in_training_rows, trained_on_test } = self;
        if !trained_on_test.is_empty() {
            verdict.why.push_str("; an adapter was trained on the test file itself");
        }
        if *in_training_rows > 0 {
            verdict.why.push_str(&format!(
                "; but {in_training_rows} of {items} test items have their question in the \
                 training rows, and the tuned arm may have learned them by heart"
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(choice: Choice) -> Verdict {
        Verdict { choice, why: "because".into(), items_needed: None }
    }

    #[test]
    fn a_verdict_for_tuning_says_what_may_have_been_learned_by_heart() {
        let seen = Seen { items: 4, in_training_rows: 3, trained_on_test: vec!["run".into()] };
        let mut tuned = verdict(Choice::FineTune);
        seen.qualify(&mut tuned);
        assert_eq!(
            tuned.why,
            "because; an adapter was trained on the test file itself; but 3 of 4 test items have \
             their question in the training rows, and the tuned arm may have learned them by heart"
        );
        for (seen, choice) in [(seen, Choice::Prompt), (Seen::default(), Choice::FineTune)] {
            let mut other = verdict(choice);
            seen.qualify(&mut other);
            assert_eq!(other.why, "because");
        }
        assert!(Seen::default().notes().is_empty());
    }
}
