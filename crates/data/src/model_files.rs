//! What a model folder says about its text: special tokens, chat templates, end-of-sequence ids.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tokenizers::AddedToken;

use crate::error::DataError;
use crate::render_problem::ModelProblem;

/// The text files of a model folder.
pub(crate) struct ModelFiles {
    /// `tokenizer.json`, as bytes.
    pub tokenizer: Vec<u8>,
    /// Where it was read from.
    pub tokenizer_path: PathBuf,
    /// Named special tokens (`bos_token`, `eos_token`, …) by name.
    pub named: BTreeMap<String, String>,
    /// Special tokens without a name.
    pub extra: Vec<String>,
    /// Tokens that `tokenizer_config.json` adds or redefines, in order of their ids.
    pub added: Vec<(u32, AddedToken)>,
    /// Chat templates by name; a single one is `default`.
    pub templates: BTreeMap<String, String>,
    /// Where the templates were read from.
    pub template_path: PathBuf,
    /// End-of-sequence ids of the model, those of generation first.
    pub eos_ids: Vec<u32>,
}

impl ModelFiles {
    /// The files of a folder; all but the tokenizer may be absent.
    ///
    /// # Errors
    /// An absent tokenizer, unreadable files, values of the wrong type; each names the file.
    pub(crate) fn read(folder: &Path) -> Result<ModelFiles, DataError> {
        let tokenizer_path = folder.join("tokenizer.json");
        let tokenizer = read_bytes(&tokenizer_path)?
            .ok_or_else(|| bad(&tokenizer_path, ModelProblem::NoTokenizer))?;
        let config_path = folder.join("tokenizer_config.json");
        let config = read_object(&config_path)?;
        let mut named = named_tokens(&read_object(&folder.join("special_tokens_map.json"))?);
        named.extend(named_tokens(&config));
        let (templates, template_path) = read_templates(folder, &config, &config_path)?;
        let mut eos_ids = Vec::new();
        for file in ["generation_config.json", "config.json"] {
            let path = folder.join(file);
            for id in eos_ids_of(&path, &read_object(&path)?)? {
                if !eos_ids.contains(&id) {
                    eos_ids.push(id);
                }
            }
        }
        Ok(ModelFiles {
            tokenizer,
            tokenizer_path,
            named,
            extra: extra_tokens(&config),
            added: added_tokens(&config),
            templates,
            template_path,
            eos_ids,
        })
    }
}

/// An error about a file of a model folder.
pub(crate) fn bad(path: &Path, problem: ModelProblem) -> DataError {
    DataError::Model { path: path.to_path_buf(), problem: Box::new(problem) }
}

fn read_bytes(path: &Path) -> Result<Option<Vec<u8>>, DataError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(bad(path, ModelProblem::Read(error))),
    }
}

fn read_text(path: &Path) -> Result<Option<String>, DataError> {
    let not_utf8 = |_| std::io::Error::from(std::io::ErrorKind::InvalidData);
    match read_bytes(path)? {
        Some(bytes) => match String::from_utf8(bytes).map_err(not_utf8) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(bad(path, ModelProblem::Read(error))),
        },
        None => Ok(None),
    }
}

/// The object in a JSON file; empty where there is no file.
fn read_object(path: &Path) -> Result<Map<String, Value>, DataError> {
    match read_bytes(path)? {
        Some(bytes) => {
            serde_json::from_slice(&bytes).map_err(|error| bad(path, ModelProblem::Json(error)))
        }
        None => Ok(Map::new()),
    }
}

/// The text of a token, written as a string or as an object with `content`.
fn token_text(value: &Value) -> Option<String> {
    value.as_str().or_else(|| value.get("content")?.as_str()).map(str::to_string)
}

fn named_tokens(config: &Map<String, Value>) -> BTreeMap<String, String> {
    let names = config.iter().filter(|(name, _)| name.ends_with("_token"));
    names.filter_map(|(name, value)| Some((name.clone(), token_text(value)?))).collect()
}

fn extra_tokens(config: &Map<String, Value>) -> Vec<String> {
    let mut extra = Vec::new();
    for name in ["additional_special_tokens", "extra_special_tokens"] {
        match config.get(name) {
            Some(Value::Array(items)) => extra.extend(items.iter().filter_map(token_text)),
            Some(Value::Object(items)) => extra.extend(items.values().filter_map(token_text)),
            _ => {}
        }
    }
    extra
}

fn added_tokens(config: &Map<String, Value>) -> Vec<(u32, AddedToken)> {
    let entries = config.get("added_tokens_decoder").and_then(Value::as_object);
    let mut tokens: Vec<(u32, AddedToken)> = entries
        .into_iter()
        .flatten()
        .filter_map(|(id, value)| {
            let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
            let token = AddedToken::from(token_text(value)?, flag("special"))
                .single_word(flag("single_word"))
                .lstrip(flag("lstrip"))
                .rstrip(flag("rstrip"))
                .normalized(flag("normalized"));
            Some((id.parse().ok()?, token))
        })
        .collect();
    tokens.sort_by_key(|(id, _)| *id);
    tokens
}

/// The templates by name and the file they are from; `chat_template.jinja` goes before the configuration.
fn read_templates(
    folder: &Path,
    config: &Map<String, Value>,
    config_path: &Path,
) -> Result<(BTreeMap<String, String>, PathBuf), DataError> {
    let path = folder.join("chat_template.jinja");
    if let Some(source) = read_text(&path)? {
        let mut templates = BTreeMap::from([("default".to_string(), source)]);
        let other = folder.join("additional_chat_templates").join("tool_use.jinja");
        templates.extend(read_text(&other)?.map(|source| ("tool_use".to_string(), source)));
        return Ok((templates, path));
    }
    let path = folder.join("chat_template.json");
    let separate = read_object(&path)?;
    let (value, path) = match separate.get("chat_template") {
        Some(value) => (Some(value), path),
        None => (config.get("chat_template"), config_path.to_path_buf()),
    };
    let templates = match value {
        None | Some(Value::Null) => BTreeMap::new(),
        Some(Value::String(source)) => BTreeMap::from([("default".to_string(), source.clone())]),
        Some(Value::Array(items)) => items.iter().filter_map(named_template).collect(),
        Some(other) => {
            let problem = ModelProblem::Field {
                field: "chat_template".into(),
                found: other.to_string(),
                expected: "a string or a list of `name` and `template`",
            };
            return Err(bad(&path, problem));
        }
    };
    if !templates.is_empty() && !templates.contains_key("default") {
        let found = templates.into_keys().collect();
        return Err(bad(&path, ModelProblem::NoDefaultTemplate { found }));
    }
    Ok((templates, path))
}

fn named_template(item: &Value) -> Option<(String, String)> {
    let text = |key: &str| item.get(key)?.as_str().map(str::to_string);
    Some((text("name")?, text("template")?))
}

/// `eos_token_id` of a configuration: none, one or several.
fn eos_ids_of(path: &Path, config: &Map<String, Value>) -> Result<Vec<u32>, DataError> {
    let nested = || config.get("text_config").and_then(|text| text.get("eos_token_id"));
    let value = match config.get("eos_token_id").filter(|value| !value.is_null()).or_else(nested) {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(value) => value,
    };
    let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
    let ids = match value {
        Value::Array(items) => items.iter().map(id).collect(),
        one => id(one).map(|id| vec![id]),
    };
    ids.ok_or_else(|| {
        let problem = ModelProblem::Field {
            field: "eos_token_id".into(),
            found: value.to_string(),
            expected: "a token id or a list of them",
        };
        bad(path, problem)
    })
}
