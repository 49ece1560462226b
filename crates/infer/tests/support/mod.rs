//! A tiny random model with the tokenizer and template of the data crate's fixtures.

#![allow(dead_code)]

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;
use tunewise_data::{read_file, DataSet, ReadOptions, Renderer};
use tunewise_infer::{Continues, Model, Prompt};
use tunewise_model::{Adapter, BaseDtype, Decoder, LoraConfig};

/// Tokens of the fixture's tokenizer and a few that it does not know, as real models have them.
const VOCABULARY: usize = 432;

/// A model folder with its decoder and renderer.
pub struct TinyModel {
    pub dir: TempDir,
    pub decoder: Decoder,
    pub renderer: Renderer,
}

impl TinyModel {
    /// A model of random weights with a context of so many tokens.
    pub fn new(context: usize) -> TinyModel {
        TinyModel::with_text_of("tiny-bytes", context)
    }

    /// The same without a chat template.
    pub fn plain(context: usize) -> TinyModel {
        TinyModel::with_text_of("tiny-pieces", context)
    }

    fn with_text_of(fixture: &str, context: usize) -> TinyModel {
        let dir = tempfile::tempdir().unwrap();
        let fixture =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/tests/fixtures").join(fixture);
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            std::fs::copy(fixture.join(name), dir.path().join(name)).unwrap();
        }
        write_weights(dir.path(), context);
        TinyModel {
            decoder: Decoder::load(dir.path(), BaseDtype::F32, &Device::Cpu).unwrap(),
            renderer: Renderer::from_folder(dir.path()).unwrap(),
            dir,
        }
    }

    pub fn model(&self) -> Model<'_> {
        Model { decoder: &self.decoder, adapter: None }
    }

    /// An adapter that changes the model's answers.
    pub fn adapter(&self, seed: u64) -> Adapter {
        let mut adapter = Adapter::new(&self.decoder, LoraConfig::default(), seed).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let shapes: Vec<(String, Vec<usize>)> =
            adapter.shapes().map(|(key, (rows, columns))| (key, vec![rows, columns])).collect();
        for (key, shape) in shapes {
            let value = random(&shape, 0.3, &mut rng);
            adapter.set_tensor(&key, value).unwrap();
        }
        adapter
    }

    /// Rows of a file with these lines.
    pub fn rows(&self, name: &str, lines: &[String]) -> DataSet {
        let path: PathBuf = self.dir.path().join(name);
        std::fs::write(&path, lines.join("\n")).unwrap();
        read_file(&path, &ReadOptions::default()).unwrap()
    }
}

pub fn prompt(line: usize, ids: &[u32]) -> Prompt {
    Prompt { line, ids: ids.to_vec(), continues: Continues::Turn }
}

fn write_weights(dir: &Path, context: usize) {
    let (width, inner, heads, groups, head) = (32, 48, 4, 2, 8);
    let config = serde_json::json!({
        "model_type": "llama", "hidden_size": width, "intermediate_size": inner, "num_hidden_layers": 2,
        "num_attention_heads": heads, "num_key_value_heads": groups, "head_dim": head,
        "vocab_size": VOCABULARY, "max_position_embeddings": context, "rms_norm_eps": 1e-5,
        "tie_word_embeddings": false,
    });
    std::fs::write(dir.join("config.json"), config.to_string()).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut tensors: HashMap<String, Tensor> = HashMap::new();
    let mut add = |name: String, shape: &[usize], scale: f32| {
        tensors.insert(name, random(shape, scale, &mut rng));
    };
    add("model.embed_tokens.weight".into(), &[VOCABULARY, width], 1.0);
    add("lm_head.weight".into(), &[VOCABULARY, width], 0.6);
    for layer in 0..2 {
        let mut linear = |name: &str, outputs: usize, inputs: usize| {
            let name = format!("model.layers.{layer}.{name}.weight");
            add(name, &[outputs, inputs], 0.5);
        };
        linear("self_attn.q_proj", heads * head, width);
        linear("self_attn.k_proj", groups * head, width);
        linear("self_attn.v_proj", groups * head, width);
        linear("self_attn.o_proj", width, heads * head);
        linear("mlp.gate_proj", inner, width);
        linear("mlp.up_proj", inner, width);
        linear("mlp.down_proj", width, inner);
    }
    let ones = Tensor::ones(width, candle_core::DType::F32, &Device::Cpu).unwrap();
    tensors.insert("model.norm.weight".into(), ones.clone());
    for layer in 0..2 {
        for norm in ["input_layernorm", "post_attention_layernorm"] {
            tensors.insert(format!("model.layers.{layer}.{norm}.weight"), ones.clone());
        }
    }
    candle_core::safetensors::save(&tensors, dir.join("model.safetensors")).unwrap();
}

fn random(shape: &[usize], scale: f32, rng: &mut ChaCha8Rng) -> Tensor {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| rng.random_range(-scale..scale)).collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}
