//! What the page takes from the data files, which are read again: texts of rows, their lengths, the labels.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};
use tunewise_data::quality::excerpt::masked;
use tunewise_data::quality::{Inspected, Place};
use tunewise_data::{Body, DataError, Example, Message, ReadOptions, Row, RowReader};

/// Characters of a text at most.
pub const MOST_CHARACTERS: usize = 400;

/// What is asked of the files.
pub struct Wanted {
    /// Rows whose texts are kept.
    pub places: BTreeSet<Place>,
    /// Whether rows are counted by their lengths in characters.
    pub characters: bool,
    /// Whether the training rows are counted by their answers.
    pub labels: bool,
}

impl Wanted {
    fn counts(&self, file: usize) -> bool {
        self.characters || self.labels_of(file)
    }

    fn labels_of(&self, file: usize) -> bool {
        self.labels && file == 0
    }

    /// The last line that is wanted; a file as a whole, of line 0, has none.
    fn last_line(&self, file: usize) -> Option<usize> {
        let (first, last) = (Place { file, line: 1 }, Place { file, line: usize::MAX });
        self.places.range(first..=last).next_back().map(|place| place.line)
    }
}

/// What the files say.
#[derive(Default)]
pub struct Reading {
    /// The texts of the rows, each that is wanted.
    pub texts: BTreeMap<Place, RowText>,
    /// How many rows there are of each length in characters.
    pub characters: BTreeMap<usize, usize>,
    /// How many training rows there are of each label.
    pub labels: BTreeMap<String, usize>,
}

/// A row as the page shows it.
pub enum RowText {
    /// What comes before the last answer, and the answer.
    Read {
        /// Without the system message.
        question: String,
        /// The whole of a plain text.
        answer: String,
    },
    /// Why there is nothing to show.
    Unread(String),
    /// No row, but a file as a whole.
    WholeFile,
}

/// What is taken from one row.
struct Taken {
    place: Place,
    text: Option<RowText>,
    length: Option<usize>,
    label: Option<String>,
}

impl Reading {
    /// What is wanted of the files.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of(
        files: &[PathBuf],
        wanted: &Wanted,
        options: &ReadOptions,
    ) -> Result<Reading, DataError> {
        let unread = |place: &Place| match place.line {
            0 => (*place, RowText::WholeFile),
            _ => (*place, RowText::Unread("the line is not there any more".to_owned())),
        };
        let texts = wanted.places.iter().map(unread).collect();
        let mut reading = Reading { texts, ..Reading::default() };
        for (file, path) in files.iter().enumerate() {
            reading.read(file, path, wanted, options)?;
        }
        Ok(reading)
    }

    fn read(
        &mut self,
        file: usize,
        path: &Path,
        wanted: &Wanted,
        options: &ReadOptions,
    ) -> Result<(), DataError> {
        let (counts, last) = (wanted.counts(file), wanted.last_line(file));
        if !counts && last.is_none() {
            return Ok(());
        }
        let mut reader = RowReader::open(path, options)?;
        let work = |row: Row| Taken::of(&row.example, file, wanted);
        reader.for_each(work, |row| -> Result<ControlFlow<()>, DataError> {
            let line = self.take(row, file)?;
            match counts || last.is_some_and(|last| line < last) {
                true => Ok(ControlFlow::Continue(())),
                false => Ok(ControlFlow::Break(())),
            }
        })
    }

    /// Adds a row and returns its line.
    fn take(&mut self, row: Result<Taken, DataError>, file: usize) -> Result<usize, DataError> {
        let taken = match row {
            Ok(taken) => taken,
            Err(DataError::Row { line, problem, .. }) => {
                let text = Some(RowText::Unread(shown(&problem.to_string())));
                Taken { place: Place { file, line }, text, length: None, label: None }
            }
            Err(error) => return Err(error),
        };
        if let (Some(text), Some(kept)) = (taken.text, self.texts.get_mut(&taken.place)) {
            *kept = text;
        }
        if let Some(length) = taken.length {
            *self.characters.entry(length).or_default() += 1;
        }
        if let Some(label) = taken.label {
            *self.labels.entry(label).or_default() += 1;
        }
        Ok(taken.place.line)
    }
}

impl Taken {
    fn of(example: &Example, file: usize, wanted: &Wanted) -> Taken {
        let place = Place { file, line: example.line };
        let label = || example.reference().unwrap_or_default().trim().to_owned();
        Taken {
            place,
            text: wanted.places.contains(&place).then(|| RowText::of(example, file)),
            length: wanted.characters.then(|| characters(&example.body)),
            label: wanted.labels_of(file).then(label),
        }
    }
}

impl RowText {
    fn of(example: &Example, file: usize) -> RowText {
        let row = Inspected::of(example, file);
        RowText::Read { question: shown(&row.question), answer: shown(&row.answer) }
    }

    /// The row for the script.
    pub fn to_json(&self, Place { file, line }: Place) -> Value {
        match self {
            RowText::Read { question, answer } => {
                json!({ "file": file, "line": line, "question": question, "answer": answer })
            }
            RowText::Unread(problem) => json!({ "file": file, "line": line, "problem": problem }),
            RowText::WholeFile => {
                json!({ "file": file, "line": line, "problem": "the whole file" })
            }
        }
    }
}

/// The beginning of a text, its secrets hidden: a page is passed on more easily than the data.
pub fn shown(text: &str) -> String {
    let mut told = masked(text);
    let end = told.char_indices().nth(MOST_CHARACTERS).map(|(end, _)| end);
    if let Some(end) = end {
        told.truncate(end);
        told.push_str(" …");
    }
    told
}

/// How many characters a row's turns have.
fn characters(body: &Body) -> usize {
    let of = |text: &str| text.chars().count();
    let turns = |turns: &[Message]| -> usize {
        turns.iter().filter_map(|turn| turn.content.as_deref()).map(of).sum()
    };
    match body {
        Body::Chat { messages, .. } | Body::Question { messages, .. } => turns(messages),
        Body::PromptCompletion { prompt, completion } => {
            of(prompt) + completion.as_deref().map_or(0, of)
        }
        Body::Text { text } => of(text),
        Body::Preference { prompt, chosen, .. } => turns(prompt) + turns(chosen),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_told_by_kind_and_beginning_and_passwords_by_kind_alone() {
        assert_eq!(
            shown("Write to jane.doe@mail.com today"),
            "Write to ⟨e-mail address: jane…⟩ today"
        );
        assert_eq!(shown("my password: hunter2Secret9"), "my password: ⟨password⟩");
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        assert_eq!(shown(&"é".repeat(400)), "é".repeat(400));
        assert_eq!(shown(&"é".repeat(401)), "é".repeat(400) + " …");
    }

    #[test]
    fn lines_are_wanted_file_by_file() {
        let place = |file, line| Place { file, line };
        let places = BTreeSet::from([place(0, 3), place(0, 7), place(2, 1)]);
        let wanted = Wanted { places, characters: false, labels: true };
        assert_eq!([0, 1, 2].map(|file| wanted.last_line(file)), [Some(7), None, Some(1)]);
        assert_eq!([0, 1].map(|file| wanted.counts(file)), [true, false]);
    }

    #[test]
    fn a_file_as_a_whole_has_no_line_and_is_not_read() {
        let place = Place { file: 0, line: 0 };
        let wanted = Wanted { places: BTreeSet::from([place]), characters: false, labels: false };
        assert_eq!(wanted.last_line(0), None);
        let files = [PathBuf::from("nowhere.jsonl")];
        let reading = Reading::of(&files, &wanted, &ReadOptions::default()).unwrap();
        let text = reading.texts.get(&place).map(|text| text.to_json(place));
        assert_eq!(text, Some(json!({ "file": 0, "line": 0, "problem": "the whole file" })));
    }
}
