//! How long the rows of a file are, in tokens.

use std::collections::BTreeMap;

use serde_json::{json, Value};

use crate::number::grouped;

/// Bars of the histogram.
const BARS: usize = 8;
/// Characters of the longest bar.
const WIDTH: usize = 32;
const SHARES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

/// The lengths of a file's training rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lengths {
    /// How many rows there are of each length: as many numbers as there are lengths, however long the file.
    rows: BTreeMap<usize, usize>,
    supervised: usize,
    max_length: usize,
}

impl Lengths {
    /// No lengths yet, against that limit.
    pub fn against(max_length: usize) -> Lengths {
        Lengths { max_length, ..Lengths::default() }
    }

    /// Counts a row of that length, with its supervised tokens.
    pub fn add(&mut self, length: usize, supervised: usize) {
        *self.rows.entry(length).or_default() += 1;
        self.supervised += supervised;
    }

    /// Whether no row was counted.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Each length and how many rows have it, the shortest first.
    pub fn by_length(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.rows.iter().map(|(length, count)| (*length, *count))
    }

    /// The rows that the limit allows.
    pub fn within_limit(&self) -> usize {
        self.rows.range(..=self.max_length).map(|(_, count)| count).sum()
    }

    fn row_count(&self) -> usize {
        self.rows.values().sum()
    }

    fn tokens(&self) -> usize {
        self.rows.iter().map(|(length, count)| length * count).sum()
    }

    /// The smallest length that at least this share of the rows does not exceed.
    fn quantile(&self, share: f64) -> usize {
        let rank = (share * self.row_count() as f64).ceil() as usize;
        let mut below = 0;
        let reaches = |(_, count): &(&usize, &usize)| {
            below += **count;
            below >= rank
        };
        let found = self.rows.iter().find(reaches).or(self.rows.last_key_value());
        found.map_or(0, |(length, _)| *length)
    }

    fn shortest(&self) -> usize {
        self.rows.first_key_value().map_or(0, |(length, _)| *length)
    }

    fn over_limit(&self) -> usize {
        self.row_count() - self.within_limit()
    }

    /// The figures and the histogram, line by line.
    pub fn lines(&self) -> Vec<String> {
        let tokens = self.tokens();
        let share = 100.0 * self.supervised as f64 / tokens.max(1) as f64;
        let quantiles =
            SHARES.map(|(name, share)| format!("{name} {}", grouped(self.quantile(share))));
        let row = |name: &str, value: String| format!("{name:<18}{value}");
        let mut lines = vec![
            row(
                "tokens",
                format!(
                    "{}, {} of them supervised ({share:.1} %)",
                    grouped(tokens),
                    grouped(self.supervised)
                ),
            ),
            row(
                "tokens per row",
                format!("min {}, {}", grouped(self.shortest()), quantiles.join(", ")),
            ),
        ];
        lines.extend(self.histogram());
        lines.push(row(
            "over the limit",
            format!("{} (limit {})", grouped(self.over_limit()), grouped(self.max_length)),
        ));
        lines
    }

    /// Bars of equal width in tokens, from the shortest row to the longest.
    fn histogram(&self) -> Vec<String> {
        let (low, high) = (self.shortest(), self.quantile(1.0));
        if low == high {
            return Vec::new();
        }
        let step = (high - low + 1).div_ceil(BARS);
        let counts: Vec<(usize, usize)> = (0..BARS)
            .map(|bar| low + bar * step)
            .take_while(|from| *from <= high)
            .map(|from| (from, self.count(from, from + step)))
            .collect();
        let most = counts.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
        let bar = |(from, count): &(usize, usize)| {
            let range = format!("{}–{}", grouped(*from), grouped(from + step - 1));
            // A bar that stands for any row at all is at least one character.
            let filled = (count * WIDTH).div_ceil(most);
            format!("{range:>16}  {:<WIDTH$} {}", "▇".repeat(filled), grouped(*count))
                .trim_end()
                .to_owned()
        };
        counts.iter().map(bar).collect()
    }

    /// Rows of a length from `from` up to, but not, `to`.
    fn count(&self, from: usize, to: usize) -> usize {
        self.rows.range(from..to).map(|(_, count)| count).sum()
    }

    /// The figures for programs.
    pub fn to_json(&self) -> Value {
        let mut quantiles = json!({ "min": self.shortest() });
        for (name, share) in SHARES {
            quantiles[name] = self.quantile(share).into();
        }
        json!({
            "total": self.tokens(),
            "supervised": self.supervised,
            "training_rows": self.row_count(),
            "per_row": quantiles,
            "max_length": self.max_length,
            "over_max_length": self.over_limit(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(rows: impl IntoIterator<Item = usize>, max_length: usize) -> Lengths {
        let mut lengths = Lengths::against(max_length);
        rows.into_iter().for_each(|length| lengths.add(length, 1));
        lengths
    }

    #[test]
    fn quantiles_are_lengths_that_occur() {
        let lengths = of((1..=100).rev(), 98);
        assert_eq!(SHARES.map(|(_, share)| lengths.quantile(share)), [50, 90, 95, 99, 100]);
        assert_eq!(lengths.over_limit(), 2);
        assert!(Lengths::against(1).is_empty() && !lengths.is_empty());
    }

    #[test]
    fn the_histogram_counts_every_row_once() {
        let lengths = of([10, 10, 10, 11, 18, 25], 100);
        let counts: Vec<usize> =
            (0..8).map(|bar| lengths.count(10 + 2 * bar, 12 + 2 * bar)).collect();
        assert_eq!(counts, [4, 0, 0, 0, 1, 0, 0, 1]);
        let bars = lengths.histogram();
        assert_eq!(bars.len(), 8);
        assert_eq!(bars[1].trim(), "12–13                                   0");
        assert!(bars[0].contains(&"▇".repeat(32)) && bars[4].contains("▇▇▇▇▇▇▇▇ "));
    }

    #[test]
    fn rows_of_one_length_need_no_histogram() {
        assert_eq!(of([7, 7], 7).histogram(), Vec::<String>::new());
    }
}
