//! The page of a check: grade, findings, plots and the rows in question, in one file that loads nothing.
//!
//! [`mod@grade`] says what the rows are worth, [`texts`] reads rows again, [`plot`] draws, [`mod@table`] frames the rows;
//! the script fills the table in.

mod grade;
mod plot;
mod table;
mod texts;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tunewise_data::quality::excerpt::is_unseen;
use tunewise_data::quality::{Code, Finding, QualityReport, Severity};
use tunewise_data::ReadOptions;
use tunewise_model::files::write_whole;

use super::findings::share;
use super::survey::Survey;
use crate::destination;
use crate::number::{counted, grouped};
use plot::Bar;
use texts::{Reading, Wanted};

/// What a browser may load for the page: nothing but what stands in it.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'";
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// Labels in their plot at most.
const MOST_LABELS: usize = 30;

/// What the page tells of.
pub struct PageInput<'a> {
    /// What was found.
    pub report: &'a QualityReport,
    /// The data files, in the order in which places count them.
    pub files: &'a [PathBuf],
    /// What each file holds.
    pub surveys: &'a [Survey],
}

/// Writes the page, whole or not at all.
///
/// # Errors
/// When the path is a data file or cannot be written, and when a data file cannot be read again.
pub fn write(path: &Path, input: &PageInput<'_>, rows: &ReadOptions) -> anyhow::Result<()> {
    let read: Vec<&Path> = input.files.iter().map(PathBuf::as_path).collect();
    destination::file("--report", path, &read)?;
    write_whole(path, page(input, rows)?.as_bytes())?;
    Ok(())
}

/// The page as HTML; the rows in it are read from the data files again.
///
/// # Errors
/// When a data file cannot be read again.
pub fn page(input: &PageInput<'_>, rows: &ReadOptions) -> anyhow::Result<String> {
    let shown = table::shown(&input.report.findings);
    let tokens = token_lengths(input.surveys);
    let wanted = Wanted {
        places: table::places(&shown),
        characters: tokens.is_none(),
        labels: input.report.labels.is_some(),
    };
    let reading = Reading::of(input.files, &wanted, rows)?;
    let names = escaped(&names(input.files).join(", "));
    let header = header(input, &names);
    let grade = input.report.grade.as_ref().map(|grade| grade::section(grade, input.files));
    let grade = grade.unwrap_or_default();
    let cards = cards(input.report);
    let plots = plots(input.report, &reading, tokens.as_ref());
    let table = table::table(input.files, &shown);
    let body = format!("{header}<main>\n{grade}{cards}{plots}{table}</main>");
    Ok(document(&names, &body, &table::data(input.files, &shown, &reading.texts)))
}

fn document(names: &str, body: &str, data: &str) -> String {
    format!(
        r#"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Data quality of {names}</title>
<style>
{STYLE}</style>
</head>
<body>
{body}
<script type="application/json" id="data">{data}</script>
<script>
{SCRIPT}</script>
</body>
</html>
"#
    )
}

/// How many training rows there are of each length in tokens; `None` where rows were not tokenized.
fn token_lengths(surveys: &[Survey]) -> Option<BTreeMap<usize, usize>> {
    let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
    for lengths in surveys.iter().filter_map(|survey| survey.lengths.as_ref()) {
        for (length, count) in lengths.by_length() {
            *rows.entry(length).or_default() += count;
        }
    }
    (!rows.is_empty()).then_some(rows)
}

fn names(files: &[PathBuf]) -> Vec<String> {
    let name = |path: &PathBuf| match path.file_name() {
        Some(name) => name.to_string_lossy().into_owned(),
        None => path.display().to_string(),
    };
    files.iter().map(name).collect()
}

fn header(input: &PageInput<'_>, names: &str) -> String {
    let figure =
        |(name, value): (&str, String)| format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n");
    let figures: String = figures(input.report).into_iter().map(figure).collect();
    let file = |survey: &Survey| {
        let path = escaped(&survey.path.display().to_string());
        let rows = counted(survey.rows, "row");
        let format = survey.format.map(|format| format!(", format <code>{format}</code>"));
        format!("<li><code>{path}</code>: {rows}{}</li>\n", format.unwrap_or_default())
    };
    let files: String = input.surveys.iter().map(file).collect();
    format!(
        r#"<header>
<h1>Data quality of <span class="names">{names}</span></h1>
<dl class="figures">
{figures}</dl>
<ul class="files">
{files}</ul>
<p class="aside">Good rows have neither an error nor a warning.</p>
</header>
"#
    )
}

/// What is told at the top: names and values.
fn figures(report: &QualityReport) -> Vec<(&'static str, String)> {
    let good = report.rows - report.harmful_rows;
    let mut figures = vec![
        ("Rows", grouped(report.rows)),
        ("Good rows", format!("{} of {}", grouped(good), grouped(report.rows))),
    ];
    figures.extend(report.labels.map(|labels| ("Labels", grouped(labels))));
    let percent = |share: f64| ("Style consistency", format!("{:.0} %", 100.0 * share));
    figures.extend(report.style_consistency.map(percent));
    if report.languages.len() > 1 {
        let rows = |(name, rows): &(String, usize)| format!("{} {}", escaped(name), grouped(*rows));
        let languages: Vec<String> = report.languages.iter().map(rows).collect();
        figures.push(("Languages", languages.join(", ")));
    }
    let kinds = |severity: Severity| {
        let found = report.findings.iter();
        let count = found.filter(|finding| finding.code.severity() == severity).count();
        (count > 0).then(|| counted(count, severity.name()))
    };
    let kinds = [Severity::Error, Severity::Warning, Severity::Note].map(kinds);
    let kinds: Vec<String> = kinds.into_iter().flatten().collect();
    let findings = if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
    figures.push(("Findings", findings));
    figures
}

fn cards(report: &QualityReport) -> String {
    let found = match report.findings.is_empty() {
        true => "<p>Nothing was found in these rows.</p>\n".to_owned(),
        false => {
            let cards = report.findings.iter().map(|finding| card(finding, report.rows));
            format!("<ol class=\"cards\">\n{}</ol>\n", cards.collect::<String>())
        }
    };
    let compared = match report.compared {
        true => "",
        false => {
            "<p>The set is too large to compare rows with one another, so that duplicates, leaks and \
             contradictions were not looked for.</p>\n"
        }
    };
    format!(
        "<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">Findings, the most harmful first</h2>\n\
         {compared}{found}</section>\n"
    )
}

fn card(finding: &Finding, rows: usize) -> String {
    let code = finding.code;
    let example = |example: &String| {
        let text = match code {
            // These tell the kind of a secret and its beginning already.
            Code::Credential | Code::PersonalData => example.clone(),
            _ => texts::shown(example),
        };
        format!("<li>{}</li>\n", escaped(&text))
    };
    let examples: String = finding.examples.iter().map(example).collect();
    format!(
        r#"<li class="card {severity}">
<p class="severity">{severity}</p>
<h3>{title}</h3>
<p class="count">{extent}</p>
<dl>
<dt>Why it hurts</dt><dd>{why}</dd>
<dt>What to do</dt><dd>{advice}</dd>
</dl>
<details><summary>Examples</summary><ul>
{examples}</ul></details>
<button type="button" data-code="{code}">Rows of <code>{code}</code></button>
</li>
"#,
        severity = code.severity(),
        title = prose(code.title()),
        extent = extent(finding, rows),
        why = prose(code.why()),
        advice = prose(code.advice()),
    )
}

/// How many rows or files it is, and the share of the rows.
fn extent(finding: &Finding, rows: usize) -> String {
    let count = finding.count;
    match finding.is_of_files() {
        true => format!("<strong>{}</strong>", counted(count, "file")),
        false => {
            format!("<strong>{}</strong><span>{}</span>", counted(count, "row"), share(count, rows))
        }
    }
}

fn plots(
    report: &QualityReport,
    reading: &Reading,
    tokens: Option<&BTreeMap<usize, usize>>,
) -> String {
    let mut findings: Vec<Bar> = report.findings.iter().map(finding_bar).collect();
    findings.sort_by_key(|bar| Reverse(bar.count));
    let lengths = match tokens {
        Some(tokens) => plot::histogram("Training rows by length in tokens", tokens),
        None => plot::histogram("Rows by length in characters", &reading.characters),
    };
    let mut labels: Vec<(&String, &usize)> = reading.labels.iter().collect();
    labels.sort_by_key(|(_, count)| Reverse(**count));
    let title = match labels.len() {
        all @ 0..=MOST_LABELS => format!("Training rows of {}", counted(all, "label")),
        all => format!("Training rows of the first {MOST_LABELS} of {} labels", grouped(all)),
    };
    let label = |(name, count): (&String, &usize)| Bar {
        name: name.clone(),
        class: "plain",
        count: *count,
    };
    let labels: Vec<Bar> = labels.into_iter().take(MOST_LABELS).map(label).collect();
    let findings = plot::bars("Rows of each finding", &findings);
    let labels = plot::bars(&title, &labels);
    format!(
        "<section aria-labelledby=\"counts\">\n<h2 id=\"counts\">Counts</h2>\n\
         <div class=\"plots\">\n{findings}{lengths}{labels}</div>\n</section>\n"
    )
}

fn finding_bar(finding: &Finding) -> Bar {
    let code = finding.code;
    Bar { name: code.name().to_owned(), class: code.severity().name(), count: finding.count }
}

/// The text in HTML, with what stands in backticks as code.
fn prose(text: &str) -> String {
    let part = |(at, part): (usize, &str)| match at % 2 {
        0 => escaped(part),
        _ => format!("<code>{}</code>", escaped(part)),
    };
    text.split('`').enumerate().map(part).collect()
}

/// The text as it can stand in an element or a quoted attribute; what no one sees is shown by its number.
fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            '\'' => html.push_str("&#39;"),
            c if is_unseen(c) && !c.is_whitespace() => {
                html.push_str(&format!("⟨{:04X}⟩", u32::from(c)));
            }
            c => html.push(c),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_for_elements_and_attributes() {
        assert_eq!(
            escaped("<a href=\"x\">&'</a>"),
            "&lt;a href=&quot;x&quot;&gt;&amp;&#39;&lt;/a&gt;"
        );
        assert_eq!(escaped("a\u{0}b\u{202e}c\nd"), "a⟨0000⟩b⟨202E⟩c\nd");
    }

    #[test]
    fn what_stands_in_backticks_is_code() {
        assert_eq!(prose("pass `--a <b>`, or not"), "pass <code>--a &lt;b&gt;</code>, or not");
    }
}
