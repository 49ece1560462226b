//! Completions as token ids: prompts go through the model once, then all grow together.
//!
//! Prompts become a tree whose nodes are nodes of the key/value cache, so a beginning that several
//! have is computed once. A bounded number of completions grows at a time, one token each per call
//! of the model; one that ends makes room for the next.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use candle_core::Tensor;
use tunewise_model::{Addition, KvCache, NodeId};

use crate::error::InferError;
use crate::prompt::{Model, Prompt};
use crate::prompt_tree::PromptTree;
use crate::sampling::{Sampler, Sampling};
use crate::stop::FinishReason;

/// When completions end and how their tokens are chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoding {
    /// The most tokens of a completion; at least 1.
    pub max_new_tokens: usize,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Strings that end a completion and are not part of its text.
    pub stop_strings: Vec<String>,
    /// How much is computed at a time; it changes no completion.
    pub limits: Limits,
}

impl Decoding {
    /// Greedy decoding of at most `max_new_tokens`.
    pub fn greedy(max_new_tokens: usize) -> Decoding {
        Decoding {
            max_new_tokens,
            sampling: Sampling::default(),
            stop_strings: Vec::new(),
            limits: Limits::default(),
        }
    }
}

/// How much is computed and kept at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Completions that grow together.
    pub completions: usize,
    /// Tokens for which the cache has room, unless a single prompt needs more.
    pub cached_tokens: usize,
    /// Prompt tokens in one call of the model.
    pub prompt_tokens: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { completions: 32, cached_tokens: 32_768, prompt_tokens: 1024 }
    }
}

/// A completion as tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCompletion {
    /// The tokens, without the one that ended it.
    pub ids: Vec<u32>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// What happens to a completion, named by its prompt's index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenEvent {
    /// A token was chosen.
    Chosen(usize, u32),
    /// The completion ended.
    Ended(usize),
}

/// The completions of prompts, in their order; each ends at a token of `stop_ids`, which it lacks.
///
/// `watch` learns of every token as soon as it is chosen, and can end the completion behind it. A
/// prompt's completion depends on no other prompt, up to the rounding of the model's products: a
/// shared beginning and a batch are summed in another order than a prompt alone, which can tip the
/// choice between tokens whose logits are equal but for the last bits.
///
/// # Errors
/// When a prompt is empty, leaves no room in the context or has a foreign token, when the model
/// fails, or when `watch` does.
pub fn complete_ids(
    model: Model<'_>,
    prompts: &[Prompt],
    decoding: &Decoding,
    stop_ids: &[u32],
    watch: &mut dyn FnMut(TokenEvent) -> Result<ControlFlow<()>, InferError>,
) -> Result<Vec<TokenCompletion>, InferError> {
    if decoding.max_new_tokens == 0 {
        return Err(InferError::Setting {
            setting: "max-new-tokens",
            expected: "at least 1",
            found: "0".to_owned(),
        });
    }
    for prompt in prompts {
        prompt.check(model)?;
    }
    let ids: Vec<&[u32]> = prompts.iter().map(|prompt| prompt.ids.as_slice()).collect();
    let tree = PromptTree::new(&ids);
    let mut run = Run {
        model,
        prompts,
        decoding,
        stop_ids,
        waiting: tree.order().into(),
        states: tree.nodes.iter().map(|_| NodeState::default()).collect(),
        tree,
        cache: KvCache::new(),
        reserved: 0,
        growing: Vec::new(),
        finished: prompts.iter().map(|_| None).collect(),
    };
    while !run.waiting.is_empty() || !run.growing.is_empty() {
        run.admit(watch)?;
        run.step(watch)?;
    }
    Ok(run.finished.into_iter().flatten().collect())
}

/// What the cache knows of a node of the tree.
#[derive(Default)]
struct NodeState {
    cached: Option<NodeId>,
    room: usize,
    /// The logits behind its last token, where a completion starts from them.
    logits: Option<Tensor>,
}

/// A completion that grows.
struct Growing<'a> {
    row: usize,
    node: NodeId,
    sampler: Sampler<'a>,
    /// The prompt and the completion so far.
    ids: Vec<u32>,
    /// The most that `ids` can have.
    most: usize,
}

/// A prompt node on its way into the cache.
struct Part {
    node: usize,
    cached: NodeId,
    done: usize,
}

struct Run<'a> {
    model: Model<'a>,
    prompts: &'a [Prompt],
    decoding: &'a Decoding,
    stop_ids: &'a [u32],
    waiting: VecDeque<usize>,
    tree: PromptTree,
    states: Vec<NodeState>,
    cache: KvCache,
    /// Tokens for which the cache has room.
    reserved: usize,
    growing: Vec<Growing<'a>>,
    finished: Vec<Option<TokenCompletion>>,
}

type Watch<'w> = &'w mut dyn FnMut(TokenEvent) -> Result<ControlFlow<()>, InferError>;

impl Run<'_> {
    /// Brings in prompts as long as there is room, and their first tokens.
    fn admit(&mut self, watch: Watch<'_>) -> Result<(), InferError> {
        let mut admitted = Vec::new();
        let mut parts = VecDeque::new();
        let limits = self.decoding.limits;
        while let Some(row) = self.waiting.front().copied() {
            let empty = self.growing.is_empty() && admitted.is_empty();
            let full = self.growing.len() + admitted.len() >= limits.completions;
            let room = self.reserved + self.missing_room(row) <= limits.cached_tokens;
            if !empty && (full || !room) {
                break;
            }
            self.waiting.pop_front();
            self.enter(row, &mut parts)?;
            admitted.push(row);
        }
        self.read_prompts(parts)?;
        for row in admitted {
            self.start(row, watch)?;
        }
        Ok(())
    }

    /// The most tokens that a row's prompt and completion have.
    fn most(&self, row: usize) -> usize {
        let wanted = self.prompts[row].ids.len().saturating_add(self.decoding.max_new_tokens);
        wanted.min(self.model.context())
    }

    /// The room that a node of a row needs: a leaf's completion lies behind the leaf's own tokens.
    ///
    /// The last token of a completion is never read again.
    fn room(&self, node: usize, row: usize) -> usize {
        let own = self.tree.nodes[node].ids.len();
        if self.tree.leaf[row] == node {
            own + self.most(row) - self.prompts[row].ids.len() - 1
        } else {
            own
        }
    }

    fn missing_room(&self, row: usize) -> usize {
        let path = self.tree.path(row).into_iter();
        let missing = path.filter(|node| self.states[*node].cached.is_none());
        missing.map(|node| self.room(node, row)).sum()
    }

    /// Makes the cache nodes of a row that are not there, and notes the tokens to be read.
    fn enter(&mut self, row: usize, parts: &mut VecDeque<Part>) -> Result<(), InferError> {
        for node in self.tree.path(row) {
            if self.states[node].cached.is_some() {
                continue;
            }
            let room = self.room(node, row);
            let parent = self.tree.nodes[node].parent;
            let parent = parent.and_then(|parent| self.states[parent].cached);
            let cached = match parent {
                Some(parent) => self.cache.child(parent, room)?,
                None => self.cache.root(room),
            };
            self.reserved += room;
            self.states[node] = NodeState { cached: Some(cached), room, logits: None };
            if !self.tree.nodes[node].ids.is_empty() {
                parts.push_back(Part { node, cached, done: 0 });
            }
        }
        Ok(())
    }

    /// Reads prompt tokens into the cache, a bounded number per call, parents first.
    fn read_prompts(&mut self, mut parts: VecDeque<Part>) -> Result<(), InferError> {
        while !parts.is_empty() {
            let mut budget = self.decoding.limits.prompt_tokens.max(1);
            let mut additions = Vec::new();
            let mut complete = Vec::new();
            while let (Some(part), true) = (parts.front_mut(), budget > 0) {
                let ids = &self.tree.nodes[part.node].ids;
                let end = ids.len().min(part.done + budget);
                additions.push(Addition { node: part.cached, ids: ids[part.done..end].to_vec() });
                budget -= end - part.done;
                part.done = end;
                complete.push((end == ids.len()).then_some(part.node));
                if end == ids.len() {
                    parts.pop_front();
                }
            }
            let logits = self.extend(&additions)?;
            for (index, node) in complete.into_iter().enumerate() {
                self.keep_logits(node, &logits, index)?;
            }
        }
        Ok(())
    }

    fn extend(&mut self, additions: &[Addition]) -> Result<Tensor, InferError> {
        let Model { decoder, adapter } = self.model;
        Ok(decoder.extend(adapter, &mut self.cache, additions)?)
    }

    /// Keeps the logits of a node that was read to its end, where a completion starts from them.
    fn keep_logits(
        &mut self,
        node: Option<usize>,
        logits: &Tensor,
        index: usize,
    ) -> Result<(), InferError> {
        let Some(node) = node else { return Ok(()) };
        if self.tree.nodes[node].starts_completions {
            // A copy, so that the call's other logits need not be kept.
            let row = logits.get(index).and_then(|row| row.copy());
            self.states[node].logits = Some(row.map_err(tunewise_model::ModelError::from)?);
        }
        Ok(())
    }

    /// Starts a row's completion behind its prompt.
    fn start(&mut self, row: usize, watch: Watch<'_>) -> Result<(), InferError> {
        let leaf = self.tree.leaf[row];
        let logits = match self.tree.nodes[leaf].parent {
            Some(parent) if self.tree.nodes[leaf].ids.is_empty() => {
                self.states[parent].logits.clone()
            }
            _ => self.states[leaf].logits.take(),
        };
        let prompt = &self.prompts[row];
        let not_read = || InferError::EmptyPrompt { line: prompt.line };
        let mut growing = Growing {
            row,
            node: self.states[leaf].cached.ok_or_else(not_read)?,
            sampler: Sampler::new(&self.decoding.sampling, prompt.line as u64),
            ids: prompt.ids.clone(),
            most: self.most(row),
        };
        let logits = logits.ok_or_else(not_read)?;
        match self.grow(&mut growing, &logits, watch)? {
            None => self.growing.push(growing),
            Some(reason) => self.finish(growing, reason, watch)?,
        }
        Ok(())
    }

    /// One more token for every completion that grows.
    fn step(&mut self, watch: Watch<'_>) -> Result<(), InferError> {
        if self.growing.is_empty() {
            return Ok(());
        }
        let growing = std::mem::take(&mut self.growing);
        let additions: Vec<Addition> = growing
            .iter()
            .map(|growing| Addition {
                node: growing.node,
                ids: growing.ids.last().copied().into_iter().collect(),
            })
            .collect();
        let logits = self.extend(&additions)?;
        for (index, mut growing) in growing.into_iter().enumerate() {
            let row = logits.get(index).map_err(tunewise_model::ModelError::from)?;
            match self.grow(&mut growing, &row, watch)? {
                None => self.growing.push(growing),
                Some(reason) => self.finish(growing, reason, watch)?,
            }
        }
        Ok(())
    }

    /// Chooses a completion's next token; says why it ends, if it does.
    fn grow(
        &self,
        growing: &mut Growing<'_>,
        logits: &Tensor,
        watch: Watch<'_>,
    ) -> Result<Option<FinishReason>, InferError> {
        let line = self.prompts[growing.row].line;
        let id = growing.sampler.next(logits, &growing.ids);
        let id = id.map_err(tunewise_model::ModelError::from)?;
        let chosen = logits.get(id as usize).and_then(|l| l.to_scalar::<f32>());
        if !chosen.is_ok_and(f32::is_finite) {
            return Err(InferError::NotFinite { line });
        }
        if self.stop_ids.contains(&id) {
            return Ok(Some(FinishReason::Stop));
        }
        growing.ids.push(id);
        if watch(TokenEvent::Chosen(growing.row, id))?.is_break() {
            return Ok(Some(FinishReason::Stop));
        }
        let full = growing.ids.len() >= growing.most;
        Ok(full.then_some(FinishReason::Length))
    }

    /// Notes a completion and frees what no other prompt needs.
    fn finish(
        &mut self,
        growing: Growing<'_>,
        reason: FinishReason,
        watch: Watch<'_>,
    ) -> Result<(), InferError> {
        let Growing { row, mut ids, .. } = growing;
        // Nothing is left to end.
        let _ = watch(TokenEvent::Ended(row))?;
        let completion = ids.split_off(self.prompts[row].ids.len());
        self.finished[row] = Some(TokenCompletion { ids: completion, finish_reason: reason });
        for node in self.tree.path(row).into_iter().rev() {
            self.tree.nodes[node].unfinished -= 1;
            if self.tree.nodes[node].unfinished > 0 {
                continue;
            }
            let state = std::mem::take(&mut self.states[node]);
            if let Some(cached) = state.cached {
                self.cache.remove(cached)?;
                self.reserved -= state.room;
            }
        }
        Ok(())
    }
}
