//! `config.json` of a Hugging Face folder as one checked [`ModelConfig`].

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::files::read_json;
use crate::{ModelError, Result};

/// No width or count of a real model comes near it; products of two stay far from overflow.
const MOST: usize = 1 << 31;

/// How rotary frequencies are stretched for contexts longer than those of pre-training.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// As trained.
    Default,
    /// Every frequency divided by the factor.
    Linear {
        /// The stretch.
        factor: f64,
    },
    /// Low frequencies divided by the factor, high ones kept, a ramp between.
    ///
    /// Source: Llama 3.1 as in transformers' `_compute_llama3_parameters`.
    Llama3 {
        /// The stretch of the low frequencies.
        factor: f64,
        /// Wavelengths above `original / low` are stretched.
        low_freq_factor: f64,
        /// Wavelengths below `original / high` are kept.
        high_freq_factor: f64,
        /// Context of pre-training, in tokens.
        original_max_position_embeddings: f64,
    },
}

/// Rotary position embedding of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeConfig {
    /// Base of the frequencies.
    pub theta: f64,
    /// Stretch for long contexts.
    pub scaling: RopeScaling,
}

/// What the decoder needs to know of a model, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelConfig {
    /// Family name, `llama`.
    pub model_type: String,
    /// Width D of the residual stream.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key/value heads; a divisor of the query heads.
    pub num_key_value_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Number of token ids.
    pub vocab_size: usize,
    /// Context, in tokens.
    pub max_position_embeddings: usize,
    /// Added to the mean square in RMSNorm.
    pub rms_norm_eps: f64,
    /// Rotary embedding.
    pub rope: RopeConfig,
    /// Whether the output head is the embedding.
    pub tie_word_embeddings: bool,
    /// Whether q, k, v and o have biases.
    pub attention_bias: bool,
    /// Whether gate, up and down have biases.
    pub mlp_bias: bool,
}

impl ModelConfig {
    /// The configuration of a model folder.
    ///
    /// # Errors
    /// When `config.json` is absent or malformed, names another architecture, or a value cannot be used.
    pub fn from_folder(dir: &Path) -> Result<Self> {
        let path = dir.join("config.json");
        let json = read_json(&path)?;
        Self::from_json(&json, &path)
    }

    /// The configuration in `json`; `path` is named in errors.
    ///
    /// # Errors
    /// As [`ModelConfig::from_folder`].
    pub fn from_json(json: &Value, path: &Path) -> Result<Self> {
        let keys = Keys { json, path };
        keys.check_architecture()?;
        let hidden_size = keys.required_count("hidden_size")?;
        let num_attention_heads = keys.required_count("num_attention_heads")?;
        let num_key_value_heads = keys.count("num_key_value_heads")?.unwrap_or(num_attention_heads);
        if num_attention_heads % num_key_value_heads != 0 {
            let expected = format!("a divisor of `num_attention_heads` {num_attention_heads}");
            return Err(keys.fault("num_key_value_heads", &expected, num_key_value_heads));
        }
        let head_dim = match keys.count("head_dim")? {
            Some(width) => width,
            None if hidden_size % num_attention_heads == 0 => hidden_size / num_attention_heads,
            None => {
                return Err(keys.fault(
                    "hidden_size",
                    &format!("a multiple of {num_attention_heads} heads"),
                    hidden_size,
                ))
            }
        };
        if head_dim % 2 != 0 {
            return Err(keys.fault("head_dim", "an even number", head_dim));
        }
        if num_attention_heads.checked_mul(head_dim).is_none_or(|width| width > MOST) {
            return Err(keys.fault(
                "num_attention_heads",
                "heads that fit in memory",
                num_attention_heads,
            ));
        }
        let activation = json.get("hidden_act").and_then(Value::as_str).unwrap_or("silu");
        if !matches!(activation, "silu" | "swish") {
            return Err(keys.fault("hidden_act", "`silu`", format!("`{activation}`")));
        }
        if let Some(quantized) = json.get("quantization_config").filter(|v| !v.is_null()) {
            let method = quantized.get("quant_method").and_then(Value::as_str).unwrap_or("unknown");
            return Err(keys.fault(
                "quantization_config",
                "none: f32, f16 or bf16 weights",
                format!("`{method}`"),
            ));
        }
        Ok(Self {
            model_type: "llama".into(),
            hidden_size,
            intermediate_size: keys.required_count("intermediate_size")?,
            num_hidden_layers: keys.required_count("num_hidden_layers")?,
            num_attention_heads,
            num_key_value_heads,
            head_dim,
            vocab_size: keys.required_count("vocab_size")?,
            max_position_embeddings: keys.count("max_position_embeddings")?.unwrap_or(2048),
            rms_norm_eps: keys.number(json, "rms_norm_eps")?.unwrap_or(1e-6),
            rope: keys.rope()?,
            tie_word_embeddings: keys.flag("tie_word_embeddings")?,
            attention_bias: keys.flag("attention_bias")?,
            mlp_bias: keys.flag("mlp_bias")?,
        })
    }
}

struct Keys<'a> {
    json: &'a Value,
    path: &'a Path,
}

impl Keys<'_> {
    fn fault(&self, key: &str, expected: &str, found: impl std::fmt::Display) -> ModelError {
        ModelError::Key {
            path: PathBuf::from(self.path),
            key: key.into(),
            expected: expected.into(),
            found: found.to_string(),
        }
    }

    fn check_architecture(&self) -> Result<()> {
        let model_type = self.json.get("model_type").and_then(Value::as_str);
        let class = self.json.get("architectures").and_then(|v| v.get(0)).and_then(Value::as_str);
        let known = match (model_type, class) {
            (Some(name), _) => name == "llama",
            (None, Some(class)) => class == "LlamaForCausalLM",
            (None, None) => false,
        };
        if known {
            return Ok(());
        }
        let found = model_type.or(class).unwrap_or("(none named)").to_owned();
        Err(ModelError::UnknownArchitecture {
            path: self.path.into(),
            found,
            supported: "`llama`".into(),
        })
    }

    fn present<'v>(&self, object: &'v Value, key: &str) -> Option<&'v Value> {
        object.get(key).filter(|v| !v.is_null())
    }

    fn count(&self, key: &str) -> Result<Option<usize>> {
        let Some(value) = self.present(self.json, key) else {
            return Ok(None);
        };
        match value.as_u64() {
            Some(n) if n > 0 && n <= MOST as u64 => Ok(Some(n as usize)),
            _ => Err(self.fault(key, "a positive whole number", value)),
        }
    }

    fn required_count(&self, key: &str) -> Result<usize> {
        self.count(key)?.ok_or_else(|| self.fault(key, "a positive whole number", "absent"))
    }

    fn number(&self, object: &Value, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.present(object, key) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(number) if number > 0.0 && number.is_finite() => Ok(Some(number)),
            _ => Err(self.fault(key, "a positive number", value)),
        }
    }

    fn flag(&self, key: &str) -> Result<bool> {
        match self.present(self.json, key) {
            None => Ok(false),
            Some(value) => value.as_bool().ok_or_else(|| self.fault(key, "true or false", value)),
        }
    }

    /// Reads `rope_theta` with `rope_scaling`, and the newer `rope_parameters` that holds both.
    fn rope(&self) -> Result<RopeConfig> {
        let newer = self.present(self.json, "rope_parameters");
        let scaling = newer.or_else(|| self.present(self.json, "rope_scaling"));
        let key = if newer.is_some() { "rope_parameters" } else { "rope_scaling" };
        let theta =
            match newer.map(|object| self.number(object, "rope_theta")).transpose()?.flatten() {
                Some(theta) => theta,
                None => self.number(self.json, "rope_theta")?.unwrap_or(10_000.0),
            };
        let partial = match newer
            .map(|object| self.number(object, "partial_rotary_factor"))
            .transpose()?
            .flatten()
        {
            Some(factor) => Some(factor),
            None => self.number(self.json, "partial_rotary_factor")?,
        };
        if let Some(factor) = partial.filter(|factor| *factor != 1.0) {
            return Err(self.fault("partial_rotary_factor", "1", factor));
        }
        let Some(object) = scaling else {
            return Ok(RopeConfig { theta, scaling: RopeScaling::Default });
        };
        let name = object
            .get("rope_type")
            .or_else(|| object.get("type"))
            .and_then(Value::as_str)
            .unwrap_or("default");
        let need = |field: &str| -> Result<f64> {
            self.number(object, field)?
                .ok_or_else(|| self.fault(&format!("{key}.{field}"), "a positive number", "absent"))
        };
        let scaling = match name {
            "default" => RopeScaling::Default,
            "linear" => RopeScaling::Linear { factor: need("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: need("factor")?,
                low_freq_factor: need("low_freq_factor")?,
                high_freq_factor: need("high_freq_factor")?,
                original_max_position_embeddings: need("original_max_position_embeddings")?,
            },
            other => {
                return Err(self.fault(
                    &format!("{key}.rope_type"),
                    "`default`, `linear` or `llama3`",
                    format!("`{other}`"),
                ))
            }
        };
        Ok(RopeConfig { theta, scaling })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(extra: Value) -> Result<ModelConfig> {
        let mut config = json!({"model_type": "llama", "hidden_size": 64, "intermediate_size": 172, "num_hidden_layers": 2,
            "num_attention_heads": 8, "vocab_size": 512});
        for (key, value) in extra.as_object().unwrap() {
            config[key] = value.clone();
        }
        ModelConfig::from_json(&config, Path::new("m/config.json"))
    }

    #[test]
    fn absent_keys_take_the_family_defaults() {
        let config = parse(json!({})).unwrap();
        assert_eq!(
            (config.num_key_value_heads, config.head_dim, config.max_position_embeddings),
            (8, 8, 2048)
        );
        assert_eq!((config.rms_norm_eps, config.tie_word_embeddings), (1e-6, false));
        assert_eq!(config.rope, RopeConfig { theta: 10_000.0, scaling: RopeScaling::Default });
    }

    #[test]
    fn older_and_newer_rope_keys_mean_the_same() {
        let older =
            parse(json!({"rope_theta": 5e5, "rope_scaling": {"type": "linear", "factor": 4.0}}))
                .unwrap();
        let newer = parse(
            json!({"rope_parameters": {"rope_theta": 5e5, "rope_type": "linear", "factor": 4}}),
        )
        .unwrap();
        assert_eq!(older.rope, newer.rope);
        assert_eq!(older.rope.scaling, RopeScaling::Linear { factor: 4.0 });
    }

    #[test]
    fn an_unknown_rope_type_and_an_unknown_architecture_are_named() {
        let rope =
            parse(json!({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}})).unwrap_err();
        assert_eq!(rope.to_string(), "`m/config.json`: `rope_scaling.rope_type` is `yarn`, expected `default`, `linear` or `llama3`");
        let family = parse(json!({"model_type": "mamba"})).unwrap_err();
        assert_eq!(
            family.to_string(),
            "`m/config.json`: architecture `mamba` is not supported, expected one of `llama`"
        );
    }

    #[test]
    fn values_that_cannot_be_used_are_named() {
        let zero = parse(json!({"num_attention_heads": 0})).unwrap_err();
        assert_eq!(
            zero.to_string(),
            "`m/config.json`: `num_attention_heads` is 0, expected a positive whole number"
        );
        let heads = parse(json!({"num_key_value_heads": 3})).unwrap_err();
        assert_eq!(heads.to_string(), "`m/config.json`: `num_key_value_heads` is 3, expected a divisor of `num_attention_heads` 8");
        let act = parse(json!({"hidden_act": "gelu"})).unwrap_err();
        assert_eq!(act.to_string(), "`m/config.json`: `hidden_act` is `gelu`, expected `silu`");
    }
}
