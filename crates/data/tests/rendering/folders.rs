use super::*;
use tunewise_data::{DataError, RenderMode, TemplateKind, TrainOn};

/// A copy of a fixture folder with further files; `None` removes one.
fn folder(fixture: &str, files: &[(&str, Option<&str>)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for name in ["tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(beside("fixtures").join(fixture).join(name), folder.path().join(name))
            .unwrap();
    }
    for (name, content) in files {
        match content {
            Some(content) => std::fs::write(folder.path().join(name), content).unwrap(),
            None => std::fs::remove_file(folder.path().join(name)).unwrap(),
        }
    }
    folder
}

fn load(fixture: &str, files: &[(&str, Option<&str>)]) -> Result<Renderer, DataError> {
    Renderer::from_folder(folder(fixture, files).path())
}

fn one(renderer: &Renderer, row: &Example) -> String {
    let rows = renderer.render_training(row, TrainOn::All).unwrap();
    assert_eq!(rows.len(), 1);
    shown(&rows[0])
}

#[test]
fn a_jinja_file_goes_before_the_configuration() {
    let renderer =
        load("tiny-bytes", &[("chat_template.jinja", Some("{{ messages[0].content }}<|im_end|>"))])
            .unwrap();
    assert_eq!(renderer.template_kind(), TemplateKind::Model);
    let rendered =
        renderer.render(&turns(&[("user", "Hi")]), RenderMode::GenerationPrompt).unwrap();
    assert_eq!(rendered.text, "Hi<|im_end|>");
}

#[test]
fn named_templates_are_chosen_by_tools() {
    let config = r#"{"chat_template": [{"name": "default", "template": "plain"}, {"name": "tool_use", "template": "tools"}]}"#;
    let renderer = load("tiny-bytes", &[("tokenizer_config.json", Some(config))]).unwrap();
    let text =
        |row: Value| renderer.render(&chat(&row), RenderMode::GenerationPrompt).unwrap().text;
    let messages = json!([{"role": "user", "content": "x"}]);
    assert_eq!(text(json!({"messages": messages})), "plain");
    assert_eq!(text(json!({"messages": messages, "tools": []})), "tools");
    let config = r#"{"chat_template": [{"name": "rag", "template": "r"}]}"#;
    let error = load("tiny-bytes", &[("tokenizer_config.json", Some(config))]).err().unwrap();
    assert!(error
        .to_string()
        .ends_with("the chat templates are named `rag`, expected one named `default`"));
}

#[test]
fn without_a_template_chatml_needs_its_markers() {
    let renderer =
        load("tiny-bytes", &[("tokenizer_config.json", Some(r#"{"eos_token": "<|endoftext|>"}"#))])
            .unwrap();
    assert_eq!(renderer.template_kind(), TemplateKind::ChatMl);
    assert_eq!(
        renderer.notes(),
        ["the model has no chat template; its tokenizer has ChatML's markers, so ChatML is used"]
    );
    assert_eq!(renderer.stop_ids(), [0, 2]);
    assert_eq!(
        one(&renderer, &turns(&[("system", "s"), ("user", "u"), ("assistant", "a")])),
        "<|im_start|>system\ns<|im_end|>\n<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]\n"
    );
    assert_eq!(
        one(&renderer, &prompt_completion("u", Some("a"))),
        "<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n[a<|im_end|>]\n"
    );
    let row = chat(&json!({"messages": [{"role": "user", "content": "x"}], "tools": [{"a": 1}]}));
    assert_eq!(
        renderer.encode_prompt(&row).unwrap_err().to_string(),
        "line 7: the chat template rejects the row: the model has no chat template, so its rows cannot have `tools`"
    );
}

#[test]
fn without_markers_turns_are_separated_plainly_and_end() {
    let renderer = renderer("tiny-pieces");
    assert_eq!(renderer.template_kind(), TemplateKind::Plain);
    assert_eq!(
        renderer.notes(),
        ["the model has no chat template; turns are separated plainly (`User:`, `Assistant:`) and answers end in `</s>`"]
    );
    let row = turns(&[
        ("system", "s"),
        ("user", "u"),
        ("assistant", "a"),
        ("user", "v"),
        ("assistant", "b"),
    ]);
    assert_eq!(
        one(&renderer, &row),
        "<s>System:\ns\n\nUser:\nu\n\nAssistant:\n[a</s>]\n\nUser:\nv\n\nAssistant:\n[b</s>]"
    );
    assert_eq!(
        renderer.decode(&renderer.encode_continuation(&row, "An answer").unwrap().1).unwrap(),
        "An answer"
    );
}

#[test]
fn plain_text_and_completions_end_in_a_supervised_end() {
    let renderer = renderer("tiny-pieces");
    assert_eq!(one(&renderer, &text("Hi there.")), "<s>[Hi there.</s>]");
    assert_eq!(one(&renderer, &prompt_completion("Hi", Some(" there."))), "<s>Hi[ there.</s>]");
    assert_eq!(
        renderer.encode_prompt(&text("Hi there.")).unwrap(),
        ids(&json_file(&beside("golden/own.json"))["text"]["tiny-pieces"])
    );
    // Without a token before the text, nothing predicts its first token.
    let row = self::renderer("tiny-bytes")
        .render_training(&text("Hi there."), TrainOn::All)
        .unwrap()
        .remove(0);
    assert_eq!(row.supervised.iter().filter(|supervised| !**supervised).count(), 1);
    assert_eq!((row.supervised[0], row.text.as_str()), (false, "Hi there.<|im_end|>"));
}

#[test]
fn a_completion_that_would_merge_with_its_prompt_is_encoded_behind_it() {
    let renderer = renderer("tiny-pieces");
    let row = prompt_completion("the wea", Some("ther is"));
    let trained = renderer.render_training(&row, TrainOn::All).unwrap().remove(0);
    let prompt = renderer.encode_prompt(&row).unwrap();
    assert!(trained.ids.starts_with(&prompt));
    assert_eq!(shown(&trained), "<s>the wea[ther is</s>]");
    assert_eq!(renderer.decode(&trained.ids).unwrap(), "the weather is");
    // Read as one text, a token would lie across the border.
    assert!(!renderer.encode_plain("the weather is").unwrap().starts_with(&prompt[1..]));
}

#[test]
fn the_models_configuration_decides_between_two_ends() {
    let renderer = load("tiny-pieces", &[("config.json", Some(r#"{"eos_token_id": 1}"#))]).unwrap();
    assert_eq!(
        renderer.notes()[0],
        "the tokenizer ends texts with `</s>`, but the model's configuration with `<s>`, which is used"
    );
    assert_eq!(one(&renderer, &text("Hi")), "<s>[Hi<s>]");
    assert_eq!(renderer.stop_ids(), [1, 2]);
    let agreeing = load(
        "tiny-pieces",
        &[
            ("config.json", Some(r#"{"eos_token_id": 1}"#)),
            ("generation_config.json", Some(r#"{"eos_token_id": [2, 1]}"#)),
        ],
    );
    let agreeing = agreeing.unwrap();
    assert_eq!((agreeing.notes().len(), agreeing.stop_ids()), (1, [2, 1].as_slice()));
    assert_eq!(one(&agreeing, &text("Hi")), "<s>[Hi</s>]");
}

/// Verified with transformers 5.23: beside a `tokenizer.json`, the flags change nothing.
#[test]
fn the_tokenizers_own_rule_goes_before_add_bos_token_and_add_eos_token() {
    let mut bare = json_file(&beside("fixtures/tiny-pieces/tokenizer.json"));
    bare["post_processor"] = Value::Null;
    let bare = bare.to_string();
    for flags in [
        json!({}),
        json!({"add_bos_token": true}),
        json!({"add_eos_token": true}),
        json!({"add_eos_token": false}),
        json!({"add_bos_token": false, "add_eos_token": false}),
        json!({"add_bos_token": true, "add_eos_token": true}),
    ] {
        let mut config = json!({"bos_token": {"content": "<s>"}, "eos_token": "</s>"});
        config.as_object_mut().unwrap().extend(flags.as_object().unwrap().clone());
        let config = config.to_string();
        let renderer = load("tiny-pieces", &[("tokenizer_config.json", Some(&config))]).unwrap();
        let prompt = renderer.encode_prompt(&text("Hi")).unwrap();
        assert_eq!((prompt[0], prompt.contains(&2)), (1, false), "{config}");
        let files =
            [("tokenizer_config.json", Some(config.as_str())), ("tokenizer.json", Some(&bare))];
        let prompt = load("tiny-pieces", &files).unwrap().encode_prompt(&text("Hi")).unwrap();
        assert!(!prompt.contains(&1) && !prompt.contains(&2), "{config}");
    }
}

#[test]
fn a_template_that_insists_on_a_system_message_still_tells_its_end_of_turn() {
    let insisting = "{% if messages[0].role != 'system' %}{{ raise_exception('no system message') }}{% endif %}{% for m in messages %}{{ m.role + ':' + m.content + '<|im_end|>' }}{% endfor %}";
    let config = r#"{"eos_token": "<|endoftext|>"}"#;
    let files = [("tokenizer_config.json", Some(config)), ("chat_template.jinja", Some(insisting))];
    let renderer = load("tiny-bytes", &files).unwrap();
    assert_eq!((renderer.stop_ids(), renderer.notes().len()), ([0, 2].as_slice(), 0));
    let refusing = "{{ raise_exception('never') }}";
    let files = [("tokenizer_config.json", Some(config)), ("chat_template.jinja", Some(refusing))];
    let renderer = load("tiny-bytes", &files).unwrap();
    assert_eq!(renderer.stop_ids(), [0]);
    assert_eq!(
        renderer.notes(),
        ["the chat template renders no short conversation to look at, so the token that ends the assistant's turns is unknown"]
    );
}

#[test]
fn an_empty_text_is_told_as_such() {
    let renderer = renderer("tiny-bytes");
    let error = renderer.render_training(&text(""), TrainOn::All).unwrap_err();
    assert_eq!(error.to_string(), "line 1: no token is supervised: the text is empty");
    assert_eq!(error.hint().unwrap(), "give the row a longer text, or drop it");
}

#[test]
fn broken_folders_name_the_file() {
    let error = load("tiny-bytes", &[("tokenizer.json", None)]).err().unwrap();
    assert!(error
        .to_string()
        .ends_with("tokenizer.json`: the file does not exist, expected the model's tokenizer"));
    let error = load("tiny-bytes", &[("tokenizer_config.json", Some("{"))]).err().unwrap();
    assert!(error.to_string().contains("tokenizer_config.json`: invalid JSON"), "{error}");
    let error = load("tiny-bytes", &[("chat_template.jinja", Some("{% if %}"))]).err().unwrap();
    assert!(
        error.to_string().contains("chat_template.jinja`: the chat template does not parse"),
        "{error}"
    );
    let error =
        load("tiny-bytes", &[("config.json", Some(r#"{"eos_token_id": "x"}"#))]).err().unwrap();
    assert!(error.to_string().ends_with(
        "config.json`: `eos_token_id` is `\"x\"`, expected a token id or a list of them"
    ));
}

#[test]
fn hashes_change_with_what_they_stand_for() {
    let own = renderer("tiny-bytes");
    let other = under("unended");
    assert_eq!(own.tokenizer_hash(), other.tokenizer_hash());
    assert_ne!(own.template_hash(), other.template_hash());
    assert_eq!(own.template_hash(), under("chatml").template_hash());
    assert_eq!(own.template_hash().len(), 64);
}

#[test]
fn shared_models_render_plainly_with_the_end_their_configuration_names() {
    let Some(shared) = shared() else { return };
    let renderer = Renderer::from_folder(&shared.join("models/stories260K")).unwrap();
    assert_eq!(renderer.notes().len(), 2);
    assert_eq!(
        one(&renderer, &turns(&[("user", "Hi"), ("assistant", "Yes")])),
        "<s>User:\nHi\n\nAssistant:\n[Yes<s>]"
    );
    // A vocabulary without line breaks gets spaces.
    let renderer = Renderer::from_folder(&shared.join("models/babyllama")).unwrap();
    let row = turns(&[("user", "Hi"), ("assistant", "Yes")]);
    assert_eq!(one(&renderer, &row), "<s>User: Hi Assistant:[ Yes<s>]");
    assert!(!renderer.encode_prompt(&row).unwrap().contains(&0));
}

#[test]
fn a_shared_tokenizer_that_is_broken_is_an_error() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokenizer.json");
    std::fs::copy(shared.join("tokenizers/llama2/broken_tokenizer.json"), &file).unwrap();
    let error = Renderer::from_folder(folder.path()).err().unwrap();
    assert!(
        error.to_string().contains("tokenizer.json`: the tokenizer cannot be loaded: "),
        "{error}"
    );
}
