//! A tokenizer of its own for a new model: byte-level BPE, learned from the texts of rows, with a ChatML template.
//!
//! Source: Sennrich et al. 2016 (BPE); Radford et al. 2019 (on bytes, so that no text is unknown).

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};
use tokenizers::models::bpe::{BpeTrainer, BPE};
use tokenizers::models::TrainerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::{AddedToken, ModelWrapper, Tokenizer};

use crate::error::DataError;
use crate::model_files::bad;
use crate::read::{ReadOptions, Row};
use crate::reader::RowReader;
use crate::render_problem::{LibraryError, ModelProblem};

/// Ends a document, and pads.
pub const END_OF_TEXT: &str = "<|endoftext|>";
/// Begins a turn.
const TURN_START: &str = "<|im_start|>";
/// Ends a turn, and with it an answer.
const TURN_END: &str = "<|im_end|>";
/// Control tokens, in the order of their ids.
const SPECIAL: [&str; 3] = [END_OF_TEXT, TURN_START, TURN_END];
/// Tokens that there are at least: the control tokens and every byte.
pub const FEWEST_TOKENS: usize = 256 + SPECIAL.len();
/// Times that a pair of tokens stands in the texts before it becomes one.
const LEAST_FREQUENCY: u64 = 2;
const TEMPLATE: &str = include_str!("chatml.jinja");

/// A tokenizer that was learned.
#[derive(Debug, Clone)]
pub struct NewTokenizer {
    json: String,
    /// How many tokens it has; fewer than asked for where the texts are small.
    pub vocabulary: usize,
    /// Texts that it was learned from.
    pub texts: usize,
}

impl NewTokenizer {
    /// The names of its files.
    pub const FILES: [&'static str; 3] =
        ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"];

    /// A tokenizer of at most `vocabulary` tokens, learned from every text of the rows in some files. Digits are tokens of
    /// their own, so that numbers are read digit by digit.
    ///
    /// # Errors
    /// A file that cannot be read, a bad row where such rows stop the work, and what the library says.
    pub fn learn(
        files: &[PathBuf],
        options: &ReadOptions,
        vocabulary: usize,
    ) -> Result<NewTokenizer, DataError> {
        let mut all = Vec::new();
        for path in files {
            let mut reader = RowReader::open(path, options)?;
            reader.for_each(
                |row: Row| {
                    let texts = row.example.body.texts().into_iter();
                    texts.map(str::to_owned).collect::<Vec<String>>()
                },
                |row| -> Result<ControlFlow<()>, DataError> {
                    all.extend(row?);
                    Ok(ControlFlow::Continue(()))
                },
            )?;
        }
        let texts = all.len();
        let learned = learned(all, vocabulary)
            .and_then(|tokenizer| Ok((tokenizer.to_string(true)?, tokenizer.get_vocab_size(true))));
        let first = files.first().map(PathBuf::as_path).unwrap_or(Path::new(""));
        let (json, vocabulary) =
            learned.map_err(|error| bad(first, ModelProblem::Tokenizer(error)))?;
        Ok(NewTokenizer { json, vocabulary, texts })
    }

    /// The files of the tokenizer, by name: itself, its settings and its chat template.
    pub fn files(&self) -> [(&'static str, String); 3] {
        let [tokenizer, config, template] = NewTokenizer::FILES;
        [
            (tokenizer, self.json.clone()),
            (config, format!("{:#}\n", settings())),
            (template, TEMPLATE.to_owned()),
        ]
    }
}

fn learned(texts: Vec<String>, vocabulary: usize) -> Result<Tokenizer, LibraryError> {
    let digits = Digits::new(true);
    let bytes = ByteLevel::new(false, true, true);
    let parts = [PreTokenizerWrapper::from(digits), PreTokenizerWrapper::from(bytes)];
    let mut tokenizer = Tokenizer::new(ModelWrapper::from(BPE::default()));
    tokenizer.with_pre_tokenizer(Some(Sequence::new(parts.to_vec())));
    tokenizer.with_decoder(Some(bytes));
    let special = SPECIAL.map(|text| AddedToken::from(text, true));
    let trainer = BpeTrainer::builder()
        .vocab_size(vocabulary)
        .min_frequency(LEAST_FREQUENCY)
        .show_progress(false)
        .special_tokens(special.to_vec())
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    tokenizer.train(&mut TrainerWrapper::from(trainer), texts.into_iter())?;
    Ok(tokenizer)
}

fn settings() -> Value {
    json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": null,
        "eos_token": TURN_END,
        "pad_token": END_OF_TEXT,
        "clean_up_tokenization_spaces": false,
        "chat_template": TEMPLATE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::{RenderMode, Renderer};
    use crate::{read_file, TrainOn};

    fn rows(folder: &Path) -> PathBuf {
        let path = folder.join("train.jsonl");
        let row = |n: usize| {
            json!({ "messages": [
                { "role": "user", "content": format!("where is order {n} now") },
                { "role": "assistant", "content": format!("order {n} is on its way") },
            ]})
        };
        let text: String = (0..40).map(|n| format!("{}\n", row(n * 37))).collect();
        std::fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn a_learned_tokenizer_reads_whole_words_single_digits_and_any_text() {
        let folder = tempfile::tempdir().unwrap();
        let path = rows(folder.path());
        let learn = || {
            NewTokenizer::learn(std::slice::from_ref(&path), &ReadOptions::default(), 300).unwrap()
        };
        let tokenizer = learn();
        assert_eq!((tokenizer.vocabulary, tokenizer.texts), (279, 80));
        assert_eq!(tokenizer.json, learn().json);
        for (name, text) in tokenizer.files() {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let renderer = Renderer::from_folder(folder.path()).unwrap();
        let ids = |text: &str| renderer.encode_plain(text).unwrap();
        assert_eq!(ids(" order").len(), 1);
        assert_eq!(ids("1234").len(), 4);
        let odd = "naïve 漢字 \u{1f600} <|im_end|>";
        assert_eq!(renderer.decode(&ids(odd)).unwrap(), odd);
        assert_eq!(renderer.stop_ids(), [2]);
        let set = read_file(&path, &ReadOptions::default()).unwrap();
        let row = &set.rows[0];
        let rendered = renderer.render(&row.example, RenderMode::Training).unwrap();
        let text = "<|im_start|>user\nwhere is order 0 now<|im_end|>\n<|im_start|>assistant\norder 0 is on its way<|im_end|>\n";
        assert_eq!(rendered.text, text);
        let trained = renderer.encode_training(&row.example, TrainOn::All).unwrap();
        let supervised = trained[0].ids.iter().zip(&trained[0].supervised);
        let supervised: Vec<u32> = supervised.filter(|(_, is)| **is).map(|(id, _)| *id).collect();
        assert_eq!(renderer.decode(&supervised).unwrap(), "order 0 is on its way");
    }
}
