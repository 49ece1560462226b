//! The choice of the next token from its logits.
//!
//! Source: the logits processors of transformers, in its order: repetition penalty (Keskar et al.
//! 2019), temperature, top-k (Fan et al. 2018), top-p (Holtzman et al. 2020), min-p (Nguyen et al.
//! 2024). The draw itself is candle's.

use candle_core::Tensor;
use candle_transformers::generation::{LogitsProcessor, Sampling as Draw};

use crate::error::InferError;

/// Below this a temperature means the likeliest token.
const COLDEST: f64 = 1e-7;

/// How tokens are to be chosen, unchecked.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingOptions {
    /// 0 takes the likeliest token; higher values flatten the distribution.
    pub temperature: f64,
    /// How many of the likeliest tokens stay; those that tie with the last one stay too.
    pub top_k: Option<usize>,
    /// The share of probability that the likeliest tokens which stay must reach, above 0 up to 1.
    pub top_p: Option<f64>,
    /// The share of the likeliest token's probability that a token needs to stay, 0 to 1.
    pub min_p: Option<f64>,
    /// Divides positive logits, and multiplies negative ones, of tokens that the prompt or the
    /// completion already holds; 1 changes nothing.
    pub repetition_penalty: f64,
    /// The seed of the draws.
    pub seed: u64,
}

impl Default for SamplingOptions {
    fn default() -> Self {
        SamplingOptions {
            temperature: 0.0,
            top_k: None,
            top_p: None,
            min_p: None,
            repetition_penalty: 1.0,
            seed: 0,
        }
    }
}

/// How tokens are chosen, checked; the default takes the likeliest one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampling {
    options: SamplingOptions,
}

impl Sampling {
    /// The checked options.
    ///
    /// # Errors
    /// When a number lies outside its range.
    pub fn new(options: SamplingOptions) -> Result<Sampling, InferError> {
        let share = |value: Option<f64>| value.is_none_or(|value| value > 0.0 && value <= 1.0);
        let checks = [
            (
                options.temperature >= 0.0 && options.temperature.is_finite(),
                "temperature",
                "0 or a positive number",
                options.temperature,
            ),
            (options.top_k != Some(0), "top-k", "a positive whole number", 0.0),
            (
                share(options.top_p),
                "top-p",
                "a number above 0, at most 1",
                options.top_p.unwrap_or_default(),
            ),
            (
                options.min_p == Some(0.0) || share(options.min_p),
                "min-p",
                "a number from 0 to 1",
                options.min_p.unwrap_or_default(),
            ),
            (
                options.repetition_penalty > 0.0 && options.repetition_penalty.is_finite(),
                "repetition-penalty",
                "a positive number",
                options.repetition_penalty,
            ),
        ];
        match checks.into_iter().find(|(holds, ..)| !holds) {
            None => Ok(Sampling { options }),
            Some((_, setting, expected, found)) => {
                Err(InferError::Setting { setting, expected, found: found.to_string() })
            }
        }
    }

    /// Whether the likeliest token is taken.
    pub fn is_greedy(&self) -> bool {
        self.options.temperature < COLDEST
    }

    /// The options it was made of.
    pub fn options(&self) -> &SamplingOptions {
        &self.options
    }

    /// The logits after every step before the draw; a token that cannot be drawn has −∞.
    ///
    /// `seen` holds the prompt and the completion so far. Shapes: one logit for each token.
    pub fn filter(&self, mut logits: Vec<f32>, seen: &[u32]) -> Vec<f32> {
        penalise(&mut logits, seen, self.options.repetition_penalty as f32);
        if self.is_greedy() {
            return logits;
        }
        let temperature = self.options.temperature as f32;
        logits.iter_mut().for_each(|logit| *logit /= temperature);
        if let Some(count) = self.options.top_k {
            keep_likeliest(&mut logits, count);
        }
        if let Some(share) = self.options.top_p.filter(|share| *share < 1.0) {
            keep_nucleus(&mut logits, share);
        }
        if let Some(share) = self.options.min_p.filter(|share| *share > 0.0) {
            keep_above_share_of_best(&mut logits, share);
        }
        logits
    }

    fn changes_logits(&self) -> bool {
        !self.is_greedy() || self.options.repetition_penalty != 1.0
    }
}

/// Chooses the tokens of one completion; its draws are its own.
pub struct Sampler<'a> {
    sampling: &'a Sampling,
    processor: LogitsProcessor,
}

impl<'a> Sampler<'a> {
    /// A sampler whose draws depend on the seed of `sampling` and on `key` alone.
    pub fn new(sampling: &'a Sampling, key: u64) -> Sampler<'a> {
        let draw = if sampling.is_greedy() { Draw::ArgMax } else { Draw::All { temperature: 1.0 } };
        let seed = scattered(scattered(sampling.options.seed) ^ key);
        Sampler { sampling, processor: LogitsProcessor::from_sampling(seed, draw) }
    }

    /// The next token.
    ///
    /// `seen` holds the prompt and the completion so far. Shapes: `logits` (V).
    ///
    /// # Errors
    /// When no token can be drawn, as with logits that are not numbers.
    pub fn next(&mut self, logits: &Tensor, seen: &[u32]) -> candle_core::Result<u32> {
        if !self.sampling.changes_logits() {
            return self.processor.sample(logits);
        }
        let filtered = self.sampling.filter(logits.to_vec1()?, seen);
        self.processor.sample(&Tensor::new(filtered, logits.device())?)
    }
}

/// Bits that change all over when one bit of `value` does (SplitMix64's finaliser).
fn scattered(value: u64) -> u64 {
    let mut bits = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn penalise(logits: &mut [f32], seen: &[u32], penalty: f32) {
    if penalty == 1.0 {
        return;
    }
    let mut seen = seen.to_vec();
    seen.sort_unstable();
    seen.dedup();
    for id in seen {
        if let Some(logit) = logits.get_mut(id as usize) {
            *logit = if *logit < 0.0 { *logit * penalty } else { *logit / penalty };
        }
    }
}

fn keep_likeliest(logits: &mut [f32], count: usize) {
    if count >= logits.len() {
        return;
    }
    let mut ordered = logits.to_vec();
    let (_, lowest, _) = ordered.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
    let lowest = *lowest;
    remove(logits, |_, logit| logit < lowest);
}

/// Removes the least likely tokens that together have at most `1 − share`, never all.
fn keep_nucleus(logits: &mut [f32], share: f64) {
    let probabilities = softmax(logits);
    let mut ascending: Vec<usize> = (0..logits.len()).collect();
    ascending.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    ascending.pop();
    let mut cumulative = 0.0;
    for index in ascending {
        cumulative += probabilities[index];
        if cumulative > 1.0 - share {
            return;
        }
        logits[index] = f32::NEG_INFINITY;
    }
}

fn keep_above_share_of_best(logits: &mut [f32], share: f64) {
    let probabilities = softmax(logits);
    let best = probabilities.iter().copied().fold(0.0, f64::max);
    remove(logits, |index, _| probabilities[index] < share * best);
}

fn remove(logits: &mut [f32], unwanted: impl Fn(usize, f32) -> bool) {
    for (index, logit) in logits.iter_mut().enumerate() {
        if unwanted(index, *logit) {
            *logit = f32::NEG_INFINITY;
        }
    }
}

/// Probabilities, summed in f64: a vocabulary has many small ones.
fn softmax(logits: &[f32]) -> Vec<f64> {
    let best = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = logits.iter().map(|logit| f64::from(logit - best).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    const LOGITS: [f32; 12] =
        [2.375, 0.5, 0.25, -1.875, 0.125, -4.125, 1.0, 3.0, -4.25, 2.875, 1.625, 3.75];
    const SEEN: [u32; 4] = [2, 5, 5, 7];

    fn options() -> SamplingOptions {
        SamplingOptions { temperature: 1.0, ..SamplingOptions::default() }
    }

    /// The tokens that stay and their probabilities.
    fn kept(options: SamplingOptions) -> Vec<(usize, f64)> {
        let sampling = Sampling::new(options).unwrap();
        let filtered = sampling.filter(LOGITS.to_vec(), &SEEN);
        let probabilities = softmax(&filtered).into_iter().enumerate();
        probabilities.filter(|(_, p)| *p > 0.0).collect()
    }

    /// Compares with figures of transformers 5.23, rounded to five decimals.
    fn assert_kept(options: SamplingOptions, expected: &[(usize, f64)]) {
        let found = kept(options);
        assert_eq!(
            found.iter().map(|(id, _)| *id).collect::<Vec<_>>(),
            expected.iter().map(|(id, _)| *id).collect::<Vec<_>>()
        );
        for ((_, found), (id, expected)) in found.iter().zip(expected) {
            assert!((found - expected).abs() < 6e-6, "token {id}: {found} {expected}");
        }
    }

    #[test]
    fn the_penalty_divides_positive_and_multiplies_negative_logits_once() {
        let expected = [
            0.11559, 0.01773, 0.01303, 0.00165, 0.01218, 5e-05, 0.02923, 0.10806, 0.00015, 0.19057,
            0.0546, 0.45716,
        ];
        let expected: Vec<(usize, f64)> = expected.into_iter().enumerate().collect();
        let repetition_penalty = 1.3;
        assert_kept(SamplingOptions { repetition_penalty, ..options() }, &expected);
    }

    #[test]
    fn top_k_top_p_and_min_p_keep_what_transformers_keeps() {
        assert_kept(
            SamplingOptions { top_k: Some(4), ..options() },
            &[(0, 0.11804), (7, 0.22052), (9, 0.19461), (11, 0.46684)],
        );
        assert_kept(
            SamplingOptions { temperature: 1.5, top_p: Some(0.8), ..options() },
            &[(0, 0.14245), (7, 0.21608), (9, 0.19881), (10, 0.0864), (11, 0.35626)],
        );
        assert_kept(
            SamplingOptions { min_p: Some(0.1), ..options() },
            &[(0, 0.1118), (7, 0.20887), (9, 0.18433), (10, 0.05281), (11, 0.44218)],
        );
    }

    #[test]
    fn all_steps_together_follow_the_order_of_transformers() {
        assert_kept(
            SamplingOptions {
                temperature: 0.8,
                top_k: Some(6),
                top_p: Some(0.95),
                min_p: Some(0.05),
                repetition_penalty: 1.5,
                seed: 0,
            },
            &[(0, 0.10567), (7, 0.06613), (9, 0.19742), (10, 0.04138), (11, 0.58939)],
        );
        assert_kept(
            SamplingOptions {
                temperature: 2.0,
                top_k: Some(8),
                top_p: Some(0.7),
                repetition_penalty: 1.2,
                ..options()
            },
            &[(0, 0.18736), (7, 0.19945), (9, 0.24058), (11, 0.37261)],
        );
    }

    #[test]
    fn draws_follow_the_probabilities_and_repeat_with_seed_and_key() {
        let sampling =
            Sampling::new(SamplingOptions { top_k: Some(4), seed: 7, ..options() }).unwrap();
        let logits = Tensor::new(&LOGITS, &Device::Cpu).unwrap();
        let draws = |key: u64| -> Vec<u32> {
            let mut sampler = Sampler::new(&sampling, key);
            (0..4000).map(|_| sampler.next(&logits, &[]).unwrap()).collect()
        };
        let first = draws(1);
        assert_eq!(first, draws(1));
        assert_ne!(first, draws(2));
        let share = |id: u32| first.iter().filter(|drawn| **drawn == id).count() as f64 / 4000.0;
        // Four standard errors of a share near 0.5 over 4000 draws.
        assert!((share(11) - 0.46684).abs() < 0.032);
        assert!((share(0) - 0.11804).abs() < 0.032);
        assert_eq!(share(10), 0.0);
    }

    #[test]
    fn greedy_takes_the_likeliest_token_after_the_penalty() {
        let logits = Tensor::new(&LOGITS, &Device::Cpu).unwrap();
        let greedy = Sampling::default();
        assert_eq!(Sampler::new(&greedy, 0).next(&logits, &[11]).unwrap(), 11);
        let repetition_penalty = 2.0;
        let penalised =
            Sampling::new(SamplingOptions { repetition_penalty, ..SamplingOptions::default() })
                .unwrap();
        assert_eq!(Sampler::new(&penalised, 0).next(&logits, &[11]).unwrap(), 7);
    }

    #[test]
    fn a_number_outside_its_range_is_named() {
        let message = |options: SamplingOptions| Sampling::new(options).unwrap_err().to_string();
        assert_eq!(
            message(SamplingOptions { temperature: -1.0, ..options() }),
            "`temperature` is -1, expected 0 or a positive number"
        );
        assert_eq!(
            message(SamplingOptions { top_p: Some(1.5), ..options() }),
            "`top-p` is 1.5, expected a number above 0, at most 1"
        );
        assert_eq!(
            message(SamplingOptions { top_k: Some(0), ..options() }),
            "`top-k` is 0, expected a positive whole number"
        );
    }
}
