//! A data set's rows as token sequences within a length limit, every one accounted for.

use std::ops::ControlFlow;
use std::path::Path;

use rayon::prelude::*;

use crate::error::DataError;
use crate::example::Example;
use crate::format::RowFormat;
use crate::read::{BadRow, DataSet, ReadOptions, Row};
use crate::reader::RowReader;
use crate::render::{Renderer, TrainOn};
use crate::render_problem::{NothingSupervised, RenderProblem};
use crate::token_rows::{TokenRows, TokenRowsWriter};

/// Rows that are tokenized before the first of them that fails is looked for.
const ROWS_AT_ONCE: usize = 1 << 12;

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

/// What turns rows into token examples.
#[derive(Clone, Copy)]
pub struct Tokenization<'r> {
    /// The model's template and tokenizer.
    pub renderer: &'r Renderer,
    /// The turns that are trained on.
    pub train_on: TrainOn,
    /// The longest example, in tokens.
    pub max_length: usize,
    /// What happens to a longer one.
    pub strategy: ExcessLength,
}

/// The rows of a file as tokens, and what became of the others.
#[derive(Debug)]
pub struct TokenizedFile {
    /// The token examples.
    pub rows: TokenRows,
    /// What tokenizing did to the file's good rows.
    pub counts: TokenCounts,
    /// The format of the rows.
    pub format: RowFormat,
    /// Lines that are not blank, good and bad.
    pub rows_read: usize,
    /// Bad rows that were skipped.
    pub bad_rows: usize,
    /// The row that the first token example is made of.
    pub first: Option<Example>,
    /// The SHA-256 of the file's bytes, in hexadecimal.
    pub sha256: String,
}

/// What tokenizing did to rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenCounts {
    /// Rows that went in.
    pub rows: usize,
    /// Examples that were cut.
    pub truncated: usize,
    /// Examples that were left out.
    pub dropped: usize,
    /// Rows that became more than one example.
    pub split: usize,
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
    let tokenization = Tokenization { renderer, train_on, max_length, strategy };
    let mut tokenized = Tokenized::default();
    for rows in set.rows.chunks(ROWS_AT_ONCE) {
        let rows = rows.par_iter();
        let made: Vec<Made> = rows.map(|row| tokenization.examples_of(&row.example)).collect();
        for made in made {
            tokenized.take(made.map_err(|error| error.in_file(&set.path))?);
        }
    }
    Ok(tokenized)
}

/// The token examples of a file; of its rows, memory holds a few at a time.
///
/// # Errors
/// As [`read_file`](crate::read_file) and [`tokenize`]; of several faults, the one that comes first in the file.
pub fn tokenize_file(
    tokenization: Tokenization<'_>,
    path: &Path,
    options: &ReadOptions,
) -> Result<TokenizedFile, DataError> {
    let mut reader = RowReader::open(path, options)?;
    let mut rows = TokenRowsWriter::default();
    let mut counts = TokenCounts::default();
    let mut first = None;
    let mut bad_rows = 0;
    let work = |row: Row| {
        let examples = tokenization.examples_of(&row.example)?;
        Ok((row.example, examples))
    };
    reader.for_each(work, |row| {
        match row {
            Ok(made) => {
                let (example, made) = made.map_err(|error: DataError| error.in_file(path))?;
                counts.add(&made);
                made.examples.iter().try_for_each(|example| rows.push(example))?;
                if !made.examples.is_empty() {
                    first.get_or_insert(example);
                }
            }
            Err(error) => {
                BadRow::skipped(error, options.on_bad_row)?;
                bad_rows += 1;
            }
        }
        Ok::<_, DataError>(ControlFlow::Continue(()))
    })?;
    let rows_read = reader.rows_read();
    let (format, sha256) = reader.finish(bad_rows)?;
    let rows = rows.finish()?;
    Ok(TokenizedFile { rows, counts, format, rows_read, bad_rows, first, sha256 })
}

/// What a row became: examples within the limit, with what the limit did.
#[derive(Default)]
struct RowTokens {
    line: usize,
    examples: Vec<TokenExample>,
    truncated: usize,
    dropped: usize,
}

impl RowTokens {
    /// Whether the row became more than one example, those left out included.
    fn is_split(&self) -> bool {
        self.examples.len() + self.dropped > 1
    }
}

impl TokenCounts {
    fn add(&mut self, row: &RowTokens) {
        self.rows += 1;
        self.truncated += row.truncated;
        self.dropped += row.dropped;
        self.split += usize::from(row.is_split());
    }
}

type Made = Result<RowTokens, DataError>;

impl Tokenization<'_> {
    fn examples_of(&self, row: &Example) -> Made {
        let mut made = RowTokens { line: row.line, ..RowTokens::default() };
        match self.renderer.check_length(row, self.train_on, self.max_length) {
            Err(_) if self.strategy == ExcessLength::Drop => {
                made.dropped = 1;
                return Ok(made);
            }
            Err(error) if self.strategy == ExcessLength::Raise => return Err(error),
            // To be cut it must be tokenized: where its last token within the limit ends shows only then.
            Ok(()) | Err(_) => {}
        }
        for example in self.renderer.encode_training(row, self.train_on)? {
            self.fit(example, &mut made).map_err(|problem| DataError::Render {
                path: None,
                line: row.line,
                problem: Box::new(problem),
            })?;
        }
        Ok(made)
    }

    fn fit(&self, mut example: TokenExample, made: &mut RowTokens) -> Result<(), RenderProblem> {
        let Tokenization { max_length, strategy, .. } = *self;
        let tokens = example.ids.len();
        if tokens <= max_length {
            made.examples.push(example);
            return Ok(());
        }
        match strategy {
            ExcessLength::Raise => Err(RenderProblem::TooLong { tokens, max_length }),
            ExcessLength::Drop => {
                made.dropped += 1;
                Ok(())
            }
            ExcessLength::Truncate => {
                let first = example.supervised.iter().position(|supervised| *supervised);
                let first = first.unwrap_or(tokens);
                if first >= max_length {
                    let why = NothingSupervised::Truncated { first, max_length };
                    return Err(RenderProblem::NothingSupervised(why));
                }
                example.ids.truncate(max_length);
                example.supervised.truncate(max_length);
                made.truncated += 1;
                made.examples.push(example);
                Ok(())
            }
        }
    }
}

impl Tokenized {
    fn take(&mut self, row: RowTokens) {
        self.rows += 1;
        if row.is_split() {
            self.split.push(row.line);
        }
        self.truncated += row.truncated;
        self.dropped.extend(std::iter::repeat_n(row.line, row.dropped));
        self.examples.extend(row.examples);
    }
}
