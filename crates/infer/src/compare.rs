//! Comparison runs: every arm answers the same items, is scored by one metric, and judged in pairs.

use std::time::Instant;

use tunewise_data::{DataSet, Example, Renderer};
use tunewise_model::Decoder;

use crate::arm::{arms, AdapterSource, Arm, ArmRequest, Asking};
use crate::comparison::ScoredArm;
use crate::decoding::Decoding;
use crate::demonstration::Demonstrations;
use crate::error::InferError;
use crate::generate::{generate, GenerationEvent};
use crate::item::{items, Item};
use crate::label::{choose_labels, LabelLength, Labels};
use crate::metric::Metric;
use crate::notes::{answer_notes, demonstration_notes, label_notes, Seen};
use crate::prompt::{asked, is_bare, Model, Prompt};
use crate::report::{AdapterReport, Answer, ArmReport, Report};
use crate::statistics::Resampling;
use crate::stop::FinishReason;
use crate::verdict::judge;

/// What is compared.
#[derive(Clone, Copy)]
pub struct ComparisonInput<'a> {
    /// The model's name, for the report.
    pub model: &'a str,
    /// The frozen decoder.
    pub decoder: &'a Decoder,
    /// Its renderer.
    pub renderer: &'a Renderer,
    /// The adapters of the tuned arms.
    pub adapters: &'a [AdapterSource<'a>],
    /// Where demonstrations and labels come from.
    pub train: &'a DataSet,
    /// The items.
    pub test: &'a DataSet,
    /// The system message of the arms that replace it.
    pub system_prompt: Option<&'a str>,
}

/// How it is compared.
#[derive(Clone, Debug)]
pub struct ComparisonOptions {
    /// The arms.
    pub arms: Vec<ArmRequest>,
    /// The metric.
    pub metric: Metric,
    /// The demonstrations of a few-shot arm.
    pub shots: usize,
    /// The most items, drawn from the test rows by the seed; a file is often sorted by its answers,
    /// so that its first rows would not stand for the rest.
    pub limit: Option<usize>,
    /// The seed of the items drawn, the demonstrations and the resamples.
    pub seed: u64,
    /// How answers are generated, alike for every arm; behind demonstrations that are text, a blank
    /// line ends them too.
    pub decoding: Decoding,
    /// How labels are weighed, where the metric takes labels.
    pub label_length: LabelLength,
    /// Resamples of a bootstrap.
    pub resamples: usize,
}

/// How far a comparison run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ComparisonProgress<'a> {
    /// The arm that answers.
    pub arm: &'a str,
    /// Its answers so far.
    pub answered: usize,
    /// The items.
    pub items: usize,
}

/// What an arm answered.
struct Answered {
    outputs: Vec<String>,
    prompt_tokens: usize,
    seconds: f64,
    /// Completions that reached the most tokens, or the context's end.
    cut: usize,
}

/// What an arm asks, item by item, and the string that ends an answer to it, if there is one.
struct Asked {
    questions: Vec<Example>,
    stop: Option<&'static str>,
}

/// What all arms answered, arm by arm.
#[derive(Default)]
struct Measured {
    scored: Vec<ScoredArm>,
    seconds_per_item: Vec<f64>,
    outputs: Vec<Vec<String>>,
}

/// What all arms have in common.
struct Common<'a> {
    input: ComparisonInput<'a>,
    options: &'a ComparisonOptions,
    items: Vec<Item<'a>>,
    labels: Option<Labels>,
    seen: Seen,
    notes: Vec<String>,
    dropped_demonstrations: usize,
}

/// The report on arms that answered the same test items.
///
/// # Errors
/// When an arm lacks what it needs, no test row can be an item, a row cannot be rendered or does not
/// fit in the context, or the model fails.
pub fn compare(
    input: ComparisonInput<'_>,
    options: &ComparisonOptions,
    on_progress: &mut dyn FnMut(ComparisonProgress<'_>),
) -> Result<Report, InferError> {
    let folders: Vec<_> = input.adapters.iter().map(|a| a.path.to_owned()).collect();
    let arms = arms(&options.arms, &folders, input.system_prompt.is_some())?;
    let mut common = Common::new(input, options)?;
    let mut measured = Measured::default();
    for arm in &arms {
        common.measure(arm, &mut measured, on_progress)?;
    }
    let resampling = Resampling { resamples: options.resamples, seed: options.seed };
    let (comparisons, mut verdict) = judge(&measured.scored, &resampling)?;
    common.seen.qualify(&mut verdict);
    Ok(Report {
        metric: options.metric.to_string(),
        items: common.items.len(),
        arms: measured.arm_reports(&resampling)?,
        comparisons,
        verdict,
        dropped_demonstrations: common.dropped_demonstrations,
        adapters: AdapterReport::of(&folders)?,
        model: input.model.to_owned(),
        train: input.train.path.display().to_string(),
        test: input.test.path.display().to_string(),
        seed: options.seed,
        notes: std::mem::take(&mut common.notes),
        answers: common.answers(measured),
    })
}

impl Measured {
    fn arm_reports(&self, resampling: &Resampling) -> Result<Vec<ArmReport>, InferError> {
        let mut reports = Vec::with_capacity(self.scored.len());
        for (arm, seconds_per_item) in self.scored.iter().zip(&self.seconds_per_item) {
            reports.push(ArmReport {
                name: arm.name.clone(),
                score: arm.scores.figure(),
                ci95: arm.interval(resampling)?,
                prompt_tokens_per_item: arm.prompt_tokens_per_item,
                seconds_per_item: *seconds_per_item,
            });
        }
        Ok(reports)
    }
}

impl<'a> Common<'a> {
    fn new(
        input: ComparisonInput<'a>,
        options: &'a ComparisonOptions,
    ) -> Result<Common<'a>, InferError> {
        let (items, item_notes) = items(input.test, &options.metric, options.limit, options.seed)?;
        let takes_labels = options.metric.takes_labels();
        let labels = takes_labels.then(|| Labels::of(input.train)).transpose()?;
        let seen = Seen::of(&items, input.train, input.test, input.adapters);
        let mut notes = input.renderer.notes().to_vec();
        notes.extend(item_notes);
        notes.extend(seen.notes());
        if let Some(labels) = &labels {
            notes.extend(label_notes(labels, options.label_length, &items));
        }
        Ok(Common { input, options, items, labels, seen, notes, dropped_demonstrations: 0 })
    }

    /// Asks an arm every item and scores its answers.
    fn measure(
        &mut self,
        arm: &Arm,
        measured: &mut Measured,
        on_progress: &mut dyn FnMut(ComparisonProgress<'_>),
    ) -> Result<(), InferError> {
        let items = self.items.len();
        let mut on_answered = |answered| {
            on_progress(ComparisonProgress { arm: &arm.name, answered, items });
        };
        let answered = self.answer(arm, &mut on_answered)?;
        let are_labels = self.labels.is_some();
        self.notes.extend(answer_notes(&arm.name, &answered.outputs, answered.cut, are_labels));
        let references: Vec<&str> = self.items.iter().map(|item| item.reference).collect();
        let metric = &self.options.metric;
        measured.scored.push(ScoredArm {
            name: arm.name.clone(),
            kind: arm.kind(),
            scores: metric.measure(&answered.outputs, &references)?,
            prompt_tokens_per_item: answered.prompt_tokens as f64 / items as f64,
        });
        let seconds = answered.seconds / items as f64;
        measured.seconds_per_item.push(seconds);
        measured.outputs.push(answered.outputs);
        Ok(())
    }

    /// Asks a model every item in the arm's way.
    fn answer(
        &mut self,
        arm: &Arm,
        on_answered: &mut dyn FnMut(usize),
    ) -> Result<Answered, InferError> {
        let adapter = arm.adapter.and_then(|index| self.input.adapters.get(index));
        let model =
            Model { decoder: self.input.decoder, adapter: adapter.map(|source| source.adapter) };
        let asked = self.asked(arm, model)?;
        let started = Instant::now();
        let mut answered = match &self.labels {
            Some(labels) => self.choose_labels(model, &asked.questions, labels, on_answered)?,
            None => self.generate(model, &asked, on_answered)?,
        };
        answered.seconds = started.elapsed().as_secs_f64();
        Ok(answered)
    }

    /// What the arm asks for each item.
    fn asked(&mut self, arm: &Arm, model: Model<'_>) -> Result<Asked, InferError> {
        let system = match arm.asking {
            Asking::SystemPrompt => self.input.system_prompt,
            Asking::Row | Asking::FewShot => None,
        };
        let renderer = self.input.renderer;
        let questions = self.items.iter();
        let questions =
            questions.filter_map(|item| asked(renderer, item.example, system).transpose());
        let questions = questions.collect::<Result<Vec<Example>, _>>()?;
        match arm.asking {
            Asking::FewShot => self.demonstrated(arm, model, &questions),
            Asking::Row | Asking::SystemPrompt => Ok(Asked { questions, stop: None }),
        }
    }

    fn demonstrated(
        &mut self,
        arm: &Arm,
        model: Model<'_>,
        questions: &[Example],
    ) -> Result<Asked, InferError> {
        let ComparisonOptions { shots, seed, .. } = *self.options;
        let items: Vec<&Example> = self.items.iter().map(|item| item.example).collect();
        let demonstrations = Demonstrations::choose(self.input.train, shots, seed, &items);
        let renderer = self.input.renderer;
        let first = questions.first();
        let stop = first.map(|first| demonstrations.answers_end_at(renderer, first));
        let stop = stop.transpose()?.flatten();
        if stop.is_some() && self.labels.is_none() {
            self.notes.push(format!(
                "`{}`: an answer ends at a blank line, as the demonstrations do",
                arm.name
            ));
        }
        let room = match (&self.labels, first) {
            (Some(labels), Some(question)) => labels.longest(renderer, question)?,
            _ => self.options.decoding.max_new_tokens,
        };
        let fitted = demonstrations.fit(renderer, questions, model.context(), room)?;
        let bare = first.is_some_and(|first| is_bare(renderer, first));
        let counts = (demonstrations.count(), shots);
        self.notes.extend(demonstration_notes(&arm.name, &fitted, counts, bare));
        self.dropped_demonstrations +=
            fitted.iter().map(|question| question.dropped).sum::<usize>();
        let questions = fitted.into_iter().map(|question| question.question).collect();
        Ok(Asked { questions, stop })
    }

    fn choose_labels(
        &self,
        model: Model<'_>,
        questions: &[Example],
        labels: &Labels,
        on_answered: &mut dyn FnMut(usize),
    ) -> Result<Answered, InferError> {
        let renderer = self.input.renderer;
        let length = self.options.label_length;
        let choices = choose_labels(model, renderer, questions, labels, length, on_answered)?;
        let chosen = choices.iter().filter_map(|choice| labels.texts().get(choice.label));
        Ok(Answered {
            outputs: chosen.cloned().collect(),
            prompt_tokens: choices.iter().map(|choice| choice.prompt_tokens).sum(),
            seconds: 0.0,
            cut: 0,
        })
    }

    fn generate(
        &self,
        model: Model<'_>,
        asked: &Asked,
        on_answered: &mut dyn FnMut(usize),
    ) -> Result<Answered, InferError> {
        let renderer = self.input.renderer;
        let prompts = asked.questions.iter().map(|question| Prompt::of(renderer, question));
        let prompts: Vec<Prompt> = prompts.collect::<Result<_, _>>()?;
        let mut ended = 0;
        let mut on_event = |event: GenerationEvent<'_>| {
            if matches!(event, GenerationEvent::Ended(_)) {
                ended += 1;
                on_answered(ended);
            }
        };
        let mut decoding = self.options.decoding.clone();
        decoding.stop_strings.extend(asked.stop.map(str::to_owned));
        let completions = generate(model, renderer, &prompts, &decoding, &mut on_event)?;
        let cut = completions.iter().filter(|c| c.finish_reason == FinishReason::Length);
        Ok(Answered {
            cut: cut.count(),
            prompt_tokens: completions.iter().map(|c| c.prompt_tokens).sum(),
            outputs: completions.into_iter().map(|c| c.text).collect(),
            seconds: 0.0,
        })
    }

    /// Every arm's answer to every item, item by item.
    fn answers(&self, measured: Measured) -> Vec<Answer> {
        let Measured { scored, outputs, .. } = measured;
        let mut outputs: Vec<_> = outputs.into_iter().map(Vec::into_iter).collect();
        let mut answers = Vec::with_capacity(self.items.len() * scored.len());
        for (index, item) in self.items.iter().enumerate() {
            for (arm, outputs) in scored.iter().zip(&mut outputs) {
                answers.push(Answer {
                    line: item.example.line,
                    arm: arm.name.clone(),
                    output: outputs.next().unwrap_or_default(),
                    reference: item.reference.to_owned(),
                    score: arm.scores.scores().get(index).copied().unwrap_or_default(),
                });
            }
        }
        answers
    }
}
