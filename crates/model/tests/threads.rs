//! The same bits for any number of threads, on shapes large enough that products are really split.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use candle_core::{Device, Tensor};
use support::{adapter, packed, rows_with_prefix, PLAIN};
use tunewise_model::{BaseDtype, Decoder, LoraConfig};

const CHILD: &str = "TUNEWISE_TEST_THREADS_MODEL";

/// A model folder with seeded weights: width 192, two blocks, 1,500 tokens.
fn write_model(dir: &Path) {
    let (width, mlp, vocabulary, groups) = (192, 512, 1500, 96);
    let config = serde_json::json!({"model_type": "llama", "hidden_size": width, "intermediate_size": mlp,
        "num_hidden_layers": 2, "num_attention_heads": 6, "num_key_value_heads": 3, "vocab_size": vocabulary});
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let mut tensors = HashMap::new();
    let mut insert = |name: String, shape: &[usize]| {
        let seed = tensors.len() as f32 + 1.0;
        let count: usize = shape.iter().product();
        let values: Vec<f32> =
            (0..count).map(|i| 0.15 * (i as f32 * 0.731 + seed * 1.7).sin()).collect();
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    };
    insert("model.embed_tokens.weight".into(), &[vocabulary, width]);
    insert("lm_head.weight".into(), &[vocabulary, width]);
    insert("model.norm.weight".into(), &[width]);
    for layer in 0..2 {
        let base = format!("model.layers.{layer}");
        for (name, outputs, inputs) in [
            ("self_attn.q_proj", width, width),
            ("self_attn.k_proj", groups, width),
            ("self_attn.v_proj", groups, width),
            ("self_attn.o_proj", width, width),
            ("mlp.gate_proj", mlp, width),
            ("mlp.up_proj", mlp, width),
            ("mlp.down_proj", width, mlp),
        ] {
            insert(format!("{base}.{name}.weight"), &[outputs, inputs]);
        }
        insert(format!("{base}.input_layernorm.weight"), &[width]);
        insert(format!("{base}.post_attention_layernorm.weight"), &[width]);
    }
    candle_core::safetensors::save(&tensors, dir.join("model.safetensors")).unwrap();
}

/// A number that changes with any bit of the loss or of a gradient.
fn fingerprint(dir: &Path, dtype: BaseDtype) -> u64 {
    let decoder = Decoder::load(dir, dtype, &Device::Cpu).unwrap();
    let adapter = adapter(&decoder, LoraConfig::default());
    let (tree, targets) = packed(&rows_with_prefix(5, 90, 1500));
    let (scores, gradients) = decoder.gradients(&adapter, &tree, &targets, &PLAIN).unwrap();
    let mut hash = 0u64;
    let mut mix =
        |bits: u64| hash = (hash.rotate_left(7) ^ bits).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    scores.iter().for_each(|score| mix(score.nll.to_bits()));
    for (_, gradient) in gradients.iter() {
        gradient.iter().for_each(|value| mix(u64::from(value.to_bits())));
    }
    hash
}

#[test]
fn one_thread_and_several_give_the_same_bits() {
    if let Some(dir) = std::env::var_os(CHILD) {
        let dir = Path::new(&dir);
        println!(
            "fingerprint {:x} {:x}",
            fingerprint(dir, BaseDtype::F32),
            fingerprint(dir, BaseDtype::Bf16)
        );
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path());
    let run = |threads: &str| {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "one_thread_and_several_give_the_same_bits", "--nocapture"])
            .env(CHILD, dir.path())
            .env("RAYON_NUM_THREADS", threads)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text
            .lines()
            .find_map(|line| line.split_once("fingerprint "))
            .unwrap_or_else(|| panic!("{text}"));
        line.1.to_owned()
    };
    let one = run("1");
    assert_eq!(one, run("2"));
    assert_eq!(one, run("5"));
}
