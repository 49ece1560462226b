//! Where results are written: checked before anything is computed, so that no work is lost and no input is.

use std::path::{Path, PathBuf};

use crate::failure::Problem;

/// Files that make a folder a model's.
const MODEL_FILES: [&str; 3] = ["config.json", "model.safetensors", "tokenizer.json"];

/// Nothing, where the file that a flag names can be written and is none of those that are read.
///
/// `read` are the files that the command reads, and the folders whose files it reads.
///
/// # Errors
/// When the path is empty, a folder, in a folder that is not there, or an input.
pub fn file(flag: &str, path: &Path, read: &[&Path]) -> anyhow::Result<()> {
    let name = path.display();
    if path.file_name().is_none() || path.is_dir() {
        let what = format!("`{flag}` is `{name}`, expected the name of a file");
        return Err(Problem::with_hint(what, "add a file name").into());
    }
    let parent = parent(path);
    if !parent.is_dir() {
        let folder = parent.display();
        let what = format!("`{flag}` is `{name}`, expected a file in a folder that exists");
        return Err(Problem::with_hint(what, format!("create `{folder}` first")).into());
    }
    refuse_input(flag, path, read)
}

/// Nothing, where files with these names can be written into the folder that a flag names.
///
/// # Errors
/// When the path is empty, a file, a model folder, or one of the files would replace an input.
pub fn folder(flag: &str, path: &Path, files: &[&str], read: &[&Path]) -> anyhow::Result<()> {
    let name = path.display();
    if path.as_os_str().is_empty() || path.is_file() {
        let what = format!("`{flag}` is `{name}`, expected a folder");
        return Err(Problem::with_hint(what, "name a new folder").into());
    }
    if let Some(file) = MODEL_FILES.iter().find(|file| path.join(file).is_file()) {
        let what = format!(
            "`{flag}` is `{name}`, a model folder (it holds `{file}`), expected another folder"
        );
        return Err(Problem::with_hint(what, "name a new folder").into());
    }
    files.iter().try_for_each(|file| refuse_input(flag, &path.join(file), read))
}

fn refuse_input(flag: &str, path: &Path, read: &[&Path]) -> anyhow::Result<()> {
    let Ok(place) = path.canonicalize() else { return Ok(()) };
    let name = path.display();
    let what = read.iter().find_map(|input| {
        let read = input.canonicalize().ok()?;
        if read == place {
            return Some(format!("`{flag}` would replace `{name}`, which is read"));
        }
        let folder = input.display();
        (place.parent() == Some(&read)).then(|| {
            format!("`{flag}` would replace `{name}`, a file of `{folder}`, which is read")
        })
    });
    match what {
        None => Ok(()),
        Some(what) => {
            let what = format!("{what}, expected another path");
            Err(Problem::with_hint(what, "name a new path; inputs are never written").into())
        }
    }
}

/// The folder that a file is in; `.` for a bare name.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}
