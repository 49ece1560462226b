//! `tunewise check`: what is in a data file, and which rows would fail.

mod lengths;
mod survey;

use std::path::{Path, PathBuf};

use serde_json::{json, Value};
use tunewise_data::find_splits;

use crate::args::CheckArgs;
use crate::exit::Exit;
use crate::model_folder::ModelFolder;
use crate::number::{counted, grouped};
use crate::output::{self, Form};
use crate::threads;
use survey::{Survey, Tokens};

/// Bad rows that are told one by one; further ones are counted.
const TOLD: usize = 20;

/// Prints what the files hold and returns whether a row would fail.
///
/// # Errors
/// When a file or the model cannot be read.
pub fn run(args: &CheckArgs, form: Form) -> anyhow::Result<Exit> {
    threads::set(args.threads)?;
    let tokens = args.model.as_deref().map(|model| tokens(args, model)).transpose()?;
    let mut surveys = Vec::new();
    for path in files(&args.data)? {
        let survey = Survey::of(&path, &args.rows.answered(), tokens.as_ref())?;
        print(&survey, form)?;
        surveys.push(survey);
    }
    if tokens.is_none() {
        output::note("rows are read but not tokenized; pass `--model` to see lengths and rows that do not fit");
    }
    let rows: usize = surveys.iter().map(|survey| survey.rows).sum();
    let bad: usize = surveys.iter().map(|survey| survey.bad.len()).sum();
    let files: Vec<Value> = surveys.iter().map(Survey::to_json).collect();
    form.json(&json!({ "rows": rows, "bad_rows": bad, "files": files }))?;
    match bad {
        0 => Ok(Exit::Done),
        _ => {
            let are = if bad == 1 { "would" } else { "of them would" };
            output::fail(
                &format!("{} read, {} {are} fail", counted(rows, "row"), grouped(bad)),
                Some("mend them, or train with `--on-bad-row skip`, which leaves unreadable rows out"),
            );
            Ok(Exit::CheckFailed)
        }
    }
}

fn tokens(args: &CheckArgs, model: &Path) -> anyhow::Result<Tokens> {
    let folder = ModelFolder::at(model)?;
    let max_length = match args.max_length {
        Some(length) => length,
        None => folder.context()?,
    };
    Ok(Tokens { renderer: folder.renderer()?, train_on: args.train_on, max_length })
}

/// The file, or the splits of the folder.
fn files(data: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let splits = find_splits(data)?;
    let mut files = vec![splits.train];
    files.extend(splits.valid);
    files.extend(splits.test);
    Ok(files)
}

fn print(survey: &Survey, form: Form) -> anyhow::Result<()> {
    let format =
        survey.format.map_or("no format".to_owned(), |format| format!("format `{format}`"));
    let path = survey.path.display();
    form.text(format_args!("{path}: {}, {format}", counted(survey.rows, "row")))?;
    if let Some(lengths) = &survey.lengths {
        for line in lengths.lines() {
            form.text(format_args!("  {line}"))?;
        }
    }
    let bad = survey.bad.len();
    form.text(format_args!("  {:<18}{}", "rows that fail", grouped(bad)))?;
    let mut last_hint = None;
    for row in survey.bad.iter().take(TOLD) {
        form.text(format_args!("  `{path}:{}`: {}", row.line, row.message))?;
        if !row.hint.is_empty() && last_hint != Some(&row.hint) {
            form.text(format_args!("    hint: {}", row.hint))?;
        }
        last_hint = Some(&row.hint);
    }
    if bad > TOLD {
        form.text(format_args!("  … and {} more", grouped(bad - TOLD)))?;
    }
    Ok(())
}
