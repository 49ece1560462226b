//! What can be seen in one row alone.

use std::borrow::Cow;

use serde_json::Value;

use super::finding::{Code, Place};
use super::secrets::{self, SecretKind};
use super::style::Style;
use super::text::{self, TextFault};
use crate::example::{Body, Example, Message, Role};
use crate::problem::RowProblem;

/// Texts that look like the control tokens of known chat templates.
const CONTROL_TOKENS: [&str; 16] = [
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
    "[/INST]",
    "<</SYS>>",
];
/// Characters of an example at most.
const EXCERPT: usize = 80;

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
    /// What was found, with what it looks like; each code once.
    pub found: Vec<(Code, String)>,
    /// How the answer is written; `None` where it is too short to tell.
    pub style: Option<Style>,
}

impl Inspected {
    /// What the row is about: its question, or the whole of a plain text.
    pub(crate) fn asked(&self) -> &str {
        asked(&self.question, &self.answer)
    }

    /// The row, looked at.
    pub fn of(example: &Example, file: usize) -> Inspected {
        let mut found = Notes::default();
        let (turns, tools) = turns(&example.body);
        for turn in turns.iter() {
            turn_faults(turn, &mut found);
        }
        if let Body::Preference { rejected, .. } = &example.body {
            rejected.iter().for_each(|turn| turn_faults(turn, &mut found));
        }
        if !matches!(example.body, Body::Text { .. } | Body::Preference { .. }) {
            order_faults(&turns, &mut found);
        }
        if let Some(tools) = tools {
            strings(tools, &mut |text| character_faults(text, &mut found));
        }
        let answer_at = match turns.last() {
            Some(last) if last.role == Role::Assistant => turns.len() - 1,
            _ => turns.len(),
        };
        let answer = turns.get(answer_at).and_then(|turn| turn.content.as_deref()).unwrap_or("");
        let of_role = |wanted: fn(Role) -> bool| {
            let texts = turns[..answer_at].iter().filter(move |turn| wanted(turn.role));
            texts.filter_map(|turn| turn.content.as_deref()).collect::<Vec<_>>().join("\n")
        };
        Inspected {
            place: Place { file, line: example.line },
            system: of_role(|role| role == Role::System),
            question: of_role(|role| role != Role::System),
            answer: answer.to_owned(),
            style: Style::of(answer),
            found: found.0,
        }
    }
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
struct Notes(Vec<(Code, String)>);

impl Notes {
    fn add(&mut self, code: Code, example: impl FnOnce() -> String) {
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
        let arguments = call.get("function").unwrap_or(call).get("arguments");
        if !arguments.is_none_or(is_object) {
            let shown = arguments.map_or(String::new(), Value::to_string);
            found.add(Code::ToolArguments, || excerpt(&shown));
        }
    }
}

/// Whether a call's arguments are an object, or the JSON text of one.
fn is_object(arguments: &Value) -> bool {
    match arguments {
        Value::Object(_) => true,
        Value::String(text) => matches!(serde_json::from_str(text), Ok(Value::Object(_))),
        _ => false,
    }
}

fn tool_calls(turn: &Message) -> &[Value] {
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

/// A secret's kind and its first characters.
fn hidden(kind: SecretKind, secret: &str) -> String {
    if kind == SecretKind::Password {
        return kind.name().to_owned();
    }
    let start: String = secret.chars().take(4).collect();
    format!("{}: {start}…", kind.name())
}

fn order_faults(turns: &[Message], found: &mut Notes) {
    let spoken: Vec<&Message> = turns.iter().filter(|turn| turn.role != Role::System).collect();
    let leading = turns.iter().take_while(|turn| turn.role == Role::System).count();
    if turns.iter().skip(leading).any(|turn| turn.role == Role::System) {
        found.add(Code::RoleOrder, || "a system message stands inside the conversation".to_owned());
    }
    match spoken.first() {
        Some(first) if matches!(first.role, Role::Assistant | Role::Tool) => {
            found.add(Code::RoleOrder, || format!("role `{}` speaks first", first.role));
        }
        _ => {}
    }
    for pair in spoken.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        let calls = !tool_calls(before).is_empty();
        match (before.role, after.role) {
            (Role::Tool, Role::Tool) => {}
            (a, b) if a == b => {
                found.add(Code::RoleOrder, || format!("role `{a}` speaks twice in a row"));
            }
            (Role::User, Role::Tool) => {
                found.add(Code::RoleOrder, || "a tool answers the user".to_owned());
            }
            (Role::Assistant, Role::Tool) if !calls => {
                found.add(Code::RoleOrder, || "a tool answers that was not called".to_owned());
            }
            _ => {}
        }
        if calls && after.role != Role::Tool {
            found.add(Code::ToolUnanswered, || format!("role `{}` speaks next", after.role));
        }
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

/// The beginning of a text on one line, its secrets hidden: a report is passed on more easily than the data.
pub(super) fn excerpt(text: &str) -> String {
    one_line(&masked(text))
}

fn masked(text: &str) -> String {
    let mut shown = String::new();
    let mut at = 0;
    for secret in secrets::find(text) {
        shown.push_str(&text[at..secret.range.start]);
        shown.push_str(&format!("⟨{}⟩", hidden(secret.kind, &text[secret.range.clone()])));
        at = secret.range.end;
    }
    shown.push_str(&text[at..]);
    shown
}

fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(EXCERPT) {
        Some((end, _)) => format!("{} …", &line[..end]),
        None => line,
    }
}

/// The text around a byte.
fn around(text: &str, at: usize) -> String {
    let before = text[..at].char_indices().rev().nth(19).map_or(0, |(start, _)| start);
    let shown: String = text[before..].chars().take(EXCERPT / 2).collect();
    let shown = masked(&shown);
    // What no one sees is shown by its number.
    shown
        .chars()
        .map(|c| if is_unseen(c) { format!("⟨{:04X}⟩", u32::from(c)) } else { c.to_string() })
        .collect()
}

fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn end_of(text: &str) -> String {
    let text = masked(text.trim_end());
    let start = text.char_indices().rev().nth(EXCERPT / 2).map_or(0, |(start, _)| start);
    text[start..].split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::format::ColumnMap;
    use crate::row::{body, Demand};
    use crate::RowFormat;

    fn found(messages: Value) -> Vec<Code> {
        let row = json!({ "messages": messages });
        let demand = Demand { columns: &ColumnMap::default(), answer: false };
        let body = body(row.as_object().unwrap(), RowFormat::Messages, &demand).unwrap();
        let inspected = Inspected::of(&Example { line: 1, body }, 0);
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
    fn secrets_in_calls_are_told_and_examples_hide_them() {
        let call = json!({ "type": "function", "function": { "name": "mail", "arguments": "{\"to\": \"jane.doe@mail.com\"}" } });
        let calls = json!([
            turn("user", "Mail her."),
            json!({ "role": "assistant", "tool_calls": [call] })
        ]);
        assert_eq!(found(calls), [Code::PersonalData]);
        assert_eq!(excerpt("Write to jane.doe@mail.com."), "Write to ⟨e-mail address: jane…⟩.");
        assert_eq!(
            end_of("Write to jane.doe@mail.com and the"),
            "Write to ⟨e-mail address: jane…⟩ and the"
        );
    }

    #[test]
    fn an_example_shows_what_no_one_sees() {
        assert_eq!(around("ab\u{200b}cd", 2), "ab⟨200B⟩cd");
        let pasted = json!([turn("user", "<|im_start|>user"), turn("assistant", "Yes.")]);
        assert_eq!(found(pasted), [Code::ControlToken]);
    }
}
