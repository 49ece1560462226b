//! Which tokens of a conversation are trained: the assistant's turns, exactly as they would be generated.
//!
//! The prompt for a turn must be a token prefix of the row, and so must the turn as the last one of its conversation.
//! Where the template breaks that, each turn gets a row of its own, made of its prompt and the turn.

use std::borrow::Cow;
use std::ops::Range;

use crate::conversation::{Conversation, EncodedText};
use crate::example::{Message, Role};
use crate::render::{Rendered, TrainOn};
use crate::render_problem::{NothingSupervised, RenderProblem};
use crate::tokenizer::Encoded;

/// Stands for an answer where only its place is asked for.
const ANSWER: &str = "\u{EA51}\u{EA52}";

/// The control token that ends a turn, where the template has one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct EndOfTurn(pub Option<u32>);

/// A turn of the assistant as the last one of its conversation.
pub(crate) struct TurnRow<'w> {
    /// Prompt and turn; may go on after the turn.
    pub row: Cow<'w, EncodedText>,
    /// Tokens of the prompt.
    pub prompt: usize,
    /// Tokens up to the turn's end, the end-of-turn token included.
    pub end: usize,
    /// Whether the prompt and the turn were put together from two renderings.
    joined: bool,
}

/// The training rows of a conversation: one, or one per supervised turn where the template rewrites earlier turns.
///
/// # Errors
/// A row that trains nothing, and what the template or tokenizer says.
pub(crate) fn training_rows(
    conversation: &Conversation<'_>,
    messages: &[Message],
    end_of_turn: EndOfTurn,
    train_on: TrainOn,
) -> Result<Vec<Rendered>, RenderProblem> {
    let turns = supervised_turns(messages, train_on).map_err(RenderProblem::NothingSupervised)?;
    let whole = conversation.encode(conversation.text(conversation.len())?)?;
    let mut rows = Vec::with_capacity(turns.len());
    for turn in &turns {
        rows.push(turn_row(conversation, &whole, *turn, end_of_turn)?);
    }
    let fits = |row: &TurnRow<'_>| !row.joined && whole.tokens.ids.starts_with(row.ids());
    let rows = if rows.iter().all(fits) {
        let mut supervised = vec![false; whole.tokens.ids.len()];
        for (turn, row) in turns.iter().zip(&rows) {
            let places = match spans_of(conversation, &whole, *turn)? {
                Some(spans) => span_tokens(conversation, &whole, &spans, end_of_turn),
                None => one(row.prompt..row.end),
            };
            mark(&mut supervised, &places);
        }
        vec![rendered(whole, supervised)]
    } else {
        rows.into_iter().map(|row| separate_row(conversation, row, end_of_turn)).collect()
    };
    let trained: Vec<Rendered> =
        rows.into_iter().filter(|row| row.supervised.contains(&true)).collect();
    match trained.is_empty() {
        true => Err(RenderProblem::NothingSupervised(NothingSupervised::Empty)),
        false => Ok(trained),
    }
}

impl TurnRow<'_> {
    /// The ids of prompt and turn.
    pub(crate) fn ids(&self) -> &[u32] {
        self.row.tokens.ids.get(..self.end).unwrap_or(&self.row.tokens.ids)
    }
}

fn rendered(row: EncodedText, mut supervised: Vec<bool>) -> Rendered {
    // Nothing predicts the first token.
    if let Some(first) = supervised.first_mut() {
        *first = false;
    }
    Rendered { text: row.text, ids: row.tokens.ids, supervised, offsets: row.tokens.offsets }
}

fn one(place: Range<usize>) -> Vec<Range<usize>> {
    std::iter::once(place).collect()
}

fn mark(supervised: &mut [bool], places: &[Range<usize>]) {
    for place in places {
        if let Some(tokens) = supervised.get_mut(place.clone()) {
            tokens.fill(true);
        }
    }
}

/// Indices of the messages to train on.
fn supervised_turns(
    messages: &[Message],
    train_on: TrainOn,
) -> Result<Vec<usize>, NothingSupervised> {
    let mut turns: Vec<usize> = messages
        .iter()
        .enumerate()
        .filter(|(_, message)| message.role == Role::Assistant)
        .map(|(index, _)| index)
        .collect();
    if turns.is_empty() {
        return Err(NothingSupervised::NoAssistant);
    }
    if train_on == TrainOn::Last {
        turns.drain(..turns.len() - 1);
    }
    turns.retain(|turn| messages.get(*turn).is_some_and(|message| message.weight != Some(false)));
    match turns.is_empty() {
        true => Err(NothingSupervised::WeightZero),
        false => Ok(turns),
    }
}

/// The message `turn` as the answer to its prompt.
///
/// # Errors
/// [`RenderProblem::NoHeader`] where the prompt does not lead to the turn, and what the template or tokenizer says.
pub(crate) fn turn_row<'w>(
    conversation: &Conversation<'_>,
    whole: &'w EncodedText,
    turn: usize,
    end_of_turn: EndOfTurn,
) -> Result<TurnRow<'w>, RenderProblem> {
    let row = match turn + 1 == conversation.len() {
        true => Cow::Borrowed(whole),
        false => Cow::Owned(conversation.encode_beside(conversation.text(turn + 1)?, whole)?),
    };
    let asked = conversation.roles().iter().take(turn).any(|role| *role == Role::User);
    let prompt = match conversation.prompt(turn) {
        Ok(prompt) => conversation.encode_beside(prompt, &row)?,
        // A conversation that the assistant opens has no prompt of its own in most templates.
        Err(_) if !asked => return opening_row(conversation, row, turn, end_of_turn),
        Err(error) => return Err(error),
    };
    if row.tokens.ids.starts_with(&prompt.tokens.ids) {
        let prompt = prompt.tokens.ids.len();
        let end = turn_end(conversation, &row, prompt..row.tokens.ids.len(), end_of_turn);
        return Ok(TurnRow { row, prompt, end, joined: false });
    }
    joined_row(conversation, row, prompt, turn, end_of_turn)
}

/// The turn behind the header that the template writes for it.
fn opening_row<'w>(
    conversation: &Conversation<'_>,
    row: Cow<'w, EncodedText>,
    turn: usize,
    end_of_turn: EndOfTurn,
) -> Result<TurnRow<'w>, RenderProblem> {
    let no_header = RenderProblem::NoHeader { message: turn };
    let probe = conversation.text_with_answer(turn, ANSWER)?.text;
    let Some(header) = probe.rfind(ANSWER) else {
        return Err(no_header);
    };
    if row.text.get(..header) != probe.get(..header) {
        return Err(no_header);
    }
    let prompt = row.tokens.first_behind(header);
    let end = turn_end(conversation, &row, prompt..row.tokens.ids.len(), end_of_turn);
    Ok(TurnRow { row, prompt, end, joined: false })
}

/// The prompt followed by the turn without its header, where the prompt says more than the header.
fn joined_row<'w>(
    conversation: &Conversation<'_>,
    row: Cow<'w, EncodedText>,
    prompt: EncodedText,
    turn: usize,
    end_of_turn: EndOfTurn,
) -> Result<TurnRow<'w>, RenderProblem> {
    // The header is what the prompt has in common with a turn of other words.
    let probe = conversation.text_with_answer(turn, ANSWER)?.text;
    let header = common_prefix(&prompt.text, &probe);
    if row.text.get(..header) != prompt.text.get(..header) || header == 0 {
        return Err(RenderProblem::NoHeader { message: turn });
    }
    let answer = answer_tokens(conversation, &row, header)?;
    let mut text = prompt.text;
    let base = text.len();
    text.push_str(row.text.get(header..).unwrap_or_default());
    let start = prompt.tokens.ids.len();
    let mut tokens = prompt.tokens;
    tokens.ids.extend(answer.ids);
    tokens.offsets.extend(answer.offsets.into_iter().map(|(a, b)| (a + base, b + base)));
    let row = EncodedText { text, spans: Vec::new(), controls: None, tokens };
    let row = Cow::Owned(row);
    let end = turn_end(conversation, &row, start..row.tokens.ids.len(), end_of_turn);
    Ok(TurnRow { row, prompt: start, end, joined: true })
}

/// The tokens of the row behind the byte `header`, as they follow a prompt that ends there.
fn answer_tokens(
    conversation: &Conversation<'_>,
    row: &EncodedText,
    header: usize,
) -> Result<Encoded, RenderProblem> {
    if let Some(first) = row.tokens.border(header) {
        let (ids, offsets) = (row.tokens.ids.iter(), row.tokens.offsets.iter());
        let place = |(a, b): &(usize, usize)| (a - header, b - header);
        return Ok(Encoded {
            ids: ids.skip(first).copied().collect(),
            offsets: offsets.skip(first).map(place).collect(),
        });
    }
    // A token lies across the border, so the answer is encoded apart from the header.
    let controls = row.controls.as_ref().map(|controls| {
        let behind = controls.iter().filter(|control| control.start >= header);
        behind.map(|control| control.start - header..control.end - header).collect::<Vec<_>>()
    });
    let rest = row.text.get(header..).unwrap_or_default();
    conversation.tokenizer().encode_after(rest, controls.as_deref())
}

/// Bytes that both texts begin with.
fn common_prefix(a: &str, b: &str) -> usize {
    let same = a.char_indices().zip(b.chars()).find(|((_, a), b)| a != b);
    same.map_or(a.len().min(b.len()), |((at, _), _)| at)
}

/// Where the turn that begins at `tokens.start` ends: after its end-of-turn token, before the white space behind it.
///
/// A template without such a token ends the turn with whatever it writes, white space included.
fn turn_end(
    conversation: &Conversation<'_>,
    row: &EncodedText,
    tokens: Range<usize>,
    end_of_turn: EndOfTurn,
) -> usize {
    let mut last_control = None;
    for at in tokens.clone().rev() {
        let id = row.tokens.ids.get(at).copied();
        if id.is_some_and(|id| conversation.tokenizer().is_special(id)) {
            if id == end_of_turn.0 {
                return at + 1;
            }
            last_control.get_or_insert(at + 1);
        } else if !is_blank(row, at) {
            break;
        }
    }
    last_control.unwrap_or(tokens.end)
}

fn is_blank(row: &EncodedText, at: usize) -> bool {
    let offsets = row.tokens.offsets.get(at);
    let text = offsets.and_then(|(start, end)| row.text.get(*start..*end));
    text.is_some_and(|text| text.chars().all(char::is_whitespace))
}

/// A turn as a row that ends where the turn ends.
fn separate_row(
    conversation: &Conversation<'_>,
    turn: TurnRow<'_>,
    end_of_turn: EndOfTurn,
) -> Rendered {
    let mut row = turn.row.into_owned();
    let mut supervised = vec![false; row.tokens.ids.len()];
    let behind_prompt = row.tokens.offsets.get(turn.prompt).map_or(0, |(start, _)| *start);
    let mut spans = row.spans.clone();
    spans.retain(|span| span.end > behind_prompt);
    let places = match spans.is_empty() {
        true => one(turn.prompt..turn.end),
        false => span_tokens(conversation, &row, &spans, end_of_turn),
    };
    mark(&mut supervised, &places);
    let end = places.iter().map(|place| place.end).max().unwrap_or(turn.end).max(turn.end);
    supervised.truncate(end);
    row.tokens.ids.truncate(end);
    row.tokens.offsets.truncate(end);
    let text_end = row.tokens.offsets.last().map_or(0, |(_, end)| *end);
    if row.text.is_char_boundary(text_end) {
        row.text.truncate(text_end);
    }
    rendered(row, supervised)
}

/// The `generation` blocks of the message `turn`; `None` where the template has no such blocks.
fn spans_of(
    conversation: &Conversation<'_>,
    whole: &EncodedText,
    turn: usize,
) -> Result<Option<Vec<Range<usize>>>, RenderProblem> {
    if whole.spans.is_empty() {
        return Ok(None);
    }
    let roles = conversation.roles().iter().enumerate();
    let turns: Vec<usize> =
        roles.filter(|(_, role)| **role == Role::Assistant).map(|(index, _)| index).collect();
    let order = turns.iter().position(|index| *index == turn);
    if turns.len() == whole.spans.len() {
        return Ok(order.and_then(|order| whole.spans.get(order)).cloned().map(one));
    }
    // A block belongs to the last turn whose prompt ends before the block does.
    let prompt_end = |turn: usize| -> Result<usize, RenderProblem> {
        Ok(common_prefix(&conversation.prompt(turn)?.text, &whole.text))
    };
    let start = prompt_end(turn)?;
    let next = match order.and_then(|order| turns.get(order + 1)) {
        Some(next) => prompt_end(*next)?,
        None => usize::MAX,
    };
    let own = whole.spans.iter().filter(|span| start <= span.end && span.end < next);
    Ok(Some(own.cloned().collect()))
}

/// The tokens of `generation` blocks, with the end-of-turn token right behind them and without white space after it.
fn span_tokens(
    conversation: &Conversation<'_>,
    row: &EncodedText,
    spans: &[Range<usize>],
    end_of_turn: EndOfTurn,
) -> Vec<Range<usize>> {
    let place = |span: &Range<usize>| {
        let start = row.tokens.first_behind(span.start);
        let mut end = row.tokens.offsets.partition_point(|(start, _)| *start < span.end);
        let next = row.tokens.offsets.get(end).zip(row.tokens.ids.get(end));
        let follows = |((start, _), id): (&(usize, usize), &u32)| {
            *start == span.end && Some(*id) == end_of_turn.0
        };
        if next.is_some_and(follows) {
            end += 1;
        }
        start..turn_end(conversation, row, start..end.max(start), end_of_turn)
    };
    spans.iter().map(place).collect()
}
