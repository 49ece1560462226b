//! The keys of a recipe file: unknown, doubled and other tools' keys are refused with their line.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde::Deserializer;

use super::read::{place, value_error};
use super::Recipe;
use crate::error::{Result, TrainError};
use crate::nearest::nearest;

/// Keys that other tools have and this version does not, with what serves instead.
const NOT_BUILT: [(&str, &str); 32] = [
    ("peft_type", "adapters are LoRA; drop the key"),
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

/// The top-level keys of a recipe, or the first one that must not stand there.
pub(super) fn checked_keys(text: &str, name: &str) -> Result<BTreeSet<String>> {
    let mut fault = None;
    let mut seen = BTreeSet::new();
    let check = KeyCheck { seen: &mut seen, fault: &mut fault };
    match (check.deserialize(serde_norway::Deserializer::from_str(text)), fault) {
        (Ok(()), _) => Ok(seen),
        (Err(source), None) => Err(value_error(source, name)),
        (Err(source), Some((key, fault))) => Err(fault.into_error(&key, place(&source, name))),
    }
}

/// Why a key must not stand in a recipe.
pub(super) enum KeyFault {
    Unknown,
    NotBuilt(&'static str),
    Duplicate,
}

impl KeyFault {
    /// Why the key must not stand in a recipe; `None` where it may.
    pub(super) fn of(key: &str) -> Option<Self> {
        if let Some((_, instead)) = NOT_BUILT.iter().find(|(name, _)| *name == key) {
            return Some(Self::NotBuilt(instead));
        }
        (!Recipe::key_names().iter().any(|name| name == key)).then_some(Self::Unknown)
    }

    pub(super) fn into_error(self, key: &str, place: String) -> TrainError {
        let key = key.to_owned();
        match self {
            Self::Duplicate => TrainError::DuplicateKey { place, key },
            Self::Unknown => {
                let names = Recipe::key_names();
                let nearest = nearest(&key, names.iter().map(String::as_str));
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
