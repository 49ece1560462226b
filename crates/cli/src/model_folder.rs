//! A model folder on disk, its adapters, and what they say about each other.

use std::path::{Path, PathBuf};

use candle_core::Device;
use serde_json::Value;
use tunewise_data::Renderer;
use tunewise_model::{Adapter, BaseDtype, Decoder, ModelConfig};
use tunewise_train::base_fingerprint;

use crate::args::compute::{ComputeArgs, Numbers, Place};
use crate::failure::Problem;
use crate::{output, threads};

/// What a model folder holds.
const EXPECTED: &str = "`config.json`, `tokenizer.json` and `model.safetensors` in it";

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
        let name = path.display();
        if path.is_dir() {
            let lacks = |file: &&str| !path.join(file).is_file();
            if ["config.json", "tokenizer.json"].iter().all(lacks) {
                let what = format!("`{name}` is not a model folder, expected {EXPECTED}");
                return Err(Problem::with_hint(what, other_folder(path)).into());
            }
            return Ok(ModelFolder { path: path.to_owned() });
        }
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
        self.check_config()?;
        Ok(ModelConfig::from_folder(&self.path)?.max_position_embeddings)
    }

    /// The longest row: what `--max-length` asks for, or the model's context.
    ///
    /// # Errors
    /// When it is beyond the context, or `config.json` cannot be read.
    pub fn max_length(&self, asked: Option<usize>) -> anyhow::Result<usize> {
        let context = self.context()?;
        match asked {
            Some(length) if length > context => {
                let what = format!(
                    "`--max-length` is {length}, expected at most {context}, the model's context"
                );
                Err(Problem::with_hint(what, "leave it out to use the whole context").into())
            }
            asked => Ok(asked.unwrap_or(context)),
        }
    }

    /// Nothing, where the folder has the configuration that the model is built from.
    fn check_config(&self) -> anyhow::Result<()> {
        if self.path.join("config.json").is_file() {
            return Ok(());
        }
        let what = format!("`{}` has no `config.json`, expected {EXPECTED}", self.path.display());
        Err(Problem::with_hint(what, other_folder(&self.path)).into())
    }

    /// The model, its weights in the number format asked for.
    ///
    /// # Errors
    /// When the model cannot be read.
    pub fn decoder(&self, numbers: Numbers) -> anyhow::Result<Decoder> {
        self.check_config()?;
        let dtype = match numbers {
            Numbers::F32 => BaseDtype::F32,
            Numbers::Bf16 => BaseDtype::Bf16,
            Numbers::Auto => BaseDtype::suited_to(&self.path)?,
        };
        Ok(Decoder::load(&self.path, dtype, &Device::Cpu)?)
    }

    /// The adapter in `folder`; a base, chat template or tokenizer other than the one it was trained with is said.
    ///
    /// # Errors
    /// When it cannot be read or belongs to another model.
    pub fn adapter(
        &self,
        decoder: &Decoder,
        renderer: &Renderer,
        folder: &Path,
    ) -> anyhow::Result<Adapter> {
        let adapter = self.bare_adapter(decoder, folder)?;
        let Some(provenance) = provenance(folder) else { return Ok(adapter) };
        for (key, what, hash) in [
            ("template_sha256", "chat template", renderer.template_hash()),
            ("tokenizer_sha256", "tokenizer", renderer.tokenizer_hash()),
        ] {
            if provenance[key].as_str().is_some_and(|then| then != hash) {
                let name = folder.display();
                output::warn(format_args!(
                    "`{name}` was trained with another {what} than the model folder's; its answers may suffer"
                ));
            }
        }
        Ok(adapter)
    }

    /// The adapter in `folder`, for work without text; a base other than the one it was trained on is said.
    ///
    /// # Errors
    /// When it cannot be read or belongs to another model.
    pub fn bare_adapter(&self, decoder: &Decoder, folder: &Path) -> anyhow::Result<Adapter> {
        let adapter = Adapter::load(decoder, folder)?;
        if let Some(provenance) = provenance(folder) {
            self.tell_other_base(&provenance, folder)?;
        }
        Ok(adapter)
    }

    /// Says it where an adapter with this record was trained on another base than this folder's.
    fn tell_other_base(&self, provenance: &Value, adapter: &Path) -> anyhow::Result<()> {
        let Some(then) = provenance["base_fingerprint"].as_str().filter(|then| !then.is_empty())
        else {
            return Ok(());
        };
        if then != base_fingerprint(&self.path)? {
            let (name, model) = (adapter.display(), self.path.display());
            let base = provenance["base_model"].as_str().unwrap_or("another model");
            output::warn(format_args!(
                "`{name}` was trained on `{base}`, whose weights are not those of `{model}`: a merged model needs no \
                 adapter, and on any other base its answers suffer"
            ));
        }
        Ok(())
    }
}

/// Whether training recorded that an adapter learned from conversations, as opposed to texts that go on.
pub fn trained_on_turns(adapter: &Path) -> bool {
    let provenance = provenance(adapter).unwrap_or_default();
    let format = provenance["train_data"]["format"].as_str();
    format.is_some_and(|format| !["text", "prompt-completion"].contains(&format))
}

/// What to do about a folder that is no model's.
fn other_folder(path: &Path) -> &'static str {
    if path.join("adapter_config.json").is_file() {
        "it is an adapter: pass it as `--adapter`, and its base model as `--model`"
    } else if path.join("trainer_state.json").is_file() {
        "it is a checkpoint of a run: name the run's own folder, or go on with `--resume-from-checkpoint`"
    } else {
        "name the folder that the model was downloaded to"
    }
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
