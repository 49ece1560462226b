//! Files that are either whole or absent.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use candle_core::Tensor;
use serde_json::Value;

use crate::weights::INDEX;
use crate::{ModelError, Result};

/// The JSON value in a file.
///
/// # Errors
/// When the file cannot be read or is not JSON.
pub fn read_json(path: &Path) -> Result<Value> {
    let bytes =
        std::fs::read(path).map_err(|source| ModelError::Io { path: path.into(), source })?;
    serde_json::from_slice(&bytes).map_err(|source| ModelError::Json { path: path.into(), source })
}

/// Writes a file so that a crash leaves either the old one or the new one, never a part.
///
/// # Errors
/// When the folder cannot be written.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let io = |source| ModelError::Io { path: path.into(), source };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".partial-{}", std::process::id()));
    let partial = path.with_file_name(name);
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.and_then(|()| std::fs::rename(&partial, path)).map_err(|source| {
        // The first error is the one worth reporting; a left-over partial file does no harm.
        let _ = std::fs::remove_file(&partial);
        io(source)
    })
}

/// Writes tensors as a safetensors file, named as those of PyTorch are, so that Hugging Face's libraries read it.
///
/// # Errors
/// When the tensors cannot be written.
pub(crate) fn write_tensors(path: &Path, tensors: Vec<(String, Tensor)>) -> Result<()> {
    let format = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    let bytes = safetensors::serialize(tensors, Some(format)).map_err(candle_core::Error::from)?;
    write_whole(path, &bytes)
}

/// Files that tell of the run that made a model, not of the model.
const OF_A_RUN: [&str; 2] = ["metrics.jsonl", "tunewise.json"];
/// Endings of files with weights.
const WEIGHTS: [&str; 7] = ["safetensors", "bin", "gguf", "pt", "pth", "h5", "msgpack"];

/// Copies a model folder's files, but for its weights, the index of their files, and what tells of a run.
///
/// # Errors
/// When a folder cannot be read or written.
pub fn copy_all_but_weights(base: &Path, output: &Path) -> Result<()> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| ModelError::Io { path, source }
    };
    for entry in std::fs::read_dir(base).map_err(io(base))? {
        let path = entry.map_err(io(base))?.path();
        let name = path.file_name().unwrap_or_default();
        let is_weights = path.extension().is_some_and(|e| WEIGHTS.iter().any(|known| e == *known));
        let is_of_run = OF_A_RUN.iter().any(|known| name == *known);
        if path.is_file() && !is_weights && !is_of_run && name != INDEX {
            let bytes = std::fs::read(&path).map_err(io(&path))?;
            write_whole(&output.join(name), &bytes)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.json");
        write_whole(&path, b"1").unwrap();
        write_whole(&path, b"{\"b\": 2}").unwrap();
        assert_eq!(read_json(&path).unwrap()["b"], 2);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn malformed_json_is_an_error_with_file_and_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.json");
        std::fs::write(&path, "{\n\"a\": }").unwrap();
        assert!(read_json(&path).unwrap_err().to_string().contains("c.json:2`: not valid JSON"));
    }
}
