//! One row of data, whatever format it was written in.

use std::fmt;

use serde_json::{Map, Value};

/// Who speaks in a [`Message`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions that stand before the conversation.
    System,
    /// The person.
    User,
    /// The model.
    Assistant,
    /// The result of a tool the model called.
    Tool,
}

impl Role {
    /// The name chat templates and OpenAI rows use.
    pub fn name(self) -> &'static str {
        match self {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => "tool",
        }
    }

    /// The role of that exact name.
    pub fn from_name(name: &str) -> Option<Role> {
        [Role::System, Role::User, Role::Assistant, Role::Tool]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// The text; `None` only for an assistant turn that has `tool_calls`.
    pub content: Option<String>,
    /// Whether the turn is trained on, where the row says so (`weight` 1 or 0).
    pub weight: Option<bool>,
    /// Every other key (`tool_calls`, `name`, `tool_call_id`, `reasoning_content`, …), as the template gets it.
    pub extra: Map<String, Value>,
}

impl Message {
    /// A message of plain text.
    pub fn new(role: Role, content: impl Into<String>) -> Message {
        Message { role, content: Some(content.into()), weight: None, extra: Map::new() }
    }
}

/// What a row holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Body {
    /// A conversation: rows of `messages`, Alpaca, ShareGPT, and `prompt`/`completion` as message lists.
    Chat {
        /// The turns; never empty.
        messages: Vec<Message>,
        /// Tool definitions, as the template gets them.
        tools: Option<Vec<Value>>,
    },
    /// A conversation that waits for an answer, whoever spoke last: what [`Example::question`] gives.
    Question {
        /// The turns; never empty.
        messages: Vec<Message>,
        /// Tool definitions, as the template gets them.
        tools: Option<Vec<Value>>,
    },
    /// `prompt` and `completion` as strings.
    PromptCompletion {
        /// What comes before the answer.
        prompt: String,
        /// The answer; `None` where the row only asks.
        completion: Option<String>,
    },
    /// Plain text, supervised throughout.
    Text {
        /// The text.
        text: String,
    },
    /// A preferred and a rejected answer to one prompt.
    Preference {
        /// The common beginning; may be empty.
        prompt: Vec<Message>,
        /// The preferred turns; the last is the assistant's.
        chosen: Vec<Message>,
        /// The rejected turns; the last is the assistant's.
        rejected: Vec<Message>,
    },
}

impl Body {
    /// Every text in it, in order.
    pub fn texts(&self) -> Vec<&str> {
        match self {
            Body::Chat { messages, .. } | Body::Question { messages, .. } => {
                messages.iter().filter_map(|turn| turn.content.as_deref()).collect()
            }
            Body::PromptCompletion { prompt, completion } => {
                [prompt.as_str()].into_iter().chain(completion.as_deref()).collect()
            }
            Body::Text { text } => vec![text],
            Body::Preference { prompt, chosen, rejected } => prompt
                .iter()
                .chain(chosen)
                .chain(rejected)
                .filter_map(|turn| turn.content.as_deref())
                .collect(),
        }
    }
}

/// A checked row.
#[derive(Debug, Clone, PartialEq)]
pub struct Example {
    /// The physical line it came from, counted from 1.
    pub line: usize,
    /// What it holds.
    pub body: Body,
}

impl Example {
    /// The row as messages and tools; `None` for text and preference rows.
    ///
    /// A `prompt` becomes a user turn and a `completion` an assistant turn.
    pub fn as_chat(&self) -> Option<(Vec<Message>, Option<Vec<Value>>)> {
        match &self.body {
            Body::Chat { messages, tools } | Body::Question { messages, tools } => {
                Some((messages.clone(), tools.clone()))
            }
            Body::PromptCompletion { prompt, completion } => {
                let mut messages = vec![Message::new(Role::User, prompt)];
                if let Some(completion) = completion {
                    messages.push(Message::new(Role::Assistant, completion));
                }
                Some((messages, None))
            }
            Body::Text { .. } | Body::Preference { .. } => None,
        }
    }

    /// The text of the answer that ends the row: the reference in an evaluation.
    ///
    /// `None` where the row ends in another role, or in tool calls without text, or is plain text or a question.
    /// A preference row answers with its chosen turn.
    pub fn reference(&self) -> Option<&str> {
        match &self.body {
            Body::Chat { messages, .. } => answer_text(messages),
            Body::PromptCompletion { completion, .. } => completion.as_deref(),
            Body::Preference { chosen, .. } => answer_text(chosen),
            Body::Text { .. } | Body::Question { .. } => None,
        }
    }

    /// The row up to the answer that ends it, with its system messages replaced by `system` where that is given.
    ///
    /// A row that ends in another role, and a question, stay whole. `None` for plain text, and
    /// where nothing stands before the answer. Without `system`, a `prompt`/`completion` row keeps its kind,
    /// so that a model without a template sees in generation what it saw in training.
    pub fn question(&self, system: Option<&str>) -> Option<Example> {
        let body = match (&self.body, system) {
            (Body::PromptCompletion { prompt, .. }, None) => {
                Body::PromptCompletion { prompt: prompt.clone(), completion: None }
            }
            (Body::PromptCompletion { prompt, .. }, Some(_)) => {
                asked(vec![Message::new(Role::User, prompt)], None, system)?
            }
            (Body::Chat { messages, tools }, _) => {
                let answers = messages.last().is_some_and(|last| last.role == Role::Assistant);
                let asked_turns = messages.len() - usize::from(answers);
                let messages = messages.iter().take(asked_turns).cloned().collect();
                asked(messages, tools.clone(), system)?
            }
            (Body::Question { messages, tools }, _) => {
                asked(messages.clone(), tools.clone(), system)?
            }
            (Body::Preference { prompt, .. }, _) => asked(prompt.clone(), None, system)?,
            (Body::Text { .. }, _) => return None,
        };
        Some(Example { line: self.line, body })
    }
}

/// The text of the last turn where the assistant speaks it.
fn answer_text(messages: &[Message]) -> Option<&str> {
    let last = messages.last()?;
    match last.role {
        Role::Assistant => last.content.as_deref(),
        Role::System | Role::User | Role::Tool => None,
    }
}

/// A question of those turns under that system message; `None` where there are no turns.
fn asked(
    mut messages: Vec<Message>,
    tools: Option<Vec<Value>>,
    system: Option<&str>,
) -> Option<Body> {
    if messages.is_empty() {
        return None;
    }
    if let Some(system) = system {
        let leading = messages.iter().take_while(|message| message.role == Role::System).count();
        messages.splice(..leading, [Message::new(Role::System, system)]);
    }
    Some(Body::Question { messages, tools })
}
