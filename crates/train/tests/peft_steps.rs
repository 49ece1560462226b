//! Ten AdamW steps from the same adapter, on the same rows in the same order, against PEFT and torch.
//!
//! The cases in `tests/golden/peft_steps` are made by `scripts/make_golden.py`.

#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::sync::atomic::AtomicBool;

use candle_core::{DType, Device, Tensor};
use serde_json::Value;
use tunewise_data::{TokenExample, TokenRows};
use tunewise_model::{Adapter, BaseDtype, Decoder};
use tunewise_train::record::Event;
use tunewise_train::{train, Material, Outcome, Provenance, Recipe, Settings};

fn json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// The rows of all steps, one after another.
fn rows_in_order(case: &Value) -> Vec<TokenExample> {
    let row = |index: &Value| {
        let row = &case["rows"][index.as_u64().unwrap() as usize];
        let ids: Vec<u32> = serde_json::from_value(row["ids"].clone()).unwrap();
        let places: Vec<usize> = serde_json::from_value(row["supervised"].clone()).unwrap();
        let supervised = (0..ids.len()).map(|place| places.contains(&place)).collect();
        TokenExample { line: index.as_u64().unwrap() as usize + 1, ids, supervised }
    };
    case["steps"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|step| step.as_array().unwrap())
        .map(row)
        .collect()
}

fn recipe(case: &Value) -> Recipe {
    let mut recipe = Recipe::default();
    for key in [
        "learning_rate",
        "lr_scheduler_type",
        "weight_decay",
        "max_grad_norm",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
    ] {
        let value = &case[key];
        recipe.set(key, value.as_str().map_or(value.to_string(), str::to_owned).as_str()).unwrap();
    }
    recipe.set("shuffle", "false").unwrap();
    recipe.set("num_train_epochs", "1").unwrap();
    recipe
}

fn norm(tensor: &Tensor) -> f64 {
    tensor
        .to_dtype(DType::F64)
        .unwrap()
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap()
        .to_scalar::<f64>()
        .unwrap()
        .sqrt()
}

fn check(name: &str) {
    let dir =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/golden/peft_steps").join(name);
    let case = json(&dir.join("case.json"));
    let steps = json(&dir.join("expected/steps.json"));
    let decoder =
        Decoder::load(&dir.join(case["base"].as_str().unwrap()), BaseDtype::F32, &Device::Cpu)
            .unwrap();
    let start = Adapter::load(&decoder, &dir.join("start")).unwrap();
    let rows = TokenRows::of(&rows_in_order(&case)).unwrap();
    let output = tempfile::tempdir().unwrap();
    let settings = Settings::from_recipe(&recipe(&case), output.path().to_owned());
    let provenance = Provenance::default();
    let material = Material {
        decoder: &decoder,
        trainee: start.clone().into(),
        train: &rows,
        valid: None,
        provenance: &provenance,
    };
    let mut seen = Vec::new();
    let mut observer = |event: Event<'_>| {
        if let Event::Step { record, .. } = event {
            seen.push((record.loss, record.grad_norm));
        }
    };
    let outcome = train(material, &settings, &AtomicBool::new(false), &mut observer).unwrap();
    assert!(matches!(outcome, Outcome::Finished(summary) if summary.steps == 10));

    for (step, (loss, grad_norm)) in seen.iter().enumerate() {
        let expected = &steps["steps"][step];
        let close =
            |ours: f64, key: &str| (ours / expected[key].as_f64().unwrap() - 1.0).abs() < 1e-3;
        assert!(
            close(*loss, "loss") && close(*grad_norm, "grad_norm"),
            "{name}, step {step}: {loss} {grad_norm}"
        );
    }
    let max_norm = case["max_grad_norm"].as_f64().unwrap();
    let clipped = seen.iter().filter(|(_, grad_norm)| *grad_norm > max_norm).count();
    assert!(clipped > 0 && seen.len() == 10);
    let expected = candle_core::safetensors::load(
        dir.join("expected/adapter_model.safetensors"),
        &Device::Cpu,
    )
    .unwrap();
    let ours = Adapter::load(&decoder, output.path()).unwrap();
    let mut worst: f64 = 0.0;
    for ((key, ours), (_, start)) in ours.tensors().unwrap().iter().zip(&start.tensors().unwrap()) {
        let off =
            norm(&(ours - &expected[key]).unwrap()) / norm(&(&expected[key] - start).unwrap());
        worst = worst.max(off);
        assert!(off <= 0.02, "{name}: {key}: {off}");
    }
    println!("{name}: {clipped} of 10 steps clipped, worst tensor {worst:.1e}");
}

#[test]
fn ten_steps_without_accumulation_give_the_adapter_of_peft() {
    check("accumulate_1");
}

#[test]
fn ten_steps_with_four_micro_batches_give_the_adapter_of_peft() {
    check("accumulate_4");
}

#[test]
fn weight_decay_gives_the_adapter_of_peft() {
    check("mqa_decay");
    check("regex_decay");
}

#[test]
fn rank_and_alpha_patterns_give_the_adapter_of_peft() {
    check("rslora_patterns");
}
