//! Recipes from YAML text and from single flags.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::Deserializer;
use serde_norway::Value;

use super::Recipe;
use crate::error::{Result, TrainError};

/// Keys that other tools have and this version does not, with what serves instead.
const NOT_BUILT: [(&str, &str); 33] = [
    ("finetune_type", "every run trains LoRA; drop the key"),
    ("peft_type", "every run trains LoRA; drop the key"),
    ("bias", "biases stay frozen; drop the key"),
    ("modules_to_save", "name linear layers in `target_modules`"),
    ("trainable_token_indices", ""),
    ("layers_pattern", "write the pattern in `target_modules`"),
    ("loraplus_lr_ratio", ""),
    ("quantize", "use `dtype: bf16` to halve the base's memory"),
    ("quantization_bit", "use `dtype: bf16` to halve the base's memory"),
    ("load_in_4bit", "use `dtype: bf16` to halve the base's memory"),
    ("load_in_8bit", "use `dtype: bf16` to halve the base's memory"),
    ("bf16", "use `dtype: bf16`"),
    ("fp16", "use `dtype: bf16`"),
    ("optim", "every run uses AdamW; drop the key"),
    ("lr_scheduler_kwargs", ""),
    ("label_smoothing_factor", ""),
    ("neftune_noise_alpha", ""),
    ("group_by_length", "rows are not padded, so there is nothing to gain; drop the key"),
    ("assistant_only_loss", "use `train_on`"),
    ("completion_only_loss", "use `train_on`"),
    ("eval_strategy", "set `eval_steps`, or leave it out for the end of each epoch"),
    ("save_strategy", "set `save_steps`, or `null` for the last step alone"),
    ("logging_strategy", "set `logging_steps`"),
    ("metric_for_best_model", "the loss on the valid split decides; drop the key"),
    ("greater_is_better", "the loss on the valid split decides; drop the key"),
    ("dataset_text_field", "use `text_feature`"),
    ("chat_template_path", "the model folder's own template is used"),
    ("push_to_hub", "upload `output_dir` yourself"),
    ("hub_model_id", "upload `output_dir` yourself"),
    ("deepspeed", ""),
    ("fsdp", ""),
    ("use_liger_kernel", ""),
    ("torch_compile", ""),
];

impl Recipe {
    /// The recipe in a YAML file.
    ///
    /// # Errors
    /// When the file cannot be read, or as [`Recipe::from_yaml`].
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TrainError::Io { path: path.into(), source })?;
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
            serde_norway::from_str(text).map_err(|source| value_error(source, name))?;
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
        let wrong =
            |source| TrainError::KeyValue { key: key.to_owned(), found: text.to_owned(), source };
        let value = if takes_text(key) && text != "null" {
            Value::String(text.to_owned())
        } else {
            serde_norway::from_str(text).map_err(wrong)?
        };
        let mut recipe = serde_norway::to_value(&*self).map_err(wrong)?;
        if let Value::Mapping(mapping) = &mut recipe {
            mapping.insert(Value::String(key.to_owned()), value);
        }
        let changed: Self = serde_norway::from_value(recipe).map_err(wrong)?;
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

fn value_error(source: serde_norway::Error, name: &str) -> TrainError {
    let line = source.location().map(|at| format!(":{}", at.line())).unwrap_or_default();
    TrainError::RecipeValue { place: format!("{name}{line}"), source }
}

/// The top-level keys of a recipe, or the first one that must not stand there.
fn checked_keys(text: &str, name: &str) -> Result<BTreeSet<String>> {
    let mut fault = None;
    let mut seen = BTreeSet::new();
    let check = KeyCheck { seen: &mut seen, fault: &mut fault };
    match (check.deserialize(serde_norway::Deserializer::from_str(text)), fault) {
        (Ok(()), _) => Ok(seen),
        (Err(source), None) => Err(value_error(source, name)),
        (Err(source), Some((key, fault))) => {
            let line = source.location().map(|at| format!(":{}", at.line())).unwrap_or_default();
            Err(fault.into_error(&key, format!("{name}{line}")))
        }
    }
}

enum KeyFault {
    Unknown,
    NotBuilt(&'static str),
    Duplicate,
}

impl KeyFault {
    /// Why the key must not stand in a recipe; `None` where it may.
    fn of(key: &str) -> Option<Self> {
        if let Some((_, instead)) = NOT_BUILT.iter().find(|(name, _)| *name == key) {
            return Some(Self::NotBuilt(instead));
        }
        (!Recipe::key_names().iter().any(|name| name == key)).then_some(Self::Unknown)
    }

    fn into_error(self, key: &str, place: String) -> TrainError {
        let key = key.to_owned();
        match self {
            Self::Duplicate => TrainError::DuplicateKey { place, key },
            Self::Unknown => {
                let nearest = nearest(&key, &Recipe::key_names());
                TrainError::UnknownKey { place, key, nearest }
            }
            Self::NotBuilt(instead) => {
                let instead = (!instead.is_empty()).then(|| instead.to_owned());
                TrainError::NotBuilt { place, what: key, instead }
            }
        }
    }
}

/// Walks the keys of a mapping, so that the parser's error carries the line of the first bad one.
struct KeyCheck<'a> {
    seen: &'a mut BTreeSet<String>,
    fault: &'a mut Option<(String, KeyFault)>,
}

impl<'de> DeserializeSeed<'de> for KeyCheck<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for KeyCheck<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("recipe keys with their values")
    }

    /// A file without a key, or of comments alone.
    fn visit_none<E>(self) -> std::result::Result<(), E> {
        Ok(())
    }

    /// The same, written as `null`.
    fn visit_unit<E>(self) -> std::result::Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<(), A::Error> {
        while map.next_key_seed(OneKey { seen: self.seen, fault: self.fault })?.is_some() {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

struct OneKey<'a> {
    seen: &'a mut BTreeSet<String>,
    fault: &'a mut Option<(String, KeyFault)>,
}

impl<'de> DeserializeSeed<'de> for OneKey<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> std::result::Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for OneKey<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a recipe key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> std::result::Result<(), E> {
        let doubled = (!self.seen.insert(key.to_owned())).then_some(KeyFault::Duplicate);
        match doubled.or_else(|| KeyFault::of(key)) {
            None => Ok(()),
            Some(fault) => {
                *self.fault = Some((key.to_owned(), fault));
                Err(E::custom("bad key"))
            }
        }
    }
}

/// The name at the smallest edit distance, where that is at most a third of the key's length.
fn nearest(key: &str, names: &[String]) -> Option<String> {
    let key = key.to_lowercase().replace('-', "_");
    let distances = names.iter().map(|name| (edit_distance(&key, name), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= key.chars().count().div_ceil(3)).then(|| name.clone())
}

/// Insertions, deletions and replacements that turn one text into the other (Levenshtein).
fn edit_distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        let mut left = i + 1;
        for (b, above) in to.iter().zip(row.windows(2)) {
            let [diagonal, above] = above else { continue };
            left = (diagonal + usize::from(a != *b)).min(above + 1).min(left + 1);
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
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
        let (message, hint) = refused("r: 4\n\nfinetune_type: full\n");
        assert_eq!(message, "`r.yaml:3`: `finetune_type` is recognised but not built yet");
        assert_eq!(hint.unwrap(), "every run trains LoRA; drop the key");
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
        assert!(message.starts_with("`r.yaml:2`: r: invalid type: string \"eight\""), "{message}");
        let (message, _) = refused("lr_scheduler_type: step\n");
        assert!(message.contains("unknown variant `step`, expected one of `cosine`"), "{message}");
        let (message, _) = refused("- r\n");
        assert!(message.contains("expected recipe keys with their values"), "{message}");
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
        assert!(error.starts_with("`packing` is `maybe`: "), "{error}");
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

    #[test]
    fn edit_distance_counts_edits() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("lora_alpha", "lora_alpha"), 0);
    }
}
