//! What a recipe can hold, told to users: keys, a commented file, a JSON schema.

use serde_json::Value;

use super::Recipe;

/// A recipe key, as the command line shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInfo {
    /// The key, with underscores.
    pub name: String,
    /// What it means.
    pub doc: String,
    /// Its default, as YAML on one line.
    pub default: String,
    /// Whether its values are `true` and `false` alone, so that a flag without a value means `true`.
    pub is_switch: bool,
}

impl Recipe {
    /// Every key in the order of the recipe.
    pub fn keys() -> Vec<KeyInfo> {
        let schema = Self::json_schema();
        let Some(properties) = schema["properties"].as_object() else {
            return Vec::new();
        };
        let info = |(name, property): (&String, &Value)| KeyInfo {
            name: name.clone(),
            doc: property["description"].as_str().unwrap_or_default().to_owned(),
            default: inline_yaml(&property["default"]),
            is_switch: property["type"] == "boolean",
        };
        properties.iter().map(info).collect()
    }

    /// The names of every key, in order.
    pub fn key_names() -> Vec<String> {
        Self::keys().into_iter().map(|key| key.name).collect()
    }

    /// A YAML file with every key, what it means, and its default.
    pub fn commented_default() -> String {
        let mut text = String::from("# A recipe: `tunewise train --config` reads it.\n");
        for key in Self::keys() {
            text.push('\n');
            for line in key.doc.lines() {
                text.push_str(&format!("# {line}\n"));
            }
            text.push_str(&format!("{}: {}\n", key.name, key.default));
        }
        text
    }

    /// The JSON schema of a recipe file.
    pub fn json_schema() -> Value {
        schemars::schema_for!(Recipe).to_value()
    }

    /// What a value of the key can be, in words; `None` for a key that no recipe has.
    pub(crate) fn expected(key: &str) -> Option<String> {
        let schema = Self::json_schema();
        let words = in_words(&schema["properties"][key], &schema["$defs"]);
        (!words.is_empty()).then(|| match words.as_slice() {
            [most @ .., last] if !most.is_empty() => format!("{} or {last}", most.join(", ")),
            words => words.concat(),
        })
    }
}

/// The alternatives of a schema, each in words.
fn in_words(schema: &Value, definitions: &Value) -> Vec<String> {
    if let Some(path) = schema["$ref"].as_str() {
        return in_words(&definitions[path.rsplit('/').next().unwrap_or_default()], definitions);
    }
    let literal = |value: &Value| format!("`{}`", inline_yaml(value));
    if !schema["const"].is_null() {
        return vec![literal(&schema["const"])];
    }
    if let Some(values) = schema["enum"].as_array() {
        return values.iter().map(literal).collect();
    }
    if let Some(choices) = schema["anyOf"].as_array().or(schema["oneOf"].as_array()) {
        return choices.iter().flat_map(|choice| in_words(choice, definitions)).collect();
    }
    let kinds = match &schema["type"] {
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).collect(),
        kind => Vec::from_iter(kind.as_str()),
    };
    kinds.into_iter().filter_map(|kind| kind_in_words(kind, schema, definitions)).collect()
}

fn kind_in_words(kind: &str, schema: &Value, definitions: &Value) -> Option<String> {
    Some(match kind {
        "boolean" => "`true` or `false`".to_owned(),
        "string" => "a text".to_owned(),
        "number" => "a number".to_owned(),
        "null" => "`null`".to_owned(),
        "array" => "a list of them".to_owned(),
        "object" => {
            let each = in_words(&schema["additionalProperties"], definitions).join(" or ");
            format!("names or patterns, each with {each}")
        }
        "integer" => match schema["minimum"].as_i64() {
            Some(least) => format!("a whole number of at least {least}"),
            None => "a whole number".to_owned(),
        },
        _ => return None,
    })
}

/// The value as YAML on one line: JSON, but texts that need no quotes have none.
fn inline_yaml(value: &Value) -> String {
    match value {
        Value::String(text) if text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') => {
            text.clone()
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONVENTIONAL: [&str; 32] = [
        "model_name_or_path",
        "data",
        "output_dir",
        "train_on",
        "r",
        "lora_alpha",
        "lora_dropout",
        "target_modules",
        "use_rslora",
        "use_dora",
        "init_lora_weights",
        "learning_rate",
        "lr_scheduler_type",
        "warmup_ratio",
        "weight_decay",
        "max_grad_norm",
        "per_device_train_batch_size",
        "gradient_accumulation_steps",
        "num_train_epochs",
        "max_steps",
        "max_length",
        "excess_length_strategy",
        "packing",
        "gradient_checkpointing",
        "eval_steps",
        "save_steps",
        "save_total_limit",
        "load_best_model_at_end",
        "early_stopping_patience",
        "seed",
        "resume_from_checkpoint",
        "report_to",
    ];

    #[test]
    fn the_commented_default_reads_back_as_the_default() {
        let text = Recipe::commented_default();
        let recipe = Recipe::from_yaml(&text, "default").unwrap();
        assert!(Recipe::key_names().iter().all(|key| recipe.is_explicit(key)));
        let values = |recipe: &Recipe| serde_json::to_value(recipe).unwrap();
        assert_eq!(values(&recipe), values(&Recipe::default()));
    }

    #[test]
    fn schema_yaml_and_keys_have_the_same_names() {
        let names = Recipe::key_names();
        let yaml: serde_norway::Mapping =
            serde_norway::from_str(&Recipe::commented_default()).unwrap();
        let in_yaml: Vec<&str> = yaml.keys().map(|key| key.as_str().unwrap()).collect();
        assert_eq!(in_yaml, names);
        let serialized = serde_json::to_value(Recipe::default()).unwrap();
        assert_eq!(serialized.as_object().unwrap().keys().cloned().collect::<Vec<_>>(), names);
        assert_eq!(Recipe::json_schema()["additionalProperties"], false);
    }

    #[test]
    fn every_conventional_key_is_there_with_its_default_and_a_meaning() {
        let keys = Recipe::keys();
        for name in CONVENTIONAL {
            assert!(keys.iter().any(|key| key.name == name), "`{name}` is missing");
        }
        assert!(keys.iter().all(|key| !key.doc.is_empty()));
        let default =
            |name: &str| keys.iter().find(|key| key.name == name).unwrap().default.clone();
        for (name, expected) in [
            ("r", "8"),
            ("lora_alpha", "16.0"),
            ("target_modules", "all-linear"),
            ("learning_rate", "0.0002"),
            ("lr_scheduler_type", "cosine"),
            ("init_lora_weights", "true"),
            ("max_length", "null"),
            ("max_steps", "-1"),
            ("adam_epsilon", "1e-8"),
            ("report_to", r#"["jsonl","tensorboard"]"#),
        ] {
            assert_eq!(default(name), expected, "{name}");
        }
    }

    #[test]
    fn only_keys_of_true_and_false_are_switches() {
        let switches: Vec<String> =
            Recipe::keys().into_iter().filter(|key| key.is_switch).map(|key| key.name).collect();
        let expected = [
            "from_scratch",
            "packing",
            "shuffle",
            "use_rslora",
            "use_dora",
            "gradient_checkpointing",
            "load_best_model_at_end",
        ];
        assert_eq!(switches, expected);
    }
}
