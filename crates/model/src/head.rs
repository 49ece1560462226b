//! The final norm and the output head: logits at the wanted tokens only, a chunk at a time.
//!
//! Shapes: N wanted tokens, C targets of a chunk, D width, V vocabulary.

use candle_core::{Device, Tensor};

use crate::block::{copy_rows, Chosen};
use crate::kernel::product::Start;
use crate::kernel::view::Rows;
use crate::layers::Layers;
use crate::linear::LoraPass;
use crate::llama::FINAL_NORM;
use crate::op::dropout::TokenKey;
use crate::op::{cross_entropy, rms_norm};
use crate::walk::Walk;
use crate::workspace::{HeadScratch, Workspace};
use crate::{Decoder, Gradients, Result, Target, TargetScore};

/// Logits of a chunk, at most this many numbers (32 MiB in f32).
pub(crate) const CHUNK: usize = 1 << 23;

const NO_SCORE: TargetScore = TargetScore { nll: 0.0, correct: false };

impl Decoder {
    /// Targets whose logits exist at a time.
    pub(crate) fn targets_per_chunk(&self) -> usize {
        (CHUNK / self.config().vocab_size).max(1)
    }

    fn head_layers<'a>(&'a self, pass: LoraPass<'a>) -> Layers<'a, 1> {
        Layers { layers: [&self.head], pass }
    }

    /// Writes the normed outputs of the wanted tokens.
    fn final_norm(&self, count: usize, work: &mut Workspace) {
        let width = self.config().hidden_size;
        let HeadScratch { normed, inverse, .. } = &mut work.head;
        let (x, eps) = (work.output.get(count * width), self.config().rms_norm_eps as f32);
        rms_norm::forward(
            x,
            &self.final_norm,
            eps,
            normed.sized(count * width),
            inverse.sized(count),
        );
    }

    /// Scores, and the gradient of the last block's output at the wanted tokens.
    pub(crate) fn head_backward(
        &self,
        walk: Walk<'_>,
        targets: &[Target],
        work: &mut Workspace,
        scores: &mut Vec<TargetScore>,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let (width, count) = (self.config().hidden_size, walk.chosen.rows.len());
        self.final_norm(count, work);
        work.head.d_normed.zeroed(count * width);
        scores.clear();
        scores.resize(targets.len(), NO_SCORE);
        let chunk = self.targets_per_chunk();
        for (targets, scores) in targets.chunks(chunk).zip(scores.chunks_mut(chunk)) {
            self.chunk_backward(walk, targets, scores, work, gradients)?;
        }
        let HeadScratch { d_normed, inverse, .. } = &work.head;
        let (x, d_x) = (work.output.get(count * width), work.d_output.zeroed(count * width));
        let (inverse, d_normed) = (inverse.get(count), d_normed.get(count * width));
        rms_norm::backward(x, &self.final_norm, inverse, d_normed, d_x);
        if gradients.are_of_base() {
            rms_norm::weight_backward(x, inverse, d_normed, gradients.of(FINAL_NORM)?);
        }
        Ok(())
    }

    fn chunk_backward(
        &self,
        walk: Walk<'_>,
        targets: &[Target],
        scores: &mut [TargetScore],
        work: &mut Workspace,
        gradients: &mut Gradients,
    ) -> Result<()> {
        let (width, vocabulary) = (self.config().hidden_size, self.config().vocab_size);
        let places = places(walk.chosen, targets);
        let keys: Vec<TokenKey> =
            places.iter().filter_map(|row| walk.chosen.keys.get(*row).copied()).collect();
        let dropout = walk.lora.dropout.map(|(dropout, _)| (dropout, keys.as_slice()));
        let layers = self.head_layers(LoraPass { dropout, ..walk.lora });
        let HeadScratch { normed, d_normed, rows, d_rows, logits, low, .. } = &mut work.head;
        let rows = rows.sized(targets.len() * width);
        let normed = normed.get(walk.chosen.rows.len() * width);
        copy_rows(normed, width, &places, rows);
        let rows = Rows::dense(rows, targets.len(), width);
        let logits = logits.sized(targets.len() * vocabulary);
        let scratch = &mut work.scratch.layers;
        layers.forward(rows, scratch, low, logits, Start::Zero);
        cross_entropy::forward_and_backward(logits, vocabulary, targets, scores);
        let d_rows = d_rows.sized(targets.len() * width);
        layers.backward(
            rows,
            low,
            logits,
            scratch,
            gradients,
            Some((&mut *d_rows, Start::Zero)),
        )?;
        let d_normed = d_normed.get_mut(walk.chosen.rows.len() * width);
        for (place, row) in places.iter().zip(d_rows.chunks(width)) {
            for (sum, x) in d_normed[place * width..][..width].iter_mut().zip(row) {
                *sum += x;
            }
        }
        Ok(())
    }

    /// Adds the targets' scores.
    pub(crate) fn head_scores(
        &self,
        walk: Walk<'_>,
        targets: &[Target],
        work: &mut Workspace,
        scores: &mut Vec<TargetScore>,
    ) {
        let vocabulary = self.config().vocab_size;
        self.final_norm(walk.chosen.rows.len(), work);
        for targets in targets.chunks(self.targets_per_chunk()) {
            self.chunk_logits(walk, &places(walk.chosen, targets), work);
            let first = scores.len();
            scores.resize(first + targets.len(), NO_SCORE);
            let logits = work.head.logits.get(targets.len() * vocabulary);
            cross_entropy::forward(logits, vocabulary, targets, &mut scores[first..]);
        }
    }

    /// The logits at some positions among the wanted ones.
    ///
    /// Shapes: (positions, V) out.
    pub(crate) fn logits_of(
        &self,
        walk: Walk<'_>,
        positions: &[usize],
        work: &mut Workspace,
    ) -> Result<Tensor> {
        let vocabulary = self.config().vocab_size;
        self.final_norm(walk.chosen.rows.len(), work);
        let mut logits = Vec::with_capacity(positions.len() * vocabulary);
        for positions in positions.chunks(self.targets_per_chunk()) {
            let places: Vec<usize> =
                positions.iter().map(|position| place(walk.chosen, *position)).collect();
            self.chunk_logits(walk, &places, work);
            logits.extend_from_slice(work.head.logits.get(places.len() * vocabulary));
        }
        Ok(Tensor::from_vec(logits, (positions.len(), vocabulary), &Device::Cpu)?)
    }

    fn chunk_logits(&self, walk: Walk<'_>, places: &[usize], work: &mut Workspace) {
        let width = self.config().hidden_size;
        let HeadScratch { normed, rows, logits, low, .. } = &mut work.head;
        let normed = normed.get(walk.chosen.rows.len() * width);
        let rows = rows.sized(places.len() * width);
        copy_rows(normed, width, places, rows);
        let rows = Rows::dense(rows, places.len(), width);
        let logits = logits.sized(places.len() * self.config().vocab_size);
        self.head_layers(walk.lora).forward(
            rows,
            &mut work.scratch.layers,
            low,
            logits,
            Start::Zero,
        );
    }
}

/// Where each target's token stands among the wanted ones.
fn places(chosen: Chosen<'_>, targets: &[Target]) -> Vec<usize> {
    targets.iter().map(|target| place(chosen, target.position)).collect()
}

fn place(chosen: Chosen<'_>, position: usize) -> usize {
    // Every position that is asked for was put among the rows.
    chosen.rows.partition_point(|row| *row < position)
}
