//! Gradients against candle's autograd on a plain decoder: one row, whole matrices, differentiable ops only.

#![allow(clippy::unwrap_used)]

mod support;

use std::collections::HashMap;

use candle_core::{DType, Device, Result, Tensor, Var, D};
use support::{adapter, distance, golden, json, load, rows, PLAIN};
use tunewise_model::op::rope::frequencies;
use tunewise_model::{
    Adapter, BaseWeights, Checkpointing, Gradients, LoraConfig, ModelConfig, TargetModules,
};

/// Every configuration in f32 whose checkpoint is there.
const NAMES: [&str; 8] = [
    "gqa2_tied",
    "gqa4_attention_bias",
    "mha_untied",
    "mqa_mlp_bias",
    "rope_linear",
    "rope_llama3",
    "sharded_linear",
    "wide_head_both_biases",
];

/// The model as its paper has it, in f32, from the tensors of the file.
struct Plain {
    config: ModelConfig,
    weights: HashMap<String, Tensor>,
    vars: HashMap<String, Var>,
    scales: HashMap<String, f64>,
}

impl Plain {
    fn adapted(name: &str, adapter: &Adapter) -> Self {
        let tensors = adapter.tensors().unwrap().into_iter();
        let scales =
            adapter.paths().map(|p| (p.to_owned(), adapter.pair(p).unwrap().scale)).collect();
        let vars = tensors.map(|(k, t)| (k, Var::from_tensor(&t).unwrap())).collect();
        Self { vars, scales, ..Self::frozen(name) }
    }

    /// The model whose own weights are to be moved.
    fn trainable(name: &str) -> Self {
        let mut plain = Self::frozen(name);
        for (name, tensor) in &mut plain.weights {
            let var = Var::from_tensor(tensor).unwrap();
            *tensor = var.as_tensor().clone();
            plain.vars.insert(name.clone(), var);
        }
        plain
    }

    fn frozen(name: &str) -> Self {
        let dir = golden("configs").join(name);
        let mut weights = HashMap::new();
        for entry in std::fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "safetensors") {
                weights.extend(candle_core::safetensors::load(path, &Device::Cpu).unwrap());
            }
        }
        for tensor in weights.values_mut() {
            *tensor = tensor.to_dtype(DType::F32).unwrap();
        }
        let config = ModelConfig::from_folder(&dir).unwrap();
        Self { config, weights, vars: HashMap::new(), scales: HashMap::new() }
    }

    fn linear(&self, x: &Tensor, path: &str) -> Result<Tensor> {
        let weight = match path {
            "lm_head" if self.config.tie_word_embeddings => {
                &self.weights["model.embed_tokens.weight"]
            }
            _ => &self.weights[&format!("{path}.weight")],
        };
        let mut y = x.matmul(&weight.t()?)?;
        if let Some(bias) = self.weights.get(&format!("{path}.bias")) {
            y = y.broadcast_add(bias)?;
        }
        let key = |factor| format!("base_model.model.{path}.lora_{factor}.weight");
        if let (Some(a), Some(b)) = (self.vars.get(&key("A")), self.vars.get(&key("B"))) {
            y = (y + (x.matmul(&a.t()?)?.matmul(&b.t()?)? * self.scales[path])?)?;
        }
        Ok(y)
    }

    fn norm(&self, x: &Tensor, name: &str) -> Result<Tensor> {
        let mean = x.sqr()?.mean_keepdim(D::Minus1)?;
        x.broadcast_div(&(mean + self.config.rms_norm_eps)?.sqrt()?)?
            .broadcast_mul(&self.weights[&format!("{name}.weight")])
    }

    /// (tokens, heads·R) as (heads, tokens, R), turned.
    fn heads(&self, y: &Tensor, turned: bool) -> Result<Tensor> {
        let (tokens, width) = (y.dim(0)?, self.config.head_dim);
        let y = y.reshape((tokens, (), width))?.transpose(0, 1)?.contiguous()?;
        if !turned {
            return Ok(y);
        }
        let frequencies = frequencies(&self.config.rope, width);
        let angles: Vec<f32> = (0..tokens)
            .flat_map(|p| frequencies.iter().chain(&frequencies).map(move |f| p as f32 * f))
            .collect();
        let angles = Tensor::from_vec(angles, (1, tokens, width), &Device::Cpu)?;
        let (first, second) = (y.narrow(2, 0, width / 2)?, y.narrow(2, width / 2, width / 2)?);
        let half_turned = Tensor::cat(&[second.neg()?, first], 2)?;
        y.broadcast_mul(&angles.cos()?)? + half_turned.broadcast_mul(&angles.sin()?)?
    }

    fn attention(&self, x: &Tensor, base: &str) -> Result<Tensor> {
        let tokens = x.dim(0)?;
        let repeat = self.config.num_attention_heads / self.config.num_key_value_heads;
        let repeated = |y: Tensor| -> Result<Tensor> {
            let (groups, tokens, width) = y.dims3()?;
            y.unsqueeze(1)?.broadcast_as((groups, repeat, tokens, width))?.contiguous()?.reshape((
                groups * repeat,
                tokens,
                width,
            ))
        };
        let q = self.heads(&self.linear(x, &format!("{base}.q_proj"))?, true)?;
        let k = repeated(self.heads(&self.linear(x, &format!("{base}.k_proj"))?, true)?)?;
        let v = repeated(self.heads(&self.linear(x, &format!("{base}.v_proj"))?, false)?)?;
        let mask: Vec<f32> = (0..tokens)
            .flat_map(|i| (0..tokens).map(move |j| if j > i { -1e30 } else { 0.0 }))
            .collect();
        let mask = Tensor::from_vec(mask, (1, tokens, tokens), &Device::Cpu)?;
        let scores =
            (q.matmul(&k.t()?)? / (self.config.head_dim as f64).sqrt())?.broadcast_add(&mask)?;
        let gathered = candle_nn::ops::softmax(&scores, D::Minus1)?.matmul(&v)?;
        self.linear(
            &gathered.transpose(0, 1)?.contiguous()?.reshape((tokens, ()))?,
            &format!("{base}.o_proj"),
        )
    }

    /// Sum of −log p over the supervised tokens.
    fn nll(&self, row: &support::Row) -> Result<Tensor> {
        let ids = Tensor::new(row.ids.as_slice(), &Device::Cpu)?;
        let mut x = self.weights["model.embed_tokens.weight"].index_select(&ids, 0)?;
        for layer in 0..self.config.num_hidden_layers {
            let base = format!("model.layers.{layer}");
            x = (&x
                + self.attention(
                    &self.norm(&x, &format!("{base}.input_layernorm"))?,
                    &format!("{base}.self_attn"),
                )?)?;
            let normed = self.norm(&x, &format!("{base}.post_attention_layernorm"))?;
            let gate = self.linear(&normed, &format!("{base}.mlp.gate_proj"))?.silu()?;
            let up = self.linear(&normed, &format!("{base}.mlp.up_proj"))?;
            x = (&x + self.linear(&(gate * up)?, &format!("{base}.mlp.down_proj"))?)?;
        }
        let logits = self.linear(&self.norm(&x, "model.norm")?, "lm_head")?;
        let positions: Vec<u32> = row.supervised.iter().map(|t| *t as u32 - 1).collect();
        let tokens: Vec<u32> = row.supervised.iter().map(|t| row.ids[*t]).collect();
        let count = tokens.len() as f64;
        let logits = logits.index_select(&Tensor::new(positions, &Device::Cpu)?, 0)?;
        candle_nn::loss::cross_entropy(&logits, &Tensor::new(tokens, &Device::Cpu)?)? * count
    }
}

#[test]
fn hand_written_gradients_equal_autograd_in_every_configuration() {
    let everything = || LoraConfig {
        r: 3,
        target_modules: TargetModules::Pattern(".*".into()),
        ..LoraConfig::default()
    };
    for name in NAMES {
        let decoder = load(name);
        let adapter = adapter(&decoder, everything());
        let expected = json(&golden("configs").join(name).join("expected.json"));
        let row = &rows(&expected["rows"])[1];
        let plain = Plain::adapted(name, &adapter);
        let store = plain.nll(row).unwrap().backward().unwrap();
        let (_, gradients) =
            decoder.gradients(&adapter, &row.tree(), &row.targets(), &PLAIN).unwrap();
        assert_eq!(gradients.iter().count(), plain.vars.len());
        for (key, _) in gradients.iter() {
            let off =
                distance(&gradients.tensor(key).unwrap(), store.get(&plain.vars[key]).unwrap());
            // Two f32 computations in different orders.
            assert!(off < 1e-4, "{name}: {key}: {off:e}");
        }
    }
}

#[test]
fn the_models_own_gradients_equal_autograd_in_every_configuration() {
    for name in NAMES {
        let decoder = load(name);
        let dir = golden("configs").join(name);
        let weights = BaseWeights::load(&dir, decoder.config()).unwrap();
        let expected = json(&dir.join("expected.json"));
        let row = &rows(&expected["rows"])[1];
        let plain = Plain::trainable(name);
        let store = plain.nll(row).unwrap().backward().unwrap();
        let mut gradients = Gradients::zeros_of_base(&weights);
        let (tree, targets) = (row.tree(), row.targets());
        let keep = Checkpointing::Keep;
        let mut scores = Vec::new();
        decoder.add_base_gradients(&tree, &targets, keep, &mut scores, &mut gradients).unwrap();
        assert_eq!(gradients.iter().count(), plain.vars.len(), "{name}");
        for (key, _) in gradients.iter() {
            let var = &plain.vars[key];
            let found = gradients.tensor(key).unwrap().reshape(var.dims()).unwrap();
            let theirs = store.get(var).unwrap();
            let off = distance(&found, theirs);
            // Two f32 computations in different orders.
            assert!(off < 1e-4, "{name}: {key}: {off:e}");
        }
    }
}
