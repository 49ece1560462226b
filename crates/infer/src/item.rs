//! The items of a comparison: test rows with what they ask for.

use std::collections::HashSet;

use tunewise_data::{shuffled, DataSet, Example};

use crate::error::InferError;
use crate::metric::Metric;

/// A test row with what it asks for.
#[derive(Clone, Copy)]
pub(crate) struct Item<'a> {
    /// The row.
    pub example: &'a Example,
    /// The answer asked for; empty where the metric reads none and the row has none.
    pub reference: &'a str,
}

/// The items of a test file, in its order, and what a reader needs to know of the choice.
///
/// # Errors
/// When no row has a question and, where the metric reads it, a reference.
pub(crate) fn items<'a>(
    test: &'a DataSet,
    metric: &Metric,
    limit: Option<usize>,
    seed: u64,
) -> Result<(Vec<Item<'a>>, Vec<String>), InferError> {
    let examples = test.rows.iter().map(|row| &row.example);
    let items: Vec<Item<'a>> = examples.filter_map(|row| item(row, metric)).collect();
    let mut notes = Vec::new();
    let (rows, usable) = (test.rows.len(), items.len());
    let (expected, lacking) = match metric.reads_reference() {
        true => ("a question and an answer's text", "no answer's text to compare with"),
        false => ("a question", "no question"),
    };
    if items.is_empty() {
        return Err(InferError::NoItems { path: test.path.clone(), rows, expected });
    }
    if usable < rows {
        let left_out = rows - usable;
        notes.push(format!("{left_out} of {rows} test rows have {lacking} and were left out"));
    }
    let Some(limit) = limit.filter(|limit| *limit < usable) else {
        return Ok((items, notes));
    };
    let drawn = shuffled(usable, seed, 0).into_iter().take(limit.max(1));
    let drawn: HashSet<usize> = drawn.collect();
    notes.push(format!("{} of {usable} items, drawn by seed {seed}", drawn.len()));
    let numbered = items.into_iter().enumerate();
    let drawn = numbered.filter(|(index, _)| drawn.contains(index));
    Ok((drawn.map(|(_, item)| item).collect(), notes))
}

fn item<'a>(example: &'a Example, metric: &Metric) -> Option<Item<'a>> {
    example.question(None)?;
    let reference = match metric.reads_reference() {
        true => example.reference()?,
        false => example.reference().unwrap_or_default(),
    };
    Some(Item { example, reference })
}
