//! Which rows go into which split: what belongs together to one side, each label in equal shares.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::error::PrepareError;
use super::labels::{label_of, AnswerLabels};
use super::pool::{draw, Candidate, LeftOut, Pool, Reason};
use super::room::Room;
use super::sizes::{LEFT_OUT, SIDES};
use super::unit::{units, Member};
use super::PrepareOptions;
use crate::quality::near::normalized;

/// How rows were held together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Groups {
    /// Sets of two or more rows that were not to be parted.
    pub(super) count: usize,
    /// Rows of the largest; 1 where there is none.
    pub(super) largest: usize,
}

impl Pool {
    /// Gives every kept row a split, or leaves it out where the splits are full.
    ///
    /// # Errors
    /// A pool of which nothing is kept.
    pub(super) fn assign(
        &mut self,
        options: &PrepareOptions,
        labels: AnswerLabels,
    ) -> Result<Groups, PrepareError> {
        let kept: Vec<(usize, &Candidate)> = self.kept().collect();
        if kept.is_empty() {
            let reasons = self.reasons().into_iter().collect();
            return Err(PrepareError::NothingKept { rows: self.entries.len(), reasons });
        }
        let numbers = label_numbers(&kept, labels);
        let members: Vec<Member<'_>> = kept
            .par_iter()
            .map(|(_, row)| Member {
                question: row.question,
                group: row.group.as_deref(),
                label: numbers.get(&label_of(row)).copied().unwrap_or(0),
                drawn: drawn(row, options.seed),
            })
            .collect();
        let shares = options.sizes.shares(members.len());
        let (sides, groups) = assign(&members, shares, options.seed);
        let rows: Vec<usize> = kept.into_iter().map(|(at, _)| at).collect();
        for (at, side) in rows.into_iter().zip(sides) {
            if side == LEFT_OUT {
                let detail = "the splits have the rows that `--split` asks for".to_owned();
                self.leave_out(at, LeftOut { reason: Reason::BeyondSplit, detail, like: None });
            } else if let Some(row) = self.kept_mut(at) {
                row.side = side;
            }
        }
        Ok(groups)
    }
}

/// The numbers of the labels that are split in equal shares; none where labels do not matter.
fn label_numbers(rows: &[(usize, &Candidate)], labels: AnswerLabels) -> BTreeMap<String, usize> {
    if labels != AnswerLabels::Stratified {
        return BTreeMap::new();
    }
    let names: BTreeSet<String> = rows.iter().map(|(_, row)| label_of(row)).collect();
    names.into_iter().enumerate().map(|(number, name)| (name, number)).collect()
}

/// What the seed draws for a row: by its group, where it has one, otherwise by what it asks.
fn drawn(row: &Candidate, seed: u64) -> u64 {
    match &row.group {
        Some(group) => draw(seed, "group", group),
        None => draw(seed, "question", &normalized(row.asked())),
    }
}

/// The side of each row, and how rows were held together.
///
/// Large units go first, so that small ones fill what these leave; among equals the seed decides. The side is drawn
/// from those with room, so that each row of a label is as likely in a split as the split is large.
fn assign(members: &[Member<'_>], shares: [f64; SIDES], seed: u64) -> (Vec<usize>, Groups) {
    let labels = members.iter().map(|member| member.label + 1).max().unwrap_or(0);
    let mut rows = vec![0; labels];
    for member in members {
        rows[member.label] += 1;
    }
    let mut room = Room::of(&rows, shares, seed);
    let mut units = units(members);
    units.sort_by_key(|unit| (Reverse(unit.rows.len()), unit.drawn, unit.rows.first().copied()));
    let mut sides = vec![0; members.len()];
    for unit in &units {
        let side = room.side_for(unit, xxh3_64_with_seed(&unit.drawn.to_le_bytes(), seed));
        room.fill(unit, side);
        for row in &unit.rows {
            sides[*row] = side;
        }
    }
    let largest = units.first().map_or(0, |unit| unit.rows.len());
    let count = units.iter().filter(|unit| unit.rows.len() > 1).count();
    (sides, Groups { count, largest })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARES: [f64; SIDES] = [0.8, 0.1, 0.1, 0.0];

    /// Rows of their own, with a label each.
    fn rows(labels: impl IntoIterator<Item = usize>, seed: u64) -> Vec<Member<'static>> {
        let member = |(row, label): (usize, usize)| Member {
            question: row,
            group: None,
            label,
            drawn: draw(seed, "question", &format!("question {row}")),
        };
        labels.into_iter().enumerate().map(member).collect()
    }

    /// How many rows of a label are on each side.
    fn counts(members: &[Member<'_>], sides: &[usize], label: usize) -> [usize; SIDES] {
        let mut counts = [0; SIDES];
        for (member, side) in members.iter().zip(sides) {
            counts[*side] += usize::from(member.label == label);
        }
        counts
    }

    #[test]
    fn each_label_is_split_in_the_same_shares() {
        let members = rows((0..60).map(|row| row % 3), 1);
        let (sides, groups) = assign(&members, SHARES, 1);
        for label in 0..3 {
            assert_eq!(counts(&members, &sides, label), [16, 2, 2, 0]);
        }
        assert_eq!(groups, Groups { count: 0, largest: 1 });
    }

    #[test]
    fn parts_of_rows_are_within_one_row_for_each_label_and_for_all() {
        let members = rows((0..30).map(|row| row % 3), 1);
        let (sides, _) = assign(&members, [0.9, 0.05, 0.05, 0.0], 1);
        let all: Vec<[usize; SIDES]> =
            (0..3).map(|label| counts(&members, &sides, label)).collect();
        assert!(all.iter().all(|counts| counts[0] == 9 && counts[1] + counts[2] == 1), "{all:?}");
        let valid: usize = all.iter().map(|counts| counts[1]).sum();
        assert!((1..=2).contains(&valid), "{all:?}");
    }

    #[test]
    fn what_belongs_together_is_on_one_side_and_sizes_are_still_met() {
        let mut members = rows((0..100).map(|_| 0), 3);
        let names: Vec<String> = (0..25).map(|group| format!("user {group}")).collect();
        for (row, member) in members.iter_mut().enumerate() {
            // Pairs of questions, and users of four rows.
            member.question = row / 2;
            member.drawn = draw(3, "group", &names[row / 4]);
        }
        let members: Vec<Member<'_>> = members
            .into_iter()
            .enumerate()
            .map(|(row, member)| Member { group: Some(&names[row / 4]), ..member })
            .collect();
        let (sides, groups) = assign(&members, SHARES, 3);
        assert_eq!(groups, Groups { count: 25, largest: 4 });
        assert!(sides.chunks(4).all(|user| user.iter().all(|side| *side == user[0])));
        let counts = counts(&members, &sides, 0);
        // The shares of 80, 10 and 10 rows lie between whole users.
        assert!((76..=84).contains(&counts[0]) && counts[1] >= 8 && counts[2] >= 8, "{counts:?}");
    }

    #[test]
    fn a_group_larger_than_a_split_stays_whole_where_there_is_room() {
        let mut members = rows([0; 20], 5);
        for member in members.iter_mut().take(12) {
            member.question = 0;
        }
        let (sides, groups) = assign(&members, SHARES, 5);
        assert_eq!(groups, Groups { count: 1, largest: 12 });
        assert_eq!(sides[..12], [0; 12]);
        assert_eq!(counts(&members, &sides, 0), [16, 2, 2, 0]);
    }

    #[test]
    fn rows_beyond_the_numbers_asked_for_are_left_out() {
        let members = rows((0..60).map(|row| row % 2), 1);
        let (sides, _) = assign(&members, [0.5, 0.1, 0.1, 0.3], 1);
        assert_eq!(counts(&members, &sides, 0), [15, 3, 3, 9]);
        assert_eq!(counts(&members, &sides, 1), [15, 3, 3, 9]);
    }

    #[test]
    fn the_seed_alone_decides() {
        let sides = |seed: u64| assign(&rows([0; 200], seed), SHARES, seed).0;
        assert_eq!(sides(1), sides(1));
        let moved = sides(1).iter().zip(sides(2)).filter(|(a, b)| **a != *b).count();
        // Of rows split 8 to 1 to 1 at random, 34 in 100 change sides.
        assert!((40..=100).contains(&moved), "{moved}");
    }

    #[test]
    fn further_rows_move_few_of_the_others() {
        let few = assign(&rows([0; 200], 1), SHARES, 1).0;
        let more = assign(&rows([0; 220], 1), SHARES, 1).0;
        let moved = few.iter().zip(&more).filter(|(a, b)| a != b).count();
        assert!(moved <= 20, "{moved}");
    }
}
