//! What the rows would teach, for people and for programs.

pub mod grade;

use std::path::PathBuf;

use serde_json::{json, Value};
use tunewise_data::quality::{Finding, Found, Place, QualityReport, Severity};

use crate::number::{counted, grouped};
use crate::output::Form;

/// Findings that are printed; the others are named.
const TOLD: usize = 6;
/// Rows of a finding that are printed.
const PLACES: usize = 3;

/// Prints the grade, the findings, the most harmful first, and what to do first.
pub fn print(report: &QualityReport, files: &[PathBuf], form: Form) -> std::io::Result<()> {
    lines(report, files).iter().try_for_each(|line| form.text(line))
}

/// All of it in less than a screenful of lines, however much was found.
fn lines(report: &QualityReport, files: &[PathBuf]) -> Vec<String> {
    let mut lines = vec![summary(report)];
    lines.extend(report.grade.iter().flat_map(grade::lines));
    let told = report.findings.iter().take(TOLD);
    lines.extend(told.flat_map(|finding| finding_lines(finding, report.rows, files)));
    let rest: Vec<String> = report.findings.iter().skip(TOLD).map(named).collect();
    if !rest.is_empty() {
        lines.push(format!("  also    {}; `--json` tells them all", rest.join(", ")));
    }
    lines.extend(report.grade.iter().flat_map(|grade| grade::plan_lines(grade, files)));
    lines
}

fn finding_lines(finding: &Finding, rows: usize, files: &[PathBuf]) -> Vec<String> {
    let code = finding.code;
    let extent = match finding.is_of_files() {
        true => counted(finding.count, "file"),
        false => format!("{} ({})", counted(finding.count, "row"), share(finding.count, rows)),
    };
    let mut lines = vec![
        format!("  {:<9}{}: {extent} `{code}`", code.severity().name(), code.title()),
        format!("           {}", places(finding, files)),
    ];
    lines.extend(finding.examples.first().map(|example| format!("           e.g. {example}")));
    lines.push(format!("           {}; to do: {}", code.why(), code.advice()));
    lines
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
        Some(other) if other.file == found.place.file && other.line > 0 => {
            format!("`{}` like {}", place(found.place, files), other.line)
        }
        Some(other) => format!("`{}` like `{}`", place(found.place, files), place(other, files)),
        None => format!("`{}`", place(found.place, files)),
    }
}

/// A file and a line, or a file alone, where all of it is meant.
fn place(place: Place, files: &[PathBuf]) -> String {
    let name = files.get(place.file).and_then(|path| path.file_name());
    let name = name.unwrap_or_default().to_string_lossy();
    match place.line {
        0 => name.into_owned(),
        line => format!("{name}:{line}"),
    }
}

/// The report for programs.
pub fn to_json(report: &QualityReport, files: &[PathBuf]) -> Value {
    let at = |place: Place| {
        let line = (place.line > 0).then_some(place.line);
        json!({ "file": files.get(place.file), "line": line })
    };
    let row = |found: &Found| json!({ "at": at(found.place), "like": found.other.map(at), "score": found.score });
    let finding = |finding: &Finding| {
        json!({
            "code": finding.code.name(),
            "severity": finding.code.severity().name(),
            "title": finding.code.title(),
            "count": finding.count,
            "share": (!finding.is_of_files()).then(|| finding.count as f64 / report.rows.max(1) as f64),
            "why": finding.code.why(),
            "advice": finding.code.advice(),
            "examples": finding.examples,
            "rows": finding.rows.iter().map(row).collect::<Vec<_>>(),
        })
    };
    let language = |(name, rows): &(String, usize)| json!({ "name": name, "rows": rows });
    json!({
        "rows": report.rows,
        "harmful_rows": report.harmful_rows,
        "labels": report.labels,
        "languages": report.languages.iter().map(language).collect::<Vec<_>>(),
        "style_consistency": report.style_consistency,
        "compared": report.compared,
        "not_looked_for": report.not_looked_for.iter().map(|code| code.name()).collect::<Vec<_>>(),
        "grade": report.grade.as_ref().map(|grade| grade::to_json(grade, files)),
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

/// How many kinds of error there are.
pub fn error_count(report: &QualityReport) -> usize {
    report.findings.iter().filter(|finding| finding.code.severity() == Severity::Error).count()
}

#[cfg(test)]
mod tests {
    use tunewise_data::quality::{Code, QualityCheck};

    use super::*;

    fn files() -> Vec<PathBuf> {
        ["data/train.jsonl", "data/test.jsonl"].map(PathBuf::from).into()
    }

    fn place(file: usize, line: usize) -> Place {
        Place { file, line }
    }

    fn finding(code: Code, at: Place, other: Option<Place>) -> Finding {
        let found = Found { place: at, other, score: None };
        Finding { code, count: 1, rows: vec![found], examples: Vec::new() }
    }

    fn report(findings: Vec<Finding>) -> QualityReport {
        let mut report = QualityCheck::default().finish();
        report.rows = 24;
        report.harmful_rows = 2;
        report.grade = Some(grade::tests::labelled());
        report.findings = findings;
        report
    }

    #[test]
    fn the_grade_comes_before_the_findings_and_the_plan_behind_them() {
        let mut leak = finding(Code::Leak, place(1, 1), Some(place(0, 4)));
        leak.examples.push("`a` and `b`".to_owned());
        let shift = finding(Code::Shift, place(1, 0), None);
        let expected = "\
quality: 22 of 24 rows without an error or a warning
grade C: 20 of 22 training rows are good, 1 of them nearly repeats another
         2 labels, 1 with 30 such rows or more, 1 with fewer than 10: too few to start (Casanueva et al. 2020: 10 to 30 rows per label; a range, no law: only `tunewise compare` tells)
  error    questions of the training rows in another split: 1 row (4.2 %) `leak`
           `test.jsonl:1` like `train.jsonl:4`
           e.g. `a` and `b`
           the test asks what training told, so its score says nothing about new questions; to do: drop the row from one of the splits
  warning  splits made up otherwise than the training rows: 1 file `shift`
           `test.jsonl`
           the score is of other questions than those that were trained on; to do: draw the splits from one pool: `tunewise prepare` does so label by label
to do first
  1. split anew for 1 row with `leak`: `tunewise prepare` draws the splits from one pool, each question in one of them
  2. correct 3 rows with `cut-off` (+2 good rows); `--drop cut-off` leaves them out
  3. collect 4 more rows, so that each label has 10, or join labels: `a` has 6
  by command: `tunewise prepare --data data/train.jsonl data/test.jsonl --output OUT --drop cut-off`";
        assert_eq!(lines(&report(vec![leak, shift]), &files()).join("\n"), expected);
    }

    #[test]
    fn however_much_is_found_it_fits_a_screen() {
        let mut findings: Vec<Finding> =
            Code::ALL.map(|code| finding(code, place(0, 1), Some(place(0, 2)))).into();
        findings.iter_mut().for_each(|finding| finding.examples.push("`a`".to_owned()));
        let lines = lines(&report(findings), &files());
        assert_eq!(lines.len(), 33);
    }

    #[test]
    fn what_is_about_a_whole_file_has_no_line() {
        let report = report(vec![finding(Code::Shift, place(1, 0), None)]);
        let found = to_json(&report, &files());
        let at = json!({ "file": "data/test.jsonl", "line": null });
        assert_eq!(found["findings"][0]["rows"][0]["at"], at);
        assert_eq!(found["grade"]["letter"], "C");
    }
}
