//! What can go wrong between a file of rows and token trees.

use std::path::{Path, PathBuf};

use crate::problem::RowProblem;
use crate::render_problem::{ModelProblem, RenderProblem};

/// A failure of this crate: what, where, what was expected and what was found; [`DataError::hint`] says what to do.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The path names nothing.
    #[error("`{}` does not exist, expected a file or a folder", path.display())]
    Missing {
        /// The path as given.
        path: PathBuf,
    },
    /// A folder stands where a file is needed.
    #[error("`{}` is a folder, expected a file", path.display())]
    IsFolder {
        /// The folder.
        path: PathBuf,
    },
    /// The operating system refused to read.
    #[error("`{}` cannot be read: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// Compressed bytes that end early or are damaged.
    #[error("`{}`: the gzip data breaks after line {line}: {source}", path.display())]
    Gzip {
        /// The compressed file.
        path: PathBuf,
        /// The last whole line before the damage; 0 where there is none.
        line: usize,
        /// The decompressor's reason.
        source: std::io::Error,
    },
    /// A file without a single row.
    #[error("`{}` has no rows, expected at least one", path.display())]
    NoRows {
        /// The file.
        path: PathBuf,
        /// Bad rows that were skipped.
        skipped: usize,
    },
    /// A data folder that lacks its training file.
    #[error(
        "`{}` has no training file, expected `train.jsonl` or `train.jsonl.gz`, found {}",
        folder.display(),
        names(found)
    )]
    NoTrainFile {
        /// The folder.
        folder: PathBuf,
        /// The row files that are there, sorted.
        found: Vec<String>,
    },
    /// Two files of a folder that claim the same split.
    #[error("`{}` has {} for one split, expected one file", folder.display(), names(found))]
    AmbiguousSplit {
        /// The folder.
        folder: PathBuf,
        /// The files that compete, sorted.
        found: Vec<String>,
    },
    /// A column mapping that contradicts the format.
    #[error("`{column}` is set, expected no such mapping for rows of format `{format}`")]
    ColumnMismatch {
        /// The recipe key of the mapping.
        column: &'static str,
        /// The format that does not have that column.
        format: crate::format::RowFormat,
    },
    /// A row that cannot become an example.
    #[error("`{}:{line}`: {problem}", path.display())]
    Row {
        /// The file.
        path: PathBuf,
        /// The physical line, counted from 1.
        line: usize,
        /// What is wrong with it.
        problem: Box<RowProblem>,
    },
    /// A file of a model folder that cannot be used.
    #[error("`{}`: {problem}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: Box<ModelProblem>,
    },
    /// The temporary file of a run's token rows.
    #[error("the temporary file of token rows cannot be written or read: {source}")]
    TokenFile {
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A row that cannot be rendered or tokenized.
    #[error("{}: {problem}", row_place(path.as_deref(), *line))]
    Render {
        /// The file, where the renderer was told.
        path: Option<PathBuf>,
        /// The physical line, counted from 1; 0 for a text that is no row.
        line: usize,
        /// What is wrong with it.
        problem: Box<RenderProblem>,
    },
}

impl DataError {
    /// What the user can do about it, where there is something to say.
    pub fn hint(&self) -> Option<String> {
        match self {
            DataError::Missing { .. } => Some("check the spelling and the working folder".into()),
            DataError::IsFolder { .. } => Some("name one of its files".into()),
            DataError::Read { .. } => None,
            DataError::Gzip { .. } => {
                Some("the file is damaged or was cut while copying: fetch it again".into())
            }
            DataError::NoRows { skipped: 0, .. } => Some("write one JSON object per line".into()),
            DataError::NoRows { skipped, .. } => Some(format!(
                "all {skipped} rows are bad: read them with `--on-bad-row fail` to see why"
            )),
            DataError::NoTrainFile { .. } => Some(
                "rename a file to `train.jsonl`, or name one file instead of the folder".into(),
            ),
            DataError::AmbiguousSplit { .. } => Some("keep one of them".into()),
            DataError::ColumnMismatch { .. } => Some(
                "`prompt_feature` and `completion_feature` belong to `prompt-completion` rows, \
                 `text_feature` to `text` rows"
                    .into(),
            ),
            DataError::TokenFile { .. } => Some(
                "make room where temporary files lie, or name another folder in `TMPDIR`".into(),
            ),
            DataError::Row { problem, .. } => Some(problem.hint()),
            DataError::Model { problem, .. } => problem.hint(),
            DataError::Render { problem, .. } => problem.hint(),
        }
    }

    /// The same error naming the file that the row is from, where it is about a row and does not yet.
    pub fn in_file(self, file: &Path) -> DataError {
        match self {
            DataError::Render { path: None, line, problem } => {
                DataError::Render { path: Some(file.to_path_buf()), line, problem }
            }
            other => other,
        }
    }
}

fn row_place(path: Option<&Path>, line: usize) -> String {
    match (path, line) {
        (Some(path), line) => format!("`{}:{line}`", path.display()),
        (None, 0) => "the text".into(),
        (None, line) => format!("line {line}"),
    }
}

/// The names in backticks, comma-separated; `nothing` where there are none.
pub(crate) fn names<S: AsRef<str>>(items: &[S]) -> String {
    if items.is_empty() {
        return "nothing".into();
    }
    let quoted: Vec<String> = items.iter().map(|item| format!("`{}`", item.as_ref())).collect();
    quoted.join(", ")
}
