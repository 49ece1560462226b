//! How unlikely the base model finds each training row.

use std::ops::ControlFlow;
use std::path::Path;

use anyhow::Context;
use serde_json::{json, Value};
use tunewise_data::quality::{Place, QualityCheck};
use tunewise_data::{DataError, ReadOptions, Row, RowReader, TokenExample};
use tunewise_infer::{evaluate, Model};
use tunewise_model::Decoder;

use super::survey::Survey;
use super::tokens::Tokens;
use crate::args::compute::Numbers;
use crate::args::CheckArgs;
use crate::counter::Counter;
use crate::interrupt;
use crate::model_folder::ModelFolder;
use crate::number::{counted, grouped};
use crate::output::Form;

/// Tokens that are measured before further rows are read: many passes of the model, and little memory.
const TOKENS_AT_ONCE: usize = 1 << 16;

/// How unlikely the base model finds the training rows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct BaseLoss {
    /// Rows that were measured; the others do not fit, cannot be rendered or have nothing to learn.
    rows: usize,
    /// The sum over their supervised tokens, in nats.
    nll: f64,
    supervised_tokens: usize,
}

impl BaseLoss {
    /// The loss for people, beside the number of rows of the file.
    pub fn line(&self, rows: usize) -> String {
        let measured =
            format!("{} of {} measured", grouped(self.rows), counted(rows, "training row"));
        match self.nats_per_token() {
            Some(nats) => format!("base loss: {nats:.4} nats per supervised token, {measured}"),
            None => format!("base loss: {measured}"),
        }
    }

    /// The loss for programs.
    pub fn to_json(self) -> Value {
        json!({
            "nll_per_token": self.nats_per_token(),
            "supervised_tokens": self.supervised_tokens,
            "rows": self.rows,
        })
    }

    fn nats_per_token(&self) -> Option<f64> {
        (self.supervised_tokens > 0).then_some(self.nll / self.supervised_tokens as f64)
    }
}

/// The base model, where its losses are asked for; Ctrl-C ends the program from here on.
///
/// # Errors
/// When the model cannot be read.
pub fn decoder(args: &CheckArgs, form: Form) -> anyhow::Result<Option<Decoder>> {
    let Some(model) = args.model.as_deref().filter(|_| args.base_loss) else { return Ok(None) };
    interrupt::end_on_it(form)?;
    ModelFolder::at(model)?.decoder(Numbers::Auto).map(Some)
}

/// Measures the training rows that fit, and hands the loss of each to the quality check.
///
/// # Errors
/// When the file cannot be read again, or the model fails.
pub fn measure(
    decoder: &Decoder,
    tokens: &Tokens,
    train: &Survey,
    options: &ReadOptions,
    quality: &mut QualityCheck,
) -> anyhow::Result<BaseLoss> {
    let mut measurement = Measurement {
        model: Model { decoder, adapter: None },
        path: &train.path,
        counter: Counter::up_to(train.rows, "rows"),
        waiting: Vec::new(),
        waiting_tokens: 0,
        waiting_rows: 0,
        done: 0,
        found: BaseLoss::default(),
        quality,
    };
    let mut reader = RowReader::open(&train.path, options)?;
    let work = |row: Row| tokens.fitting(&row.example);
    reader.for_each(work, |read| -> anyhow::Result<ControlFlow<()>> {
        match read {
            Ok(examples) => measurement.add(examples)?,
            // What is wrong with it has been told already.
            Err(DataError::Row { .. }) => measurement.add(Vec::new())?,
            Err(error) => return Err(error.into()),
        }
        Ok(ControlFlow::Continue(()))
    })?;
    measurement.measure_waiting()?;
    Ok(measurement.found)
}

/// Rows on their way through the model.
struct Measurement<'a> {
    model: Model<'a>,
    path: &'a Path,
    counter: Counter,
    waiting: Vec<TokenExample>,
    waiting_tokens: usize,
    /// Rows since the last pass, those without an example to measure included.
    waiting_rows: usize,
    /// Rows before these.
    done: usize,
    found: BaseLoss,
    quality: &'a mut QualityCheck,
}

impl Measurement<'_> {
    /// Adds the examples of the next row, and measures once there are many.
    fn add(&mut self, examples: Vec<TokenExample>) -> anyhow::Result<()> {
        self.waiting_rows += 1;
        self.waiting_tokens += examples.iter().map(|example| example.ids.len()).sum::<usize>();
        self.waiting.extend(examples);
        if self.waiting_tokens < TOKENS_AT_ONCE {
            return Ok(());
        }
        self.measure_waiting()
    }

    fn measure_waiting(&mut self) -> anyhow::Result<()> {
        let (counter, done, rows) = (&self.counter, self.done, self.waiting_rows);
        // Some templates part a row into several examples.
        let mut progress = |examples: usize| counter.set(done + examples.min(rows));
        if !self.waiting.is_empty() {
            let evaluation = evaluate(self.model, &self.waiting, &mut progress);
            let evaluation = evaluation.with_context(|| format!("`{}`", self.path.display()))?;
            for item in evaluation.items.iter().filter(|item| item.supervised_tokens > 0) {
                let place = Place { file: 0, line: item.line };
                self.quality.add_loss(place, item.nll / item.supervised_tokens as f64);
                self.found.rows += 1;
                self.found.nll += item.nll;
                self.found.supervised_tokens += item.supervised_tokens;
            }
        }
        self.waiting.clear();
        (self.waiting_tokens, self.waiting_rows) = (0, 0);
        self.done += rows;
        self.counter.set(self.done);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_over_the_tokens_of_all_rows() {
        let loss = BaseLoss { rows: 3, nll: 10.0, supervised_tokens: 4 };
        assert_eq!(
            loss.line(1200),
            "base loss: 2.5000 nats per supervised token, 3 of 1,200 training rows measured"
        );
        assert_eq!(
            loss.to_json(),
            json!({ "nll_per_token": 2.5, "supervised_tokens": 4, "rows": 3 })
        );
        assert_eq!(BaseLoss::default().line(1), "base loss: 0 of 1 training row measured");
    }
}
