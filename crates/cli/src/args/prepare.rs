//! Flags of `prepare`.

use std::path::PathBuf;

use clap::Args;
use tunewise_data::prepare::{droppable, Dedupe, PrepareOptions, SplitSizes, Stratify, WrongSizes};
use tunewise_data::quality::Code;

use super::rows::RowArgs;
use super::{positive, seed, thread_count};

/// Flags of `prepare`.
#[derive(Debug, Args)]
pub struct PrepareArgs {
    /// JSONL, CSV, TSV or Parquet files, gzipped or not, or folders of such files
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., required = true)]
    pub data: Vec<PathBuf>,
    /// Folder for `train.jsonl`, `valid.jsonl`, `test.jsonl`, and `ledger.jsonl`, which accounts for every row
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// Sizes of the splits: shares that add up to 1, or numbers of rows such as `1000/100/100`
    #[arg(long, value_name = "TRAIN/VALID/TEST", default_value = "0.9/0.05/0.05", value_parser = sizes)]
    pub split: SplitSizes,
    /// Seed of what is chosen: which rows are in which split, and which are kept under `--max-rows`
    #[arg(long, value_name = "S", default_value = "0", value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
    /// Split each label in the same shares: where answers are labels (`auto`), whatever they are (`label`), or not
    #[arg(long, value_name = "auto|label|none", default_value = "auto", value_parser = stratify)]
    pub stratify: Stratify,
    /// Key of a row whose value tells which rows belong together, in one split
    #[arg(long, value_name = "KEY")]
    pub group_by: Option<String>,
    /// Leave out rows that are there before: `exact` with the same question and answer, `near` with nearly the same too
    #[arg(long, value_name = "exact|near|none", default_value = "near", value_parser = dedupe)]
    pub dedupe: Dedupe,
    /// Leave out rows with these findings of `check`, comma-separated, such as `cut-off,contradiction`
    #[arg(long, value_name = "CODE,...", value_delimiter = ',', value_parser = code)]
    pub drop: Vec<Code>,
    /// Replace addresses, numbers and credentials of people by placeholders, the same for the same one in every row
    #[arg(long)]
    pub redact: bool,
    /// Keep N rows at most, drawn by the seed
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub max_rows: Option<usize>,
    /// How the rows are written.
    #[command(flatten)]
    pub rows: RowArgs,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = thread_count, allow_negative_numbers = true)]
    pub threads: Option<usize>,
}

impl PrepareArgs {
    /// How rows are prepared.
    pub fn options(&self) -> PrepareOptions {
        PrepareOptions {
            rows: self.rows.answered(),
            sizes: self.split,
            seed: self.seed,
            stratify: self.stratify,
            group_by: self.group_by.clone(),
            dedupe: self.dedupe,
            drop: self.drop.clone(),
            redact: self.redact,
            max_rows: self.max_rows,
        }
    }
}

fn sizes(text: &str) -> Result<SplitSizes, WrongSizes> {
    text.parse()
}

fn stratify(name: &str) -> Result<Stratify, String> {
    match name {
        "auto" => Ok(Stratify::Auto),
        "label" => Ok(Stratify::Label),
        "none" => Ok(Stratify::Never),
        _ => Err("expected `auto`, `label` or `none`".into()),
    }
}

fn dedupe(name: &str) -> Result<Dedupe, String> {
    match name {
        "exact" => Ok(Dedupe::Exact),
        "near" => Ok(Dedupe::Near),
        "none" => Ok(Dedupe::Never),
        _ => Err("expected `exact`, `near` or `none`".into()),
    }
}

/// A code that rows can be left out by.
fn code(name: &str) -> Result<Code, String> {
    let known = droppable().find(|code| code.name() == name.trim());
    known.ok_or_else(|| {
        let names: Vec<String> = droppable().map(|code| format!("`{code}`")).collect();
        format!("expected one of {}", names.join(", "))
    })
}
