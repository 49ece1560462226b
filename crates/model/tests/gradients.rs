//! Gradients against Hugging Face's autograd, candle's autograd, and themselves under other layouts.

#![allow(clippy::unwrap_used)]

mod support;

use candle_core::Device;
use support::{
    adapter, assert_close, distance, golden, json, load, one_by_one, packed, rows,
    rows_with_prefix, shared_tree, total, PLAIN,
};
use tunewise_model::op::dropout::Dropout;
use tunewise_model::{
    Adapter, BaseDtype, Checkpointing, Decoder, LoraConfig, TargetModules, TrainingPass,
};

/// f32 sums in another order.
const TOLERANCE: f64 = 1e-5;

#[test]
fn first_gradients_equal_those_of_peft() {
    for case in ["accumulate_1", "accumulate_4", "mqa_decay", "rslora_patterns", "regex_decay"] {
        let dir = golden("peft_steps").join(case);
        let figures = json(&dir.join("case.json"));
        let decoder = Decoder::load(
            &dir.join(figures["base"].as_str().unwrap()),
            BaseDtype::F32,
            &Device::Cpu,
        )
        .unwrap();
        let adapter = Adapter::load(&decoder, &dir.join("start")).unwrap();
        let all = rows(&figures["rows"]);
        let first: Vec<_> = figures["steps"][0]
            .as_array()
            .unwrap()
            .iter()
            .map(|r| all[r.as_u64().unwrap() as usize].clone())
            .collect();
        let (nll, mut gradients) = one_by_one(&decoder, &adapter, &first);
        let supervised: usize = first.iter().map(|r| r.supervised.len()).sum();
        gradients.scale(1.0 / supervised as f64);
        let steps = json(&dir.join("expected/steps.json"));
        let loss = steps["steps"][0]["loss"].as_f64().unwrap();
        assert!((nll / supervised as f64 - loss).abs() < TOLERANCE * loss);
        let norm = steps["steps"][0]["grad_norm"].as_f64().unwrap();
        assert!((gradients.global_norm() - norm).abs() < TOLERANCE * norm);
        let expected = candle_core::safetensors::load(
            dir.join("expected/first_gradients.safetensors"),
            &Device::Cpu,
        )
        .unwrap();
        assert_eq!(expected.len(), gradients.iter().count());
        for (key, _) in gradients.iter() {
            let off = distance(&gradients.tensor(key).unwrap(), &expected[key]);
            assert!(off < 1e-4, "{case}: {key}: {off:e}");
        }
    }
}

#[test]
fn packed_rows_give_the_loss_and_gradients_of_single_rows() {
    let decoder = load("gqa4_attention_bias");
    let adapter = adapter(&decoder, LoraConfig::default());
    let rows = rows_with_prefix(4, 0, 60);
    let (tree, targets) = packed(&rows);
    let (scores, gradients) = decoder.gradients(&adapter, &tree, &targets, &PLAIN).unwrap();
    let (nll, alone) = one_by_one(&decoder, &adapter, &rows);
    assert!((total(&scores) - nll).abs() < TOLERANCE * nll);
    assert_close(&gradients, &alone, TOLERANCE);
}

#[test]
fn a_shared_prefix_gives_the_loss_and_gradients_of_a_repeated_one() {
    let decoder = load("wide_head_both_biases");
    let adapter = adapter(&decoder, LoraConfig::default());
    let mut rows = rows_with_prefix(5, 7, 60);
    // The prefix's own tokens are supervised in one row, and its last token predicts in two.
    rows[1].supervised.insert(0, 3);
    assert!(rows.iter().filter(|r| r.supervised.contains(&7)).count() >= 2);
    let (tree, targets) = shared_tree(&rows, 7);
    let (scores, gradients) = decoder.gradients(&adapter, &tree, &targets, &PLAIN).unwrap();
    let (nll, alone) = one_by_one(&decoder, &adapter, &rows);
    assert!((total(&scores) - nll).abs() < TOLERANCE * nll);
    assert_close(&gradients, &alone, TOLERANCE);
}

#[test]
fn two_micro_batches_give_the_gradient_of_one_batch() {
    let decoder = load("gqa2_tied");
    let adapter = adapter(&decoder, LoraConfig::default());
    let rows = rows_with_prefix(6, 2, 60);
    let gradients = |rows: &[support::Row]| {
        let (tree, targets) = packed(rows);
        decoder.gradients(&adapter, &tree, &targets, &PLAIN).unwrap().1
    };
    let mut halves = gradients(&rows[..2]);
    halves.add(gradients(&rows[2..])).unwrap();
    assert_close(&halves, &gradients(&rows), TOLERANCE);
}

#[test]
fn recomputed_blocks_give_the_same_bits_as_kept_ones() {
    let decoder = load("gqa4_attention_bias");
    let adapter = adapter(&decoder, LoraConfig { lora_dropout: 0.2, ..LoraConfig::default() });
    let (tree, targets) = packed(&rows_with_prefix(3, 4, 60));
    let dropout = Some(Dropout { rate: 0.2, seed: 5, step: 9, first_row: 4 });
    let run = |checkpointing| {
        decoder
            .gradients(&adapter, &tree, &targets, &TrainingPass { checkpointing, dropout })
            .unwrap()
    };
    let (kept, recomputed) = (run(Checkpointing::Keep), run(Checkpointing::Recompute));
    assert_eq!(kept.0, recomputed.0);
    for (key, gradient) in kept.1.iter() {
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(gradient), bits(recomputed.1.get(key).unwrap()), "{key}");
    }
}

#[test]
fn dropout_does_not_depend_on_which_rows_share_a_batch() {
    let decoder = load("gqa2_tied");
    let adapter = adapter(&decoder, LoraConfig::default());
    let rows = rows_with_prefix(4, 0, 60);
    let run = |rows: &[support::Row], first_row| {
        let (tree, targets) = packed(rows);
        let dropout = Some(Dropout { rate: 0.3, seed: 5, step: 1, first_row });
        decoder.gradients(&adapter, &tree, &targets, &TrainingPass { dropout, ..PLAIN }).unwrap().1
    };
    let mut parts = run(&rows[..1], 0);
    parts.add(run(&rows[1..], 1)).unwrap();
    assert_close(&parts, &run(&rows, 0), TOLERANCE);
}

#[test]
fn dropped_gradients_are_the_slopes_of_the_dropped_loss() {
    let decoder = load("gqa2_tied");
    let adapter = adapter(
        &decoder,
        LoraConfig {
            target_modules: TargetModules::Names(vec!["v_proj".into(), "down_proj".into()]),
            ..LoraConfig::default()
        },
    );
    let (tree, targets) = packed(&rows_with_prefix(3, 0, 60));
    let pass = TrainingPass {
        dropout: Some(Dropout { rate: 0.4, seed: 2, step: 3, first_row: 0 }),
        ..PLAIN
    };
    let (_, gradients) = decoder.gradients(&adapter, &tree, &targets, &pass).unwrap();
    // One direction over all tensors: the slope along the gradient is its squared norm.
    let norm = gradients.global_norm();
    let loss = |step: f64| {
        let mut moved = adapter.clone();
        for (key, tensor) in adapter.tensors().unwrap() {
            let direction = (gradients.tensor(&key).unwrap() * (step / norm)).unwrap();
            moved.set_tensor(&key, (tensor + direction).unwrap()).unwrap();
        }
        total(&decoder.gradients(&moved, &tree, &targets, &pass).unwrap().0)
    };
    let slope = (loss(2e-3) - loss(-2e-3)) / 4e-3;
    // f32 losses of about 100 nats, and the third derivative, leave about three digits.
    assert!((slope / norm - 1.0).abs() < 3e-3, "{slope} against {norm}");
}

#[test]
fn weights_of_targets_scale_their_gradients() {
    let decoder = load("gqa2_tied");
    let adapter = adapter(&decoder, LoraConfig::default());
    let (tree, mut targets) = packed(&rows_with_prefix(2, 0, 60));
    let (_, mut once) = decoder.gradients(&adapter, &tree, &targets, &PLAIN).unwrap();
    targets.iter_mut().for_each(|t| t.weight = 2.5);
    once.scale(2.5);
    assert_close(
        &decoder.gradients(&adapter, &tree, &targets, &PLAIN).unwrap().1,
        &once,
        TOLERANCE,
    );
}

#[test]
fn an_adapter_on_upper_blocks_and_head_gets_the_gradients_of_a_full_walk() {
    let decoder = load("mha_untied");
    let full = adapter(
        &decoder,
        LoraConfig { target_modules: TargetModules::Pattern(".*".into()), ..LoraConfig::default() },
    );
    let rows = rows_with_prefix(3, 0, 60);
    let (tree, targets) = packed(&rows);
    let (_, all) = decoder.gradients(&full, &tree, &targets, &PLAIN).unwrap();
    assert!(all.get("base_model.model.lm_head.lora_A.weight").is_some());
    // The lower blocks' updates are merged, so that the upper ones see the same inputs.
    let last = decoder.config().num_hidden_layers - 1;
    let upper =
        |path: &str| path == "lm_head" || path.starts_with(&format!("model.layers.{last}."));
    let mut lower_only = full.clone();
    let mut upper_only = Adapter::new(
        &decoder,
        LoraConfig {
            target_modules: TargetModules::Pattern(format!(r"lm_head|model\.layers\.{last}\..*")),
            ..LoraConfig::default()
        },
        0,
    )
    .unwrap();
    for (key, tensor) in full.tensors().unwrap() {
        let path =
            key.trim_start_matches("base_model.model.").rsplit_once(".lora_").unwrap().0.to_owned();
        if upper(&path) {
            upper_only.set_tensor(&key, tensor.clone()).unwrap();
            lower_only.set_tensor(&key, tensor.zeros_like().unwrap()).unwrap();
        }
    }
    let (_, some) = decoder
        .merged(&lower_only)
        .unwrap()
        .gradients(&upper_only, &tree, &targets, &PLAIN)
        .unwrap();
    assert_eq!(some.iter().count(), 2 * 8);
    for (key, _) in some.iter() {
        let off = distance(&some.tensor(key).unwrap(), &all.tensor(key).unwrap());
        assert!(off < 1e-4, "{key}: {off:e}");
    }
}
