//! `tunewise compare`: prompts and adapters on the same rows, and which does better.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::Value;
use tunewise_data::{read_file, DataSet, ReadOptions};
use tunewise_infer::arm::arms;
use tunewise_infer::{
    compare, AdapterSource, ArmRequest, ComparisonInput, ComparisonOptions, ComparisonProgress,
    Decoding, InferError, Limits, Metric, MetricError, Report, Resampling,
};
use tunewise_model::Adapter;

use crate::args::CompareArgs;
use crate::counter::Counter;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::model_folder::ModelFolder;
use crate::nearest;
use crate::number::counted;
use crate::output::{self, Form};
use crate::{destination, interrupt};

/// Where arms and metrics are shown in use.
const HELP: &str = "`tunewise compare --help` shows examples";

/// The files of a report.
const REPORT: [&str; 3] = ["report.json", "report.md", "items.jsonl"];

/// Lets every arm answer the test rows, prints the table and the verdict, and writes the report.
///
/// # Errors
/// When an arm lacks what it needs, or the model, an adapter or a row cannot be read.
pub fn run(args: &CompareArgs, form: Form) -> anyhow::Result<Exit> {
    let options = options(args)?;
    check_output(args)?;
    tell_unused(args, &options.arms);
    let system_prompt = args.system_prompt.as_deref().map(read_text).transpose()?;
    arms(&options.arms, &args.adapter, system_prompt.is_some())?;
    let folder = ModelFolder::at(&args.model.model)?;
    interrupt::end_on_it(form)?;
    let train = read(&args.train, &args.rows.answered())?;
    let test = match options.metric.reads_reference() {
        true => read(&args.test, &args.rows.answered())?,
        false => read(&args.test, &args.rows.asked())?,
    };
    // The report holds the renderer's notes.
    let renderer = folder.silent_renderer()?;
    let decoder = folder.decoder(args.model.dtype)?;
    let read = args.adapter.iter().map(|dir| folder.adapter(&decoder, &renderer, dir));
    let read: Vec<Adapter> = read.collect::<anyhow::Result<_>>()?;
    let hashes: Vec<Option<String>> = args.adapter.iter().map(|dir| trained_on(dir)).collect();
    let sources = args.adapter.iter().zip(&read).zip(&hashes);
    let sources: Vec<AdapterSource<'_>> = sources
        .map(|((path, adapter), hash)| AdapterSource { path, adapter, trained_on: hash.as_deref() })
        .collect();
    let input = ComparisonInput {
        model: &args.model.model.display().to_string(),
        decoder: &decoder,
        renderer: &renderer,
        adapters: &sources,
        train: &train,
        test: &test,
        system_prompt: system_prompt.as_deref(),
    };
    let mut progress = Progress::default();
    let report = compare(input, &options, &mut |state| progress.show(state));
    drop(progress);
    let report = report.with_context(|| format!("`{}`", args.test.display()))?;
    tell(&report, &args.output, form)?;
    Ok(Exit::Done)
}

/// Writes the report, and prints its table.
fn tell(report: &Report, output: &Path, form: Form) -> anyhow::Result<()> {
    interrupt::writing();
    report.write(output)?;
    form.text(report.table().trim_end())?;
    output::say(format_args!(
        "wrote `report.json`, `report.md` and `items.jsonl` to `{}`",
        output.display()
    ));
    form.json(report)?;
    Ok(())
}

/// Nothing, where the report can be written and replaces nothing that is read.
fn check_output(args: &CompareArgs) -> anyhow::Result<()> {
    let inputs = [&args.train, &args.test, &args.model.model].into_iter();
    let inputs = inputs.chain(&args.system_prompt).chain(&args.adapter);
    let inputs: Vec<&Path> = inputs.map(PathBuf::as_path).collect();
    destination::folder("--output", &args.output, &REPORT, &inputs)
}

/// The SHA-256 of the rows that an adapter was trained on, where training recorded it beside the adapter.
fn trained_on(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join("tunewise.json")).ok()?;
    let record: Value = serde_json::from_str(&text).ok()?;
    record["provenance"]["train_data"]["sha256"].as_str().map(str::to_owned)
}

/// Says which flags no arm makes use of.
fn tell_unused(args: &CompareArgs, arms: &[ArmRequest]) {
    use ArmRequest::{SystemPrompt, Tuned, TunedSystemPrompt};
    let has = |these: [ArmRequest; 2]| arms.iter().any(|arm| these.contains(arm));
    if !args.adapter.is_empty() && !has([Tuned, TunedSystemPrompt]) {
        output::warn("`--adapter` has no effect: neither `tuned` nor `tuned+system-prompt` is among the arms");
    }
    if args.system_prompt.is_some() && !has([SystemPrompt, TunedSystemPrompt]) {
        output::warn(
            "`--system-prompt` has no effect: neither `system-prompt` nor `tuned+system-prompt` is among the arms",
        );
    }
}

fn options(args: &CompareArgs) -> anyhow::Result<ComparisonOptions> {
    let arms = args.arms.iter().map(|name| arm(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let mut decoding = Decoding::greedy(args.max_new_tokens);
    decoding.limits = Limits { completions: args.batch_size, ..Limits::default() };
    Ok(ComparisonOptions {
        arms,
        metric: metric(&args.metric)?,
        shots: args.shots,
        limit: args.limit,
        seed: args.seed,
        decoding,
        label_length: args.label_length,
        resamples: Resampling::default().resamples,
    })
}

fn arm(name: &str) -> anyhow::Result<ArmRequest> {
    use ArmRequest::{FewShot, SystemPrompt, Tuned, TunedSystemPrompt, ZeroShot};
    let all = [ZeroShot, SystemPrompt, FewShot, Tuned, TunedSystemPrompt];
    let known = all.map(|arm| arm.to_string());
    let read = name.parse::<ArmRequest>();
    Ok(read.map_err(|error| {
        Problem::with_hint(error.to_string(), nearest::hint(name, &known, HELP))
    })?)
}

fn metric(name: &str) -> anyhow::Result<Metric> {
    if name == "regex:" {
        let what = "`--metric` is `regex:` without a pattern, expected `regex:PATTERN`";
        return Err(Problem::with_hint(what, "an empty pattern is found in every answer").into());
    }
    match name.parse::<Metric>() {
        Err(error @ MetricError::Unknown { .. }) => {
            let known: Vec<String> = Metric::all().iter().map(|known| known.name.into()).collect();
            Err(Problem::with_hint(error.to_string(), nearest::hint(name, &known, HELP)).into())
        }
        read => Ok(read.map_err(InferError::from)?),
    }
}

/// The text of a file, without the line break at its end.
fn read_text(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("`{name}` cannot be read"))?;
    let text = text.trim_end();
    if text.is_empty() {
        let what = format!("`{name}` is empty, expected the text of a system message");
        return Err(
            Problem::with_hint(what, "leave `--system-prompt` out to ask without one").into()
        );
    }
    Ok(text.to_owned())
}

fn read(path: &Path, options: &ReadOptions) -> anyhow::Result<DataSet> {
    let set = read_file(path, options)?;
    if !set.bad_rows.is_empty() {
        output::warn(format_args!(
            "`{}`: {} left out",
            path.display(),
            counted(set.bad_rows.len(), "bad row")
        ));
    }
    Ok(set)
}

/// A counter for the arm that answers.
#[derive(Default)]
struct Progress {
    current: Option<(String, Counter)>,
}

impl Progress {
    fn show(&mut self, state: ComparisonProgress<'_>) {
        if self.current.as_ref().is_none_or(|(arm, _)| arm != state.arm) {
            // The earlier arm's bar has to go before the next one is drawn.
            self.current = None;
            let noun = format!("items, {}", state.arm);
            self.current = Some((state.arm.to_owned(), Counter::up_to(state.items, &noun)));
        }
        if let Some((_, counter)) = &self.current {
            counter.set(state.answered);
        }
    }
}
