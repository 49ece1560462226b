//! The grade of the rows and what to do first, in words and for programs.

use std::path::PathBuf;

use serde_json::{json, Value};
use tunewise_data::quality::{Basis, Enough, Grade, Letter, Remedy, Step, TaskKind, Verdict};

use crate::command::train::again::quoted;
use crate::number::{counted, grouped};

/// The letter, how many rows are good, and whether they are enough.
pub fn lines(grade: &Grade) -> Vec<String> {
    let basis = match grade.task.basis_in_short() {
        Some(basis) => format!(" ({basis}; a range, no law: only `tunewise compare` tells)"),
        None => String::new(),
    };
    vec![
        format!("grade {}: {}", grade.letter, good_rows(grade)),
        format!("         {}{basis}", enough(grade)),
    ]
}

/// What to do first, step by step, and the command that does what a command can; nothing where nothing is to be done.
pub fn plan_lines(grade: &Grade, files: &[PathBuf]) -> Vec<String> {
    if grade.plan.is_empty() {
        return Vec::new();
    }
    let steps = grade.plan.iter().enumerate();
    let mut lines = vec!["to do first".to_owned()];
    lines.extend(steps.map(|(at, step)| format!("  {}. {}", at + 1, told(step))));
    let command = command(grade, &grade.plan, files);
    lines.extend(command.map(|command| format!("  by command: `{command}`")));
    lines
}

/// How many training rows are good, in words.
pub fn good_rows(grade: &Grade) -> String {
    let are = if grade.good == 1 { "is" } else { "are" };
    let training = counted(grade.training, "training row");
    let repeats = match grade.good - grade.distinct {
        0 => String::new(),
        1 => ", 1 of them nearly repeats another".to_owned(),
        repeats => format!(", {} of them nearly repeat another", grouped(repeats)),
    };
    format!("{} of {training} {are} good{repeats}", grouped(grade.good))
}

/// Whether the good rows are enough, in words.
pub fn enough(grade: &Grade) -> String {
    let amount = match grade.task {
        TaskKind::Labels { labels } => of_labels(labels, &grade.enough),
        TaskKind::Replies => of_rows("replies", &grade.enough),
        TaskKind::ToolCalls => of_rows("tool calls", &grade.enough),
        TaskKind::Preferences => of_rows("preferences", &grade.enough),
        TaskKind::Text => {
            format!("{} of plain text", counted(grade.enough.have, "character"))
        }
    };
    let verdict = match grade.enough.verdict {
        Verdict::TooFew => "too few to start",
        Verdict::Starts => "enough to start",
        Verdict::Plenty => "plenty",
        Verdict::NoRange => "no published number tells whether that is enough",
    };
    format!("{amount}: {verdict}")
}

/// Labels and how many have enough rows.
fn of_labels(labels: usize, enough: &Enough) -> String {
    let Enough {
        have, need: Some(need), comfortable: Some(comfortable), labels: Some(counts), ..
    } = *enough
    else {
        return counted(labels, "label");
    };
    let ample = match counts.ample {
        0 => "none".to_owned(),
        all if all == labels => "each".to_owned(),
        some => grouped(some),
    };
    let rest = match counts.short {
        0 if counts.ample == labels => String::new(),
        0 => format!(", the fewest {have}"),
        short => format!(", {} with fewer than {need}", grouped(short)),
    };
    format!("{}, {ample} with {comfortable} such rows or more{rest}", counted(labels, "label"))
}

/// Rows and how many are needed.
fn of_rows(taught: &str, enough: &Enough) -> String {
    let beside = match (enough.verdict, enough.need, enough.comfortable) {
        (Verdict::TooFew, Some(need), _) => format!(", {} are needed", grouped(need)),
        (Verdict::Starts, _, Some(most)) => format!(", {} are comfortable", grouped(most)),
        _ => String::new(),
    };
    format!("{} to learn {taught} from{beside}", counted(enough.have, "such row"))
}

/// A step in words, with the flag that helps.
pub fn told(step: &Step) -> String {
    let Some(code) = step.code else { return step.advice.clone() };
    let rows = format!("{} with `{code}`", counted(step.rows, step.unit));
    let gain = format!("(+{})", counted(step.gain, "good row"));
    let them = if step.rows == 1 { "it" } else { "them" };
    match step.remedy {
        Remedy::Skip => {
            format!("mend {rows} {gain}; `--on-bad-row skip` leaves {them} out")
        }
        Remedy::Split => format!(
            "split anew for {rows}: `tunewise prepare` draws the splits from one pool, each question in one of them"
        ),
        Remedy::Group => format!(
            "split anew for {rows}: `--group-by KEY` keeps rows with one value of that key in one split"
        ),
        Remedy::Dedupe => format!("keep one of each for {rows}: `--dedupe near`"),
        Remedy::Redact => {
            format!("redact {rows} {gain}: `--redact` puts placeholders into {them}")
        }
        Remedy::Drop(_) => format!("correct {rows} {gain}; `--drop {code}` leaves {them} out"),
        Remedy::Hand | Remedy::Collect => format!("look at {rows} {gain}: {}", step.advice),
    }
}

/// The command that does these steps, those that a command can do; `None` where there are none.
pub fn command(grade: &Grade, steps: &[Step], files: &[PathBuf]) -> Option<String> {
    let flags = grade.flags(steps)?;
    let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let words = ["tunewise", "prepare", "--data"].into_iter();
    let words = words.chain(files.iter().map(String::as_str));
    let words = words.chain(["--output", "OUT"]).chain(flags.iter().map(String::as_str));
    Some(quoted(words))
}

/// The grade for programs.
pub fn to_json(grade: &Grade, files: &[PathBuf]) -> Value {
    let step = |step: &Step| {
        json!({
            "code": step.code.map(|code| code.name()),
            "rows": step.rows,
            "unit": step.unit,
            "gain": step.gain,
            "advice": step.advice,
            "command": command(grade, std::slice::from_ref(step), files),
        })
    };
    let basis = |basis: &Basis| json!({ "source": basis.source, "says": basis.says });
    let labels = grade.enough.labels;
    json!({
        "letter": grade.letter.name(),
        "rule": Letter::RULE,
        "good_rows": grade.good,
        "distinct_rows": grade.distinct,
        "training_rows": grade.training,
        "task": grade.task.name(),
        "enough": {
            "verdict": grade.enough.verdict.name(),
            "have": grade.enough.have,
            "need": grade.enough.need,
            "comfortable": grade.enough.comfortable,
            "short_labels": labels.map(|labels| labels.short),
            "ample_labels": labels.map(|labels| labels.ample),
        },
        "basis": grade.task.basis().iter().map(basis).collect::<Vec<_>>(),
        "caveat": Grade::CAVEAT,
        "plan": grade.plan.iter().map(step).collect::<Vec<_>>(),
        "command": command(grade, &grade.plan, files),
    })
}

#[cfg(test)]
pub mod tests {
    use tunewise_data::quality::{Code, LabelCounts};

    use super::*;

    /// A step against a finding.
    pub fn step(code: Code, remedy: Remedy, rows: usize, gain: usize) -> Step {
        let advice = code.advice().to_owned();
        Step { remedy, code: Some(code), rows, unit: "row", gain, advice }
    }

    /// A grade of two labels, one of them short of rows.
    pub fn labelled() -> Grade {
        let advice = "collect 4 more rows, so that each label has 10, or join labels: `a` has 6";
        let collect = Step {
            remedy: Remedy::Collect,
            code: None,
            rows: 4,
            unit: "row",
            gain: 4,
            advice: advice.to_owned(),
        };
        let leak = step(Code::Leak, Remedy::Split, 1, 0);
        let cut_off = step(Code::CutOff, Remedy::Drop(Code::CutOff), 3, 2);
        Grade {
            letter: Letter::C,
            training: 22,
            good: 20,
            distinct: 19,
            task: TaskKind::Labels { labels: 2 },
            enough: Enough {
                verdict: Verdict::TooFew,
                have: 6,
                need: Some(10),
                comfortable: Some(30),
                labels: Some(LabelCounts { short: 1, ample: 1 }),
            },
            plan: vec![leak, cut_off, collect],
            unread: 0,
        }
    }

    fn replies(verdict: Verdict, have: usize) -> Grade {
        let (need, comfortable) = (Some(50), Some(1000));
        let enough = Enough { verdict, have, need, comfortable, labels: None };
        Grade { task: TaskKind::Replies, enough, plan: Vec::new(), ..labelled() }
    }

    #[test]
    fn what_there_is_stands_beside_what_is_needed() {
        let told = |verdict, have| enough(&replies(verdict, have));
        assert_eq!(
            told(Verdict::TooFew, 1),
            "1 such row to learn replies from, 50 are needed: too few to start"
        );
        assert_eq!(
            told(Verdict::Starts, 380),
            "380 such rows to learn replies from, 1,000 are comfortable: enough to start"
        );
        assert_eq!(told(Verdict::Plenty, 8585), "8,585 such rows to learn replies from: plenty");
    }

    #[test]
    fn labels_are_told_by_how_many_have_enough() {
        let told = |have, short, ample| {
            let enough =
                Enough { have, labels: Some(LabelCounts { short, ample }), ..labelled().enough };
            of_labels(14, &enough)
        };
        assert_eq!(told(35, 0, 14), "14 labels, each with 30 such rows or more");
        assert_eq!(told(11, 0, 12), "14 labels, 12 with 30 such rows or more, the fewest 11");
        assert_eq!(
            told(2, 14, 0),
            "14 labels, none with 30 such rows or more, 14 with fewer than 10"
        );
    }

    #[test]
    fn what_no_number_is_published_for_is_not_judged() {
        let (verdict, have) = (Verdict::NoRange, 48_000);
        let enough = Enough { verdict, have, need: None, comfortable: None, labels: None };
        let grade = Grade { task: TaskKind::Text, enough, ..labelled() };
        let expected =
            "         48,000 characters of plain text: no published number tells whether that is enough";
        assert_eq!(lines(&grade)[1], expected);
    }

    #[test]
    fn steps_say_what_helps_and_what_it_brings() {
        let told = |code, remedy, rows, gain| told(&step(code, remedy, rows, gain));
        assert_eq!(
            told(Code::Unreadable, Remedy::Skip, 1, 1),
            "mend 1 row with `unreadable` (+1 good row); `--on-bad-row skip` leaves it out"
        );
        assert_eq!(
            told(Code::Credential, Remedy::Redact, 3, 0),
            "redact 3 rows with `credential` (+0 good rows): `--redact` puts placeholders into them"
        );
        assert_eq!(
            told(Code::Duplicate, Remedy::Dedupe, 1200, 0),
            "keep one of each for 1,200 rows with `duplicate`: `--dedupe near`"
        );
    }

    #[test]
    fn a_command_is_there_for_steps_that_it_can_do() {
        let files = [PathBuf::from("my data/rows.jsonl")];
        let grade = Grade { unread: 2, ..labelled() };
        let told = to_json(&grade, &files);
        let command = "tunewise prepare --data 'my data/rows.jsonl' --output OUT --on-bad-row skip";
        assert_eq!(told["plan"][0]["command"], command);
        assert_eq!(told["plan"][2]["command"], Value::Null);
        assert_eq!(told["command"], format!("{command} --drop cut-off"));
        assert_eq!(told["enough"]["short_labels"], 1);
        assert_eq!(replies(Verdict::Plenty, 2000).flags(&[]), None);
        assert_eq!(plan_lines(&replies(Verdict::Plenty, 2000), &files), Vec::<String>::new());
    }
}
