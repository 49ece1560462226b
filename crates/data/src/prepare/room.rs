//! How many rows of each label each side still takes.

use std::cmp::Reverse;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::sizes::SIDES;
use super::unit::Unit;

/// Below this, what a share of some rows has beside whole rows is an error of rounding.
const ROUNDING: f64 = 1e-6;

/// The rows that the sides still take; below 0 where a unit was larger than the room for it.
pub(super) struct Room {
    /// By label and side.
    of_labels: Vec<[i64; SIDES]>,
    /// By side.
    total: [i64; SIDES],
}

impl Room {
    /// Room for these numbers of rows of each label, in these shares.
    pub(super) fn of(rows: &[usize], shares: [f64; SIDES], seed: u64) -> Room {
        let of_labels = quotas(rows, shares, seed);
        let mut total = [0_i64; SIDES];
        for quota in &of_labels {
            for (sum, part) in total.iter_mut().zip(quota) {
                *sum += part;
            }
        }
        Room { of_labels, total }
    }

    /// Takes a unit into a side.
    pub(super) fn fill(&mut self, unit: &Unit, side: usize) {
        for (label, count) in &unit.labels {
            self.of_labels[*label][side] -= count;
            self.total[side] -= count;
        }
    }

    /// The side for a unit: of those with room for it the ones that upset the labels least, and of these the one that
    /// `drawn` falls on, each as likely as it has room.
    pub(super) fn side_for(&self, unit: &Unit, drawn: u64) -> usize {
        let size = unit.rows.len() as i64;
        let fitting: Vec<usize> = (0..SIDES).filter(|side| self.total[*side] >= size).collect();
        let Some(least) = fitting.iter().map(|side| self.excess(unit, *side)).min() else {
            return self.widest();
        };
        let best = fitting.into_iter().filter(|side| self.excess(unit, *side) == least);
        let best: Vec<(usize, u128)> = best.map(|side| (side, self.weight(unit, side))).collect();
        let sum: u128 = best.iter().map(|(_, weight)| weight).sum();
        let mut point = (u128::from(drawn) * sum) >> 64;
        for (side, weight) in best {
            if point < weight {
                return side;
            }
            point -= weight;
        }
        self.widest()
    }

    /// How many rows of a unit are more than a side has room for, label by label.
    fn excess(&self, unit: &Unit, side: usize) -> i64 {
        let over = |(label, count): (&usize, &i64)| (count - self.free(*label, side)).max(0);
        unit.labels.iter().map(over).sum()
    }

    /// The room of a side for the labels of a unit, at least 1.
    fn weight(&self, unit: &Unit, side: usize) -> u128 {
        let free: i64 = unit.labels.keys().map(|label| self.free(*label, side)).sum();
        u128::from(free.max(1).unsigned_abs())
    }

    fn free(&self, label: usize, side: usize) -> i64 {
        self.of_labels[label][side].max(0)
    }

    /// The side with the most room, the first of several.
    fn widest(&self) -> usize {
        (0..SIDES).max_by_key(|side| (self.total[*side], Reverse(*side))).unwrap_or(0)
    }
}

/// The rows of each label that each side gets: its share rounded up or down, so that their sums over all labels are
/// nearly the shares of all rows too.
fn quotas(rows: &[usize], shares: [f64; SIDES], seed: u64) -> Vec<[i64; SIDES]> {
    let exact = |rows: &usize| shares.map(|share| share * *rows as f64);
    let whole = |rows: &usize| exact(rows).map(|part| (part + ROUNDING).floor());
    let mut quotas: Vec<[i64; SIDES]> =
        rows.iter().map(|rows| whole(rows).map(|part| part as i64)).collect();
    let mut missing = [0.0_f64; SIDES];
    for rows in rows {
        for ((sum, exact), whole) in missing.iter_mut().zip(exact(rows)).zip(whole(rows)) {
            *sum += exact - whole;
        }
    }
    let mut labels: Vec<usize> = (0..rows.len()).collect();
    // Which labels are rounded up where depends on the seed, not on their names.
    labels.sort_by_key(|label| xxh3_64_with_seed(&(*label as u64).to_le_bytes(), seed));
    for label in labels {
        let (exact, whole) = (exact(&rows[label]), whole(&rows[label]));
        let left = rows[label].saturating_sub(whole.iter().sum::<f64>() as usize);
        let has_part = |side: &usize| exact[*side] - whole[*side] > ROUNDING;
        let mut sides: Vec<usize> = (0..SIDES).filter(has_part).collect();
        sides.sort_by(|a, b| missing[*b].total_cmp(&missing[*a]).then(a.cmp(b)));
        for side in sides.into_iter().take(left) {
            quotas[label][side] += 1;
            missing[side] -= 1.0;
        }
    }
    quotas
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_that_come_out_whole_are_met_for_every_label() {
        let quotas = quotas(&[20, 60, 100], [0.9, 0.05, 0.05, 0.0], 7);
        assert_eq!(quotas, [[18, 1, 1, 0], [54, 3, 3, 0], [90, 5, 5, 0]]);
    }

    #[test]
    fn what_labels_have_beside_whole_rows_is_shared_out_over_all_of_them() {
        // 77 labels of five rows: 4.5, 0.25 and 0.25 of each, 346.5, 19.25 and 19.25 in all.
        let quotas = quotas(&[5; 77], [0.9, 0.05, 0.05, 0.0], 7);
        let sum = |side: usize| quotas.iter().map(|quota| quota[side]).sum::<i64>();
        assert!(matches!([sum(0), sum(1), sum(2), sum(3)], [346 | 347, 19 | 20, 19 | 20, 0]));
        assert!(quotas.iter().all(|quota| quota[0] >= 4 && quota.iter().sum::<i64>() == 5));
    }

    #[test]
    fn numbers_of_rows_leave_a_rest() {
        let quotas = quotas(&[30, 30], [0.5, 0.1, 0.1, 0.3], 7);
        assert_eq!(quotas, [[15, 3, 3, 9]; 2]);
    }
}
