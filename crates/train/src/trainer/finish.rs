//! The end of a run: the check that it trained, the adapter, the card, the summary.

use std::path::PathBuf;

use tunewise_model::Adapter;

use super::{Outcome, Trainer};
use crate::checkpoint;
use crate::error::{Result, TrainError};
use crate::model_card;
use crate::record::Event;
use crate::summary::{peak_memory_bytes, TrainSummary};
use crate::trained;

impl Trainer<'_, '_> {
    /// Checks that the adapter trained and writes it with its card.
    pub(super) fn finish(&mut self) -> Result<Outcome> {
        let steps = self.state.effective_steps;
        if steps == 0 {
            (self.observer)(Event::Notice(
                "the learning rate was 0 at every step: the adapter is unchanged",
            ));
        } else {
            trained::check_moved(&self.material.adapter, &self.adapter, steps)?;
            trained::check_logits(
                self.material.decoder,
                &self.adapter,
                self.material.train,
                steps,
            )?;
        }
        let output = &self.settings.output_dir;
        let step = self.state.global_step;
        let best = self.state.best_global_step.filter(|_| self.settings.load_best).unwrap_or(step);
        if best == step {
            self.adapter.save(output)?;
        } else {
            Adapter::load(self.material.decoder, &self.best_checkpoint(best)?)?.save(output)?;
            let notice = format!("the adapter is that of step {best}, the best on the valid split");
            (self.observer)(Event::Notice(&notice));
        }
        let summary = self.summary();
        if summary.saved_prefix_tokens > 0 {
            let (saved, tokens) = (summary.saved_prefix_tokens, summary.tokens);
            let notice =
                format!("shared prefixes were computed once: {saved} of {tokens} tokens saved");
            (self.observer)(Event::Notice(&notice));
        }
        model_card::write(output, self.material.provenance, &summary, &self.state, best)?;
        Ok(Outcome::Finished(summary))
    }

    /// The folder of the best checkpoint; it may be that of the run which was resumed.
    fn best_checkpoint(&self, step: usize) -> Result<PathBuf> {
        let here = checkpoint::folder(&self.settings.output_dir, step);
        let stored = self.state.best_model_checkpoint.as_ref().map(PathBuf::from);
        let found = [Some(here.clone()), stored].into_iter().flatten().find(|dir| dir.is_dir());
        let reason = "the best checkpoint is gone, expected it for `load_best_model_at_end`";
        found.ok_or_else(|| TrainError::BadCheckpoint { path: here, reason: reason.into() })
    }

    fn summary(&self) -> TrainSummary {
        let totals = self.state.totals;
        let seconds = totals.train_seconds.max(1e-9);
        TrainSummary {
            steps: self.state.global_step,
            rows: totals.rows,
            tokens: totals.tokens,
            supervised_tokens: totals.supervised_tokens,
            final_loss: self.state.last_loss,
            rows_per_second: totals.rows as f64 / seconds,
            tokens_per_second: totals.tokens as f64 / seconds,
            train_seconds: totals.train_seconds,
            peak_memory_bytes: peak_memory_bytes(),
            saved_prefix_tokens: totals.saved_prefix_tokens,
            best_eval_loss: self.state.best_metric,
            adapter: self.settings.output_dir.display().to_string(),
        }
    }
}
