//! Rows as tokens: how long they are, and what the model's template and the limit make of them.

use tunewise_data::quality::Code;
use tunewise_data::{
    BadRow, DataError, Example, ExcessLength, NothingSupervised, RenderProblem, Renderer,
    TokenExample, TrainOn,
};

use super::faults::{bad_row, beyond, note, Fault, FaultKind};
use crate::number::{counted, grouped};

/// What tokenizes the rows, and how long they may be.
pub struct Tokens {
    /// The model's template and tokenizer.
    pub renderer: Renderer,
    /// The turns that are trained on.
    pub train_on: TrainOn,
    /// Longest row, in tokens.
    pub max_length: usize,
    /// What a longer row does.
    pub strategy: ExcessLength,
    /// The model's context, in tokens.
    pub context: usize,
}

/// Training rows that the length limit leaves out or cuts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Excess {
    /// Left out.
    pub dropped: usize,
    /// Cut at the end.
    pub truncated: usize,
}

/// What tokenizing a row gave.
#[derive(Default)]
pub struct Counts {
    /// Length and supervised tokens of each training row.
    pub lengths: Vec<(usize, usize)>,
    /// What the limit does to them.
    pub excess: Excess,
    /// Why it fails, if it does.
    pub bad: Option<Fault>,
    /// What was found, with what it looks like.
    pub notes: Vec<(Code, String)>,
}

impl Tokens {
    /// What the row is as tokens.
    pub fn count(&self, row: &Example) -> Counts {
        let mut counts = self.tokenized(row);
        let control =
            row.body.texts().into_iter().find_map(|text| self.renderer.control_text(text));
        counts.notes.extend(control.map(|token| (Code::ControlToken, token.to_owned())));
        counts
    }

    /// The training rows of a row that fit and have something to learn; none where it cannot be rendered.
    pub fn fitting(&self, row: &Example) -> Vec<TokenExample> {
        if self.renderer.check_length(row, self.train_on, self.max_length).is_err() {
            return Vec::new();
        }
        let mut examples = self.renderer.encode_training(row, self.train_on).unwrap_or_default();
        examples.retain(|example| {
            example.ids.len() <= self.max_length && example.supervised_tokens() > 0
        });
        examples
    }

    fn tokenized(&self, row: &Example) -> Counts {
        // A text that is far too long is told before it is tokenized, which would take its size many times over.
        let fits = self.renderer.check_length(row, self.train_on, self.max_length);
        match (&fits, self.strategy) {
            (Err(error), ExcessLength::Drop) => {
                let excess = Excess { dropped: 1, truncated: 0 };
                let notes = vec![(Code::CutByLimit, note(error).1)];
                return Counts { excess, notes, ..Counts::default() };
            }
            (Err(error), ExcessLength::Raise) => return self.failed(row.line, error),
            // To be cut it must be tokenized.
            (Ok(()), _) | (Err(_), ExcessLength::Truncate) => {}
        }
        let examples = match self.renderer.encode_training(row, self.train_on) {
            Ok(examples) => examples,
            Err(error) => return self.failed(row.line, &error),
        };
        let lengths =
            examples.iter().map(|example| (example.ids.len(), example.supervised_tokens()));
        let mut counts = Counts { lengths: lengths.collect(), ..Counts::default() };
        for example in examples.iter().filter(|example| example.ids.len() > self.max_length) {
            self.add_excess(example, &mut counts);
        }
        counts
    }

    /// Adds what becomes of a training row beyond the limit.
    fn add_excess(&self, example: &TokenExample, counts: &mut Counts) {
        let (line, tokens, max_length) = (example.line, example.ids.len(), self.max_length);
        let problem = match self.strategy {
            ExcessLength::Raise => Some(RenderProblem::TooLong { tokens, max_length }),
            ExcessLength::Drop => {
                counts.excess.dropped += 1;
                counts.notes.push((Code::CutByLimit, beyond(tokens, max_length)));
                None
            }
            ExcessLength::Truncate => {
                let first = example.supervised.iter().position(|supervised| *supervised);
                match first.filter(|first| *first >= max_length) {
                    Some(first) => {
                        let why = NothingSupervised::Truncated { first, max_length };
                        Some(RenderProblem::NothingSupervised(why))
                    }
                    None => {
                        counts.excess.truncated += 1;
                        counts.notes.extend(self.cut(example));
                        None
                    }
                }
            }
        };
        if let Some(problem) = problem {
            let error = DataError::Render { path: None, line, problem: Box::new(problem) };
            counts.notes.push(note(&error));
            counts.bad.get_or_insert(self.fault(line, &error));
        }
    }

    /// The finding that a training row is whose end is cut; `None` where nothing is lost that would be learned.
    fn cut(&self, example: &TokenExample) -> Option<(Code, String)> {
        let all = example.supervised_tokens();
        let learned = example.supervised.iter().take(self.max_length);
        let lost = all - learned.filter(|supervised| **supervised).count();
        (lost > 0).then(|| {
            let beyond = beyond(example.ids.len(), self.max_length);
            let (lost, all) = (grouped(lost), counted(all, "supervised token"));
            (Code::CutByLimit, format!("{beyond}: {lost} of {all} cut off"))
        })
    }

    fn failed(&self, line: usize, error: &DataError) -> Counts {
        let (bad, notes) = (Some(self.fault(line, error)), vec![note(error)]);
        Counts { bad, notes, ..Counts::default() }
    }

    fn fault(&self, line: usize, error: &DataError) -> Fault {
        let mut row = bad_row(error).unwrap_or_else(|| BadRow {
            line,
            message: error.to_string(),
            hint: error.hint().unwrap_or_default(),
        });
        let DataError::Render { problem, .. } = error else {
            return Fault { row, kind: FaultKind::Untrainable };
        };
        let longer = match self.max_length < self.context {
            true => "raise `--max-length`, ",
            false => "",
        };
        match **problem {
            RenderProblem::TooLong { .. } | RenderProblem::FarTooLong { .. } => {
                row.hint =
                    format!("{longer}shorten the row, or pass `--excess-length-strategy` with `truncate` or `drop`");
                Fault { row, kind: FaultKind::TooLong }
            }
            RenderProblem::NothingSupervised(NothingSupervised::Truncated { .. }) => {
                row.hint =
                    format!("{longer}shorten the prompt, or pass `--excess-length-strategy drop`");
                Fault { row, kind: FaultKind::TooLong }
            }
            _ => Fault { row, kind: FaultKind::Untrainable },
        }
    }
}
