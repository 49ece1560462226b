//! `adapter_config.json` in PEFT's words.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{json, Map, Value};

use super::adapter::Adapter;
use super::config::{InitLoraWeights, LoraConfig, TargetModules};
use crate::files::read_json;
use crate::{ModelError, Result};

/// The file's name.
pub(super) const CONFIG: &str = "adapter_config.json";

/// An adapter's configuration as PEFT writes it.
pub(super) fn config_json(adapter: &Adapter) -> Value {
    let config = adapter.config();
    let leaves: BTreeSet<&str> =
        adapter.paths().filter_map(|path| path.rsplit('.').next()).collect();
    let targets = match &config.target_modules {
        TargetModules::AllLinear => json!(leaves),
        TargetModules::Names(names) => json!(names),
        TargetModules::Pattern(pattern) => json!(pattern),
    };
    let excluded = match &config.exclude_modules {
        Some(TargetModules::Names(names)) => json!(names),
        Some(TargetModules::Pattern(pattern)) => json!(pattern),
        _ => Value::Null,
    };
    let init = match config.init_lora_weights {
        InitLoraWeights::Kaiming => json!(true),
        InitLoraWeights::Gaussian => json!("gaussian"),
    };
    let ranks: Map<String, Value> =
        config.rank_pattern.iter().map(|(k, v)| (k.clone(), json!(v))).collect();
    let alphas: Map<String, Value> =
        config.alpha_pattern.iter().map(|(k, v)| (k.clone(), number(*v))).collect();
    json!({
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": config.base_model_name_or_path,
        "r": config.r,
        "lora_alpha": number(config.lora_alpha),
        "lora_dropout": config.lora_dropout,
        "target_modules": targets,
        "exclude_modules": excluded,
        "bias": "none",
        "fan_in_fan_out": false,
        "init_lora_weights": init,
        "use_rslora": config.use_rslora,
        "use_dora": false,
        "rank_pattern": ranks,
        "alpha_pattern": alphas,
        "layers_to_transform": config.layers_to_transform,
        "layers_pattern": Value::Null,
        "modules_to_save": Value::Null,
        "inference_mode": true,
    })
}

/// Whole numbers without a fraction, as PEFT writes α.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!(value)
    }
}

/// The configuration of an adapter folder.
///
/// # Errors
/// When the file is absent or malformed, a value cannot be used, or it asks for something other than plain LoRA.
pub(super) fn read_config(dir: &Path) -> Result<LoraConfig> {
    let path = dir.join(CONFIG);
    if !path.is_file() {
        return Err(ModelError::NoAdapter { path: dir.into(), file: CONFIG });
    }
    let keys = Keys { json: read_json(&path)?, path };
    keys.check_plain_lora()?;
    let target_modules = keys.modules("target_modules")?;
    let layers = keys.list("layers_to_transform")?.filter(|layers| !layers.is_empty());
    Ok(LoraConfig {
        r: keys.read("r", "a whole number of at least 1", rank)?.unwrap_or(8),
        lora_alpha: keys.read("lora_alpha", "a positive number", positive)?.unwrap_or(8.0),
        lora_dropout: keys.read("lora_dropout", "a number in [0, 1)", share)?.unwrap_or(0.0),
        target_modules: target_modules.ok_or_else(|| keys.fault("target_modules", MODULES))?,
        exclude_modules: keys.modules("exclude_modules")?,
        use_rslora: keys.read("use_rslora", "true or false", Value::as_bool)?.unwrap_or(false),
        rank_pattern: keys.pattern("rank_pattern", "an object of whole numbers", rank)?,
        alpha_pattern: keys.pattern("alpha_pattern", "an object of positive numbers", positive)?,
        layers_to_transform: layers,
        init_lora_weights: keys.init()?,
        base_model_name_or_path: keys.read("base_model_name_or_path", "a name", text)?,
    })
}

const MODULES: &str = "a list of names or a pattern";

struct Keys {
    json: Value,
    path: PathBuf,
}

impl Keys {
    fn fault(&self, key: &str, expected: &str) -> ModelError {
        let found = self.json.get(key).map_or("absent".into(), Value::to_string);
        ModelError::Key {
            path: self.path.clone(),
            key: key.into(),
            expected: expected.into(),
            found,
        }
    }

    fn read<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        match self.json.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.fault(key, expected)),
        }
    }

    fn modules(&self, key: &str) -> Result<Option<TargetModules>> {
        self.read(key, MODULES, |value| match value {
            Value::String(name) if name == "all-linear" => Some(TargetModules::AllLinear),
            Value::String(pattern) => Some(TargetModules::Pattern(pattern.clone())),
            Value::Array(names) => {
                names.iter().map(text).collect::<Option<_>>().map(TargetModules::Names)
            }
            _ => None,
        })
    }

    fn pattern<T>(
        &self,
        key: &str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Result<Vec<(String, T)>> {
        let entries = self.read(key, expected, |value| {
            let entries = value.as_object()?.iter();
            entries.map(|(name, value)| Some((name.clone(), read(value)?))).collect()
        })?;
        Ok(entries.unwrap_or_default())
    }

    /// A list of block numbers, or a single one.
    fn list(&self, key: &str) -> Result<Option<Vec<usize>>> {
        let number = |value: &Value| value.as_u64().and_then(|number| usize::try_from(number).ok());
        self.read(key, "a list of block numbers", |value| match value {
            Value::Array(list) => list.iter().map(number).collect(),
            single => Some(vec![number(single)?]),
        })
    }

    /// PEFT starts the low-rank maps of the other kinds from the base weight, and changes that weight.
    fn init(&self) -> Result<InitLoraWeights> {
        let expected = "true, false, \"gaussian\" or another that leaves the base weight as it is";
        let init = self.read("init_lora_weights", expected, |value| match value {
            Value::Bool(_) => Some(InitLoraWeights::Kaiming),
            Value::String(name) => match name.as_str() {
                "gaussian" => Some(InitLoraWeights::Gaussian),
                "eva" | "orthogonal" => Some(InitLoraWeights::Kaiming),
                _ => None,
            },
            _ => None,
        })?;
        Ok(init.unwrap_or(InitLoraWeights::Kaiming))
    }

    /// Refuses what would change the mathematics of a plain LoRA adapter.
    fn check_plain_lora(&self) -> Result<()> {
        if self.json.get("peft_type").and_then(Value::as_str) != Some("LORA") {
            return Err(self.fault("peft_type", "\"LORA\""));
        }
        for key in ["use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"] {
            if self.json.get(key).is_some_and(|v| !matches!(v, Value::Null | Value::Bool(false))) {
                return Err(self.fault(key, "false"));
            }
        }
        if !matches!(self.json.get("bias").and_then(Value::as_str), None | Some("none")) {
            return Err(self.fault("bias", "\"none\""));
        }
        for key in [
            "modules_to_save",
            "trainable_token_indices",
            "layer_replication",
            "target_parameters",
            "alora_invocation_tokens",
            "layers_pattern",
        ] {
            let empty = match self.json.get(key) {
                None | Some(Value::Null) => true,
                Some(Value::Array(list)) => list.is_empty(),
                Some(_) => false,
            };
            if !empty {
                return Err(self.fault(key, "null"));
            }
        }
        Ok(())
    }
}

fn rank(value: &Value) -> Option<usize> {
    value.as_u64().filter(|rank| *rank > 0).and_then(|rank| usize::try_from(rank).ok())
}

fn positive(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| *number > 0.0)
}

fn share(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| (0.0..1.0).contains(number))
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}
