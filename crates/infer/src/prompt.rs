//! What a model is asked.

use tunewise_data::{Body, DataError, Example, Renderer, TemplateKind};
use tunewise_model::{Adapter, Decoder};

use crate::error::InferError;

/// How many of a prompt's last tokens a text's continuation is decoded with.
const CONTEXT: usize = 8;

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
        let continues = match (&example.body, renderer.template_kind()) {
            (Body::Text { .. }, _) => Continues::Text,
            (Body::PromptCompletion { .. }, TemplateKind::Plain) => Continues::Text,
            _ => Continues::Turn,
        };
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
