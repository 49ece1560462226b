//! `tunewise evaluate`: how well a model predicts the answers of a file.

use std::path::{Path, PathBuf};

use anyhow::Context;
use tunewise_data::{read_file, tokenize, DataSet, Renderer, Tokenized};
use tunewise_infer::{evaluate, Evaluation, Model};
use tunewise_model::files::write_whole;

use crate::args::EvaluateArgs;
use crate::counter::Counter;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::model_folder::ModelFolder;
use crate::number::{counted, grouped};
use crate::output::{self, Form};
use crate::{destination, interrupt};

/// Measures the model on the rows and prints the figures.
///
/// # Errors
/// When the model, the adapter or a row cannot be read, or a row does not fit.
pub fn run(args: &EvaluateArgs, form: Form) -> anyhow::Result<Exit> {
    if let Some(items) = &args.items {
        let read = [&args.data, &args.model.model].into_iter().chain(&args.adapter);
        let read: Vec<&Path> = read.map(PathBuf::as_path).collect();
        destination::file("--items", items, &read)?;
    }
    let folder = ModelFolder::at(&args.model.model)?;
    interrupt::end_on_it(form)?;
    let renderer = folder.renderer()?;
    let set = read_file(&args.data, &args.rows.answered())?;
    let tokenized = tokenized(args, &folder, &renderer, &set)?;
    tell_losses(&args.data, &set, &tokenized);
    refuse_none_left(args, &folder, &tokenized)?;
    let decoder = folder.decoder(args.model.dtype)?;
    let adapter = args.adapter.as_deref();
    let adapter = adapter.map(|dir| folder.adapter(&decoder, &renderer, dir)).transpose()?;
    let model = Model { decoder: &decoder, adapter: adapter.as_ref() };
    let counter = Counter::up_to(tokenized.examples.len(), "rows");
    let evaluation = evaluate(model, &tokenized.examples, &mut |done| counter.set(done));
    drop(counter);
    let evaluation = evaluation.with_context(|| format!("`{}`", args.data.display()))?;
    interrupt::writing();
    if let Some(items) = &args.items {
        write_whole(items, evaluation.items_jsonl()?.as_bytes())?;
        output::say(format_args!("wrote `{}`", items.display()));
    }
    print(&evaluation, form)?;
    Ok(Exit::Done)
}

fn tokenized(
    args: &EvaluateArgs,
    folder: &ModelFolder,
    renderer: &Renderer,
    set: &DataSet,
) -> anyhow::Result<Tokenized> {
    let max_length = folder.max_length(args.max_length)?;
    Ok(tokenize(renderer, set, args.train_on, max_length, args.excess_length_strategy)?)
}

/// Nothing, where a row is left to measure.
fn refuse_none_left(
    args: &EvaluateArgs,
    folder: &ModelFolder,
    tokenized: &Tokenized,
) -> anyhow::Result<()> {
    if !tokenized.examples.is_empty() {
        return Ok(());
    }
    let most = folder.max_length(args.max_length)?;
    let rows = match tokenized.rows {
        1 => "the only row is".to_owned(),
        rows => format!("all {} are", counted(rows, "row")),
    };
    let what = format!(
        "`{}`: {rows} longer than {}, expected at least one that is not",
        args.data.display(),
        counted(most, "token")
    );
    let hint = "raise `--max-length`, or pass `--excess-length-strategy truncate`";
    Err(Problem::with_hint(what, hint).into())
}

/// Says which rows are not measured as they stand.
fn tell_losses(path: &Path, set: &DataSet, tokenized: &Tokenized) {
    let path = path.display();
    for (count, what) in [
        (set.bad_rows.len(), "bad and left out"),
        (tokenized.dropped.len(), "longer than the limit and left out"),
        (tokenized.truncated, "longer than the limit and cut"),
    ] {
        if count > 0 {
            output::warn(format_args!("`{path}`: {} {what}", counted(count, "row")));
        }
    }
}

fn print(evaluation: &Evaluation, form: Form) -> anyhow::Result<()> {
    let row = |name: &str, value: String| form.text(format_args!("{name:<18}{value}"));
    row("nll per token", format!("{:.6} nats", evaluation.nll_per_token))?;
    row("perplexity", format!("{:.4}", evaluation.perplexity))?;
    row("token accuracy", format!("{:.4}", evaluation.token_accuracy))?;
    row("supervised tokens", grouped(evaluation.supervised_tokens))?;
    row("rows", grouped(evaluation.rows))?;
    form.json(evaluation)?;
    Ok(())
}
