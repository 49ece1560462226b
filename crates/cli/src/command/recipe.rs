//! `tunewise recipe`: every key, what it means, and its default.

use tunewise_train::Recipe;

use crate::args::RecipeArgs;
use crate::exit::Exit;
use crate::output::{self, Form};

/// Prints the commented default recipe, or the schema of one; with `--json` the default or the schema as one line.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(args: &RecipeArgs, form: Form) -> anyhow::Result<Exit> {
    match (form, args.schema) {
        (Form::Text, false) => form.text(Recipe::commented_default().trim_end())?,
        (Form::Text, true) => form.text(serde_json::to_string_pretty(&Recipe::json_schema())?)?,
        (Form::Json, false) => output::json_line(&Recipe::default())?,
        (Form::Json, true) => output::json_line(&Recipe::json_schema())?,
    }
    Ok(Exit::Done)
}
