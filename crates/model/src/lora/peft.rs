//! `adapter_config.json` and `adapter_model.safetensors`, as PEFT reads and writes them.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use candle_core::{DType, Tensor};
use serde_json::{json, Map, Value};

use super::adapter::{split_key, Adapter, Factor, LoraPair};
use super::config::{InitLoraWeights, LoraConfig, TargetModules};
use crate::files::{read_json, write_whole};
use crate::weights::Weights;
use crate::{Decoder, ModelError, Result};

const CONFIG: &str = "adapter_config.json";
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
        let linears: HashMap<&str, (usize, usize)> = decoder
            .linears()
            .map(|l| Ok((l.path(), l.weight().dims2()?)))
            .collect::<Result<_>>()?;
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
                weights.tensor(name, &shape, DType::F32, decoder.device())
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
        let tensors: Vec<(String, Tensor)> =
            self.tensors().map(|(key, t)| Ok((key, t.contiguous()?))).collect::<Result<_>>()?;
        let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
        let bytes =
            safetensors::serialize(tensors, Some(format)).map_err(candle_core::Error::from)?;
        write_whole(&dir.join(TENSORS), &bytes)?;
        let mut text = serde_json::to_string_pretty(&self.config_json())
            .map_err(|source| ModelError::Json { path: dir.join(CONFIG), source })?;
        text.push('\n');
        write_whole(&dir.join(CONFIG), text.as_bytes())
    }

    fn config_json(&self) -> Value {
        let config = self.config();
        let leaves: BTreeSet<&str> =
            self.paths().filter_map(|path| path.rsplit('.').next()).collect();
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
}

/// Whole numbers without a fraction, as PEFT writes α.
fn number(value: f64) -> Value {
    if value.fract() == 0.0 && value.abs() < 1e15 {
        json!(value as i64)
    } else {
        json!(value)
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

fn read_config(dir: &Path) -> Result<LoraConfig> {
    let path = dir.join(CONFIG);
    if !path.is_file() {
        return Err(ModelError::NoAdapter { path: dir.into(), file: CONFIG });
    }
    let json = read_json(&path)?;
    let fault = |key: &str, expected: &str| ModelError::Key {
        path: path.clone(),
        key: key.into(),
        expected: expected.into(),
        found: json.get(key).map_or("absent".into(), Value::to_string),
    };
    check_plain_lora(&json, &fault)?;
    let get = |key: &str| json.get(key).filter(|v| !v.is_null());
    let positive = |key: &str, default: f64| match get(key) {
        None => Ok(default),
        Some(value) => {
            value.as_f64().filter(|v| *v > 0.0).ok_or_else(|| fault(key, "a positive number"))
        }
    };
    let target_modules = modules(get("target_modules"))
        .ok_or_else(|| fault("target_modules", "a list of names or a pattern"))?;
    Ok(LoraConfig {
        r: positive("r", 8.0)? as usize,
        lora_alpha: positive("lora_alpha", 8.0)?,
        lora_dropout: get("lora_dropout").and_then(Value::as_f64).unwrap_or(0.0),
        target_modules,
        exclude_modules: modules(get("exclude_modules")),
        use_rslora: get("use_rslora").and_then(Value::as_bool).unwrap_or(false),
        rank_pattern: pattern(get("rank_pattern"), |v| v.as_u64().map(|v| v as usize))
            .ok_or_else(|| fault("rank_pattern", "an object of whole numbers"))?,
        alpha_pattern: pattern(get("alpha_pattern"), Value::as_f64)
            .ok_or_else(|| fault("alpha_pattern", "an object of numbers"))?,
        layers_to_transform: layers(get("layers_to_transform"))
            .ok_or_else(|| fault("layers_to_transform", "a list of whole numbers"))?,
        init_lora_weights: match get("init_lora_weights") {
            Some(Value::String(name)) if name == "gaussian" => InitLoraWeights::Gaussian,
            _ => InitLoraWeights::Kaiming,
        },
        base_model_name_or_path: get("base_model_name_or_path")
            .and_then(Value::as_str)
            .map(str::to_owned),
    })
}

/// Refuses what would change the mathematics of a plain LoRA adapter.
fn check_plain_lora(json: &Value, fault: &impl Fn(&str, &str) -> ModelError) -> Result<()> {
    if json.get("peft_type").and_then(Value::as_str) != Some("LORA") {
        return Err(fault("peft_type", "\"LORA\""));
    }
    for key in ["use_dora", "fan_in_fan_out", "lora_bias", "use_qalora"] {
        if json.get(key).is_some_and(|v| !matches!(v, Value::Null | Value::Bool(false))) {
            return Err(fault(key, "false"));
        }
    }
    if !matches!(json.get("bias").and_then(Value::as_str), None | Some("none")) {
        return Err(fault("bias", "\"none\""));
    }
    for key in [
        "modules_to_save",
        "trainable_token_indices",
        "layer_replication",
        "target_parameters",
        "alora_invocation_tokens",
        "layers_pattern",
    ] {
        let empty = match json.get(key) {
            None | Some(Value::Null) => true,
            Some(Value::Array(list)) => list.is_empty(),
            Some(_) => false,
        };
        if !empty {
            return Err(fault(key, "null"));
        }
    }
    Ok(())
}

fn modules(value: Option<&Value>) -> Option<TargetModules> {
    match value? {
        Value::String(name) if name == "all-linear" => Some(TargetModules::AllLinear),
        Value::String(pattern) => Some(TargetModules::Pattern(pattern.clone())),
        Value::Array(names) => names
            .iter()
            .map(|n| n.as_str().map(str::to_owned))
            .collect::<Option<_>>()
            .map(TargetModules::Names),
        _ => None,
    }
}

fn pattern<T>(
    value: Option<&Value>,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<Vec<(String, T)>> {
    match value {
        None => Some(Vec::new()),
        Some(Value::Object(map)) => map.iter().map(|(k, v)| Some((k.clone(), read(v)?))).collect(),
        Some(_) => None,
    }
}

fn layers(value: Option<&Value>) -> Option<Option<Vec<usize>>> {
    match value {
        None => Some(None),
        Some(Value::Number(n)) => Some(Some(vec![n.as_u64()? as usize])),
        Some(Value::Array(list)) => {
            list.iter().map(|v| v.as_u64().map(|v| v as usize)).collect::<Option<_>>().map(Some)
        }
        Some(_) => None,
    }
}
