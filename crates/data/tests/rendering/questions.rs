use super::*;
use tunewise_data::RenderMode;

const TWO_ANSWERS: [(&str, &str); 3] =
    [("user", "u"), ("assistant", "first"), ("assistant", "second")];

fn asked(answered: &str) -> String {
    format!("<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n{answered}<|im_end|>\n<|im_start|>assistant\n")
}

fn messages(example: &Example) -> Vec<(Role, String)> {
    let (messages, _) = example.as_chat().unwrap();
    messages.into_iter().map(|message| (message.role, message.content.unwrap())).collect()
}

#[test]
fn an_answer_is_left_out_once() {
    let renderer = under("chatml");
    let row = turns(&TWO_ANSWERS);
    let question = row.question(None).unwrap();
    for example in [&row, &question, &question.question(None).unwrap()] {
        let ids = renderer.encode_prompt(example).unwrap();
        assert_eq!(renderer.decode_with_special(&ids).unwrap(), asked("first"));
        let rendered = renderer.render(example, RenderMode::GenerationPrompt).unwrap();
        assert_eq!((rendered.text, rendered.ids), (asked("first"), ids.clone()));
        let (prompt, answer) = renderer.encode_continuation(example, "second").unwrap();
        assert_eq!(prompt, ids);
        assert_eq!(renderer.decode_with_special(&answer).unwrap(), "second<|im_end|>");
    }
}

#[test]
fn a_question_under_a_system_message_keeps_its_turns() {
    let question = turns(&TWO_ANSWERS).question(Some("s")).unwrap();
    let expected = [(Role::System, "s"), (Role::User, "u"), (Role::Assistant, "first")];
    assert_eq!(messages(&question), expected.map(|(role, text)| (role, text.to_string())));
    let ids = under("chatml").encode_prompt(&question).unwrap();
    let text = under("chatml").decode_with_special(&ids).unwrap();
    assert_eq!(text, format!("<|im_start|>system\ns<|im_end|>\n{}", asked("first")));
    assert_eq!(question.reference(), None);
}

#[test]
fn a_system_prompt_replaces_every_leading_system_message() {
    let row = turns(&[
        ("system", "one"),
        ("system", "two"),
        ("user", "u"),
        ("system", "later"),
        ("user", "v"),
        ("assistant", "a"),
    ]);
    let expected =
        [(Role::System, "s"), (Role::User, "u"), (Role::System, "later"), (Role::User, "v")];
    assert_eq!(
        messages(&row.question(Some("s")).unwrap()),
        expected.map(|(role, text)| (role, text.to_string()))
    );
    assert_eq!(messages(&row.question(None).unwrap()).len(), 5);
}
