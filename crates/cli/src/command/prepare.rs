//! `tunewise prepare`: files of rows made into the splits of a data folder, with a ledger of every row.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Serialize;
use tunewise_data::prepare::{
    find_leak, input_files, is_guarded, prepare, Leak, Prepared, SplitSummary, Summary,
    LEDGER_FILE, SPLIT_FILES,
};
use tunewise_model::files::write_whole;

use crate::args::prepare::PrepareArgs;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::number::{counted, grouped};
use crate::output::{self, Form};
use crate::{destination, interrupt, threads};

/// Labels that are printed; the others are counted.
const TOLD: usize = 20;

/// Characters of a label that are printed.
const SHOWN: usize = 60;

/// What was done, for programs.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    output: &'a Path,
    leak: Option<&'a Leak>,
}

/// Prepares the rows, writes the folder, looks at what was written, and prints what was done.
///
/// # Errors
/// When a file cannot be read or written, a row is bad, or nothing is left.
pub fn run(args: &PrepareArgs, form: Form) -> anyhow::Result<Exit> {
    threads::set(args.threads)?;
    keep_silent_where_guarded();
    let files = input_files(&args.data)?;
    check_output(&args.output, &files)?;
    interrupt::end_on_it(form)?;
    let prepared = prepare(&files, &args.options())?;
    interrupt::writing();
    write(&args.output, &prepared)?;
    let leak = find_leak(&args.output)?;
    let summary = &prepared.summary;
    print(summary, files.len(), form)?;
    tell_notes(summary);
    output::say(format_args!(
        "wrote the splits and `{LEDGER_FILE}` to `{}`",
        args.output.display()
    ));
    form.json(&Report { summary, output: &args.output, leak: leak.as_ref() })?;
    Ok(judged(leak.as_ref()))
}

/// Tells a leak, and returns the exit that says whether there is one.
fn judged(leak: Option<&Leak>) -> Exit {
    let Some(Leak { file, line, train_file, train_line }) = leak else { return Exit::Done };
    let what = format!(
        "`{}:{line}`: the question stands in `{}:{train_line}` too, expected in one split only",
        file.display(),
        train_file.display()
    );
    output::fail(
        &what,
        Some("do not use these files: this is a fault of the program, please report it"),
    );
    Exit::CheckFailed
}

/// Nothing, where the folder is new, empty or of an earlier run, and holds no input.
fn check_output(output: &Path, files: &[PathBuf]) -> anyhow::Result<()> {
    destination::folder("--output", output, &[], &[])?;
    let Ok(place) = output.canonicalize() else { return Ok(()) };
    let name = output.display();
    let inside = |file: &&PathBuf| file.canonicalize().is_ok_and(|file| file.starts_with(&place));
    if let Some(input) = files.iter().find(inside) {
        let input = input.display();
        let what = format!(
            "`--output` is `{name}`, which holds the input `{input}`, expected another folder"
        );
        return Err(Problem::with_hint(what, "name a new folder; inputs are never written").into());
    }
    let read = |error: std::io::Error| anyhow::Error::new(error).context(format!("`{name}`"));
    let mut names = Vec::new();
    for entry in output.read_dir().map_err(read)? {
        names.push(entry.map_err(read)?.file_name().to_string_lossy().into_owned());
    }
    match foreign(names) {
        None => Ok(()),
        Some(file) => {
            let what = format!(
                "`--output` is `{name}`, which holds {file}, expected an empty folder or one that `prepare` wrote"
            );
            Err(Problem::with_hint(what, "name a new folder, or empty this one").into())
        }
    }
}

/// Keeps panics silent that become an error, so that the error alone is told.
fn keep_silent_where_guarded() {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !is_guarded() {
            before(panic);
        }
    }));
}

/// What shows that files of these names are not all of an earlier run; `None` where nothing does.
fn foreign(mut names: Vec<String>) -> Option<String> {
    names.sort();
    let is_ours = |name: &String| name == LEDGER_FILE || SPLIT_FILES.contains(&name.as_str());
    if let Some(other) = names.iter().find(|name| !is_ours(name)) {
        return Some(format!("`{other}`"));
    }
    let first = names.first()?;
    // Splits that somebody else wrote have no ledger.
    let accounted = names.iter().any(|name| name == LEDGER_FILE);
    (!accounted).then(|| format!("`{first}` and no `{LEDGER_FILE}`"))
}

/// Writes the files, each whole or not at all, the ledger last: a folder that has it is complete.
fn write(output: &Path, prepared: &Prepared) -> anyhow::Result<()> {
    std::fs::create_dir_all(output).with_context(|| format!("`{}`", output.display()))?;
    remove(&output.join(LEDGER_FILE))?;
    for name in SPLIT_FILES {
        let path = output.join(name);
        match prepared.splits.iter().find(|(split, _)| *split == name) {
            Some((_, text)) => write_whole(&path, text.as_bytes())?,
            // One of an earlier run would pass for a split of this one.
            None => remove(&path)?,
        }
    }
    write_whole(&output.join(LEDGER_FILE), prepared.ledger.as_bytes())?;
    Ok(())
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("`{}`", path.display()))
        }
        _ => Ok(()),
    }
}

fn print(summary: &Summary, files: usize, form: Form) -> std::io::Result<()> {
    let left_out = summary.rows - summary.kept;
    form.text(format_args!(
        "{} in {}: {} kept, {} left out",
        counted(summary.rows, "row"),
        counted(files, "file"),
        grouped(summary.kept),
        grouped(left_out)
    ))?;
    for (reason, count) in &summary.left_out {
        form.text(format_args!("  {reason:<20}{}", grouped(*count)))?;
    }
    if summary.redacted_rows > 0 {
        let kinds: Vec<String> = summary
            .redacted
            .iter()
            .map(|(kind, count)| format!("{} `{kind}`", grouped(*count)))
            .collect();
        let rows = counted(summary.redacted_rows, "row");
        form.text(format_args!("  replaced in {rows}: {}", kinds.join(", ")))?;
    }
    for split in &summary.splits {
        let rows = counted(split.rows, "row");
        form.text(format_args!("{:<14}{rows} ({} asked)", split.file, split.asked))?;
    }
    if summary.largest_group > 1 {
        form.text(format_args!(
            "{} of two or more rows kept together, the largest of {}",
            counted(summary.groups, "group"),
            counted(summary.largest_group, "row")
        ))?;
    }
    print_labels(&summary.splits, summary.stratified, form)
}

/// Prints how many rows of each label are in each split, where answers are labels.
fn print_labels(splits: &[SplitSummary], stratified: bool, form: Form) -> std::io::Result<()> {
    let counts: Vec<_> = splits.iter().filter_map(|split| split.labels.as_ref()).collect();
    let mut labels: Vec<&String> = counts.iter().flat_map(|counts| counts.keys()).collect();
    labels.sort();
    labels.dedup();
    if labels.is_empty() {
        return Ok(());
    }
    let how = if stratified { "in equal shares" } else { "in no fixed shares" };
    form.text(format_args!("{} {how}, train / valid / test:", counted(labels.len(), "label")))?;
    for label in labels.iter().take(TOLD) {
        let rows = counts.iter().map(|counts| counts.get(*label).copied().unwrap_or(0));
        let rows: Vec<String> = rows.map(grouped).collect();
        form.text(format_args!("  {:<30} {}", shown(label), rows.join(" / ")))?;
    }
    if labels.len() > TOLD {
        let more = grouped(labels.len() - TOLD);
        form.text(format_args!("  … and {more} more; `--json` tells them all"))?;
    }
    Ok(())
}

/// A label on one line, its beginning where it is a long reply.
fn shown(label: &str) -> String {
    let words: Vec<&str> = label.split_whitespace().collect();
    let line: String = words.join(" ").chars().filter(|c| !c.is_control()).collect();
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// Tells what is probably not as the user wants it.
fn tell_notes(summary: &Summary) {
    let empty = summary.splits.iter().filter(|split| split.rows == 0 && split.asked > 0.0);
    for split in empty {
        output::warn(format_args!(
            "`{}` would hold no rows and is not written: there are too few rows or too large groups",
            split.file
        ));
    }
    if summary.rows_without_key > 0 {
        output::note(format_args!(
            "{} without the key of `--group-by`, each taken for a group of its own",
            counted(summary.rows_without_key, "row")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_printed_on_one_line_and_its_beginning_where_it_is_long() {
        assert_eq!(shown("order status"), "order status");
        assert_eq!(shown("é\n\n\u{1b}[2J\té"), "é [2J é");
        assert_eq!(shown(&"é".repeat(60)), "é".repeat(60));
        assert_eq!(shown(&"é".repeat(61)), "é".repeat(60) + "…");
    }

    #[test]
    fn files_of_an_earlier_run_are_told_from_others() {
        let found = |names: &[&str]| foreign(names.iter().map(|name| name.to_string()).collect());
        assert_eq!(found(&[]), None);
        assert_eq!(found(&["train.jsonl", "ledger.jsonl"]), None);
        assert_eq!(found(&["train.jsonl"]).unwrap(), "`train.jsonl` and no `ledger.jsonl`");
        assert_eq!(found(&["ledger.jsonl", "notes.txt"]).unwrap(), "`notes.txt`");
    }
}
