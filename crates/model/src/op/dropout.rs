//! Dropout whose masks depend only on where they are used, so that layout, recomputation and resuming cannot change them.

use rayon::prelude::*;

/// Where a training pass draws its masks from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dropout {
    /// Share of features set to zero, in [0, 1).
    pub rate: f32,
    /// The run's seed.
    pub seed: u64,
    /// The optimizer step.
    pub step: u64,
    /// Number, within the step, of the batch's first row.
    pub first_row: u64,
}

/// What tells one token of a step from every other.
#[derive(Debug, Clone, Copy)]
pub struct TokenKey {
    /// Row within the batch.
    pub row: usize,
    /// Position within the row.
    pub position: usize,
}

impl Dropout {
    /// Writes a mask of zeros and `1 / (1 − rate)` for the input of `module`.
    ///
    /// Shapes: `mask` (T, width), T the number of keys.
    pub fn write_mask(&self, module: &str, keys: &[TokenKey], mask: &mut [f32]) {
        let kept = 1.0 / (1.0 - self.rate);
        let threshold = (f64::from(self.rate) * 2f64.powi(32)) as u64;
        let run = [self.seed, self.step].into_iter().fold(name_key(module), combine);
        let width = mask.len() / keys.len().max(1);
        keys.par_iter().zip(mask.par_chunks_mut(width.max(1))).for_each(|(key, mask)| {
            let token = combine(combine(run, self.first_row + key.row as u64), key.position as u64);
            for (feature, mask) in mask.iter_mut().enumerate() {
                let dropped = combine(token, feature as u64) >> 32 < threshold;
                *mask = if dropped { 0.0 } else { kept };
            }
        });
    }
}

/// FNV-1a of a module's name.
pub(crate) fn name_key(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// SplitMix64's finaliser over a running key (Steele et al. 2014).
fn combine(key: u64, value: u64) -> u64 {
    let mut z = key
        .wrapping_add(value.wrapping_mul(0xff51_afd7_ed55_8ccd))
        .wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(step: u64, first_row: u64, keys: &[TokenKey]) -> Vec<Vec<f32>> {
        let dropout = Dropout { rate: 0.25, seed: 7, step, first_row };
        let mut mask = vec![0.0; keys.len() * 64];
        dropout.write_mask("model.layers.0.mlp.up_proj", keys, &mut mask);
        mask.chunks(64).map(<[f32]>::to_vec).collect()
    }

    #[test]
    fn a_token_keeps_its_mask_wherever_its_row_stands() {
        let late = TokenKey { row: 3, position: 5 };
        let early = TokenKey { row: 1, position: 5 };
        assert_eq!(mask(2, 0, &[early, late])[1], mask(2, 2, &[early])[0]);
        assert_ne!(mask(2, 0, &[late]), mask(3, 0, &[late]));
    }

    #[test]
    fn the_rate_is_the_share_of_zeros_and_the_mean_is_kept() {
        let keys: Vec<_> = (0..500).map(|position| TokenKey { row: 0, position }).collect();
        let values: Vec<f32> = mask(0, 0, &keys).concat();
        let zeros = values.iter().filter(|v| **v == 0.0).count() as f64 / values.len() as f64;
        assert!((zeros - 0.25).abs() < 0.01, "{zeros}");
        assert!(values.iter().all(|v| *v == 0.0 || (*v - 4.0 / 3.0).abs() < 1e-6));
    }
}
