//! The order of the rows in an epoch.

/// The numbers below `n` in an order that depends on `seed` and `epoch` alone, every order equally likely.
///
/// The numbers are drawn by SplitMix64 and the order by Fisher and Yates' method, both fixed here,
/// so that a run can be repeated with any later version.
pub fn shuffled(n: usize, seed: u64, epoch: usize) -> Vec<usize> {
    // The seed is mixed before the epoch is added: (seed, epoch + 1) and (seed + 1, epoch) must differ.
    let mut numbers =
        SplitMix64 { state: SplitMix64 { state: seed }.next().wrapping_add(epoch as u64) };
    let mut order: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        order.swap(last, numbers.below(last as u64 + 1) as usize);
    }
    order
}

/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
struct SplitMix64 {
    state: u64,
}

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, each equally likely.
    fn below(&mut self, bound: u64) -> u64 {
        // Draws beyond the largest multiple of `bound` would favour the small numbers.
        let surplus = (u64::MAX % bound + 1) % bound;
        loop {
            let drawn = self.next();
            if drawn <= u64::MAX - surplus {
                return drawn % bound;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_published_generator() {
        let mut numbers = SplitMix64 { state: 1_234_567 };
        let drawn: Vec<u64> = (0..3).map(|_| numbers.next()).collect();
        assert_eq!(
            drawn,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn the_order_is_fixed_by_seed_and_epoch() {
        assert_eq!(shuffled(10, 42, 0), [4, 6, 7, 0, 9, 5, 1, 2, 3, 8]);
        assert_eq!(shuffled(10, 42, 1), [0, 3, 4, 6, 1, 5, 9, 2, 7, 8]);
        assert_eq!(shuffled(10, 43, 0), [4, 9, 1, 8, 7, 0, 2, 3, 5, 6]);
        assert_eq!(shuffled(0, 1, 0), Vec::<usize>::new());
        assert_eq!(shuffled(1, 1, 0), [0]);
    }

    #[test]
    fn each_order_of_three_comes_up_equally_often() {
        let mut counts = std::collections::BTreeMap::new();
        for epoch in 0..6000 {
            *counts.entry(shuffled(3, 7, epoch)).or_insert(0_i32) += 1;
        }
        assert_eq!(counts.len(), 6);
        // 1000 each, with a standard deviation of 29.
        assert!(counts.values().all(|count| (count - 1000).abs() < 120), "{counts:?}");
    }
}
