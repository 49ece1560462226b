//! A run from its recipe: reads the data and the model, and hands them to the training loop.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use candle_core::Device;
use chrono::{DateTime, Local};

use tunewise_data::TokenRows;
use tunewise_model::files::read_json;
use tunewise_model::{Adapter, BaseDtype, BaseWeights, Decoder, MemoryEstimate, ModelConfig};

use crate::adapter::{governed, starting_adapter};
use crate::checked_rows::FaultyRows;
use crate::checkpoint;
use crate::error::{Result, TrainError};
use crate::model_card::has_record;
use crate::plan::{self, RunPlan, Work};
use crate::provenance::{adapter_sha256, base_fingerprint, base_sha256, Provenance, TrainedPart};
use crate::recipe::{BaseNumbers, FinetuneType, Recipe};
use crate::record::{Event, Observer};
use crate::rows::Rows;
use crate::settings::{ResumeFrom, Settings};
use crate::start::earlier_clock;
use crate::trainee::{Trainee, WholeModel};
use crate::trainer::{sampler, train, Material, Outcome};

/// Files that stand in the folder of a model.
const MODEL_FILES: [&str; 4] =
    ["config.json", "model.safetensors", "model.safetensors.index.json", "tokenizer.json"];

/// Runs a recipe from its data to its adapter or model.
///
/// Its rows are checked first; `faulty` tells what findings of severity error do. Setting `interrupt` ends the run
/// after the last whole step with a checkpoint.
///
/// # Errors
/// When the recipe, the data or the model is faulty, or as [`train`].
pub fn run(
    recipe: &Recipe,
    faulty: FaultyRows,
    interrupt: &AtomicBool,
    observer: &mut Observer<'_>,
) -> Result<Outcome> {
    recipe.validate()?;
    let model = set(&recipe.model_name_or_path, "--model", "model_name_or_path", "a model folder")?;
    let model = Path::new(model);
    let data = Path::new(set(&recipe.data, "--data", "data", "a JSONL file or a folder")?);
    let output = set(&recipe.output_dir, "--output", "output_dir", "a folder to write to")?;
    let output = PathBuf::from(output);
    check_output(&output, model, data)?;
    check_init_adapter(recipe, &output)?;
    recipe.notes().iter().for_each(|note| observer(Event::Notice(note)));

    let mut settings = Settings::from_recipe(recipe, output);
    let clock = clock(&settings)?;
    let rows = Rows::prepare(recipe, model, data, clock, faulty, observer)?;
    rows.check_valid_split(recipe, observer)?;
    let (decoder, trainee) = starting(recipe, model)?;
    let adapter = trainee.adapter().map(Adapter::config);
    settings.dropout = adapter.map_or(0.0, |adapter| adapter.lora_dropout);
    fitted(recipe, &decoder, &trainee, &rows.train.rows, &mut settings, observer)?;
    let used = adapter.map_or_else(|| recipe.clone(), |adapter| governed(recipe, adapter));
    let provenance = provenance(&used, model, &rows, clock)?;
    let material = Material {
        decoder: &decoder,
        trainee,
        train: &rows.train.rows,
        valid: rows.valid.as_ref().map(|valid| &valid.rows),
        provenance: &provenance,
    };
    train(material, &settings, interrupt, observer)
}

/// What a run of a recipe would take: its rows and model are read, and a few steps measured that move nothing.
///
/// # Errors
/// As [`run`], but for the output, of which there is none, and for findings in the rows, which are told.
pub fn dry_run(recipe: &Recipe, observer: &mut Observer<'_>) -> Result<RunPlan> {
    recipe.validate()?;
    let model = set(&recipe.model_name_or_path, "--model", "model_name_or_path", "a model folder")?;
    let model = Path::new(model);
    let data = Path::new(set(&recipe.data, "--data", "data", "a JSONL file or a folder")?);
    recipe.notes().iter().for_each(|note| observer(Event::Notice(note)));
    let mut settings = Settings::from_recipe(recipe, PathBuf::new());
    let faulty = FaultyRows::TrainAnyway;
    let rows = Rows::prepare(recipe, model, data, Local::now(), faulty, observer)?;
    let (decoder, trainee) = starting(recipe, model)?;
    settings.dropout = trainee.adapter().map_or(0.0, |adapter| adapter.config().lora_dropout);
    let train = &rows.train.rows;
    let (memory, work) = fitted(recipe, &decoder, &trainee, train, &mut settings, observer)?;
    let sampler = sampler(train, &settings);
    let steps = sampler.total_steps(settings.epochs, settings.max_steps);
    plan::measure(&decoder, &trainee, train, &sampler, steps, &settings, memory, work)
}

/// The model and what is trained, before the first step.
fn starting(recipe: &Recipe, model: &Path) -> Result<(Decoder, Trainee)> {
    let dtype = base_dtype(recipe.dtype, model)?;
    if recipe.finetune_type == FinetuneType::Lora {
        let decoder = Decoder::load(model, dtype, &Device::Cpu)?;
        let adapter = starting_adapter(recipe, &decoder)?;
        return Ok((decoder, adapter.into()));
    }
    let config = ModelConfig::from_folder(model)?;
    let weights = match recipe.from_scratch {
        true => BaseWeights::random(&config, initializer_range(model)?, recipe.seed),
        false => BaseWeights::load(model, &config)?,
    };
    let decoder = Decoder::from_weights(config, &weights, dtype, &Device::Cpu)?;
    let whole = WholeModel::new(&decoder, weights, model);
    Ok((decoder, whole.into()))
}

/// The standard deviation of random weights that a `config.json` names; transformers' default where it names none.
fn initializer_range(model: &Path) -> Result<f64> {
    let config = read_json(&model.join("config.json"))?;
    Ok(config["initializer_range"].as_f64().unwrap_or(0.02))
}

/// Chooses what depends on memory; the estimate, and the pieces of an epoch that it goes by.
fn fitted(
    recipe: &Recipe,
    decoder: &Decoder,
    trainee: &Trainee,
    train: &TokenRows,
    settings: &mut Settings,
    observer: &mut Observer<'_>,
) -> Result<(MemoryEstimate, Work)> {
    let sampler = sampler(train, settings);
    let steps = sampler.total_steps(settings.epochs, settings.max_steps);
    let work = Work::of(train, &sampler, steps, settings)?;
    let may_recompute = !recipe.is_explicit("gradient_checkpointing");
    let mut notice = |text: &str| observer(Event::Notice(text));
    let memory = plan::fit(decoder, trainee, work.largest(), settings, may_recompute, &mut notice);
    Ok((memory, work))
}

fn set<'a>(
    value: &'a Option<String>,
    flag: &'static str,
    key: &'static str,
    expected: &'static str,
) -> Result<&'a str> {
    value.as_deref().ok_or(TrainError::MissingKey { flag, key, expected })
}

/// Nothing, where a run overwrites in its output folder only what a run wrote.
fn check_output(output: &Path, model: &Path, data: &Path) -> Result<()> {
    let taken =
        |found: &str| Err(TrainError::OutputTaken { path: output.into(), found: found.to_owned() });
    if output.ancestors().find(|path| path.exists()).is_some_and(Path::is_file) {
        return taken(if output.is_file() { "a file" } else { "a place below a file" });
    }
    // A run that trained a whole model left its files there.
    let latest = checkpoint::list(output)?.pop();
    let of_run = has_record(output)
        || latest.is_some_and(|(_, checkpoint)| checkpoint::read_state(&checkpoint).is_ok());
    let is_there = |file: &&&str| !of_run && output.join(file).exists();
    if let Some(file) = MODEL_FILES.iter().find(is_there) {
        return taken(&format!("a model folder with `{file}`"));
    }
    let is_output = |folder: &Path| match (output.canonicalize(), folder.canonicalize()) {
        (Ok(output), Ok(folder)) => output == folder,
        _ => false,
    };
    if is_output(model) {
        return taken("the folder of the model that training starts from");
    }
    if is_output(data) {
        return taken("the folder of the data");
    }
    Ok(())
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
        BaseNumbers::Auto => BaseDtype::suited_to(model)?,
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
        base_fingerprint: base_fingerprint(model)?,
        train_data: rows.train.file.clone(),
        valid_data: rows.valid.as_ref().map(|split| split.file.clone()),
        checked: Some(rows.checked.clone()),
        template_sha256: rows.template_sha256.clone(),
        tokenizer_sha256: rows.tokenizer_sha256.clone(),
        init_adapter_sha256: init_adapter.map(adapter_sha256).transpose()?,
        clock: clock.to_rfc3339(),
        recipe: serde_json::to_value(recipe).unwrap_or_default(),
        mathematics: recipe.mathematics(),
        trained: match (recipe.finetune_type, recipe.from_scratch) {
            (FinetuneType::Lora, _) => TrainedPart::Adapter,
            (FinetuneType::Full, false) => TrainedPart::Model,
            (FinetuneType::Full, true) => TrainedPart::NewModel,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_output_that_is_a_file_or_a_folder_of_something_else_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        for folder in ["model", "data", "adapter"] {
            std::fs::create_dir(place(folder)).unwrap();
        }
        std::fs::write(place("model/tokenizer.json"), "{}").unwrap();
        std::fs::write(place("adapter/adapter_config.json"), "{}").unwrap();
        std::fs::write(place("rows.jsonl"), "").unwrap();
        for (name, found) in [
            ("model", "a model folder with `tokenizer.json`"),
            ("data", "the folder of the data"),
            ("rows.jsonl", "a file"),
            ("rows.jsonl/out", "a place below a file"),
        ] {
            let error =
                check_output(&place(name), &place("base"), &place("data")).unwrap_err().to_string();
            let path = place(name).display().to_string();
            let expected = format!(
                "`output_dir` is `{path}`, {found}, expected a folder for the result alone"
            );
            assert_eq!(error, expected);
        }
        for name in ["adapter", "new/folder", "model/adapter"] {
            check_output(&place(name), &place("base"), &place("data")).unwrap();
        }
    }
}
