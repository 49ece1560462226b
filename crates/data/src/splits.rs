//! Which files a data path stands for.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::DataError;

/// The files to train on, to choose by and to judge by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitFiles {
    /// The training rows.
    pub train: PathBuf,
    /// The rows that choose prompts and checkpoints.
    pub valid: Option<PathBuf>,
    /// The rows nothing is chosen by.
    pub test: Option<PathBuf>,
}

const ENDINGS: [&str; 2] = [".jsonl", ".jsonl.gz"];

/// The splits of a path: a file is its own training split; a folder holds `train`, `valid` (or `validation`, `dev`)
/// and `test`, each as `.jsonl` or `.jsonl.gz`.
///
/// # Errors
/// A path that is not there or cannot be read, a folder without a training file, two files for one split.
pub fn find_splits(path: &Path) -> Result<SplitFiles, DataError> {
    if !is_folder(path)? {
        return Ok(SplitFiles { train: path.to_owned(), valid: None, test: None });
    }
    let found = row_files(path)?;
    let split = |stems: &[&str]| one_of(path, &found, stems);
    let train = split(&["train"])?;
    let valid = split(&["valid", "validation", "dev"])?;
    let test = split(&["test"])?;
    match train {
        Some(train) => Ok(SplitFiles { train, valid, test }),
        None => Err(DataError::NoTrainFile { folder: path.to_owned(), found }),
    }
}

/// Whether the path is a folder.
pub(crate) fn is_folder(path: &Path) -> Result<bool, DataError> {
    path.metadata().map(|found| found.is_dir()).map_err(|source| unreadable(path, source))
}

/// The error of a path that the operating system refuses.
pub(crate) fn unreadable(path: &Path, source: io::Error) -> DataError {
    match source.kind() {
        io::ErrorKind::NotFound => DataError::Missing { path: path.to_owned() },
        _ => DataError::Read { path: path.to_owned(), source },
    }
}

/// The names of a folder's row files, sorted.
fn row_files(folder: &Path) -> Result<Vec<String>, DataError> {
    let mut names = Vec::new();
    for entry in folder.read_dir().map_err(|source| unreadable(folder, source))? {
        let entry = entry.map_err(|source| unreadable(folder, source))?;
        let name = entry.file_name();
        if let Some(name) =
            name.to_str().filter(|name| ENDINGS.iter().any(|end| name.ends_with(end)))
        {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn one_of(folder: &Path, found: &[String], stems: &[&str]) -> Result<Option<PathBuf>, DataError> {
    let named = |name: &str| {
        stems.iter().any(|stem| ENDINGS.iter().any(|end| name.strip_suffix(end) == Some(stem)))
    };
    let matching: Vec<String> = found.iter().filter(|name| named(name)).cloned().collect();
    match matching.as_slice() {
        [] => Ok(None),
        [one] => Ok(Some(folder.join(one))),
        _ => Err(DataError::AmbiguousSplit { folder: folder.to_owned(), found: matching }),
    }
}
