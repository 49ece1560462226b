//! Recipes from YAML text and from single flags.

use std::io::ErrorKind;
use std::path::Path;

use serde_norway::{Mapping, Value};

use super::keys::{checked_keys, KeyFault};
use super::Recipe;
use crate::error::{Result, TrainError};

impl Recipe {
    /// The recipe in a YAML file.
    ///
    /// # Errors
    /// When the file cannot be read, or as [`Recipe::from_yaml`].
    pub fn from_file(path: &Path) -> Result<Self> {
        let unreadable = |source: std::io::Error| {
            let found = match source.kind() {
                ErrorKind::NotFound => "does not exist".to_owned(),
                _ if path.is_dir() => "is a folder".to_owned(),
                ErrorKind::InvalidData => "is not a text in UTF-8".to_owned(),
                _ => format!("cannot be read ({source})"),
            };
            TrainError::RecipeFile { path: path.into(), found }
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::from_yaml(&text, &path.display().to_string())
    }

    /// The recipe in a YAML text; keys that it lacks have their defaults. `name` is the file's, for messages.
    ///
    /// # Errors
    /// On a key that is unknown, not built yet or doubled, and on a value of the wrong type, each with its line.
    pub fn from_yaml(text: &str, name: &str) -> Result<Self> {
        let explicit = checked_keys(text, name)?;
        if explicit.is_empty() {
            return Ok(Self::default());
        }
        let recipe: Self =
            serde_norway::from_str(text).map_err(|source| wrong_value(text, source, name))?;
        Ok(Self { explicit, ..recipe })
    }

    /// Sets one key from a text as a flag gives it: YAML, where a text key takes it as it stands.
    ///
    /// # Errors
    /// On a key that is unknown or not built yet, and on a value of the wrong type.
    pub fn set(&mut self, key: &str, text: &str) -> Result<()> {
        if let Some(fault) = KeyFault::of(key) {
            return Err(fault.into_error(key, String::new()));
        }
        let faulty =
            |source| TrainError::KeyValue { key: key.to_owned(), found: text.to_owned(), source };
        let value = if takes_text(key) && text != "null" {
            Value::String(text.to_owned())
        } else {
            serde_norway::from_str(text).map_err(faulty)?
        };
        let mut recipe = serde_norway::to_value(&*self).map_err(faulty)?;
        if let Value::Mapping(mapping) = &mut recipe {
            mapping.insert(Value::String(key.to_owned()), value);
        }
        let changed: Self =
            serde_norway::from_value(recipe).map_err(|source| match Self::expected(key) {
                Some(expected) => TrainError::WrongValue {
                    place: String::new(),
                    key: key.to_owned(),
                    found: text.to_owned(),
                    expected,
                },
                _ => faulty(source),
            })?;
        let explicit = std::mem::take(&mut self.explicit);
        *self = Self { explicit, ..changed };
        self.explicit.insert(key.to_owned());
        Ok(())
    }
}

/// Whether the key's value is a free text, so that `007` and `true` are names and not numbers.
fn takes_text(key: &str) -> bool {
    let schema = Recipe::json_schema();
    let kind = &schema["properties"][key]["type"];
    kind == "string" || *kind == serde_json::json!(["string", "null"])
}

/// The error of a recipe whose keys are fine: the first key whose value is not.
fn wrong_value(text: &str, source: serde_norway::Error, name: &str) -> TrainError {
    let mapping: Mapping = serde_norway::from_str(text).unwrap_or_default();
    let fault = mapping.into_iter().find_map(|(key, value)| {
        let alone = Value::Mapping([(key.clone(), value.clone())].into_iter().collect());
        serde_norway::from_value::<Recipe>(alone).is_err().then_some((key, value))
    });
    let Some((Value::String(key), value)) = fault else { return value_error(source, name) };
    let Some(expected) = Recipe::expected(&key) else { return value_error(source, name) };
    let place = place(&source, name);
    TrainError::WrongValue { place, key, found: shown(&value), expected }
}

/// The value as it stands in the file: a text that would be something else without its quotes keeps them.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text)
            if serde_norway::from_str::<Value>(text).ok().as_ref() == Some(value) =>
        {
            text.clone()
        }
        other => serde_json::to_string(other).unwrap_or_else(|_| format!("{other:?}")),
    }
}

/// File and line of an error.
pub(super) fn place(source: &serde_norway::Error, name: &str) -> String {
    let line = source.location().map(|at| format!(":{}", at.line())).unwrap_or_default();
    format!("{name}{line}")
}

pub(super) fn value_error(source: serde_norway::Error, name: &str) -> TrainError {
    TrainError::RecipeValue { place: place(&source, name), source }
}

#[cfg(test)]
mod tests {
    use super::super::{ModuleNames, Resume, TargetModules};
    use super::*;

    fn refused(text: &str) -> (String, Option<String>) {
        let error = Recipe::from_yaml(text, "r.yaml").unwrap_err();
        (error.to_string(), error.hint())
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        let (message, hint) = refused("# two lines\nr: 4\nlearning_rat: 1\n");
        assert_eq!(message, "`r.yaml:3`: unknown recipe key `learning_rat`");
        assert_eq!(hint.unwrap(), "did you mean `learning_rate`?");
        let (_, hint) = refused("zebra: 1");
        assert_eq!(hint.unwrap(), "`tunewise recipe` lists every key");
    }

    #[test]
    fn a_key_of_other_tools_is_recognised() {
        let (message, hint) = refused("r: 4\n\noptim: sgd\n");
        assert_eq!(message, "`r.yaml:3`: `optim` is recognised but not built yet");
        assert_eq!(hint.unwrap(), "every run uses AdamW; drop the key");
    }

    #[test]
    fn a_doubled_key_is_an_error_with_its_line() {
        let (message, _) = refused("r: 4\nlora_alpha: 2\nr: 5\n");
        assert_eq!(message, "`r.yaml:3`: recipe key `r` stands here a second time, expected once");
    }

    #[test]
    fn a_doubled_pattern_is_an_error_with_its_line() {
        let (message, _) = refused("r: 4\nrank_pattern:\n  q_proj: 2\n  q_proj: 3\n");
        assert!(message.starts_with("`r.yaml:"), "{message}");
        assert!(message.contains("`q_proj` stands here a second time, expected once"), "{message}");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_an_error_with_its_line() {
        let (message, _) = refused("lora_alpha: 2\nr: eight\n");
        assert_eq!(message, "`r.yaml:2`: `r` is `eight`, expected a whole number of at least 1");
        for (text, expected) in [
            ("r: \"8\"", "`r` is `\"8\"`, expected a whole number of at least 1"),
            ("packing: yes", "`packing` is `yes`, expected `true` or `false`"),
            ("learning_rate: fast", "`learning_rate` is `fast`, expected a number"),
            ("max_length: -5", "`max_length` is `-5`, expected a whole number of at least 1 or `null`"),
            ("data: [a]", "`data` is `[\"a\"]`, expected a text or `null`"),
            ("device: gpu", "`device` is `gpu`, expected `auto` or `cpu`"),
            ("lr_scheduler_type: step", "`lr_scheduler_type` is `step`, expected `cosine`, `linear` or `constant`"),
            ("init_lora_weights: zero", "`init_lora_weights` is `zero`, expected `true` or `gaussian`"),
            ("rank_pattern: {a: b}", "`rank_pattern` is `{\"a\":\"b\"}`, expected names or patterns, each with a whole number of at least 1"),
        ] {
            assert_eq!(refused(text).0, format!("`r.yaml:1`: {expected}"));
        }
        let (message, _) = refused("- r\n");
        assert!(message.contains("expected recipe keys with their values"), "{message}");
    }

    #[test]
    fn a_recipe_file_that_cannot_be_read_is_told_with_what_would_do() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("nope.yaml");
        for (path, found) in [(missing.as_path(), "does not exist"), (dir.path(), "is a folder")] {
            let error = Recipe::from_file(path).unwrap_err();
            let message = format!("`{}` {found}, expected a recipe file", path.display());
            assert_eq!(error.to_string(), message);
            assert_eq!(
                error.hint().unwrap(),
                "`tunewise recipe > recipe.yaml` writes one with every key"
            );
        }
    }

    #[test]
    fn an_empty_file_is_the_default() {
        assert_eq!(Recipe::from_yaml("# nothing\n", "r.yaml").unwrap(), Recipe::default());
        assert_eq!(Recipe::from_yaml("", "r.yaml").unwrap(), Recipe::default());
    }

    #[test]
    fn values_read_as_users_write_them() {
        let text = "learning_rate: 2e-4\nlora_alpha: 32\nmax_steps: 10\ntarget_modules: [q_proj, v_proj]\n\
                    resume_from_checkpoint: out/checkpoint-5\nlayers_to_transform: 1\nreport_to: none\n";
        let recipe = Recipe::from_yaml(text, "r.yaml").unwrap();
        assert_eq!((recipe.learning_rate, recipe.lora_alpha), (2e-4, 32.0));
        assert_eq!(recipe.max_steps(), Some(10));
        let names = ModuleNames::Names(vec!["q_proj".into(), "v_proj".into()]);
        assert_eq!(recipe.target_modules, TargetModules::Chosen(names));
        assert_eq!(recipe.resume_from_checkpoint, Resume::From("out/checkpoint-5".into()));
        assert_eq!(recipe.layers_to_transform.as_ref().unwrap().0, [1]);
        assert!(recipe.report_to.0.is_empty());
        assert!(recipe.is_explicit("lora_alpha") && !recipe.is_explicit("r"));
    }

    #[test]
    fn a_flag_sets_one_key_and_leaves_the_others() {
        let mut recipe = Recipe::from_yaml("r: 4\n", "r.yaml").unwrap();
        for (key, text) in [
            ("use_rslora", "true"),
            ("output_dir", "007"),
            ("learning_rate", "1e-3"),
            ("target_modules", "q_proj,v_proj"),
            ("rank_pattern", "{q_proj: 2}"),
            ("max_length", "null"),
            ("resume_from_checkpoint", "true"),
        ] {
            recipe.set(key, text).unwrap();
        }
        assert_eq!((recipe.r, recipe.use_rslora, recipe.learning_rate), (4, true, 1e-3));
        assert_eq!(recipe.output_dir.as_deref(), Some("007"));
        let names = ModuleNames::Names(vec!["q_proj".into(), "v_proj".into()]);
        assert_eq!(recipe.target_modules, TargetModules::Chosen(names));
        assert_eq!(recipe.rank_pattern.0, [("q_proj".to_owned(), 2)]);
        assert_eq!(recipe.resume_from_checkpoint, Resume::Latest);
        assert!(recipe.is_explicit("r") && recipe.is_explicit("use_rslora"));
    }

    #[test]
    fn a_bad_flag_value_leaves_the_recipe_as_it_was() {
        let mut recipe = Recipe::default();
        let error = recipe.set("packing", "maybe").unwrap_err().to_string();
        assert_eq!(error, "`packing` is `maybe`, expected `true` or `false`");
        let error = recipe.set("learning_rate", "NaN").unwrap_err().to_string();
        assert_eq!(error, "`learning_rate` is `NaN`, expected a number");
        assert!(matches!(recipe.set("q", "1").unwrap_err(), TrainError::UnknownKey { .. }));
        assert!(recipe.packing);
    }

    #[test]
    fn a_pattern_stays_one_and_a_bare_word_is_a_name() {
        let chosen = |text: &str| {
            let mut recipe = Recipe::default();
            recipe.set("target_modules", text).unwrap();
            recipe.target_modules
        };
        assert_eq!(chosen("all-linear"), TargetModules::AllLinear);
        let pattern = r".*layers\.[01]\..*(q|v)_proj";
        assert_eq!(chosen(pattern), TargetModules::Chosen(ModuleNames::Pattern(pattern.into())));
        let name = ModuleNames::Names(vec!["q_proj".into()]);
        assert_eq!(chosen("q_proj"), TargetModules::Chosen(name));
    }
}
