//! Completions: cached equals uncached, together equals alone, and where they end.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::ops::ControlFlow;
use std::path::Path;

use support::{prompt, TinyModel};
use tunewise_data::{Body, Example, Message, Renderer, Role};
use tunewise_infer::decoding::{complete_ids, TokenCompletion};
use tunewise_infer::{
    generate, Continues, Decoding, FinishReason, GenerationEvent, InferError, Limits, Model,
    Prompt, Sampling, SamplingOptions,
};
use tunewise_model::{BaseDtype, Decoder, TokenTree};

fn completions(
    model: Model<'_>,
    prompts: &[Prompt],
    decoding: &Decoding,
    stop_ids: &[u32],
) -> Vec<TokenCompletion> {
    let mut watch = |_| Ok(ControlFlow::Continue(()));
    complete_ids(model, prompts, decoding, stop_ids, &mut watch).unwrap()
}

/// The likeliest tokens, each from a pass over everything before it.
fn uncached_greedy(model: Model<'_>, prompt: &[u32], count: usize) -> Vec<u32> {
    let mut ids = prompt.to_vec();
    for _ in 0..count {
        let tree = TokenTree::single(ids.clone()).unwrap();
        let logits = model.decoder.logits(model.adapter, &tree, &[ids.len() - 1]).unwrap();
        ids.push(logits.argmax(1).unwrap().to_vec1::<u32>().unwrap()[0]);
    }
    ids.split_off(prompt.len())
}

/// Prompts of which some are equal, some begin others, and some stand alone.
fn related_prompts() -> Vec<Prompt> {
    let system: Vec<u32> = (10..30).collect();
    let with = |tail: &[u32]| [system.as_slice(), tail].concat();
    let rows = [
        with(&[40, 41, 42, 43, 44, 45]),
        with(&[50]),
        vec![7, 8, 9],
        with(&[40, 41, 42, 43, 44, 45]),
        with(&[]),
        with(&[40, 41, 42, 43, 44, 45, 46, 47, 48, 49]),
        vec![300],
    ];
    let numbered = rows.iter().enumerate();
    numbered.map(|(line, ids)| prompt(line + 1, ids)).collect()
}

fn tight() -> Limits {
    Limits { completions: 2, cached_tokens: 60, prompt_tokens: 3 }
}

#[test]
fn every_cached_token_is_the_likeliest_of_a_whole_pass() {
    let tiny = TinyModel::new(128);
    let adapter = tiny.adapter(3);
    for adapter in [None, Some(&adapter)] {
        let model = Model { adapter, ..tiny.model() };
        let prompts = related_prompts();
        let found = completions(model, &prompts, &Decoding::greedy(12), &[]);
        for (prompt, found) in prompts.iter().zip(found) {
            assert_eq!(found.ids, uncached_greedy(model, &prompt.ids, 12), "line {}", prompt.line);
            assert_eq!(found.finish_reason, FinishReason::Length);
        }
    }
}

#[test]
fn together_alone_and_under_tight_limits_the_tokens_are_the_same() {
    let tiny = TinyModel::new(128);
    let sampled = Sampling::new(SamplingOptions {
        temperature: 0.9,
        top_k: Some(40),
        top_p: Some(0.95),
        repetition_penalty: 1.1,
        seed: 11,
        ..SamplingOptions::default()
    });
    for sampling in [Sampling::default(), sampled.unwrap()] {
        let decoding = Decoding { sampling, ..Decoding::greedy(20) };
        let prompts = related_prompts();
        let together = completions(tiny.model(), &prompts, &decoding, &[]);
        let tightly = Decoding { limits: tight(), ..decoding.clone() };
        assert_eq!(completions(tiny.model(), &prompts, &tightly, &[]), together);
        for (prompt, together) in prompts.iter().zip(&together) {
            let alone = completions(tiny.model(), std::slice::from_ref(prompt), &decoding, &[]);
            assert_eq!(&alone[0], together, "line {}", prompt.line);
        }
        let greedy = decoding.sampling.is_greedy();
        assert_eq!(together[0].ids == together[3].ids, greedy, "draws are keyed by line");
    }
}

#[test]
fn a_completion_ends_before_a_stop_id_at_the_most_tokens_and_at_the_context() {
    let tiny = TinyModel::new(16);
    let prompts = [prompt(1, &[5, 6, 7]), prompt(2, &(20..35).collect::<Vec<u32>>())];
    let free = completions(tiny.model(), &prompts, &Decoding::greedy(100), &[]);
    assert_eq!((free[0].ids.len(), free[1].ids.len()), (13, 1));
    assert_eq!(free[0].finish_reason, FinishReason::Length);
    let stop = free[0].ids[4];
    let first = free[0].ids.iter().position(|id| *id == stop).unwrap();
    let stopped = completions(tiny.model(), &prompts[..1], &Decoding::greedy(100), &[stop]);
    assert_eq!(stopped[0].ids, free[0].ids[..first]);
    assert_eq!(stopped[0].finish_reason, FinishReason::Stop);
    let short = completions(tiny.model(), &prompts[..1], &Decoding::greedy(2), &[]);
    assert_eq!(short[0].ids, free[0].ids[..2]);
}

#[test]
fn a_prompt_without_room_or_with_a_foreign_token_is_an_error_naming_its_line() {
    let tiny = TinyModel::new(16);
    let message = |ids: &[u32], most: usize| -> String {
        let mut watch = |_| Ok(ControlFlow::Continue(()));
        let prompts = [prompt(1, &[5]), prompt(9, ids)];
        let decoding = Decoding::greedy(most);
        let result = complete_ids(tiny.model(), &prompts, &decoding, &[], &mut watch);
        result.unwrap_err().to_string()
    };
    assert_eq!(
        message(&[1; 16], 4),
        "line 9: the prompt has 16 tokens, expected at most 15, one fewer than the model's context"
    );
    assert_eq!(message(&[], 4), "line 9: the prompt has no tokens, expected at least one");
    assert_eq!(message(&[432], 4), "line 9: token id 432 is outside the model's vocabulary of 432");
    assert_eq!(message(&[1], 0), "`max-new-tokens` is 0, expected at least 1");
}

fn chat(line: usize, text: &str) -> Example {
    let messages = vec![Message::new(Role::User, text)];
    Example { line, body: Body::Chat { messages, tools: None } }
}

#[test]
fn streamed_text_is_the_decoded_completion_and_is_cut_before_a_stop_string() {
    let tiny = TinyModel::new(256);
    let texts = ["hello", "what is the weather", "hello"];
    let prompts: Vec<Prompt> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| Prompt::of(&tiny.renderer, &chat(index + 1, text)).unwrap())
        .collect();
    let run = |decoding: &Decoding| {
        let mut streamed = vec![String::new(); prompts.len()];
        let mut ended = Vec::new();
        let mut on_event = |event: GenerationEvent<'_>| match event {
            GenerationEvent::Text(index, text) => streamed[index].push_str(text),
            GenerationEvent::Ended(index) => ended.push(index),
        };
        let model = tiny.model();
        let found = generate(model, &tiny.renderer, &prompts, decoding, &mut on_event).unwrap();
        ended.sort_unstable();
        assert_eq!(ended, [0, 1, 2]);
        for (streamed, completion) in streamed.iter().zip(&found) {
            assert_eq!(streamed, &completion.text);
        }
        found
    };
    let sampling =
        Sampling::new(SamplingOptions { temperature: 1.0, seed: 2, ..SamplingOptions::default() });
    let mut decoding = Decoding { sampling: sampling.unwrap(), ..Decoding::greedy(60) };
    let whole = run(&decoding);
    for completion in &whole {
        assert_eq!(completion.text, tiny.renderer.decode(&completion.ids).unwrap());
        assert_eq!(completion.completion_tokens, completion.ids.len());
    }
    let letters: Vec<char> = whole[1].text.chars().collect();
    let stop: String = letters[letters.len() / 2..letters.len() / 2 + 3].iter().collect();
    decoding.stop_strings = vec![stop.clone()];
    let cut = run(&decoding);
    let begin = whole[1].text.find(&stop).unwrap();
    assert_eq!(cut[1].text, whole[1].text[..begin]);
    assert_eq!(cut[1].finish_reason, FinishReason::Stop);
    assert!(cut[1].completion_tokens < whole[1].completion_tokens);
    assert!(whole[1].ids.starts_with(&cut[1].ids));
}

#[test]
fn a_row_of_output_is_the_row_of_input_with_the_completion_beside_it() {
    let tiny = TinyModel::new(64);
    let set = tiny.rows(
        "in.jsonl",
        &[r#"{"messages": [{"role": "user", "content": "hi"}], "id": 7}"#.into()],
    );
    let prompts = [Prompt::of(&tiny.renderer, &set.rows[0].example).unwrap()];
    let model = tiny.model();
    let found =
        generate(model, &tiny.renderer, &prompts, &Decoding::greedy(3), &mut |_| {}).unwrap();
    let row = found[0].beside(&set.rows[0].raw).unwrap();
    let keys: Vec<&str> = row.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        ["messages", "id", "completion", "prompt_tokens", "completion_tokens", "finish_reason"]
    );
    assert_eq!(row["id"], 7);
    let input = serde_json::json!({
        "prompt": "a", "completion": "old", "reference_completion": "older", "prompt_tokens": 1,
    });
    let kept = found[0].beside(input.as_object().unwrap()).unwrap();
    let keys: Vec<&str> = kept.keys().map(String::as_str).collect();
    assert_eq!(
        keys,
        [
            "prompt",
            "reference_reference_completion",
            "reference_completion",
            "reference_prompt_tokens",
            "completion",
            "prompt_tokens",
            "completion_tokens",
            "finish_reason",
        ]
    );
    assert_eq!(kept["reference_reference_completion"], "old");
    assert_eq!(kept["reference_completion"], "older");
    assert_eq!(kept["completion"], found[0].text.as_str());
    assert_eq!(row["prompt_tokens"], prompts[0].ids.len());
    assert_eq!(row["finish_reason"], "length");
}

/// Text rows continued greedily; the figures are those of transformers' `generate`, in f32.
#[test]
fn real_models_tell_the_stories_that_transformers_tells() -> Result<(), InferError> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/models");
    if !shared.is_dir() {
        eprintln!("skipped: ../shared is absent");
        return Ok(());
    }
    let beginnings = ["Once upon a time", "One day, a little girl named Lily"];
    let stories = [
        (
            "stories260K",
            [
                ", there was a little girl named Lily. She loved to play outside in the park. \
                 One day, she saw a big, red ball. She wanted to play with it, but it was too high.\nLily",
                " went to the park with her mom. She saw a big box with a big box. She wanted to play \
                 with it, but it was too high. She asked her mom, \"Can I play with the box?",
            ],
        ),
        (
            "babyllama",
            [
                ", there was a little girl named Lily. She loved to play outs",
                " went to the park with her mom. They saw a big box on the gr",
            ],
        ),
    ];
    for (name, continued) in stories {
        let folder = shared.join(name);
        let decoder = Decoder::load(&folder, BaseDtype::F32, &candle_core::Device::Cpu)?;
        let renderer = Renderer::from_folder(&folder)?;
        let model = Model { decoder: &decoder, adapter: None };
        let mut prompts = Vec::new();
        for (index, text) in beginnings.iter().enumerate() {
            let body = Body::Text { text: text.to_string() };
            prompts.push(Prompt::of(&renderer, &Example { line: index + 1, body })?);
        }
        assert_eq!(prompts[0].continues, Continues::Text);
        let found = generate(model, &renderer, &prompts, &Decoding::greedy(60), &mut |_| {})?;
        let texts: Vec<&str> = found.iter().map(|completion| completion.text.as_str()).collect();
        assert_eq!(texts, continued, "{name}");
    }
    Ok(())
}
