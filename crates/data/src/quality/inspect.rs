//! What can be seen in one row alone.

use std::borrow::Cow;

use serde_json::Value;
use whatlang::Lang;

pub(super) use super::excerpt::excerpt;
use super::excerpt::{around, end_of, hidden};
use super::finding::{Code, Place};
use super::grade::{shape_of, Shape};
use super::language;
use super::order;
use super::secrets;
use super::style::Style;
use super::text::{self, TextFault};
use super::tools;
use crate::example::{Body, Example, Message, Role};
use crate::problem::RowProblem;

/// Texts that look like the control tokens of known chat templates.
const CONTROL_TOKENS: [&str; 19] = [
    "<|im_start|>",
    "<|im_end|>",
    "<|endoftext|>",
    "<|end_of_text|>",
    "<|begin_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|assistant|>",
    "<|user|>",
    "<|system|>",
    "<|end|>",
    "<start_of_turn>",
    "<end_of_turn>",
    "[INST]",
    "[/INST]",
    "### Instruction:",
    "### Response:",
    "<</SYS>>",
];

/// A row's texts, and what was found in it.
#[derive(Debug, Clone)]
pub struct Inspected {
    /// Where it stands.
    pub place: Place,
    /// The system message; empty for none.
    pub system: String,
    /// What comes before the last answer, without the system message.
    pub question: String,
    /// The last answer, or the whole of a plain text.
    pub answer: String,
    /// How it is laid out.
    pub shape: Shape,
    /// What was found, with what it looks like; each code once.
    pub found: Vec<(Code, String)>,
    /// How the answer is written; `None` where it is too short to tell.
    pub style: Option<Style>,
    /// The language of the answer, or of the question where the answer is as short as a label; `None` where the text is
    /// short or the language not sure.
    pub language: Option<Lang>,
    /// The conversation or other group that the row belongs to, where that is known.
    pub group: Option<String>,
}

impl Inspected {
    /// What the row is about: its question, or the whole of a plain text.
    pub(crate) fn asked(&self) -> &str {
        asked(&self.question, &self.answer)
    }

    /// The row, looked at.
    pub fn of(example: &Example, file: usize) -> Inspected {
        let (turns, tools) = turns(&example.body);
        let found = faults(&example.body, &turns, tools);
        let answer_at = match turns.last() {
            Some(last) if last.role == Role::Assistant => turns.len() - 1,
            _ => turns.len(),
        };
        let answer = turns.get(answer_at).and_then(|turn| turn.content.as_deref()).unwrap_or("");
        let of_role = |wanted: fn(Role) -> bool| {
            let texts = turns[..answer_at].iter().filter(move |turn| wanted(turn.role));
            texts.filter_map(|turn| turn.content.as_deref()).collect::<Vec<_>>().join("\n")
        };
        let question = of_role(|role| role != Role::System);
        Inspected {
            place: Place { file, line: example.line },
            system: of_role(|role| role == Role::System),
            language: language::of_row(&question, answer),
            question,
            answer: answer.to_owned(),
            style: Style::of(answer),
            shape: shape_of(&example.body),
            found: found.0,
            group: None,
        }
    }

    /// The row as one of a group.
    pub fn in_group(self, group: Option<String>) -> Inspected {
        Inspected { group, ..self }
    }

    /// Adds what else was found in the row, unless its code was.
    pub fn note(&mut self, code: Code, example: String) {
        if !self.found.iter().any(|(found, _)| *found == code) {
            self.found.push((code, example));
        }
    }
}

/// What is wrong with the turns and the tools of a row.
fn faults(body: &Body, turns: &[Message], tools: Option<&Vec<Value>>) -> Notes {
    let mut found = Notes::default();
    for turn in turns {
        turn_faults(turn, &mut found);
    }
    if let Body::Preference { rejected, .. } = body {
        rejected.iter().for_each(|turn| turn_faults(turn, &mut found));
    }
    if !matches!(body, Body::Text { .. } | Body::Preference { .. }) {
        order::faults(turns, &mut found);
    }
    if let Some(tools) = tools {
        strings(tools, &mut |text| character_faults(text, &mut found));
        tools::faults(tools, turns, &mut found);
    }
    found
}

/// What a row is about: its question, or the whole of a plain text.
pub(crate) fn asked<'a>(question: &'a str, answer: &'a str) -> &'a str {
    if question.is_empty() {
        answer
    } else {
        question
    }
}

/// What was found in a row, each code once.
#[derive(Default)]
pub(super) struct Notes(pub(super) Vec<(Code, String)>);

impl Notes {
    /// Adds a code that is not there yet, with an example.
    pub(super) fn add(&mut self, code: Code, example: impl FnOnce() -> String) {
        if !self.0.iter().any(|(found, _)| *found == code) {
            self.0.push((code, example()));
        }
    }
}

/// The code of a problem that keeps a line from being a row.
pub fn code_of(problem: &RowProblem) -> Code {
    match problem {
        RowProblem::UnknownRole { .. } => Code::UnknownRole,
        RowProblem::OtherFormat { .. } => Code::MixedFormats,
        RowProblem::NoAssistant | RowProblem::LastRole { .. } => Code::NoAnswer,
        RowProblem::PreferenceRole { .. } => Code::NoAnswer,
        RowProblem::NoMessages { .. } | RowProblem::NoContent { .. } => Code::EmptyTurn,
        RowProblem::ToolCallText { .. } => Code::ToolArguments,
        RowProblem::ToolCallRole { .. } => Code::RoleOrder,
        _ => Code::Unreadable,
    }
}

/// The turns of a row in order, those of a plain text as one answer.
fn turns(body: &Body) -> (Cow<'_, [Message]>, Option<&Vec<Value>>) {
    match body {
        Body::Chat { messages, tools } | Body::Question { messages, tools } => {
            (Cow::Borrowed(messages), tools.as_ref())
        }
        Body::PromptCompletion { prompt, completion } => {
            let answer = completion.iter().map(|text| Message::new(Role::Assistant, text));
            ([Message::new(Role::User, prompt)].into_iter().chain(answer).collect(), None)
        }
        Body::Text { text } => (vec![Message::new(Role::Assistant, text)].into(), None),
        Body::Preference { prompt, chosen, .. } => {
            (prompt.iter().chain(chosen).cloned().collect(), None)
        }
    }
}

fn turn_faults(turn: &Message, found: &mut Notes) {
    let calls = tool_calls(turn);
    let content = turn.content.as_deref().unwrap_or("");
    if content.trim().is_empty() && calls.is_empty() {
        found.add(Code::EmptyTurn, || format!("a turn of role `{}` is empty", turn.role));
    }
    character_faults(content, found);
    if turn.role == Role::Assistant && calls.is_empty() {
        if let Some(opening) = text::boilerplate(content) {
            found.add(Code::Boilerplate, || opening.to_owned());
        }
        if text::is_cut_off(content) {
            found.add(Code::CutOff, || format!("… {}", end_of(content)));
        }
    }
    for call in calls {
        strings(std::slice::from_ref(call), &mut |text| secret_faults(text, found));
        if tools::arguments_of(call).is_none() {
            found.add(Code::ToolArguments, || excerpt(&tools::shown_arguments(call)));
        }
    }
}

/// The calls of a turn.
pub(super) fn tool_calls(turn: &Message) -> &[Value] {
    match turn.extra.get("tool_calls") {
        Some(Value::Array(calls)) => calls,
        _ => &[],
    }
}

/// What is wrong with the characters of a text, and what in it is secret.
fn character_faults(content: &str, found: &mut Notes) {
    for spotted in text::faults(content) {
        let code = match spotted.fault {
            TextFault::Mojibake => Code::Mojibake,
            TextFault::Replacement => Code::ReplacementCharacter,
            TextFault::ControlCharacter => Code::ControlCharacter,
            TextFault::ZeroWidth => Code::ZeroWidth,
            TextFault::EscapedUnicode => Code::EscapedText,
        };
        found.add(code, || around(content, spotted.range.start));
    }
    if let Some(token) = CONTROL_TOKENS.iter().find(|token| content.contains(**token)) {
        found.add(Code::ControlToken, || (*token).to_owned());
    }
    secret_faults(content, found);
}

fn secret_faults(content: &str, found: &mut Notes) {
    for secret in secrets::find(content) {
        let code = if secret.kind.is_credential() { Code::Credential } else { Code::PersonalData };
        found.add(code, || hidden(secret.kind, &content[secret.range.clone()]));
    }
}

/// Hands every string of some values to `read`.
fn strings(values: &[Value], read: &mut impl FnMut(&str)) {
    for value in values {
        match value {
            Value::String(text) => read(text),
            Value::Array(items) => strings(items, read),
            Value::Object(entries) => {
                entries.values().for_each(|value| strings(std::slice::from_ref(value), read));
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::format::ColumnMap;
    use crate::row::{body, Demand};
    use crate::RowFormat;

    fn inspected(row: Value) -> Inspected {
        let demand = Demand { columns: &ColumnMap::default(), answer: false };
        let body = body(row.as_object().unwrap(), RowFormat::Messages, &demand).unwrap();
        Inspected::of(&Example { line: 1, body }, 0)
    }

    fn found(messages: Value) -> Vec<Code> {
        let inspected = inspected(json!({ "messages": messages }));
        inspected.found.into_iter().map(|(code, _)| code).collect()
    }

    fn turn(role: &str, content: &str) -> Value {
        json!({ "role": role, "content": content })
    }

    #[test]
    fn a_plain_conversation_has_nothing_to_tell() {
        let turns = [
            turn("system", "Be brief."),
            turn("user", "Where is my parcel?"),
            turn("assistant", "It will arrive on Monday."),
            turn("user", "Thanks"),
            turn("assistant", "You're welcome!"),
        ];
        assert_eq!(found(json!(turns)), []);
    }

    #[test]
    fn turns_at_the_wrong_place_are_told() {
        for turns in [
            [turn("assistant", "Hello."), turn("user", "Hi."), turn("assistant", "Yes?")],
            [turn("user", "Hi."), turn("user", "Hello?"), turn("assistant", "Yes?")],
            [turn("user", "Hi."), turn("system", "Be brief."), turn("assistant", "Yes?")],
            [turn("user", "Hi."), turn("tool", "{}"), turn("assistant", "Yes?")],
        ] {
            assert_eq!(found(json!(turns)), [Code::RoleOrder]);
        }
        let empty = json!([turn("user", " \n"), turn("assistant", "Yes?")]);
        assert_eq!(found(empty), [Code::EmptyTurn]);
    }

    #[test]
    fn tool_calls_are_read_and_their_answers_looked_for() {
        let call = |arguments: Value| {
            let call =
                json!({ "type": "function", "function": { "name": "f", "arguments": arguments } });
            json!({ "role": "assistant", "tool_calls": [call] })
        };
        let answered = |arguments: Value| {
            found(json!([
                turn("user", "Go."),
                call(arguments),
                turn("tool", "1"),
                turn("assistant", "Done.")
            ]))
        };
        assert_eq!(answered(json!("{\"a\": 1}")), []);
        assert_eq!(answered(json!({ "a": 1 })), []);
        assert_eq!(answered(json!("{\"a\": ")), [Code::ToolArguments]);
        let unanswered = json!([
            turn("user", "Go."),
            call(json!({})),
            turn("user", "Well?"),
            turn("assistant", "Hm.")
        ]);
        assert_eq!(found(unanswered), [Code::ToolUnanswered]);
        assert_eq!(found(json!([turn("user", "Go."), call(json!({}))])), []);
    }

    #[test]
    fn calls_are_held_against_the_tools_of_the_row() {
        let call = json!({ "function": { "name": "find", "arguments": "{\"city\": 7}" } });
        let city = json!({ "type": "string" });
        let tool = json!({ "name": "find", "parameters": { "properties": { "city": city } } });
        let turns = [turn("user", "Go."), json!({ "role": "assistant", "tool_calls": [call] })];
        let row = inspected(json!({ "messages": turns, "tools": [tool] }));
        let example = "`find`: argument `city` is a number, expected `string`";
        assert_eq!(row.found, [(Code::ToolMismatch, example.to_owned())]);
    }

    #[test]
    fn a_code_is_noted_once_and_a_group_is_kept() {
        let row = json!({ "messages": [turn("user", "Hi."), turn("assistant", "Hello.")] });
        let mut row = inspected(row).in_group(Some("7".to_owned()));
        row.note(Code::OverLength, "300 tokens".to_owned());
        row.note(Code::OverLength, "400 tokens".to_owned());
        assert_eq!(row.found, [(Code::OverLength, "300 tokens".to_owned())]);
        assert_eq!((row.group.as_deref(), row.language), (Some("7"), None));
    }

    #[test]
    fn secrets_are_told_without_being_repeated() {
        let row = json!({ "messages": [turn("user", "I am jane.doe@mail.com"), turn("assistant", "Noted.")] });
        let demand = Demand { columns: &ColumnMap::default(), answer: true };
        let body = body(row.as_object().unwrap(), RowFormat::Messages, &demand).unwrap();
        let inspected = Inspected::of(&Example { line: 7, body }, 2);
        assert_eq!(inspected.place, Place { file: 2, line: 7 });
        assert_eq!(inspected.found, [(Code::PersonalData, "e-mail address: jane…".to_owned())]);
        assert_eq!(
            (inspected.question.as_str(), inspected.answer.as_str()),
            ("I am jane.doe@mail.com", "Noted.")
        );
    }

    #[test]
    fn secrets_in_calls_are_told() {
        let call = json!({ "type": "function", "function": { "name": "mail", "arguments": "{\"to\": \"jane.doe@mail.com\"}" } });
        let calls = json!([
            turn("user", "Mail her."),
            json!({ "role": "assistant", "tool_calls": [call] })
        ]);
        assert_eq!(found(calls), [Code::PersonalData]);
    }

    #[test]
    fn pasted_control_tokens_are_told() {
        let pasted = json!([turn("user", "<|im_start|>user"), turn("assistant", "Yes.")]);
        assert_eq!(found(pasted), [Code::ControlToken]);
    }
}
