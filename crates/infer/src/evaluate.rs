//! How well a model predicts rows: negative log-likelihood, perplexity and accuracy.

use serde::Serialize;
use tunewise_data::{alike, lay_out, PackedBatch, PrefixSharing, TokenExample};
use tunewise_model::{ModelError, Segment, Target, TokenTree};

use crate::error::InferError;
use crate::prompt::Model;

/// Tokens in one pass through the model; a longer row is a pass of its own.
///
/// Enough to fill the model's products, and little beside its weights: activations of 4096 tokens.
const TOKENS: usize = 4096;

/// How well a row was predicted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowScore {
    /// The sum of its supervised tokens' negative log-likelihoods, in nats.
    pub nll: f64,
    /// Its supervised tokens.
    pub supervised_tokens: usize,
    /// How many of them were the likeliest token.
    pub correct: usize,
}

/// A line of the evaluation's items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EvaluatedRow {
    /// The row's physical line, counted from 1.
    pub line: usize,
    /// The sum of its supervised tokens' negative log-likelihoods, in nats.
    pub nll: f64,
    /// Its supervised tokens.
    pub supervised_tokens: usize,
    /// How many of them were the likeliest token.
    pub correct: usize,
}

/// How well a model predicts all rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Evaluation {
    /// Negative log-likelihood of a supervised token, in nats: the mean over all of them.
    pub nll_per_token: f64,
    /// Its exponential.
    pub perplexity: f64,
    /// The share of supervised tokens that were the likeliest one.
    pub token_accuracy: f64,
    /// The supervised tokens of all rows.
    pub supervised_tokens: usize,
    /// The rows.
    pub rows: usize,
    /// Each row.
    #[serde(skip)]
    pub items: Vec<EvaluatedRow>,
}

impl Evaluation {
    /// The rows as JSON lines.
    ///
    /// # Errors
    /// Never for these fields; the type is that of the JSON writer.
    pub fn items_jsonl(&self) -> Result<String, InferError> {
        let mut lines = String::new();
        for item in &self.items {
            lines.push_str(&serde_json::to_string(item)?);
            lines.push('\n');
        }
        Ok(lines)
    }
}

/// How well a model predicts the supervised tokens of rows.
///
/// Neighbouring examples of one line, into which some templates part a conversation, count as one
/// row. `on_progress` gets the number of examples done.
///
/// # Errors
/// When there are no examples, no token is supervised, or the model fails.
pub fn evaluate(
    model: Model<'_>,
    examples: &[TokenExample],
    on_progress: &mut dyn FnMut(usize),
) -> Result<Evaluation, InferError> {
    if examples.is_empty() {
        return Err(InferError::NothingToEvaluate);
    }
    let rows: Vec<&TokenExample> = examples.iter().collect();
    let scores = score_rows(model, &rows, PrefixSharing::Share, on_progress)?;
    let mut items: Vec<EvaluatedRow> = Vec::new();
    let (mut nll, mut supervised_tokens, mut correct) = (0.0, 0, 0);
    for (example, score) in examples.iter().zip(scores) {
        nll += score.nll;
        supervised_tokens += score.supervised_tokens;
        correct += score.correct;
        match items.last_mut().filter(|item| item.line == example.line) {
            Some(item) => {
                item.nll += score.nll;
                item.supervised_tokens += score.supervised_tokens;
                item.correct += score.correct;
            }
            None => items.push(EvaluatedRow {
                line: example.line,
                nll: score.nll,
                supervised_tokens: score.supervised_tokens,
                correct: score.correct,
            }),
        }
    }
    if supervised_tokens == 0 {
        let rows = items.len();
        return Err(InferError::NoTargets { rows });
    }
    let nll_per_token = nll / supervised_tokens as f64;
    Ok(Evaluation {
        nll_per_token,
        perplexity: nll_per_token.exp(),
        token_accuracy: correct as f64 / supervised_tokens as f64,
        supervised_tokens,
        rows: items.len(),
        items,
    })
}

/// How well each row was predicted, computed a bounded number of tokens at a time.
///
/// With [`PrefixSharing::Share`] a beginning that rows of one pass have in common is computed once;
/// the scores are the same up to rounding.
///
/// # Errors
/// When a likelihood is not a finite number, or the model fails.
pub fn score_rows(
    model: Model<'_>,
    rows: &[&TokenExample],
    sharing: PrefixSharing,
    on_progress: &mut dyn FnMut(usize),
) -> Result<Vec<RowScore>, InferError> {
    let mut scores = Vec::with_capacity(rows.len());
    let mut rest = rows;
    while !rest.is_empty() {
        let (batch, later) = rest.split_at(batch_rows(rest, sharing));
        scores.extend(score_batch(model, batch, sharing)?);
        on_progress(scores.len());
        rest = later;
    }
    Ok(scores)
}

/// How many of the first rows make a pass; at least one.
///
/// A row counts with the tokens that the row before it does not begin with.
fn batch_rows(rows: &[&TokenExample], sharing: PrefixSharing) -> usize {
    let mut tokens = 0;
    let mut before: &[u32] = &[];
    for (index, row) in rows.iter().enumerate() {
        tokens += match sharing {
            PrefixSharing::Share => row.ids.len() - alike(before, &row.ids),
            PrefixSharing::Separate => row.ids.len(),
        };
        if index > 0 && tokens > TOKENS {
            return index;
        }
        before = &row.ids;
    }
    rows.len()
}

fn score_batch(
    model: Model<'_>,
    rows: &[&TokenExample],
    sharing: PrefixSharing,
) -> Result<Vec<RowScore>, InferError> {
    let mut scores = vec![RowScore::default(); rows.len()];
    let batch = lay_out(rows, sharing);
    if batch.targets.is_empty() {
        return Ok(scores);
    }
    let targets: Vec<Target> = batch
        .targets
        .iter()
        .map(|target| Target {
            position: target.position,
            token: target.token,
            weight: target.weight,
        })
        .collect();
    let owners: Vec<usize> = batch.targets.iter().map(|target| target.row).collect();
    let tree = token_tree(batch)?;
    let found = model.decoder.score(model.adapter, &tree, &targets)?;
    for (owner, score) in owners.into_iter().zip(found) {
        if !score.nll.is_finite() {
            let line = rows.get(owner).map_or(0, |row| row.line);
            return Err(InferError::NotFinite { line });
        }
        if let Some(row) = scores.get_mut(owner) {
            row.nll += score.nll;
            row.supervised_tokens += 1;
            row.correct += usize::from(score.correct);
        }
    }
    Ok(scores)
}

fn token_tree(batch: PackedBatch) -> Result<TokenTree, ModelError> {
    let segments = batch.segments.into_iter().map(|segment| Segment {
        start: segment.start,
        len: segment.len,
        parent: segment.parent,
        row: segment.row,
    });
    TokenTree::new(batch.ids, segments.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(ids: std::ops::Range<u32>) -> TokenExample {
        TokenExample { line: 1, supervised: vec![false; ids.len()], ids: ids.collect() }
    }

    #[test]
    fn a_pass_holds_as_many_rows_as_its_tokens_allow_and_at_least_one() {
        let rows = [row(0..3000), row(0..3500), row(1..3000), row(0..9000)];
        let rows: Vec<&TokenExample> = rows.iter().collect();
        assert_eq!(batch_rows(&rows, PrefixSharing::Share), 2);
        assert_eq!(batch_rows(&rows, PrefixSharing::Separate), 1);
        assert_eq!(batch_rows(&rows[3..], PrefixSharing::Share), 1);
    }
}
