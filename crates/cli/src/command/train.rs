//! `tunewise train`: an adapter, or a whole model, from a recipe.

pub(super) mod again;
mod dry_run;
mod first_row;
mod progress;

use std::path::Path;

use serde_json::{json, Value};
use tunewise_train::recipe::FinetuneType;
use tunewise_train::{FaultyRows, Outcome, Recipe, TrainSummary};

use crate::args::TrainArgs;
use crate::exit::Exit;
use crate::model_folder::ModelFolder;
use crate::number::{bytes, counted, grouped, rate, seconds};
use crate::output::{self, Form};
use crate::{interrupt, threads};
use progress::Progress;

/// Trains, and prints what was done; Ctrl-C saves a checkpoint and says how to go on.
///
/// # Errors
/// When the recipe, the data or the model is faulty, or the run fails.
pub fn run(args: &TrainArgs, form: Form) -> anyhow::Result<Exit> {
    let mut recipe = match &args.config {
        Some(path) => Recipe::from_file(path)?,
        None => Recipe::default(),
    };
    args.recipe.apply(&mut recipe)?;
    recipe.validate()?;
    if let Some(model) = &recipe.model_name_or_path {
        ModelFolder::at(Path::new(model))?;
    }
    threads::set(recipe.threads)?;
    if args.dry_run {
        return dry_run::run(&recipe, form);
    }
    interrupt::catch()?;
    let mut progress =
        Progress::new(recipe.is_explicit("logging_steps").then_some(recipe.logging_steps));
    let faulty = if args.force { FaultyRows::TrainAnyway } else { FaultyRows::Refuse };
    let outcome = threads::within(|| {
        tunewise_train::run(&recipe, faulty, interrupt::flag(), &mut |event| {
            progress.show(&event);
        })
    });
    progress.close();
    ended(&outcome?, &recipe, form)
}

/// Prints how a run ended, and returns the exit that says the same.
fn ended(outcome: &Outcome, recipe: &Recipe, form: Form) -> anyhow::Result<Exit> {
    match outcome {
        Outcome::Finished(summary) => {
            told(recipe, summary, form)?;
            next_steps(recipe, summary, form)?;
            form.json(&to_json(recipe, summary))?;
            Ok(Exit::Done)
        }
        Outcome::AlreadyFinished(summary) => {
            told(recipe, summary, form)?;
            form.json(&to_json(recipe, summary))?;
            Ok(Exit::Done)
        }
        Outcome::Interrupted { checkpoint, step, total_steps } => {
            interrupted(checkpoint, *step, *total_steps, form)?;
            Ok(Exit::Interrupted)
        }
    }
}

/// Says how an interrupted run goes on.
fn interrupted(
    checkpoint: &Path,
    step: usize,
    total_steps: usize,
    form: Form,
) -> anyhow::Result<()> {
    let resume = again::command_to_resume(std::env::args());
    let state = checkpoint.display();
    output::say(format_args!(
        "interrupted after step {step} of {total_steps}; the state is in `{state}`"
    ));
    output::say(format_args!("resume with: {resume}"));
    form.json(&json!({
        "interrupted": true,
        "steps": step,
        "total_steps": total_steps,
        "checkpoint": checkpoint,
        "resume": resume,
    }))?;
    Ok(())
}

/// Prints what a finished run did.
fn told(recipe: &Recipe, summary: &TrainSummary, form: Form) -> anyhow::Result<()> {
    let TrainSummary { steps, rows, tokens, supervised_tokens, .. } = summary;
    form.text(format_args!(
        "{}: {}, {}, {} of them supervised, in {} ({} rows/s, {} tokens/s)",
        counted(*steps, "step"),
        counted(*rows, "row"),
        counted(*tokens, "token"),
        grouped(*supervised_tokens),
        seconds(summary.train_seconds),
        rate(summary.rows_per_second),
        rate(summary.tokens_per_second),
    ))?;
    let best = summary
        .best_eval_loss
        .map_or(String::new(), |loss| format!(", best on the valid split {loss:.4}"));
    let memory = summary
        .peak_memory_bytes
        .map_or(String::new(), |peak| format!("; peak memory {}", bytes(peak)));
    form.text(format_args!("loss of the last step {:.4}{best}{memory}", summary.final_loss))?;
    form.text(format_args!("{}: {}", result(recipe), summary.adapter))?;
    Ok(())
}

/// What a run makes.
fn result(recipe: &Recipe) -> &'static str {
    match recipe.finetune_type {
        FinetuneType::Lora => "adapter",
        FinetuneType::Full => "model",
    }
}

/// Says what to do with the result.
fn next_steps(recipe: &Recipe, summary: &TrainSummary, form: Form) -> anyhow::Result<()> {
    let Some(model) = &recipe.model_name_or_path else { return Ok(()) };
    let with = match recipe.finetune_type {
        FinetuneType::Lora => vec!["--model", model, "--adapter", &summary.adapter],
        FinetuneType::Full => vec!["--model", &summary.adapter],
    };
    let words = |command: &str, last: [&str; 2]| {
        again::quoted(["tunewise", command].into_iter().chain(with.iter().copied()).chain(last))
    };
    form.text(format_args!("try it: {}", words("generate", ["--prompt", "…"])))?;
    let test = recipe.data.as_deref().map(|data| Path::new(data).join("test.jsonl"));
    if let Some(test) = test.filter(|test| test.is_file()) {
        let test = test.display().to_string();
        form.text(format_args!("measure it: {}", words("evaluate", ["--data", &test])))?;
    }
    Ok(())
}

fn to_json(recipe: &Recipe, summary: &TrainSummary) -> Value {
    json!({
        "steps": summary.steps,
        "rows": summary.rows,
        "tokens": summary.tokens,
        "supervised_tokens": summary.supervised_tokens,
        "final_loss": summary.final_loss,
        "rows_per_second": summary.rows_per_second,
        "tokens_per_second": summary.tokens_per_second,
        "train_seconds": summary.train_seconds,
        "peak_memory_bytes": summary.peak_memory_bytes,
        result(recipe): summary.adapter,
    })
}
