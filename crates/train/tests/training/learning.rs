//! Runs that learn, and runs that notice that they do not.

use candle_core::{Device, Tensor};
use tunewise_data::TokenExample;
use tunewise_model::{Adapter, BaseDtype, Decoder, TokenTree};
use tunewise_train::provenance::DataFile;
use tunewise_train::schedule::ScheduleShape;
use tunewise_train::{Settings, TrainError};

use super::tiny::{
    adapter, decoder, metrics, rows, settings, tensors, write_model, Run, VOCABULARY,
};

fn frozen_numbers(decoder: &Decoder) -> Vec<Vec<f32>> {
    let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let ids: Vec<u32> = (0..VOCABULARY).collect();
    let tree = TokenTree::single(ids).unwrap();
    let mut numbers: Vec<Vec<f32>> =
        decoder.linears().map(|linear| flat(&linear.weight().unwrap())).collect();
    // The logits of every token depend on the embedding and the norms too.
    numbers.push(flat(&decoder.logits(None, &tree, &[0, 7, 39]).unwrap()));
    numbers
}

#[test]
fn every_adapter_tensor_moves_and_no_frozen_number_does() {
    let (decoder, train) = (decoder(), rows(8, 1));
    let before = frozen_numbers(&decoder);
    let dir = tempfile::tempdir().unwrap();
    Run::new(&decoder, &train).finish(&settings(dir.path()));
    let after = tensors(dir.path());
    let start = adapter(&decoder);
    assert_eq!(start.shapes().count(), 2 * 14);
    for (key, tensor) in start.tensors().unwrap() {
        let tensor: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        assert!(
            tensor.iter().zip(&after[&key]).all(|(a, b)| a != b),
            "`{key}` has numbers that did not move"
        );
    }
    assert_eq!(frozen_numbers(&decoder), before);
}

#[test]
fn a_small_set_is_memorised_but_for_what_its_shared_prefix_leaves_open() {
    let (decoder, train) = (decoder(), rows(4, 1));
    let dir = tempfile::tempdir().unwrap();
    let settings = Settings { max_steps: Some(80), learning_rate: 2e-2, ..settings(dir.path()) };
    let summary = Run::new(&decoder, &train).finish(&settings);
    // Of 22 supervised tokens, four follow one prefix and differ: at best one of them is right, at ln 4 nats each.
    let lines = metrics(dir.path());
    let first = lines[0]["loss"].as_f64().unwrap();
    let least = 4.0 * 4f64.ln() / 22.0;
    assert!(first > 3.0 && summary.final_loss > least, "from {first} to {}", summary.final_loss);
    assert!(summary.final_loss < least + 0.05, "{} and {least}", summary.final_loss);
    assert_eq!(lines[79]["mean_token_accuracy"], 19.0 / 22.0);
}

#[test]
fn the_summary_counts_what_was_processed() {
    let (decoder, train) = (decoder(), rows(5, 1));
    let dir = tempfile::tempdir().unwrap();
    let summary = Run::new(&decoder, &train).finish(&settings(dir.path()));
    let tokens: usize = train.iter().map(|row| row.ids.len()).sum();
    let supervised: usize = train.iter().map(TokenExample::supervised_tokens).sum();
    assert_eq!((summary.steps, summary.rows), (4, 10));
    assert_eq!((summary.tokens, summary.supervised_tokens), (2 * tokens, 2 * supervised));
    // Steps of four rows and one row, two epochs: of each four, three are spared the six tokens that all share.
    assert_eq!(summary.saved_prefix_tokens, 2 * 3 * 6);
    assert_eq!(summary.final_loss, metrics(dir.path())[3]["loss"].as_f64().unwrap());
}

#[test]
fn the_first_loss_and_evaluation_are_those_of_the_base() {
    let (decoder, train) = (decoder(), rows(4, 1));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run { valid: &train, ..Run::new(&decoder, &train) };
    // One step at rate 0 (the first of the warm-up): the evaluation after it sees the same weights and rows.
    let settings = Settings {
        max_steps: Some(1),
        schedule: ScheduleShape::Linear,
        warmup_steps: Some(1),
        ..settings(dir.path())
    };
    run.finish(&settings);
    let lines = metrics(dir.path());
    let (loss, eval) =
        (lines[0]["loss"].as_f64().unwrap(), lines[1]["eval_loss"].as_f64().unwrap());
    assert!((loss - eval).abs() <= 1e-6 * loss, "{loss} and {eval}");
    assert_eq!(lines[0]["mean_token_accuracy"], lines[1]["eval_mean_token_accuracy"]);
    assert_eq!(
        run.notices,
        [
            "the learning rate was 0 at every step: the adapter is unchanged",
            "shared prefixes were computed once: 18 of 41 tokens saved",
        ]
    );
}

/// A decoder whose last token's embedding holds a value that is no number.
fn faulty_decoder() -> Decoder {
    let dir = tempfile::tempdir().unwrap();
    write_model(dir.path());
    let weights = dir.path().join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    let embedding = tensors.get_mut("model.embed_tokens.weight").unwrap();
    let mut numbers: Vec<f32> = embedding.flatten_all().unwrap().to_vec1().unwrap();
    *numbers.last_mut().unwrap() = f32::NAN;
    *embedding = Tensor::from_vec(numbers, embedding.shape(), &Device::Cpu).unwrap();
    candle_core::safetensors::save(&tensors, &weights).unwrap();
    Decoder::load(dir.path(), BaseDtype::F32, &Device::Cpu).unwrap()
}

/// Rows without the last token.
fn sound_rows(seed: u64) -> Vec<TokenExample> {
    let mut sound = rows(6, seed);
    let ids = sound.iter_mut().flat_map(|row| &mut row.ids);
    ids.for_each(|id| *id = (*id).min(VOCABULARY - 2));
    sound
}

#[test]
fn a_loss_that_is_no_number_names_the_rows_of_its_split() {
    let (decoder, train, mut valid) = (faulty_decoder(), sound_rows(1), sound_rows(2));
    valid[2].ids[6] = VOCABULARY - 1;
    valid[4].ids[6] = VOCABULARY - 1;
    let output = tempfile::tempdir().unwrap();
    let mut run = Run { valid: &valid, ..Run::new(&decoder, &train) };
    run.provenance.train_data.path = "train.jsonl".into();
    let valid_data = DataFile { path: "valid.jsonl".into(), ..DataFile::default() };
    run.provenance.valid_data = Some(valid_data);
    let saving = Settings { save_steps: Some(1), ..settings(output.path()) };
    let error = run.go(&saving).unwrap_err();
    assert_eq!(
        error.hint().unwrap(),
        "lower `learning_rate`, or look at those rows; `checkpoint-1` is intact"
    );
    assert_eq!(
        error.to_string(),
        "step 2: the loss on the valid split is NaN, expected a finite number; rows at `valid.jsonl:13`, `valid.jsonl:15`"
    );
}

#[test]
fn a_loss_that_is_no_number_names_step_and_row_and_saves_nothing() {
    let (decoder, mut train) = (faulty_decoder(), sound_rows(1));
    train[3].ids[6] = VOCABULARY - 1;
    let output = tempfile::tempdir().unwrap();
    let one_step = |s: Settings| Settings { batch_rows: 6, accumulation: 1, ..s };
    let mut run = Run::new(&decoder, &train);
    run.provenance.train_data.path = "train.jsonl".into();
    let error = run.go(&one_step(settings(output.path()))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "step 1: the loss is NaN, expected a finite number; rows at `train.jsonl:14`"
    );
    assert_eq!(
        error.hint().unwrap(),
        "lower `learning_rate`, or look at those rows; no checkpoint was saved"
    );
    assert!(error.is_failed_check());
    let mut left: Vec<_> =
        std::fs::read_dir(output.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["metrics.jsonl"]);
    assert!(metrics(output.path()).is_empty());
}

#[test]
fn an_adapter_tensor_that_is_no_number_is_not_saved() {
    let (decoder, train) = (decoder(), rows(4, 1));
    let mut run = Run { interrupt_after: Some(0), ..Run::new(&decoder, &train) };
    let (key, shape) = run.adapter.shapes().last().unwrap();
    let infinite = Tensor::full(f32::INFINITY, shape, &Device::Cpu).unwrap();
    run.adapter.set_tensor(&key, infinite).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let error = run.go(&settings(dir.path())).unwrap_err().to_string();
    assert_eq!(
        error,
        format!("step 0: `{key}` holds a value that is not finite, so nothing was saved")
    );
    assert!(!dir.path().join("checkpoint-0").exists());
}

#[test]
fn an_adapter_that_did_not_move_is_a_failed_check() {
    let (decoder, train) = (decoder(), rows(4, 1));
    let dir = tempfile::tempdir().unwrap();
    let still = Settings {
        learning_rate: 1e-12,
        adamw: tunewise_train::optimizer::AdamWConstants {
            weight_decay: 0.0,
            ..settings(dir.path()).adamw
        },
        ..settings(dir.path())
    };
    let error = Run::new(&decoder, &train).go(&still).unwrap_err();
    assert!(matches!(&error, TrainError::DidNotMove { steps: 2, total: 28, .. }), "{error}");
    assert!(error.is_failed_check());
    assert!(!dir.path().join("tunewise.json").exists());
}

#[test]
fn training_that_changes_no_logit_is_a_failed_check() {
    let (decoder, train) = (decoder(), rows(4, 1));
    let mut run = Run::new(&decoder, &train);
    // One rank of four is so small that it moves at a rate at which the others do not, and no logit shows it. The
    // others make the logits differ from those of the base, which is not what training did.
    let tensors: Vec<(String, (usize, usize))> = run.adapter.shapes().collect();
    for (key, (height, width)) in tensors {
        let rank = |at: usize| if key.contains("lora_A") { at / width } else { at % width };
        let value = |at: usize| if rank(at) == 3 { 1e-20f32 } else { 0.1 };
        let values = (0..height * width).map(value).collect();
        let tensor = Tensor::from_vec(values, (height, width), &Device::Cpu).unwrap();
        run.adapter.set_tensor(&key, tensor).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let error = run.go(&Settings { learning_rate: 1e-10, ..settings(dir.path()) }).unwrap_err();
    assert!(matches!(error, TrainError::SameLogits { rows: 4, steps: 2 }), "{error}");
}

#[test]
fn a_best_adapter_from_before_training_is_a_failed_check() {
    let (decoder, train, valid) = (decoder(), rows(4, 1), rows(6, 2));
    let dir = tempfile::tempdir().unwrap();
    // An adapter that knows the valid rows forgets them; the first step of the warm-up has rate 0.
    let knowing = tempfile::tempdir().unwrap();
    let memorise = Settings { max_steps: Some(40), ..settings(knowing.path()) };
    Run::new(&decoder, &valid).finish(&memorise);
    let settings = Settings {
        load_best: true,
        eval_steps: Some(1),
        max_steps: Some(4),
        schedule: ScheduleShape::Linear,
        warmup_steps: Some(1),
        ..settings(dir.path())
    };
    let mut run = Run {
        valid: &valid,
        adapter: Adapter::load(&decoder, knowing.path()).unwrap(),
        ..Run::new(&decoder, &train)
    };
    let error = run.go(&settings).unwrap_err();
    assert!(matches!(error, TrainError::BestDidNotTrain { step: 1 }), "{error}");
    assert!(error.is_failed_check());
    assert!(!dir.path().join("adapter_model.safetensors").exists());
}

#[test]
fn rows_without_a_supervised_token_are_refused_by_line() {
    let decoder = decoder();
    let mut train = rows(3, 1);
    train[1].supervised.fill(false);
    let dir = tempfile::tempdir().unwrap();
    let error = Run::new(&decoder, &train).go(&settings(dir.path())).unwrap_err().to_string();
    assert_eq!(error, "line 12 has no supervised token, expected at least one");
    let error = Run::new(&decoder, &[]).go(&settings(dir.path())).unwrap_err().to_string();
    assert_eq!(error, "no rows to train on, expected at least one");
}
