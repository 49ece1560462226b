//! Adapters folded into the weights they adapt.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};

use crate::files::write_whole;
use crate::linear::fold;
use crate::weights::Weights;
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
        let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes =
            safetensors::serialize(tensors, Some(format)).map_err(candle_core::Error::from)?;
        write_whole(&output.join(path.file_name().unwrap_or_default()), &bytes)?;
    }
    for entry in std::fs::read_dir(base).map_err(io(base))? {
        let path = entry.map_err(io(base))?.path();
        let weights = path
            .extension()
            .is_some_and(|e| matches!(e.to_str(), Some("safetensors" | "bin" | "gguf")));
        if path.is_file() && !weights {
            let bytes = std::fs::read(&path).map_err(io(&path))?;
            write_whole(&output.join(path.file_name().unwrap_or_default()), &bytes)?;
        }
    }
    Ok(())
}
