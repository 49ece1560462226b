//! The shapes a row can have, and how to tell them apart.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value};

use crate::error::DataError;
use crate::problem::RowProblem;

/// How the rows of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RowFormat {
    /// `messages`: OpenAI chat rows.
    Messages,
    /// `prompt` and `completion`, as strings or as lists of messages.
    PromptCompletion,
    /// `text`.
    Text,
    /// `instruction`, `input`, `output`.
    Alpaca,
    /// `conversations` of `from` and `value`.
    ShareGpt,
    /// `chosen` and `rejected`, with or without `prompt`.
    Preference,
}

const ALL: [RowFormat; 6] = [
    RowFormat::Messages,
    RowFormat::PromptCompletion,
    RowFormat::Text,
    RowFormat::Alpaca,
    RowFormat::ShareGpt,
    RowFormat::Preference,
];

impl fmt::Display for RowFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A name that is no row format.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the row format is `{found}`, expected `messages`, `prompt-completion`, `text`, `alpaca`, `sharegpt` or `preference`"
)]
pub struct UnknownFormatName {
    /// The name as given.
    pub found: String,
}

impl FromStr for RowFormat {
    type Err = UnknownFormatName;

    fn from_str(name: &str) -> Result<RowFormat, UnknownFormatName> {
        ALL.into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| UnknownFormatName { found: name.into() })
    }
}

/// Which keys of a row hold the prompt, the completion and the text, where they are called otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ColumnMap {
    /// The key that stands for `prompt`.
    pub prompt: Option<String>,
    /// The key that stands for `completion`.
    pub completion: Option<String>,
    /// The key that stands for `text`.
    pub text: Option<String>,
}

impl ColumnMap {
    /// The key of the prompt.
    pub fn prompt_key(&self) -> &str {
        self.prompt.as_deref().unwrap_or("prompt")
    }

    /// The key of the completion.
    pub fn completion_key(&self) -> &str {
        self.completion.as_deref().unwrap_or("completion")
    }

    /// The key of the text.
    pub fn text_key(&self) -> &str {
        self.text.as_deref().unwrap_or("text")
    }

    /// The format that the request and the mapping settle; `None` where the rows must tell.
    ///
    /// # Errors
    /// A mapping of a column that the format does not have.
    pub(crate) fn settle(&self, asked: Option<RowFormat>) -> Result<Option<RowFormat>, DataError> {
        let implied = if self.prompt.is_some() || self.completion.is_some() {
            Some(RowFormat::PromptCompletion)
        } else if self.text.is_some() {
            Some(RowFormat::Text)
        } else {
            None
        };
        let Some(format) = asked.or(implied) else {
            return Ok(None);
        };
        let prompt_fits = matches!(format, RowFormat::PromptCompletion | RowFormat::Preference);
        let columns = [
            ("prompt_feature", &self.prompt, prompt_fits),
            ("completion_feature", &self.completion, format == RowFormat::PromptCompletion),
            ("text_feature", &self.text, format == RowFormat::Text),
        ];
        match columns.into_iter().find(|(_, key, fits)| key.is_some() && !fits) {
            Some((column, _, _)) => Err(DataError::ColumnMismatch { column, format }),
            None => Ok(Some(format)),
        }
    }
}

impl RowFormat {
    /// The name on the command line and in reports.
    pub fn name(self) -> &'static str {
        match self {
            RowFormat::Messages => "messages",
            RowFormat::PromptCompletion => "prompt-completion",
            RowFormat::Text => "text",
            RowFormat::Alpaca => "alpaca",
            RowFormat::ShareGpt => "sharegpt",
            RowFormat::Preference => "preference",
        }
    }

    /// The format whose keys the row has; where it has those of several, the more telling one.
    ///
    /// One key decides (`prompt` without `completion` is a `prompt-completion` row that lacks something),
    /// so that the error can name what is missing.
    pub(crate) fn detect(row: &Map<String, Value>) -> Option<RowFormat> {
        const TELLING: [(&str, RowFormat); 8] = [
            ("messages", RowFormat::Messages),
            ("conversations", RowFormat::ShareGpt),
            ("chosen", RowFormat::Preference),
            ("rejected", RowFormat::Preference),
            ("completion", RowFormat::PromptCompletion),
            ("prompt", RowFormat::PromptCompletion),
            ("instruction", RowFormat::Alpaca),
            ("text", RowFormat::Text),
        ];
        TELLING.iter().find(|(key, _)| row.contains_key(*key)).map(|(_, format)| *format)
    }

    /// Nothing where the row may be read in this format, the first good row having had it.
    pub(crate) fn admit(self, row: &Map<String, Value>) -> Result<(), RowProblem> {
        let has = |key: &str| row.contains_key(key);
        let fits = match self {
            RowFormat::Messages => has("messages"),
            RowFormat::ShareGpt => has("conversations"),
            RowFormat::Preference => has("chosen") || has("rejected"),
            RowFormat::PromptCompletion => has("prompt") || has("completion"),
            RowFormat::Alpaca => has("instruction"),
            RowFormat::Text => has("text"),
        };
        match RowFormat::detect(row) {
            Some(found) if !fits => Err(RowProblem::OtherFormat { expected: self, found }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_reads_back_from_its_name() {
        for format in ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!(RowFormat::PromptCompletion.to_string(), "prompt-completion");
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "csv".parse::<RowFormat>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the row format is `csv`, expected `messages`, `prompt-completion`, `text`, `alpaca`, `sharegpt` or \
             `preference`"
        );
    }

    #[test]
    fn a_mapping_settles_the_format_or_contradicts_it() {
        let text = ColumnMap { text: Some("body".into()), ..ColumnMap::default() };
        assert_eq!(text.settle(None).unwrap(), Some(RowFormat::Text));
        let error = text.settle(Some(RowFormat::Alpaca)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`text_feature` is set, expected no such mapping for rows of format `alpaca`"
        );
        let both = ColumnMap { prompt: Some("q".into()), ..text };
        assert_eq!(
            both.settle(None).unwrap_err().to_string(),
            "`text_feature` is set, expected no such mapping for rows of format `prompt-completion`"
        );
    }
}
