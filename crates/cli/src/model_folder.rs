//! A model folder on disk, its adapters, and what they say about each other.

use std::path::{Path, PathBuf};

use candle_core::Device;
use serde_json::Value;
use tunewise_data::Renderer;
use tunewise_model::{Adapter, BaseDtype, Decoder, ModelConfig};

use crate::args::compute::{ComputeArgs, Numbers, Place};
use crate::failure::Problem;
use crate::{output, threads};

/// The record that training leaves beside an adapter.
const RECORD: &str = "tunewise.json";

/// A folder that holds a model.
#[derive(Debug, Clone)]
pub struct ModelFolder {
    path: PathBuf,
}

impl ModelFolder {
    /// The folder at `path`.
    ///
    /// # Errors
    /// When it is no folder.
    pub fn at(path: &Path) -> anyhow::Result<ModelFolder> {
        if path.is_dir() {
            return Ok(ModelFolder { path: path.to_owned() });
        }
        let name = path.display();
        let hint = if path.is_file() {
            "name the folder with `config.json`, `tokenizer.json` and `model.safetensors`; single files, GGUF among \
             them, are not read yet"
        } else if path.is_relative() && path.components().count() == 2 {
            "a hub id is not fetched yet: download the model and name its folder"
        } else {
            "check the spelling and the working folder"
        };
        let found = if path.exists() { "is a file" } else { "does not exist" };
        let what = format!("`{name}` {found}, expected a model folder");
        Err(Problem::with_hint(what, hint).into())
    }

    /// The renderer of the folder's template and tokenizer; what there is to know about them is said.
    ///
    /// # Errors
    /// When tokenizer or template cannot be read.
    pub fn renderer(&self) -> anyhow::Result<Renderer> {
        let renderer = self.silent_renderer()?;
        for note in renderer.notes() {
            output::note(note);
        }
        Ok(renderer)
    }

    /// The renderer, for a caller that tells its notes itself.
    ///
    /// # Errors
    /// When tokenizer or template cannot be read.
    pub fn silent_renderer(&self) -> anyhow::Result<Renderer> {
        Ok(Renderer::from_folder(&self.path)?)
    }

    /// The model's context, in tokens.
    ///
    /// # Errors
    /// When `config.json` cannot be read.
    pub fn context(&self) -> anyhow::Result<usize> {
        Ok(ModelConfig::from_folder(&self.path)?.max_position_embeddings)
    }

    /// The model, its weights in the number format asked for.
    ///
    /// # Errors
    /// When the model cannot be read.
    pub fn decoder(&self, numbers: Numbers) -> anyhow::Result<Decoder> {
        let dtype = match numbers {
            Numbers::F32 => BaseDtype::F32,
            Numbers::Bf16 => BaseDtype::Bf16,
            Numbers::Auto => BaseDtype::stored_in(&self.path)?,
        };
        Ok(Decoder::load(&self.path, dtype, &Device::Cpu)?)
    }
}

/// The adapter in `folder`; a chat template or tokenizer other than the one it was trained with is said.
///
/// # Errors
/// When it cannot be read or belongs to another model.
pub fn adapter(decoder: &Decoder, renderer: &Renderer, folder: &Path) -> anyhow::Result<Adapter> {
    let adapter = Adapter::load(decoder, folder)?;
    let Some(provenance) = provenance(folder) else { return Ok(adapter) };
    let in_use = [
        ("template_sha256", "chat template", renderer.template_hash()),
        ("tokenizer_sha256", "tokenizer", renderer.tokenizer_hash()),
    ];
    for (key, what, hash) in in_use {
        let then = provenance[key].as_str().unwrap_or(hash);
        if then != hash {
            let name = folder.display();
            output::warn(format_args!(
                "`{name}` was trained with another {what} than the model folder's; its answers may suffer"
            ));
        }
    }
    Ok(adapter)
}

/// What training recorded beside an adapter; `None` where it was made elsewhere.
fn provenance(folder: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(folder.join(RECORD)).ok()?;
    let record: Value = serde_json::from_str(&text).ok()?;
    Some(record["provenance"].clone()).filter(Value::is_object)
}

/// Makes the device and threads ready; it must run before the first computation.
///
/// # Errors
/// When this build lacks the device.
pub fn prepare(compute: &ComputeArgs) -> anyhow::Result<()> {
    let missing = match compute.device {
        Place::Auto | Place::Cpu => None,
        Place::Cuda => Some("cuda"),
        Place::Metal => Some("metal"),
    };
    if let Some(name) = missing {
        let what = format!("`--device` is `{name}`, which this build does not have");
        return Err(Problem::with_hint(what, "use `cpu`").into());
    }
    threads::set(compute.threads)
}
