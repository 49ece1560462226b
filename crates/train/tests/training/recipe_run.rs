//! Whole runs from a recipe: data files, tokenizer, model folder, adapter.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{json, Value};
use tempfile::TempDir;
use tunewise_train::{
    base_fingerprint, run, Event, FaultyRows, Outcome, Recipe, TrainError, TrainSummary,
};

use super::tiny::{adapter_bytes, metrics, write_model, VOCABULARY};

/// A folder with a model, a tokenizer of whole words, and rows.
pub struct Workplace {
    pub dir: TempDir,
    faulty: FaultyRows,
    pub notices: Vec<String>,
}

fn sentence(seed: usize) -> String {
    let words = (0..6).map(|at| format!("w{}", 3 + (seed * 7 + at * at * 5 + at) % 37));
    words.collect::<Vec<_>>().join(" ")
}

fn write_tokenizer(dir: &Path) {
    let mut vocabulary = serde_json::Map::new();
    let special = [("<unk>", 0), ("<s>", 1), ("</s>", 2)];
    special.iter().for_each(|(token, id)| drop(vocabulary.insert((*token).into(), json!(id))));
    (3..VOCABULARY).for_each(|id| drop(vocabulary.insert(format!("w{id}"), json!(id))));
    let added = special.map(|(content, id)| {
        json!({ "id": id, "content": content, "special": true, "single_word": false,
                "lstrip": false, "rstrip": false, "normalized": false })
    });
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": added,
        "normalizer": null, "pre_tokenizer": { "type": "Whitespace" }, "post_processor": null,
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": "<unk>" },
    });
    std::fs::write(dir.join("tokenizer.json"), tokenizer.to_string()).unwrap();
    let config = json!({ "bos_token": "<s>", "eos_token": "</s>", "add_bos_token": true,
                         "tokenizer_class": "PreTrainedTokenizerFast" });
    std::fs::write(dir.join("tokenizer_config.json"), config.to_string()).unwrap();
}

impl Workplace {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (model, data) = (dir.path().join("model"), dir.path().join("data"));
        std::fs::create_dir(&model).unwrap();
        std::fs::create_dir(&data).unwrap();
        write_model(&model);
        write_tokenizer(&model);
        let lines = |rows: std::ops::Range<usize>| -> String {
            rows.map(|row| json!({ "text": sentence(row) }).to_string() + "\n").collect()
        };
        std::fs::write(data.join("train.jsonl"), lines(0..10)).unwrap();
        std::fs::write(data.join("valid.jsonl"), lines(20..24)).unwrap();
        Self { dir, faulty: FaultyRows::Refuse, notices: Vec::new() }
    }

    pub fn path(&self, name: &str) -> String {
        self.dir.path().join(name).display().to_string()
    }

    fn recipe(&self, more: &[(&str, &str)]) -> Recipe {
        let mut recipe = Recipe::from_yaml("r: 4\nlearning_rate: 1e-2\n", "r.yaml").unwrap();
        recipe.set("model_name_or_path", &self.path("model")).unwrap();
        recipe.set("data", &self.path("data")).unwrap();
        recipe.set("output_dir", &self.path("out")).unwrap();
        recipe.set("per_device_train_batch_size", "4").unwrap();
        more.iter().for_each(|(key, value)| recipe.set(key, value).unwrap());
        recipe
    }

    pub fn run(&mut self, more: &[(&str, &str)]) -> Result<Outcome, TrainError> {
        self.run_until(None, more)
    }

    pub fn run_until(
        &mut self,
        last: Option<usize>,
        more: &[(&str, &str)],
    ) -> Result<Outcome, TrainError> {
        let interrupt = AtomicBool::new(false);
        let recipe = self.recipe(more);
        run(&recipe, self.faulty, &interrupt, &mut |event| match event {
            Event::Notice(text) => self.notices.push(text.to_owned()),
            Event::Step { record, .. } if Some(record.step) == last => {
                interrupt.store(true, Ordering::Relaxed)
            }
            _ => {}
        })
    }

    pub fn finish(&mut self, more: &[(&str, &str)]) -> TrainSummary {
        match self.run(more).unwrap() {
            Outcome::Finished(summary) => summary,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_recipe_trains_from_files_to_an_adapter() {
    let mut place = Workplace::new();
    let summary = place.finish(&[]);
    // Ten rows, four a step, three epochs.
    assert_eq!((summary.steps, summary.rows), (9, 30));
    let out = place.dir.path().join("out");
    let record: Value =
        serde_json::from_slice(&std::fs::read(out.join("tunewise.json")).unwrap()).unwrap();
    let origin = &record["provenance"];
    assert_eq!(origin["recipe"]["r"], 4);
    assert_eq!(origin["train_data"]["rows_read"], 10);
    let (tokens, supervised) =
        (&origin["train_data"]["tokens"], &origin["train_data"]["supervised_tokens"]);
    let said = format!(
        "train.jsonl`: 10 rows read, 10 used: {tokens} tokens, {supervised} of them supervised"
    );
    assert!(place.notices.iter().any(|note| note.ends_with(&said)), "{:?}", place.notices);
    assert_eq!(origin["train_data"]["format"], "text");
    let model = place.dir.path().join("model");
    assert_eq!(origin["base_fingerprint"], base_fingerprint(&model).unwrap());
    for hash in ["base_sha256", "base_fingerprint", "template_sha256", "tokenizer_sha256"] {
        assert_eq!(origin[hash].as_str().unwrap().len(), 64, "{hash}");
    }
    assert_eq!(origin["train_data"]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(metrics(&out).iter().filter(|line| line["eval_loss"].is_f64()).count(), 3);
    assert!(out.join("runs").is_dir());
}

#[test]
fn a_recipe_is_resumed_to_the_same_adapter() {
    let mut place = Workplace::new();
    let whole = [("lora_dropout", "0.1"), ("warmup_ratio", "0.2")];
    place.finish(&whole);
    let out = place.path("parts");
    let parts =
        [whole[0], whole[1], ("output_dir", out.as_str()), ("resume_from_checkpoint", "true")];
    let outcome = place.run_until(Some(4), &parts).unwrap();
    assert!(matches!(outcome, Outcome::Interrupted { step: 4, total_steps: 9, .. }), "{outcome:?}");
    place.finish(&parts);
    let (one, other) = (place.dir.path().join("out"), place.dir.path().join("parts"));
    assert_eq!(adapter_bytes(&one), adapter_bytes(&other));
    assert_eq!(metrics(&one), metrics(&other));
    assert!(matches!(place.run(&parts).unwrap(), Outcome::AlreadyFinished(_)));

    let other_rate = [parts[0], parts[1], parts[2], parts[3], ("learning_rate", "1e-3")];
    let error = place.run(&other_rate).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "`learning_rate` was `0.01` when it was saved and is `0.001` now, expected the same"
        ),
        "{error}"
    );
    std::fs::write(place.dir.path().join("data/train.jsonl"), "{\"text\": \"w3 w4 w5\"}\n")
        .unwrap();
    let error = place.run(&parts).unwrap_err().to_string();
    assert!(error.contains("`data` was `\""), "{error}");
}

#[test]
fn what_a_run_lacks_is_named_before_it_starts() {
    let mut place = Workplace::new();
    let message =
        |place: &mut Workplace, more: &[(&str, &str)]| place.run(more).unwrap_err().to_string();
    let long = message(&mut place, &[("max_length", "65")]);
    assert_eq!(long, "`max_length` is 65, expected at most 64, the model's context");
    let model = place.path("model");
    let missing = place.path("missing.jsonl");
    let own = message(&mut place, &[("output_dir", &model), ("data", &missing)]);
    assert_eq!(own, format!("`output_dir` is `{model}`, a model folder with `config.json`, expected a folder for the result alone"));
    let file = place.path("data/train.jsonl");
    let patience = message(&mut place, &[("data", &file), ("early_stopping_patience", "2")]);
    assert_eq!(patience, "`early_stopping_patience` is 2 without a valid split, expected a data folder with `valid.jsonl`");
    let short = message(&mut place, &[("max_length", "3")]);
    assert!(short.contains("train.jsonl:1`"), "{short}");
    let preference = place.path("preference.jsonl");
    let answer = |text: &str| json!([{ "role": "assistant", "content": text }]);
    let row = json!({ "prompt": [{ "role": "user", "content": "w3" }], "chosen": answer("w4"), "rejected": answer("w5") });
    std::fs::write(&preference, format!("{row}\n")).unwrap();
    let message = message(&mut place, &[("data", &preference)]);
    assert!(
        message.ends_with(
            "preference.jsonl:1`: `training on preference rows` is recognised but not built yet"
        ),
        "{message}"
    );
    assert!(!place.dir.path().join("out").exists());
    let nothing = Recipe::default();
    let error = run(&nothing, FaultyRows::Refuse, &AtomicBool::new(false), &mut |_| {});
    assert_eq!(
        error.unwrap_err().to_string(),
        "`--model` (recipe key `model_name_or_path`) is not set, expected a model folder"
    );
}

#[test]
fn a_token_beyond_the_vocabulary_is_named_before_the_first_step() {
    let mut place = Workplace::new();
    let config = place.dir.path().join("model/config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    let vocabulary = format!("\"vocab_size\":{VOCABULARY}");
    assert!(text.contains(&vocabulary));
    std::fs::write(&config, text.replace(&vocabulary, "\"vocab_size\":39")).unwrap();
    for split in ["train", "valid"] {
        let write = |name: &str, word: &str| {
            let row = |word: &str| json!({ "text": format!("w3 {word}") }).to_string() + "\n";
            let path = place.dir.path().join(format!("data/{name}.jsonl"));
            std::fs::write(path, row("w4") + &row(word)).unwrap();
        };
        ["train", "valid"]
            .iter()
            .for_each(|name| write(name, if *name == split { "w39" } else { "w5" }));
        let error = place.run(&[]).unwrap_err();
        let end = format!("{split}.jsonl:2`: the row has token id 39, expected ids below 39, the model's `vocab_size`");
        assert!(error.to_string().ends_with(&end), "{error}");
        assert!(error
            .hint()
            .unwrap()
            .starts_with("tokenizer and weights belong to different models"));
    }
}

#[test]
fn a_valid_split_whose_rows_were_all_dropped_is_said() {
    let mut place = Workplace::new();
    let long = json!({ "text": sentence(1) + " w3 w4 w5 w6" }).to_string();
    std::fs::write(place.dir.path().join("data/valid.jsonl"), long + "\n").unwrap();
    let drop = [("max_length", "9"), ("excess_length_strategy", "drop")];
    for (key, value) in [("eval_steps", "2"), ("load_best_model_at_end", "true")] {
        let error = place.run(&[drop[0], drop[1], (key, value)]).unwrap_err().to_string();
        assert!(error.contains("with every row of `"), "{error}");
        assert!(error.starts_with(&format!("`{key}` is ")), "{error}");
    }
    place.finish(&drop);
    let said = |note: &String| note.ends_with("was dropped: there will be no evaluation");
    assert!(place.notices.iter().any(said), "{:?}", place.notices);
    let card = std::fs::read_to_string(place.dir.path().join("out/README.md")).unwrap();
    assert!(
        card.contains("Every row of the validation split was longer than `max_length`"),
        "{card}"
    );
}

#[test]
fn rows_with_an_error_are_refused_unless_the_caller_trains_on_them_anyway() {
    let mut place = Workplace::new();
    let long = |seed: usize| json!({ "text": sentence(seed) + " w3 w4 w5" }).to_string() + "\n";
    let write =
        |name: &str, text: String| std::fs::write(place.dir.path().join(name), text).unwrap();
    write("data/train.jsonl", (0..10).map(long).collect());
    write("data/valid.jsonl", long(20) + &long(4));
    let error = place.run(&[]).unwrap_err();
    let data = place.path("data");
    let told = format!(
        "1 row `leak` (questions of the training rows in another split) at `{data}/valid.jsonl:2`"
    );
    let refused = format!("the rows have 1 finding of severity error, expected none: {told}");
    assert_eq!(error.to_string(), refused);
    assert!(!place.dir.path().join("out").exists());
    assert!(!place.notices.iter().any(|note| note.contains("rows read")), "{:?}", place.notices);

    place.faulty = FaultyRows::TrainAnyway;
    place.finish(&[("max_steps", "1")]);
    let going_on = format!(
        "the rows have 1 finding of severity error: {told}; a run without `--force` stops at them; `tunewise check \
         --data {data}` tells more"
    );
    assert_eq!(place.notices.iter().filter(|note| **note == going_on).count(), 1);
    let record = std::fs::read(place.dir.path().join("out/tunewise.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    let origin = &record["provenance"];
    assert_eq!((&origin["rows_checked"], &origin["rows_compared"]), (&json!(12), &json!(true)));
    let found = json!({ "code": "leak", "severity": "error", "count": 1, "share": 1.0 / 12.0 });
    assert_eq!(origin["findings"][0], found);
    let card = std::fs::read_to_string(place.dir.path().join("out/README.md")).unwrap();
    assert!(card.contains("| `leak` | error | 1 | 8.3 % |"), "{card}");
    assert!(card.contains("this one was forced to use these rows"), "{card}");
}

#[test]
fn an_initial_adapter_trains_on_from_where_it_was() {
    let mut place = Workplace::new();
    place.finish(&[]);
    let (first, again) = (place.path("out"), place.path("again"));
    place.finish(&[("init_adapter", &first), ("output_dir", &again)]);
    let log = |place: &Workplace, name: &str| metrics(&place.dir.path().join(name));
    let last = |lines: &[Value], key: &str| lines[lines.len() - 1][key].as_f64().unwrap();
    let (one, two) = (log(&place, "out"), log(&place, "again"));
    assert!(two[0]["loss"].as_f64().unwrap() < one[0]["loss"].as_f64().unwrap());
    // A step at rate 0 leaves the adapter, so its evaluation is the last one of the first run.
    let still = place.path("still");
    let rest = [("learning_rate", "0"), ("max_steps", "1"), ("output_dir", still.as_str())];
    place.finish(&[&rest[..], &[("init_adapter", &first)]].concat());
    assert_eq!(last(&log(&place, "still"), "eval_loss"), last(&one, "eval_loss"));
    let record = std::fs::read(place.dir.path().join("again/tunewise.json")).unwrap();
    let record: Value = serde_json::from_slice(&record).unwrap();
    assert_eq!(record["provenance"]["recipe"]["r"], 4);
    assert_eq!(record["provenance"]["recipe"]["lora_dropout"], 0.0);
    let error = place.run(&[("init_adapter", &first)]).unwrap_err().to_string();
    assert!(
        error.ends_with(
            "expected a folder outside of `output_dir`, whose contents the run replaces"
        ),
        "{error}"
    );
    let other = place.path("other");
    let error = place
        .run(&[("init_adapter", &first), ("r", "16"), ("output_dir", &other)])
        .unwrap_err()
        .to_string();
    assert_eq!(error, "`r` is 16, expected 4 as in the configuration of `init_adapter`");
}

#[test]
fn a_published_model_trains_on_published_rows() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared");
    let (model, data) =
        (shared.join("models/stories260K"), shared.join("data/clinc150/train_small.jsonl"));
    if !model.is_dir() || !data.is_file() {
        println!("skipped: ../shared is absent");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let rows = std::fs::read_to_string(data).unwrap();
    let rows: String = rows.lines().take(24).map(|row| row.to_owned() + "\n").collect();
    std::fs::write(dir.path().join("train.jsonl"), rows).unwrap();
    let mut recipe = Recipe::default();
    for (key, value) in [
        ("model_name_or_path", model.display().to_string()),
        ("data", dir.path().display().to_string()),
        ("output_dir", dir.path().join("out").display().to_string()),
        ("learning_rate", "2e-3".into()),
        ("num_train_epochs", "2".into()),
        ("excess_length_strategy", "drop".into()),
    ] {
        recipe.set(key, &value).unwrap();
    }
    let mut losses = Vec::new();
    let interrupt = AtomicBool::new(false);
    let outcome = run(&recipe, FaultyRows::Refuse, &interrupt, &mut |event| {
        if let Event::Step { record, .. } = event {
            losses.push(record.loss);
        }
    });
    let Outcome::Finished(summary) = outcome.unwrap() else { panic!("the run did not finish") };
    assert_eq!((summary.steps, summary.rows), (6, 48));
    // Every row opens with the same instructions.
    assert!(summary.saved_prefix_tokens * 3 > summary.tokens, "{summary:?}");
    assert!(losses[5] < losses[0] / 2.0, "{losses:?}");
}
