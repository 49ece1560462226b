//! The command line: what can be asked, and with which flags.

pub mod bench;
pub mod compute;
pub mod examples;
pub mod prepare;
pub mod recipe;
pub mod rows;
pub mod sampling;
pub mod usage;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tunewise_data::new_tokenizer::FEWEST_TOKENS;
use tunewise_data::{ExcessLength, TrainOn};

use tunewise_infer::LabelLength;
use tunewise_model::Instructions;

use bench::BenchArgs;
use compute::{ComputeArgs, ModelArgs};
use prepare::PrepareArgs;
use recipe::RecipeFlags;
use rows::RowArgs;
use sampling::SamplingArgs;

use crate::threads::MOST;

/// Fine-tunes a language model with LoRA on this machine, and tells whether a better prompt would have done.
#[derive(Debug, Parser)]
#[command(name = "tunewise", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = examples::ALL, max_term_width = 100)]
pub struct Cli {
    /// Make the last line of standard output one JSON object
    #[arg(long, global = true)]
    pub json: bool,
    /// Instructions that products use: `portable`, `avx2`, `avx512` or `avx512-bf16` [default: the widest there are]
    #[arg(long, global = true, value_name = "NAME", value_parser = instructions)]
    pub instructions: Option<Instructions>,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What can be asked.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read a data file and say what is in it and which rows would fail
    #[command(after_help = examples::CHECK)]
    Check(CheckArgs),
    /// Make the splits of a data folder from files of rows, without repeats and leaks, and account for every row
    #[command(after_help = examples::PREPARE)]
    Prepare(PrepareArgs),
    /// Train an adapter
    #[command(after_help = examples::TRAIN)]
    Train(TrainArgs),
    /// Show exactly what the model sees of a row, and which tokens are trained on
    #[command(after_help = examples::RENDER)]
    Render(RenderArgs),
    /// Answer a prompt, or every row of a file
    #[command(after_help = examples::GENERATE)]
    Generate(GenerateArgs),
    /// Measure how well a model predicts the answers of a file
    #[command(after_help = examples::EVALUATE)]
    Evaluate(EvaluateArgs),
    /// Let prompts and adapters answer the same rows, and judge which does better
    #[command(after_help = examples::compare())]
    Compare(Box<CompareArgs>),
    /// Write a model folder with an adapter merged into its weights
    #[command(after_help = examples::MERGE)]
    Merge(MergeArgs),
    /// Learn a tokenizer from rows, for a model that starts from random weights
    #[command(after_help = examples::TOKENIZER)]
    Tokenizer(TokenizerArgs),
    /// Measure what this machine reaches with a model, as a share of what its processor can do
    #[command(after_help = examples::BENCH)]
    Bench(BenchArgs),
    /// Print a recipe with every key, what it means, and its default
    #[command(after_help = examples::RECIPE)]
    Recipe(RecipeArgs),
    /// Tell what this machine and this build can do
    #[command(after_help = examples::DOCTOR)]
    Doctor,
}

/// Flags of `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// JSONL file, or a folder with `train.jsonl` and, where there are, `valid.jsonl` and `test.jsonl`
    #[arg(long, value_name = "FILE|DIR")]
    pub data: PathBuf,
    /// Model folder; without it the rows are read but no tokens are counted
    #[arg(long, value_name = "DIR", alias = "model-name-or-path")]
    pub model: Option<PathBuf>,
    /// How the rows are written.
    #[command(flatten)]
    pub rows: RowArgs,
    /// Which assistant turns are trained on
    #[arg(long, value_name = "all|last", default_value = "all", value_parser = rows::trained_turns)]
    pub train_on: TrainOn,
    /// Longest row, in tokens; needs `--model` [default: the model's context]
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub max_length: Option<usize>,
    /// What a longer row does in training: `raise` fails, `truncate` cuts its end, `drop` leaves it out; needs `--model`
    #[arg(long, value_name = "raise|truncate|drop", default_value = "raise", value_parser = rows::excess_length)]
    pub excess_length_strategy: ExcessLength,
    /// Key of a row whose value tells which rows belong together [default: `conversation_id` or the like, where rows
    /// have one]
    #[arg(long, value_name = "KEY")]
    pub group_by: Option<String>,
    /// Measure how unlikely the model finds each training row, to find those that stand out; needs `--model`
    #[arg(long)]
    pub base_loss: bool,
    /// Write what was found, with the rows in question, as one HTML page to this file
    #[arg(long, value_name = "PAGE.html")]
    pub report: Option<PathBuf>,
    /// Write what was found in each row, how suspect it is, and its loss to this JSONL file
    #[arg(long, value_name = "OUT.jsonl")]
    pub items: Option<PathBuf>,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = thread_count, allow_negative_numbers = true)]
    pub threads: Option<usize>,
}

/// Flags of `train`.
#[derive(Debug, Args)]
pub struct TrainArgs {
    /// Read rows and model, measure a few steps that move nothing, and tell what the run would take
    #[arg(long)]
    pub dry_run: bool,
    /// Train even where the check of the rows finds errors; the model card of the result says so
    #[arg(long)]
    pub force: bool,
    /// Recipe file; flags go before its values
    #[arg(long, value_name = "R.yaml")]
    pub config: Option<PathBuf>,
    /// The keys of the recipe.
    #[command(flatten)]
    pub recipe: RecipeFlags,
}

/// Flags of `render`.
#[derive(Debug, Args)]
pub struct RenderArgs {
    /// Model folder
    #[arg(long, value_name = "DIR", alias = "model-name-or-path")]
    pub model: PathBuf,
    /// JSONL file
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// How the rows are written.
    #[command(flatten)]
    pub rows: RowArgs,
    /// Only the row on this line, counted from 1
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub line: Option<usize>,
    /// Show the prompt that generation would start from instead of the training row
    #[arg(long)]
    pub generation_prompt: bool,
    /// Which assistant turns are trained on
    #[arg(long, value_name = "all|last", default_value = "all", value_parser = rows::trained_turns)]
    pub train_on: TrainOn,
}

/// Flags of `generate`.
#[derive(Debug, Args)]
pub struct GenerateArgs {
    /// The model and how it is computed.
    #[command(flatten)]
    pub model: ModelArgs,
    /// PEFT adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Text to answer: a user turn where the model has a chat template or the adapter was trained on conversations,
    /// plain text otherwise
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["input", "output"])]
    pub prompt: Option<String>,
    /// System message before the prompt; in the rows of a file it replaces theirs
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Continue the prompt as it stands, without turns
    #[arg(long, requires = "prompt", conflicts_with = "system")]
    pub raw: bool,
    /// JSONL file whose rows to answer
    #[arg(long, value_name = "FILE", requires = "output")]
    pub input: Option<PathBuf>,
    /// JSONL file to write: the rows with `completion`, `prompt_tokens`, `completion_tokens`, `finish_reason`; a row's
    /// own field of such a name is kept as `reference_completion` and so on
    #[arg(long, value_name = "FILE", requires = "input")]
    pub output: Option<PathBuf>,
    /// How the rows are written.
    #[command(flatten)]
    pub rows: RowArgs,
    /// Prompts computed at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = positive, allow_negative_numbers = true)]
    pub batch_size: usize,
    /// How tokens are chosen.
    #[command(flatten)]
    pub sampling: SamplingArgs,
}

/// Flags of `evaluate`.
#[derive(Debug, Args)]
pub struct EvaluateArgs {
    /// The model and how it is computed.
    #[command(flatten)]
    pub model: ModelArgs,
    /// PEFT adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// JSONL file
    #[arg(long, value_name = "FILE")]
    pub data: PathBuf,
    /// How the rows are written.
    #[command(flatten)]
    pub rows: RowArgs,
    /// Write the figures of each row to this JSONL file
    #[arg(long, value_name = "OUT.jsonl")]
    pub items: Option<PathBuf>,
    /// Longest row, in tokens [default: the model's context]
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub max_length: Option<usize>,
    /// What a longer row does: `raise` stops, `truncate` cuts its end, `drop` leaves it out
    #[arg(long, value_name = "raise|truncate|drop", default_value = "raise", value_parser = rows::excess_length)]
    pub excess_length_strategy: ExcessLength,
    /// Which assistant turns are measured
    #[arg(long, value_name = "all|last", default_value = "all", value_parser = rows::trained_turns)]
    pub train_on: TrainOn,
}

/// Flags of `compare`.
#[derive(Debug, Args)]
pub struct CompareArgs {
    /// The model and how it is computed.
    #[command(flatten)]
    pub model: ModelArgs,
    /// PEFT adapter folder; give it once for each tuned arm
    #[arg(long, value_name = "DIR")]
    pub adapter: Vec<PathBuf>,
    /// JSONL file that demonstrations and labels are taken from
    #[arg(long, value_name = "FILE")]
    pub train: PathBuf,
    /// JSONL file whose rows every arm answers
    #[arg(long, value_name = "FILE")]
    pub test: PathBuf,
    /// How the rows are written.
    #[command(flatten)]
    pub rows: RowArgs,
    /// Arms, comma-separated: `zero-shot`, `system-prompt`, `few-shot`, `tuned`, `tuned+system-prompt`
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', required = true)]
    pub arms: Vec<String>,
    /// How answers are scored: one of the metrics below
    #[arg(long, value_name = "M")]
    pub metric: String,
    /// Folder for `report.json`, `report.md` and `items.jsonl`
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// Text file whose content replaces the rows' system message in the `system-prompt` arms
    #[arg(long, value_name = "FILE")]
    pub system_prompt: Option<PathBuf>,
    /// Demonstrations of the `few-shot` arm
    #[arg(long, value_name = "K", default_value = "4", value_parser = positive, allow_negative_numbers = true)]
    pub shots: usize,
    /// Most tokens of an answer
    #[arg(long, value_name = "N", default_value = "64", value_parser = positive, allow_negative_numbers = true)]
    pub max_new_tokens: usize,
    /// Ask only N rows, drawn by the seed
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub limit: Option<usize>,
    /// How labels are weighed: `whole` answers by their likelihood, or `per-token` by its mean
    #[arg(long, value_name = "whole|per-token", default_value = "whole", value_parser = rows::label_length)]
    pub label_length: LabelLength,
    /// Seed of the rows drawn, the demonstrations and the bootstrap
    #[arg(long, value_name = "S", default_value = "42", value_parser = seed, allow_negative_numbers = true)]
    pub seed: u64,
    /// Prompts computed at once
    #[arg(long, value_name = "N", default_value = "16", value_parser = positive, allow_negative_numbers = true)]
    pub batch_size: usize,
}

/// Flags of `merge`.
#[derive(Debug, Args)]
pub struct MergeArgs {
    /// Model folder
    #[arg(long, value_name = "DIR", alias = "model-name-or-path")]
    pub model: PathBuf,
    /// PEFT adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: PathBuf,
    /// Folder for the merged model
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// Write into a folder that has files already
    #[arg(long)]
    pub overwrite: bool,
    /// How the merge is computed.
    #[command(flatten)]
    pub compute: ComputeArgs,
}

/// Flags of `tokenizer`.
#[derive(Debug, Args)]
pub struct TokenizerArgs {
    /// JSONL files, or folders with `train.jsonl`, whose texts it is learned from
    #[arg(long, value_name = "FILE|DIR", num_args = 1.., required = true)]
    pub data: Vec<PathBuf>,
    /// Folder for `tokenizer.json`, `tokenizer_config.json` and a ChatML `chat_template.jinja`
    #[arg(long, value_name = "DIR")]
    pub output: PathBuf,
    /// Tokens at most, control tokens and the 256 bytes among them
    #[arg(long, value_name = "N", default_value = "4096", value_parser = vocabulary, allow_negative_numbers = true)]
    pub vocab_size: usize,
    /// Replace the tokenizer in a folder that has one
    #[arg(long)]
    pub overwrite: bool,
    /// How the rows are written.
    #[command(flatten)]
    pub rows: RowArgs,
    /// Threads to compute with [default: one per core]
    #[arg(long, value_name = "N", value_parser = thread_count, allow_negative_numbers = true)]
    pub threads: Option<usize>,
}

/// Flags of `recipe`.
#[derive(Debug, Args)]
pub struct RecipeArgs {
    /// Print the JSON schema of a recipe instead
    #[arg(long)]
    pub schema: bool,
}

/// Instructions that this processor has.
fn instructions(text: &str) -> Result<Instructions, String> {
    let instructions: Instructions = text.parse()?;
    match instructions.available() {
        true => Ok(instructions),
        false => Err(format!(
            "this processor lacks `{instructions}`, expected at most `{}`",
            Instructions::found()
        )),
    }
}

/// A number of at least 1.
pub fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number of at least 1".into()),
        Ok(number) => Ok(number),
    }
}

/// A number of tokens that a byte-level tokenizer can have.
fn vocabulary(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| *number >= FEWEST_TOKENS);
    number.ok_or_else(|| format!("expected a whole number of at least {FEWEST_TOKENS}"))
}

/// A number of threads that a machine can start.
pub fn thread_count(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST).contains(number));
    number.ok_or_else(|| format!("expected a whole number from 1 to {MOST}"))
}

/// A seed of random choices.
pub fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "expected a whole number of at least 0".into())
}

/// Any number; what it means says the range.
pub fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "expected a number".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
