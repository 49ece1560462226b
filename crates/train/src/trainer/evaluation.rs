//! Evaluations during training: when, on what, and what follows from them.

use std::time::Instant;

use tunewise_data::{TokenExample, TokenRows};

use super::Trainer;
use crate::error::Result;
use crate::record::{EvaluationRecord, Event, LogEntry};
use crate::step;

impl Trainer<'_, '_> {
    /// Whether the current step is one to evaluate after, and was not yet.
    pub(super) fn evaluation_is_due(&self) -> bool {
        let step = self.state.global_step;
        let interval = self.settings.eval_steps.unwrap_or(self.sampler.steps_per_epoch());
        let at_interval = step.is_multiple_of(interval) || step == self.state.max_steps;
        let is_new = self.state.last_evaluated_step != Some(step);
        self.material.valid.is_some_and(|valid| !valid.is_empty())
            && step > 0
            && at_interval
            && is_new
    }

    /// Evaluates on the valid split; false where the interrupt came first.
    pub(super) fn evaluate(&mut self) -> Result<bool> {
        let begin = Instant::now();
        let rows = self.material.valid.into_iter().flat_map(TokenRows::iter);
        let rows: Vec<TokenExample> = rows.collect::<std::result::Result<_, _>>()?;
        let rows: Vec<&TokenExample> = rows.iter().collect();
        let (decoder, batch_rows) = (self.material.decoder, self.settings.eval_batch_rows);
        let sums = step::evaluation(decoder, &self.trainee, &rows, batch_rows, self.interrupt)?;
        let Some(sums) = sums else { return Ok(false) };
        let step = self.state.global_step;
        let file = self.material.provenance.valid_data.as_ref();
        let file = file.map_or("", |file| file.path.as_str());
        sums.check_finite(&rows, file, "loss on the valid split", step)?;
        let record = EvaluationRecord {
            step,
            epoch: self.state.epoch,
            eval_loss: sums.loss(),
            eval_mean_token_accuracy: sums.accuracy(),
            eval_supervised_tokens: sums.supervised,
            eval_runtime: begin.elapsed().as_secs_f64(),
        };
        (self.observer)(Event::Evaluation(&record));
        self.judge(&record);
        self.log(LogEntry::Evaluation(record))?;
        // A checkpoint that an interrupted evaluation left does not know this result.
        self.saved_step = None;
        Ok(true)
    }

    /// Remembers the best evaluation, and stops the run when it is too long ago.
    fn judge(&mut self, record: &EvaluationRecord) {
        let state = &mut self.state;
        state.last_evaluated_step = Some(record.step);
        if state.best_metric.is_none_or(|best| record.eval_loss < best) {
            state.best_metric = Some(record.eval_loss);
            self.superseded_best = state.best_global_step.replace(record.step);
            state.best_model_checkpoint = None;
            state.evaluations_without_improvement = 0;
            return;
        }
        state.evaluations_without_improvement += 1;
        let patience = self.settings.patience.unwrap_or(usize::MAX);
        if state.evaluations_without_improvement >= patience && state.global_step < state.max_steps
        {
            state.stopped_early = true;
            let notice = format!(
                "stopped early at step {}: {patience} evaluations without improvement on step {}",
                record.step,
                state.best_global_step.unwrap_or_default()
            );
            (self.observer)(Event::Notice(&notice));
        }
    }
}
