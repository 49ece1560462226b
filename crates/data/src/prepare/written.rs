//! Rows as they are written: chats as `messages`, plain texts as `text`, preferences as they are.

use serde_json::{Map, Value};

use crate::example::{Body, Message};
use crate::format::{ColumnMap, RowFormat};
use crate::read::Row;

/// Keys that would make a row one of another format.
const TELLING: [&str; 8] = [
    "messages",
    "conversations",
    "chosen",
    "rejected",
    "completion",
    "prompt",
    "instruction",
    "text",
];

/// The format that rows of this format are written in.
pub(super) fn written_as(format: RowFormat) -> RowFormat {
    match format {
        RowFormat::Text | RowFormat::Preference => format,
        RowFormat::Messages
        | RowFormat::PromptCompletion
        | RowFormat::Alpaca
        | RowFormat::ShareGpt => RowFormat::Messages,
    }
}

/// The row as it is written: what it means first, its other keys behind that.
///
/// Another key that would be taken for the row's meaning is called `source_…`.
pub(super) fn written(row: Row, format: RowFormat, columns: &ColumnMap) -> Map<String, Value> {
    let mut written = Map::new();
    let taken: &[&str] = match row.example.body {
        Body::Preference { .. } => return preference(row.raw, columns),
        Body::Text { text } => {
            written.insert("text".into(), text.into());
            &TELLING
        }
        Body::Chat { .. } | Body::Question { .. } | Body::PromptCompletion { .. } => {
            let (messages, tools) = row.example.as_chat().unwrap_or_default();
            let messages = messages.into_iter().map(turn).collect();
            written.insert("messages".into(), Value::Array(messages));
            if let Some(tools) = tools {
                written.insert("tools".into(), Value::Array(tools));
            }
            &["messages", "tools"]
        }
    };
    let used = used_keys(format, columns);
    let others = row.raw.into_iter().filter(|(key, _)| !used.contains(&key.as_str()));
    written.extend(others.map(|(key, value)| (free_key(key, taken), value)));
    written
}

/// A preference row, its prompt by its usual name.
fn preference(raw: Map<String, Value>, columns: &ColumnMap) -> Map<String, Value> {
    let renamed = |(key, value): (String, Value)| match key == columns.prompt_key() {
        true => ("prompt".to_owned(), value),
        false => (free_key(key, &["messages", "conversations", "prompt"]), value),
    };
    raw.into_iter().map(renamed).collect()
}

/// A message as JSON.
fn turn(message: Message) -> Value {
    let mut entries = Map::new();
    entries.insert("role".into(), message.role.name().into());
    entries.insert("content".into(), message.content.map_or(Value::Null, Value::String));
    if let Some(weight) = message.weight {
        entries.insert("weight".into(), u8::from(weight).into());
    }
    let taken = ["role", "content", "weight"];
    entries.extend(message.extra.into_iter().map(|(key, value)| (free_key(key, &taken), value)));
    Value::Object(entries)
}

/// The keys that a row of this format was understood by.
fn used_keys(format: RowFormat, columns: &ColumnMap) -> Vec<&str> {
    match format {
        RowFormat::Messages => vec!["messages", "tools"],
        RowFormat::ShareGpt => vec!["conversations", "system", "tools"],
        RowFormat::Alpaca => vec!["instruction", "input", "output", "system", "tools"],
        RowFormat::PromptCompletion => {
            vec![columns.prompt_key(), columns.completion_key(), "tools"]
        }
        RowFormat::Text => vec![columns.text_key()],
        RowFormat::Preference => Vec::new(),
    }
}

fn free_key(key: String, taken: &[&str]) -> String {
    if taken.contains(&key.as_str()) {
        format!("source_{key}")
    } else {
        key
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::example::Example;
    use crate::row::{body, Demand};

    fn rewritten(raw: Value, format: RowFormat, columns: &ColumnMap) -> String {
        let raw = raw.as_object().unwrap().clone();
        let demand = Demand { columns, answer: true };
        let body = body(&raw, format, &demand).unwrap();
        let row = Row { raw, example: Example { line: 1, body } };
        Value::Object(written(row, format, columns)).to_string()
    }

    #[test]
    fn other_keys_stand_behind_the_messages() {
        let row = json!({ "id": 7, "instruction": "Add.", "input": "1 2", "output": "3", "messages": "two" });
        assert_eq!(
            rewritten(row, RowFormat::Alpaca, &ColumnMap::default()),
            r#"{"messages":[{"role":"user","content":"Add.\n\n1 2"},{"role":"assistant","content":"3"}],"id":7,"source_messages":"two"}"#
        );
    }

    #[test]
    fn weights_tools_and_tool_calls_are_kept() {
        let row = json!({
            "tools": [{ "name": "f" }],
            "messages": [
                { "role": "user", "content": [{ "type": "text", "text": "go" }] },
                { "role": "assistant", "tool_calls": [{ "function": { "name": "f" } }] },
                { "role": "tool", "content": "1", "name": "f" },
                { "role": "assistant", "content": "one", "weight": 0 },
            ],
        });
        assert_eq!(
            rewritten(row, RowFormat::Messages, &ColumnMap::default()),
            r#"{"messages":[{"role":"user","content":"go"},{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"f"}}]},{"role":"tool","content":"1","name":"f"},{"role":"assistant","content":"one","weight":0}],"tools":[{"name":"f"}]}"#
        );
    }

    #[test]
    fn a_key_of_a_turn_that_says_something_else_is_kept_by_another_name() {
        let row = json!({ "conversations": [
            { "from": "human", "value": "hi", "role": "customer" },
            { "from": "gpt", "value": "yo", "content": 7 },
        ]});
        assert_eq!(
            rewritten(row, RowFormat::ShareGpt, &ColumnMap::default()),
            r#"{"messages":[{"role":"user","content":"hi","source_role":"customer"},{"role":"assistant","content":"yo","source_content":7}]}"#
        );
    }

    #[test]
    fn texts_and_preferences_stay_what_they_are() {
        let columns = ColumnMap { text: Some("body".into()), ..ColumnMap::default() };
        let text = json!({ "prompt": "p", "body": "Once.", "id": 1 });
        let text = rewritten(text, RowFormat::Text, &columns);
        assert_eq!(text, r#"{"text":"Once.","source_prompt":"p","id":1}"#);
        let columns = ColumnMap { prompt: Some("ask".into()), ..ColumnMap::default() };
        let row = json!({ "id": 1, "chosen": "a", "rejected": "b", "ask": "q" });
        let row = rewritten(row, RowFormat::Preference, &columns);
        assert_eq!(row, r#"{"id":1,"chosen":"a","rejected":"b","prompt":"q"}"#);
    }
}
