//! How rows are asked: demonstrations and system messages, before turns and before bare text.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use support::TinyModel;
use tunewise_data::{Body, Example};
use tunewise_infer::demonstration::Demonstrations;
use tunewise_infer::prompt::asked;
use tunewise_infer::{
    compare, generate, ComparisonInput, ComparisonOptions, Decoding, LabelLength, Prompt,
};

fn pair(prompt: &str, completion: &str) -> String {
    serde_json::json!({"prompt": prompt, "completion": completion}).to_string()
}

fn chat(turns: &[(&str, &str)]) -> String {
    let turns =
        turns.iter().map(|(role, content)| serde_json::json!({"role": role, "content": content}));
    serde_json::json!({"messages": turns.collect::<Vec<_>>()}).to_string()
}

fn bare(example: &Example) -> &str {
    match &example.body {
        Body::PromptCompletion { prompt, completion: None } => prompt,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_row_that_answers_an_item_in_any_turn_is_no_demonstration() {
    let tiny = TinyModel::new(256);
    let rows = [
        chat(&[("user", "Where  is it?"), ("assistant", "here")]),
        chat(&[("user", "where is it?"), ("assistant", "x"), ("user", "bye"), ("assistant", "y")]),
        chat(&[("system", "s"), ("user", "WHERE is it?\n"), ("assistant", "there")]),
        chat(&[("user", "who is it?"), ("assistant", "me")]),
    ];
    let train = tiny.rows("train.jsonl", &rows);
    let item = chat(&[("system", "Be kind."), ("user", "where is it?")]);
    let test = tiny.rows("test.jsonl", &[item]);
    let chosen = Demonstrations::choose(&train, 4, 0, &[&test.rows[0].example]);
    assert_eq!(chosen.count(), 1);
    assert_eq!(Demonstrations::choose(&train, 4, 0, &[]).count(), 4);
}

#[test]
fn bare_prompts_stay_bare_behind_demonstrations_and_system_text() {
    let plain = TinyModel::plain(256);
    let renderer = &plain.renderer;
    let train = plain.rows("train.jsonl", &[pair("q: a\n", "one\n")]);
    let test = plain.rows("test.jsonl", &[pair("q: b\n", "two")]);
    let row = &test.rows[0].example;
    let question = asked(renderer, row, None).unwrap().unwrap();
    assert_eq!(bare(&question), "q: b\n");
    let gap = match renderer.decode(&renderer.encode_plain("\n\n").unwrap()).unwrap().as_str() {
        "\n\n" => "\n\n",
        _ => " ",
    };
    let instructed = asked(renderer, row, Some("Count.\n")).unwrap().unwrap();
    assert_eq!(bare(&instructed), format!("Count.{gap}q: b\n"));
    let chosen = Demonstrations::choose(&train, 2, 0, &[row]);
    let shown = chosen.before(renderer, &question, 1).unwrap();
    assert_eq!(bare(&shown), format!("q: a\none{gap}q: b\n"));
    let end = chosen.answers_end_at(renderer, &question).unwrap();
    assert_eq!(end, (gap == "\n\n").then_some(gap));

    let tiny = TinyModel::new(256);
    let shown = chosen.before(&tiny.renderer, &question, 1).unwrap();
    assert!(matches!(shown.body, Body::Question { .. }), "{shown:?}");
    assert_eq!(chosen.answers_end_at(&tiny.renderer, &question).unwrap(), None);
    let instructed = asked(&tiny.renderer, row, Some("Count.")).unwrap().unwrap();
    assert!(matches!(instructed.body, Body::Question { .. }), "{instructed:?}");
}

#[test]
fn bare_prompts_behind_conversations_are_told() {
    let plain = TinyModel::plain(256);
    let turns = [("user", "a"), ("assistant", "one")];
    let train = plain.rows("train.jsonl", &[chat(&turns)]);
    let test = plain.rows("test.jsonl", &[pair("b", "two")]);
    let input = ComparisonInput {
        model: "tiny",
        decoder: &plain.decoder,
        renderer: &plain.renderer,
        adapters: &[],
        train: &train,
        test: &test,
        system_prompt: None,
    };
    let options = ComparisonOptions {
        arms: vec!["few-shot".parse().unwrap()],
        metric: "exact-match".parse().unwrap(),
        shots: 1,
        limit: None,
        seed: 3,
        decoding: Decoding::greedy(2),
        label_length: LabelLength::default(),
        resamples: 20,
    };
    let notes = compare(input, &options, &mut |_| {}).unwrap().notes;
    let start = "`few-shot`: the training rows are conversations, so that the prompts are asked as";
    assert!(notes.iter().any(|note| note.starts_with(start)), "{notes:?}");
}

#[test]
fn the_most_tokens_can_be_any_number() {
    let tiny = TinyModel::new(24);
    let set = tiny.rows("in.jsonl", &[chat(&[("user", "hi")])]);
    let prompts = [Prompt::of(&tiny.renderer, &set.rows[0].example).unwrap()];
    let complete = |most: usize| {
        let decoding = Decoding::greedy(most);
        generate(tiny.model(), &tiny.renderer, &prompts, &decoding, &mut |_| {}).unwrap()
    };
    assert_eq!(complete(usize::MAX), complete(24));
}
