//! One line for each row: where it stands, what was found in it, and how suspect it is.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tunewise_data::quality::{Code, QualityReport};
use tunewise_model::files::write_whole;

/// A row, for programs.
#[derive(Serialize)]
struct Item<'a> {
    file: &'a str,
    line: usize,
    codes: Vec<&'static str>,
    suspicion: Option<f64>,
    loss: Option<f64>,
}

/// Writes the rows of a report whose check scored them, in the order in which they were read.
///
/// # Errors
/// When the path cannot be written.
pub fn write(path: &Path, report: &QualityReport, files: &[PathBuf]) -> anyhow::Result<()> {
    let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
    let mut lines = Vec::new();
    for score in &report.row_scores {
        let item = Item {
            file: names.get(score.place.file).map_or("", String::as_str),
            line: score.place.line,
            codes: score.codes().into_iter().map(Code::name).collect(),
            suspicion: score.suspicion,
            loss: score.loss,
        };
        serde_json::to_writer(&mut lines, &item)?;
        lines.push(b'\n');
    }
    write_whole(path, &lines)?;
    Ok(())
}
