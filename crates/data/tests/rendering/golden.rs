use super::*;
use sha2::{Digest, Sha256};
use tunewise_data::{RenderMode, TrainOn};

fn rows() -> Value {
    json_file(&beside("golden/rows.json"))
}

/// The name of a rendering in the expectations, as a row and a mode.
fn asked(rows: &Value, name: &str) -> (Example, bool) {
    match name.strip_suffix("+prompt") {
        Some(row) => (chat(&rows["conversations"][row]), true),
        None => (chat(&rows["conversations"][name]), false),
    }
}

/// What the template writes, without asking whether the row can be trained.
fn text_of(renderer: &Renderer, row: &Example, prompt: bool) -> Option<Rendered> {
    renderer.render_text(row, prompt).ok()
}

/// A renderer of one of the shared templates: a file of its own, or a key of `tokenizer_config.json`.
fn under_shared(shared: &Path, path: &str) -> Renderer {
    let text = std::fs::read_to_string(shared.join(path)).unwrap();
    let source = match path.ends_with(".json") {
        true => {
            let settings: Value = serde_json::from_str(&text).unwrap();
            settings["chat_template"].as_str().unwrap().to_string()
        }
        false => text,
    };
    renderer("tiny-pieces").with_template(source).unwrap()
}

#[test]
fn own_templates_give_the_texts_and_ids_of_transformers() {
    let rows = rows();
    let expected = json_file(&beside("golden/own.json"));
    let mut compared = 0;
    for (template, cases) in expected["templates"].as_object().unwrap() {
        let renderer = under(template);
        for (name, case) in cases.as_object().unwrap() {
            let (row, prompt) = asked(&rows, name);
            let found = text_of(&renderer, &row, prompt);
            assert_eq!(
                found.as_ref().map(|row| row.text.as_str()),
                case["text"].as_str(),
                "{template} {name}"
            );
            if let Some(row) = found {
                assert_eq!(row.ids, ids(&case["ids"]), "{template} {name}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 60, "{compared} compared");
}

#[test]
fn shared_templates_give_the_texts_of_transformers() {
    let Some(shared) = shared() else { return };
    let rows = rows();
    let mut differing = Vec::new();
    let mut compared = 0;
    for (path, cases) in json_file(&beside("golden/templates.json")).as_object().unwrap() {
        let renderer = under_shared(&shared, path);
        for (name, digest) in cases.as_object().unwrap() {
            let (row, prompt) = asked(&rows, name);
            let found = text_of(&renderer, &row, prompt);
            let own = found.map(|row| {
                Sha256::digest(row.text.as_bytes())
                    .iter()
                    .map(|byte| format!("{byte:02x}"))
                    .collect::<String>()
            });
            // Where transformers fails, a text is no fault: it passes no `content: null`.
            if digest.is_string() && own.as_deref() != digest.as_str() {
                differing.push(format!("{path} {name}"));
            }
            compared += usize::from(digest.is_string());
        }
    }
    assert_eq!(differing, Vec::<String>::new());
    assert!(compared > 250, "{compared} compared");
}

#[test]
fn every_shared_template_renders_three_turns() {
    let Some(shared) = shared() else { return };
    for path in json_file(&beside("golden/templates.json")).as_object().unwrap().keys() {
        let renderer = under_shared(&shared, path);
        let row = turns(&[("user", "Hi."), ("assistant", "Hello."), ("user", "Bye.")]);
        let prompt = renderer.render(&row, RenderMode::GenerationPrompt).unwrap();
        assert!(prompt.text.contains("Bye."), "{path}");
    }
}

/// The prompt for an answer must begin the row that trains the answer, whatever the template.
#[test]
fn the_prompt_begins_the_training_row_under_every_shared_template() {
    let Some(shared) = shared() else { return };
    for path in json_file(&beside("golden/templates.json")).as_object().unwrap().keys() {
        let renderer = under_shared(&shared, path);
        let row = turns(&[
            ("user", "Hi."),
            ("assistant", "One two."),
            ("user", "Bye."),
            ("assistant", "Three."),
        ]);
        let trained = renderer.render_training(&row, TrainOn::Last).unwrap();
        let prompt = renderer.encode_prompt(&row).unwrap();
        assert!(trained[0].ids.starts_with(&prompt), "{path}: {}", shown(&trained[0]));
        let first = trained[0].supervised.iter().position(|supervised| *supervised).unwrap();
        // The blocks of smollm3 cover the header too.
        if !path.contains("smollm3") {
            assert_eq!(first, prompt.len(), "{path}: {}", shown(&trained[0]));
        }
        let (question, answer) = renderer.encode_continuation(&row, "Three.").unwrap();
        assert_eq!(question, prompt, "{path}");
        let last = trained[0].supervised.iter().rposition(|supervised| *supervised).unwrap();
        assert_eq!(answer, trained[0].ids[prompt.len()..=last], "{path}: {}", shown(&trained[0]));
    }
}

fn source_of(shared: &Path, template: &str) -> Option<String> {
    let path = match template.split_once(':') {
        Some(("own", name)) => beside("fixtures/templates").join(format!("{name}.jinja")),
        Some((_, path)) => shared.join(path),
        None => return None,
    };
    Some(std::fs::read_to_string(path).unwrap())
}

#[test]
fn real_tokenizers_give_the_ids_of_transformers() {
    let Some(shared) = shared() else { return };
    let rows = rows();
    let expected = json_file(&beside("golden/tokenizers.json"));
    for (name, case) in expected["tokenizers"].as_object().unwrap() {
        let mut renderer = Renderer::from_folder(&shared.join("tokenizers").join(name)).unwrap();
        if let Some(source) = source_of(&shared, case["template"].as_str().unwrap()) {
            renderer = renderer.with_template(source).unwrap();
        }
        for (conversation, expected) in case["conversations"].as_object().unwrap() {
            let row = text_of(&renderer, &asked(&rows, conversation).0, false).unwrap();
            assert_eq!(row.ids, ids(expected), "{name} {conversation}");
        }
        let literals = rows["literals"].as_str().unwrap();
        assert_eq!(renderer.encode_plain(literals).unwrap(), ids(&case["literals"]), "{name}");
        let plain = renderer.encode_prompt(&text("A plain text.\n")).unwrap();
        assert_eq!(plain, ids(&case["text"]), "{name}");
    }
}

#[test]
fn generation_blocks_give_the_mask_of_transformers_without_white_space_after_the_turn() {
    let Some(shared) = shared() else { return };
    let source =
        std::fs::read_to_string(shared.join("tokenizers/smollm3/chat_template.jinja")).unwrap();
    let folder = shared.join("tokenizers/smollm2-135m-instruct");
    let renderer = stopped(Renderer::from_folder(&folder).unwrap()).with_template(source).unwrap();
    let rows = rows();
    for (name, case) in json_file(&beside("golden/tokenizers.json"))["smollm3"].as_object().unwrap()
    {
        let row = renderer.render(&asked(&rows, name).0, RenderMode::Training).unwrap();
        assert_eq!(row.ids.len() as u64, case["tokens"].as_u64().unwrap());
        let mut mask = vec![false; row.ids.len()];
        for run in case["assistant"].as_array().unwrap() {
            let (start, end) =
                (run[0].as_u64().unwrap() as usize, run[1].as_u64().unwrap() as usize);
            let (a, b) = row.offsets[end - 1];
            assert_eq!(&row.text[a..b], "\n", "{name}");
            mask[start..end - 1].fill(true);
        }
        assert_eq!(row.supervised, mask, "{name}");
    }
}

#[test]
fn prompts_found_inside_a_row_equal_prompts_encoded_alone() {
    let rows = rows();
    for (folder, template) in
        [("tiny-bytes", "chatml"), ("tiny-pieces", "system_last"), ("tiny-bytes", "unended")]
    {
        let path = beside("fixtures/templates").join(format!("{template}.jinja"));
        let renderer =
            renderer(folder).with_template(std::fs::read_to_string(path).unwrap()).unwrap();
        let row = chat(&rows["conversations"]["multi_turn"]);
        let trained = renderer.render_training(&row, TrainOn::Last).unwrap().remove(0);
        let prompt = renderer.encode_prompt(&row).unwrap();
        let first = trained.supervised.iter().position(|supervised| *supervised).unwrap();
        assert_eq!(trained.ids[..first], prompt, "{template}");
    }
}
