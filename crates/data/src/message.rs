//! The turns of a row, as OpenAI and as ShareGPT write them.

use serde_json::{json, Map, Value};

use crate::example::{Message, Role};
use crate::field::{excerpt, Field};
use crate::json::type_name;
use crate::problem::RowProblem;

const MESSAGE_ROLES: &[&str] = &["system", "user", "assistant", "tool"];
const SHARE_GPT_ROLES: &[&str] = &[
    "system",
    "human",
    "user",
    "gpt",
    "chatgpt",
    "assistant",
    "tool",
    "observation",
    "function_call",
];

/// The turns of a list of `role` and `content`.
///
/// # Errors
/// A list without messages, and whatever is wrong with one of them.
pub(crate) fn messages(list: &Value, field: Field<'_>) -> Result<Vec<Message>, RowProblem> {
    turns(list, field, message)
}

/// The turns of a list of `from` and `value`; a turn that has `role` instead is read as a message.
///
/// # Errors
/// A list without turns, and whatever is wrong with one of them.
pub(crate) fn share_gpt_turns(list: &Value, field: Field<'_>) -> Result<Vec<Message>, RowProblem> {
    turns(list, field, |turn, field| {
        let named = turn.contains_key("role") && !turn.contains_key("from");
        if named {
            message(turn, field)
        } else {
            share_gpt_turn(turn, field)
        }
    })
}

/// The string of a key.
///
/// # Errors
/// Its absence, and another type.
pub(crate) fn string<'v>(
    object: &'v Map<String, Value>,
    key: &str,
    within: Field<'_>,
) -> Result<&'v str, RowProblem> {
    let field = within.key(key);
    let value = required(object, key, within, "a string")?;
    value.as_str().ok_or_else(|| wrong_type(field, "a string", value))
}

/// The value of a key.
///
/// # Errors
/// Its absence.
pub(crate) fn required<'v>(
    object: &'v Map<String, Value>,
    key: &str,
    within: Field<'_>,
    expected: &'static str,
) -> Result<&'v Value, RowProblem> {
    object
        .get(key)
        .ok_or_else(|| RowProblem::MissingField { field: within.key(key).to_string(), expected })
}

/// The error of a value that has another type than expected.
pub(crate) fn wrong_type(field: Field<'_>, expected: &'static str, value: &Value) -> RowProblem {
    RowProblem::WrongType { field: field.to_string(), expected, found: type_name(value) }
}

/// The value as a list of objects, each with its place.
pub(crate) fn objects<'v>(
    list: &'v Value,
    field: Field<'_>,
) -> Result<Vec<&'v Map<String, Value>>, RowProblem> {
    let Value::Array(items) = list else {
        return Err(wrong_type(field, "an array", list));
    };
    let object = |(index, item): (usize, &'v Value)| {
        item.as_object().ok_or_else(|| wrong_type(field.item(index), "an object", item))
    };
    items.iter().enumerate().map(object).collect()
}

fn turns(
    list: &Value,
    field: Field<'_>,
    turn: impl Fn(&Map<String, Value>, Field<'_>) -> Result<Message, RowProblem>,
) -> Result<Vec<Message>, RowProblem> {
    let found = objects(list, field)?;
    if found.is_empty() {
        return Err(RowProblem::NoMessages { field: field.to_string() });
    }
    found.into_iter().enumerate().map(|(index, object)| turn(object, field.item(index))).collect()
}

fn message(object: &Map<String, Value>, field: Field<'_>) -> Result<Message, RowProblem> {
    let name = string(object, "role", field)?;
    let role = Role::from_name(name)
        .ok_or_else(|| unknown_role(field.key("role"), name, MESSAGE_ROLES))?;
    let calls_tools = calls_tools(object, role, field)?;
    let content = match object.get("content") {
        None | Some(Value::Null) if calls_tools => None,
        Some(Value::Null) => {
            let field = field.key("content").to_string();
            return Err(RowProblem::NoContent { field });
        }
        Some(content) => Some(text(content, field.key("content"))?),
        None => return Err(required_content(field)),
    };
    Ok(Message {
        role,
        content,
        weight: weight(object, field)?,
        extra: others(object, &["role", "content", "weight"]),
    })
}

fn required_content(field: Field<'_>) -> RowProblem {
    RowProblem::MissingField { field: field.key("content").to_string(), expected: "a string" }
}

/// A content's text: a string, or text parts joined without anything between them, as the parts are one text.
fn text(content: &Value, field: Field<'_>) -> Result<String, RowProblem> {
    match content {
        Value::String(text) => Ok(text.clone()),
        Value::Array(_) => {
            let parts = objects(content, field)?;
            let text = |(index, part)| part_text(part, field.item(index));
            parts.into_iter().enumerate().map(text).collect()
        }
        other => Err(wrong_type(field, "a string", other)),
    }
}

fn part_text<'v>(part: &'v Map<String, Value>, field: Field<'_>) -> Result<&'v str, RowProblem> {
    match string(part, "type", field)? {
        "text" => string(part, "text", field),
        other => Err(RowProblem::ContentPart {
            field: field.key("type").to_string(),
            found: excerpt(other),
        }),
    }
}

fn weight(object: &Map<String, Value>, field: Field<'_>) -> Result<Option<bool>, RowProblem> {
    let field = field.key("weight");
    match object.get("weight") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(weight)) => Ok(Some(*weight)),
        Some(Value::Number(number)) if number.as_f64() == Some(0.0) => Ok(Some(false)),
        Some(Value::Number(number)) if number.as_f64() == Some(1.0) => Ok(Some(true)),
        Some(Value::Number(number)) => Err(RowProblem::Weight {
            field: field.to_string(),
            found: excerpt(&number.to_string()),
        }),
        Some(other) => Err(wrong_type(field, "0 or 1", other)),
    }
}

/// Whether the message calls at least one tool.
fn calls_tools(
    object: &Map<String, Value>,
    role: Role,
    field: Field<'_>,
) -> Result<bool, RowProblem> {
    let field = field.key("tool_calls");
    let calls = match object.get("tool_calls") {
        None | Some(Value::Null) => return Ok(false),
        Some(calls) => objects(calls, field)?,
    };
    if role != Role::Assistant && !calls.is_empty() {
        return Err(RowProblem::ToolCallRole { field: field.to_string(), role });
    }
    for (index, call) in calls.iter().enumerate() {
        let field = field.item(index);
        let field_of_function = field.key("function");
        match call.get("function") {
            None => string(call, "name", field)?,
            Some(Value::Object(function)) => string(function, "name", field_of_function)?,
            Some(other) => return Err(wrong_type(field_of_function, "an object", other)),
        };
    }
    Ok(!calls.is_empty())
}

fn share_gpt_turn(turn: &Map<String, Value>, field: Field<'_>) -> Result<Message, RowProblem> {
    let name = string(turn, "from", field)?;
    let value = string(turn, "value", field)?;
    let role = match name {
        "system" => Role::System,
        "human" | "user" => Role::User,
        "gpt" | "chatgpt" | "assistant" | "function_call" => Role::Assistant,
        "tool" | "observation" => Role::Tool,
        _ => return Err(unknown_role(field.key("from"), name, SHARE_GPT_ROLES)),
    };
    let mut message = Message {
        role,
        content: Some(value.to_owned()),
        weight: weight(turn, field)?,
        extra: others(turn, &["from", "value", "weight"]),
    };
    if name == "function_call" {
        message.content = None;
        message.extra.insert("tool_calls".into(), called(value, field.key("value"))?);
    }
    Ok(message)
}

/// The tool calls that a ShareGPT turn writes as JSON text: one object, or a list of them.
fn called(text: &str, field: Field<'_>) -> Result<Value, RowProblem> {
    let refuse = || RowProblem::ToolCallText { field: field.to_string() };
    let calls = match serde_json::from_str(text) {
        Ok(Value::Array(calls)) if !calls.is_empty() => calls,
        Ok(call @ Value::Object(_)) => vec![call],
        Ok(_) | Err(_) => return Err(refuse()),
    };
    let call = |call: Value| {
        let named = call.get("name").is_some_and(Value::is_string);
        let called = named && call.get("arguments").is_some();
        called.then(|| json!({"type": "function", "function": call})).ok_or_else(refuse)
    };
    calls.into_iter().map(call).collect::<Result<Vec<Value>, _>>().map(Value::Array)
}

fn unknown_role(field: Field<'_>, found: &str, expected: &'static [&'static str]) -> RowProblem {
    RowProblem::UnknownRole { field: field.to_string(), found: excerpt(found), expected }
}

fn others(object: &Map<String, Value>, known: &[&str]) -> Map<String, Value> {
    let other = |(key, _): &(&String, &Value)| !known.contains(&key.as_str());
    object.iter().filter(other).map(|(key, value)| (key.clone(), value.clone())).collect()
}
