//! The rows of a run, checked before they are tokenized: what the check found, and whether it stops the run.

use std::fmt::{self, Display};
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};
use tunewise_data::quality::{check_files, Code, Finding, QualityReport, Severity};
use tunewise_data::{ReadOptions, SplitFiles};

use crate::error::{Result, TrainError};
use crate::recipe::Recipe;
use crate::record::{Event, Observer};

/// Findings that are told with their first rows; further ones are counted.
const TOLD: usize = 3;

/// What becomes of a run whose rows have findings of severity error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FaultyRows {
    /// It is refused.
    #[default]
    Refuse,
    /// It trains on them; the model card says so.
    TrainAnyway,
}

/// What the check of a run's rows found.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CheckedRows {
    /// Rows that were checked, of the training and the valid split.
    pub rows_checked: usize,
    /// Whether they were compared with one another; a set of many gigabytes is too large for that.
    pub rows_compared: bool,
    /// What was found, the most harmful first.
    pub findings: Vec<RowFinding>,
}

/// Something that was found in some rows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RowFinding {
    /// What it is.
    #[serde(serialize_with = "as_name")]
    pub code: Code,
    /// How much it matters.
    #[serde(serialize_with = "as_name")]
    pub severity: Severity,
    /// How many rows.
    pub count: usize,
    /// Their share of the rows that were checked.
    pub share: Option<f64>,
    /// File and line of the first of them.
    #[serde(skip)]
    pub first: String,
}

impl CheckedRows {
    /// What the check finds in the training and the valid split.
    pub(crate) fn of(files: &SplitFiles, options: &ReadOptions) -> Result<Self> {
        let paths: Vec<PathBuf> =
            std::iter::once(&files.train).chain(&files.valid).cloned().collect();
        let report = check_files(&paths, options)?;
        let finding = |finding: &Finding| RowFinding::of(finding, &report, &paths);
        Ok(Self {
            rows_checked: report.rows,
            rows_compared: report.compared,
            findings: report.findings.iter().map(finding).collect(),
        })
    }

    /// Nothing, where the run may go on; errors that do not stop it and warnings are told.
    pub(crate) fn judge(
        &self,
        faulty: FaultyRows,
        command: &str,
        observer: &mut Observer<'_>,
    ) -> Result<()> {
        let [errors, warnings] =
            [Severity::Error, Severity::Warning].map(|severity| self.of_severity(severity));
        if faulty == FaultyRows::Refuse && !errors.is_empty() {
            return Err(TrainError::FaultyRows { command: command.into(), findings: errors });
        }
        let more = format!("`{command}` tells more");
        if !errors.is_empty() {
            let (have, placed) = (have(&errors, Severity::Error), placed(&errors));
            observer(Event::Notice(&format!(
                "{have}: {placed}; a run without `--force` stops at them; {more}"
            )));
        }
        if !warnings.is_empty() {
            let have = have(&warnings, Severity::Warning);
            let named = warnings.iter().map(|found| format!("{} `{}`", found.count, found.code));
            let named = named.collect::<Vec<_>>().join(", ");
            observer(Event::Notice(&format!("{have}: {named}; {more}")));
        }
        if !self.rows_compared {
            observer(Event::Notice(
                "the rows are too many to be compared with one another: repetition and leaks were not looked for",
            ));
        }
        Ok(())
    }

    /// Whether there is a finding of severity error, which the run was told to train on.
    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }

    fn of_severity(&self, severity: Severity) -> Vec<RowFinding> {
        self.findings.iter().filter(|finding| finding.severity == severity).cloned().collect()
    }
}

impl RowFinding {
    fn of(finding: &Finding, report: &QualityReport, files: &[PathBuf]) -> Self {
        let place = finding.rows.first().map(|found| found.place);
        let first = place.and_then(|place| Some((files.get(place.file)?, place.line)));
        Self {
            code: finding.code,
            severity: finding.code.severity(),
            count: finding.count,
            share: (!finding.is_of_files())
                .then(|| finding.count as f64 / report.rows.max(1) as f64),
            first: first.map_or(String::new(), |(path, line)| match line {
                0 => path.display().to_string(),
                line => format!("{}:{line}", path.display()),
            }),
        }
    }
}

impl RowFinding {
    /// What its count counts.
    pub(crate) fn unit(&self) -> &'static str {
        match self.share {
            Some(_) => "row",
            None => "file",
        }
    }
}

impl Display for RowFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { code, count, first, .. } = self;
        let at = if *count == 1 { "at" } else { "first at" };
        let extent = counted(*count, self.unit());
        write!(f, "{extent} `{code}` ({}) {at} `{first}`", code.title())
    }
}

/// The command that tells more of the rows that a recipe names.
pub(crate) fn check_command(recipe: &Recipe, data: &Path) -> String {
    let mut words = vec!["tunewise check --data".to_owned(), word(&data.display().to_string())];
    if recipe.is_explicit("data_format") {
        let format = serde_json::to_value(recipe.data_format).unwrap_or_default();
        let format = format.as_str().unwrap_or("auto");
        words.push(format!("--data-format {format}"));
    }
    let features = [
        ("--prompt-feature", &recipe.prompt_feature),
        ("--completion-feature", &recipe.completion_feature),
        ("--text-feature", &recipe.text_feature),
    ];
    for (flag, feature) in features {
        words.extend(feature.iter().map(|feature| format!("{flag} {}", word(feature))));
    }
    words.join(" ")
}

/// A word of a command line, in quotes where it has blanks.
fn word(text: &str) -> String {
    match text.contains(char::is_whitespace) {
        true => format!("'{text}'"),
        false => text.to_owned(),
    }
}

/// How many findings of a severity the rows have.
pub(crate) fn have(findings: &[RowFinding], severity: Severity) -> String {
    format!("the rows have {} of severity {severity}", counted(findings.len(), "finding"))
}

/// The first findings with a place of each, and how many more there are.
pub(crate) fn placed(findings: &[RowFinding]) -> String {
    let shown: Vec<String> = findings.iter().take(TOLD).map(ToString::to_string).collect();
    match findings.len().saturating_sub(TOLD) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

/// The number and its noun, in the plural unless it is 1.
pub(crate) fn counted(number: usize, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{ending}")
}

fn as_name<T: Display, S: Serializer>(
    value: &T,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(code: Code, count: usize) -> RowFinding {
        let (severity, share) = (code.severity(), Some(count as f64 / 8.0));
        RowFinding { code, severity, count, share, first: "d/valid.jsonl:2".into() }
    }

    fn checked(findings: &[RowFinding]) -> CheckedRows {
        CheckedRows { rows_checked: 8, rows_compared: true, findings: findings.to_vec() }
    }

    /// What a run that goes on is told.
    fn notices(checked: &CheckedRows, faulty: FaultyRows) -> Vec<String> {
        let mut notices = Vec::new();
        let mut note = |event: Event<'_>| {
            if let Event::Notice(text) = event {
                notices.push(text.to_owned());
            }
        };
        checked.judge(faulty, "tunewise check --data d", &mut note).unwrap();
        notices
    }

    #[test]
    fn errors_are_refused_by_name_and_place_and_further_ones_are_counted() {
        let codes = [
            (Code::EmptyTurn, 3),
            (Code::ToolArguments, 1),
            (Code::Leak, 2),
            (Code::Credential, 1),
        ];
        let checked = checked(&codes.map(|(code, count)| found(code, count)));
        let error =
            checked.judge(FaultyRows::Refuse, "tunewise check --data d", &mut |_| {}).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the rows have 4 findings of severity error, expected none: 3 rows `empty-turn` (turns without words) \
             first at `d/valid.jsonl:2`; 1 row `tool-arguments` (tool calls whose arguments are no JSON object) at \
             `d/valid.jsonl:2`; 2 rows `leak` (questions of the training rows in another split) first at \
             `d/valid.jsonl:2`; and 1 more"
        );
        assert_eq!(
            error.hint().unwrap(),
            "mend them (`tunewise check --data d` tells more), or pass `--force` to train anyway"
        );
        assert!(!error.is_failed_check());
    }

    #[test]
    fn errors_that_do_not_stop_the_run_and_warnings_are_told_and_notes_are_not() {
        let codes = [(Code::Leak, 1), (Code::PersonalData, 5), (Code::Duplicate, 2)];
        let all = codes.into_iter().chain([(Code::NearDuplicate, 4)]);
        let all: Vec<RowFinding> = all.map(|(code, count)| found(code, count)).collect();
        let warning =
            "the rows have 2 findings of severity warning: 5 `personal-data`, 2 `duplicate`; \
             `tunewise check --data d` tells more";
        assert_eq!(notices(&checked(&all[1..]), FaultyRows::Refuse), [warning]);
        let error =
            "the rows have 1 finding of severity error: 1 row `leak` (questions of the training rows in \
             another split) at `d/valid.jsonl:2`; a run without `--force` stops at them; `tunewise check \
             --data d` tells more";
        assert_eq!(notices(&checked(&all), FaultyRows::TrainAnyway), [error, warning]);
        assert_eq!(notices(&checked(&all[3..]), FaultyRows::Refuse), [""; 0]);
    }

    #[test]
    fn the_command_that_tells_more_reads_the_rows_as_the_recipe_does() {
        let recipe = "data_format: prompt-completion\nprompt_feature: my question\n";
        let recipe = Recipe::from_yaml(recipe, "r").unwrap();
        assert_eq!(
            check_command(&recipe, Path::new("d/rows")),
            "tunewise check --data d/rows --data-format prompt-completion --prompt-feature 'my question'"
        );
    }

    #[test]
    fn a_finding_is_code_severity_count_and_share_to_programs() {
        let json = serde_json::to_value(checked(&[found(Code::Duplicate, 2)])).unwrap();
        let finding =
            json!({ "code": "duplicate", "severity": "warning", "count": 2, "share": 0.25 });
        let expected = json!({ "rows_checked": 8, "rows_compared": true, "findings": [finding] });
        assert_eq!(json, expected);
    }

    #[test]
    fn both_splits_are_checked_and_a_finding_names_its_first_row() {
        let dir = tempfile::tempdir().unwrap();
        let place = |name: &str| dir.path().join(name);
        let row = "{\"text\": \"the parcel that I ordered from your shop is on its way\"}\n";
        std::fs::write(place("train.jsonl"), row).unwrap();
        std::fs::write(place("valid.jsonl"), format!("{{\"text\": \"a short one\"}}\n{row}"))
            .unwrap();
        let files = SplitFiles {
            train: place("train.jsonl"),
            valid: Some(place("valid.jsonl")),
            test: None,
        };
        let checked = CheckedRows::of(&files, &ReadOptions::default()).unwrap();
        assert_eq!((checked.rows_checked, checked.rows_compared), (3, true));
        assert!(checked.has_errors());
        let leak = &checked.findings[0];
        assert_eq!((leak.code, leak.count, leak.share), (Code::Leak, 1, Some(1.0 / 3.0)));
        assert_eq!(leak.first, format!("{}:2", place("valid.jsonl").display()));
        let alone = SplitFiles { valid: None, ..files };
        let alone = CheckedRows::of(&alone, &ReadOptions::default()).unwrap();
        assert_eq!((alone.rows_checked, alone.has_errors()), (1, false));
    }
}
