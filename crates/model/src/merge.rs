//! Adapters folded into the weights they adapt.

use std::path::Path;

use candle_core::{Device, Tensor};

use crate::files::{copy_all_but_weights, write_tensors, write_whole};
use crate::linear::fold;
use crate::weights::{Weights, INDEX};
use crate::{Adapter, Decoder, ModelConfig, ModelError, Result};

impl Decoder {
    /// The same model with `scale · B·A` added to every adapted weight.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn merged(&self, adapter: &Adapter) -> Result<Self> {
        self.folded(adapter, 1.0)
    }

    /// The base again, up to rounding in the weights' number format, from a model that holds a merged adapter.
    ///
    /// # Errors
    /// When the tensor library fails.
    pub fn unmerged(&self, adapter: &Adapter) -> Result<Self> {
        self.folded(adapter, -1.0)
    }
}

/// Writes the folder `base` with an adapter merged into its weights, each tensor in the number format of its file.
///
/// Shards stay as they are; every other file of the folder is copied.
///
/// # Errors
/// When a folder cannot be read or written, or the adapter changes a head that shares its weights with the embedding.
pub fn write_merged(base: &Path, adapter: &Adapter, output: &Path) -> Result<()> {
    let config = ModelConfig::from_folder(base)?;
    if config.tie_word_embeddings && adapter.pair("lm_head").is_some() {
        return Err(ModelError::TiedHead);
    }
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::Io { path, source }
    };
    std::fs::create_dir_all(output).map_err(io(output))?;
    let weights = Weights::open(base)?;
    for (path, names) in weights.shards() {
        let mut tensors: Vec<(String, Tensor)> = Vec::with_capacity(names.len());
        for name in names {
            let mut tensor = weights.stored(&name, &Device::Cpu)?;
            if let Some(pair) = name.strip_suffix(".weight").and_then(|module| adapter.pair(module))
            {
                tensor = fold(&tensor, pair, 1.0)?;
            }
            tensors.push((name, tensor));
        }
        write_tensors(&output.join(path.file_name().unwrap_or_default()), tensors)?;
    }
    let index = base.join(INDEX);
    if index.is_file() {
        let bytes = std::fs::read(&index).map_err(io(&index))?;
        write_whole(&output.join(INDEX), &bytes)?;
    }
    copy_all_but_weights(base, output)
}
