//! Training a model's own weights: gradients under other layouts, weights that are set, written and read.

#![allow(clippy::unwrap_used)]

mod support;

use candle_core::Device;
use support::{assert_close, golden, load, packed, rows_with_prefix, shared_tree, total, Row};
use tunewise_model::{
    BaseDtype, BaseWeights, Checkpointing, Decoder, Gradients, Target, TokenTree,
};

const NAME: &str = "wide_head_both_biases";
/// f32 sums in another order.
const TOLERANCE: f64 = 1e-5;

fn weights(decoder: &Decoder, name: &str) -> BaseWeights {
    BaseWeights::load(&golden("configs").join(name), decoder.config()).unwrap()
}

fn gradients(
    decoder: &Decoder,
    weights: &BaseWeights,
    batches: &[(TokenTree, Vec<Target>)],
    checkpointing: Checkpointing,
) -> (f64, Gradients) {
    let mut sum = Gradients::zeros_of_base(weights);
    let (mut nll, mut scores) = (0.0, Vec::new());
    for (tree, targets) in batches {
        decoder.add_base_gradients(tree, targets, checkpointing, &mut scores, &mut sum).unwrap();
        nll += total(&scores);
    }
    (nll, sum)
}

fn one_by_one(rows: &[Row]) -> Vec<(TokenTree, Vec<Target>)> {
    rows.iter().map(|row| (row.tree(), row.targets())).collect()
}

#[test]
fn packed_rows_and_shared_prefixes_give_the_gradients_of_single_rows() {
    let decoder = load(NAME);
    let weights = weights(&decoder, NAME);
    let rows = rows_with_prefix(5, 7, 60);
    let keep = Checkpointing::Keep;
    let (nll, alone) = gradients(&decoder, &weights, &one_by_one(&rows), keep);
    for batch in [packed(&rows), shared_tree(&rows, 7)] {
        let (found, all) = gradients(&decoder, &weights, &[batch], keep);
        assert!((found - nll).abs() < TOLERANCE * nll);
        assert_close(&all, &alone, TOLERANCE);
    }
}

#[test]
fn recomputed_blocks_and_weights_packed_both_ways_give_the_same() {
    let decoder = load("gqa2_tied");
    let weights = weights(&decoder, "gqa2_tied");
    let batches = [packed(&rows_with_prefix(4, 3, 60))];
    let (_, kept) = gradients(&decoder, &weights, &batches, Checkpointing::Keep);
    let (_, again) = gradients(&decoder, &weights, &batches, Checkpointing::Recompute);
    decoder.pack_backward();
    let (_, packed) = gradients(&decoder, &weights, &batches, Checkpointing::Keep);
    for (key, gradient) in kept.iter() {
        assert_eq!(gradient, again.get(key).unwrap(), "{key}");
        assert_eq!(gradient, packed.get(key).unwrap(), "{key}");
    }
}

#[test]
fn gradients_are_the_slopes_of_the_loss() {
    let mut decoder = load("gqa2_tied");
    let weights = weights(&decoder, "gqa2_tied");
    decoder.pack_backward();
    let (tree, targets) = packed(&rows_with_prefix(3, 0, 60));
    let batch = [(tree.clone(), targets.clone())];
    let (_, slopes) = gradients(&decoder, &weights, &batch, Checkpointing::Keep);
    let norm = slopes.global_norm();
    // One direction over all tensors: the slope along the gradient is its norm.
    let mut loss = |step: f64| {
        let mut moved = weights.clone();
        for (key, matrix) in moved.matrices_mut() {
            let direction = slopes.get(&key).unwrap();
            let values = matrix.values_mut().iter_mut().zip(direction);
            values.for_each(|(value, slope)| *value += (step / norm) as f32 * slope);
        }
        decoder.set_weights(&moved).unwrap();
        total(&decoder.score(None, &tree, &targets).unwrap())
    };
    let slope = (loss(1e-3) - loss(-1e-3)) / 2e-3;
    // f32 losses of about 100 nats, and the third derivative, leave about three digits.
    assert!((slope / norm - 1.0).abs() < 3e-3, "{slope} against {norm}");
}

#[test]
fn set_weights_are_those_of_a_model_made_of_them() {
    for (name, dtype) in [(NAME, BaseDtype::F32), ("gqa2_tied", BaseDtype::Bf16)] {
        let dir = golden("configs").join(name);
        let mut decoder = Decoder::load(&dir, dtype, &Device::Cpu).unwrap();
        let config = decoder.config().clone();
        let random = BaseWeights::random(&config, 0.1, 7);
        assert_eq!(random, BaseWeights::random(&config, 0.1, 7));
        assert_ne!(random, BaseWeights::random(&config, 0.1, 8));
        assert_eq!(random.parameter_count(), decoder.parameter_count());
        decoder.pack_backward();
        decoder.set_weights(&random).unwrap();
        let made = Decoder::from_weights(config, &random, dtype, &Device::Cpu).unwrap();
        let (tree, targets) = packed(&rows_with_prefix(2, 0, 60));
        let score = |decoder: &Decoder| total(&decoder.score(None, &tree, &targets).unwrap());
        assert_eq!(score(&decoder), score(&made));
        let keep = Checkpointing::Keep;
        let batch = [(tree.clone(), targets.clone())];
        let (_, ours) = gradients(&decoder, &random, &batch, keep);
        let (_, theirs) = gradients(&made, &random, &batch, keep);
        for (key, gradient) in ours.iter() {
            assert_eq!(gradient, theirs.get(key).unwrap(), "{key}");
        }
    }
}

#[test]
fn written_weights_come_back_bit_for_bit_in_f32_and_rounded_in_bf16() {
    let decoder = load("mha_untied");
    let config = decoder.config();
    let random = BaseWeights::random(config, 0.1, 7);
    let dir = tempfile::tempdir().unwrap();
    random.save(dir.path(), config, BaseDtype::F32).unwrap();
    assert_eq!(BaseWeights::load_saved(dir.path(), config).unwrap(), random);
    random.save(dir.path(), config, BaseDtype::Bf16).unwrap();
    let rounded = BaseWeights::load(dir.path(), config).unwrap();
    for ((name, found), (_, exact)) in rounded.matrices().zip(random.matrices()) {
        for (found, exact) in found.values().iter().zip(exact.values()) {
            assert_eq!(*found, half::bf16::from_f32(*exact).to_f32(), "{name}");
        }
    }
}
