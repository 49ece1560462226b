//! What can go wrong with a model folder, an adapter or a computation.

use std::path::PathBuf;

use crate::lora::peft::TENSORS as ADAPTER_TENSORS;

/// Why a model or an adapter could not be read, written or computed.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// A file could not be opened, read or written.
    #[error("`{path}`: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// A JSON file does not parse.
    #[error("`{path}:{line}`: not valid JSON: {source}", path = path.display(), line = source.line())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A key of a configuration has a value that cannot be used.
    #[error("`{path}`: `{key}` is {found}, expected {expected}", path = path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What would do.
        expected: String,
        /// What stands there.
        found: String,
    },
    /// The architecture is not one of those the decoder computes.
    #[error("`{path}`: architecture `{found}` is not supported, expected one of {supported}", path = path.display())]
    UnknownArchitecture {
        /// The `config.json`.
        path: PathBuf,
        /// What it names.
        found: String,
        /// What the decoder knows.
        supported: String,
    },
    /// No weights file in a model folder.
    #[error("`{path}`: no `model.safetensors` and no `model.safetensors.index.json`", path = path.display())]
    NoWeights {
        /// The folder.
        path: PathBuf,
    },
    /// A safetensors file is cut short or damaged.
    #[error("`{path}`: not a whole safetensors file: {reason}", path = path.display())]
    BadSafetensors {
        /// The file.
        path: PathBuf,
        /// What the reader found.
        reason: String,
    },
    /// A tensor that the configuration asks for is not in the files.
    #[error("`{path}`: tensor `{name}` is missing", path = path.display())]
    MissingTensor {
        /// The folder or file.
        path: PathBuf,
        /// The tensor.
        name: String,
    },
    /// A tensor's shape is not the one that the configuration asks for.
    #[error("`{path}`: tensor `{name}` has shape {found:?}, expected {expected:?}", path = path.display())]
    WrongShape {
        /// The folder or file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What the configuration asks for.
        expected: Vec<usize>,
        /// What the file holds.
        found: Vec<usize>,
    },
    /// A tensor's number format is not one that weights come in.
    #[error("`{path}`: tensor `{name}` has dtype `{found}`, expected `F32`, `F16` or `BF16`", path = path.display())]
    WrongDtype {
        /// The folder or file.
        path: PathBuf,
        /// The tensor.
        name: String,
        /// What the file holds.
        found: String,
    },
    /// No adapter in a folder.
    #[error("`{path}`: no `{file}`, so this is not a PEFT adapter folder", path = path.display())]
    NoAdapter {
        /// The folder.
        path: PathBuf,
        /// The file that is missing.
        file: &'static str,
    },
    /// The target modules, less the excluded ones, are nothing in the model.
    #[error("{found} match no linear layer of the model, expected some of {available}")]
    NoTargets {
        /// What was asked for.
        found: String,
        /// The layers' last names.
        available: String,
    },
    /// A pattern is not a regular expression.
    #[error("`{key}`: `{pattern}` is not a regular expression: {source}")]
    Pattern {
        /// The key that holds it.
        key: String,
        /// The pattern.
        pattern: String,
        /// Why.
        source: Box<regex::Error>,
    },
    /// An adapter or a gradient names a module that the model does not have.
    #[error("adapter tensor `{name}` belongs to no linear layer of the model")]
    UnknownModule {
        /// The tensor's key.
        name: String,
    },
    /// A token id lies outside the vocabulary.
    #[error("token id {id} at position {position} is outside the vocabulary of {vocabulary}")]
    TokenId {
        /// The id.
        id: u32,
        /// Its flat position.
        position: usize,
        /// The model's vocabulary size.
        vocabulary: usize,
    },
    /// Segments do not form a forest over the tokens.
    #[error("segment {segment} of the token tree: {reason}")]
    Tree {
        /// The segment's index.
        segment: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A cache node was used against its rules.
    #[error("cache node {node}: {reason}")]
    Cache {
        /// The node's number.
        node: usize,
        /// What is wrong.
        reason: String,
    },
    /// The output head has an adapter but shares its weights with the embedding.
    #[error("the adapter changes `lm_head`, which shares its weights with the embedding, so it cannot be merged")]
    TiedHead,
    /// The tensor library failed.
    #[error("tensor computation: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl ModelError {
    /// What the user can do about it, where there is something.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::UnknownArchitecture { .. } => "this version computes Llama models; use one whose `model_type` is `llama`".into(),
            Self::NoWeights { .. } => "a model folder needs safetensors weights; convert `.bin` files with transformers' `save_pretrained`".into(),
            Self::BadSafetensors { .. } => "the download was cut short or the file is damaged; fetch it again".into(),
            Self::MissingTensor { path, .. } | Self::WrongShape { path, .. } if path.ends_with(ADAPTER_TENSORS) => {
                "the adapter was trained on another model; its `adapter_config.json` names it".into()
            }
            Self::MissingTensor { .. } | Self::WrongShape { .. } => "weights and `config.json` belong to different models; fetch both again".into(),
            Self::NoAdapter { .. } => "name a folder that `tunewise train` or PEFT wrote, with safetensors".into(),
            Self::NoTargets { .. } => "use `all-linear`, or names such as `q_proj,v_proj`; see what `exclude_modules` and `layers_to_transform` leave".into(),
            Self::UnknownModule { .. } => "the adapter was trained on another model; pass the one named in its `base_model_name_or_path`".into(),
            Self::TokenId { .. } => "tokenizer and weights belong to different models".into(),
            Self::Pattern { .. } => "look-around is not available; write the pattern without it".into(),
            Self::TiedHead => "train without `lm_head` among the target modules to merge".into(),
            _ => return None,
        })
    }
}
