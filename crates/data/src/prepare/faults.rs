//! Rows left out because of what is wrong with them.

use super::error::PrepareError;
use super::pool::{LeftOut, Pool, Reason};
use crate::quality::{Code, Inspected, Place, QualityCheck};

/// The codes that rows can be left out by.
///
/// The others need no asking: a line that is no row cannot be kept, repeats have an option of their own, and there are
/// no splits yet that could leak into one another.
pub const DROPPABLE: [Code; 20] = [
    Code::EmptyTurn,
    Code::ToolArguments,
    Code::Credential,
    Code::Contradiction,
    Code::NearContradiction,
    Code::SuspectLabel,
    Code::RoleOrder,
    Code::ToolUnanswered,
    Code::Mojibake,
    Code::ReplacementCharacter,
    Code::ControlCharacter,
    Code::ZeroWidth,
    Code::EscapedText,
    Code::ControlToken,
    Code::CutOff,
    Code::Boilerplate,
    Code::PersonalData,
    Code::OneReply,
    Code::RareLabel,
    Code::StyleOutlier,
];

/// Those of them that only a comparison of the rows shows.
const AMONG_ROWS: [Code; 6] = [
    Code::Contradiction,
    Code::NearContradiction,
    Code::SuspectLabel,
    Code::OneReply,
    Code::RareLabel,
    Code::StyleOutlier,
];

impl Pool {
    /// Leaves out the rows that one of these codes was found in.
    ///
    /// # Errors
    /// Rows that are too large to be compared, where a code needs that.
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
        let among: Vec<Code> =
            codes.iter().copied().filter(|code| AMONG_ROWS.contains(code)).collect();
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
        if !report.compared {
            let codes = codes.iter().map(|code| code.name().to_owned()).collect();
            return Err(PrepareError::TooLarge { codes });
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_listed_in_order_of_harm() {
        assert!(DROPPABLE.is_sorted());
        assert!(AMONG_ROWS.iter().all(|code| DROPPABLE.contains(code)));
    }
}
