//! How many rows each split gets.

use std::str::FromStr;

/// Where a row can go: a split, or none of them where numbers of rows are asked for.
pub(super) const SIDES: usize = 4;

/// The side of rows that no split has room for.
pub(super) const LEFT_OUT: usize = 3;

/// How far shares may be from adding up to 1.
const TOLERANCE: f64 = 1e-9;

/// The sizes of the training, validation and test splits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SplitSizes(Sizes);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Sizes {
    /// Shares of all rows that add up to 1.
    Shares([f64; 3]),
    /// Numbers of rows.
    Counts([usize; 3]),
}

/// A text that gives no sizes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected three shares that add up to 1, such as `0.8/0.1/0.1`, or three numbers of rows, such as `1000/100/100`, \
     the first above 0"
)]
pub struct WrongSizes;

impl Default for SplitSizes {
    fn default() -> SplitSizes {
        SplitSizes(Sizes::Shares([0.9, 0.05, 0.05]))
    }
}

impl FromStr for SplitSizes {
    type Err = WrongSizes;

    /// The sizes in a text such as `0.8/0.1/0.1` or `1000/100/100`; `1/0/0` is shares, as no set has one row.
    fn from_str(text: &str) -> Result<SplitSizes, WrongSizes> {
        let parts: Vec<&str> = text.split('/').map(str::trim).collect();
        let [train, valid, test] = parts.as_slice() else { return Err(WrongSizes) };
        let parts = [train, valid, test];
        if let [Ok(train), Ok(valid), Ok(test)] = parts.map(|part| part.parse::<usize>()) {
            if train > 0 && train.saturating_add(valid).saturating_add(test) > 1 {
                return Ok(SplitSizes(Sizes::Counts([train, valid, test])));
            }
        }
        let [Ok(train), Ok(valid), Ok(test)] = parts.map(|part| part.parse::<f64>()) else {
            return Err(WrongSizes);
        };
        let shares = [train, valid, test];
        let is_share = |share: &f64| (0.0..=1.0).contains(share);
        let sum: f64 = shares.iter().sum();
        let whole = (sum - 1.0).abs() <= TOLERANCE;
        if !whole || train <= 0.0 || !shares.iter().all(is_share) {
            return Err(WrongSizes);
        }
        Ok(SplitSizes(Sizes::Shares(shares)))
    }
}

impl SplitSizes {
    /// The share of each side in that many rows; numbers of rows that are not there are all reduced alike.
    pub(super) fn shares(self, rows: usize) -> [f64; SIDES] {
        match self.0 {
            Sizes::Shares([train, valid, test]) => [train, valid, test, 0.0],
            Sizes::Counts(counts) => {
                let asked = counts.iter().fold(0_usize, |sum, count| sum.saturating_add(*count));
                let all = asked.max(rows) as f64;
                let [train, valid, test] = counts.map(|count| count as f64 / all);
                [train, valid, test, rows.saturating_sub(asked) as f64 / all]
            }
        }
    }

    /// The rows that each split should have of that many.
    pub(super) fn asked(self, rows: usize) -> [f64; 3] {
        match self.0 {
            Sizes::Shares(shares) => shares.map(|share| share * rows as f64),
            Sizes::Counts(counts) => counts.map(|count| count as f64),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(text: &str) -> SplitSizes {
        text.parse().unwrap()
    }

    #[test]
    fn shares_and_numbers_of_rows_are_told_apart() {
        assert_eq!(sizes("0.8/0.1/0.1").shares(50), [0.8, 0.1, 0.1, 0.0]);
        assert_eq!(sizes("1/0/0").shares(50), [1.0, 0.0, 0.0, 0.0]);
        assert_eq!(sizes(" 40 / 5 / 5 ").shares(100), [0.4, 0.05, 0.05, 0.5]);
        assert_eq!(SplitSizes::default(), sizes("0.9/0.05/0.05"));
    }

    #[test]
    fn numbers_beyond_the_rows_are_reduced_alike() {
        assert_eq!(sizes("80/10/10").shares(50), [0.8, 0.1, 0.1, 0.0]);
        assert_eq!(sizes("80/10/10").asked(50), [80.0, 10.0, 10.0]);
        assert_eq!(sizes("0.8/0.1/0.1").asked(50), [40.0, 5.0, 5.0]);
    }

    #[test]
    fn what_does_not_add_up_is_refused() {
        for text in [
            "",
            "0.8/0.2",
            "0.8/0.1/0.2",
            "0/0.5/0.5",
            "0/5/5",
            "1.2/-0.1/-0.1",
            "nan/0/1",
            "a/b/c",
        ] {
            assert_eq!(text.parse::<SplitSizes>(), Err(WrongSizes), "{text}");
        }
    }
}
