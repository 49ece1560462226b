//! The program under test: run with arguments, watched from outside.

// Each test file uses a part of this.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{json, Value};

/// What a run of the program left behind.
pub struct Run {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Run {
        Run {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Run {
    /// The JSON object that ends standard output.
    pub fn json(&self) -> Value {
        let last = self.stdout.lines().last();
        let last = last.unwrap_or_else(|| panic!("nothing on standard output; {}", self.stderr));
        serde_json::from_str(last).unwrap()
    }

    /// The same run, where it ended with this exit code.
    pub fn expect_code(self, code: i32) -> Run {
        assert_eq!(self.code, code, "stdout: {}\nstderr: {}", self.stdout, self.stderr);
        self
    }

    /// The lines of standard error that tell a failure.
    pub fn failure(&self) -> Vec<&str> {
        let tells = |line: &&str| line.starts_with("error: ") || line.starts_with("hint: ");
        self.stderr.lines().filter(tells).collect()
    }
}

/// The program, not yet run, with nothing of the surroundings that would change it.
pub fn command<S: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tunewise"));
    command.args(words);
    for variable in ["RAYON_NUM_THREADS", "CLICOLOR_FORCE", "NO_COLOR"] {
        command.env_remove(variable);
    }
    command
}

/// Runs the program with the words of a line, which hold no blanks themselves.
pub fn tunewise(line: &str) -> Run {
    words(line.split_whitespace())
}

/// Runs the program with these words.
pub fn words<S: AsRef<std::ffi::OsStr>>(words: impl IntoIterator<Item = S>) -> Run {
    command(words).output().unwrap().into()
}

/// The project's own tiny model: random weights, byte-level tokenizer, ChatML template.
pub fn tiny_model() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tiny-chat");
    path.canonicalize().unwrap().display().to_string()
}

/// A folder for one test.
pub struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    /// An empty folder.
    pub fn new() -> Folder {
        Folder { folder: tempfile::tempdir().unwrap() }
    }

    /// The path of a name in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The path of a name in it, as an argument.
    pub fn name(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    /// Writes a file and returns its path, as an argument.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.display().to_string()
    }

    /// The bytes of a file in it.
    pub fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The values of a JSONL file in it.
    pub fn read_rows(&self, name: &str) -> Vec<Value> {
        let text = String::from_utf8(self.read(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

const QUESTIONS: [(&str, &str); 4] = [
    ("where is my parcel", "delivery"),
    ("give me my money back", "refund"),
    ("when do you open", "opening"),
    ("I need the bill again", "invoice"),
];

/// Chat rows as JSONL: a system message, a question, and its topic as the answer.
pub fn chat_rows(count: usize) -> String {
    let row = |index: usize| {
        let (question, topic) = QUESTIONS[index % QUESTIONS.len()];
        let row = json!({ "messages": [
            { "role": "system", "content": "Name the topic." },
            { "role": "user", "content": format!("{question}, please, number {index}") },
            { "role": "assistant", "content": topic },
        ]});
        format!("{row}\n")
    };
    (0..count).map(row).collect()
}
