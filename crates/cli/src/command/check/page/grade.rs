//! The grade at the head of the page: what the rows are worth, what to do first, and what that rests on.

use std::path::PathBuf;

use tunewise_data::quality::{Basis, Grade, Letter};

use super::super::findings::grade::{command, enough, good_rows, told};
use super::{escaped, prose};

/// The grade as HTML.
pub fn section(grade: &Grade, files: &[PathBuf]) -> String {
    format!(
        r#"<section class="grade" aria-labelledby="grade">
<h2 id="grade">Grade <strong>{letter}</strong></h2>
<p>{good}.</p>
<p>{enough}.</p>
{plan}<h3>What the grade rests on</h3>
<ul class="basis">
{basis}</ul>
<p class="aside">{rule}. Such rows are good ones that do not nearly repeat another. Of the numbers: {caveat}.</p>
</section>
"#,
        letter = grade.letter,
        good = prose(&good_rows(grade)),
        enough = prose(&enough(grade)),
        plan = plan(grade, files),
        basis = grade.task.basis().iter().map(source).collect::<String>(),
        rule = Letter::RULE,
        caveat = prose(Grade::CAVEAT),
    )
}

fn source(basis: &Basis) -> String {
    format!("<li>{}: {}</li>\n", prose(basis.source), prose(basis.says))
}

/// What to do first, and the command that does what a command can; nothing where nothing is to be done.
fn plan(grade: &Grade, files: &[PathBuf]) -> String {
    if grade.plan.is_empty() {
        return String::new();
    }
    let step = |text: String| format!("<li>{}</li>\n", prose(&text));
    let steps: String = grade.plan.iter().map(told).map(step).collect();
    let command = command(grade, &grade.plan, files);
    let command = command.map(|command| format!("<p><code>{}</code></p>\n", escaped(&command)));
    format!(
        "<h3>What to do first</h3>\n<ol class=\"plan\">\n{steps}</ol>\n{}",
        command.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use tunewise_data::quality::Remedy;

    use super::super::super::findings::grade::tests::labelled;
    use super::*;

    #[test]
    fn the_grade_is_told_with_its_plan_and_its_sources() {
        let html = section(&labelled(), &[PathBuf::from("a & b.jsonl")]);
        for part in [
            "<h2 id=\"grade\">Grade <strong>C</strong></h2>\n",
            "<p>20 of 22 training rows are good, 1 of them nearly repeats another.</p>\n",
            "1 with fewer than 10: too few to start.</p>\n",
            "<li>correct 3 rows with <code>cut-off</code> (+2 good rows); <code>--drop cut-off</code> leaves them out</li>\n",
            "<p><code>tunewise prepare --data &#39;a &amp; b.jsonl&#39; --output OUT --drop cut-off</code></p>\n",
            "arXiv 2003.04807: intent detection is measured with 10 and with 30 rows per label",
            "only <code>tunewise compare</code> on rows held out tells.</p>\n",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        assert_eq!(html.matches("<li>").count(), 6);
    }

    #[test]
    fn names_of_labels_stay_text_and_nothing_to_do_is_not_told() {
        let mut grade = labelled();
        grade.plan.retain(|step| step.remedy == Remedy::Collect);
        grade.plan[0].advice = "collect 4 more rows: `<b>` has 6".to_owned();
        let html = section(&grade, &[]);
        assert!(html.contains("<li>collect 4 more rows: <code>&lt;b&gt;</code> has 6</li>"));
        assert!(!html.contains("tunewise prepare"));
        grade.plan.clear();
        assert!(!section(&grade, &[]).contains("What to do first"));
    }
}
