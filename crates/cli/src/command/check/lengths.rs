//! How long the rows of a file are, in tokens.

use serde_json::{json, Value};

use crate::number::grouped;

/// Bars of the histogram.
const BARS: usize = 8;
/// Characters of the longest bar.
const WIDTH: usize = 32;
const SHARES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p95", 0.95), ("p99", 0.99), ("max", 1.0)];

/// The lengths of a file's training rows; never of none.
#[derive(Debug, Clone, PartialEq)]
pub struct Lengths {
    sorted: Vec<usize>,
    supervised: usize,
    max_length: usize,
}

impl Lengths {
    /// The lengths of rows, with their supervised tokens in all; `None` where there is no row.
    pub fn new(mut lengths: Vec<usize>, supervised: usize, max_length: usize) -> Option<Lengths> {
        lengths.sort_unstable();
        (!lengths.is_empty()).then_some(Lengths { sorted: lengths, supervised, max_length })
    }

    fn tokens(&self) -> usize {
        self.sorted.iter().sum()
    }

    /// The smallest length that at least this share of the rows does not exceed.
    fn quantile(&self, share: f64) -> usize {
        let rank = (share * self.sorted.len() as f64).ceil() as usize;
        self.sorted.get(rank.saturating_sub(1)).or(self.sorted.last()).copied().unwrap_or(0)
    }

    fn shortest(&self) -> usize {
        self.sorted.first().copied().unwrap_or(0)
    }

    fn over_limit(&self) -> usize {
        self.sorted.iter().filter(|length| **length > self.max_length).count()
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
        let below = |bound: usize| self.sorted.partition_point(|length| *length < bound);
        below(to) - below(from)
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
            "training_rows": self.sorted.len(),
            "per_row": quantiles,
            "max_length": self.max_length,
            "over_max_length": self.over_limit(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_lengths_that_occur() {
        let lengths = Lengths::new((1..=100).rev().collect(), 50, 98).unwrap();
        assert_eq!(SHARES.map(|(_, share)| lengths.quantile(share)), [50, 90, 95, 99, 100]);
        assert_eq!(lengths.over_limit(), 2);
        assert_eq!(Lengths::new(Vec::new(), 0, 1), None);
    }

    #[test]
    fn the_histogram_counts_every_row_once() {
        let lengths = Lengths::new(vec![10, 10, 10, 11, 18, 25], 0, 100).unwrap();
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
        assert_eq!(Lengths::new(vec![7, 7], 3, 7).unwrap().histogram(), Vec::<String>::new());
    }
}
