//! Data preparation of tunewise: JSONL rows become [`Example`]s, are rendered with the model's own chat
//! template, tokenized with a loss mask, and laid out as token trees.
//!
//! In pipeline order: [`splits`] → [`read`] ([`mod@format`], [`problem`]) → [`example`] → [`render`] (templates, tokenizer, loss
//! masks; [`render_problem`]) → [`mod@tokenize`] → [`token_rows`] → [`shuffle`] → [`tree`].
//!
//! ```
//! use tunewise_data::{read_file, ReadOptions, RowFormat};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("train.jsonl");
//! std::fs::write(&path, "{\"instruction\": \"Add.\", \"input\": \"1 2\", \"output\": \"3\"}\n")?;
//!
//! let set = read_file(&path, &ReadOptions { require_answer: true, ..ReadOptions::default() })?;
//! assert_eq!(set.format, RowFormat::Alpaca);
//! assert_eq!(set.rows[0].example.reference(), Some("3"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod conversation;
mod disjoint_sets;
pub mod error;
pub mod example;
mod field;
pub mod format;
mod generation;
mod jinja;
mod json;
mod line;
mod longest_text;
mod mask;
mod message;
mod model_files;
mod model_text;
pub mod new_tokenizer;
mod plain;
pub mod prepare;
pub mod problem;
mod python;
pub mod quality;
pub mod read;
mod reader;
pub mod render;
pub mod render_problem;
mod row;
mod shield;
pub mod shuffle;
mod source;
pub mod splits;
mod template;
pub mod token_rows;
pub mod tokenize;
mod tokenizer;
pub mod tree;
mod twin;
mod words;

pub use error::DataError;
pub use example::{Body, Example, Message, Role};
pub use format::{ColumnMap, RowFormat};
pub use read::{read_file, BadRow, DataSet, OnBadRow, ReadOptions, Row};
pub use reader::RowReader;
pub use render::{RenderMode, Rendered, Renderer, TemplateKind, TrainOn};
pub use render_problem::{ModelProblem, NothingSupervised, RenderProblem};
pub use shuffle::shuffled;
pub use splits::{find_splits, SplitFiles};
pub use token_rows::{TokenRows, TokenRowsWriter};
pub use tokenize::{
    tokenize, tokenize_file, ExcessLength, TokenCounts, TokenExample, Tokenization, Tokenized,
    TokenizedFile,
};
pub use tree::{alike, lay_out, PackedBatch, PrefixSharing, Segment, Target};
