//! `tunewise check`: what is in a data file, and which rows would fail.

mod base_loss;
mod faults;
mod findings;
mod items;
mod lengths;
mod page;
mod survey;
mod tokens;

use std::ffi::OsString;
use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};
use tunewise_data::quality::{QualityCheck, QualityReport};
use tunewise_data::{find_splits, ExcessLength};

use crate::args::CheckArgs;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::model_folder::ModelFolder;
use crate::number::{counted, grouped};
use crate::output::{self, Form};
use crate::{destination, interrupt, threads};
use base_loss::BaseLoss;
use faults::{FaultKind, Faults};
use page::PageInput;
use survey::{Inspection, Survey};
use tokens::Tokens;

/// Bad rows that are told one by one; further ones are counted.
const TOLD: usize = 20;

/// Prints what the files hold and returns whether a row would fail.
///
/// # Errors
/// When a file or the model cannot be read.
pub fn run(args: &CheckArgs, form: Form) -> anyhow::Result<Exit> {
    threads::set(args.threads)?;
    refuse_flags_without_model(args)?;
    let paths = files(&args.data)?;
    refuse_writing_over_input(args, &paths)?;
    threads::within(|| checked(args, &paths, form))
}

fn checked(args: &CheckArgs, paths: &[PathBuf], form: Form) -> anyhow::Result<Exit> {
    let tokens = args.model.as_deref().map(|model| tokens(args, model)).transpose()?;
    let mut quality = match args.items {
        Some(_) => QualityCheck::default().with_row_scores(),
        None => QualityCheck::default(),
    };
    let (surveys, base_loss) = read(args, paths, tokens.as_ref(), &mut quality, form)?;
    let quality = quality.finish();
    findings::print(&quality, paths, form)?;
    interrupt::writing();
    write_files(args, &quality, paths, &surveys)?;
    tell_what_was_not_seen(args, &quality, &surveys);
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
        "base_loss": base_loss.map(BaseLoss::to_json),
        "quality": findings::to_json(&quality, paths),
    }))?;
    let errors = findings::error_count(&quality);
    Ok(judged(&surveys, &found, args.excess_length_strategy, errors))
}

/// Reads the files, hands their rows to the quality check, and prints what each file holds.
///
/// The base model is loaded before, so that one without weights is told at once.
fn read(
    args: &CheckArgs,
    paths: &[PathBuf],
    tokens: Option<&Tokens>,
    quality: &mut QualityCheck,
    form: Form,
) -> anyhow::Result<(Vec<Survey>, Option<BaseLoss>)> {
    let decoder = base_loss::decoder(args, form)?;
    let options = args.rows.answered();
    let inspection = Inspection { options: &options, tokens, group_by: args.group_by.as_deref() };
    let mut surveys = Vec::new();
    for (file, path) in paths.iter().enumerate() {
        let survey = Survey::of(path, &inspection, (file, &mut *quality))?;
        print(&survey, form)?;
        surveys.push(survey);
    }
    let base_loss = match (&decoder, tokens, surveys.first()) {
        (Some(decoder), Some(tokens), Some(train)) => {
            let loss = base_loss::measure(decoder, tokens, train, &options, quality)?;
            form.text(loss.line(train.rows))?;
            Some(loss)
        }
        _ => None,
    };
    Ok((surveys, base_loss))
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

/// Nothing, where what is asked of a model comes with one.
fn refuse_flags_without_model(args: &CheckArgs) -> anyhow::Result<()> {
    const LENGTH: &str = "a length is counted in the tokens of a model: pass `--model DIR`";
    const LOSS: &str = "a loss is that of a model: pass `--model DIR`";
    let (flag, hint) = match (args.max_length, args.excess_length_strategy) {
        _ if args.model.is_some() => return Ok(()),
        (Some(_), _) => ("--max-length", LENGTH),
        (None, ExcessLength::Truncate | ExcessLength::Drop) => ("--excess-length-strategy", LENGTH),
        (None, ExcessLength::Raise) if args.base_loss => ("--base-loss", LOSS),
        (None, ExcessLength::Raise) => return Ok(()),
    };
    let what = format!("`{flag}` is given without `--model`, expected both");
    Err(Problem::with_hint(what, hint).into())
}

/// Nothing, where the files that are written replace none of what is read, nor one the other.
fn refuse_writing_over_input(args: &CheckArgs, paths: &[PathBuf]) -> anyhow::Result<()> {
    let read: Vec<&Path> = paths.iter().chain(&args.model).map(PathBuf::as_path).collect();
    for (flag, file) in [("--report", &args.report), ("--items", &args.items)] {
        file.iter().try_for_each(|file| destination::file(flag, file, &read))?;
    }
    match &args.items {
        Some(file) if args.report.as_ref().is_some_and(|page| place(page) == place(file)) => {
            let name = file.display();
            let what = format!("`--report` and `--items` are both `{name}`, expected two files");
            Err(Problem::with_hint(what, "name another file for one of them").into())
        }
        _ => Ok(()),
    }
}

/// Where a file lies, however its path is written: its folder and its name.
fn place(file: &Path) -> (Option<PathBuf>, Option<OsString>) {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new(".")).canonicalize().ok();
    (folder, file.file_name().map(ToOwned::to_owned))
}

/// Writes the page and the items, where they are asked for.
fn write_files(
    args: &CheckArgs,
    quality: &QualityReport,
    paths: &[PathBuf],
    surveys: &[Survey],
) -> anyhow::Result<()> {
    if let Some(page) = &args.report {
        let input = PageInput { report: quality, files: paths, surveys };
        page::write(page, &input, &args.rows.answered())?;
        output::say(format_args!("wrote `{}`", page.display()));
    }
    if let Some(file) = &args.items {
        items::write(file, quality, paths)?;
        output::say(format_args!("wrote `{}`", file.display()));
    }
    Ok(())
}

/// Says what was not looked at, and what would help.
fn tell_what_was_not_seen(args: &CheckArgs, quality: &QualityReport, surveys: &[Survey]) {
    if args.model.is_none() {
        output::note("rows are read but not tokenized; pass `--model` to see lengths and rows that do not fit");
    }
    if let Some(key) = &args.group_by {
        if surveys.iter().all(|survey| survey.grouped == 0) {
            output::warn(format_args!(
                "no row has the key `{key}` of `--group-by`, so rows that belong together are not known"
            ));
        }
    }
    // That a set is too large for any comparison is told with the findings.
    if quality.compared && !quality.not_looked_for.is_empty() {
        let codes: Vec<&str> = quality.not_looked_for.iter().map(|code| code.name()).collect();
        output::note(format_args!(
            "not looked for, the training rows are too many: `{}`",
            codes.join("`, `")
        ));
    }
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
