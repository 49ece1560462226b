//! What the rows of each format mean.

use serde_json::json;
use tunewise_data::{Body, ColumnMap, Example, Message, ReadOptions, Role, RowFormat};

use crate::folder::*;

#[test]
fn message_rows_keep_roles_weights_and_other_keys() {
    let row = r#"{"messages": [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "name": "Ann"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "1", "type": "function",
            "function": {"name": "f", "arguments": "{}"}}], "weight": 0},
        {"role": "tool", "content": "42", "tool_call_id": "1"},
        {"role": "assistant", "content": "c", "weight": 1.0}],
        "tools": [{"type": "function", "function": {"name": "f"}}], "code": 7}"#
        .replace('\n', " ");
    let call = json!({"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}});
    let set = read(&row, &answers());
    let expected = Body::Chat {
        messages: vec![
            system("s"),
            Message { extra: object(json!({"name": "Ann"})), ..user("ab") },
            Message {
                role: Role::Assistant,
                content: None,
                weight: Some(false),
                extra: object(json!({"tool_calls": [call]})),
            },
            Message {
                extra: object(json!({"tool_call_id": "1"})),
                ..Message::new(Role::Tool, "42")
            },
            Message { weight: Some(true), ..assistant("c") },
        ],
        tools: Some(vec![json!({"type": "function", "function": {"name": "f"}})]),
    };
    assert_eq!(set.rows[0].example, Example { line: 1, body: expected });
    assert_eq!(set.format, RowFormat::Messages);
    let keys: Vec<&String> = set.rows[0].raw.keys().collect();
    assert_eq!(keys, ["messages", "tools", "code"]);
}

#[test]
fn a_weight_is_zero_or_one_in_any_spelling() {
    for (written, weight) in [
        ("0", Some(false)),
        ("1", Some(true)),
        ("0.0", Some(false)),
        ("1.0", Some(true)),
        ("false", Some(false)),
        ("true", Some(true)),
        ("null", None),
    ] {
        let row = format!(
            r#"{{"messages": [{{"role": "assistant", "content": "c", "weight": {written}}}]}}"#
        );
        assert_eq!(body(&row, &answers()), chat(vec![Message { weight, ..assistant("c") }]));
    }
}

#[test]
fn prompts_and_completions_are_strings_or_messages() {
    let strings = r#"{"prompt": "2+2=", "completion": "4"}"#;
    assert_eq!(
        body(strings, &answers()),
        Body::PromptCompletion { prompt: "2+2=".into(), completion: Some("4".into()) }
    );
    let lists =
        r#"{"prompt": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"},
        {"role": "user", "content": "c"}], "completion": [{"role": "assistant", "content": "d"}]}"#
            .replace('\n', " ");
    let unlearned = Message { weight: Some(false), ..assistant("b") };
    assert_eq!(
        body(&lists, &answers()),
        chat(vec![user("a"), unlearned, user("c"), assistant("d")])
    );
    let mixed = r#"{"prompt": [{"role": "user", "content": "a"}], "completion": "d"}"#;
    assert_eq!(body(mixed, &answers()), chat(vec![user("a"), assistant("d")]));
    let with_tools = r#"{"prompt": "a", "completion": "d", "tools": [{"name": "f"}]}"#;
    assert_eq!(
        body(with_tools, &answers()),
        Body::Chat {
            messages: vec![user("a"), assistant("d")],
            tools: Some(vec![json!({"name": "f"})]),
        }
    );
    let asks = r#"{"prompt": "2+2="}"#;
    assert_eq!(
        body(asks, &ReadOptions::default()),
        Body::PromptCompletion { prompt: "2+2=".into(), completion: None }
    );
}

#[test]
fn text_rows_are_text() {
    assert_eq!(body(r#"{"text": "Once"}"#, &answers()), Body::Text { text: "Once".into() });
}

#[test]
fn alpaca_rows_become_chat() {
    let with_input = r#"{"instruction": "Add.", "input": "1 2", "output": "3"}"#;
    assert_eq!(body(with_input, &answers()), chat(vec![user("Add.\n\n1 2"), assistant("3")]));
    let without =
        r#"{"instruction": "Sing.", "input": "", "output": "La", "system": "Be a bird."}"#;
    assert_eq!(
        body(without, &answers()),
        chat(vec![system("Be a bird."), user("Sing."), assistant("La")])
    );
    assert_eq!(read(without, &answers()).format, RowFormat::Alpaca);
    let asks = r#"{"instruction": "Sing."}"#;
    assert_eq!(body(asks, &ReadOptions::default()), chat(vec![user("Sing.")]));
}

#[test]
fn share_gpt_rows_become_chat() {
    let row = r#"{"conversations": [{"from": "system", "value": "s"}, {"from": "human", "value": "h"},
        {"from": "function_call", "value": "{\"name\": \"f\", \"arguments\": {\"x\": 1}}"},
        {"from": "observation", "value": "o"}, {"from": "gpt", "value": "g", "weight": 0},
        {"from": "user", "value": "u"}, {"from": "chatgpt", "value": "c"}, {"from": "tool", "value": "t"},
        {"role": "user", "content": "r"}, {"from": "assistant", "value": "a"}], "tools": "[{\"name\": \"f\"}]"}"#
        .replace('\n', " ");
    let call = json!({"type": "function", "function": {"name": "f", "arguments": {"x": 1}}});
    let calls = Message {
        role: Role::Assistant,
        content: None,
        weight: None,
        extra: object(json!({"tool_calls": [call]})),
    };
    assert_eq!(
        body(&row, &answers()),
        Body::Chat {
            messages: vec![
                system("s"),
                user("h"),
                calls,
                Message::new(Role::Tool, "o"),
                Message { weight: Some(false), ..assistant("g") },
                user("u"),
                assistant("c"),
                Message::new(Role::Tool, "t"),
                user("r"),
                assistant("a"),
            ],
            tools: Some(vec![json!({"name": "f"})]),
        }
    );
    let aside = r#"{"system": "s", "conversations": [{"from": "gpt", "value": "g"}], "tools": ""}"#;
    assert_eq!(body(aside, &answers()), chat(vec![system("s"), assistant("g")]));
}

#[test]
fn preference_rows_hold_prompt_chosen_and_rejected() {
    let expected = Body::Preference {
        prompt: vec![user("q")],
        chosen: vec![assistant("good")],
        rejected: vec![assistant("bad")],
    };
    let strings = r#"{"prompt": "q", "chosen": "good", "rejected": "bad"}"#;
    assert_eq!(body(strings, &answers()), expected);
    let whole =
        r#"{"chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "good"}],
        "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "bad"}]}"#
            .replace('\n', " ");
    assert_eq!(body(&whole, &answers()), expected);
    let twice = whole.replacen('{', r#"{"prompt": "q", "#, 1);
    assert_eq!(body(&twice, &answers()), expected);
    let bare = r#"{"chosen": "good", "rejected": "bad"}"#;
    assert_eq!(
        body(bare, &answers()),
        Body::Preference {
            prompt: vec![],
            chosen: vec![assistant("good")],
            rejected: vec![assistant("bad")],
        }
    );
}

#[test]
fn columns_are_mapped_and_settle_the_format() {
    let columns = ColumnMap {
        prompt: Some("question".into()),
        completion: Some("answer".into()),
        text: None,
    };
    let row = r#"{"question": "q", "answer": "a", "text": "t", "messages": 1}"#;
    let options = ReadOptions { columns, ..answers() };
    assert_eq!(
        body(row, &options),
        Body::PromptCompletion { prompt: "q".into(), completion: Some("a".into()) }
    );
    let columns = ColumnMap { text: Some("answer".into()), ..ColumnMap::default() };
    let options = ReadOptions { columns, ..answers() };
    assert_eq!(body(row, &options), Body::Text { text: "a".into() });
    refused_with(
        r#"{"text": "t"}"#,
        &options,
        "`answer` is missing, expected a string",
        "add it, or drop the row",
    );
}

#[test]
fn a_format_that_is_asked_for_overrides_what_the_keys_say() {
    let row = r#"{"instruction": "i", "output": "o", "text": "t"}"#;
    assert_eq!(read(row, &answers()).format, RowFormat::Alpaca);
    let options = ReadOptions { format: Some(RowFormat::Text), ..answers() };
    assert_eq!(body(row, &options), Body::Text { text: "t".into() });
}

fn waiting(messages: Vec<Message>) -> Body {
    Body::Question { messages, tools: None }
}

#[test]
fn the_reference_is_the_last_answer_and_the_question_what_stands_before_it() {
    let set = read(
        r#"{"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}, {"role": "assistant", "content": "a"}]}"#,
        &answers(),
    );
    let example = &set.rows[0].example;
    assert_eq!(example.reference(), Some("a"));
    let question = |system| example.question(system).unwrap().body;
    assert_eq!(question(None), waiting(vec![system("s"), user("u")]));
    assert_eq!(question(Some("other")), waiting(vec![system("other"), user("u")]));
    let asked = example.question(None).unwrap();
    assert_eq!((asked.reference(), asked.question(None)), (None, Some(asked.clone())));

    let pair = read(r#"{"prompt": "p", "completion": "c"}"#, &answers()).rows.remove(0).example;
    assert_eq!(pair.reference(), Some("c"));
    let unanswered = Body::PromptCompletion { prompt: "p".into(), completion: None };
    assert_eq!(pair.question(None).unwrap().body, unanswered);
    assert_eq!(pair.question(Some("s")).unwrap().body, waiting(vec![system("s"), user("p")]));
    assert_eq!(pair.as_chat(), Some((vec![user("p"), assistant("c")], None)));
    assert_eq!(pair.question(None).unwrap().as_chat(), Some((vec![user("p")], None)));

    let text = read(r#"{"text": "t"}"#, &answers()).rows.remove(0).example;
    assert_eq!((text.reference(), text.question(None), text.as_chat()), (None, None, None));
}
