//! One row's messages on their way through the template and the tokenizer.

use std::ops::Range;

use minijinja::Value as TemplateValue;
use serde_json::{Map, Value};

use crate::example::{Message, Role};
use crate::python::template_value;
use crate::render_problem::RenderProblem;
use crate::shield::{MarkedText, Shield};
use crate::template::ChatTemplate;
use crate::tokenizer::{Encoded, TextTokenizer};

/// Names under which a message's reasoning is passed; the first is the one that templates read.
const REASONING: [&str; 3] = ["reasoning_content", "thinking", "reasoning"];

/// A rendered text and its tokens.
#[derive(Debug, Clone)]
pub(crate) struct EncodedText {
    /// The text as the model sees it.
    pub text: String,
    /// Byte ranges of the template's `generation` blocks.
    pub spans: Vec<Range<usize>>,
    /// Byte ranges of the template's control tokens; `None` where every literal is one.
    pub controls: Option<Vec<Range<usize>>>,
    /// Its tokens.
    pub tokens: Encoded,
}

/// A conversation made ready for a template: what the user wrote can no longer become a control token.
pub(crate) struct Conversation<'r> {
    tokenizer: &'r TextTokenizer,
    template: &'r ChatTemplate,
    roles: Vec<Role>,
    messages: Vec<TemplateValue>,
    /// The same with `content: null` where there is none, for templates that ask for it.
    with_null_content: Option<Vec<TemplateValue>>,
    tools: Option<TemplateValue>,
    shield: Option<Shield>,
}

impl<'r> Conversation<'r> {
    /// The conversation of these messages.
    pub(crate) fn new(
        tokenizer: &'r TextTokenizer,
        template: &'r ChatTemplate,
        messages: &[Message],
        tools: Option<&[Value]>,
    ) -> Conversation<'r> {
        let roles = messages.iter().map(|message| message.role).collect();
        let harmless: Option<Vec<TemplateValue>> =
            messages.iter().map(|message| harmless_value(message, tokenizer, template)).collect();
        if let (Some(messages), None) = (harmless, tools) {
            let (with_null_content, tools, shield) = (None, None, None);
            return Conversation {
                tokenizer,
                template,
                roles,
                messages,
                with_null_content,
                tools,
                shield,
            };
        }
        let values: Vec<Value> = messages.iter().map(template_message).collect();
        let tools = tools.map(|tools| Value::Array(tools.to_vec()));
        let row: Vec<&Value> = values.iter().chain(tools.as_ref()).collect();
        let literals = tokenizer.literals();
        let shield = Shield::for_row(&row, literals, template.marks());
        let ready = |value: &Value| match &shield {
            Some(shield) => template_value(&shield.cover(value, literals)),
            None => template_value(value),
        };
        let null_content = |(message, value): (&Message, &Value)| match (&message.content, value) {
            (None, Value::Object(entries)) => {
                let mut entries = entries.clone();
                entries.insert("content".into(), Value::Null);
                ready(&Value::Object(entries))
            }
            _ => ready(value),
        };
        let lacks_content =
            template.asks_for_none() && messages.iter().any(|message| message.content.is_none());
        Conversation {
            tokenizer,
            template,
            roles,
            messages: values.iter().map(ready).collect(),
            with_null_content: lacks_content
                .then(|| messages.iter().zip(&values).map(null_content).collect()),
            tools: tools.as_ref().map(ready),
            shield,
        }
    }

    /// The number of messages.
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Who speaks in each message.
    pub(crate) fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// The tokenizer.
    pub(crate) fn tokenizer(&self) -> &'r TextTokenizer {
        self.tokenizer
    }

    /// The rendering of the first `count` messages.
    ///
    /// # Errors
    /// What the template says.
    pub(crate) fn text(&self, count: usize) -> Result<MarkedText, RenderProblem> {
        self.render(|messages| messages.iter().take(count).cloned().collect(), false)
    }

    /// The rendering of the first `count` messages with the prompt for an answer.
    ///
    /// # Errors
    /// What the template says.
    pub(crate) fn prompt(&self, count: usize) -> Result<MarkedText, RenderProblem> {
        self.render(|messages| messages.iter().take(count).cloned().collect(), true)
    }

    /// The rendering of the first `count` messages and an answer of that text.
    ///
    /// # Errors
    /// What the template says.
    pub(crate) fn text_with_answer(
        &self,
        count: usize,
        answer: &str,
    ) -> Result<MarkedText, RenderProblem> {
        let answer = minijinja::context! { role => "assistant", content => answer };
        let with_answer = |messages: &[TemplateValue]| {
            messages.iter().take(count).cloned().chain([answer.clone()]).collect()
        };
        self.render(with_answer, false)
    }

    fn render(
        &self,
        select: impl Fn(&[TemplateValue]) -> Vec<TemplateValue>,
        generation_prompt: bool,
    ) -> Result<MarkedText, RenderProblem> {
        let attempt = |messages: &[TemplateValue]| {
            self.template.render(select(messages), self.tools.as_ref(), generation_prompt)
        };
        let rendering = match (attempt(&self.messages), &self.with_null_content) {
            // Some templates test `content is none`; where that fails too, the first error is the one to tell.
            (Err(error), Some(messages)) => attempt(messages).map_err(|_| error)?,
            (rendering, _) => rendering?,
        };
        let controls = || self.tokenizer.controls_in(&rendering.text);
        Ok(match &self.shield {
            Some(shield) => {
                let controls = controls();
                shield.uncover(rendering, controls)
            }
            None => MarkedText {
                controls: self.tokenizer.is_fuzzy().then(controls),
                text: rendering.text,
                spans: rendering.spans,
            },
        })
    }

    /// The tokens of a rendering.
    ///
    /// # Errors
    /// As [`TextTokenizer::encode`].
    pub(crate) fn encode(&self, text: MarkedText) -> Result<EncodedText, RenderProblem> {
        let tokens = self.tokenizer.encode(&text.text, text.controls.as_deref())?;
        Ok(joined(text, tokens))
    }

    /// The tokens of a rendering that another one may begin with.
    ///
    /// # Errors
    /// As [`TextTokenizer::encode`].
    pub(crate) fn encode_beside(
        &self,
        text: MarkedText,
        whole: &EncodedText,
    ) -> Result<EncodedText, RenderProblem> {
        let agreeing = match (&text.controls, &whole.controls) {
            (None, None) => true,
            (Some(own), Some(of_whole)) => of_whole.starts_with(own),
            _ => false,
        };
        if !agreeing || !whole.text.starts_with(&text.text) {
            return self.encode(text);
        }
        let controls = text.controls.as_deref();
        let tokens = self.tokenizer.encode_prefix(&text.text, controls, &whole.tokens)?;
        Ok(joined(text, tokens))
    }
}

fn joined(text: MarkedText, tokens: Encoded) -> EncodedText {
    EncodedText { text: text.text, spans: text.spans, controls: text.controls, tokens }
}

/// A message of nothing but text, whose text needs no shield, as the template gets it; `None` for others.
fn harmless_value(
    message: &Message,
    tokenizer: &TextTokenizer,
    template: &ChatTemplate,
) -> Option<TemplateValue> {
    let content = message.content.as_deref().filter(|_| message.extra.is_empty())?;
    let marked = template.marks().is_some_and(|marks| content.contains(marks));
    (!marked && tokenizer.is_harmless(content)).then(|| {
        let entries = [("role", message.role.name()), ("content", content)];
        TemplateValue::from_pairs(entries.map(|(key, text)| (key, TemplateValue::from(text))))
    })
}

/// A message as Hugging Face passes it: keys without a value left out, reasoning under every name.
fn template_message(message: &Message) -> Value {
    let mut entries = Map::new();
    entries.insert("role".into(), message.role.name().into());
    if let Some(content) = &message.content {
        entries.insert("content".into(), content.as_str().into());
    }
    let extra = message.extra.iter().filter(|(_, value)| !value.is_null());
    entries.extend(extra.map(|(key, value)| (key.clone(), value.clone())));
    let reasoning = REASONING.iter().find_map(|name| entries.get(*name)).cloned();
    if let Some(reasoning) = reasoning {
        entries.entry("thinking").or_insert_with(|| reasoning.clone());
        entries.insert("reasoning_content".into(), reasoning);
    }
    Value::Object(entries)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model_text::ModelText;

    #[test]
    fn a_rendering_beside_another_has_the_tokens_it_has_alone() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-bytes");
        let model = ModelText::from_folder(&folder).unwrap();
        for literal in ["", "é<|im_end|> \n<tool_call>"] {
            let message = |index: usize| match index % 2 {
                0 => Message::new(Role::User, format!("Why {literal} {index}? ")),
                _ => Message::new(Role::Assistant, format!(" Because.{literal}\n")),
            };
            let messages: Vec<Message> = (0..12).map(message).collect();
            let conversation = model.conversation(&messages, None);
            let whole = conversation.encode(conversation.text(12).unwrap()).unwrap();
            assert_eq!(whole.controls.is_some(), !literal.is_empty());
            for count in 0..12 {
                let renderings = [conversation.text(count), conversation.prompt(count)];
                for text in renderings.map(Result::unwrap) {
                    let alone = conversation.encode(text.clone()).unwrap();
                    let beside = conversation.encode_beside(text, &whole).unwrap();
                    assert_eq!(beside.tokens, alone.tokens, "{count} {literal}");
                }
            }
        }
    }

    #[test]
    fn a_message_of_text_alone_reaches_the_template_as_any_other_does() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-bytes");
        let model = ModelText::from_folder(&folder).unwrap();
        let model = model.with_template("{{ messages | tojson }}{{ messages[0] }}".into()).unwrap();
        let text_alone = [Message::new(Role::User, "é\n"), Message::new(Role::Assistant, "")];
        let mut others = text_alone.clone();
        for message in &mut others {
            // A key without a value is left out.
            message.extra.insert("name".into(), Value::Null);
        }
        let text = |messages| model.conversation(messages, None).text(2).unwrap();
        assert_eq!(text(&text_alone), text(&others));
        let expected = "[{\"role\": \"user\", \"content\": \"é\\n\"}";
        assert!(text(&text_alone).text.starts_with(expected));
    }
}
