//! The end of a run: the check that it trained, the result, the card, the summary.

use std::path::PathBuf;

use super::{Material, Outcome, Trainer};
use crate::checkpoint;
use crate::error::{Result, TrainError};
use crate::model_card;
use crate::record::Event;
use crate::summary::{peak_memory_bytes, TrainSummary};
use crate::trained;
use crate::trainee::Trainee;

impl Trainer<'_, '_> {
    /// Chooses the result, checks that it trained, and writes it with its card.
    pub(super) fn finish(&mut self) -> Result<Outcome> {
        let step = self.state.global_step;
        let best = self.state.best_global_step.filter(|_| self.settings.load_best).unwrap_or(step);
        let earlier = if best == step { None } else { Some(self.earlier(best)?) };
        let (trainee, steps) = match &earlier {
            Some((trainee, steps)) => (trainee, *steps),
            None => (&self.trainee, self.state.effective_steps),
        };
        self.check_trained(trainee, best, steps)?;
        let output = &self.settings.output_dir;
        trainee.save_result(output)?;
        let notices = self.closing_notices(best, steps);
        notices.iter().for_each(|notice| (self.observer)(Event::Notice(notice)));
        let summary = self.summary();
        model_card::write(output, self.material.provenance, &summary, &self.state, best)?;
        Ok(Outcome::Finished(summary))
    }

    /// What an earlier step had made, and how many steps up to there had a learning rate above zero.
    fn earlier(&self, step: usize) -> Result<(Trainee, usize)> {
        let dir = self.best_checkpoint(step)?;
        let state = checkpoint::read_state(&dir)?;
        Ok((self.trainee.load_state(self.material.decoder, &dir)?, state.effective_steps))
    }

    /// Nothing, where `steps` steps with a learning rate above zero made the tensors of `step` what they are.
    fn check_trained(&self, trainee: &Trainee, step: usize, steps: usize) -> Result<()> {
        if steps == 0 {
            return match self.state.effective_steps {
                0 => Ok(()),
                _ => Err(TrainError::BestDidNotTrain { step }),
            };
        }
        let Material { decoder, trainee: start, train, .. } = self.material;
        trained::check_moved(start, trainee, steps)?;
        trained::check_logits(decoder, [start, trainee], train, steps)
    }

    fn closing_notices(&self, chosen: usize, steps: usize) -> Vec<String> {
        let (mut notices, noun) = (Vec::new(), self.trainee.noun());
        if steps == 0 {
            notices.push(format!("the learning rate was 0 at every step: the {noun} is unchanged"));
        }
        let step = self.state.global_step;
        if chosen != step {
            notices
                .push(format!("the {noun} is that of step {chosen}, the best on the valid split"));
        } else if let Some(best) = self.state.best_global_step.filter(|best| *best != step) {
            if let Ok(place) = self.best_checkpoint(best) {
                notices.push(format!(
                    "the {noun} is that of step {step}, the last; the best on the valid split is in `{}`, and \
                     `load_best_model_at_end: true` makes it the result",
                    place.display()
                ));
            }
        }
        let totals = self.state.totals;
        if totals.saved_prefix_tokens > 0 {
            let (saved, tokens) = (totals.saved_prefix_tokens, totals.tokens);
            notices.push(format!(
                "shared prefixes were computed once: {saved} of {tokens} tokens saved"
            ));
        }
        notices
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
