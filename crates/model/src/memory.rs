//! How much memory a training run needs, before it starts.
//!
//! Units: bytes. Shapes: T tokens of the largest piece, N of them predict, D width, F width of the MLP, H query heads,
//! G key/value heads, R width of a head, V vocabulary, r ranks.

use crate::head::CHUNK;
use crate::kernel::tile::TileKernel;
use crate::llama::tensor_shapes;
use crate::{Adapter, BaseDtype, Checkpointing, ModelConfig};

/// The largest piece of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PieceSize {
    /// Tokens.
    pub tokens: usize,
    /// Targets.
    pub targets: usize,
}

/// What a run keeps in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryEstimate {
    /// Weights packed for the forward direction.
    pub weights: usize,
    /// Weights packed for the backward direction.
    pub backward_weights: usize,
    /// What is trained, its gradients and the optimizer's state.
    pub trainable: usize,
    /// What each block's backward reads of its forward.
    pub traces: usize,
    /// Buffers that all blocks use in turn, and the chunk of logits.
    pub buffers: usize,
}

impl MemoryEstimate {
    /// All of it.
    pub fn total(&self) -> usize {
        self.weights + self.backward_weights + self.trainable + self.traces + self.buffers
    }

    /// Without weights packed for the backward direction.
    #[must_use]
    pub fn with_one_packing(self) -> Self {
        Self { backward_weights: 0, ..self }
    }
}

/// Bytes of weights packed for the forward direction, and of the same for the backward direction.
pub fn weight_bytes(config: &ModelConfig, dtype: BaseDtype) -> (usize, usize) {
    let nr = TileKernel::current().nr;
    let packed = |steps: usize, columns: usize| match dtype {
        BaseDtype::F32 => 4 * steps * columns.next_multiple_of(nr),
        BaseDtype::Bf16 => 2 * steps.next_multiple_of(2) * columns.next_multiple_of(nr),
    };
    let (width, mlp) = (config.hidden_size, config.intermediate_size);
    let queries = config.num_attention_heads * config.head_dim;
    let groups = config.num_key_value_heads * config.head_dim;
    let block = [(width, queries), (width, groups), (width, groups), (queries, width)]
        .into_iter()
        .chain([(width, mlp), (width, mlp), (mlp, width)]);
    let (mut forward, mut backward) = (0, 0);
    for (inputs, outputs) in block {
        forward += packed(inputs, outputs);
        backward += packed(outputs, inputs);
    }
    let vocabulary = config.vocab_size;
    let tables = if config.tie_word_embeddings { 1 } else { 2 };
    let blocks = config.num_hidden_layers;
    (
        forward * blocks + tables * packed(width, vocabulary),
        backward * blocks + packed(vocabulary, width),
    )
}

/// What a training run of an adapter keeps, for its largest piece.
pub fn training(
    config: &ModelConfig,
    dtype: BaseDtype,
    adapter: &Adapter,
    piece: PieceSize,
    checkpointing: Checkpointing,
) -> MemoryEstimate {
    let blocks = config.num_hidden_layers;
    let trained = Trained {
        numbers: adapter.parameter_count(),
        ranks: adapter.paths().filter_map(|p| adapter.pair(p)).map(|p| p.rank()).sum(),
        walked: blocks - adapter.lowest_block().unwrap_or(blocks).min(blocks),
    };
    estimate(config, dtype, trained, piece, checkpointing)
}

/// What a training run of the whole model keeps, for its largest piece.
///
/// The start's weights are kept beside those that move, to be compared at the end.
pub fn training_of_model(
    config: &ModelConfig,
    dtype: BaseDtype,
    piece: PieceSize,
    checkpointing: Checkpointing,
) -> MemoryEstimate {
    let size = |dims: &[usize]| dims.iter().product::<usize>();
    let numbers = tensor_shapes(config).iter().map(|(_, shape)| size(shape.dims())).sum();
    let trained = Trained { numbers, ranks: 0, walked: config.num_hidden_layers };
    let once = estimate(config, dtype, trained, piece, checkpointing);
    // A checkpoint being written holds the moments twice more: as tensors and as bytes.
    let written = 16 * numbers;
    MemoryEstimate { trainable: once.trainable + written + 4 * numbers + once.weights, ..once }
}

/// What training moves, as far as memory goes.
#[derive(Clone, Copy)]
struct Trained {
    /// Trainable numbers.
    numbers: usize,
    /// Ranks of all adapters.
    ranks: usize,
    /// Blocks that are walked back.
    walked: usize,
}

fn estimate(
    config: &ModelConfig,
    dtype: BaseDtype,
    trained: Trained,
    piece: PieceSize,
    checkpointing: Checkpointing,
) -> MemoryEstimate {
    let Trained { numbers, ranks, walked } = trained;
    let (weights, backward_weights) = weight_bytes(config, dtype);
    let (t, n) = (piece.tokens, piece.targets.min(piece.tokens));
    let (d, f) = (config.hidden_size, config.intermediate_size);
    let attended = config.num_attention_heads * config.head_dim;
    let qkv = attended + 2 * config.num_key_value_heads * config.head_dim;
    let blocks = config.num_hidden_layers;
    let trace = qkv + attended + config.num_attention_heads + d + 2 * f + 2;
    let (of_all, of_last) = match checkpointing {
        // The last block's trace behind attention is there for the tokens that predict only.
        Checkpointing::Keep if walked > 0 => (walked - 1, 1),
        _ => (1, 0),
    };
    let last = t * (qkv + attended + config.num_attention_heads + 1) + n * (d + 2 * f + 1);
    let inputs = if walked > 0 { blocks } else { 2 };
    let traces = of_all * t * trace + of_last * last + inputs * t * d + t * ranks;
    let scratch = t * (2 * d + 3 * f + 2 * f + 2 * attended + qkv + 2 * d + config.head_dim)
        + n * (4 * d + attended);
    let chunk = (CHUNK / config.vocab_size).max(1).min(piece.targets);
    let buffers = scratch + chunk * (config.vocab_size + 2 * d);
    MemoryEstimate {
        weights,
        backward_weights,
        trainable: 4 * 4 * numbers,
        traces: 4 * traces,
        buffers: 4 * buffers,
    }
}
