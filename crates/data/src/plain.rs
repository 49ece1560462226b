//! Rows without a template: a text, or a prompt and its completion, as the tokenizer begins and ends them.

use crate::conversation::EncodedText;
use crate::model_text::ModelText;
use crate::render::{rendered, Rendered};
use crate::render_problem::{NothingSupervised, RenderProblem};
use crate::tokenizer::Encoded;

/// A text between the tokens that the tokenizer puts around it, with a supervised end-of-sequence token.
///
/// # Errors
/// A row that trains nothing, and what the tokenizer says.
pub(crate) fn text_row(model: &ModelText, text: &str) -> Result<Rendered, RenderProblem> {
    let row = ended(model, begun(model, text)?);
    let mut supervised = vec![true; row.tokens.ids.len()];
    // Nothing predicts the first token.
    supervised.iter_mut().take(1).for_each(|supervised| *supervised = false);
    match supervised.contains(&true) {
        true => Ok(rendered(row, supervised)),
        false => Err(RenderProblem::NothingSupervised(match text.is_empty() {
            true => NothingSupervised::EmptyText,
            false => NothingSupervised::SingleToken,
        })),
    }
}

/// A text behind the tokens that the tokenizer puts first.
///
/// # Errors
/// What the tokenizer says.
pub(crate) fn begun(model: &ModelText, text: &str) -> Result<EncodedText, RenderProblem> {
    let tokens = Encoded::default();
    let mut row = EncodedText { text: String::new(), spans: Vec::new(), controls: None, tokens };
    for id in &model.tokenizer().around().0 {
        push(model, &mut row, *id);
    }
    append(&mut row, text, model.tokenizer().encode_text(text)?);
    Ok(row)
}

/// Prompt and completion with the end-of-sequence token, and the number of the prompt's tokens.
///
/// # Errors
/// What the tokenizer says.
pub(crate) fn concatenated(
    model: &ModelText,
    prompt: &str,
    completion: &str,
) -> Result<(EncodedText, usize), RenderProblem> {
    let asked = begun(model, prompt)?;
    let start = asked.tokens.ids.len();
    let joined = begun(model, &format!("{prompt}{completion}"))?;
    if joined.tokens.ids.starts_with(&asked.tokens.ids) {
        return Ok((ended(model, joined), start));
    }
    // A token lies across the border; generation would see the prompt alone.
    let tokenizer = model.tokenizer();
    let literal = tokenizer.literals().is_some_and(|literals| literals.is_match(completion));
    let guarded = literal || tokenizer.is_fuzzy();
    let answer = tokenizer.encode_after(completion, guarded.then_some(&[]))?;
    let mut row = asked;
    append(&mut row, completion, answer);
    Ok((ended(model, row), start))
}

/// The row with the tokens that the tokenizer puts last, and the end-of-sequence token.
fn ended(model: &ModelText, mut row: EncodedText) -> EncodedText {
    let after = &model.tokenizer().around().1;
    for id in after {
        push(model, &mut row, *id);
    }
    if let Some(eos) = model.eos().filter(|eos| after.last() != Some(eos)) {
        push(model, &mut row, eos);
    }
    row
}

fn push(model: &ModelText, row: &mut EncodedText, id: u32) {
    let text = model.tokenizer().token(id).unwrap_or_default();
    append(row, &text, Encoded { ids: vec![id], offsets: vec![(0, text.len())] });
}

fn append(row: &mut EncodedText, text: &str, tokens: Encoded) {
    let base = row.text.len();
    row.text.push_str(text);
    row.tokens.ids.extend(tokens.ids);
    row.tokens.offsets.extend(tokens.offsets.into_iter().map(|(a, b)| (a + base, b + base)));
}
