//! `tunewise check`: what is in a data file, and which rows would fail.

mod faults;
mod findings;
mod lengths;
mod page;
mod survey;

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};
use tunewise_data::quality::{QualityCheck, QualityReport};
use tunewise_data::{find_splits, ExcessLength};

use crate::args::CheckArgs;
use crate::destination;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::model_folder::ModelFolder;
use crate::number::{counted, grouped};
use crate::output::{self, Form};
use crate::threads;
use faults::{FaultKind, Faults};
use page::PageInput;
use survey::{Survey, Tokens};

/// Bad rows that are told one by one; further ones are counted.
const TOLD: usize = 20;

/// Prints what the files hold and returns whether a row would fail.
///
/// # Errors
/// When a file or the model cannot be read.
pub fn run(args: &CheckArgs, form: Form) -> anyhow::Result<Exit> {
    threads::set(args.threads)?;
    refuse_limit_without_model(args)?;
    let tokens = args.model.as_deref().map(|model| tokens(args, model)).transpose()?;
    let mut surveys = Vec::new();
    let paths = files(&args.data)?;
    refuse_report_over_input(args, &paths)?;
    let mut quality = QualityCheck::default();
    for (file, path) in paths.iter().enumerate() {
        let options = args.rows.answered();
        let survey = Survey::of(path, &options, tokens.as_ref(), (file, &mut quality))?;
        print(&survey, form)?;
        surveys.push(survey);
    }
    let quality = quality.finish();
    findings::print(&quality, &paths, form)?;
    write_page(args, &quality, &paths, &surveys)?;
    if tokens.is_none() {
        output::note("rows are read but not tokenized; pass `--model` to see lengths and rows that do not fit");
    }
    let sum = |count: fn(&Survey) -> usize| surveys.iter().map(count).sum::<usize>();
    let found = Found {
        rows: sum(|survey| survey.rows),
        bad: sum(|survey| survey.bad.count()),
        skipped: sum(|survey| survey.skipped.count()),
    };
    let files: Vec<Value> = surveys.iter().map(Survey::to_json).collect();
    form.json(&json!({
        "rows": found.rows,
        "bad_rows": found.bad,
        "skipped_rows": found.skipped,
        "files": files,
        "quality": findings::to_json(&quality, &paths),
    }))?;
    let errors = findings::error_count(&quality);
    Ok(judged(&surveys, &found, args.excess_length_strategy, errors))
}

/// Rows of all files.
struct Found {
    rows: usize,
    bad: usize,
    skipped: usize,
}

/// Tells whether training would fail, and returns the exit that says the same.
fn judged(surveys: &[Survey], found: &Found, strategy: ExcessLength, errors: usize) -> Exit {
    let Found { rows, bad, skipped } = *found;
    let useless = useless(surveys);
    if bad > 0 || !useless.is_empty() {
        let are = if bad == 1 { "would" } else { "of them would" };
        let failing = format!("{} read, {} {are} fail", counted(rows, "row"), grouped(bad));
        let what: Vec<String> = (bad > 0).then_some(failing).into_iter().chain(useless).collect();
        output::fail(&what.join("; "), Some(&advice(surveys, strategy)));
        return Exit::CheckFailed;
    }
    if errors > 0 {
        let what = format!("the rows have {} of severity error", counted(errors, "finding"));
        output::fail(&what, Some("mend what the findings name, the first of them first"));
        return Exit::CheckFailed;
    }
    if skipped > 0 {
        output::note(format_args!(
            "{} cannot be read; `--on-bad-row skip` leaves them out, so the check does not fail",
            counted(skipped, "row")
        ));
    }
    Exit::Done
}

/// What is wrong with whole files.
fn useless(surveys: &[Survey]) -> Vec<String> {
    let of = |survey: &Survey| {
        let why = survey.useless.as_ref()?;
        let space = if survey.rows == 0 { "" } else { ":" };
        Some(format!("`{}`{space} {why}", survey.path.display()))
    };
    surveys.iter().filter_map(of).collect()
}

/// What to do about the faults that there are.
fn advice(surveys: &[Survey], strategy: ExcessLength) -> String {
    let unreadable =
        "mend the unreadable rows, or train with `--on-bad-row skip`, which leaves them out";
    let too_long = match strategy {
        ExcessLength::Truncate => {
            "shorten the prompts cut before their answer, or train with `--excess-length-strategy drop`"
        }
        _ => "shorten the rows beyond the limit, or train with `--excess-length-strategy drop` or `truncate`",
    };
    let untrainable = "mend the rows that cannot be trained on, or drop them from the file";
    let kinds = [
        (FaultKind::Unreadable, unreadable),
        (FaultKind::TooLong, too_long),
        (FaultKind::Untrainable, untrainable),
    ];
    let there = kinds.iter().filter(|(kind, _)| surveys.iter().any(|survey| survey.bad.has(*kind)));
    let mut advice: Vec<&str> = there.map(|(_, what)| *what).collect();
    if surveys.iter().any(|survey| survey.useless.is_some() && survey.rows > 0) {
        advice.push("check without `--on-bad-row` and `--excess-length-strategy` to see why");
    }
    if surveys.iter().any(|survey| survey.rows == 0) {
        advice.push("a file of rows has one JSON object per line");
    }
    advice.join("; ")
}

/// Nothing, where a limit in tokens comes with a model that counts them.
fn refuse_limit_without_model(args: &CheckArgs) -> anyhow::Result<()> {
    let flag = match (args.max_length, args.excess_length_strategy) {
        _ if args.model.is_some() => return Ok(()),
        (Some(_), _) => "--max-length",
        (None, ExcessLength::Truncate | ExcessLength::Drop) => "--excess-length-strategy",
        (None, ExcessLength::Raise) => return Ok(()),
    };
    let what = format!("`{flag}` is given without `--model`, expected both");
    let hint = "a length is counted in the tokens of a model: pass `--model DIR`";
    Err(Problem::with_hint(what, hint).into())
}

/// Nothing, where the page would replace none of what is read.
fn refuse_report_over_input(args: &CheckArgs, paths: &[PathBuf]) -> anyhow::Result<()> {
    let Some(page) = &args.report else { return Ok(()) };
    let read: Vec<&Path> = paths.iter().chain(&args.model).map(PathBuf::as_path).collect();
    destination::file("--report", page, &read)
}

/// Writes the page, where one is asked for.
fn write_page(
    args: &CheckArgs,
    quality: &QualityReport,
    paths: &[PathBuf],
    surveys: &[Survey],
) -> anyhow::Result<()> {
    let Some(page) = &args.report else { return Ok(()) };
    let input = PageInput { report: quality, files: paths, surveys };
    page::write(page, &input, &args.rows.answered())?;
    output::say(format_args!("wrote `{}`", page.display()));
    Ok(())
}

fn tokens(args: &CheckArgs, model: &Path) -> anyhow::Result<Tokens> {
    let folder = ModelFolder::at(model)?;
    let max_length = folder.max_length(args.max_length)?;
    Ok(Tokens {
        renderer: folder.renderer()?,
        train_on: args.train_on,
        max_length,
        strategy: args.excess_length_strategy,
        context: folder.context()?,
    })
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
    for (name, count) in
        [("rows to drop", survey.excess.dropped), ("rows to cut", survey.excess.truncated)]
    {
        if count > 0 {
            form.text(format_args!("  {name:<18}{}", grouped(count)))?;
        }
    }
    if survey.skipped.count() > 0 {
        print_rows(&path, "rows left out", &survey.skipped, form)?;
    }
    print_rows(&path, "rows that fail", &survey.bad, form)
}

/// Prints how many rows there are, and the first of them with their reasons.
fn print_rows(path: &impl Display, name: &str, rows: &Faults, form: Form) -> anyhow::Result<()> {
    form.text(format_args!("  {name:<18}{}", grouped(rows.count())))?;
    let mut last_hint = None;
    for row in rows.first().iter().take(TOLD) {
        form.text(format_args!("  `{path}:{}`: {}", row.line, row.message))?;
        if !row.hint.is_empty() && last_hint != Some(&row.hint) {
            form.text(format_args!("    hint: {}", row.hint))?;
        }
        last_hint = Some(&row.hint);
    }
    if rows.count() > TOLD {
        form.text(format_args!("  … and {} more", grouped(rows.count() - TOLD)))?;
    }
    Ok(())
}
