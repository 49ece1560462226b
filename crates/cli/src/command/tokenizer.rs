//! `tunewise tokenizer`: a tokenizer learned from rows, for a model that starts from random weights.

use std::path::PathBuf;

use anyhow::Context;
use serde_json::json;
use tunewise_data::find_splits;
use tunewise_data::new_tokenizer::NewTokenizer;
use tunewise_model::files::write_whole;

use crate::args::TokenizerArgs;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::number::counted;
use crate::output::Form;
use crate::threads;

/// Learns a tokenizer, writes its files, and prints how large it is.
///
/// # Errors
/// When rows cannot be read, or the output has a tokenizer already.
pub fn run(args: &TokenizerArgs, form: Form) -> anyhow::Result<Exit> {
    threads::set(args.threads)?;
    let train = |path: &PathBuf| Ok(find_splits(path)?.train);
    let files = args.data.iter().map(train).collect::<anyhow::Result<Vec<PathBuf>>>()?;
    let output = &args.output;
    let is_there = |name: &&str| !args.overwrite && output.join(name).exists();
    if let Some(name) = NewTokenizer::FILES.into_iter().find(is_there) {
        let what = format!("`{}` has `{name}` already, expected no tokenizer", output.display());
        return Err(Problem::with_hint(what, "name another folder, or pass `--overwrite`").into());
    }
    let options = args.rows.asked();
    let tokenizer = threads::within(|| NewTokenizer::learn(&files, &options, args.vocab_size))?;
    std::fs::create_dir_all(output).with_context(|| format!("`{}`", output.display()))?;
    for (name, text) in tokenizer.files() {
        write_whole(&output.join(name), text.as_bytes())?;
    }
    form.text(format_args!(
        "learned {} from {}, written to `{}`",
        counted(tokenizer.vocabulary, "token"),
        counted(tokenizer.texts, "text"),
        output.display()
    ))?;
    form.json(&json!({
        "tokens": tokenizer.vocabulary,
        "texts": tokenizer.texts,
        "output": output,
    }))?;
    Ok(Exit::Done)
}
