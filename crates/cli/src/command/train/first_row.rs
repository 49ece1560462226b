//! The first row as the model sees it, so that a doubled token or a foreign template meets the eye.

use std::path::Path;

use tunewise_data::{find_splits, OnBadRow, ReadOptions, Rendered, Renderer, RowReader};
use tunewise_train::Recipe;

use crate::output;

/// Characters of the text and ids that are shown.
const CHARACTERS: usize = 160;
const IDS: usize = 12;

/// Says how the first training row begins. It says nothing where there is no such row: the run itself tells why.
pub fn tell(recipe: &Recipe) {
    let Some((line, rendered)) = first(recipe) else { return };
    let supervised = rendered.supervised.iter().filter(|supervised| **supervised).count();
    let text: String = rendered.text.chars().take(CHARACTERS).collect();
    let more = if text.len() < rendered.text.len() { "…" } else { "" };
    output::say(format_args!(
        "line {line}: {} tokens, {supervised} supervised, begins {text:?}{more}",
        rendered.ids.len()
    ));
    let ids: Vec<String> = rendered.ids.iter().take(IDS).map(u32::to_string).collect();
    let more = if rendered.ids.len() > IDS { " …" } else { "" };
    output::say(format_args!("first ids: {}{more}", ids.join(" ")));
}

fn first(recipe: &Recipe) -> Option<(usize, Rendered)> {
    let splits = find_splits(Path::new(recipe.data.as_deref()?)).ok()?;
    let renderer = Renderer::from_folder(Path::new(recipe.model_name_or_path.as_deref()?)).ok()?;
    let mut options =
        ReadOptions { format: recipe.data_format.required(), ..ReadOptions::default() };
    options.columns.prompt.clone_from(&recipe.prompt_feature);
    options.columns.completion.clone_from(&recipe.completion_feature);
    options.columns.text.clone_from(&recipe.text_feature);
    options.on_bad_row = OnBadRow::Skip;
    options.require_answer = true;
    let mut rows = RowReader::open(&splits.train, &options).ok()?;
    let example = rows.find_map(Result::ok)?.example;
    let rendered = renderer.render_training(&example, recipe.train_on.into()).ok()?;
    Some((example.line, rendered.into_iter().next()?))
}
