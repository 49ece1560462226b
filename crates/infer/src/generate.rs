//! Completions as text.

use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::{Map, Value};
use tunewise_data::{DataError, Renderer};

use crate::decoding::{complete_ids, Decoding, TokenEvent};
use crate::error::InferError;
use crate::prompt::{Model, Prompt};
use crate::stop::{FinishReason, StopWatch};
use crate::text_stream::TextStream;

/// What a row's field is named behind, where the output has a field of its name.
const KEPT: &str = "reference_";

/// What a model answered to a prompt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Completion {
    /// The text, up to the end of the turn or the first stop string.
    #[serde(rename = "completion")]
    pub text: String,
    /// The tokens generated, those of a stop string included, the end of the turn not.
    #[serde(skip)]
    pub ids: Vec<u32>,
    /// The prompt's tokens.
    pub prompt_tokens: usize,
    /// The tokens generated: the number of `ids`.
    pub completion_tokens: usize,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

impl Completion {
    /// A row of input with the completion's fields behind its own.
    ///
    /// A field of the row that has one of these names stays in its place under another: `completion`
    /// becomes `reference_completion`, and so on.
    ///
    /// # Errors
    /// Never for these fields; the type is that of the JSON writer.
    pub fn beside(&self, row: &Map<String, Value>) -> Result<Map<String, Value>, InferError> {
        let Value::Object(fields) = serde_json::to_value(self)? else { return Ok(row.clone()) };
        let mut beside = Map::new();
        for (key, value) in row {
            let mut name = key.clone();
            while fields.contains_key(&name) || (name != *key && row.contains_key(&name)) {
                name.insert_str(0, KEPT);
            }
            beside.insert(name, value.clone());
        }
        beside.extend(fields);
        Ok(beside)
    }
}

/// What happens to a completion, named by its prompt's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GenerationEvent<'a> {
    /// More of its text; joined, the pieces are the whole text.
    Text(usize, &'a str),
    /// It ended.
    Ended(usize),
}

/// The completions of prompts, in their order.
///
/// A completion ends at the renderer's stop ids, at a stop string, after `max_new_tokens`, or at
/// the end of the model's context. `on_event` gets text as soon as it is certain: whole characters,
/// and nothing of a stop string.
///
/// # Errors
/// As [`complete_ids`], and when tokens cannot be decoded.
pub fn generate(
    model: Model<'_>,
    renderer: &Renderer,
    prompts: &[Prompt],
    decoding: &Decoding,
    on_event: &mut dyn FnMut(GenerationEvent<'_>),
) -> Result<Vec<Completion>, InferError> {
    let mut texts = Vec::with_capacity(prompts.len());
    for prompt in prompts {
        texts.push(GrowingText {
            stream: TextStream::after(prompt.context(), |ids: &[u32]| renderer.decode(ids))?,
            stop: StopWatch::new(&decoding.stop_strings),
        });
    }
    let mut watch = |event: TokenEvent| -> Result<ControlFlow<()>, InferError> {
        let (TokenEvent::Chosen(index, _) | TokenEvent::Ended(index)) = event;
        match texts.get_mut(index) {
            Some(text) => text.follow(event, on_event),
            None => Ok(ControlFlow::Continue(())),
        }
    };
    let completed = complete_ids(model, prompts, decoding, renderer.stop_ids(), &mut watch)?;
    let completed = completed.into_iter().zip(prompts).zip(texts);
    Ok(completed
        .map(|((tokens, prompt), text)| Completion {
            prompt_tokens: prompt.ids.len(),
            completion_tokens: tokens.ids.len(),
            finish_reason: tokens.finish_reason,
            ids: tokens.ids,
            text: text.stop.into_text(),
        })
        .collect())
}

/// The text of a completion that grows.
struct GrowingText<'a, F> {
    stream: TextStream<F>,
    stop: StopWatch<'a>,
}

impl<F> GrowingText<'_, F>
where
    F: Fn(&[u32]) -> Result<String, DataError>,
{
    /// Tells what a token adds to the text, and whether the completion goes on.
    fn follow(
        &mut self,
        event: TokenEvent,
        on_event: &mut dyn FnMut(GenerationEvent<'_>),
    ) -> Result<ControlFlow<()>, InferError> {
        let GrowingText { stream, stop } = self;
        let mut show = |index: usize, text: &str| match text {
            "" => {}
            text => on_event(GenerationEvent::Text(index, text)),
        };
        match event {
            TokenEvent::Chosen(index, id) => show(index, stop.push(&stream.push(id)?)),
            TokenEvent::Ended(index) => {
                show(index, stop.push(&stream.finish()?));
                show(index, stop.finish());
                on_event(GenerationEvent::Ended(index));
            }
        }
        Ok(match stop.stopped() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        })
    }
}
