//! What was done, in numbers.

use std::collections::BTreeMap;

use serde::Serialize;

use super::assignment::Groups;
use super::labels::{label_of, AnswerLabels};
use super::pool::{Candidate, Entry, Pool, Reason, State};
use super::sizes::SplitSizes;
use super::{PrepareOptions, SPLIT_FILES};

/// What became of the rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Rows of the input.
    pub rows: usize,
    /// Rows that are in a split.
    pub kept: usize,
    /// Rows that are in none, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Kept rows in which something was replaced.
    pub redacted_rows: usize,
    /// Different secrets that were replaced, by kind.
    pub redacted: BTreeMap<&'static str, usize>,
    /// Whether each label is split in the same shares.
    pub stratified: bool,
    /// Sets of two or more rows that were not to be parted.
    pub groups: usize,
    /// Rows of the largest such set; 1 where there is none.
    pub largest_group: usize,
    /// Kept rows without the key to group by; 0 where none was given.
    pub rows_without_key: usize,
    /// The splits.
    pub splits: Vec<SplitSummary>,
}

/// What a split holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SplitSummary {
    /// The name of its file; one without rows is not written.
    pub file: &'static str,
    /// Its rows.
    pub rows: usize,
    /// The rows that it should have, as far as groups allow.
    pub asked: f64,
    /// The rows of each label, where the answers are labels.
    pub labels: Option<BTreeMap<String, usize>>,
}

impl Summary {
    /// The numbers of a pool whose rows have their splits.
    pub(super) fn of(
        pool: &Pool,
        options: &PrepareOptions,
        labels: AnswerLabels,
        groups: Groups,
    ) -> Summary {
        let left_out = pool.reasons();
        let kept = pool.entries.len() - left_out.values().sum::<usize>();
        let count = |is_one: &dyn Fn(&Candidate) -> bool| {
            pool.kept().filter(|(_, row)| is_one(row)).count()
        };
        let lacks_key = |row: &Candidate| options.group_by.is_some() && row.group.is_none();
        Summary {
            rows: pool.entries.len(),
            kept,
            left_out,
            redacted_rows: count(&|row: &Candidate| !row.redacted.is_empty()),
            redacted: pool.secrets.clone(),
            stratified: labels == AnswerLabels::Stratified,
            groups: groups.count,
            largest_group: groups.largest,
            rows_without_key: count(&lacks_key),
            splits: split_summaries(pool, options.sizes, labels),
        }
    }
}

fn split_summaries(pool: &Pool, sizes: SplitSizes, labels: AnswerLabels) -> Vec<SplitSummary> {
    // Rows left out for want of room were there to be split.
    let splittable = |entry: &&Entry| match &entry.state {
        State::Kept(_) => true,
        State::Out(out) => out.reason == Reason::BeyondSplit,
    };
    let asked = sizes.asked(pool.entries.iter().filter(splittable).count());
    let empty = |(file, asked): (&'static str, f64)| SplitSummary {
        file,
        rows: 0,
        asked: (100.0 * asked).round() / 100.0,
        labels: labels.are_known().then(BTreeMap::new),
    };
    let mut splits: Vec<SplitSummary> = SPLIT_FILES.into_iter().zip(asked).map(empty).collect();
    for (_, row) in pool.kept() {
        let split = &mut splits[row.side];
        split.rows += 1;
        if let Some(labels) = &mut split.labels {
            *labels.entry(label_of(row)).or_default() += 1;
        }
    }
    splits
}
