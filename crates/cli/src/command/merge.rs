//! `tunewise merge`: a model folder with an adapter in its weights.

use std::path::Path;

use serde_json::json;
use tunewise_model::merge::write_merged;
use tunewise_model::Adapter;

use crate::args::compute::Numbers;
use crate::args::MergeArgs;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::model_folder::{prepare, ModelFolder};
use crate::number::counted;
use crate::output::Form;

/// Writes the merged folder and prints how much of the model changed.
///
/// # Errors
/// When a folder cannot be read, or the output has files already.
pub fn run(args: &MergeArgs, form: Form) -> anyhow::Result<Exit> {
    prepare(&args.compute)?;
    let folder = ModelFolder::at(&args.model)?;
    check_output(args)?;
    let decoder = folder.decoder(Numbers::Auto)?;
    let adapter = folder.bare_adapter(&decoder, &args.adapter)?;
    let layers = adapter.paths().count();
    let largest = largest_change(&adapter)?;
    write_merged(&args.model, &adapter, &args.output)?;
    form.text(format_args!(
        "merged {} into `{}`; the largest change of a weight is {largest:.3e}",
        counted(layers, "layer"),
        args.output.display()
    ))?;
    form.json(
        &json!({ "model": args.output, "merged_layers": layers, "largest_change": largest }),
    )?;
    Ok(Exit::Done)
}

/// Nothing, where the output may be written.
fn check_output(args: &MergeArgs) -> anyhow::Result<()> {
    let output = &args.output;
    let name = output.display();
    let same = |other: &Path| {
        output.canonicalize().ok().is_some_and(|path| other.canonicalize().ok() == Some(path))
    };
    if same(&args.model) || same(&args.adapter) {
        let what = format!("`{name}` is what the merge reads from, expected another folder");
        return Err(Problem::with_hint(what, "name a new folder").into());
    }
    if output.as_os_str().is_empty() || output.is_file() {
        let what = format!("`--output` is `{name}`, expected a folder");
        return Err(Problem::with_hint(what, "name a new folder").into());
    }
    let has_files = output.is_dir() && output.read_dir()?.next().is_some();
    if has_files && !args.overwrite {
        let what = format!("`{name}` has files already, expected an empty or a new folder");
        return Err(Problem::with_hint(what, "name another folder, or pass `--overwrite`").into());
    }
    Ok(())
}

/// The largest absolute number that the merge adds to a weight.
fn largest_change(adapter: &Adapter) -> anyhow::Result<f32> {
    let mut largest = 0f32;
    for path in adapter.paths() {
        let Some(pair) = adapter.pair(path) else { continue };
        let change = (pair.b.tensor()?.matmul(&pair.a.tensor()?)? * pair.scale)?;
        largest = largest.max(change.abs()?.max_all()?.to_scalar()?);
    }
    Ok(largest)
}
