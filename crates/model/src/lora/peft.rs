//! `adapter_config.json` and `adapter_model.safetensors`, as PEFT reads and writes them.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{DType, Device};

use super::adapter::{split_key, Adapter, Factor, LoraPair, Matrix};
use super::config::LoraConfig;
use super::peft_config::{config_json, read_config, CONFIG};
use crate::files::{write_tensors, write_whole};
use crate::weights::Weights;
use crate::{Decoder, ModelError, Result};

pub(crate) const TENSORS: &str = "adapter_model.safetensors";

impl Adapter {
    /// Reads a PEFT adapter folder.
    ///
    /// # Errors
    /// When a file is missing or damaged, the configuration asks for something other than plain LoRA, or a tensor does
    /// not fit the model.
    pub fn load(decoder: &Decoder, dir: &Path) -> Result<Self> {
        let config = read_config(dir)?;
        let path = dir.join(TENSORS);
        if !path.is_file() {
            return Err(ModelError::NoAdapter { path: dir.into(), file: TENSORS });
        }
        let weights = Weights::from_files(&path, vec![path.clone()])?;
        let linears: HashMap<&str, (usize, usize)> =
            decoder.linears().map(|l| (l.path(), (l.outputs(), l.inputs()))).collect();
        let mut pairs = BTreeMap::new();
        for name in weights.names() {
            let unknown = || ModelError::UnknownModule { name: name.into() };
            let (module, factor) = split_key(name).ok_or_else(unknown)?;
            let (outputs, inputs) = *linears.get(module).ok_or_else(unknown)?;
            if factor == Factor::B {
                continue;
            }
            let rank = config.rank(module)?;
            let tensor = |name: &str, shape: [usize; 2]| {
                Matrix::from_tensor(&weights.tensor(name, &shape, DType::F32, &Device::Cpu)?)
            };
            let a = tensor(name, [rank, inputs])?;
            let b = tensor(&super::adapter::b_key(module), [outputs, rank])?;
            pairs.insert(module.to_owned(), LoraPair { a, b, scale: config.scale(module)? });
        }
        check_complete(decoder, &config, &weights, &pairs, &path)?;
        Self::from_pairs(decoder, config, pairs)
    }

    /// Writes a PEFT adapter folder; each file is whole or absent.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, dir: &Path) -> Result<()> {
        std::fs::create_dir_all(dir)
            .map_err(|source| ModelError::Io { path: dir.into(), source })?;
        write_tensors(&dir.join(TENSORS), self.tensors()?)?;
        let mut text = serde_json::to_string_pretty(&config_json(self))
            .map_err(|source| ModelError::Json { path: dir.join(CONFIG), source })?;
        text.push('\n');
        write_whole(&dir.join(CONFIG), text.as_bytes())
    }
}

fn check_complete(
    decoder: &Decoder,
    config: &LoraConfig,
    weights: &Weights,
    pairs: &BTreeMap<String, LoraPair>,
    path: &Path,
) -> Result<()> {
    let missing = |name: String| Err(ModelError::MissingTensor { path: path.into(), name });
    for name in weights.names() {
        match split_key(name) {
            Some((module, Factor::B)) if !pairs.contains_key(module) => {
                return missing(super::adapter::a_key(module))
            }
            _ => {}
        }
    }
    for linear in decoder.linears() {
        if config.adapts(linear.path())? && !pairs.contains_key(linear.path()) {
            return missing(super::adapter::a_key(linear.path()));
        }
    }
    Ok(())
}
