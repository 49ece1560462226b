//! What a model is asked.

use tunewise_data::{Body, DataError, Example, Renderer, TemplateKind};
use tunewise_model::{Adapter, Decoder};

use crate::error::InferError;

/// How many of a prompt's last tokens a text's continuation is decoded with.
const CONTEXT: usize = 8;

/// What stands between texts that are not turns: a blank line, or a space where the model knows no
/// line breaks.
pub(crate) fn gap(renderer: &Renderer) -> Result<&'static str, DataError> {
    let ids = renderer.encode_plain("a\n\na")?;
    Ok(if renderer.decode(&ids)?.contains("\n\n") { "\n\n" } else { " " })
}

/// A decoder, with an adapter or without.
#[derive(Clone, Copy)]
pub struct Model<'a> {
    /// The frozen decoder.
    pub decoder: &'a Decoder,
    /// What is added to it.
    pub adapter: Option<&'a Adapter>,
}

impl Model<'_> {
    /// The most tokens that a prompt and its completion can have together.
    pub fn context(&self) -> usize {
        self.decoder.config().max_position_embeddings
    }
}

/// Whether a row is to a model a bare text that its answer continues, as it is in training: a
/// `prompt` string where the model has no template.
pub(crate) fn is_bare(renderer: &Renderer, example: &Example) -> bool {
    matches!(example.body, Body::PromptCompletion { .. })
        && renderer.template_kind() == TemplateKind::Plain
}

/// The row up to its last answer, under a system message where one is given.
///
/// Where the row is bare text to the model, the system message is text before it, followed by a
/// blank line: turns would be nothing that the model saw in training. `None` where the row has no
/// question.
///
/// # Errors
/// What the tokenizer says.
pub fn asked(
    renderer: &Renderer,
    row: &Example,
    system: Option<&str>,
) -> Result<Option<Example>, DataError> {
    let (true, Some(system)) = (is_bare(renderer, row), system) else {
        return Ok(row.question(system));
    };
    let Some(mut question) = row.question(None) else { return Ok(None) };
    if let Body::PromptCompletion { prompt, .. } = &mut question.body {
        prompt.insert_str(0, &format!("{}{}", system.trim_end(), gap(renderer)?));
    }
    Ok(Some(question))
}

/// A prompt as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The row's line, named in errors; with the seed it keys the prompt's draws, so that two
    /// prompts of one line draw alike.
    pub line: usize,
    /// The tokens.
    pub ids: Vec<u32>,
    /// What the completion's text is to the prompt's.
    pub continues: Continues,
}

/// What a completion's text is to its prompt's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Continues {
    /// A turn of its own.
    Turn,
    /// The rest of the same text: a space between the two belongs to the completion.
    Text,
}

impl Prompt {
    /// The prompt that a row is to a model: what stands before its last answer, as the model's
    /// template has it.
    ///
    /// # Errors
    /// When the row cannot be rendered or tokenized.
    pub fn of(renderer: &Renderer, example: &Example) -> Result<Prompt, DataError> {
        let is_text = matches!(example.body, Body::Text { .. }) || is_bare(renderer, example);
        let continues = if is_text { Continues::Text } else { Continues::Turn };
        Ok(Prompt { line: example.line, ids: renderer.encode_prompt(example)?, continues })
    }

    /// Nothing, where the model can take the prompt and add at least one token.
    pub(crate) fn check(&self, model: Model<'_>) -> Result<(), InferError> {
        let Prompt { line, ids, .. } = self;
        let (line, tokens, most) = (*line, ids.len(), model.context().saturating_sub(1));
        if tokens == 0 {
            return Err(InferError::EmptyPrompt { line });
        }
        if tokens > most {
            return Err(InferError::PromptTooLong { line, tokens, most });
        }
        let vocabulary = model.decoder.config().vocab_size;
        match ids.iter().find(|id| **id as usize >= vocabulary) {
            Some(id) => Err(InferError::TokenId { line, id: *id, vocabulary }),
            None => Ok(()),
        }
    }

    /// The tokens before a completion that its text depends on.
    pub(crate) fn context(&self) -> &[u32] {
        match self.continues {
            Continues::Turn => &[],
            Continues::Text => {
                let from = self.ids.len().saturating_sub(CONTEXT);
                self.ids.get(from..).unwrap_or_default()
            }
        }
    }
}
