//! What to do first: the findings that cost the most, and the rows that are missing.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::prepare::droppable;
use crate::quality::finding::{Code, Finding, Severity};

/// Steps of a plan at most.
const MOST_STEPS: usize = 5;
/// Labels that a step names; the others are counted.
const NAMED_LABELS: usize = 5;

/// What helps against a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Mend the lines, or leave them out.
    Skip,
    /// Draw the splits from one pool, each question in one of them.
    Split,
    /// The same, with what belongs together in one split.
    Group,
    /// Keep one row of those that are the same.
    Dedupe,
    /// Put placeholders in the place of secrets.
    Redact,
    /// Correct the rows, or leave out those with this code.
    Drop(Code),
    /// Look at the rows: no command helps.
    Hand,
    /// Collect more rows.
    Collect,
}

impl Remedy {
    fn of(code: Code) -> Remedy {
        match code {
            Code::Unreadable | Code::UnknownRole | Code::MixedFormats | Code::NoAnswer => {
                Remedy::Skip
            }
            Code::Leak | Code::NearLeak | Code::Shift => Remedy::Split,
            Code::GroupLeak => Remedy::Group,
            Code::Duplicate => Remedy::Dedupe,
            Code::Credential | Code::PersonalData => Remedy::Redact,
            code if droppable().any(|other| other == code) => Remedy::Drop(code),
            _ => Remedy::Hand,
        }
    }
}

/// A thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// What helps.
    pub remedy: Remedy,
    /// The finding; `None` where rows are to be collected.
    pub code: Option<Code>,
    /// How many rows it was found in, in all files, or how many are to be collected.
    pub rows: usize,
    /// What `rows` counts: `row`, or `file` where the finding is about whole files.
    pub unit: &'static str,
    /// Training rows that would be good if this were mended and nothing else; those that can only go do not count.
    pub gain: usize,
    /// What to do, in words.
    pub advice: String,
}

impl Step {
    fn of(finding: &Finding, gains: &BTreeMap<Code, usize>) -> Step {
        let code = finding.code;
        let remedy = Remedy::of(code);
        let gain = match remedy {
            Remedy::Split | Remedy::Group | Remedy::Dedupe => 0,
            _ => gains.get(&code).copied().unwrap_or(0),
        };
        Step {
            remedy,
            code: Some(code),
            rows: finding.count,
            unit: if finding.is_of_files() { "file" } else { "row" },
            gain,
            advice: code.advice().to_owned(),
        }
    }

    /// The step that ends in enough rows, where fewer are there than are needed.
    pub(super) fn collect(have: usize, need: usize) -> Option<Step> {
        let rows = need.checked_sub(have).filter(|rows| *rows > 0)?;
        let more = if rows == 1 { "row" } else { "rows" };
        Some(Step::collecting(
            rows,
            format!("collect {rows} more {more} like the good ones, of which {need} are needed"),
        ))
    }

    /// The same for labels, of each of which as many rows are needed.
    pub(super) fn collect_labels(names: &[String], have: &[usize], need: usize) -> Option<Step> {
        let labels = have.iter().copied().zip(names);
        let mut short: Vec<(usize, &String)> = labels.filter(|(have, _)| *have < need).collect();
        short.sort_unstable();
        let rows: usize = short.iter().map(|(have, _)| need - have).sum();
        if rows == 0 {
            return None;
        }
        let named = short.iter().take(NAMED_LABELS);
        let mut told: Vec<String> =
            named.map(|(have, name)| format!("`{name}` has {have}")).collect();
        if short.len() > NAMED_LABELS {
            told.push(format!("and {} more", short.len() - NAMED_LABELS));
        }
        let more = if rows == 1 { "row" } else { "rows" };
        let advice = format!(
            "collect {rows} more {more}, so that each label has {need}, or join labels: {}",
            told.join(", ")
        );
        Some(Step::collecting(rows, advice))
    }

    fn collecting(rows: usize, advice: String) -> Step {
        Step { remedy: Remedy::Collect, code: None, rows, unit: "row", gain: rows, advice }
    }
}

/// Errors first, in the order of their harm; then what spoils the most rows.
fn rank(step: &Step, spoiled: &BTreeMap<Code, usize>) -> (bool, Reverse<usize>, Option<Code>) {
    let rows = |code| spoiled.get(&code).copied().unwrap_or(0);
    match step.code.map(Code::severity) {
        Some(Severity::Error) => (false, Reverse(0), step.code),
        _ => (true, Reverse(step.code.map_or(0, rows)), step.code),
    }
}

/// What to do first against errors and warnings, and at last the rows to be collected.
///
/// `gains` tells how many training rows have that error or warning and no other.
pub(super) fn steps(
    findings: &[Finding],
    gains: &BTreeMap<Code, usize>,
    collect: Option<Step>,
) -> Vec<Step> {
    let harmful = findings.iter().filter(|finding| finding.code.severity() != Severity::Note);
    let mut steps: Vec<Step> = harmful.map(|finding| Step::of(finding, gains)).collect();
    steps.sort_by_key(|step| rank(step, gains));
    steps.truncate(MOST_STEPS - usize::from(collect.is_some()));
    steps.extend(collect);
    steps
}

/// The flags that tell `tunewise prepare` to do these steps; `None` where it helps with none of them.
pub(super) fn flags(steps: &[Step], unread: usize) -> Option<Vec<String>> {
    let helps = |step: &&Step| !matches!(step.remedy, Remedy::Hand | Remedy::Collect);
    let remedies: Vec<Remedy> = steps.iter().filter(helps).map(|step| step.remedy).collect();
    if remedies.is_empty() {
        return None;
    }
    let mut flags: Vec<&str> = Vec::new();
    if unread > 0 {
        flags.extend(["--on-bad-row", "skip"]);
    }
    if remedies.contains(&Remedy::Group) {
        flags.extend(["--group-by", "KEY"]);
    }
    if remedies.contains(&Remedy::Dedupe) {
        flags.extend(["--dedupe", "near"]);
    }
    if remedies.contains(&Remedy::Redact) {
        flags.push("--redact");
    }
    let dropped = |remedy: &Remedy| match remedy {
        Remedy::Drop(code) => Some(code.name()),
        _ => None,
    };
    let codes = remedies.iter().filter_map(dropped).collect::<Vec<_>>().join(",");
    if !codes.is_empty() {
        flags.extend(["--drop", codes.as_str()]);
    }
    Some(flags.into_iter().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quality::finding::{Found, Place};

    fn finding(code: Code, count: usize, line: usize) -> Finding {
        let found = Found { place: Place { file: 0, line }, other: None, score: None };
        Finding { code, count, rows: vec![found], examples: Vec::new() }
    }

    fn plan(found: &[(Code, usize)], gains: &[(Code, usize)], collect: Option<Step>) -> Vec<Step> {
        let findings: Vec<Finding> =
            found.iter().map(|(code, count)| finding(*code, *count, 1)).collect();
        steps(&findings, &gains.iter().copied().collect(), collect)
    }

    fn codes(steps: &[Step]) -> Vec<Option<Code>> {
        steps.iter().map(|step| step.code).collect()
    }

    #[test]
    fn errors_come_first_and_then_what_spoils_the_most_rows() {
        let found = [
            (Code::Leak, 3),
            (Code::Credential, 9),
            (Code::SuspectLabel, 40),
            (Code::CutOff, 60),
            (Code::Duplicate, 500),
            (Code::NearDuplicate, 900),
        ];
        let gains = [
            (Code::Credential, 8),
            (Code::SuspectLabel, 30),
            (Code::CutOff, 55),
            (Code::Duplicate, 499),
        ];
        let steps = plan(&found, &gains, None);
        let order =
            [Code::Leak, Code::Credential, Code::Duplicate, Code::CutOff, Code::SuspectLabel];
        assert_eq!(codes(&steps), order.map(Some));
        assert_eq!(steps.iter().map(|step| step.gain).collect::<Vec<_>>(), [0, 8, 0, 55, 30]);
        assert_eq!(steps.iter().map(|step| step.rows).collect::<Vec<_>>(), [3, 9, 500, 60, 40]);
    }

    #[test]
    fn a_plan_has_five_steps_and_ends_in_what_is_missing() {
        let found = [
            Code::Unreadable,
            Code::EmptyTurn,
            Code::Leak,
            Code::Mojibake,
            Code::CutOff,
            Code::Boilerplate,
        ]
        .map(|code| (code, 1));
        assert_eq!(plan(&found, &[], None).len(), 5);
        let steps = plan(&found, &[], Step::collect(38, 50));
        let first = [Code::Unreadable, Code::EmptyTurn, Code::Leak, Code::Mojibake].map(Some);
        assert_eq!(codes(&steps)[..4], first);
        let last = steps.last().unwrap();
        assert_eq!((last.code, last.rows, last.gain), (None, 12, 12));
        assert_eq!(last.advice, "collect 12 more rows like the good ones, of which 50 are needed");
        assert_eq!(Step::collect(50, 50), None);
    }

    #[test]
    fn labels_that_are_short_of_rows_are_named_the_shortest_first() {
        let names: Vec<String> = ["a", "b", "c", "d", "e", "f", "g"].map(str::to_owned).into();
        let step = Step::collect_labels(&names, &[9, 10, 0, 9, 9, 9, 9], 10).unwrap();
        assert_eq!(step.rows, 15);
        assert_eq!(
            step.advice,
            "collect 15 more rows, so that each label has 10, or join labels: \
             `c` has 0, `a` has 9, `d` has 9, `e` has 9, `f` has 9, and 1 more"
        );
        assert_eq!(Step::collect_labels(&names[..2], &[10, 12], 10), None);
    }

    #[test]
    fn one_command_does_what_prepare_can_do() {
        let found =
            [Code::Unreadable, Code::Credential, Code::CutOff, Code::Boilerplate, Code::Duplicate];
        let steps = plan(&found.map(|code| (code, 1)), &[], None);
        let told = |steps: &[Step], unread| flags(steps, unread).map(|flags| flags.join(" "));
        assert_eq!(
            told(&steps, 1).as_deref(),
            Some("--on-bad-row skip --dedupe near --redact --drop cut-off,boilerplate")
        );
        let leak = plan(&[(Code::Leak, 1)], &[], None);
        assert_eq!(told(&leak, 0).as_deref(), Some(""));
        let unseen = plan(&[(Code::UnseenLabel, 1)], &[], Step::collect(0, 50));
        assert_eq!(told(&unseen, 3), None);
    }

    #[test]
    fn what_is_found_in_whole_files_counts_files() {
        let steps = steps(&[finding(Code::Shift, 1, 0)], &BTreeMap::new(), None);
        assert_eq!((steps[0].unit, steps[0].remedy), ("file", Remedy::Split));
    }
}
