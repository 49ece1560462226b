//! Rows left out because of what is wrong with them.

use super::error::PrepareError;
use super::pool::{LeftOut, Pool, Reason};
use crate::quality::finding::Evidence;
use crate::quality::{Code, Inspected, Place, QualityCheck, QualityReport};

/// The codes that rows can be left out by, the most harmful first.
///
/// The others need no asking: a line that is no row cannot be kept, repeats have an option of their own, there are no
/// splits yet that could leak into one another, and there is no model here.
pub fn droppable() -> impl Iterator<Item = Code> {
    let told = |code: &Code| matches!(code.evidence(), Evidence::Row | Evidence::Rows);
    Code::ALL.into_iter().filter(told)
}

impl Pool {
    /// Leaves out the rows that one of these codes was found in.
    ///
    /// # Errors
    /// More rows than can be compared, where a code needs that.
    pub(super) fn leave_out_codes(&mut self, codes: &[Code]) -> Result<(), PrepareError> {
        let mut found: Vec<(usize, LeftOut)> = Vec::new();
        for (at, row) in self.kept() {
            if let Some((code, example)) =
                row.inspected.found.iter().find(|(code, _)| codes.contains(code))
            {
                let reason = Reason::Code(*code);
                found.push((at, LeftOut { reason, detail: example.clone(), like: None }));
            }
        }
        self.leave_out_all(found);
        let among = codes.iter().copied().filter(|code| code.evidence() == Evidence::Rows);
        let among: Vec<Code> = among.collect();
        if !among.is_empty() {
            let found = self.found_among_rows(&among)?;
            self.leave_out_all(found);
        }
        Ok(())
    }

    fn leave_out_all(&mut self, rows: Vec<(usize, LeftOut)>) {
        for (at, out) in rows {
            self.leave_out(at, out);
        }
    }

    /// The rows that a comparison with the others shows one of these codes in, the most harmful code first.
    fn found_among_rows(&self, codes: &[Code]) -> Result<Vec<(usize, LeftOut)>, PrepareError> {
        let mut check = QualityCheck::of_every_row();
        for (at, row) in self.kept() {
            // All rows are one file to the check: which split they go to is not known yet.
            let place = Place { file: 0, line: at };
            check.add(Inspected { place, ..row.inspected.clone() });
        }
        let report = check.finish();
        check_looked_for(&report, codes)?;
        let mut out = Vec::new();
        for finding in report.findings.iter().filter(|finding| codes.contains(&finding.code)) {
            for found in &finding.rows {
                let left_out = LeftOut {
                    reason: Reason::Code(finding.code),
                    detail: finding.code.title().to_owned(),
                    like: found.other.and_then(|other| self.place(other.line)),
                };
                out.push((found.place.line, left_out));
            }
        }
        Ok(out)
    }
}

/// Nothing, where the report tells of all these codes.
fn check_looked_for(report: &QualityReport, codes: &[Code]) -> Result<(), PrepareError> {
    let unseen = |code: &&Code| !report.compared || report.not_looked_for.contains(*code);
    let codes = codes.iter().filter(unseen).map(|code| code.name().to_owned());
    let codes: Vec<String> = codes.collect();
    if codes.is_empty() {
        return Ok(());
    }
    Err(PrepareError::TooLarge { rows: report.rows, codes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_rows_can_be_dropped_by_and_those_of_lines_files_and_models_cannot() {
        let names: Vec<&str> = droppable().map(Code::name).collect();
        let expected = "empty-turn tool-arguments tool-schema credential contradiction near-contradiction \
                        suspect-label role-order tool-unanswered tool-mismatch mojibake replacement-character \
                        control-character zero-width escaped-text control-token cut-off boilerplate personal-data \
                        one-reply rare-label same-opening other-language style-outlier";
        assert_eq!(names.join(" "), expected);
    }

    #[test]
    fn a_code_that_was_not_looked_for_is_told_with_the_rows() {
        let mut report = QualityCheck::of_every_row().finish();
        report.rows = 200_001;
        assert!(check_looked_for(&report, &[Code::SuspectLabel]).is_ok());
        report.not_looked_for = vec![Code::SuspectLabel];
        assert!(check_looked_for(&report, &[Code::OneReply]).is_ok());
        let error = check_looked_for(&report, &[Code::OneReply, Code::SuspectLabel]).unwrap_err();
        let told = "200001 rows are too many to be compared with one another, expected fewer for the codes `suspect-label`";
        assert_eq!(error.to_string(), told);
        report.compared = false;
        let error = check_looked_for(&report, &[Code::OneReply]).unwrap_err().to_string();
        assert!(error.ends_with("for the codes `one-reply`"), "{error}");
    }
}
