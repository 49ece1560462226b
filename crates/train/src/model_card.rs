//! What stands beside a trained adapter or model: `README.md` for people and `tunewise.json` for programs.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{json, Value};
use tunewise_model::files::write_whole;

use crate::checked_rows::{counted, CheckedRows};
use crate::checkpoint::{write_json, TrainerState};
use crate::error::{Result, TrainError};
use crate::provenance::{DataFile, Provenance, TrainedPart};
use crate::record::{EvaluationRecord, LogEntry};
use crate::summary::TrainSummary;

const RECORD: &str = "tunewise.json";
/// The files of a result that hold what was trained: an adapter, or a whole model.
const RESULTS: [&str; 2] = ["adapter_model.safetensors", "model.safetensors"];
const CARD: &str = "README.md";

/// What a finished run leaves to the one that would repeat it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct FinishedRun {
    /// What was done.
    pub summary: TrainSummary,
    /// Optimizer steps that the run was to take.
    pub total_steps: usize,
    /// The time that the chat template read.
    pub clock: String,
    /// What must be equal for it to be the same run.
    pub fingerprint: std::collections::BTreeMap<String, Value>,
}

/// The finished run of an output folder, if there is one.
pub(crate) fn finished_run(output: &Path) -> Result<Option<FinishedRun>> {
    let path = output.join(RECORD);
    // A removal that a crash cut short leaves the record without the adapter or model.
    if !path.is_file() || !RESULTS.iter().any(|name| output.join(name).is_file()) {
        return Ok(None);
    }
    let bytes =
        std::fs::read(&path).map_err(|source| TrainError::Io { path: path.clone(), source })?;
    let found = serde_json::from_slice(&bytes);
    found.map(Some).map_err(|source| TrainError::Json { path, source })
}

/// Whether a finished run left its record in the folder.
pub(crate) fn has_record(output: &Path) -> bool {
    output.join(RECORD).is_file()
}

/// Removes what a finished run left, so that a new one that fails does not seem to have its result; the record goes last.
pub(crate) fn remove_result(output: &Path) -> Result<()> {
    let others = ["adapter_config.json", "config.json", "tokenizer.json", CARD, RECORD];
    for name in RESULTS.into_iter().chain(others) {
        remove_file(&output.join(name))?;
    }
    Ok(())
}

/// Removes a file, if it is there.
pub(crate) fn remove_file(path: &Path) -> Result<()> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(TrainError::Io { path: path.into(), source })
        }
        _ => Ok(()),
    }
}

/// Writes the card and then, as the last file of a run, its record. The adapter is that of `adapter_step`.
pub(crate) fn write(
    output: &Path,
    provenance: &Provenance,
    summary: &TrainSummary,
    state: &TrainerState,
    adapter_step: usize,
) -> Result<()> {
    let evaluation = evaluation_at(state, adapter_step);
    let card = card(provenance, summary, evaluation, state)?;
    write_whole(&output.join(CARD), card.as_bytes())?;
    let record = json!({
        "tunewise_version": env!("CARGO_PKG_VERSION"),
        "provenance": provenance,
        "evaluation": evaluation,
        "summary": summary,
        "total_steps": state.max_steps,
        "clock": state.clock,
        "fingerprint": state.fingerprint,
    });
    write_json(&output.join(RECORD), &record)
}

fn evaluation_at(state: &TrainerState, step: usize) -> Option<&EvaluationRecord> {
    state.log_history.iter().find_map(|entry| match entry {
        LogEntry::Evaluation(record) if record.step == step => Some(record),
        _ => None,
    })
}

fn card(
    provenance: &Provenance,
    summary: &TrainSummary,
    evaluation: Option<&EvaluationRecord>,
    state: &TrainerState,
) -> Result<String> {
    let mut card = front_matter(provenance)?;
    card += &title(provenance);
    card += "\n## Origin\n\n| what | sha256 |\n|---|---|\n";
    let mut hashes = vec![
        (format!("base model `{}`", provenance.base_model), provenance.base_sha256.as_str()),
        (
            data_label("training data", &provenance.train_data),
            provenance.train_data.sha256.as_str(),
        ),
    ];
    if let Some(valid) = &provenance.valid_data {
        hashes.push((data_label("validation data", valid), valid.sha256.as_str()));
    }
    hashes.push(("chat template".into(), &provenance.template_sha256));
    hashes.push(("tokenizer".into(), &provenance.tokenizer_sha256));
    for (what, hash) in hashes {
        card += &format!("| {what} | `{hash}` |\n");
    }
    card += "\nThe base model's hash covers `config.json` and the whole of each weights file.\n";
    card += &data(provenance.checked.as_ref(), provenance.valid_data.is_some());
    card += &figures(summary, state);
    card += &evaluated(evaluation, provenance.valid_data.as_ref());
    card += "\n## Recipe\n\n```yaml\n";
    card += &set_keys(&provenance.recipe)?;
    card += "```\n";
    Ok(card)
}

fn title(provenance: &Provenance) -> String {
    let (base, version) = (&provenance.base_model, env!("CARGO_PKG_VERSION"));
    match provenance.trained {
        TrainedPart::Adapter => {
            format!("\n# LoRA adapter\n\nA LoRA adapter of `{base}`, trained with tunewise {version}.\n")
        }
        TrainedPart::Model => {
            format!("\n# Fine-tuned model\n\nEvery weight of `{base}`, trained with tunewise {version}.\n")
        }
        TrainedPart::NewModel => format!(
            "\n# Language model\n\nA model of the configuration in `{base}`, trained from random weights with tunewise \
             {version}.\n"
        ),
    }
}

fn front_matter(provenance: &Provenance) -> Result<String> {
    let base = &provenance.base_model;
    let header = match provenance.trained {
        TrainedPart::Adapter => json!({
            "base_model": base,
            "library_name": "peft",
            "pipeline_tag": "text-generation",
            "tags": [format!("base_model:adapter:{base}"), "lora", "tunewise"],
        }),
        TrainedPart::Model => json!({
            "base_model": base,
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": [format!("base_model:finetune:{base}"), "tunewise"],
        }),
        TrainedPart::NewModel => json!({
            "library_name": "transformers",
            "pipeline_tag": "text-generation",
            "tags": ["tunewise"],
        }),
    };
    Ok(format!("---\n{}---\n", yaml(&header)?))
}

fn data_label(what: &str, file: &DataFile) -> String {
    let split = file.told_split().map(|split| format!("{split}, ")).unwrap_or_default();
    format!(
        "{what} `{}` ({} rows read, {} bad, {split}{} dropped for length, {} cut, {} trained on or scored)",
        file.path, file.rows_read, file.bad_rows, file.dropped, file.truncated, file.rows
    )
}

/// What the check of the rows looked at and what it found.
fn data(checked: Option<&CheckedRows>, has_valid: bool) -> String {
    let Some(checked) = checked else {
        return "\n## Data\n\nThe rows were not checked.\n".into();
    };
    let (splits, among) = match has_valid {
        true => ("the training and validation data", "repetition, contradictions and leaks"),
        false => ("the training data", "repetition and contradictions"),
    };
    let compared = match checked.rows_compared {
        true => format!("and all with one another for {among}"),
        false => "but not with one another, for which they are too many".to_owned(),
    };
    let mut text = format!(
        "\n## Data\n\nBefore training, the check looked at {} of {splits}: each alone for its turns, characters and \
         secrets, {compared}.\n",
        counted(checked.rows_checked, "row")
    );
    if checked.findings.is_empty() {
        return text + "\nIt found nothing.\n";
    }
    text += "\n| code | severity | rows | share |\n|---|---|---|---|\n";
    for found in &checked.findings {
        let extent = match found.share {
            Some(share) => format!("{} | {}", found.count, percent(share)),
            None => format!("{} | –", counted(found.count, "file")),
        };
        text += &format!("| `{}` | {} | {extent} |\n", found.code, found.severity);
    }
    if checked.has_errors() {
        text += "\n**Findings of severity error stop a run; this one was forced to use these rows all the same.**\n";
    }
    text
}

fn percent(share: f64) -> String {
    match 100.0 * share {
        percent if percent < 0.1 => "under 0.1 %".into(),
        percent => format!("{percent:.1} %"),
    }
}

fn figures(summary: &TrainSummary, state: &TrainerState) -> String {
    let stopped = if state.stopped_early { " (stopped early)" } else { "" };
    let memory = summary.peak_memory_bytes;
    let memory =
        memory.map_or("unknown".into(), |bytes| format!("{:.0} MiB", bytes as f64 / 1048576.0));
    let rows = [
        ("optimizer steps", format!("{}{stopped}", summary.steps)),
        ("epochs", format!("{:.3}", state.epoch)),
        ("rows processed", summary.rows.to_string()),
        ("tokens processed", summary.tokens.to_string()),
        ("supervised tokens", summary.supervised_tokens.to_string()),
        ("loss of the last step, nats per token", format!("{:.4}", summary.final_loss)),
        ("seconds", format!("{:.1}", summary.train_seconds)),
        ("tokens per second", format!("{:.0}", summary.tokens_per_second)),
        ("peak memory", memory),
    ];
    let rows: String = rows.iter().map(|(what, value)| format!("| {what} | {value} |\n")).collect();
    format!("\n## Training\n\n| figure | value |\n|---|---|\n{rows}")
}

fn evaluated(evaluation: Option<&EvaluationRecord>, valid: Option<&DataFile>) -> String {
    let Some(record) = evaluation else {
        let why = match valid {
            None => "No validation split was given.",
            Some(file) if file.rows == 0 => {
                "Every row of the validation split was longer than `max_length` and dropped."
            }
            Some(_) => "The validation split was not evaluated at the step of this result.",
        };
        return format!("\n## Evaluation\n\n{why}\n");
    };
    format!(
        "\n## Evaluation\n\nOn the validation split, at step {}: {:.4} nats per supervised token (perplexity {:.3}), \
         {:.1} % of {} supervised tokens predicted best.\n",
        record.step,
        record.eval_loss,
        record.eval_loss.exp(),
        100.0 * record.eval_mean_token_accuracy,
        record.eval_supervised_tokens
    )
}

/// The recipe's keys that have a value, as YAML.
fn set_keys(recipe: &Value) -> Result<String> {
    let mut recipe = recipe.clone();
    if let Some(keys) = recipe.as_object_mut() {
        keys.retain(|_, value| !value.is_null());
    }
    yaml(&recipe)
}

fn yaml(value: &Value) -> Result<String> {
    serde_norway::to_string(value)
        .map_err(|source| TrainError::RecipeValue { place: CARD.into(), source })
}

#[cfg(test)]
mod tests {
    use tunewise_data::quality::Code;

    use super::*;
    use crate::checked_rows::RowFinding;

    fn summary() -> TrainSummary {
        TrainSummary {
            steps: 12,
            rows: 96,
            tokens: 960,
            supervised_tokens: 480,
            final_loss: 0.5,
            rows_per_second: 48.0,
            tokens_per_second: 480.0,
            train_seconds: 2.0,
            peak_memory_bytes: Some(64 << 20),
            saved_prefix_tokens: 0,
            best_eval_loss: Some(0.75),
            adapter: "out".into(),
        }
    }

    fn provenance() -> Provenance {
        Provenance {
            base_model: "org/base: small".into(),
            template_sha256: "abc".into(),
            recipe: json!({ "r": 8, "max_length": null }),
            ..Provenance::default()
        }
    }

    #[test]
    fn the_front_matter_is_that_of_a_peft_adapter() {
        let card = card(&provenance(), &summary(), None, &TrainerState::default()).unwrap();
        let header = card.split("---\n").nth(1).unwrap();
        let header: Value = serde_norway::from_str(header).unwrap();
        assert_eq!(header["base_model"], "org/base: small");
        assert_eq!(header["library_name"], "peft");
        assert_eq!(header["tags"][0], "base_model:adapter:org/base: small");
        assert!(card.contains("| chat template | `abc` |"));
        assert!(card.contains("| peak memory | 64 MiB |"));
        assert!(card.contains("```yaml\nr: 8\n```"));
        assert!(card.contains("No validation split was given."));
    }

    fn found(code: Code, count: usize) -> RowFinding {
        let share = Some(count as f64 / 4000.0);
        RowFinding { code, severity: code.severity(), count, share, first: String::new() }
    }

    #[test]
    fn the_card_tells_what_the_check_looked_at_and_found() {
        let mut checked =
            CheckedRows { rows_checked: 4000, rows_compared: true, findings: Vec::new() };
        assert_eq!(
            data(Some(&checked), false),
            "\n## Data\n\nBefore training, the check looked at 4000 rows of the training data: each alone for its \
             turns, characters and secrets, and all with one another for repetition and contradictions.\n\n\
             It found nothing.\n"
        );
        checked.findings = vec![found(Code::PersonalData, 136), found(Code::Duplicate, 3)];
        let warned = data(Some(&checked), true);
        let looked = "of the training and validation data: each alone for its turns, characters and secrets, and all \
                      with one another for repetition, contradictions and leaks.\n";
        assert!(warned.contains(looked), "{warned}");
        let rows = "|---|---|---|---|\n| `personal-data` | warning | 136 | 3.4 % |\n\
                    | `duplicate` | warning | 3 | under 0.1 % |\n";
        assert!(warned.ends_with(rows), "{warned}");
        checked.rows_compared = false;
        let alone = data(Some(&checked), true);
        assert!(alone.contains("but not with one another, for which they are too many"), "{alone}");
        assert_eq!(data(None, true), "\n## Data\n\nThe rows were not checked.\n");
    }

    #[test]
    fn a_run_that_was_forced_over_errors_says_so_on_its_card() {
        let findings = vec![found(Code::Leak, 40), found(Code::Duplicate, 3)];
        let checked = CheckedRows { rows_checked: 4000, rows_compared: true, findings };
        let provenance = Provenance { checked: Some(checked), ..provenance() };
        let card = card(&provenance, &summary(), None, &TrainerState::default()).unwrap();
        let forced = "| `leak` | error | 40 | 1.0 % |\n| `duplicate` | warning | 3 | under 0.1 % |\n\n\
                      **Findings of severity error stop a run; this one was forced to use these rows all the same.**\n\
                      \n## Training\n";
        assert!(card.contains(forced), "{card}");
    }

    #[test]
    fn a_valid_split_without_rows_is_not_called_absent() {
        let valid = |rows| DataFile { rows, ..DataFile::default() };
        let dropped = evaluated(None, Some(&valid(0)));
        assert!(dropped.contains("longer than `max_length` and dropped"), "{dropped}");
        assert!(evaluated(None, Some(&valid(3)))
            .contains("was not evaluated at the step of this result"));
    }

    #[test]
    fn the_record_says_what_the_finished_run_did() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(finished_run(dir.path()).unwrap(), None);
        let state = TrainerState { max_steps: 12, ..TrainerState::default() };
        write(dir.path(), &provenance(), &summary(), &state, 12).unwrap();
        assert_eq!(finished_run(dir.path()).unwrap(), None);
        std::fs::write(dir.path().join(RESULTS[0]), "tensors").unwrap();
        let found = finished_run(dir.path()).unwrap().unwrap();
        assert_eq!((found.summary, found.total_steps), (summary(), 12));
        remove_result(dir.path()).unwrap();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
