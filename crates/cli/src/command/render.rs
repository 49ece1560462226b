//! `tunewise render`: exactly what the model sees of a row.

use std::ops::ControlFlow;

use anstyle::{AnsiColor, Style};
use serde_json::{json, Value};
use tunewise_data::{DataError, OnBadRow, RenderMode, Rendered, Renderer, Row, RowReader};

use crate::args::RenderArgs;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::model_folder::ModelFolder;
use crate::number::counted;
use crate::output::{self, Form};

/// Prints each row as text and ids, supervised tokens marked; with `--json` a line of JSON for each.
///
/// # Errors
/// When the model's files or a row cannot be read or rendered.
pub fn run(args: &RenderArgs, form: Form) -> anyhow::Result<Exit> {
    let renderer = ModelFolder::at(&args.model)?.renderer()?;
    let options = if args.generation_prompt { args.rows.asked() } else { args.rows.answered() };
    let mut reader = RowReader::open(&args.data, &options)?;
    let marks = Marks::for_output();
    let mut printed = 0;
    let mut skipped = 0;
    let work = |row: Row| {
        let line = row.example.line;
        let asked = args.line.is_none_or(|asked| asked == line);
        asked.then(|| rendered(args, &renderer, &row).map(|rows| (line, rows)))
    };
    reader.for_each(work, |row| -> anyhow::Result<ControlFlow<()>> {
        match row {
            Ok(None) => {}
            Ok(Some(row)) => {
                let (line, rows) = row?;
                for rendered in rows {
                    print(line, &rendered, &marks, form)?;
                }
                printed += 1;
                if args.line.is_some() {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Err(error) if passes(args, &error, options.on_bad_row) => skipped += 1,
            Err(error) => return Err(error.into()),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    if skipped > 0 && args.line.is_none() {
        output::warn(format_args!("{} skipped", counted(skipped, "bad row")));
    }
    match (printed, args.line) {
        (0, Some(line)) => Err(no_row(args, line, reader.rows_read()).into()),
        (0, None) => Err(DataError::NoRows { path: args.data.clone(), skipped }.into()),
        _ => Ok(Exit::Done),
    }
}

/// Whether a bad row is passed over: where bad rows are skipped, and where another line was asked for.
fn passes(args: &RenderArgs, error: &DataError, on_bad_row: OnBadRow) -> bool {
    match (error, args.line) {
        (DataError::Row { line, .. }, Some(asked)) => *line != asked,
        (DataError::Row { .. }, None) => on_bad_row == OnBadRow::Skip,
        _ => false,
    }
}

fn rendered(args: &RenderArgs, renderer: &Renderer, row: &Row) -> Result<Vec<Rendered>, DataError> {
    let rendered = match args.generation_prompt {
        true => {
            renderer.render(&row.example, RenderMode::GenerationPrompt).map(|prompt| vec![prompt])
        }
        false => renderer.render_training(&row.example, args.train_on),
    };
    rendered.map_err(|error| error.in_file(&args.data))
}

fn no_row(args: &RenderArgs, line: usize, rows: usize) -> Problem {
    let path = args.data.display();
    Problem::with_hint(
        format!("`{path}` has no row on line {line}"),
        format!(
            "it has {}; lines are counted from 1, and blank ones hold no row",
            counted(rows, "row")
        ),
    )
}

fn print(line: usize, rendered: &Rendered, marks: &Marks, form: Form) -> anyhow::Result<()> {
    let supervised = rendered.supervised.iter().filter(|supervised| **supervised).count();
    let ids = counted(rendered.ids.len(), "token");
    form.text(format_args!(
        "line {line}: {ids}, {supervised} of them supervised{}",
        marks.legend(supervised)
    ))?;
    form.text(marks.text(rendered))?;
    form.text(format_args!("ids: {}\n", marks.ids(rendered)))?;
    form.json(&to_json(line, rendered))?;
    Ok(())
}

fn to_json(line: usize, rendered: &Rendered) -> Value {
    let supervised = rendered.supervised.iter().enumerate().filter(|(_, supervised)| **supervised);
    let supervised: Vec<usize> = supervised.map(|(index, _)| index).collect();
    json!({ "line": line, "text": rendered.text, "ids": rendered.ids, "supervised": supervised })
}

/// What stands before and after supervised tokens: a colour, or quotation marks where there is none.
struct Marks {
    open: String,
    close: String,
    coloured: bool,
}

impl Marks {
    fn for_output() -> Marks {
        if output::shows_colour() {
            let style = Style::new().fg_color(Some(AnsiColor::Green.into())).bold();
            return Marks {
                open: style.render().to_string(),
                close: style.render_reset().to_string(),
                coloured: true,
            };
        }
        Marks { open: "«".into(), close: "»".into(), coloured: false }
    }

    fn legend(&self, supervised: usize) -> &'static str {
        match (supervised, self.coloured) {
            (0, _) => "",
            (_, true) => " (green)",
            (_, false) => " (in «»)",
        }
    }

    /// The text with each run of supervised tokens marked.
    fn text(&self, rendered: &Rendered) -> String {
        let text = &rendered.text;
        let mut marked = String::with_capacity(text.len() + 16);
        let mut end = 0;
        for (first, last) in runs(&rendered.supervised) {
            let from = rendered.offsets.get(first).map_or(end, |offsets| border(text, offsets.0));
            let to = rendered.offsets.get(last).map_or(from, |offsets| border(text, offsets.1));
            let (from, to) = (from.max(end), to.max(end));
            marked.push_str(&text[end..from]);
            marked.extend([self.open.as_str(), &text[from..to], self.close.as_str()]);
            end = to;
        }
        marked.push_str(&text[end..]);
        marked
    }

    /// The ids with each run of supervised tokens marked.
    fn ids(&self, rendered: &Rendered) -> String {
        let words: Vec<String> = rendered.ids.iter().map(u32::to_string).collect();
        let mut parts = Vec::new();
        let mut end = 0;
        for (first, last) in runs(&rendered.supervised) {
            parts.extend(words.iter().take(first).skip(end).cloned());
            let run: Vec<&str> =
                words.iter().take(last + 1).skip(first).map(String::as_str).collect();
            parts.push(format!("{}{}{}", self.open, run.join(" "), self.close));
            end = last + 1;
        }
        parts.extend(words.iter().skip(end).cloned());
        parts.join(" ")
    }
}

/// First and last token of each run of supervised tokens.
fn runs(supervised: &[bool]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (index, _) in supervised.iter().enumerate().filter(|(_, supervised)| **supervised) {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == index => *last = index,
            _ => runs.push((index, index)),
        }
    }
    runs
}

/// The nearest place at or before `offset` where a character begins: a token may be a part of one.
fn border(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotes() -> Marks {
        Marks { open: "«".into(), close: "»".into(), coloured: false }
    }

    #[test]
    fn supervised_runs_are_marked_in_text_and_ids() {
        let rendered = Rendered {
            text: "ask: ok then".into(),
            ids: vec![4, 5, 6, 7],
            supervised: vec![false, true, true, false],
            offsets: vec![(0, 4), (4, 5), (5, 7), (7, 12)],
        };
        assert_eq!(quotes().text(&rendered), "ask:« ok» then");
        assert_eq!(quotes().ids(&rendered), "4 «5 6» 7");
        assert_eq!(to_json(3, &rendered)["supervised"], json!([1, 2]));
    }

    #[test]
    fn a_token_that_is_part_of_a_character_does_not_split_it() {
        let rendered = Rendered {
            text: "aé".into(),
            ids: vec![1, 2, 3],
            supervised: vec![false, false, true],
            offsets: vec![(0, 1), (1, 2), (2, 3)],
        };
        assert_eq!(quotes().text(&rendered), "a«é»");
    }
}
