//! A run from its recipe: reads the data and the model, and hands them to the training loop.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use chrono::{DateTime, Local};

use tunewise_model::{BaseDtype, Decoder};

use crate::adapter::{governed, starting_adapter};
use crate::error::{Result, TrainError};
use crate::provenance::{adapter_sha256, base_sha256, Provenance};
use crate::recipe::{BaseNumbers, Recipe};
use crate::record::{Event, Observer};
use crate::rows::Rows;
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
    check_init_adapter(recipe, &output)?;
    recipe.notes().iter().for_each(|note| observer(Event::Notice(note)));

    let mut settings = Settings::from_recipe(recipe, output);
    let clock = clock(&settings)?;
    let rows = Rows::prepare(recipe, model, data, clock, observer)?;
    rows.check_valid_split(recipe, observer)?;
    let decoder = Decoder::load(model, base_dtype(recipe.dtype, model)?, &Device::Cpu)?;
    let adapter = starting_adapter(recipe, &decoder)?;
    settings.dropout = adapter.config().lora_dropout;
    let provenance = provenance(&governed(recipe, adapter.config()), model, &rows, clock)?;
    let material = Material {
        decoder: &decoder,
        adapter,
        train: &rows.train.rows,
        valid: rows.valid.as_ref().map_or(&[], |valid| &valid.rows),
        provenance: &provenance,
    };
    train(material, &settings, interrupt, observer)
}

/// Nothing, where the adapter to start from is not among what the run replaces.
fn check_init_adapter(recipe: &Recipe, output: &Path) -> Result<()> {
    let Some(init) = recipe.init_adapter.as_deref() else { return Ok(()) };
    match (Path::new(init).canonicalize(), output.canonicalize()) {
        (Ok(folder), Ok(output)) if folder.starts_with(&output) => Err(TrainError::Setting {
            key: "init_adapter",
            expected: "a folder outside of `output_dir`, whose contents the run replaces".into(),
            found: format!("`{init}`"),
        }),
        _ => Ok(()),
    }
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
    let init_adapter = recipe.init_adapter.as_deref().map(Path::new);
    Ok(Provenance {
        base_model: model.display().to_string(),
        base_sha256: base_sha256(model)?,
        train_data: rows.train.file.clone(),
        valid_data: rows.valid.as_ref().map(|split| split.file.clone()),
        template_sha256: rows.template_sha256.clone(),
        tokenizer_sha256: rows.tokenizer_sha256.clone(),
        init_adapter_sha256: init_adapter.map(adapter_sha256).transpose()?,
        clock: clock.to_rfc3339(),
        recipe: serde_json::to_value(recipe).unwrap_or_default(),
        mathematics: recipe.mathematics(),
    })
}
