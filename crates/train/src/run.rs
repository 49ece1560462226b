//! A run from its recipe: reads the data and the model, and hands them to the training loop.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use chrono::{DateTime, Local};

use tunewise_data::{
    find_splits, read_file, tokenize, Body, ColumnMap, DataSet, ReadOptions, Renderer, TokenExample,
};
use tunewise_model::{BaseDtype, Decoder, ModelConfig};

use crate::adapter::starting_adapter;
use crate::error::{Result, TrainError};
use crate::provenance::{base_sha256, file_sha256, DataFile, Provenance};
use crate::recipe::{BaseNumbers, Recipe};
use crate::record::{Event, Observer};
use crate::settings::{ResumeFrom, Settings};
use crate::start::earlier_clock;
use crate::trainer::{train, Material, Outcome};

/// Runs a recipe from its data to its adapter.
///
/// Setting `interrupt` ends the run after the last whole step with a checkpoint.
///
/// # Errors
/// When the recipe, the data or the model is faulty, or as [`train`].
pub fn run(
    recipe: &Recipe,
    interrupt: &AtomicBool,
    observer: &mut Observer<'_>,
) -> Result<Outcome> {
    recipe.validate()?;
    let missing = |key, expected| TrainError::MissingKey { key, expected };
    let model = recipe.model_name_or_path.as_deref();
    let model = Path::new(model.ok_or_else(|| missing("model_name_or_path", "a model folder"))?);
    let data = recipe.data.as_deref();
    let data = Path::new(data.ok_or_else(|| missing("data", "a JSONL file or a folder"))?);
    let output = recipe.output_dir.as_deref();
    let output =
        PathBuf::from(output.ok_or_else(|| missing("output_dir", "a folder to write to"))?);
    recipe.notes().iter().for_each(|note| observer(Event::Notice(note)));

    let mut settings = Settings::from_recipe(recipe, output);
    let clock = clock(&settings)?;
    let rows = Rows::prepare(recipe, model, data, clock, observer)?;
    check_valid_split(recipe, &rows, observer)?;
    let decoder = Decoder::load(model, base_dtype(recipe.dtype, model)?, &Device::Cpu)?;
    let adapter = starting_adapter(recipe, &decoder)?;
    settings.dropout = adapter.config().lora_dropout;
    let provenance = provenance(recipe, model, &rows, clock)?;
    let material = Material {
        decoder: &decoder,
        adapter,
        train: &rows.train.0,
        valid: rows.valid.as_ref().map_or(&[], |valid| &valid.0),
        provenance: &provenance,
    };
    train(material, &settings, interrupt, observer)
}

/// The time that templates read: now, or that of the run to be resumed.
fn clock(settings: &Settings) -> Result<DateTime<Local>> {
    let earlier = match settings.resume {
        ResumeFrom::Start => None,
        _ => earlier_clock(settings)?,
    };
    let parsed = earlier.and_then(|text| DateTime::parse_from_rfc3339(&text).ok());
    Ok(parsed.map_or_else(Local::now, |time| time.with_timezone(&Local)))
}

/// The tokenized rows of both splits, and the files they come from.
struct Rows {
    train: (Vec<TokenExample>, DataFile),
    valid: Option<(Vec<TokenExample>, DataFile)>,
    template_sha256: String,
    tokenizer_sha256: String,
}

impl Rows {
    fn prepare(
        recipe: &Recipe,
        model: &Path,
        data: &Path,
        clock: DateTime<Local>,
        observer: &mut Observer<'_>,
    ) -> Result<Self> {
        let max_length = max_length(recipe, model)?;
        let files = find_splits(data)?;
        let renderer = Renderer::from_folder(model)?.at_time(clock);
        renderer.notes().iter().for_each(|note| observer(Event::Notice(note)));
        let mut split = |path: &Path| -> Result<(Vec<TokenExample>, DataFile)> {
            let set = read_file(path, &read_options(recipe))?;
            check_built(&set)?;
            let strategy = recipe.excess_length_strategy.into();
            let tokenized =
                tokenize(&renderer, &set, recipe.train_on.into(), max_length, strategy)?;
            let file = DataFile {
                path: path.display().to_string(),
                sha256: set.sha256.clone(),
                rows_read: set.rows_read,
                bad_rows: set.bad_rows.len(),
                truncated: tokenized.truncated,
                dropped: tokenized.dropped.len(),
                rows: tokenized.examples.len(),
                tokens: tokenized.tokens(),
                supervised_tokens: tokenized.supervised_tokens(),
            };
            observer(Event::Notice(&told(&file)));
            Ok((tokenized.examples, file))
        };
        let train = split(&files.train)?;
        let valid = files.valid.as_deref().map(&mut split).transpose()?;
        Ok(Self {
            train,
            valid,
            template_sha256: renderer.template_hash().to_owned(),
            tokenizer_sha256: renderer.tokenizer_hash().to_owned(),
        })
    }
}

/// Every row of a file accounted for, in a sentence.
fn told(file: &DataFile) -> String {
    let mut parts = vec![format!("{} rows read", file.rows_read)];
    for (count, what) in [
        (file.bad_rows, "bad and left out"),
        (file.dropped, "longer than `max_length` and dropped"),
        (file.truncated, "cut to `max_length`"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let DataFile { path, rows, tokens, supervised_tokens, .. } = file;
    format!(
        "`{path}`: {}, {rows} used: {tokens} tokens, {supervised_tokens} of them supervised",
        parts.join(", ")
    )
}

fn read_options(recipe: &Recipe) -> ReadOptions {
    ReadOptions {
        format: recipe.data_format.required(),
        columns: ColumnMap {
            prompt: recipe.prompt_feature.clone(),
            completion: recipe.completion_feature.clone(),
            text: recipe.text_feature.clone(),
        },
        on_bad_row: recipe.on_bad_row.into(),
        require_answer: true,
    }
}

fn check_built(set: &DataSet) -> Result<()> {
    let preference = |body: &Body| matches!(body, Body::Preference { .. });
    match set.rows.iter().find(|row| preference(&row.example.body)) {
        None => Ok(()),
        Some(row) => Err(TrainError::NotBuilt {
            place: format!("{}:{}", set.path.display(), row.example.line),
            what: "training on preference rows".into(),
            instead: Some("write the chosen answers as `messages` rows".into()),
        }),
    }
}

/// The longest row allowed: the recipe's, or the model's context.
fn max_length(recipe: &Recipe, model: &Path) -> Result<usize> {
    let context = ModelConfig::from_folder(model)?.max_position_embeddings;
    let length = recipe.max_length.unwrap_or(context);
    if length <= context {
        return Ok(length);
    }
    let expected = format!("at most {context}, the model's context");
    Err(TrainError::Setting { key: "max_length", expected, found: length.to_string() })
}

/// Nothing, where what needs a valid split has one.
fn check_valid_split(recipe: &Recipe, rows: &Rows, observer: &mut Observer<'_>) -> Result<()> {
    if rows.valid.is_some() {
        return Ok(());
    }
    let expected = "a data folder with `valid.jsonl`".to_owned();
    if recipe.load_best_model_at_end {
        let found = "`true` without a valid split".into();
        return Err(TrainError::Setting { key: "load_best_model_at_end", expected, found });
    }
    if let Some(patience) = recipe.early_stopping_patience {
        let found = format!("{patience} without a valid split");
        return Err(TrainError::Setting { key: "early_stopping_patience", expected, found });
    }
    if recipe.eval_steps.is_some() {
        observer(Event::Notice("there is no valid split: `eval_steps` has no effect"));
    }
    Ok(())
}

/// The number format of the base: the recipe's, or that of the model's files.
fn base_dtype(numbers: BaseNumbers, model: &Path) -> Result<BaseDtype> {
    Ok(match numbers {
        BaseNumbers::F32 => BaseDtype::F32,
        BaseNumbers::Bf16 => BaseDtype::Bf16,
        BaseNumbers::Auto => BaseDtype::stored_in(model)?,
    })
}

fn provenance(
    recipe: &Recipe,
    model: &Path,
    rows: &Rows,
    clock: DateTime<Local>,
) -> Result<Provenance> {
    let init_adapter = recipe.init_adapter.as_ref();
    let init_adapter = init_adapter.map(|dir| Path::new(dir).join("adapter_model.safetensors"));
    Ok(Provenance {
        base_model: model.display().to_string(),
        base_sha256: base_sha256(model)?,
        train_data: rows.train.1.clone(),
        valid_data: rows.valid.as_ref().map(|(_, file)| file.clone()),
        template_sha256: rows.template_sha256.clone(),
        tokenizer_sha256: rows.tokenizer_sha256.clone(),
        init_adapter_sha256: init_adapter.as_deref().map(file_sha256).transpose()?,
        clock: clock.to_rfc3339(),
        recipe: serde_json::to_value(recipe).unwrap_or_default(),
        mathematics: recipe.mathematics(),
    })
}
