//! What a run leaves in its output folder.

use std::path::Path;

use serde_json::Value;
use tunewise_train::{checkpoint, Settings};

use super::tiny::{adapter_bytes, decoder, metrics, rows, settings, Run};

fn steps(output: &Path) -> Vec<usize> {
    checkpoint::list(output).unwrap().into_iter().map(|(step, _)| step).collect()
}

/// Training rows memorised while the loss on other rows grows.
fn overfitting(output: &Path) -> Settings {
    Settings { max_steps: Some(60), learning_rate: 3e-2, eval_steps: Some(4), ..settings(output) }
}

fn evaluations(output: &Path) -> Vec<(usize, f64)> {
    let of = |line: &Value| Some((line["step"].as_u64()? as usize, line["eval_loss"].as_f64()?));
    metrics(output).iter().filter_map(of).collect()
}

fn best(evaluations: &[(usize, f64)]) -> usize {
    evaluations.iter().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
}

#[test]
fn the_best_adapter_is_kept_and_returned_whatever_the_limit() {
    let (decoder, train, valid) = (decoder(), rows(4, 1), rows(6, 2));
    let dir = tempfile::tempdir().unwrap();
    let limited = Settings {
        load_best: true,
        save_total_limit: Some(1),
        save_steps: Some(3),
        ..overfitting(dir.path())
    };
    let mut run = Run { valid: &valid, ..Run::new(&decoder, &train) };
    let summary = run.finish(&limited);
    let evaluations = evaluations(dir.path());
    let best = best(&evaluations);
    assert!(best < 60, "the loss on the valid rows never grew: {evaluations:?}");
    assert_eq!(steps(dir.path()), [best, 60]);
    let checkpoint = dir.path().join(format!("checkpoint-{best}"));
    assert_eq!(adapter_bytes(dir.path()), adapter_bytes(&checkpoint));
    assert_eq!(
        summary.best_eval_loss,
        evaluations.iter().find(|(step, _)| *step == best).map(|(_, loss)| *loss)
    );
    let state = checkpoint::read_state(&dir.path().join("checkpoint-60")).unwrap();
    assert_eq!(state.best_model_checkpoint, Some(checkpoint.display().to_string()));
}

#[test]
fn early_stopping_waits_for_its_patience() {
    let (decoder, train, valid) = (decoder(), rows(4, 1), rows(6, 2));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run { valid: &valid, ..Run::new(&decoder, &train) };
    // At rate 0 no evaluation improves on the first.
    let patient = Settings {
        learning_rate: 0.0,
        patience: Some(2),
        eval_steps: Some(1),
        ..overfitting(dir.path())
    };
    let summary = run.finish(&patient);
    assert_eq!(summary.steps, 3);
    assert_eq!(
        run.notices[0],
        "stopped early at step 3: 2 evaluations without improvement on step 1"
    );
    assert!(checkpoint::read_state(&dir.path().join("checkpoint-3")).unwrap().stopped_early);
}

#[test]
fn the_best_checkpoint_is_kept_and_named_where_the_last_adapter_is_the_result() {
    let (decoder, train, valid) = (decoder(), rows(4, 1), rows(6, 2));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run { valid: &valid, ..Run::new(&decoder, &train) };
    let summary = run.finish(&Settings { patience: Some(3), ..overfitting(dir.path()) });
    let best = best(&evaluations(dir.path()));
    // Bests that a better one superseded are gone.
    assert_eq!(steps(dir.path()), [best, summary.steps]);
    assert!(best > 4 && best < summary.steps, "{best}");
    let place = dir.path().join(format!("checkpoint-{best}"));
    let said = format!(
        "the adapter is that of step {}, the last; the best on the valid split is in `{}`, and \
         `load_best_model_at_end: true` makes it the result",
        summary.steps,
        place.display()
    );
    assert!(run.notices.contains(&said), "{:?}", run.notices);
    let last = dir.path().join(format!("checkpoint-{}", summary.steps));
    assert_eq!(adapter_bytes(dir.path()), adapter_bytes(&last));
}

#[test]
fn checkpoints_come_every_save_steps_and_at_the_end() {
    let (decoder, train) = (decoder(), rows(11, 1));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::new(&decoder, &train);
    run.finish(&Settings { save_steps: Some(4), ..settings(dir.path()) });
    assert_eq!(steps(dir.path()), [4, 6]);
    let limited = tempfile::tempdir().unwrap();
    run.finish(&Settings {
        save_steps: Some(1),
        save_total_limit: Some(2),
        ..settings(limited.path())
    });
    assert_eq!(steps(limited.path()), [5, 6]);
}

#[test]
fn a_checkpoint_has_the_files_and_keys_that_users_expect() {
    let (decoder, train, valid) = (decoder(), rows(11, 1), rows(3, 2));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run { valid: &valid, ..Run::new(&decoder, &train) };
    run.finish(&settings(dir.path()));
    let checkpoint = dir.path().join("checkpoint-6");
    let mut names: Vec<_> =
        std::fs::read_dir(&checkpoint).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    let expected = [
        "adapter_config.json",
        "adapter_model.safetensors",
        "optimizer.safetensors",
        "rng_state.json",
        "scheduler.json",
        "trainer_state.json",
    ];
    assert_eq!(names, expected);
    let state: Value =
        serde_json::from_slice(&std::fs::read(checkpoint.join("trainer_state.json")).unwrap())
            .unwrap();
    assert_eq!((&state["global_step"], &state["max_steps"]), (&6.into(), &6.into()));
    assert_eq!(state["epoch"], 2.0);
    // One evaluation at the end of each epoch of three steps.
    assert_eq!(state["log_history"].as_array().unwrap().len(), 6 + 2);
    let keys: Vec<_> = state["log_history"][0].as_object().unwrap().keys().cloned().collect();
    let logged = [
        "step",
        "epoch",
        "loss",
        "grad_norm",
        "learning_rate",
        "num_tokens",
        "mean_token_accuracy",
    ];
    assert_eq!(keys[..7], logged);
    assert_eq!(keys[7..], ["tokens_per_second", "peak_memory_bytes"]);
    let moments = candle_core::safetensors::load(
        checkpoint.join("optimizer.safetensors"),
        &candle_core::Device::Cpu,
    );
    assert_eq!(moments.unwrap().len(), 2 * 28);
}

#[test]
fn the_output_has_adapter_card_record_and_logs() {
    let (decoder, train, valid) = (decoder(), rows(6, 1), rows(3, 2));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run { valid: &valid, ..Run::new(&decoder, &train) };
    run.provenance.base_model = "models/small".into();
    let logging = Settings { tensorboard: true, logging_steps: 2, ..settings(dir.path()) };
    let summary = run.finish(&logging);
    let mut names: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    let expected = [
        "README.md",
        "adapter_config.json",
        "adapter_model.safetensors",
        "checkpoint-4",
        "metrics.jsonl",
        "runs",
        "tunewise.json",
    ];
    assert_eq!(names, expected);
    let card = std::fs::read_to_string(dir.path().join("README.md")).unwrap();
    assert!(card.starts_with("---\nbase_model: models/small\nlibrary_name: peft\n"), "{card}");
    assert!(card.contains("On the validation split, at step 4: "), "{card}");
    let record: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("tunewise.json")).unwrap()).unwrap();
    assert_eq!(record["summary"], serde_json::to_value(&summary).unwrap());
    // Two of four steps are logged, and both evaluations.
    assert_eq!(metrics(dir.path()).len(), 4);
    assert_eq!(std::fs::read_dir(dir.path().join("runs")).unwrap().count(), 1);
}
