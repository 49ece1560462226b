//! Rows made ready for training: each row of the input is in one split, or is told with the reason why it is in none.
//!
//! In order: files and tables are read into a pool, rows with the codes asked for are left out, secrets are replaced,
//! repeats are left out, the rest is assigned to splits, and all of it is written down with a ledger. [`find_leak`]
//! reads back what was written.
//!
//! Units: all rows are in memory at once, as text and as JSON.

mod assignment;
mod error;
mod faults;
mod input;
mod labels;
mod leak;
mod outcome;
mod parquet;
mod pool;
mod quotes;
mod record;
mod redaction;
mod repeats;
mod room;
mod sizes;
mod summary;
mod table;
mod unit;
mod written;

use std::path::PathBuf;

use crate::quality::Code;
use crate::read::ReadOptions;
use labels::AnswerLabels;
use outcome::Texts;
use pool::Pool;

pub use error::PrepareError;
pub use faults::droppable;
pub use input::input_files;
pub use leak::{find_leak, Leak};
pub use parquet::is_guarded;
pub use sizes::{SplitSizes, WrongSizes};
pub use summary::{SplitSummary, Summary};

/// The files of the splits, in their order.
pub const SPLIT_FILES: [&str; 3] = ["train.jsonl", "valid.jsonl", "test.jsonl"];

/// The file that tells what became of every row of the input.
pub const LEDGER_FILE: &str = "ledger.jsonl";

/// How rows are prepared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PrepareOptions {
    /// How the input is read.
    pub rows: ReadOptions,
    /// How many rows each split gets.
    pub sizes: SplitSizes,
    /// What the choice of rows and splits depends on.
    pub seed: u64,
    /// Whether every label is split in the same shares.
    pub stratify: Stratify,
    /// The key of a row whose value tells which rows belong together.
    pub group_by: Option<String>,
    /// Which repeats are left out.
    pub dedupe: Dedupe,
    /// The codes whose rows are left out, all of them [`droppable`].
    pub drop: Vec<Code>,
    /// Whether personal data and credentials are replaced by placeholders.
    pub redact: bool,
    /// The most rows that are kept.
    pub max_rows: Option<usize>,
}

/// Whether every label is split in the same shares.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stratify {
    /// Where the answers are labels.
    #[default]
    Auto,
    /// Every answer is taken for a label.
    Label,
    /// Labels do not matter.
    Never,
}

/// Which repeats are left out; the first of several rows stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dedupe {
    /// Rows with the same system message, question and answer, whatever the question's case and punctuation.
    Exact,
    /// Those, and rows whose question and answer are nearly the same.
    #[default]
    Near,
    /// None.
    Never,
}

/// What is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The name and the text of each split that has rows.
    pub splits: Vec<(&'static str, String)>,
    /// The text of the ledger: one row for each row of the input, in the same order.
    pub ledger: String,
    /// What was done, in numbers.
    pub summary: Summary,
}

/// The splits and the ledger of the rows in these files; the same for the same files, options and seed.
///
/// Rows whose questions are the same or were found to be nearly so are in one split, and rows of one group too. Which
/// split that is depends on a hash of the seed and the question or group, so further rows seldom move the others. Of
/// nearly equal questions one pair in a hundred may be overlooked, of equal ones none.
///
/// # Errors
/// A file that cannot be read, a bad row where such rows stop the work, rows of different kinds in one input, codes
/// that cannot be looked for among so many rows, and an input of which nothing is left.
pub fn prepare(files: &[PathBuf], options: &PrepareOptions) -> Result<Prepared, PrepareError> {
    let mut pool = Pool::read(files, options)?;
    pool.leave_out_codes(&options.drop)?;
    if options.redact {
        pool.redact(options.rows.on_bad_row)?;
    }
    let labels = AnswerLabels::of(&pool, options.stratify);
    pool.group_questions();
    pool.leave_out_repeats(options.dedupe, labels);
    if let Some(most) = options.max_rows {
        pool.leave_out_beyond(most, options.seed);
    }
    let groups = pool.assign(options, labels)?;
    let summary = Summary::of(&pool, options, labels, groups);
    let Texts { splits, ledger } = Texts::of(pool);
    Ok(Prepared { splits, ledger, summary })
}
