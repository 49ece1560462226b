//! What is said of a row that cannot be read.

use tunewise_data::ReadOptions;

use crate::folder::*;

#[test]
fn a_last_message_of_the_user_is_refused_where_answers_are_needed() {
    let row = r#"{"messages": [{"role": "assistant", "content": "a"}, {"role": "user", "content": "u"}]}"#;
    refused(
        row,
        "the last message has role `user`, expected `assistant`",
        "drop the row, or put it in a file for evaluation",
    );
    assert_eq!(body(row, &ReadOptions::default()), chat(vec![assistant("a"), user("u")]));
    refused(
        r#"{"messages": [{"role": "user", "content": "u"}]}"#,
        "no message has role `assistant`, expected at least one",
        "add the answer to learn, or drop the row",
    );
}

#[test]
fn what_is_no_object_is_refused() {
    refused(
        "[1, 2]",
        "the row is an array, expected an object",
        "write one object per line instead of one array",
    );
    refused(
        "\"text\"",
        "the row is a string, expected an object",
        "each line holds one JSON object",
    );
    refused("null", "the row is null, expected an object", "each line holds one JSON object");
    refused(
        r#"{"text": "a",}"#,
        "invalid JSON at column 14: trailing comma",
        "each line holds one JSON object",
    );
    refused(
        r#"{"text": "a"} {"text": "b"}"#,
        "invalid JSON at column 15: trailing characters",
        "each line holds one JSON object",
    );
    refused(
        "{",
        "invalid JSON at column 1: EOF while parsing an object",
        "each line holds one whole JSON object: a row must not go on over several lines",
    );
    refused(
        r#"{"text": "\ud800"}"#,
        "invalid JSON at column 17: unexpected end of hex escape",
        "each line holds one JSON object",
    );
    refused(
        r#"{"text": 1e999}"#,
        "invalid JSON at column 14: number out of range",
        "each line holds one JSON object",
    );
}

#[test]
fn keys_that_stand_twice_are_refused_at_any_depth() {
    refused(
        r#"{"text": "a", "text": "b"}"#,
        "the row has the key `text` twice, expected it once",
        "keep one of the two",
    );
    refused(
        r#"{"messages": [{"role": "user", "content": "u", "role": "assistant"}]}"#,
        "`messages[0]` has the key `role` twice, expected it once",
        "keep one of the two",
    );
}

#[test]
fn deep_nesting_is_refused() {
    let deep = format!(r#"{{"text": {}1{}}}"#, "[".repeat(5000), "]".repeat(5000));
    refused(
        &deep,
        "the row is nested deeper than 100 levels",
        "flatten the row, or write the nested part as a string",
    );
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let folder = Folder::new();
    let bytes = [ANSWERED.as_bytes(), b"\n{\"text\": \"\xc3(\"}\n"].concat();
    assert_eq!(
        folder.error(bytes, &answers()),
        (
            "`data/train.jsonl:2`: byte 11 of the line is 0xc3, expected UTF-8".to_owned(),
            "save the file as UTF-8".to_owned()
        )
    );
    assert_eq!(
        folder.error(b"\xff\xfe{\0}\0", &answers()),
        (
            "`data/train.jsonl:1`: byte 1 of the line is 0xff, expected UTF-8".to_owned(),
            "the file seems to be UTF-16: save it as UTF-8".to_owned()
        )
    );
}

#[test]
fn wrong_types_name_the_field_and_what_was_found() {
    let written = "compare with the other rows of the file";
    refused(r#"{"messages": {}}"#, "`messages` is an object, expected an array", written);
    refused(
        r#"{"messages": "hi"}"#,
        "`messages` is a string, expected an array",
        "write the value itself, without quotes around it",
    );
    refused(r#"{"messages": [1]}"#, "`messages[0]` is a number, expected an object", written);
    refused(
        r#"{"messages": [{"role": "user", "content": 5}]}"#,
        "`messages[0].content` is a number, expected a string",
        "put the value in quotes",
    );
    refused(
        r#"{"messages": [{"role": 1}]}"#,
        "`messages[0].role` is a number, expected a string",
        "put the value in quotes",
    );
    refused(
        r#"{"text": null}"#,
        "`text` is null, expected a string",
        "write the value, or drop the row",
    );
    refused(
        r#"{"prompt": 1, "completion": "c"}"#,
        "`prompt` is a number, expected a string or an array of messages",
        written,
    );
    refused(
        r#"{"messages": [{"role": "assistant", "content": "a"}], "tools": "[]"}"#,
        "`tools` is a string, expected an array",
        "write the value itself, without quotes around it",
    );
    refused(
        r#"{"instruction": "i", "input": 3, "output": "o"}"#,
        "`input` is a number, expected a string",
        "put the value in quotes",
    );
    refused(
        r#"{"messages": [{"role": "assistant", "content": "a", "weight": "1"}]}"#,
        "`messages[0].weight` is a string, expected 0 or 1",
        "write the value itself, without quotes around it",
    );
    refused(
        r#"{"messages": [{"role": "assistant", "content": "a", "weight": 0.5}]}"#,
        "`messages[0].weight` is `0.5`, expected 0 or 1",
        "a message is trained on (1) or not (0); nothing in between",
    );
}

#[test]
fn missing_keys_and_empty_lists_are_refused() {
    let add = "add it, or drop the row";
    refused(
        r#"{"messages": [{"content": "u"}]}"#,
        "`messages[0].role` is missing, expected a string",
        add,
    );
    refused(
        r#"{"messages": [{"role": "user"}]}"#,
        "`messages[0].content` is missing, expected a string",
        add,
    );
    refused(
        r#"{"messages": []}"#,
        "`messages` is empty, expected at least one message",
        "drop the row",
    );
    refused(
        r#"{"prompt": "p", "response": "r"}"#,
        "`completion` is missing, expected a string or an array of messages",
        "name the column with `completion_feature` if it is called otherwise",
    );
    refused(r#"{"instruction": "i"}"#, "`output` is missing, expected a string", add);
    refused(
        r#"{"chosen": "c"}"#,
        "`rejected` is missing, expected a string or an array of messages",
        add,
    );
    refused(
        r#"{"conversations": [{"from": "gpt"}]}"#,
        "`conversations[0].value` is missing, expected a string",
        add,
    );
    refused(
        r#"{"question": "q", "answer": "a"}"#,
        "the row has the keys `question`, `answer`, expected those of a row format",
        "write `messages`, `conversations`, `prompt` and `completion`, `instruction` and `output`, `chosen` and \
         `rejected`, or `text`; or name your columns with `prompt_feature`, `completion_feature`, `text_feature`",
    );
    refused(
        "{}",
        "the row has the keys nothing, expected those of a row format",
        "write `messages`, `conversations`, `prompt` and `completion`, `instruction` and `output`, `chosen` and \
         `rejected`, or `text`; or name your columns with `prompt_feature`, `completion_feature`, `text_feature`",
    );
}

#[test]
fn unknown_roles_are_refused_with_the_known_ones() {
    for (role, hint) in [
        ("developer", "write `system`: chat templates know no `developer`"),
        ("human", "write `user`"),
        ("User", "write `user`"),
        ("gpt", "write `assistant`"),
        ("narrator", "rename the role, or drop the row"),
    ] {
        refused(
            &format!(r#"{{"messages": [{{"role": "{role}", "content": "x"}}]}}"#),
            &format!(
                "`messages[0].role` is `{role}`, expected `system`, `user`, `assistant`, `tool`"
            ),
            hint,
        );
    }
    refused(
        r#"{"conversations": [{"from": "bing", "value": "x"}]}"#,
        "`conversations[0].from` is `bing`, expected `system`, `human`, `user`, `gpt`, `chatgpt`, `assistant`, \
         `tool`, `observation`, `function_call`",
        "rename the role, or drop the row",
    );
}

#[test]
fn contents_without_text_are_refused() {
    refused(
        r#"{"messages": [{"role": "assistant", "content": null}]}"#,
        "`messages[0].content` is null, expected a string where the message has no tool calls",
        "write the text, or drop the row",
    );
    refused(
        r#"{"messages": [{"role": "assistant", "content": null, "tool_calls": []}]}"#,
        "`messages[0].content` is null, expected a string where the message has no tool calls",
        "write the text, or drop the row",
    );
    refused(
        r#"{"messages": [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "image_url"}]}]}"#,
        "`messages[0].content[1].type` is `image_url`, expected `text`",
        "only text can be trained on: drop the row or the part",
    );
}

#[test]
fn tool_calls_are_checked() {
    refused(
        r#"{"messages": [{"role": "user", "content": "u", "tool_calls": [{"name": "f"}]}]}"#,
        "`messages[0].tool_calls` belongs to role `user`, expected `assistant`",
        "only the assistant calls tools",
    );
    refused(
        r#"{"messages": [{"role": "assistant", "tool_calls": [{"function": {"arguments": "{}"}}]}]}"#,
        "`messages[0].tool_calls[0].function.name` is missing, expected a string",
        "add it, or drop the row",
    );
    refused(
        r#"{"messages": [{"role": "assistant", "tool_calls": [{"function": "f"}]}]}"#,
        "`messages[0].tool_calls[0].function` is a string, expected an object",
        "write the value itself, without quotes around it",
    );
    refused(
        r#"{"conversations": [{"from": "function_call", "value": "f(1)"}]}"#,
        "`conversations[0].value` is no tool call, expected JSON text of an object with a `name` and `arguments`",
        "write it as `{\"name\": \"…\", \"arguments\": {…}}`",
    );
}

#[test]
fn both_sides_of_a_preference_end_in_an_answer() {
    refused(
        r#"{"chosen": "c", "rejected": [{"role": "user", "content": "u"}]}"#,
        "the last message of `rejected` has role `user`, expected `assistant`",
        "both sides end in the answer that is compared",
    );
}
