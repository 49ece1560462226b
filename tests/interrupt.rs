//! Ctrl-C in training: the state is saved, and the resumed run is the uninterrupted one, bit for bit.

// A test that cannot go on has to panic.
#![allow(clippy::unwrap_used)]
#![cfg(unix)]

mod program;

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use program::{chat_rows, command, tiny_model, words, Folder, Run};

const STEPS: usize = 120;

fn line(folder: &Folder, output: &str) -> Vec<String> {
    let (data, output, model) = (folder.name("rows.jsonl"), folder.name(output), tiny_model());
    let steps = STEPS.to_string();
    let line =
        ["train", "--model", &model, "--data", &data, "--output", &output, "--max-steps", &steps];
    let more =
        ["--learning-rate", "1e-3", "--lora-dropout", "0.1", "--gradient-accumulation-steps", "2"];
    let more = more.iter().chain(&["--logging-steps", "1"]);
    line.iter().chain(more).map(|word| (*word).to_owned()).collect()
}

/// Runs until a line of standard error begins like this, then presses Ctrl-C; returns the exit code and what is said after.
fn interrupt_at(mut child: Child, beginning: &str) -> (i32, String) {
    let mut said = String::new();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut pressed = false;
    for line in lines {
        let line = line.unwrap();
        if !pressed && line.starts_with(beginning) {
            let pid = child.id().to_string();
            assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
            pressed = true;
        }
        if pressed {
            said.push_str(&line);
            said.push('\n');
        }
    }
    assert!(pressed, "the run never said `{beginning}`");
    (child.wait().unwrap().code().unwrap(), said)
}

#[test]
fn an_interrupted_and_resumed_run_is_the_uninterrupted_one() {
    let folder = Folder::new();
    folder.write("rows.jsonl", chat_rows(40));
    words(line(&folder, "whole")).expect_code(0);
    let child =
        command(line(&folder, "cut")).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (code, said) = interrupt_at(child, "step 3/");
    assert_eq!(code, 3, "{said}");
    assert!(said.contains("interrupted after step "), "{said}");
    assert!(!folder.path("cut/adapter_model.safetensors").exists());

    let started_over = words(line(&folder, "cut")).expect_code(2);
    assert!(
        started_over.failure()[0].contains("of a run that did not finish"),
        "{}",
        started_over.stderr
    );

    let resumed = said.lines().find_map(|line| line.strip_prefix("resume with: ")).unwrap();
    let shell: Run = Command::new("sh").args(["-c", resumed]).output().unwrap().into();
    let shell = shell.expect_code(0);
    assert!(shell.stderr.contains("resuming from `"), "{}", shell.stderr);
    for file in ["adapter_model.safetensors", "adapter_config.json"] {
        assert!(
            folder.read(&format!("whole/{file}")) == folder.read(&format!("cut/{file}")),
            "{file}"
        );
    }
    let losses = |output: &str| -> Vec<String> {
        let log = folder.read_rows(&format!("{output}/metrics.jsonl"));
        log.iter().map(|entry| format!("{} {}", entry["step"], entry["loss"])).collect()
    };
    assert_eq!(losses("whole"), losses("cut"));
    assert_eq!(losses("whole").len(), STEPS);
}

#[test]
fn an_interrupted_run_says_so_in_json() {
    let folder = Folder::new();
    folder.write("rows.jsonl", chat_rows(40));
    let mut words = line(&folder, "run");
    words.push("--json".into());
    let output = folder.path("stdout.txt");
    let stdout = std::fs::File::create(&output).unwrap();
    let child = command(words).stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    assert_eq!(interrupt_at(child, "step 2/").0, 3);
    let found = folder.read_rows("stdout.txt").pop().unwrap();
    assert_eq!(found["interrupted"], true);
    assert_eq!(found["total_steps"], STEPS);
    assert!(folder.path("run").join(format!("checkpoint-{}", found["steps"])).is_dir());
}

#[test]
fn interrupted_answers_exit_130_and_leave_no_file() {
    let folder = Folder::new();
    let input = folder.write("in.jsonl", chat_rows(5000) + "{}\n");
    let (model, output) = (tiny_model(), folder.name("out.jsonl"));
    let line = ["generate", "--model", &model, "--input", &input, "--output", &output];
    let more = ["--on-bad-row", "skip", "--max-new-tokens", "200"];
    let child = command(line.iter().chain(&more))
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let (code, said) = interrupt_at(child, "warning: 1 bad row left out");
    assert_eq!(code, 130, "{said}");
    assert!(said.contains("interrupted: no result was saved"), "{said}");
    assert!(!folder.path("out.jsonl").exists());
}
