//! Which layers get an adapter, of what rank and scale.

use regex::Regex;

use crate::{ModelError, Result};

/// The layers that get an adapter.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetModules {
    /// Every linear layer but the output head.
    AllLinear,
    /// Layers whose path is one of these or ends in one of these after a dot.
    Names(Vec<String>),
    /// Layers whose whole path the regular expression matches.
    Pattern(String),
}

impl TargetModules {
    /// Whether the layer at `path` is one of them.
    ///
    /// # Errors
    /// When the pattern is not a regular expression.
    pub fn contains(&self, path: &str) -> Result<bool> {
        match self {
            Self::AllLinear => Ok(path != "lm_head"),
            Self::Names(names) => Ok(names.iter().any(|name| ends_in(path, name))),
            Self::Pattern(pattern) => {
                Ok(regex("target_modules", pattern, &format!("^(?:{pattern})$"))?.is_match(path))
            }
        }
    }
}

impl std::fmt::Display for TargetModules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AllLinear => write!(f, "`all-linear`"),
            Self::Names(names) => write!(f, "`{}`", names.join("`, `")),
            Self::Pattern(pattern) => write!(f, "`{pattern}`"),
        }
    }
}

/// How A starts; B starts at zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InitLoraWeights {
    /// Uniform in ±1/√in (PEFT's `true`).
    Kaiming,
    /// Normal of standard deviation 1/r.
    Gaussian,
}

/// An adapter's configuration, with PEFT's keys.
#[derive(Debug, Clone, PartialEq)]
pub struct LoraConfig {
    /// Rank.
    pub r: usize,
    /// Numerator α of the scale.
    pub lora_alpha: f64,
    /// Share of input features dropped in training.
    pub lora_dropout: f64,
    /// Adapted layers.
    pub target_modules: TargetModules,
    /// Layers left out of them.
    pub exclude_modules: Option<TargetModules>,
    /// Scale α/√r instead of α/r (Kalajdzievski 2023).
    pub use_rslora: bool,
    /// Rank of the layers that a pattern matches; the first match counts.
    pub rank_pattern: Vec<(String, usize)>,
    /// α of the layers that a pattern matches; the first match counts.
    pub alpha_pattern: Vec<(String, f64)>,
    /// Blocks that get an adapter; all where absent.
    pub layers_to_transform: Option<Vec<usize>>,
    /// How A starts.
    pub init_lora_weights: InitLoraWeights,
    /// The base model, as the user named it.
    pub base_model_name_or_path: Option<String>,
}

impl Default for LoraConfig {
    fn default() -> Self {
        Self {
            r: 8,
            lora_alpha: 16.0,
            lora_dropout: 0.0,
            target_modules: TargetModules::AllLinear,
            exclude_modules: None,
            use_rslora: false,
            rank_pattern: Vec::new(),
            alpha_pattern: Vec::new(),
            layers_to_transform: None,
            init_lora_weights: InitLoraWeights::Kaiming,
            base_model_name_or_path: None,
        }
    }
}

impl LoraConfig {
    /// Whether the layer at `path` gets an adapter.
    ///
    /// # Errors
    /// When a pattern is not a regular expression.
    pub fn adapts(&self, path: &str) -> Result<bool> {
        let excluded =
            self.exclude_modules.as_ref().map(|m| m.contains(path)).transpose()?.unwrap_or(false);
        // As in PEFT, a layer named by its whole path is adapted whatever its block.
        let by_path = matches!(&self.target_modules, TargetModules::Names(names) if names.iter().any(|name| name == path));
        let in_layer = match (&self.layers_to_transform, layer_index(path)) {
            (None, _) => true,
            _ if by_path => true,
            (Some(layers), Some(index)) => layers.contains(&index),
            (Some(_), None) => false,
        };
        Ok(in_layer && !excluded && self.target_modules.contains(path)?)
    }

    /// The rank of the layer at `path`.
    ///
    /// # Errors
    /// When a pattern is not a regular expression.
    pub fn rank(&self, path: &str) -> Result<usize> {
        Ok(first_match("rank_pattern", &self.rank_pattern, path)?.unwrap_or(self.r))
    }

    /// The factor of B·A at `path`.
    ///
    /// # Errors
    /// When a pattern is not a regular expression.
    pub fn scale(&self, path: &str) -> Result<f64> {
        let alpha =
            first_match("alpha_pattern", &self.alpha_pattern, path)?.unwrap_or(self.lora_alpha);
        let rank = self.rank(path)? as f64;
        Ok(if self.use_rslora { alpha / rank.sqrt() } else { alpha / rank })
    }
}

/// The value of the first key that is the path, or its end after a dot, or matches it from the start when it opens with `^`.
///
/// Source: `get_pattern_key` of PEFT.
fn first_match<T: Copy>(key: &str, patterns: &[(String, T)], path: &str) -> Result<Option<T>> {
    for (pattern, value) in patterns {
        let whole = if pattern.starts_with('^') {
            pattern.clone()
        } else {
            format!(r"^(.*\.)?({pattern})$")
        };
        if regex(key, pattern, &whole)?.is_match(path) {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

fn regex(key: &str, pattern: &str, whole: &str) -> Result<Regex> {
    Regex::new(whole).map_err(|source| ModelError::Pattern {
        key: key.into(),
        pattern: pattern.into(),
        source: Box::new(source),
    })
}

fn ends_in(path: &str, name: &str) -> bool {
    path == name || path.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'))
}

/// The block number in a path such as `model.layers.3.mlp.up_proj`.
pub(crate) fn layer_index(path: &str) -> Option<usize> {
    path.split('.').find_map(|part| part.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    const Q: &str = "model.layers.1.self_attn.q_proj";

    #[test]
    fn names_match_whole_path_parts_and_patterns_match_whole_paths() {
        let names =
            |list: &[&str]| TargetModules::Names(list.iter().map(|s| s.to_string()).collect());
        assert!(names(&["q_proj"]).contains(Q).unwrap());
        assert!(names(&["self_attn.q_proj"]).contains(Q).unwrap());
        assert!(!names(&["proj"]).contains(Q).unwrap());
        assert!(TargetModules::Pattern(r".*\.(q|v)_proj".into()).contains(Q).unwrap());
        assert!(!TargetModules::Pattern("q_proj".into()).contains(Q).unwrap());
        assert!(
            TargetModules::AllLinear.contains(Q).unwrap()
                && !TargetModules::AllLinear.contains("lm_head").unwrap()
        );
    }

    #[test]
    fn the_first_matching_pattern_gives_rank_and_alpha() {
        let config = LoraConfig {
            r: 4,
            lora_alpha: 8.0,
            use_rslora: true,
            rank_pattern: vec![
                ("k_proj".into(), 2),
                (r"layers\.1\..*".into(), 9),
                ("q_proj".into(), 3),
            ],
            alpha_pattern: vec![("^model.layers.1".into(), 6.0)],
            ..LoraConfig::default()
        };
        assert_eq!(config.rank(Q).unwrap(), 9);
        assert_eq!(config.scale(Q).unwrap(), 2.0);
        assert_eq!(config.scale("model.layers.0.self_attn.q_proj").unwrap(), 8.0 / 3f64.sqrt());
    }

    #[test]
    fn layers_and_exclusions_narrow_the_targets() {
        let config = LoraConfig {
            layers_to_transform: Some(vec![1]),
            exclude_modules: Some(TargetModules::Names(vec!["v_proj".into()])),
            ..LoraConfig::default()
        };
        assert!(config.adapts(Q).unwrap());
        assert!(!config.adapts("model.layers.0.self_attn.q_proj").unwrap());
        assert!(!config.adapts("model.layers.1.self_attn.v_proj").unwrap());
    }

    #[test]
    fn a_bad_pattern_is_named() {
        let error = TargetModules::Pattern("(".into()).contains(Q).unwrap_err();
        assert!(error.to_string().starts_with("`target_modules`: `(` is not a regular expression"));
    }
}
