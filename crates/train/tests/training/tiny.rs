//! A random Llama model of a few thousand parameters, rows for it, and runs over them.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{json, Value};
use tempfile::TempDir;
use tunewise_data::{TokenExample, TokenRows};
use tunewise_model::{Adapter, BaseDtype, Checkpointing, Decoder, LoraConfig};
use tunewise_train::optimizer::AdamWConstants;
use tunewise_train::sampler::RowOrder;
use tunewise_train::schedule::ScheduleShape;
use tunewise_train::{
    train, Event, Material, Outcome, Provenance, ResumeFrom, Settings, TrainError,
};

pub const VOCABULARY: u32 = 40;

/// Writes the model's folder.
pub fn write_model(dir: &Path) {
    let (width, inner, groups) = (16, 32, 8);
    let config = json!({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": width,
        "intermediate_size": inner, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "vocab_size": VOCABULARY, "max_position_embeddings": 64,
        "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": false,
        "hidden_act": "silu", "torch_dtype": "float32", "bos_token_id": 1, "eos_token_id": 2,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut tensors = BTreeMap::new();
    let mut matrix = |name: String, rows: usize, columns: usize| {
        // A wide head lets the logits of a memorised row come far apart.
        let bound = if name.starts_with("lm_head") { 1.5 } else { 0.4 };
        let values = (0..rows * columns).map(|_| rng.random_range(-bound..bound));
        let values: Vec<f32> = values.collect();
        tensors.insert(name, Tensor::from_vec(values, (rows, columns), &Device::Cpu).unwrap());
    };
    let vocabulary = VOCABULARY as usize;
    matrix("model.embed_tokens.weight".into(), vocabulary, width);
    matrix("lm_head.weight".into(), vocabulary, width);
    for layer in 0..2 {
        let base = format!("model.layers.{layer}");
        for (name, rows, columns) in [
            ("self_attn.q_proj", width, width),
            ("self_attn.k_proj", groups, width),
            ("self_attn.v_proj", groups, width),
            ("self_attn.o_proj", width, width),
            ("mlp.gate_proj", inner, width),
            ("mlp.up_proj", inner, width),
            ("mlp.down_proj", width, inner),
        ] {
            matrix(format!("{base}.{name}.weight"), rows, columns);
        }
    }
    let norms = ["model.layers.0.input_layernorm", "model.layers.0.post_attention_layernorm"];
    let more = ["model.layers.1.input_layernorm", "model.layers.1.post_attention_layernorm"];
    for norm in norms.into_iter().chain(more).chain(["model.norm"]) {
        let ones = Tensor::from_vec(vec![1f32; width], width, &Device::Cpu).unwrap();
        tensors.insert(format!("{norm}.weight"), ones);
    }
    safetensors::serialize_to_file(tensors, None, &dir.join("model.safetensors")).unwrap();
}

pub fn decoder() -> Decoder {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path());
    Decoder::load(dir.path(), BaseDtype::F32, &Device::Cpu).unwrap()
}

pub fn adapter(decoder: &Decoder) -> Adapter {
    let config = LoraConfig { r: 4, lora_alpha: 8.0, ..LoraConfig::default() };
    Adapter::new(decoder, config, 5).unwrap()
}

/// Rows of 8 to 14 tokens, the second half supervised, that all open with the same six tokens; lines from 11.
pub fn rows(count: usize, seed: u64) -> Vec<TokenExample> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let row = |index: usize| {
        let length = 8 + index * 5 % 7;
        let mut ids: Vec<u32> = vec![1, 4, 5, 6, 7, 8];
        ids.extend((6..length).map(|_| rng.random_range(3..VOCABULARY)));
        let supervised = (0..length).map(|at| at >= length / 2).collect();
        TokenExample { line: 11 + index, ids, supervised }
    };
    (0..count).map(row).collect()
}

pub fn settings(output: &Path) -> Settings {
    Settings {
        tokens_per_batch: None,
        piece_tokens: tunewise_train::settings::PIECE_TOKENS,
        output_dir: output.to_path_buf(),
        seed: 3,
        order: RowOrder::Shuffled { seed: 3 },
        batch_rows: 2,
        accumulation: 2,
        eval_batch_rows: 3,
        epochs: 2.0,
        max_steps: None,
        packing: true,
        dropout: 0.0,
        checkpointing: Checkpointing::Keep,
        learning_rate: 1e-2,
        schedule: ScheduleShape::Cosine,
        warmup_steps: None,
        warmup_ratio: 0.0,
        adamw: AdamWConstants { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weight_decay: 0.01 },
        max_grad_norm: Some(1.0),
        eval_steps: None,
        save_steps: None,
        save_total_limit: None,
        load_best: false,
        patience: None,
        logging_steps: 1,
        jsonl: true,
        tensorboard: false,
        resume: ResumeFrom::Start,
    }
}

/// A run: what it trains on, what it said, how it ended.
pub struct Run<'a> {
    pub decoder: &'a Decoder,
    pub adapter: Adapter,
    pub train: &'a [TokenExample],
    pub valid: &'a [TokenExample],
    pub provenance: Provenance,
    /// The step after which the run is interrupted.
    pub interrupt_after: Option<usize>,
    pub notices: Vec<String>,
}

impl<'a> Run<'a> {
    pub fn new(decoder: &'a Decoder, train: &'a [TokenExample]) -> Self {
        Self {
            decoder,
            adapter: adapter(decoder),
            train,
            valid: &[],
            provenance: Provenance::default(),
            interrupt_after: None,
            notices: Vec::new(),
        }
    }

    pub fn go(&mut self, settings: &Settings) -> Result<Outcome, TrainError> {
        let interrupt = AtomicBool::new(self.interrupt_after == Some(0));
        let [rows, valid] = [self.train, self.valid].map(|rows| TokenRows::of(rows).unwrap());
        let material = Material {
            decoder: self.decoder,
            trainee: self.adapter.clone().into(),
            train: &rows,
            valid: Some(&valid),
            provenance: &self.provenance,
        };
        train(material, settings, &interrupt, &mut |event| match event {
            Event::Notice(text) => self.notices.push(text.to_owned()),
            Event::Step { record, .. } if Some(record.step) == self.interrupt_after => {
                interrupt.store(true, Ordering::Relaxed);
            }
            _ => {}
        })
    }

    pub fn finish(&mut self, settings: &Settings) -> tunewise_train::TrainSummary {
        match self.go(settings).unwrap() {
            Outcome::Finished(summary) => summary,
            other => panic!("{other:?}"),
        }
    }
}

/// A finished run of `rows` with `settings` changed by `change`, and its folder.
pub fn finished(rows: &[TokenExample], change: impl Fn(&mut Settings)) -> TempDir {
    let decoder = decoder();
    let dir = tempfile::tempdir().unwrap();
    let mut settings = settings(dir.path());
    change(&mut settings);
    Run::new(&decoder, rows).finish(&settings);
    dir
}

/// Log lines without what differs from run to run.
pub fn metrics(output: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(output.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        for timed in ["tokens_per_second", "peak_memory_bytes", "eval_runtime"] {
            line.as_object_mut().unwrap().shift_remove(timed);
        }
        line
    };
    text.lines().map(line).collect()
}

pub fn adapter_bytes(folder: &Path) -> Vec<u8> {
    std::fs::read(folder.join("adapter_model.safetensors")).unwrap()
}

/// The adapter's tensors as numbers, by key.
pub fn tensors(folder: &Path) -> BTreeMap<String, Vec<f32>> {
    let loaded =
        candle_core::safetensors::load(folder.join("adapter_model.safetensors"), &Device::Cpu);
    let values = |tensor: Tensor| tensor.flatten_all().unwrap().to_vec1().unwrap();
    loaded.unwrap().into_iter().map(|(key, tensor)| (key, values(tensor))).collect()
}

pub fn norm(values: impl Iterator<Item = f32>) -> f64 {
    values.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt()
}
