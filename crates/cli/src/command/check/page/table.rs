//! The table of the rows in question: its frame, and what the script fills it with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::{json, Value};
use tunewise_data::quality::{Finding, Found, Place};

use super::texts::{RowText, MOST_CHARACTERS};
use super::{escaped, names};
use crate::number::{counted, grouped};

/// Rows at most; a row counts once for each of its findings.
const MOST_ROWS: usize = 2000;
const COLUMNS: [&str; 7] = ["severity", "finding", "file", "line", "score", "question", "answer"];

/// A finding and those of its rows that are in the page.
pub struct Shown<'a> {
    finding: &'a Finding,
    rows: &'a [Found],
}

impl Shown<'_> {
    fn left_out(&self) -> usize {
        self.finding.count - self.rows.len()
    }
}

/// The first rows of each finding, as many as the page has room for.
pub fn shown<'a>(findings: &'a [Finding]) -> Vec<Shown<'a>> {
    let counts: Vec<usize> = findings.iter().map(|finding| finding.rows.len()).collect();
    let shown = |(finding, share): (&'a Finding, usize)| Shown {
        finding,
        rows: finding.rows.get(..share).unwrap_or_default(),
    };
    findings.iter().zip(shares(&counts, MOST_ROWS)).map(shown).collect()
}

/// How many of each count there is room for: small ones whole, and as many of one large one as of another.
fn shares(counts: &[usize], room: usize) -> Vec<usize> {
    let mut order: Vec<(usize, usize)> = counts.iter().copied().enumerate().collect();
    order.sort_by_key(|(_, count)| *count);
    let mut left = room;
    let mut shares = vec![0; counts.len()];
    for (passed, (at, count)) in order.iter().enumerate() {
        shares[*at] = (left / (order.len() - passed)).min(*count);
        left -= shares[*at];
    }
    shares
}

/// The rows that are shown, and those that they are about.
pub fn places(shown: &[Shown<'_>]) -> BTreeSet<Place> {
    let found = shown.iter().flat_map(|shown| shown.rows);
    found.flat_map(|found| [Some(found.place), found.other]).flatten().collect()
}

/// The table without its rows, as HTML; nothing where there are none.
pub fn table(files: &[PathBuf], shown: &[Shown<'_>]) -> String {
    if shown.is_empty() {
        return String::new();
    }
    let head = |key: &str| {
        format!(
            "<th scope=\"col\" class=\"{key}\" aria-sort=\"none\">\
             <button type=\"button\" data-key=\"{key}\">{key}</button></th>"
        )
    };
    let heads = COLUMNS.map(head).concat();
    let filters = filters(files, shown);
    let extent = extent(shown);
    format!(
        r#"<section id="rows" aria-labelledby="rows-title">
<h2 id="rows-title">Rows with findings</h2>
<p>{extent}</p>
<noscript><p>The table is made by a script, which this browser does not run.</p></noscript>
{filters}<p id="status" role="status"></p>
<table>
<thead><tr>{heads}</tr></thead>
<tbody id="lines"></tbody>
</table>
<button type="button" id="more" hidden>Show more rows</button>
</section>
"#
    )
}

fn filters(files: &[PathBuf], shown: &[Shown<'_>]) -> String {
    let code = |shown: &Shown<'_>| {
        let (code, count) = (shown.finding.code, grouped(shown.finding.count));
        format!("<option value=\"{code}\">{code} ({count})</option>")
    };
    let codes: String = shown.iter().map(code).collect();
    let file = |(number, name): (usize, String)| {
        format!("<option value=\"{number}\">{}</option>", escaped(&name))
    };
    let files: String = names(files).into_iter().enumerate().map(file).collect();
    let choice = |name: &str, id: &str, options: &str| {
        format!("<label>{name} <select id=\"{id}\"><option value=\"\">all</option>{options}</select></label>\n")
    };
    let severities = ["error", "warning", "note"].map(|name| format!("<option>{name}</option>"));
    format!(
        r#"<div class="filters" role="group" aria-label="Filters">
{severity}{finding}{file}<label>Text <input type="search" id="by-text" autocomplete="off" spellcheck="false"></label>
<button type="button" id="clear">Clear the filters</button>
</div>
"#,
        severity = choice("Severity", "by-severity", &severities.concat()),
        finding = choice("Finding", "by-code", &codes),
        file = choice("File", "by-file", &files),
    )
}

/// How much of what was found is in the page.
fn extent(shown: &[Shown<'_>]) -> String {
    let here: usize = shown.iter().map(|shown| shown.rows.len()).sum();
    let left: usize = shown.iter().map(Shown::left_out).sum();
    let rows = match left {
        0 => format!("{} in all", counted(here, "row")),
        _ => format!(
            "{} of {} are in this page, {} left out",
            grouped(here),
            counted(here + left, "row"),
            grouped(left)
        ),
    };
    format!(
        "{rows}; a row counts once for each of its findings. Texts are cut to {MOST_CHARACTERS} characters, \
         and secrets in them to their kind and beginning. Open a row to read it, beside the row that it is about."
    )
}

/// What the script reads, as JSON in which no text ends or begins an element.
pub fn data(files: &[PathBuf], shown: &[Shown<'_>], texts: &BTreeMap<Place, RowText>) -> String {
    let numbered = texts.keys().enumerate();
    let numbers: BTreeMap<Place, usize> =
        numbered.map(|(number, place)| (*place, number)).collect();
    let number = |place: Place| numbers.get(&place).copied();
    let mut rows = Vec::new();
    for (finding, shown) in shown.iter().enumerate() {
        for found in shown.rows {
            rows.push(json!({
                "finding": finding,
                "text": number(found.place),
                "other": found.other.and_then(number),
                "score": found.score,
            }));
        }
    }
    let finding = |shown: &Shown<'_>| {
        let code = shown.finding.code;
        json!({
            "code": code.name(),
            "severity": code.severity().name(),
            "left_out": shown.left_out(),
        })
    };
    let findings: Vec<Value> = shown.iter().map(finding).collect();
    let texts: Vec<Value> = texts.iter().map(|(place, text)| text.to_json(*place)).collect();
    let data = json!({
        "files": names(files),
        "findings": findings,
        "texts": texts,
        "rows": rows,
    });
    embedded(&data)
}

fn embedded(data: &Value) -> String {
    let escapes = [
        ("<", "\\u003c"),
        (">", "\\u003e"),
        ("&", "\\u0026"),
        ("\u{2028}", "\\u2028"),
        ("\u{2029}", "\\u2029"),
    ];
    // Such characters stand inside strings only.
    escapes.into_iter().fold(data.to_string(), |json, (raw, escape)| json.replace(raw, escape))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_findings_are_shown_whole_and_large_ones_share_the_room() {
        assert_eq!(shares(&[900, 3, 0, 40], 100), [57, 3, 0, 40]);
        assert_eq!(shares(&[900, 3, 800], 100), [49, 3, 48]);
        assert_eq!(shares(&[900, 3], 1000), [900, 3]);
        assert_eq!(shares(&[], 100), Vec::<usize>::new());
    }

    #[test]
    fn embedded_json_holds_no_mark_and_says_the_same() {
        let data = json!({ "a": "</script><script>&amp;\u{2028}\u{2029}" });
        let json = embedded(&data);
        assert!(!json.contains(['<', '>', '&', '\u{2028}', '\u{2029}']), "{json}");
        assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), data);
    }
}
