//! The decoder: one walk over its blocks for training, scoring and generation.
//!
//! Shapes: T tokens, D width, V vocabulary, N targets.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use candle_core::{DType, Device, Tensor};

use crate::block::{Block, Chosen};
use crate::files::read_json;
use crate::kernel::instructions::Instructions;
use crate::linear::{Linear, LoraPass};
use crate::llama::{Loader, Source, EMBEDDING, FINAL_NORM, HEAD};
use crate::op::dropout::{Dropout, TokenKey};
use crate::op::rope::frequencies;
use crate::walk::Walk;
use crate::weights::Weights;
use crate::workspace::Workspace;
use crate::{Adapter, BaseWeights, Gradients, ModelConfig, ModelError, Result, Target, TokenTree};

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

    /// What suits a folder on this processor: bf16 where the checkpoint is bf16 and the processor multiplies bf16, else
    /// f32, which holds every weight of either exactly.
    ///
    /// # Errors
    /// When `config.json` is absent or malformed.
    pub fn suited_to(dir: &Path) -> Result<Self> {
        let fast = Instructions::current().multiplies_bf16();
        Ok(if fast { Self::stored_in(dir)? } else { Self::F32 })
    }

    pub(crate) fn dtype(self) -> DType {
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

/// A model, whose weights change only by [`Decoder::set_weights`].
#[derive(Debug, Clone)]
pub struct Decoder {
    config: ModelConfig,
    /// Its rows are the tokens' embeddings; `None` where they are those of the head.
    embedding: Option<Linear>,
    pub(crate) blocks: Vec<Block>,
    pub(crate) final_norm: Arc<[f32]>,
    pub(crate) head: Linear,
    pub(crate) frequencies: Vec<f32>,
    device: Device,
    /// Buffers of the passes, which run one at a time.
    workspace: Arc<Mutex<Workspace>>,
}

impl Decoder {
    /// Reads a Hugging Face model folder.
    ///
    /// # Errors
    /// When the configuration or a tensor is missing, malformed or of another architecture.
    pub fn load(dir: &Path, dtype: BaseDtype, device: &Device) -> Result<Self> {
        let config = ModelConfig::from_folder(dir)?;
        Self::from_source(config, Source::Files(&Weights::open(dir)?), dtype, device)
    }

    /// A model of given weights.
    ///
    /// # Errors
    /// When the weights are of another shape than the configuration.
    pub fn from_weights(
        config: ModelConfig,
        weights: &BaseWeights,
        dtype: BaseDtype,
        device: &Device,
    ) -> Result<Self> {
        Self::from_source(config, Source::Memory(weights), dtype, device)
    }

    fn from_source(
        config: ModelConfig,
        source: Source<'_>,
        dtype: BaseDtype,
        device: &Device,
    ) -> Result<Self> {
        let load = Loader { source, config: &config, dtype: dtype.dtype(), device };
        let (vocabulary, width) = (config.vocab_size, config.hidden_size);
        let embedding = load.matrix(EMBEDDING, vocabulary, width)?;
        let head_path = "lm_head".to_owned();
        let (embedding, head) = if config.tie_word_embeddings {
            (None, Linear::new(head_path, &embedding, None)?.with_weight_name(EMBEDDING))
        } else {
            let weight = load.matrix(HEAD, vocabulary, width)?;
            let embedding = Linear::new("model.embed_tokens".to_owned(), &embedding, None)?;
            (Some(embedding), Linear::new(head_path, &weight, None)?)
        };
        let blocks =
            (0..config.num_hidden_layers).map(|layer| load.block(layer)).collect::<Result<_>>()?;
        Ok(Self {
            final_norm: load.norm(FINAL_NORM)?,
            frequencies: frequencies(&config.rope, config.head_dim),
            device: device.clone(),
            workspace: Arc::default(),
            embedding,
            head,
            blocks,
            config,
        })
    }

    /// Replaces every weight, rounded to the model's number format.
    ///
    /// # Errors
    /// When a tensor is missing.
    pub fn set_weights(&mut self, weights: &BaseWeights) -> Result<()> {
        for block in &mut self.blocks {
            block.input_norm = weights.values(&block.input_norm_name())?.into();
            block.mlp_norm = weights.values(&block.mlp_norm_name())?.into();
        }
        self.final_norm = weights.values(FINAL_NORM)?.into();
        let blocks = self.blocks.iter_mut().flat_map(Block::linears_mut);
        let tables = self.embedding.iter_mut().chain(std::iter::once(&mut self.head));
        for linear in blocks.chain(tables) {
            let bias = match linear.bias() {
                Some(_) => Some(weights.values(&linear.bias_name())?),
                None => None,
            };
            linear.set(weights.values(linear.weight_name())?, bias);
        }
        Ok(())
    }

    /// The model's configuration.
    pub fn config(&self) -> &ModelConfig {
        &self.config
    }

    /// Where the weights are.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The number format of the weights.
    pub fn dtype(&self) -> BaseDtype {
        self.head.dtype()
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
        let embedding = self.embedding.as_ref().map_or(0, Linear::parameter_count);
        let norms = (2 * self.blocks.len() + 1) * self.config.hidden_size;
        embedding + norms + self.linears().map(Linear::parameter_count).sum::<usize>()
    }

    /// Packs the weights for the backward direction too: faster training for as much memory again.
    ///
    /// Without it, the backward reads the forward's panels.
    pub fn pack_backward(&self) {
        self.linears().for_each(Linear::pack_backward);
    }

    /// The score of each target, and the gradients of `Σ weight · nll`, summed and divided by nothing.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn gradients(
        &self,
        adapter: &Adapter,
        tree: &TokenTree,
        targets: &[Target],
        pass: &TrainingPass,
    ) -> Result<(Vec<TargetScore>, Gradients)> {
        let mut gradients = Gradients::zeros(adapter);
        let mut scores = Vec::new();
        self.add_gradients(adapter, tree, targets, pass, &mut scores, &mut gradients)?;
        Ok((scores, gradients))
    }

    /// As [`Decoder::gradients`], added to those of other batches; `scores` becomes the targets' scores.
    ///
    /// After the largest batch it allocates nothing of a batch's size.
    ///
    /// # Errors
    /// As [`Decoder::gradients`], or when `gradients` lacks one of the adapter's tensors.
    pub fn add_gradients(
        &self,
        adapter: &Adapter,
        tree: &TokenTree,
        targets: &[Target],
        pass: &TrainingPass,
        scores: &mut Vec<TargetScore>,
        gradients: &mut Gradients,
    ) -> Result<()> {
        self.add_trained(Some(adapter), tree, targets, pass, scores, gradients)
    }

    /// As [`Decoder::add_gradients`], of the model's own weights, for `gradients` of [`Gradients::zeros_of_base`].
    ///
    /// # Errors
    /// As [`Decoder::add_gradients`].
    pub fn add_base_gradients(
        &self,
        tree: &TokenTree,
        targets: &[Target],
        checkpointing: Checkpointing,
        scores: &mut Vec<TargetScore>,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let pass = TrainingPass { checkpointing, dropout: None };
        self.add_trained(None, tree, targets, &pass, scores, gradients)
    }

    fn add_trained(
        &self,
        adapter: Option<&Adapter>,
        tree: &TokenTree,
        targets: &[Target],
        pass: &TrainingPass,
        scores: &mut Vec<TargetScore>,
        gradients: &mut Gradients,
    ) -> Result<()> {
        self.check_targets(targets)?;
        let keys = token_keys(tree, pass.dropout);
        let rows = wanted_rows(targets);
        let chosen_keys: Vec<TokenKey> =
            rows.iter().filter_map(|row| keys.get(*row).copied()).collect();
        let lora = LoraPass { adapter, dropout: pass.dropout.map(|d| (d, keys.as_slice())) };
        let mut workspace = self.workspace();
        let work = &mut *workspace;
        work.rotation.set(&self.frequencies, tree.positions());
        let chosen = Chosen { rows: &rows, keys: &chosen_keys };
        let lowest = match gradients.are_of_base() {
            true => 0,
            false => adapter.and_then(Adapter::lowest_block).unwrap_or(self.blocks.len()),
        };
        let walk = Walk { tree, lora, chosen, lowest };
        self.walk_forward(walk, pass.checkpointing, work)?;
        self.head_backward(walk, targets, work, scores, gradients)?;
        self.walk_back(walk, pass.checkpointing, work, gradients)
    }

    /// The score of each target.
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub fn score(
        &self,
        adapter: Option<&Adapter>,
        tree: &TokenTree,
        targets: &[Target],
    ) -> Result<Vec<TargetScore>> {
        self.check_targets(targets)?;
        let rows = wanted_rows(targets);
        let mut workspace = self.workspace();
        let work = &mut *workspace;
        let walk = self.scoring_walk(adapter, tree, &rows, work)?;
        let mut scores = Vec::with_capacity(targets.len());
        self.head_scores(walk, targets, work, &mut scores);
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
        let rows = wanted(positions.iter().copied());
        let mut workspace = self.workspace();
        let work = &mut *workspace;
        let walk = self.scoring_walk(adapter, tree, &rows, work)?;
        self.logits_of(walk, positions, work)
    }

    /// Writes the embeddings of tokens.
    ///
    /// Shapes: `out` (T, D).
    ///
    /// # Errors
    /// When a token is outside the vocabulary.
    pub(crate) fn embed(&self, ids: &[u32], out: &mut [f32]) -> Result<()> {
        let vocabulary = self.config.vocab_size;
        if let Some((position, id)) =
            ids.iter().enumerate().find(|(_, id)| **id as usize >= vocabulary)
        {
            return Err(ModelError::TokenId { id: *id, position, vocabulary });
        }
        let table = self.embedding.as_ref().unwrap_or(&self.head);
        for (id, out) in ids.iter().zip(out.chunks_mut(self.config.hidden_size)) {
            table.write_row(*id as usize, out);
        }
        Ok(())
    }

    pub(crate) fn workspace(&self) -> MutexGuard<'_, Workspace> {
        // Whatever a pass that panicked left in the buffers, the next one writes before it reads.
        self.workspace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_targets(&self, targets: &[Target]) -> Result<()> {
        let vocabulary = self.config.vocab_size;
        match targets.iter().find(|t| t.token as usize >= vocabulary) {
            Some(t) => Err(ModelError::TokenId { id: t.token, position: t.position, vocabulary }),
            None => Ok(()),
        }
    }

    /// The same model with an adapter added to its weights (`sign` 1) or taken out of them (−1).
    pub(crate) fn folded(&self, adapter: &Adapter, sign: f64) -> Result<Self> {
        let blocks = self
            .blocks
            .iter()
            .map(|block| block.with_linears(|linear| linear.folded(adapter, sign)));
        let embedding = match &self.embedding {
            // The head alone is adapted: the embedding keeps the weights that both had.
            None if adapter.pair(self.head.path()).is_some() => Some(self.head.clone()),
            embedding => embedding.clone(),
        };
        Ok(Self {
            embedding,
            blocks: blocks.collect::<Result<_>>()?,
            head: self.head.folded(adapter, sign)?,
            ..self.clone()
        })
    }
}

/// The rows that targets are predicted from, ascending, each once.
fn wanted_rows(targets: &[Target]) -> Vec<usize> {
    wanted(targets.iter().map(|target| target.position))
}

fn wanted(positions: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut rows: Vec<usize> = positions.collect();
    rows.sort_unstable();
    rows.dedup();
    rows
}

fn token_keys(tree: &TokenTree, dropout: Option<Dropout>) -> Vec<TokenKey> {
    if dropout.is_none() {
        return Vec::new();
    }
    tree.rows()
        .into_iter()
        .zip(tree.positions())
        .map(|(row, position)| TokenKey { row, position: *position })
        .collect()
}
