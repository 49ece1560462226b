use super::*;
use tunewise_data::{RenderMode, TrainOn};

const TWO_TURNS: [(&str, &str); 5] = [
    ("system", "Be short."),
    ("user", "One?"),
    ("assistant", "1."),
    ("user", "Two?"),
    ("assistant", "2."),
];

fn shown_rows(renderer: &Renderer, row: &Example, train_on: TrainOn) -> Vec<String> {
    renderer.render_training(row, train_on).unwrap().iter().map(shown).collect()
}

#[test]
fn every_turn_is_supervised_with_its_end_and_without_the_white_space_after_it() {
    let renderer = renderer("tiny-bytes");
    let rows = renderer.render_training(&turns(&TWO_TURNS), TrainOn::All).unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        shown(&rows[0]),
        "<|im_start|>system\nBe short.<|im_end|>\n<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\n[1.<|im_end|>]\n<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n[2.<|im_end|>]\n"
    );
}

#[test]
fn the_tokens_of_a_short_row_are_exact() {
    let renderer = renderer("tiny-bytes");
    let rows = renderer
        .encode_training(&turns(&[("user", "!"), ("assistant", "$")]), TrainOn::All)
        .unwrap();
    let tokens: Vec<String> =
        rows[0].ids.iter().map(|id| renderer.decode_with_special(&[*id]).unwrap()).collect();
    assert_eq!(
        tokens,
        [
            "<|im_start|>",
            "user",
            "\n",
            "!",
            "<|im_end|>",
            "\n",
            "<|im_start|>",
            "assistant",
            "\n",
            "$",
            "<|im_end|>",
            "\n"
        ]
    );
    let supervised: Vec<usize> = (0..tokens.len()).filter(|at| rows[0].supervised[*at]).collect();
    assert_eq!(supervised, [9, 10]);
    assert_eq!((rows[0].line, rows[0].supervised_tokens()), (7, 2));
}

#[test]
fn only_the_last_turn_is_supervised_when_asked() {
    assert_eq!(
        shown_rows(&renderer("tiny-bytes"), &turns(&TWO_TURNS[1..]), TrainOn::Last),
        ["<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\n1.<|im_end|>\n<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n[2.<|im_end|>]\n"]
    );
}

#[test]
fn a_turn_of_weight_zero_is_not_supervised() {
    let mut row = turns(&TWO_TURNS[1..]);
    let Body::Chat { messages, .. } = &mut row.body else { unreachable!() };
    messages[3].weight = Some(false);
    messages[1].weight = Some(true);
    assert_eq!(
        shown_rows(&renderer("tiny-bytes"), &row, TrainOn::All),
        ["<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\n[1.<|im_end|>]\n<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n2.<|im_end|>\n"]
    );
    let error = renderer("tiny-bytes").encode_training(&row, TrainOn::Last).unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 7: no token is supervised: the turns to train have `weight` 0"
    );
}

#[test]
fn tool_calls_are_supervised_and_tool_results_are_not() {
    let row = chat(&json_file(&beside("golden/rows.json"))["conversations"]["tools"]);
    let rows = shown_rows(&renderer("tiny-bytes"), &row, TrainOn::All);
    assert_eq!(rows.len(), 1);
    let (_, conversation) = rows[0].split_once("<|im_start|>user\n").unwrap();
    assert_eq!(
        conversation,
        "Weather in Paris?<|im_end|>\n<|im_start|>assistant\n[<tool_call>{\"name\": \"weather\", \"arguments\": {\"city\": \"Paris\", \"days\": 2}}</tool_call><|im_end|>]\n<|im_start|>tool\n{\"sky\": \"clear\"}<|im_end|>\n<|im_start|>assistant\n[Clear sky.<|im_end|>]\n"
    );
}

#[test]
fn generation_blocks_and_prefixes_give_the_same_rows() {
    let marked = under("chatml_generation");
    let plain = under("chatml");
    for train_on in [TrainOn::All, TrainOn::Last] {
        for row in [turns(&TWO_TURNS), turns(&[("user", "é "), ("assistant", " \n")])] {
            let expected = plain.render_training(&row, train_on).unwrap();
            assert_eq!(marked.render_training(&row, train_on).unwrap(), expected);
        }
    }
}

#[test]
fn generation_blocks_that_cover_more_than_the_answer_are_taken_as_they_are() {
    assert_eq!(
        shown_rows(&under("chatml_generation_wide"), &turns(&TWO_TURNS[1..]), TrainOn::All),
        ["<|im_start|>user\nOne?<|im_end|>\n[<|im_start|>assistant\n1.<|im_end|>]\n<|im_start|>user\nTwo?<|im_end|>\n[<|im_start|>assistant\n2.<|im_end|>]\n"]
    );
}

#[test]
fn a_template_that_rewrites_earlier_turns_gives_one_row_per_turn() {
    let row = chat(&json_file(&beside("golden/rows.json"))["conversations"]["thoughts"]);
    let renderer = under("forgets_thoughts");
    assert_eq!(
        shown_rows(&renderer, &row, TrainOn::All),
        [
            "<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\n[<think>\nOne it is.\n</think>\n\nOne.<|im_end|>]",
            "<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\nOne.<|im_end|>\n<|im_start|>user\nTwo?<|im_end|>\n<|im_start|>assistant\n[<think>\nTwo it is.\n</think>\n\nTwo.<|im_end|>]",
        ]
    );
    // The last turn alone needs no rewriting.
    let last = shown_rows(&renderer, &row, TrainOn::Last);
    assert_eq!(last.len(), 1);
    assert!(last[0].ends_with("[<think>\nTwo it is.\n</think>\n\nTwo.<|im_end|>]\n"));
}

#[test]
fn a_template_that_moves_the_system_message_gives_one_row_per_turn() {
    let path = beside("fixtures/templates/system_last.jinja");
    let renderer =
        renderer("tiny-pieces").with_template(std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(
        shown_rows(&renderer, &turns(&TWO_TURNS), TrainOn::All),
        [
            "[INST]Be short.\n\nOne?[/INST][ 1.</s>]",
            "[INST]One?[/INST] 1.</s>[INST]Be short.\n\nTwo?[/INST][ 2.</s>]",
        ]
    );
}

#[test]
fn a_prompt_that_says_more_than_the_training_text_is_kept_and_the_answer_follows_it() {
    let renderer = under("opens_thoughts");
    let row = turns(&[("user", "One?"), ("assistant", "<i>1</i>")]);
    assert_eq!(
        shown_rows(&renderer, &row, TrainOn::All),
        ["<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\n<think>\n[<i>1</i><|im_end|>]"]
    );
    let prompt = renderer.encode_prompt(&row).unwrap();
    let trained = renderer.encode_training(&row, TrainOn::All).unwrap();
    assert!(trained[0].ids.starts_with(&prompt));
    assert!(trained[0].supervised[prompt.len()..].iter().all(|supervised| *supervised));
}

#[test]
fn an_answer_that_would_merge_with_its_prompt_is_cut_off_where_generation_would_begin() {
    let source = "{% for m in messages %}{{ m.role + ': ' + m.content }}{% if m.role == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}";
    let renderer = renderer("tiny-bytes").with_template(source.into()).unwrap();
    let row = turns(&[("user", "x"), ("assistant", "answer")]);
    let trained = renderer.render_training(&row, TrainOn::All).unwrap().remove(0);
    assert_eq!(shown(&trained), "user: x\nassistant: [answer<|im_end|>]");
    assert_eq!(
        trained.ids[..trained.supervised.iter().position(|s| *s).unwrap()],
        renderer.encode_prompt(&row).unwrap()
    );
    let (prompt, answer) = renderer.encode_continuation(&row, "answer").unwrap();
    assert_eq!([prompt, answer].concat(), trained.ids);
}

#[test]
fn a_conversation_that_the_assistant_opens_trains_its_greeting() {
    let source = "{% if messages[0].role == 'system' %}{% endif %}{% for m in messages %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
    let renderer = renderer("tiny-bytes").with_template(source.into()).unwrap();
    assert_eq!(
        shown_rows(&renderer, &turns(&[("assistant", "Hi."), ("user", "?"), ("assistant", "!")]), TrainOn::All),
        ["<|im_start|>assistant\n[Hi.<|im_end|>]\n<|im_start|>user\n?<|im_end|>\n<|im_start|>assistant\n[!<|im_end|>]\n"]
    );
}

#[test]
fn a_template_without_an_end_of_turn_is_said_aloud() {
    let renderer = under("unended");
    assert_eq!(
        renderer.notes(),
        ["the chat template ends the assistant's turns with no control token, so the model is not taught to stop"]
    );
    assert_eq!(
        shown_rows(&renderer, &turns(&[("user", "a"), ("assistant", "b")]), TrainOn::All),
        ["### User:\na\n\n### Assistant:\n[b\n\n]"]
    );
}

#[test]
fn a_generation_prompt_leaves_out_the_answer_and_supervises_nothing() {
    let renderer = renderer("tiny-bytes");
    let rendered = renderer.render(&turns(&TWO_TURNS[1..3]), RenderMode::GenerationPrompt).unwrap();
    assert_eq!(shown(&rendered), "<|im_start|>user\nOne?<|im_end|>\n<|im_start|>assistant\n");
    assert_eq!(rendered.ids.len(), rendered.supervised.len());
}

#[test]
fn the_answer_continues_the_prompt_with_its_end() {
    let renderer = renderer("tiny-bytes");
    let question = turns(&TWO_TURNS[1..2]);
    let (prompt, answer) = renderer.encode_continuation(&question, "1.").unwrap();
    assert_eq!(prompt, renderer.encode_prompt(&question).unwrap());
    assert_eq!(renderer.decode_with_special(&answer).unwrap(), "1.<|im_end|>");
    let trained = renderer.encode_training(&turns(&TWO_TURNS[1..3]), TrainOn::All).unwrap();
    assert!(trained[0].ids.starts_with(&[prompt, answer].concat()));
}
