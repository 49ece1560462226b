//! What the user reads when a model or adapter folder is broken.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};
use support::{adapter, golden, load};
use tunewise_model::{Adapter, BaseDtype, Decoder, LoraConfig, ModelError, TargetModules};

fn copy(name: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(golden(name)).unwrap() {
        let path = entry.unwrap().path();
        std::fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

fn message(dir: &Path) -> String {
    let error = Decoder::load(dir, BaseDtype::F32, &Device::Cpu).unwrap_err();
    error.to_string().replace(&dir.display().to_string(), "M")
}

fn rewrite(path: &Path, change: impl Fn(&mut HashMap<String, Tensor>)) {
    let mut tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, path).unwrap();
}

#[test]
fn a_missing_tensor_and_a_wrong_shape_are_named() {
    let dir = copy("configs/mha_untied");
    let weights = dir.path().join("model.safetensors");
    rewrite(&weights, |t| {
        t.remove("model.layers.1.mlp.up_proj.weight");
    });
    assert_eq!(message(dir.path()), "`M`: tensor `model.layers.1.mlp.up_proj.weight` is missing");
    rewrite(&weights, |t| {
        t.insert(
            "model.layers.0.self_attn.q_proj.weight".into(),
            Tensor::zeros((3, 5), candle_core::DType::F32, &Device::Cpu).unwrap(),
        );
    });
    let shape = message(dir.path());
    assert!(
        shape.starts_with(
            "`M`: tensor `model.layers.0.self_attn.q_proj.weight` has shape [3, 5], expected ["
        ),
        "{shape}"
    );
}

#[test]
fn truncated_and_absent_weights_are_named() {
    let dir = copy("configs/gqa2_tied");
    let weights = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    for keep in [bytes.len() - 10, 100, 4, 0] {
        std::fs::write(&weights, &bytes[..keep]).unwrap();
        let text = message(dir.path());
        assert!(
            text.starts_with("`M/model.safetensors`: not a whole safetensors file: "),
            "{keep}: {text}"
        );
    }
    std::fs::remove_file(&weights).unwrap();
    assert_eq!(
        message(dir.path()),
        "`M`: no `model.safetensors` and no `model.safetensors.index.json`"
    );
    std::fs::remove_file(dir.path().join("config.json")).unwrap();
    assert!(
        message(dir.path()).starts_with("`M/config.json`: No such file"),
        "{}",
        message(dir.path())
    );
}

#[test]
fn a_missing_shard_is_named() {
    let dir = copy("configs/sharded_linear");
    std::fs::remove_file(dir.path().join("model-00002-of-00003.safetensors")).unwrap();
    assert!(message(dir.path()).starts_with("`M/model-00002-of-00003.safetensors`: No such file"));
}

#[test]
fn adapters_that_are_not_plain_lora_or_belong_elsewhere_are_refused() {
    let decoder = load("gqa2_tied");
    let dir = tempfile::tempdir().unwrap();
    let refused = |decoder: &Decoder| {
        Adapter::load(decoder, dir.path())
            .unwrap_err()
            .to_string()
            .replace(&dir.path().display().to_string(), "A")
    };
    assert_eq!(
        refused(&decoder),
        "`A`: no `adapter_config.json`, so this is not a PEFT adapter folder"
    );
    adapter(&decoder, LoraConfig::default()).save(dir.path()).unwrap();
    let other = load("mha_untied");
    let foreign = refused(&other);
    assert!(
        foreign.contains("lora_")
            && (foreign.contains("has shape") || foreign.contains("belongs to no linear layer")),
        "{foreign}"
    );
    rewrite(&dir.path().join("adapter_model.safetensors"), |t| {
        t.remove("base_model.model.model.layers.0.mlp.up_proj.lora_B.weight");
    });
    assert_eq!(refused(&decoder), "`A/adapter_model.safetensors`: tensor `base_model.model.model.layers.0.mlp.up_proj.lora_B.weight` is missing");
    let path = dir.path().join("adapter_config.json");
    let config = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, config.replace("\"use_dora\": false", "\"use_dora\": true")).unwrap();
    assert_eq!(refused(&decoder), "`A/adapter_config.json`: `use_dora` is true, expected false");
}

#[test]
fn targets_that_match_nothing_list_what_there_is() {
    let decoder = load("gqa2_tied");
    let config = LoraConfig {
        target_modules: TargetModules::Names(vec!["query".into()]),
        ..LoraConfig::default()
    };
    let error = Adapter::new(&decoder, config, 0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "target modules `query` match no linear layer of the model, expected some of `down_proj`, `gate_proj`, `k_proj`, `lm_head`, `o_proj`, `q_proj`, `up_proj`, `v_proj`"
    );
    assert!(matches!(error, ModelError::NoTargets { .. }) && error.hint().is_some());
}

#[test]
fn adapter_values_that_mean_something_else_are_refused() {
    let decoder = load("gqa2_tied");
    let dir = tempfile::tempdir().unwrap();
    adapter(&decoder, LoraConfig::default()).save(dir.path()).unwrap();
    let path = dir.path().join("adapter_config.json");
    let written = std::fs::read_to_string(&path).unwrap();
    let cases = [
        ("\"init_lora_weights\": true", "\"init_lora_weights\": \"pissa_niter_4\"", "`init_lora_weights` is \"pissa_niter_4\", expected true, false, \"gaussian\" or another that leaves the base weight as it is"),
        ("\"r\": 8", "\"r\": 4.7", "`r` is 4.7, expected a whole number of at least 1"),
        ("\"lora_dropout\": 0.0", "\"lora_dropout\": 1.5", "`lora_dropout` is 1.5, expected a number in [0, 1)"),
        ("\"use_rslora\": false", "\"use_rslora\": \"no\"", "`use_rslora` is \"no\", expected true or false"),
        ("\"exclude_modules\": null", "\"exclude_modules\": 3", "`exclude_modules` is 3, expected a list of names or a pattern"),
    ];
    for (from, to, expected) in cases {
        assert!(written.contains(from), "{from}");
        std::fs::write(&path, written.replace(from, to)).unwrap();
        let message = Adapter::load(&decoder, dir.path()).unwrap_err().to_string();
        assert!(message.ends_with(expected), "{message}");
    }
}
