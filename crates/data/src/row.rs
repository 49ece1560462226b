//! The body of a row, format by format.

use serde_json::{Map, Value};

use crate::example::{Body, Message, Role};
use crate::field::Field;
use crate::format::{ColumnMap, RowFormat};
use crate::json::type_name;
use crate::message::{messages, objects, required, share_gpt_turns, string, wrong_type};
use crate::problem::RowProblem;

/// What a row has to have.
pub(crate) struct Demand<'a> {
    /// The keys of prompt, completion and text.
    pub(crate) columns: &'a ColumnMap,
    /// Whether it must end in an answer.
    pub(crate) answer: bool,
}

/// The body of a row in that format.
///
/// # Errors
/// Whatever keeps the row from being one.
pub(crate) fn body(
    row: &Map<String, Value>,
    format: RowFormat,
    demand: &Demand<'_>,
) -> Result<Body, RowProblem> {
    let body = match format {
        RowFormat::Messages => chat(row)?,
        RowFormat::ShareGpt => share_gpt(row)?,
        RowFormat::Alpaca => alpaca(row, demand)?,
        RowFormat::PromptCompletion => prompt_completion(row, demand)?,
        RowFormat::Text => {
            Body::Text { text: string(row, demand.columns.text_key(), Field::Row)?.to_owned() }
        }
        RowFormat::Preference => preference(row, demand)?,
    };
    if let (true, Body::Chat { messages, .. }) = (demand.answer, &body) {
        ends_in_answer(messages)?;
    }
    Ok(body)
}

/// A prompt or an answer, which may be text or turns.
enum Side {
    Text(String),
    Turns(Vec<Message>),
}

impl Side {
    fn of(row: &Map<String, Value>, key: &str) -> Result<Side, RowProblem> {
        const EXPECTED: &str = "a string or an array of messages";
        match required(row, key, Field::Row, EXPECTED)? {
            Value::String(text) => Ok(Side::Text(text.clone())),
            list @ Value::Array(_) => messages(list, Field::Row.key(key)).map(Side::Turns),
            other => Err(wrong_type(Field::Row.key(key), EXPECTED, other)),
        }
    }

    fn into_turns(self, speaker: Role) -> Vec<Message> {
        match self {
            Side::Text(text) => vec![Message::new(speaker, text)],
            Side::Turns(turns) => turns,
        }
    }
}

fn chat(row: &Map<String, Value>) -> Result<Body, RowProblem> {
    let list = required(row, "messages", Field::Row, "an array of messages")?;
    Ok(Body::Chat { messages: messages(list, Field::Row.key("messages"))?, tools: tools(row)? })
}

fn share_gpt(row: &Map<String, Value>) -> Result<Body, RowProblem> {
    let list = required(row, "conversations", Field::Row, "an array of turns")?;
    let mut messages = share_gpt_turns(list, Field::Row.key("conversations"))?;
    let opens_with_system = messages.first().is_some_and(|first| first.role == Role::System);
    if let (false, Some(system)) = (opens_with_system, words(row, "system")?) {
        messages.insert(0, Message::new(Role::System, system));
    }
    let tools = match row.get("tools") {
        // This format's files often hold the definitions as JSON text, an empty one where there are none.
        Some(Value::String(text)) if text.is_empty() => None,
        Some(written @ Value::String(text)) => {
            let list = serde_json::from_str(text).unwrap_or_else(|_| written.clone());
            Some(tool_list(&list)?)
        }
        _ => tools(row)?,
    };
    Ok(Body::Chat { messages, tools })
}

fn alpaca(row: &Map<String, Value>, demand: &Demand<'_>) -> Result<Body, RowProblem> {
    let instruction = string(row, "instruction", Field::Row)?;
    let question = match words(row, "input")? {
        Some(input) => format!("{instruction}\n\n{input}"),
        None => instruction.to_owned(),
    };
    let mut messages = Vec::new();
    if let Some(system) = words(row, "system")? {
        messages.push(Message::new(Role::System, system));
    }
    messages.push(Message::new(Role::User, question));
    if demand.answer || has_value(row, "output") {
        messages.push(Message::new(Role::Assistant, string(row, "output", Field::Row)?));
    }
    Ok(Body::Chat { messages, tools: tools(row)? })
}

fn prompt_completion(row: &Map<String, Value>, demand: &Demand<'_>) -> Result<Body, RowProblem> {
    let prompt = Side::of(row, demand.columns.prompt_key())?;
    let key = demand.columns.completion_key();
    let completion =
        if demand.answer || has_value(row, key) { Some(Side::of(row, key)?) } else { None };
    let tools = tools(row)?;
    let (prompt, completion) = match (prompt, completion, &tools) {
        (Side::Text(prompt), None, None) => {
            return Ok(Body::PromptCompletion { prompt, completion: None });
        }
        (Side::Text(prompt), Some(Side::Text(completion)), None) => {
            return Ok(Body::PromptCompletion { prompt, completion: Some(completion) });
        }
        (prompt, completion, _) => (prompt, completion),
    };
    let mut messages = prompt.into_turns(Role::User);
    for message in &mut messages {
        // What the row calls a prompt is not to be learned, whoever speaks in it.
        if message.role == Role::Assistant && completion.is_some() {
            message.weight = message.weight.or(Some(false));
        }
    }
    messages.extend(completion.into_iter().flat_map(|side| side.into_turns(Role::Assistant)));
    Ok(Body::Chat { messages, tools })
}

fn preference(row: &Map<String, Value>, demand: &Demand<'_>) -> Result<Body, RowProblem> {
    let key = demand.columns.prompt_key();
    let prompt = match has_value(row, key) {
        true => Some(Side::of(row, key)?),
        false => None,
    };
    let mut chosen = Side::of(row, "chosen")?.into_turns(Role::Assistant);
    let mut rejected = Side::of(row, "rejected")?.into_turns(Role::Assistant);
    for (field, side) in [("chosen", &chosen), ("rejected", &rejected)] {
        if let Some(last) = side.last().filter(|last| last.role != Role::Assistant) {
            return Err(RowProblem::PreferenceRole { field, found: last.role });
        }
    }
    // Whole conversations on both sides hold the prompt themselves: their common beginning.
    let most = chosen.len().min(rejected.len()).saturating_sub(1);
    let same = chosen.iter().zip(&rejected).take(most).take_while(|(a, b)| a == b).count();
    let common: Vec<Message> = chosen.drain(..same).collect();
    rejected.drain(..same);
    let prompt = match prompt {
        Some(Side::Turns(mut turns)) => {
            turns.extend(common);
            turns
        }
        Some(Side::Text(_)) if !common.is_empty() => common,
        Some(Side::Text(text)) => vec![Message::new(Role::User, text)],
        None => common,
    };
    Ok(Body::Preference { prompt, chosen, rejected })
}

/// The tool definitions of a row.
fn tools(row: &Map<String, Value>) -> Result<Option<Vec<Value>>, RowProblem> {
    match row.get("tools") {
        None | Some(Value::Null) => Ok(None),
        Some(list) => tool_list(list).map(Some),
    }
}

fn tool_list(list: &Value) -> Result<Vec<Value>, RowProblem> {
    let tools = objects(list, Field::Row.key("tools"))?;
    Ok(tools.into_iter().cloned().map(Value::Object).collect())
}

/// The string of a key that may be absent, null or empty.
fn words<'v>(row: &'v Map<String, Value>, key: &str) -> Result<Option<&'v str>, RowProblem> {
    match row.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
        Some(other) => Err(RowProblem::WrongType {
            field: key.to_owned(),
            expected: "a string",
            found: type_name(other),
        }),
    }
}

fn has_value(row: &Map<String, Value>, key: &str) -> bool {
    row.get(key).is_some_and(|value| !value.is_null())
}

fn ends_in_answer(messages: &[Message]) -> Result<(), RowProblem> {
    if messages.iter().all(|message| message.role != Role::Assistant) {
        return Err(RowProblem::NoAssistant);
    }
    match messages.last() {
        Some(last) if last.role != Role::Assistant => {
            Err(RowProblem::LastRole { found: last.role })
        }
        _ => Ok(()),
    }
}
