//! What can keep rows from being prepared.

use std::path::PathBuf;

use ::parquet::errors::ParquetError;

use crate::error::{names, DataError};
use crate::format::RowFormat;

/// Why nothing was prepared: what, where, what was expected and what was found; [`PrepareError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A file that cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A bad row, where such rows stop the work.
    #[error(transparent)]
    BadRow(DataError),
    /// A folder without files of rows.
    #[error(
        "`{}` holds no row files, expected `.jsonl`, `.csv`, `.tsv` or `.parquet`, gzipped or not",
        folder.display()
    )]
    NoRowFiles {
        /// The folder.
        folder: PathBuf,
    },
    /// A Parquet file that is damaged, or has a type that is not read.
    #[error("`{}`: the Parquet data cannot be read after row {row}: {source}", path.display())]
    BrokenParquet {
        /// The file.
        path: PathBuf,
        /// The last row before that; 0 where there is none.
        row: usize,
        /// The decoder's reason.
        source: ParquetError,
    },
    /// A Parquet file that is compressed in a way that is not unpacked.
    #[error(
        "`{}` is compressed with `{codec}`, expected `snappy`, `zstd`, `gzip` or no compression",
        path.display()
    )]
    ParquetCodec {
        /// The file.
        path: PathBuf,
        /// The name of the compression.
        codec: String,
    },
    /// A file whose rows cannot stand beside those of another.
    #[error(
        "`{}` has rows of format `{found}`, expected rows that can be written beside those of `{}`, of format \
         `{expected}`",
        path.display(),
        first.display()
    )]
    OtherKind {
        /// The file.
        path: PathBuf,
        /// The format of its rows.
        found: RowFormat,
        /// The first file with rows.
        first: PathBuf,
        /// The format of its rows.
        expected: RowFormat,
    },
    /// A key to group by that no row has.
    #[error("no row has the key `{key}` to group by, expected one of {}", names(keys))]
    NoGroupKey {
        /// The key.
        key: String,
        /// The keys of the first row, as it was read.
        keys: Vec<String>,
    },
    /// Too many rows to compare them with one another.
    #[error(
        "{rows} rows are too many to be compared with one another, expected fewer for the codes {}",
        names(codes)
    )]
    TooLarge {
        /// The rows.
        rows: usize,
        /// The codes that need the comparison.
        codes: Vec<String>,
    },
    /// An input of which nothing is left.
    #[error("{}", nothing_kept(*rows, reasons))]
    NothingKept {
        /// The rows of the input.
        rows: usize,
        /// Why they were left out, and how many by each reason.
        reasons: Vec<(&'static str, usize)>,
    },
}

impl PrepareError {
    /// What the user can do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            PrepareError::Data(error) => error.hint(),
            PrepareError::BadRow(error) => {
                let skip = "pass `--on-bad-row skip` to leave such rows out and tell them in `ledger.jsonl`";
                Some(match error.hint() {
                    Some(hint) => format!("{hint}; or {skip}"),
                    None => skip.to_owned(),
                })
            }
            PrepareError::NoRowFiles { .. } => Some("name the files themselves".into()),
            PrepareError::BrokenParquet { .. } => Some(
                "the file is damaged or of a kind that is not read: fetch it again, or save it as JSONL"
                    .into(),
            ),
            PrepareError::ParquetCodec { .. } => {
                Some("write it again with `snappy`, as pandas and pyarrow do, or as JSONL".into())
            }
            PrepareError::OtherKind { .. } => {
                Some("prepare chats, plain texts and preferences in folders of their own".into())
            }
            PrepareError::NoGroupKey { .. } => Some("check the spelling of `--group-by`".into()),
            PrepareError::TooLarge { .. } => {
                Some("leave these codes out of `--drop`, or prepare a part of the rows".into())
            }
            PrepareError::NothingKept { rows: 0, .. } => {
                Some("write one JSON object per line".into())
            }
            PrepareError::NothingKept { .. } => {
                Some("`tunewise check` tells what is wrong with the rows".into())
            }
        }
    }
}

fn nothing_kept(rows: usize, reasons: &[(&'static str, usize)]) -> String {
    if rows == 0 {
        return "the input holds no rows, expected at least one".into();
    }
    let told: Vec<String> =
        reasons.iter().map(|(reason, count)| format!("{count} `{reason}`")).collect();
    let are = if rows == 1 { "the only row is" } else { "all rows are" };
    format!("{are} left out ({}), expected at least one to keep", told.join(", "))
}
