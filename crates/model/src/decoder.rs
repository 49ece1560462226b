//! The frozen decoder: one walk over its blocks for training, scoring and generation.
//!
//! Shapes: T tokens, D width, V vocabulary, N targets.

use std::path::Path;

use candle_core::{DType, Device, Tensor};

use crate::block::{Block, BlockPass, BlockTrace};
use crate::files::read_json;
use crate::linear::{Linear, LoraPass};
use crate::llama::Loader;
use crate::op::dropout::{Dropout, TokenKey};
use crate::op::rope::{frequencies, Rotation};
use crate::op::{cross_entropy, rms_norm};
use crate::weights::Weights;
use crate::{Adapter, Gradients, ModelConfig, ModelError, Result, Target, TokenTree};

/// Logits of a chunk, at most this many numbers (64 MiB in f32).
const CHUNK: usize = 1 << 24;

/// The number format of frozen weights. Everything between two products is f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseDtype {
    /// Exact f32.
    F32,
    /// Weights and the operands of their products in bf16: half the memory.
    Bf16,
}

impl BaseDtype {
    /// The format that a folder's `config.json` names; f16 becomes f32, which holds each of its numbers.
    ///
    /// # Errors
    /// When `config.json` is absent or malformed.
    pub fn stored_in(dir: &Path) -> Result<Self> {
        let config = read_json(&dir.join("config.json"))?;
        let named = ["dtype", "torch_dtype"].into_iter().find_map(|key| config.get(key)?.as_str());
        Ok(if named == Some("bfloat16") { Self::Bf16 } else { Self::F32 })
    }

    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::Bf16 => DType::BF16,
        }
    }
}

/// What a block's backward starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checkpointing {
    /// Every intermediate of the forward pass is kept.
    Keep,
    /// Only each block's input is kept and the rest computed again: less memory, about a third more time.
    Recompute,
}

/// How a training pass runs.
#[derive(Debug, Clone, Copy)]
pub struct TrainingPass {
    /// What is kept between forward and backward.
    pub checkpointing: Checkpointing,
    /// Dropout before the low-rank maps.
    pub dropout: Option<Dropout>,
}

/// How well one target was predicted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TargetScore {
    /// Its negative log-likelihood in nats, without its weight.
    pub nll: f64,
    /// Whether it was the likeliest token.
    pub correct: bool,
}

/// A pretrained model whose weights never change.
#[derive(Debug, Clone)]
pub struct Decoder {
    config: ModelConfig,
    pub(crate) embedding: Tensor,
    pub(crate) blocks: Vec<Block>,
    final_norm: Tensor,
    head: Linear,
    frequencies: Vec<f32>,
    /// Number format of everything but the frozen weights.
    compute: DType,
    device: Device,
}

enum Saved {
    Trace(Box<BlockTrace>),
    Input(Tensor),
}

impl Decoder {
    /// Reads a Hugging Face model folder.
    ///
    /// # Errors
    /// When the configuration or a tensor is missing, malformed or of another architecture.
    pub fn load(dir: &Path, dtype: BaseDtype, device: &Device) -> Result<Self> {
        let config = ModelConfig::from_folder(dir)?;
        let weights = Weights::open(dir)?;
        let load = Loader { weights: &weights, config: &config, dtype: dtype.dtype(), device };
        let embedding =
            load.matrix("model.embed_tokens.weight", config.vocab_size, config.hidden_size)?;
        let blocks =
            (0..config.num_hidden_layers).map(|layer| load.block(layer)).collect::<Result<_>>()?;
        let head = match config.tie_word_embeddings {
            true => embedding.clone(),
            false => load.matrix("lm_head.weight", config.vocab_size, config.hidden_size)?,
        };
        Ok(Self {
            final_norm: load.norm("model.norm.weight")?,
            head: Linear::new("lm_head".into(), head, None),
            frequencies: frequencies(&config.rope, config.head_dim),
            compute: DType::F32,
            device: device.clone(),
            embedding,
            blocks,
            config,
        })
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Number format of everything but the frozen weights.
    pub(crate) fn compute_dtype(&self) -> DType {
        self.compute
    }

    /// Every linear layer, blocks first and the output head last.
    pub fn linears(&self) -> impl Iterator<Item = &Linear> {
        self.blocks.iter().flat_map(Block::linears).chain(std::iter::once(&self.head))
    }

    /// The paths of all linear layers, such as `model.layers.0.self_attn.q_proj`.
    pub fn linear_paths(&self) -> Vec<String> {
        self.linears().map(|linear| linear.path().to_owned()).collect()
    }

    /// Number of frozen parameters; a tied head counts once.
    pub fn parameter_count(&self) -> usize {
        let linear = |l: &Linear| l.weight().elem_count() + l.bias().map_or(0, Tensor::elem_count);
        let block = |b: &Block| {
            b.linears().into_iter().map(linear).sum::<usize>() + 2 * self.config.hidden_size
        };
        let head = if self.config.tie_word_embeddings { 0 } else { linear(&self.head) };
        self.embedding.elem_count()
            + self.blocks.iter().map(block).sum::<usize>()
            + self.config.hidden_size
            + head
    }

    /// The score of each target, and the gradients of `Σ weight · nll`, summed and divided by nothing.
    ///
    /// # Errors
    /// When a token is outside the vocabulary or the tensor library fails.
    pub fn gradients(
        &self,
        adapter: &Adapter,
        tree: &TokenTree,
        targets: &[Target],
        pass: &TrainingPass,
    ) -> Result<(Vec<TargetScore>, Gradients)> {
        let keys = token_keys(tree);
        let lora = LoraPass {
            adapter: Some(adapter),
            dropout: pass.dropout.map(|d| (d, keys.as_slice())),
        };
        let rotation = self.rotation(tree.positions())?;
        let block_pass = BlockPass { lora, rotation: &rotation };
        let lowest = adapter.lowest_block().unwrap_or(self.blocks.len());
        let mut saved = Vec::with_capacity(self.blocks.len());
        let mut x = self.embed(tree.ids())?;
        for (layer, block) in self.blocks.iter().enumerate() {
            let (output, trace) = block.forward(&x, tree, block_pass)?;
            if layer >= lowest {
                saved.push(match pass.checkpointing {
                    Checkpointing::Keep => Saved::Trace(Box::new(trace)),
                    Checkpointing::Recompute => Saved::Input(x),
                });
            }
            x = output;
        }
        let mut gradients = Gradients::default();
        let (scores, d_x) = self.head_backward(&x, targets, lora, &keys, &mut gradients)?;
        self.walk_back(saved, lowest, tree, block_pass, d_x, &mut gradients)?;
        Ok((scores, gradients))
    }

    /// The score of each target.
    ///
    /// # Errors
    /// When a token is outside the vocabulary or the tensor library fails.
    pub fn score(
        &self,
        adapter: Option<&Adapter>,
        tree: &TokenTree,
        targets: &[Target],
    ) -> Result<Vec<TargetScore>> {
        let lora = LoraPass { adapter, dropout: None };
        let x = self.hidden(adapter, tree)?;
        let mut scores = Vec::with_capacity(targets.len());
        for chunk in targets.chunks(self.targets_per_chunk()) {
            self.check_targets(chunk)?;
            let logits = self.logits_at(&x, chunk.iter().map(|t| t.position), lora)?;
            scores.extend(target_scores(&logits, &token_tensor(chunk, &self.device)?, chunk)?);
        }
        Ok(scores)
    }

    /// The logits at some flat positions.
    ///
    /// Shapes: (N, V) out, f32.
    ///
    /// # Errors
    /// When a token is outside the vocabulary or the tensor library fails.
    pub fn logits(
        &self,
        adapter: Option<&Adapter>,
        tree: &TokenTree,
        positions: &[usize],
    ) -> Result<Tensor> {
        let x = self.hidden(adapter, tree)?;
        self.logits_at(&x, positions.iter().copied(), LoraPass { adapter, dropout: None })
    }

    fn hidden(&self, adapter: Option<&Adapter>, tree: &TokenTree) -> Result<Tensor> {
        let rotation = self.rotation(tree.positions())?;
        let pass = BlockPass { lora: LoraPass { adapter, dropout: None }, rotation: &rotation };
        let mut x = self.embed(tree.ids())?;
        for block in &self.blocks {
            x = block.forward(&x, tree, pass)?.0;
        }
        Ok(x)
    }

    /// Walks the blocks from the last to the lowest adapted one.
    fn walk_back(
        &self,
        saved: Vec<Saved>,
        lowest: usize,
        tree: &TokenTree,
        pass: BlockPass<'_>,
        d_x: Tensor,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let mut d_x = d_x;
        for (index, (block, saved)) in self.blocks.iter().skip(lowest).zip(saved).enumerate().rev()
        {
            let trace = match saved {
                Saved::Trace(trace) => *trace,
                Saved::Input(x) => block.forward(&x, tree, pass)?.1,
            };
            if index == 0 {
                return block.backward_lowest(&trace, tree, pass, &d_x, gradients);
            }
            d_x = block.backward(&trace, tree, pass, &d_x, gradients)?;
        }
        Ok(())
    }

    /// Scores, and the gradient of the last block's output.
    ///
    /// Shapes: `x` (T, D); (T, D) out.
    fn head_backward(
        &self,
        x: &Tensor,
        targets: &[Target],
        lora: LoraPass<'_>,
        keys: &[TokenKey],
        gradients: &mut Gradients,
    ) -> Result<(Vec<TargetScore>, Tensor)> {
        let mut d_x = x.zeros_like()?;
        let mut scores = Vec::with_capacity(targets.len());
        for chunk in targets.chunks(self.targets_per_chunk()) {
            self.check_targets(chunk)?;
            let rows: Vec<u32> = chunk.iter().map(|t| t.position as u32).collect();
            let rows = Tensor::new(rows, &self.device)?;
            let chunk_keys: Vec<TokenKey> =
                chunk.iter().filter_map(|t| keys.get(t.position).copied()).collect();
            let lora =
                LoraPass { dropout: lora.dropout.map(|(d, _)| (d, chunk_keys.as_slice())), ..lora };
            let input = x.index_select(&rows, 0)?;
            let normed = rms_norm::forward(&input, &self.final_norm, self.config.rms_norm_eps)?;
            let logits = self.head.forward(&normed, lora)?;
            let tokens = token_tensor(chunk, &self.device)?;
            scores.extend(target_scores(&logits, &tokens, chunk)?);
            let weights: Vec<f32> = chunk.iter().map(|t| t.weight).collect();
            let weights = Tensor::new(weights, &self.device)?.to_dtype(self.compute)?;
            let d_logits = cross_entropy::backward(&logits, &tokens, &weights)?;
            self.head.lora_gradients(&normed, &d_logits, lora, gradients)?;
            let d_normed = self.head.input_gradient(&d_logits, lora)?;
            let d_input =
                rms_norm::backward(&input, &self.final_norm, self.config.rms_norm_eps, &d_normed)?;
            d_x = d_x.index_add(&rows, &d_input, 0)?;
        }
        Ok((scores, d_x))
    }

    /// Final norm and output head at some rows of the last block's output.
    ///
    /// Shapes: `x` (T, D); (N, V) out.
    pub(crate) fn logits_at(
        &self,
        x: &Tensor,
        positions: impl Iterator<Item = usize>,
        lora: LoraPass<'_>,
    ) -> Result<Tensor> {
        let rows = Tensor::new(positions.map(|p| p as u32).collect::<Vec<_>>(), &self.device)?;
        let normed = rms_norm::forward(
            &x.index_select(&rows, 0)?,
            &self.final_norm,
            self.config.rms_norm_eps,
        )?;
        self.head.forward(&normed, lora)
    }

    /// Embeddings of tokens.
    ///
    /// Shapes: (T, D) out.
    pub(crate) fn embed(&self, ids: &[u32]) -> Result<Tensor> {
        let vocabulary = self.config.vocab_size;
        if let Some((position, id)) =
            ids.iter().enumerate().find(|(_, id)| **id as usize >= vocabulary)
        {
            return Err(ModelError::TokenId { id: *id, position, vocabulary });
        }
        Ok(self
            .embedding
            .index_select(&Tensor::new(ids, &self.device)?, 0)?
            .to_dtype(self.compute)?)
    }

    pub(crate) fn rotation(&self, positions: &[usize]) -> Result<Rotation> {
        Ok(Rotation::new(&self.frequencies, positions, self.compute, &self.device)?)
    }

    fn check_targets(&self, targets: &[Target]) -> Result<()> {
        let vocabulary = self.config.vocab_size;
        match targets.iter().find(|t| t.token as usize >= vocabulary) {
            Some(t) => Err(ModelError::TokenId { id: t.token, position: t.position, vocabulary }),
            None => Ok(()),
        }
    }

    fn targets_per_chunk(&self) -> usize {
        (CHUNK / self.config.vocab_size).max(1)
    }

    /// The same model with an adapter added to its weights (`sign` 1) or taken out of them (−1).
    pub(crate) fn folded(&self, adapter: &Adapter, sign: f64) -> Result<Self> {
        let blocks = self
            .blocks
            .iter()
            .map(|block| block.with_linears(|linear| linear.folded(adapter, sign)));
        Ok(Self {
            blocks: blocks.collect::<Result<_>>()?,
            head: self.head.folded(adapter, sign)?,
            ..self.clone()
        })
    }
}

fn token_keys(tree: &TokenTree) -> Vec<TokenKey> {
    tree.rows()
        .into_iter()
        .zip(tree.positions())
        .map(|(row, position)| TokenKey { row, position: *position })
        .collect()
}

fn token_tensor(targets: &[Target], device: &Device) -> Result<Tensor> {
    Ok(Tensor::new(targets.iter().map(|t| t.token).collect::<Vec<_>>(), device)?)
}

fn target_scores(logits: &Tensor, tokens: &Tensor, targets: &[Target]) -> Result<Vec<TargetScore>> {
    let nll: Vec<f64> = cross_entropy::forward(logits, tokens)?
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F64)?
        .to_vec1()?;
    let best: Vec<u32> = logits.argmax(1)?.to_vec1()?;
    let scores = nll.into_iter().zip(best).zip(targets);
    Ok(scores
        .map(|((nll, best), target)| TargetScore { nll, correct: best == target.token })
        .collect())
}
