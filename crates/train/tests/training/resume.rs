//! A run that stops and goes on is the run that never stopped.

use std::path::Path;

use serde_json::json;
use tunewise_train::schedule::ScheduleShape;
use tunewise_train::{Outcome, ResumeFrom, Settings, TrainError};

use super::tiny::{adapter_bytes, decoder, metrics, rows, settings, Run};

/// Six steps with everything on that could be forgotten: dropout, accumulation, evaluation, warm-up, weight decay.
fn eventful(output: &Path) -> Settings {
    Settings {
        dropout: 0.1,
        eval_steps: Some(5),
        save_steps: Some(4),
        warmup_ratio: 0.3,
        ..settings(output)
    }
}

fn same_files(one: &Path, other: &Path, names: &[&str]) {
    for name in names {
        let read = |dir: &Path| std::fs::read(dir.join(name)).unwrap();
        assert!(read(one) == read(other), "`{name}` differs");
    }
}

#[test]
fn interrupted_and_resumed_equals_uninterrupted_bit_for_bit() {
    let (decoder, train, valid) = (decoder(), rows(11, 1), rows(5, 2));
    let whole = tempfile::tempdir().unwrap();
    let mut run = Run { valid: &valid, ..Run::new(&decoder, &train) };
    let summary = run.finish(&eventful(whole.path()));
    assert_eq!((summary.steps, summary.rows), (6, 22));
    // After step 2 the interrupt meets the evaluation, after step 4 a checkpoint that is there already.
    for interrupted_after in [0, 1, 2, 4, 5] {
        let parts = tempfile::tempdir().unwrap();
        let mut settings = eventful(parts.path());
        let mut run = Run {
            valid: &valid,
            interrupt_after: Some(interrupted_after),
            ..Run::new(&decoder, &train)
        };
        let outcome = run.go(&settings).unwrap();
        let checkpoint = parts.path().join(format!("checkpoint-{interrupted_after}"));
        let expected = Outcome::Interrupted {
            checkpoint: checkpoint.clone(),
            step: interrupted_after,
            total_steps: 6,
        };
        assert_eq!(outcome, expected);
        assert!(!parts.path().join("adapter_model.safetensors").exists());

        settings.resume = ResumeFrom::Latest;
        run.interrupt_after = None;
        let resumed = run.finish(&settings);
        assert_eq!(resumed.final_loss.to_bits(), summary.final_loss.to_bits());
        assert_eq!((resumed.steps, resumed.rows, resumed.tokens), (6, 22, summary.tokens));
        assert_eq!(metrics(parts.path()), metrics(whole.path()));
        same_files(
            whole.path(),
            parts.path(),
            &["adapter_model.safetensors", "adapter_config.json"],
        );
        let last = "checkpoint-6";
        let names = [
            "optimizer.safetensors",
            "scheduler.json",
            "rng_state.json",
            "adapter_model.safetensors",
        ];
        same_files(&whole.path().join(last), &parts.path().join(last), &names);
    }
}

#[test]
fn a_checkpoint_named_by_its_folder_is_resumed_into_another_output() {
    let (decoder, train) = (decoder(), rows(11, 1));
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut run = Run::new(&decoder, &train);
    run.finish(&Settings { save_steps: Some(2), ..settings(first.path()) });
    let resume = ResumeFrom::Checkpoint(first.path().join("checkpoint-2"));
    run.finish(&Settings { resume, ..settings(second.path()) });
    assert_eq!(adapter_bytes(first.path()), adapter_bytes(second.path()));
    assert_eq!(metrics(first.path()), metrics(second.path()));
}

#[test]
fn a_finished_run_is_left_as_it_is() {
    let (decoder, train) = (decoder(), rows(6, 1));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::new(&decoder, &train);
    let mut settings = settings(dir.path());
    let summary = run.finish(&settings);
    let stamps = |dir: &Path| {
        let mut found: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()).collect();
        found.sort_by_key(|entry| entry.path());
        let stamp = |entry: &std::fs::DirEntry| {
            (entry.path(), entry.metadata().unwrap().modified().unwrap())
        };
        found.iter().map(stamp).collect::<Vec<_>>()
    };
    let before = stamps(dir.path());
    settings.resume = ResumeFrom::Latest;
    assert_eq!(run.go(&settings).unwrap(), Outcome::AlreadyFinished(summary));
    assert_eq!(stamps(dir.path()), before);
    assert!(run.notices.last().unwrap().ends_with("is finished: nothing to do"));
}

#[test]
fn resuming_without_a_checkpoint_starts_anew_and_says_so() {
    let (decoder, train) = (decoder(), rows(6, 1));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::new(&decoder, &train);
    run.finish(&Settings { resume: ResumeFrom::Latest, ..settings(dir.path()) });
    assert!(run.notices[0].starts_with("no checkpoint in `"), "{:?}", run.notices);
}

#[test]
fn a_run_with_another_recipe_or_other_rows_is_refused_by_name() {
    let (decoder, train, others) = (decoder(), rows(6, 1), rows(6, 9));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run { interrupt_after: Some(1), ..Run::new(&decoder, &train) };
    run.provenance.mathematics.insert("r".into(), json!(4));
    let mut settings = settings(dir.path());
    run.go(&settings).unwrap();
    settings.resume = ResumeFrom::Latest;
    run.provenance.mathematics.insert("r".into(), json!(8));
    let error = run.go(&settings).unwrap_err().to_string();
    assert!(
        error.ends_with("`r` was `4` when it was saved and is `8` now, expected the same"),
        "{error}"
    );
    run.provenance.mathematics.insert("r".into(), json!(4));
    run.train = &others;
    let error = run.go(&settings).unwrap_err().to_string();
    assert!(error.contains("`tokenized rows` was"), "{error}");
}

#[test]
fn a_new_run_never_overwrites_an_unfinished_one() {
    let (decoder, train) = (decoder(), rows(11, 1));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run { interrupt_after: Some(2), ..Run::new(&decoder, &train) };
    run.go(&settings(dir.path())).unwrap();
    let error = run.go(&settings(dir.path())).unwrap_err().to_string();
    assert!(error.contains("holds `checkpoint-2` of a run that did not finish"), "{error}");
}

#[test]
fn a_new_run_replaces_a_finished_one_and_says_so() {
    let (decoder, train) = (decoder(), rows(11, 1));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::new(&decoder, &train);
    run.finish(&Settings { save_steps: Some(1), ..settings(dir.path()) });
    run.finish(&Settings { max_steps: Some(2), ..settings(dir.path()) });
    let said = |note: &String| note.ends_with("holds a finished run: replacing it");
    assert!(run.notices.iter().any(said), "{:?}", run.notices);
    let steps: Vec<usize> = tunewise_train::checkpoint::list(dir.path())
        .unwrap()
        .into_iter()
        .map(|(step, _)| step)
        .collect();
    assert_eq!(steps, [2]);
}

#[test]
fn a_checkpoint_is_not_resumed_over_another_unfinished_run() {
    let (decoder, train, others) = (decoder(), rows(11, 1), rows(11, 9));
    let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    Run::new(&decoder, &train).finish(&Settings { save_steps: Some(2), ..settings(first.path()) });
    let mut other = Run { interrupt_after: Some(3), ..Run::new(&decoder, &others) };
    other.go(&settings(second.path())).unwrap();
    let resume = ResumeFrom::Checkpoint(first.path().join("checkpoint-2"));
    let over = Settings { resume, ..settings(second.path()) };
    let error = Run::new(&decoder, &train).go(&over).unwrap_err();
    assert!(matches!(error, TrainError::UnfinishedRun { .. }), "{error}");
    other.interrupt_after = None;
    other.finish(&Settings { resume: ResumeFrom::Latest, ..settings(second.path()) });
}

#[test]
fn nothing_of_a_finished_run_stands_after_a_new_one_was_interrupted() {
    let (decoder, train) = (decoder(), rows(11, 1));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::new(&decoder, &train);
    run.finish(&Settings { tensorboard: true, ..settings(dir.path()) });
    run.interrupt_after = Some(1);
    run.go(&Settings { jsonl: false, ..settings(dir.path()) }).unwrap();
    let left: Vec<_> =
        std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["checkpoint-1"]);
}

#[test]
fn event_files_of_a_run_that_left_no_checkpoint_do_not_join_the_next_run() {
    let (decoder, train) = (decoder(), rows(11, 1));
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("runs");
    std::fs::create_dir(&runs).unwrap();
    std::fs::write(runs.join("events.out.tfevents.0000000001.0000.tunewise"), "").unwrap();
    Run::new(&decoder, &train).finish(&Settings { tensorboard: true, ..settings(dir.path()) });
    let names = std::fs::read_dir(&runs).unwrap().map(|entry| entry.unwrap().file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    assert_eq!(names.len(), 1);
    assert!(!names[0].contains("0000000001"), "{names:?}");
}

#[test]
fn a_damaged_optimizer_is_named_by_its_path() {
    let (decoder, train) = (decoder(), rows(11, 1));
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run { interrupt_after: Some(2), ..Run::new(&decoder, &train) };
    run.go(&settings(dir.path())).unwrap();
    run.interrupt_after = None;
    let path = dir.path().join("checkpoint-2/optimizer.safetensors");
    let whole = std::fs::read(&path).unwrap();
    let resume = Settings { resume: ResumeFrom::Latest, ..settings(dir.path()) };
    let mut refused = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        run.go(&resume).unwrap_err().to_string()
    };
    let place = format!("`{}`: ", path.display());
    let damaged = refused(&whole[..whole.len() / 2]);
    assert_eq!(damaged, format!("{place}the file is damaged, expected whole safetensors"));
    let without = |drop: &str, also: &str| {
        let mut tensors =
            candle_core::safetensors::load_buffer(&whole, &candle_core::Device::Cpu).unwrap();
        tensors.retain(|name, _| !name.ends_with(drop) || !name.contains(also));
        safetensors::serialize(&tensors, None).unwrap()
    };
    let key = "base_model.model.model.layers.1.mlp.up_proj.lora_B.weight";
    assert_eq!(
        refused(&without(".exp_avg_sq", key)),
        format!("{place}tensor `{key}.exp_avg_sq` is missing")
    );
    assert_eq!(refused(&without("", key)), format!("{place}tensor `{key}.exp_avg` is missing"));
}

#[test]
fn a_constant_run_can_be_resumed_for_longer() {
    let (decoder, train) = (decoder(), rows(11, 1));
    let constant = |dir: &Path, steps| Settings {
        schedule: ScheduleShape::Constant,
        max_steps: Some(steps),
        ..settings(dir)
    };
    let (long, grown) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut run = Run::new(&decoder, &train);
    run.finish(&constant(long.path(), 5));
    run.finish(&constant(grown.path(), 3));
    run.finish(&Settings { resume: ResumeFrom::Latest, ..constant(grown.path(), 5) });
    assert_eq!(adapter_bytes(long.path()), adapter_bytes(grown.path()));
}
