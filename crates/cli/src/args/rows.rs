//! Flags that say how rows are written.

use clap::{Args, ValueEnum};
use tunewise_data::{ColumnMap, ExcessLength, OnBadRow, ReadOptions, RowFormat, TrainOn};
use tunewise_infer::LabelLength;

/// How the rows of a file are written.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Rows")]
pub struct RowArgs {
    /// `messages`, `prompt-completion`, `text`, `alpaca`, `sharegpt`, `preference`; `auto` looks at the first row
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = format)]
    data_format: Format,
    /// Key of a row that stands for `prompt`
    #[arg(long, value_name = "KEY")]
    prompt_feature: Option<String>,
    /// Key of a row that stands for `completion`
    #[arg(long, value_name = "KEY")]
    completion_feature: Option<String>,
    /// Key of a row that stands for `text`
    #[arg(long, value_name = "KEY")]
    text_feature: Option<String>,
    /// What a bad row does: `fail` stops, `skip` leaves it out and counts it
    #[arg(long, value_name = "fail|skip", default_value = "fail", hide_possible_values = true)]
    on_bad_row: BadRowChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum BadRowChoice {
    Fail,
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Format(Option<RowFormat>);

fn format(name: &str) -> Result<Format, String> {
    if name == "auto" {
        return Ok(Format(None));
    }
    let known = name.parse().map(|format| Format(Some(format)));
    known.map_err(|error: tunewise_data::format::UnknownFormatName| error.to_string())
}

/// Which turns are trained on, by name.
pub fn trained_turns(name: &str) -> Result<TrainOn, String> {
    match name {
        "all" => Ok(TrainOn::All),
        "last" => Ok(TrainOn::Last),
        _ => Err("expected `all` or `last`".into()),
    }
}

/// What a row beyond the length limit does, by name.
pub fn excess_length(name: &str) -> Result<ExcessLength, String> {
    match name {
        "raise" => Ok(ExcessLength::Raise),
        "truncate" => Ok(ExcessLength::Truncate),
        "drop" => Ok(ExcessLength::Drop),
        _ => Err("expected `raise`, `truncate` or `drop`".into()),
    }
}

/// How candidate labels are weighed, by name.
pub fn label_length(name: &str) -> Result<LabelLength, String> {
    match name {
        "whole" => Ok(LabelLength::Whole),
        "per-token" => Ok(LabelLength::PerToken),
        _ => Err("expected `whole` or `per-token`".into()),
    }
}

impl RowArgs {
    /// The options for rows that must end in an answer.
    pub fn answered(&self) -> ReadOptions {
        self.options(true)
    }

    /// The options for rows that may end in a question.
    pub fn asked(&self) -> ReadOptions {
        self.options(false)
    }

    fn options(&self, require_answer: bool) -> ReadOptions {
        ReadOptions {
            format: self.data_format.0,
            columns: ColumnMap {
                prompt: self.prompt_feature.clone(),
                completion: self.completion_feature.clone(),
                text: self.text_feature.clone(),
            },
            on_bad_row: match self.on_bad_row {
                BadRowChoice::Fail => OnBadRow::Fail,
                BadRowChoice::Skip => OnBadRow::Skip,
            },
            require_answer,
        }
    }
}
