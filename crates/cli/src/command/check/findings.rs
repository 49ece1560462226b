//! What the rows would teach, for people and for programs.

use std::path::PathBuf;

use serde_json::{json, Value};
use tunewise_data::quality::{Finding, Found, Place, QualityReport, Severity};

use crate::number::{counted, grouped};
use crate::output::Form;

/// Findings that are printed; the others are named.
const TOLD: usize = 6;
/// Rows of a finding that are printed.
const PLACES: usize = 3;

/// Prints the findings, the most harmful first.
pub fn print(report: &QualityReport, files: &[PathBuf], form: Form) -> std::io::Result<()> {
    form.text(summary(report))?;
    for finding in report.findings.iter().take(TOLD) {
        form.text(format_args!(
            "  {:<9}{}: {} ({}) `{}`",
            finding.code.severity().name(),
            finding.code.title(),
            counted(finding.count, "row"),
            share(finding.count, report.rows),
            finding.code,
        ))?;
        form.text(format_args!("           {}", places(finding, files)))?;
        if let Some(example) = finding.examples.first() {
            form.text(format_args!("           e.g. {example}"))?;
        }
        form.text(format_args!("           {}", finding.code.why()))?;
        form.text(format_args!("           to do: {}", finding.code.advice()))?;
    }
    let rest: Vec<String> = report.findings.iter().skip(TOLD).map(named).collect();
    if !rest.is_empty() {
        form.text(format_args!("  also    {}; `--json` tells them all", rest.join(", ")))?;
    }
    Ok(())
}

fn named(finding: &Finding) -> String {
    format!("{} `{}`", grouped(finding.count), finding.code)
}

fn summary(report: &QualityReport) -> String {
    let good = report.rows - report.harmful_rows;
    let mut parts = vec![format!(
        "{} of {} without an error or a warning",
        grouped(good),
        counted(report.rows, "row")
    )];
    parts.extend(report.labels.map(|labels| counted(labels, "label")));
    let style = |share: f64| format!("replies {:.0} % alike in style", 100.0 * share);
    parts.extend(report.style_consistency.map(style));
    if !report.compared {
        parts.push("too large to compare rows with one another".to_owned());
    }
    format!("quality: {}", parts.join(", "))
}

/// The share of the rows in percent.
pub fn share(count: usize, rows: usize) -> String {
    let percent = 100.0 * count as f64 / rows.max(1) as f64;
    if percent < 0.1 {
        "under 0.1 %".to_owned()
    } else {
        format!("{percent:.1} %")
    }
}

fn places(finding: &Finding, files: &[PathBuf]) -> String {
    let mut shown: Vec<String> =
        finding.rows.iter().take(PLACES).map(|found| row(found, files)).collect();
    if finding.count > PLACES {
        shown.push(format!("and {} more", grouped(finding.count - PLACES)));
    }
    shown.join(", ")
}

fn row(found: &Found, files: &[PathBuf]) -> String {
    match found.other {
        Some(other) if other.file == found.place.file => {
            format!("`{}` like {}", place(found.place, files), other.line)
        }
        Some(other) => format!("`{}` like `{}`", place(found.place, files), place(other, files)),
        None => format!("`{}`", place(found.place, files)),
    }
}

fn place(place: Place, files: &[PathBuf]) -> String {
    let name = files.get(place.file).and_then(|path| path.file_name());
    format!("{}:{}", name.unwrap_or_default().to_string_lossy(), place.line)
}

/// The report for programs.
pub fn to_json(report: &QualityReport, files: &[PathBuf]) -> Value {
    let at = |place: Place| json!({ "file": files.get(place.file), "line": place.line });
    let row = |found: &Found| json!({ "at": at(found.place), "like": found.other.map(at), "score": found.score });
    let finding = |finding: &Finding| {
        json!({
            "code": finding.code.name(),
            "severity": finding.code.severity().name(),
            "title": finding.code.title(),
            "count": finding.count,
            "share": finding.count as f64 / report.rows.max(1) as f64,
            "why": finding.code.why(),
            "advice": finding.code.advice(),
            "examples": finding.examples,
            "rows": finding.rows.iter().map(row).collect::<Vec<_>>(),
        })
    };
    json!({
        "rows": report.rows,
        "harmful_rows": report.harmful_rows,
        "labels": report.labels,
        "style_consistency": report.style_consistency,
        "compared": report.compared,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

/// How many kinds of error there are.
pub fn error_count(report: &QualityReport) -> usize {
    report.findings.iter().filter(|finding| finding.code.severity() == Severity::Error).count()
}
