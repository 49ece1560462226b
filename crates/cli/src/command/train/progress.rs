//! What a run tells while it goes on: a bar on a terminal, lines elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tunewise_train::{EvaluationRecord, Event, StepRecord};

use super::first_row;
use crate::number::{bytes, counted, grouped, rate, seconds};
use crate::output;

/// Time between lines where the user did not say how many steps.
const LINE_INTERVAL: Duration = Duration::from_secs(1);

/// Short enough for a terminal of 80 columns: a line that wraps cannot be drawn again.
const BAR: &str = "{elapsed} {bar:16} {pos}/{len}  {msg}  eta {eta}";

/// Shows the events of a run.
pub struct Progress {
    logging_steps: Option<usize>,
    last_line: Option<Instant>,
    first_row: Option<[String; 2]>,
    bar: Option<ProgressBar>,
    begin: Option<(Instant, usize)>,
}

impl Progress {
    /// The display of a run; without a terminal it prints a line every so many steps, or every second.
    pub fn new(logging_steps: Option<usize>) -> Progress {
        Progress { logging_steps, last_line: None, first_row: None, bar: None, begin: None }
    }

    fn is_due(&self, step: usize) -> bool {
        match self.logging_steps {
            Some(steps) => step.is_multiple_of(steps),
            None => self.last_line.is_none_or(|last| last.elapsed() >= LINE_INTERVAL),
        }
    }

    /// Shows an event.
    pub fn show(&mut self, event: &Event<'_>) {
        match event {
            Event::Notice(text) => self.line(text),
            Event::FirstRow { line, text, ids, supervised } => {
                self.first_row = Some(first_row::told(*line, text, ids, *supervised));
            }
            Event::Begin { steps_taken, total_steps, trainable, frozen } => {
                // Not before: a run that is finished already trains on no row.
                for line in self.first_row.take().iter().flatten() {
                    self.line(line);
                }
                let steps = counted(total_steps.saturating_sub(*steps_taken), "step");
                let (some, all) = (grouped(*trainable), grouped(trainable + frozen));
                self.line(&format!("training {some} of {all} parameters, {steps} to go"));
                self.begin(*steps_taken, *total_steps);
            }
            Event::Step { record, total_steps } => self.step(record, *total_steps),
            Event::Evaluation(record) => self.evaluation(record),
            Event::Checkpoint(path) => self.line(&format!("saved `{}`", path.display())),
        }
    }

    /// Takes the bar away.
    pub fn close(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn begin(&mut self, steps_taken: usize, total_steps: usize) {
        self.begin = Some((Instant::now(), steps_taken));
        if !output::draws_progress() {
            return;
        }
        let bar =
            ProgressBar::with_draw_target(Some(total_steps as u64), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template(BAR) {
            bar.set_style(style);
        }
        bar.set_position(steps_taken as u64);
        bar.reset_eta();
        self.bar = Some(bar);
    }

    fn step(&mut self, record: &StepRecord, total_steps: usize) {
        let memory =
            record.peak_memory_bytes.map_or(String::new(), |peak| format!("  {}", bytes(peak)));
        let speed = rate(record.tokens_per_second);
        if let Some(bar) = &self.bar {
            bar.set_position(record.step as u64);
            bar.set_message(format!("loss {:.4}  {speed} tok/s{memory}", record.loss));
            return;
        }
        if !self.is_due(record.step) && record.step != total_steps {
            return;
        }
        self.last_line = Some(Instant::now());
        output::say(format_args!(
            "step {}/{total_steps}  epoch {:.2}  loss {:.4}  accuracy {:.3}  grad norm {:.3}  lr {:.2e}  {speed} tok/s{memory}  eta {}",
            record.step,
            record.epoch,
            record.loss,
            record.mean_token_accuracy,
            record.grad_norm,
            record.learning_rate,
            self.remaining(record.step, total_steps),
        ));
    }

    /// The time that the steps to come will take, if they take what those of this session took.
    fn remaining(&self, step: usize, total_steps: usize) -> String {
        let Some((begin, before)) = self.begin else { return "?".into() };
        let done = step.saturating_sub(before).max(1) as f64;
        let left = total_steps.saturating_sub(step) as f64;
        seconds(begin.elapsed().as_secs_f64() / done * left)
    }

    fn evaluation(&self, record: &EvaluationRecord) {
        self.line(&format!(
            "step {}: valid loss {:.4}, accuracy {:.3}, {} supervised, in {}",
            record.step,
            record.eval_loss,
            record.eval_mean_token_accuracy,
            counted(record.eval_supervised_tokens, "token"),
            seconds(record.eval_runtime)
        ));
    }

    /// Prints a line above the bar, where there is one.
    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| output::say(text)),
            None => output::say(text),
        }
    }
}
