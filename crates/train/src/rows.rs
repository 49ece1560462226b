//! The rows of a run as tokens: read, tokenized, checked against the model, every one accounted for.

use std::path::Path;

use chrono::{DateTime, Local};
use tunewise_data::{
    find_splits, tokenize_file, ColumnMap, DataError, Example, ReadOptions, RenderProblem,
    Renderer, TokenRows, Tokenization, TokenizedFile,
};
use tunewise_model::ModelConfig;

use crate::checked_rows::{check_command, CheckedRows, FaultyRows};
use crate::error::{Result, TrainError};
use crate::provenance::DataFile;
use crate::recipe::Recipe;
use crate::record::{Event, Observer};

/// The tokenized rows of both splits, and the files they come from.
pub(crate) struct Rows {
    /// The rows to train on.
    pub train: Split,
    /// The valid split, where the data folder has one.
    pub valid: Option<Split>,
    /// What the check found in both.
    pub checked: CheckedRows,
    /// Hash of the chat template.
    pub template_sha256: String,
    /// Hash of the tokenizer.
    pub tokenizer_sha256: String,
}

/// The rows of a file.
pub(crate) struct Split {
    /// As tokens.
    pub rows: TokenRows,
    /// What became of the file's rows.
    pub file: DataFile,
}

impl Rows {
    /// The rows that a recipe names, checked, for the model in a folder.
    pub fn prepare(
        recipe: &Recipe,
        model: &Path,
        data: &Path,
        clock: DateTime<Local>,
        faulty: FaultyRows,
        observer: &mut Observer<'_>,
    ) -> Result<Self> {
        let config = ModelConfig::from_folder(model)?;
        let max_length = max_length(recipe, config.max_position_embeddings)?;
        let files = find_splits(data)?;
        let renderer = Renderer::from_folder(model)?.at_time(clock);
        renderer.notes().iter().for_each(|note| observer(Event::Notice(note)));
        let checked = CheckedRows::of(&files, &read_options(recipe))?;
        checked.judge(faulty, &check_command(recipe, data), observer)?;
        let mut split = |path: &Path| -> Result<(Split, Option<Example>)> {
            let tokenization = Tokenization {
                renderer: &renderer,
                train_on: recipe.train_on.into(),
                max_length,
                strategy: recipe.excess_length_strategy.into(),
            };
            let read = tokenize_file(tokenization, path, &read_options(recipe));
            let read = read.map_err(|error| not_built(path, error))?;
            check_vocabulary(path, &read.rows, config.vocab_size)?;
            let file = accounted(path, &read);
            observer(Event::Notice(&told(&file)));
            Ok((Split { rows: read.rows, file }, read.first))
        };
        let (train, first) = split(&files.train)?;
        let valid = files.valid.as_deref().map(&mut split).transpose()?.map(|(valid, _)| valid);
        show_first(recipe, &renderer, &train, first.as_ref(), observer)?;
        Ok(Self {
            train,
            valid,
            checked,
            template_sha256: renderer.template_hash().to_owned(),
            tokenizer_sha256: renderer.tokenizer_hash().to_owned(),
        })
    }

    /// Nothing, where what needs a valid split has one with rows.
    pub fn check_valid_split(&self, recipe: &Recipe, observer: &mut Observer<'_>) -> Result<()> {
        let (lack, expected) = match &self.valid {
            Some(valid) if !valid.rows.is_empty() => return Ok(()),
            Some(valid) => (
                format!("with every row of `{}` dropped", valid.file.path),
                "rows of the valid split no longer than `max_length`",
            ),
            None => ("without a valid split".to_owned(), "a data folder with `valid.jsonl`"),
        };
        let refused = |key, value: String| {
            let found = format!("{value} {lack}");
            Err(TrainError::Setting { key, expected: expected.to_owned(), found })
        };
        if recipe.load_best_model_at_end {
            return refused("load_best_model_at_end", "`true`".into());
        }
        if let Some(patience) = recipe.early_stopping_patience {
            return refused("early_stopping_patience", patience.to_string());
        }
        match (&self.valid, recipe.eval_steps) {
            (Some(_), Some(steps)) => return refused("eval_steps", steps.to_string()),
            (Some(valid), None) => observer(Event::Notice(&format!(
                "every row of `{}` was dropped: there will be no evaluation",
                valid.file.path
            ))),
            (None, Some(_)) => {
                observer(Event::Notice("there is no valid split: `eval_steps` has no effect"));
            }
            (None, None) => {}
        }
        Ok(())
    }
}

/// Shows the first row that is trained on.
fn show_first(
    recipe: &Recipe,
    renderer: &Renderer,
    train: &Split,
    example: Option<&Example>,
    observer: &mut Observer<'_>,
) -> Result<()> {
    let (Some(first), Some(example)) = (train.rows.get(0)?, example) else { return Ok(()) };
    let rendered = renderer.render_training(example, recipe.train_on.into())?;
    observer(Event::FirstRow {
        line: first.line,
        text: rendered.first().map_or("", |rendered| &rendered.text),
        ids: &first.ids,
        supervised: first.supervised_tokens(),
    });
    Ok(())
}

fn accounted(path: &Path, read: &TokenizedFile) -> DataFile {
    let TokenizedFile { rows, counts, .. } = read;
    let made = rows.len() + counts.dropped;
    DataFile {
        path: path.display().to_string(),
        sha256: read.sha256.clone(),
        format: read.format.name().to_owned(),
        rows_read: read.rows_read,
        bad_rows: read.bad_rows,
        split: counts.split,
        split_into: counts.split + made.saturating_sub(counts.rows),
        truncated: counts.truncated,
        dropped: counts.dropped,
        rows: rows.len(),
        tokens: rows.tokens(),
        supervised_tokens: rows.supervised_tokens(),
    }
}

/// Every row of a file accounted for, in a sentence.
fn told(file: &DataFile) -> String {
    let mut parts = vec![format!("{} rows read", file.rows_read)];
    if file.bad_rows > 0 {
        parts.push(format!("{} bad and left out", file.bad_rows));
    }
    parts.extend(file.told_split());
    for (count, what) in [
        (file.dropped, "longer than `max_length` and dropped"),
        (file.truncated, "cut to `max_length`"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let DataFile { path, rows, tokens, supervised_tokens, .. } = file;
    format!(
        "`{path}`: {}, {rows} used: {tokens} tokens, {supervised_tokens} of them supervised",
        parts.join(", ")
    )
}

fn read_options(recipe: &Recipe) -> ReadOptions {
    ReadOptions {
        format: recipe.data_format.required(),
        columns: ColumnMap {
            prompt: recipe.prompt_feature.clone(),
            completion: recipe.completion_feature.clone(),
            text: recipe.text_feature.clone(),
        },
        on_bad_row: recipe.on_bad_row.into(),
        require_answer: true,
    }
}

/// The error, which for a preference row says that training on such rows is not built.
fn not_built(path: &Path, error: DataError) -> TrainError {
    match error {
        DataError::Render { line, problem, .. }
            if matches!(*problem, RenderProblem::Preference) =>
        {
            TrainError::NotBuilt {
                place: format!("{}:{line}", path.display()),
                what: "training on preference rows".into(),
                instead: Some("write the chosen answers as `messages` rows".into()),
            }
        }
        error => error.into(),
    }
}

/// Nothing, where the model has an embedding for every token.
fn check_vocabulary(path: &Path, rows: &TokenRows, vocab_size: usize) -> Result<()> {
    for row in rows.iter() {
        let row = row?;
        if let Some(id) = row.ids.iter().copied().find(|id| *id as usize >= vocab_size) {
            let (path, line) = (path.to_path_buf(), row.line);
            return Err(TrainError::TokenBeyondVocabulary { path, line, id, vocab_size });
        }
    }
    Ok(())
}

/// The longest row allowed: the recipe's, or the model's context.
fn max_length(recipe: &Recipe, context: usize) -> Result<usize> {
    let length = recipe.max_length.unwrap_or(context);
    if length <= context {
        return Ok(length);
    }
    let expected = format!("at most {context}, the model's context");
    Err(TrainError::Setting { key: "max_length", expected, found: length.to_string() })
}

#[cfg(test)]
mod tests {
    use tunewise_data::{RowFormat, TokenCounts, TokenExample};

    use super::*;

    #[test]
    fn the_counts_of_a_file_add_up() {
        let file = DataFile {
            path: "a.jsonl".into(),
            rows_read: 12,
            bad_rows: 2,
            split: 1,
            split_into: 3,
            dropped: 4,
            truncated: 1,
            rows: 8,
            tokens: 80,
            supervised_tokens: 40,
            ..DataFile::default()
        };
        assert_eq!(
            told(&file),
            "`a.jsonl`: 12 rows read, 2 bad and left out, 1 conversation became 3 rows, 4 longer than `max_length` \
             and dropped, 1 cut to `max_length`, 8 used: 80 tokens, 40 of them supervised"
        );
    }

    #[test]
    fn a_conversation_that_became_several_rows_is_counted_before_and_after() {
        let row = |line| TokenExample { line, ids: vec![1, 2], supervised: vec![false, true] };
        let read = TokenizedFile {
            rows: TokenRows::of(&[row(1), row(2), row(2)]).unwrap(),
            counts: TokenCounts { rows: 3, dropped: 2, split: 1, truncated: 0 },
            format: RowFormat::Messages,
            rows_read: 3,
            bad_rows: 0,
            first: None,
            sha256: String::new(),
        };
        let file = accounted(Path::new("a.jsonl"), &read);
        assert_eq!((file.split, file.split_into, file.dropped, file.rows), (1, 3, 2, 3));
        // Three rows, one of which became three: five, of which two were dropped.
        assert_eq!(file.rows_read - file.split + file.split_into - file.dropped, file.rows);
    }
}
