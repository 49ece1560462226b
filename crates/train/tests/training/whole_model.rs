//! Runs that train every weight: from a pretrained model, and from random weights.

use std::path::Path;

use candle_core::Device;
use serde_json::Value;
use tunewise_model::{BaseDtype, BaseWeights, Decoder, TokenTree};
use tunewise_train::{Outcome, TrainError};

use super::recipe_run::Workplace;

/// What makes a run one of the whole model.
const FULL: (&str, &str) = ("finetune_type", "full");
const WEIGHTS: &str = "model.safetensors";

fn bytes(dir: &Path, name: &str) -> Vec<u8> {
    std::fs::read(dir.join(name)).unwrap()
}

fn record(dir: &Path) -> Value {
    serde_json::from_slice(&bytes(dir, "tunewise.json")).unwrap()
}

fn weights(dir: &Path) -> BaseWeights {
    let decoder = Decoder::load(dir, BaseDtype::F32, &Device::Cpu).unwrap();
    BaseWeights::load(dir, decoder.config()).unwrap()
}

#[test]
fn every_weight_moves_and_the_result_is_a_model_folder() {
    let mut place = Workplace::new();
    let summary = place.finish(&[FULL]);
    assert_eq!((summary.steps, summary.rows), (9, 30));
    let (model, out) = (place.dir.path().join("model"), place.dir.path().join("out"));
    let (before, after) = (weights(&model), weights(&out));
    assert_eq!(before.matrices().count(), 21);
    for ((name, before), (_, after)) in before.matrices().zip(after.matrices()) {
        assert_ne!(before, after, "{name}");
    }
    assert_eq!(bytes(&model, "tokenizer.json"), bytes(&out, "tokenizer.json"));
    assert!(!out.join("adapter_model.safetensors").exists());
    let record = record(&out);
    assert_eq!(record["provenance"]["trained"], "model");
    let losses: Vec<f64> =
        super::tiny::metrics(&out).iter().filter_map(|line| line["eval_loss"].as_f64()).collect();
    assert_eq!(losses.len(), 3);
    let card = String::from_utf8(bytes(&out, "README.md")).unwrap();
    assert!(card.contains("library_name: transformers"), "{card}");
    assert!(card.contains("\n# Fine-tuned model\n"), "{card}");
    // `r: 4` of the recipe says something of adapters alone.
    assert!(place.notices.iter().any(|note| note.contains("`r` has no effect")));
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_weights_and_a_finished_one_is_replaced() {
    let mut place = Workplace::new();
    let whole = [FULL, ("weight_decay", "0.1"), ("save_steps", "4")];
    place.finish(&whole);
    let parts = place.path("parts");
    let mut parts_of_it = whole.to_vec();
    parts_of_it.push(("output_dir", &parts));
    let outcome = place.run_until(Some(5), &parts_of_it).unwrap();
    assert!(matches!(outcome, Outcome::Interrupted { step: 5, .. }), "{outcome:?}");
    parts_of_it.push(("resume_from_checkpoint", "true"));
    place.finish(&parts_of_it);
    let (out, parts) = (place.dir.path().join("out"), place.dir.path().join("parts"));
    assert_eq!(bytes(&out, WEIGHTS), bytes(&parts, WEIGHTS));
    assert!(matches!(place.run(&parts_of_it).unwrap(), Outcome::AlreadyFinished(_)));
    parts_of_it.pop();
    place.finish(&parts_of_it);
    assert_eq!(bytes(&out, WEIGHTS), bytes(&parts, WEIGHTS));
}

#[test]
fn a_model_from_random_weights_needs_none_and_learns_its_rows() {
    let mut place = Workplace::new();
    std::fs::remove_file(place.dir.path().join("model").join(WEIGHTS)).unwrap();
    let scratch = [FULL, ("from_scratch", "true"), ("num_train_epochs", "40")];
    let summary = place.finish(&scratch);
    // 37 words are equally likely at first: 3.6 nats.
    assert!(summary.final_loss < 1.0, "{}", summary.final_loss);
    let out = place.dir.path().join("out");
    assert_eq!(record(&out)["provenance"]["trained"], "new-model");
    let decoder = Decoder::load(&out, BaseDtype::F32, &Device::Cpu).unwrap();
    let tree = TokenTree::single(vec![1, 5, 9]).unwrap();
    let logits = decoder.logits(None, &tree, &[2]).unwrap();
    assert_eq!(logits.dims(), [1, decoder.config().vocab_size]);
    let first = bytes(&out, WEIGHTS);
    let mut other = Workplace::new();
    let seed = [scratch[0], scratch[1], scratch[2], ("seed", "7")];
    other.finish(&seed);
    assert_ne!(first, bytes(&other.dir.path().join("out"), WEIGHTS));
}

#[test]
fn a_models_own_folder_is_never_the_output() {
    let mut place = Workplace::new();
    let model = place.path("model");
    let error = place.run(&[FULL, ("output_dir", &model)]).unwrap_err();
    assert!(matches!(error, TrainError::OutputTaken { .. }), "{error}");
}

/// Changes keys of the model's configuration.
fn configure(place: &Workplace, keys: &[(&str, Value)]) {
    let path = place.dir.path().join("model/config.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    keys.iter().for_each(|(key, value)| config[*key] = value.clone());
    std::fs::write(&path, config.to_string()).unwrap();
}

fn dtype(dir: &Path) -> String {
    let config: Value = serde_json::from_slice(&bytes(dir, "config.json")).unwrap();
    config["torch_dtype"].as_str().unwrap().to_owned()
}

#[test]
fn tied_and_biased_models_are_trained_saved_and_trained_further() {
    let mut place = Workplace::new();
    let keys = [("tie_word_embeddings", true), ("attention_bias", true), ("mlp_bias", true)];
    configure(&place, &keys.map(|(key, value)| (key, value.into())));
    place.finish(&[FULL, ("from_scratch", "true")]);
    let first = place.dir.path().join("out");
    let names: Vec<String> = weights(&first).matrices().map(|(name, _)| name).collect();
    // An embedding, a last norm, and in each of two blocks two norms and seven layers with biases.
    assert_eq!(names.len(), 2 + 2 * (2 + 2 * 7));
    assert!(!names.iter().any(|name| name == "lm_head.weight"));
    let (base, second) = (place.path("out"), place.path("second"));
    let further = [FULL, ("model_name_or_path", &base), ("output_dir", &second)];
    let summary = place.finish(&[&further[..], &[("max_steps", "4")]].concat());
    assert_eq!(summary.steps, 4);
    let second = place.dir.path().join("second");
    for ((name, before), (_, after)) in weights(&first).matrices().zip(weights(&second).matrices())
    {
        assert_ne!(before, after, "{name}");
    }
    // The log is that of the second run, not one copied with the model that it started from.
    let steps = super::tiny::metrics(&second).iter().filter(|line| line["loss"].is_f64()).count();
    assert_eq!(steps, 4);
}

#[test]
fn a_result_has_the_number_format_of_its_configuration_and_f32_in_place_of_f16() {
    for (asked, given, size) in [("bfloat16", "bfloat16", 2), ("float16", "float32", 4)] {
        let mut place = Workplace::new();
        configure(&place, &[("torch_dtype", asked.into())]);
        place.finish(&[FULL, ("from_scratch", "true"), ("dtype", "f32")]);
        let out = place.dir.path().join("out");
        assert_eq!(dtype(&out), given);
        let numbers = weights(&out).parameter_count();
        let file = bytes(&out, WEIGHTS).len();
        // Beyond the numbers there is a header of a few kilobytes.
        assert!((size * numbers..size * numbers + 8192).contains(&file), "{asked}: {file}");
    }
}

#[test]
fn the_model_that_a_run_starts_from_is_never_replaced_by_it() {
    let mut place = Workplace::new();
    place.finish(&[FULL]);
    let out = place.path("out");
    let before = bytes(&place.dir.path().join("out"), WEIGHTS);
    for kind in ["full", "lora"] {
        let onto = [("finetune_type", kind), ("model_name_or_path", &out)];
        let error = place.run(&onto).unwrap_err();
        assert!(error.to_string().contains("the model that training starts from"), "{error}");
    }
    assert_eq!(bytes(&place.dir.path().join("out"), WEIGHTS), before);
}
