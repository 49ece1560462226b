//! A data set's rows as token sequences within a length limit, every one accounted for.

use std::path::Path;

use crate::error::DataError;
use crate::read::DataSet;
use crate::render::{Renderer, TrainOn};
use crate::render_problem::{NothingSupervised, RenderProblem};

/// A training row as tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenExample {
    /// The physical line it came from, counted from 1.
    pub line: usize,
    /// Token ids.
    pub ids: Vec<u32>,
    /// Whether each token is a target of the loss; never the first, which nothing predicts.
    pub supervised: Vec<bool>,
}

impl TokenExample {
    /// The number of tokens that are targets of the loss.
    pub fn supervised_tokens(&self) -> usize {
        self.supervised.iter().filter(|supervised| **supervised).count()
    }
}

/// What happens to a row beyond the length limit (`excess_length_strategy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExcessLength {
    /// It is an error.
    #[default]
    Raise,
    /// Its end is cut off.
    Truncate,
    /// It is left out.
    Drop,
}

/// The rows of a data set as tokens, with what the limit did to them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tokenized {
    /// The rows in order; a conversation may have become several.
    pub examples: Vec<TokenExample>,
    /// Rows of the data set that went in.
    pub rows: usize,
    /// Examples that were cut.
    pub truncated: usize,
    /// Lines of the examples that were left out, once for each.
    pub dropped: Vec<usize>,
    /// Lines of the rows that became more than one example.
    pub split: Vec<usize>,
}

impl Tokenized {
    /// The tokens of all examples.
    pub fn tokens(&self) -> usize {
        self.examples.iter().map(|example| example.ids.len()).sum()
    }

    /// The targets of the loss in all examples.
    pub fn supervised_tokens(&self) -> usize {
        self.examples.iter().map(TokenExample::supervised_tokens).sum()
    }
}

/// The token examples of a data set, none longer than `max_length`.
///
/// # Errors
/// Rows that cannot be rendered, rows beyond the limit with [`ExcessLength::Raise`], and rows left without a target of
/// the loss; each names file and line.
pub fn tokenize(
    renderer: &Renderer,
    set: &DataSet,
    train_on: TrainOn,
    max_length: usize,
    strategy: ExcessLength,
) -> Result<Tokenized, DataError> {
    let mut tokenized = Tokenized { rows: set.rows.len(), ..Tokenized::default() };
    for row in &set.rows {
        match renderer.check_length(&row.example, train_on, max_length) {
            Err(_) if strategy == ExcessLength::Drop => {
                tokenized.dropped.push(row.example.line);
                continue;
            }
            Err(error) if strategy == ExcessLength::Raise => return Err(error.in_file(&set.path)),
            // To be cut it must be tokenized: where its last token within the limit ends shows only then.
            Ok(()) | Err(_) => {}
        }
        let examples = renderer
            .encode_training(&row.example, train_on)
            .map_err(|error| error.in_file(&set.path))?;
        if examples.len() > 1 {
            tokenized.split.push(row.example.line);
        }
        for example in examples {
            tokenized.take(example, &set.path, max_length, strategy)?;
        }
    }
    Ok(tokenized)
}

impl Tokenized {
    fn take(
        &mut self,
        mut example: TokenExample,
        path: &Path,
        max_length: usize,
        strategy: ExcessLength,
    ) -> Result<(), DataError> {
        let tokens = example.ids.len();
        let line = example.line;
        let fail = |problem| DataError::Render {
            path: Some(path.to_path_buf()),
            line,
            problem: Box::new(problem),
        };
        if tokens <= max_length {
            self.examples.push(example);
            return Ok(());
        }
        match strategy {
            ExcessLength::Raise => Err(fail(RenderProblem::TooLong { tokens, max_length })),
            ExcessLength::Drop => {
                self.dropped.push(line);
                Ok(())
            }
            ExcessLength::Truncate => {
                let first = example.supervised.iter().position(|supervised| *supervised);
                let first = first.unwrap_or(tokens);
                if first >= max_length {
                    let why = NothingSupervised::Truncated { first, max_length };
                    return Err(fail(RenderProblem::NothingSupervised(why)));
                }
                example.ids.truncate(max_length);
                example.supervised.truncate(max_length);
                self.truncated += 1;
                self.examples.push(example);
                Ok(())
            }
        }
    }
}
