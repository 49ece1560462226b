//! A report as text for people.

use std::fmt::Write;

use crate::comparison::Family;
use crate::report::{Answer, Report};

/// The families of comparisons, each with its heading.
const FAMILIES: [(Family, &str); 2] =
    [(Family::TunedAgainstPrompt, "Differences"), (Family::Within, "Differences within a kind")];

/// The most items listed under a heading.
const LISTED: usize = 10;

/// The most characters of an output or a reference.
const CELL: usize = 60;

const HOW_TO_READ: &str = "\
Every arm answered the same test items, by the same metric and decoding. A score lies between 0 and 1. \
The interval beside it says where the score would lie in 95 of 100 repetitions with other items of this kind.

Arms are compared item by item. A p-value is the chance of a difference as large as this where there is none; \
the adjusted one holds for all comparisons of its table together (Holm), and below 0.05 counts as a difference. \
Intervals of two arms may overlap although the difference between them is certain, because the pairs share \
their items: read the difference and its own interval.

The verdict speaks of the best prompt and the best adapter, and both were picked on these same items, which \
flatters both a little. A figure to promise to others needs items that no choice was made on: neither of the \
prompt, nor of the demonstrations, nor of the adapter or its recipe.

Prompt tokens and seconds are the mean per item; seconds are those of answering all items together on this \
machine, and compare arms of this run only.";

/// The text of `report.md`.
pub(crate) fn markdown(report: &Report) -> String {
    let mut text = format!("# Comparison by {}\n\n", report.metric);
    text.push_str(&format!(
        "**Verdict: {}.** {}.\n\n",
        report.verdict.choice,
        sentence(&report.verdict.why)
    ));
    text.push_str(&format!(
        "Model `{}`, {} items of `{}`, demonstrations and labels from `{}`, seed {}.\n\n## Arms\n\n",
        report.model, report.items, report.test, report.train, report.seed
    ));
    text.push_str(&markdown_table(&ARM_HEADINGS, &arm_rows(report)));
    for (family, heading) in FAMILIES {
        let rows = comparison_rows(report, family);
        if !rows.is_empty() {
            text.push_str(&format!("\n## {heading}\n\n"));
            text.push_str(&markdown_table(&COMPARISON_HEADINGS, &rows));
        }
    }
    text.push_str(&format!("\n## How to read this\n\n{HOW_TO_READ}\n"));
    let mut list = |heading: &str, lines: Vec<String>| {
        if !lines.is_empty() {
            let lines = lines.join("\n- ");
            text.push_str(&format!("\n## {heading}\n\n- {lines}\n"));
        }
    };
    list("Notes", report.notes.clone());
    let adapters = report.adapters.iter();
    let adapters = adapters.map(|adapter| format!("`{}`: `{}`", adapter.name, adapter.path));
    list("Adapters", adapters.collect());
    list("Items on which the arms differ most", differing(report));
    list("Items on which every arm fails", failing(report));
    text
}

/// A table of the arms and their differences, and the verdict, for a terminal.
pub(crate) fn table(report: &Report) -> String {
    let mut text = plain_table(&ARM_HEADINGS, &arm_rows(report));
    for (family, _) in FAMILIES {
        let rows = comparison_rows(report, family);
        if !rows.is_empty() {
            text.push('\n');
            text.push_str(&plain_table(&COMPARISON_HEADINGS, &rows));
        }
    }
    for note in &report.notes {
        text.push_str(&format!("\nnote: {note}"));
    }
    if !report.notes.is_empty() {
        text.push('\n');
    }
    text.push_str(&format!("\n{}: {}\n", report.verdict.choice, report.verdict.why));
    text
}

const ARM_HEADINGS: [&str; 5] = ["arm", "score", "95 % interval", "prompt tokens", "seconds"];
const COMPARISON_HEADINGS: [&str; 6] = ["a", "b", "a − b", "95 % interval", "test", "adjusted p"];

fn arm_rows(report: &Report) -> Vec<[String; 5]> {
    let arms = report.arms.iter();
    arms.map(|arm| {
        [
            arm.name.clone(),
            format!("{:.3}", arm.score),
            format!("{:.3} to {:.3}", arm.ci95.low, arm.ci95.high),
            format!("{:.1}", arm.prompt_tokens_per_item),
            format!("{:.3}", arm.seconds_per_item),
        ]
    })
    .collect()
}

fn comparison_rows(report: &Report, family: Family) -> Vec<[String; 6]> {
    let comparisons = report.comparisons.iter().filter(|c| c.family == family);
    comparisons
        .map(|comparison| {
            let p = comparison.p_adjusted;
            [
                comparison.a.clone(),
                comparison.b.clone(),
                format!("{:+.3}", comparison.difference),
                format!("{:+.3} to {:+.3}", comparison.ci95.low, comparison.ci95.high),
                comparison.test.to_string(),
                match p < 0.001 {
                    true => "< 0.001".to_owned(),
                    false => format!("{p:.3}"),
                },
            ]
        })
        .collect()
}

fn markdown_table<const N: usize>(headings: &[&str; N], rows: &[[String; N]]) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(headings.iter().map(|heading| heading.to_string()).collect());
    text.push_str(&line(headings.iter().map(|_| "---".to_owned()).collect()));
    for row in rows {
        text.push_str(&line(row.iter().map(|cell| cell.replace('|', "\\|")).collect()));
    }
    text
}

fn plain_table<const N: usize>(headings: &[&str; N], rows: &[[String; N]]) -> String {
    let headings: [String; N] = std::array::from_fn(|column| headings[column].to_owned());
    let lines: Vec<&[String; N]> = std::iter::once(&headings).chain(rows).collect();
    let width = |column: usize| {
        let cells = lines.iter().map(|line| line[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let mut text = String::new();
    for line in &lines {
        let cells = line.iter().enumerate();
        let cells: Vec<String> =
            cells.map(|(column, cell)| format!("{cell:width$}", width = width(column))).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// The items whose highest and lowest score lie farthest apart, a line each.
fn differing(report: &Report) -> Vec<String> {
    let spread = |answers: &[Answer]| highest(answers) - lowest(answers);
    listed(report.by_item().filter(|item| spread(item) > 0.0).collect(), spread)
}

/// The items on which no arm scores half, the lowest first, a line each.
fn failing(report: &Report) -> Vec<String> {
    listed(report.by_item().filter(|item| highest(item) < 0.5).collect(), |item| -highest(item))
}

/// The items of the highest rank, in the file's order among equals.
///
/// Where more are equal than fit, they are drawn from all over the file: files are often sorted by answer.
fn listed(mut items: Vec<&[Answer]>, rank: impl Fn(&[Answer]) -> f64) -> Vec<String> {
    items.sort_by(|a, b| rank(b).total_cmp(&rank(a)));
    let last = items.get(LISTED - 1).map(|item| rank(item));
    let above = items.iter().take_while(|item| last.is_some_and(|last| rank(item) > last)).count();
    let equal = items.iter().filter(|item| last.is_none_or(|last| rank(item) == last)).count();
    let room = (LISTED - above).min(equal);
    let spread = (0..room).map(|n| above + n * equal / room);
    let chosen = (0..above).chain(spread).filter_map(|index| items.get(index));
    chosen.map(|item| item_line(item)).collect()
}

fn highest(answers: &[Answer]) -> f64 {
    answers.iter().map(|answer| answer.score).fold(0.0, f64::max)
}

fn lowest(answers: &[Answer]) -> f64 {
    answers.iter().map(|answer| answer.score).fold(f64::INFINITY, f64::min)
}

fn item_line(answers: &[Answer]) -> String {
    let mut line = String::new();
    if let Some(first) = answers.first() {
        line = format!("line {}, reference {}", first.line, quoted(&first.reference));
    }
    for answer in answers {
        let Answer { arm, score, output, .. } = answer;
        // Writing to a string cannot fail.
        let _ = write!(line, "; {arm} {score:.2} {}", quoted(output));
    }
    line
}

/// The text in backticks on one line, cut where it is long.
fn quoted(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ").replace('`', "'");
    let mut cut: String = line.chars().take(CELL).collect();
    if cut.len() < line.len() {
        cut.push('…');
    }
    match cut.is_empty() {
        true => "(nothing)".to_owned(),
        false => format!("`{cut}`"),
    }
}

/// The text with a capital letter, unless it begins with a name in backticks.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_in_a_terminal() {
        let row = |a: &str, b: &str| [a.to_owned(), b.to_owned()];
        let rows = [row("zero-shot", "0.5"), row("é", "0.25")];
        assert_eq!(
            plain_table(&["arm", "score"], &rows),
            "arm        score\nzero-shot  0.5\né          0.25\n"
        );
    }

    #[test]
    fn an_output_is_one_line_and_cut() {
        assert_eq!(quoted(" a\n`b` "), "`a 'b'`");
        assert_eq!(quoted("\n"), "(nothing)");
        assert_eq!(quoted(&"é".repeat(61)), format!("`{}…`", "é".repeat(60)));
    }
}
