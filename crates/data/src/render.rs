//! The one renderer: rows to exactly the text and tokens a model sees, in training and in generation.

use std::path::Path;

use chrono::{DateTime, Local};

use crate::conversation::EncodedText;
use crate::error::DataError;
use crate::example::{Body, Example, Message, Role};
use crate::mask::{training_rows, turn_row};
use crate::model_text::ModelText;
use crate::plain::{begun, concatenated, text_row};
use crate::render_problem::{NothingSupervised, RenderProblem};
use crate::shield;
use crate::tokenize::TokenExample;

/// Where the chat template comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TemplateKind {
    /// The model's own, or one given in its place.
    Model,
    /// ChatML, because the model has none and its tokenizer has the markers.
    ChatMl,
    /// Plain turns, because the model has none.
    Plain,
}

/// What a row is rendered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RenderMode {
    /// Training on every turn of the assistant.
    Training,
    /// The prompt for the row's last answer.
    GenerationPrompt,
}

/// Which turns of the assistant are trained (`train_on`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrainOn {
    /// Every turn.
    #[default]
    All,
    /// The last turn.
    Last,
}

/// A row as the model sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rendered {
    /// The text, control tokens included.
    pub text: String,
    /// Token ids.
    pub ids: Vec<u32>,
    /// Whether each token is a target of the loss.
    pub supervised: Vec<bool>,
    /// Byte range of each token in the text.
    pub offsets: Vec<(usize, usize)>,
}

/// Bytes from which on it is worth asking whether a text can fit at all before it is tokenized.
const LONG_TEXT: usize = 1 << 20;

/// A model's chat template, tokenizer and special tokens.
pub struct Renderer {
    model: ModelText,
}

impl Renderer {
    /// The renderer of a model folder.
    ///
    /// `tokenizer.json` must be there; `tokenizer_config.json`, `chat_template.jinja`, `config.json` and
    /// `generation_config.json` are used where they are.
    ///
    /// # Errors
    /// Files that are absent, unreadable or wrong; each is named.
    pub fn from_folder(folder: &Path) -> Result<Renderer, DataError> {
        Ok(Renderer { model: ModelText::from_folder(folder)? })
    }

    /// The same with another chat template.
    ///
    /// # Errors
    /// A template that does not parse.
    pub fn with_template(self, source: String) -> Result<Renderer, DataError> {
        Ok(Renderer { model: self.model.with_template(source)? })
    }

    /// The same with the clock of `strftime_now` at that time; by default it stands at the time of construction.
    pub fn at_time(self, now: DateTime<Local>) -> Renderer {
        Renderer { model: self.model.at_time(now) }
    }

    /// Where the chat template comes from.
    pub fn template_kind(&self) -> TemplateKind {
        self.model.kind()
    }

    /// What to tell the user once: a missing template, an end-of-sequence token that two files disagree on.
    pub fn notes(&self) -> &[String] {
        self.model.notes()
    }

    /// The SHA-256 of the template's kind and source, in hexadecimal.
    pub fn template_hash(&self) -> &str {
        self.model.template_hash()
    }

    /// The SHA-256 of `tokenizer.json`, in hexadecimal.
    pub fn tokenizer_hash(&self) -> &str {
        self.model.tokenizer_hash()
    }

    /// The ids at which generation stops: the end-of-sequence ids of the model's files and the end-of-turn token.
    pub fn stop_ids(&self) -> &[u32] {
        self.model.stop_ids()
    }

    /// Tokens of the tokenizer, added ones included.
    pub fn vocabulary_size(&self) -> usize {
        self.model.tokenizer().vocabulary_size()
    }

    /// The first text of a control token of this model in a text, where it has one; it would stay text.
    pub fn control_text<'t>(&self, text: &'t str) -> Option<&'t str> {
        shield::control_text(self.model.tokenizer().literals(), text)
    }

    /// The row as the model sees it.
    ///
    /// For training on a template that rewrites earlier turns this is the last of the rows that
    /// [`Renderer::render_training`] gives. A generation prompt leaves out the answer that ends the row.
    ///
    /// # Errors
    /// As [`Renderer::render_training`].
    pub fn render(&self, example: &Example, mode: RenderMode) -> Result<Rendered, DataError> {
        match mode {
            RenderMode::Training => {
                Ok(self.render_training(example, TrainOn::All)?.pop().unwrap_or_default())
            }
            RenderMode::GenerationPrompt => {
                let prompt = self.prompt(example).map_err(|problem| at(example, problem))?;
                let supervised = vec![false; prompt.tokens.ids.len()];
                Ok(rendered(prompt, supervised))
            }
        }
    }

    /// The rendering of a row's messages exactly as they are, with the prompt for an answer or without; nothing is
    /// supervised. Other rows are rendered as prompts.
    ///
    /// # Errors
    /// Rows the template rejects, and preference rows; each names its line.
    pub fn render_text(
        &self,
        example: &Example,
        generation_prompt: bool,
    ) -> Result<Rendered, DataError> {
        let row = match &example.body {
            Body::Chat { messages, tools } | Body::Question { messages, tools } => {
                let conversation = self.model.conversation(messages, tools.as_deref());
                let text = match generation_prompt {
                    true => conversation.prompt(messages.len()),
                    false => conversation.text(messages.len()),
                };
                text.and_then(|text| conversation.encode(text))
            }
            _ => self.prompt(example),
        };
        let row = row.map_err(|problem| at(example, problem))?;
        let supervised = vec![false; row.tokens.ids.len()];
        Ok(rendered(row, supervised))
    }

    /// The training rows of a row: one, or one per supervised turn where the template rewrites earlier turns.
    ///
    /// # Errors
    /// Rows the template rejects, rows that train nothing, and preference rows; each names its line.
    pub fn render_training(
        &self,
        example: &Example,
        train_on: TrainOn,
    ) -> Result<Vec<Rendered>, DataError> {
        self.training(example, train_on).map_err(|problem| at(example, problem))
    }

    /// The token examples of a row: one, or one per supervised turn where the template rewrites earlier turns.
    ///
    /// # Errors
    /// As [`Renderer::render_training`].
    pub fn encode_training(
        &self,
        example: &Example,
        train_on: TrainOn,
    ) -> Result<Vec<TokenExample>, DataError> {
        let rows = self.render_training(example, train_on)?.into_iter();
        let line = example.line;
        Ok(rows
            .map(|row| TokenExample { line, ids: row.ids, supervised: row.supervised })
            .collect())
    }

    /// Nothing, unless the row's text alone tells that it has more than `max_length` tokens in training.
    ///
    /// It spares tokenizing a text that is far too long; a row that passes may still be beyond the limit.
    ///
    /// # Errors
    /// [`RenderProblem::FarTooLong`].
    pub fn check_length(
        &self,
        example: &Example,
        train_on: TrainOn,
        max_length: usize,
    ) -> Result<(), DataError> {
        let bytes = self.training_bytes(example, train_on);
        let tokenizer = self.model.tokenizer();
        match bytes.zip(tokenizer.most_bytes(max_length)) {
            Some((bytes, most)) if bytes > most => {
                Err(at(example, RenderProblem::FarTooLong { bytes, max_length }))
            }
            _ => Ok(()),
        }
    }

    /// The ids from which the row's last answer is generated; an answer that is there is left out.
    ///
    /// # Errors
    /// Rows the template rejects, and preference rows without a prompt; each names its line.
    pub fn encode_prompt(&self, example: &Example) -> Result<Vec<u32>, DataError> {
        let prompt = self.prompt(example).map_err(|problem| at(example, problem))?;
        Ok(prompt.tokens.ids)
    }

    /// The ids of a text; literal control tokens in it stay text, and none are added around it.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn encode_plain(&self, text: &str) -> Result<Vec<u32>, DataError> {
        let tokens = self.model.tokenizer().encode_text(text);
        tokens.map(|tokens| tokens.ids).map_err(|problem| render_error(0, problem))
    }

    /// The ids of the prompt and of `answer` as the turn that follows, its end-of-turn token included.
    ///
    /// Together they are what training on that answer sees. An answer that `prompt` ends in is left out.
    ///
    /// # Errors
    /// As [`Renderer::encode_prompt`].
    pub fn encode_continuation(
        &self,
        prompt: &Example,
        answer: &str,
    ) -> Result<(Vec<u32>, Vec<u32>), DataError> {
        let row = self.continuation(prompt, answer).map_err(|problem| at(prompt, problem))?;
        let (mut ids, start) = row;
        let answer = ids.split_off(start.min(ids.len()));
        Ok((ids, answer))
    }

    /// The text of ids, special tokens left out.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn decode(&self, ids: &[u32]) -> Result<String, DataError> {
        let text = self.model.tokenizer().decode(ids);
        text.map_err(|problem| render_error(0, problem))
    }

    /// The text of ids, special tokens written out.
    ///
    /// # Errors
    /// What the tokenizer says.
    pub fn decode_with_special(&self, ids: &[u32]) -> Result<String, DataError> {
        let text = self.model.tokenizer().decode_with_special(ids);
        text.map_err(|problem| render_error(0, problem))
    }

    fn training(
        &self,
        example: &Example,
        train_on: TrainOn,
    ) -> Result<Vec<Rendered>, RenderProblem> {
        match &example.body {
            Body::Text { text } => text_row(&self.model, text).map(|row| vec![row]),
            Body::PromptCompletion { prompt, completion } if self.is_plain() => {
                let none = NothingSupervised::NoAssistant;
                let completion =
                    completion.as_deref().ok_or(RenderProblem::NothingSupervised(none))?;
                let (row, start) = concatenated(&self.model, prompt, completion)?;
                let mut supervised = vec![true; row.tokens.ids.len()];
                supervised.iter_mut().take(start.max(1)).for_each(|supervised| *supervised = false);
                Ok(vec![rendered(row, supervised)])
            }
            Body::Preference { .. } => Err(RenderProblem::Preference),
            Body::Chat { .. } | Body::Question { .. } | Body::PromptCompletion { .. } => {
                let (messages, tools) = example.as_chat().unwrap_or_default();
                let conversation = self.model.conversation(&messages, tools.as_deref());
                training_rows(&conversation, &messages, self.model.end_of_turn(), train_on)
            }
        }
    }

    /// Bytes of a long row that becomes one example, without what its template writes last; `None` for others.
    fn training_bytes(&self, example: &Example, train_on: TrainOn) -> Option<usize> {
        let bytes = match &example.body {
            Body::Text { text } => text.len(),
            Body::PromptCompletion { prompt, completion: Some(completion) } if self.is_plain() => {
                prompt.len() + completion.len()
            }
            _ => {
                let (messages, tools) = example.as_chat()?;
                let content = |message: &Message| message.content.as_ref().map_or(0, String::len);
                let worth_rendering = messages.iter().map(content).sum::<usize>() >= LONG_TEXT;
                if !worth_rendering || !has_one_turn(&messages, train_on) {
                    return None;
                }
                let conversation = self.model.conversation(&messages, tools.as_deref());
                let answer = messages.last()?.content.as_deref().map(str::trim);
                match answer.filter(|answer| answer.len() >= LONG_TEXT) {
                    Some(answer) => {
                        let text = conversation.text(messages.len()).ok()?.text;
                        text.rfind(answer)? + answer.len()
                    }
                    None => conversation.prompt(messages.len() - 1).ok()?.text.len(),
                }
            }
        };
        (bytes >= LONG_TEXT).then_some(bytes)
    }

    fn is_plain(&self) -> bool {
        self.model.kind() == TemplateKind::Plain
    }

    fn prompt(&self, example: &Example) -> Result<EncodedText, RenderProblem> {
        match &example.body {
            Body::Text { text } => begun(&self.model, text),
            Body::PromptCompletion { prompt, .. } if self.is_plain() => begun(&self.model, prompt),
            Body::Preference { prompt, .. } if prompt.is_empty() => Err(RenderProblem::Preference),
            _ => {
                let (messages, tools) = asked(example);
                let conversation = self.model.conversation(&messages, tools.as_deref());
                conversation.encode(conversation.prompt(messages.len())?)
            }
        }
    }

    /// Ids of a prompt and an answer to it, and the number of the prompt's.
    fn continuation(
        &self,
        example: &Example,
        answer: &str,
    ) -> Result<(Vec<u32>, usize), RenderProblem> {
        match &example.body {
            Body::Text { text: prompt } => {
                let (row, start) = concatenated(&self.model, prompt, answer)?;
                Ok((row.tokens.ids, start))
            }
            Body::PromptCompletion { prompt, .. } if self.is_plain() => {
                let (row, start) = concatenated(&self.model, prompt, answer)?;
                Ok((row.tokens.ids, start))
            }
            _ => {
                let (mut messages, tools) = asked(example);
                messages.push(Message::new(Role::Assistant, answer));
                let conversation = self.model.conversation(&messages, tools.as_deref());
                let whole = conversation.encode(conversation.text(messages.len())?)?;
                let turn = messages.len() - 1;
                let row = turn_row(&conversation, &whole, turn, self.model.end_of_turn())?;
                Ok((row.ids().to_vec(), row.prompt))
            }
        }
    }
}

/// Whether the answer that ends the conversation is the only turn that is trained.
fn has_one_turn(messages: &[Message], train_on: TrainOn) -> bool {
    let trained =
        |message: &&Message| message.role == Role::Assistant && message.weight != Some(false);
    let last = messages.last().filter(trained).is_some();
    last && (train_on == TrainOn::Last || messages.iter().filter(trained).count() == 1)
}

/// The messages before the answer that ends the row, and the tools.
fn asked(example: &Example) -> (Vec<Message>, Option<Vec<serde_json::Value>>) {
    let question = example.question(None);
    question.as_ref().unwrap_or(example).as_chat().unwrap_or_default()
}

/// The row with its mask.
pub(crate) fn rendered(row: EncodedText, supervised: Vec<bool>) -> Rendered {
    Rendered { text: row.text, ids: row.tokens.ids, supervised, offsets: row.tokens.offsets }
}

fn at(example: &Example, problem: RenderProblem) -> DataError {
    render_error(example.line, problem)
}

fn render_error(line: usize, problem: RenderProblem) -> DataError {
    DataError::Render { path: None, line, problem: Box::new(problem) }
}
