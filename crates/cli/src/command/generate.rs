//! `tunewise generate`: the answer to a prompt, or to every row of a file.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use serde_json::{json, Value};
use tunewise_data::{
    read_file, Body, DataSet, Example, Message, Renderer, Role, Row, TemplateKind,
};
use tunewise_infer::prompt::asked as asked_under;
use tunewise_infer::{
    generate, Completion, Decoding, GenerationEvent, InferError, Limits, Model, Prompt, Sampling,
    SamplingOptions,
};
use tunewise_model::files::write_whole;

use crate::args::sampling::SamplingArgs;
use crate::args::GenerateArgs;
use crate::counter::Counter;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::model_folder::{trained_on_turns, ModelFolder};
use crate::number::{counted, grouped, rate, seconds};
use crate::output::{self, Form};
use crate::{destination, interrupt};

/// Answers the prompt on standard output, or the rows in a file.
///
/// # Errors
/// When the model, the adapter or a row cannot be read, or a prompt does not fit.
pub fn run(args: &GenerateArgs, form: Form) -> anyhow::Result<Exit> {
    if args.prompt.is_none() && args.input.is_none() {
        let what = "neither `--prompt` nor `--input` is given, expected one of them";
        return Err(Problem::with_hint(what, "`tunewise generate --help` shows examples").into());
    }
    let decoding = decoding(&args.sampling, args.batch_size)?;
    if let Some(output) = &args.output {
        let read = [&args.model.model].into_iter().chain(&args.input).chain(&args.adapter);
        let read: Vec<&Path> = read.map(PathBuf::as_path).collect();
        destination::file("--output", output, &read)?;
    }
    let folder = ModelFolder::at(&args.model.model)?;
    interrupt::end_on_it(form)?;
    let renderer = folder.silent_renderer()?;
    let takes_turns = takes_turns(args, &renderer);
    tell_notes(&renderer, args.input.is_some() || takes_turns);
    let set = args.input.as_deref().map(|path| read_file(path, &args.rows.asked())).transpose()?;
    let decoder = folder.decoder(args.model.dtype)?;
    let adapter = args.adapter.as_deref();
    let adapter = adapter.map(|dir| folder.adapter(&decoder, &renderer, dir)).transpose()?;
    let model = Model { decoder: &decoder, adapter: adapter.as_ref() };
    match (set, &args.output, &args.prompt) {
        (Some(set), Some(output), _) => {
            answer_rows(args, model, &renderer, &decoding, &set, output, form)?
        }
        (_, _, Some(text)) => {
            let example = asked(args, text, takes_turns);
            answer_prompt(model, &renderer, &decoding, &example, form)?
        }
        _ => {}
    }
    Ok(Exit::Done)
}

/// Whether the prompt is a user turn: where the model or the adapter knows turns, or a system message stands before it.
fn takes_turns(args: &GenerateArgs, renderer: &Renderer) -> bool {
    let learned = || args.adapter.as_deref().is_some_and(trained_on_turns);
    let knows = renderer.template_kind() != TemplateKind::Plain;
    !args.raw && (knows || args.system.is_some() || learned())
}

/// Tells what there is to know about the model's text; how plain turns look only where there are turns.
fn tell_notes(renderer: &Renderer, turns: bool) {
    let plain = renderer.template_kind() == TemplateKind::Plain;
    let of_turns = |note: &str| plain && note.starts_with("the model has no chat template");
    for note in renderer.notes().iter().filter(|note| turns || !of_turns(note)) {
        output::note(note);
    }
}

/// The decoding that the flags ask for.
fn decoding(args: &SamplingArgs, batch_size: usize) -> Result<Decoding, InferError> {
    let sampling = Sampling::new(SamplingOptions {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        min_p: args.min_p,
        repetition_penalty: args.repetition_penalty,
        seed: args.seed,
    })?;
    Ok(Decoding {
        max_new_tokens: args.max_new_tokens,
        sampling,
        stop_strings: args.stop.clone(),
        limits: Limits { completions: batch_size, ..Limits::default() },
    })
}

fn answer_prompt(
    model: Model<'_>,
    renderer: &Renderer,
    decoding: &Decoding,
    example: &Example,
    form: Form,
) -> anyhow::Result<()> {
    let prompt = Prompt::of(renderer, example)?;
    let begin = Instant::now();
    let mut stream = Stream { form, failed: None };
    let mut show = |event: GenerationEvent<'_>| match event {
        GenerationEvent::Text(_, piece) => stream.print(piece),
        GenerationEvent::Ended(_) => {}
    };
    let mut completions =
        generate(model, renderer, &[prompt], decoding, &mut show).context("the prompt")?;
    let took = begin.elapsed().as_secs_f64();
    stream.close()?;
    let Some(completion) = completions.pop() else { return Ok(()) };
    output::say(told(&completion, took));
    form.json(&completion)?;
    Ok(())
}

/// The prompt as a row: a user turn, or plain text.
fn asked(args: &GenerateArgs, text: &str, takes_turns: bool) -> Example {
    if !takes_turns {
        return Example { line: 1, body: Body::Text { text: text.to_owned() } };
    }
    let system = args.system.as_deref().map(|system| Message::new(Role::System, system));
    let messages = system.into_iter().chain([Message::new(Role::User, text)]).collect();
    Example { line: 1, body: Body::Chat { messages, tools: None } }
}

fn told(completion: &Completion, took: f64) -> String {
    let tokens = completion.completion_tokens;
    format!(
        "{} in the prompt, {} generated in {} ({} tokens/s), finish reason `{}`",
        counted(completion.prompt_tokens, "token"),
        grouped(tokens),
        seconds(took),
        rate(tokens as f64 / took.max(1e-9)),
        completion.finish_reason
    )
}

/// Standard output, while text arrives.
struct Stream {
    form: Form,
    failed: Option<std::io::Error>,
}

impl Stream {
    fn print(&mut self, piece: &str) {
        if self.form == Form::Json || self.failed.is_some() {
            return;
        }
        let mut stdout = anstream::stdout().lock();
        let written = stdout.write_all(piece.as_bytes()).and_then(|()| stdout.flush());
        self.failed = written.err();
    }

    fn close(self) -> anyhow::Result<()> {
        match self.failed {
            Some(error) => Err(error.into()),
            None => Ok(self.form.text("")?),
        }
    }
}

fn answer_rows(
    args: &GenerateArgs,
    model: Model<'_>,
    renderer: &Renderer,
    decoding: &Decoding,
    set: &DataSet,
    output: &Path,
    form: Form,
) -> anyhow::Result<()> {
    if !set.bad_rows.is_empty() {
        output::warn(format_args!("{} left out", counted(set.bad_rows.len(), "bad row")));
    }
    let prompt = |row: &Row| prompt(args, renderer, set, row);
    let prompts = set.rows.iter().map(prompt).collect::<anyhow::Result<Vec<Prompt>>>()?;
    let begin = Instant::now();
    let counter = Counter::up_to(prompts.len(), "rows");
    let mut show = |event: GenerationEvent<'_>| {
        if let GenerationEvent::Ended(_) = event {
            counter.add_one();
        }
    };
    let completions = generate(model, renderer, &prompts, decoding, &mut show);
    drop(counter);
    let completions = completions.with_context(|| format!("`{}`", set.path.display()))?;
    interrupt::writing();
    write_whole(output, jsonl(set, &completions)?.as_bytes())?;
    let summary = summary(&completions, begin.elapsed().as_secs_f64(), output);
    form.text(format_args!(
        "{} in `{}`, {} generated in {}",
        counted(completions.len(), "row"),
        output.display(),
        counted(completions.iter().map(|completion| completion.completion_tokens).sum(), "token"),
        seconds(begin.elapsed().as_secs_f64())
    ))?;
    form.json(&summary)?;
    Ok(())
}

/// The input rows with what was answered; a field of theirs that the answer has too is kept as `reference_…`.
fn jsonl(set: &DataSet, completions: &[Completion]) -> anyhow::Result<String> {
    let mut lines = String::new();
    for (row, completion) in set.rows.iter().zip(completions) {
        lines.push_str(&serde_json::to_string(&completion.beside(&row.raw)?)?);
        lines.push('\n');
    }
    Ok(lines)
}

fn prompt(
    args: &GenerateArgs,
    renderer: &Renderer,
    set: &DataSet,
    row: &Row,
) -> anyhow::Result<Prompt> {
    let system = args.system.as_deref();
    let asked =
        asked_under(renderer, &row.example, system).map_err(|error| error.in_file(&set.path))?;
    let prompt = Prompt::of(renderer, asked.as_ref().unwrap_or(&row.example));
    Ok(prompt.map_err(|error| error.in_file(&set.path))?)
}

fn summary(completions: &[Completion], took: f64, output: &Path) -> Value {
    let sum = |count: fn(&Completion) -> usize| completions.iter().map(count).sum::<usize>();
    json!({
        "rows": completions.len(),
        "prompt_tokens": sum(|completion| completion.prompt_tokens),
        "completion_tokens": sum(|completion| completion.completion_tokens),
        "seconds": took,
        "output": output,
    })
}
