//! Rows that must be in one split.

use std::collections::{BTreeMap, HashMap};

use crate::disjoint_sets::DisjointSets;

/// A row, as far as its split depends on it.
pub(super) struct Member<'a> {
    /// Its group of rows that ask nearly the same.
    pub(super) question: usize,
    /// The value that tells which rows belong together.
    pub(super) group: Option<&'a str>,
    /// The number of its label; 0 for all where labels do not matter.
    pub(super) label: usize,
    /// What the seed drew for it.
    pub(super) drawn: u64,
}

/// Rows that a question or a group holds together.
pub(super) struct Unit {
    /// The rows, ascending.
    pub(super) rows: Vec<usize>,
    /// How many of them have each label.
    pub(super) labels: BTreeMap<usize, i64>,
    /// The least of what the seed drew for them, so that a further row seldom changes it.
    pub(super) drawn: u64,
}

/// The rows in units: two are in one if a chain of equal questions and groups leads from one to the other.
pub(super) fn units(members: &[Member<'_>]) -> Vec<Unit> {
    let mut sets = DisjointSets::of(members.len());
    let mut by_question: HashMap<usize, usize> = HashMap::new();
    let mut by_group: HashMap<&str, usize> = HashMap::new();
    for (row, member) in members.iter().enumerate() {
        sets.join(row, *by_question.entry(member.question).or_insert(row));
        if let Some(group) = member.group {
            sets.join(row, *by_group.entry(group).or_insert(row));
        }
    }
    let mut units: BTreeMap<usize, Unit> = BTreeMap::new();
    for (row, member) in members.iter().enumerate() {
        let empty = || Unit { rows: Vec::new(), labels: BTreeMap::new(), drawn: u64::MAX };
        let unit = units.entry(sets.smallest(row)).or_insert_with(empty);
        unit.rows.push(row);
        *unit.labels.entry(member.label).or_default() += 1;
        unit.drawn = unit.drawn.min(member.drawn);
    }
    units.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_groups_hold_rows_together_by_any_chain() {
        let member = |question: usize, group: Option<&'static str>, label: usize, drawn: u64| {
            Member { question, group, label, drawn }
        };
        let members = [
            member(0, None, 0, 50),
            member(1, Some("a"), 1, 40),
            member(2, None, 0, 30),
            member(2, Some("a"), 1, 20),
            member(4, Some("b"), 2, 10),
        ];
        let units = units(&members);
        let rows: Vec<Vec<usize>> = units.iter().map(|unit| unit.rows.clone()).collect();
        assert_eq!(rows, [vec![0], vec![1, 2, 3], vec![4]]);
        assert_eq!(units[1].labels, BTreeMap::from([(0, 1), (1, 2)]));
        assert_eq!(units.iter().map(|unit| unit.drawn).collect::<Vec<_>>(), [50, 20, 10]);
    }
}
