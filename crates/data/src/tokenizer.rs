//! The model's tokenizer, with a strict line between text and control tokens.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use regex::{Regex, RegexBuilder};
use tokenizers::{AddedToken, Tokenizer};

use crate::longest_text::most_bytes_per_token;
use crate::render_problem::{LibraryError, RenderProblem};
use crate::twin::Twin;
use crate::words::Words;

/// Names in every message that a template gets.
const NAMES: [&str; 6] = ["role", "content", "system", "user", "assistant", "tool"];

/// Tokens and where they stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Encoded {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Byte range of each token in the text.
    pub offsets: Vec<(usize, usize)>,
}

impl Encoded {
    /// Appends a token and its byte range.
    pub(crate) fn push(&mut self, id: u32, start: usize, end: usize) {
        self.ids.push(id);
        self.offsets.push((start, end));
    }

    /// The number of tokens before the byte `at`; `None` where one lies across it.
    pub(crate) fn border(&self, at: usize) -> Option<usize> {
        let before = self.offsets.partition_point(|(start, _)| *start < at);
        let last = before.checked_sub(1).and_then(|last| self.offsets.get(last));
        last.is_none_or(|(_, end)| *end <= at).then_some(before)
    }

    /// The first token that has something at the byte `at` or behind it.
    pub(crate) fn first_behind(&self, at: usize) -> usize {
        let across = || self.offsets.partition_point(|(start, _)| *start < at).saturating_sub(1);
        self.border(at).unwrap_or_else(across)
    }
}

/// A tokenizer that knows which of its tokens are control tokens.
pub(crate) struct TextTokenizer {
    inner: Tokenizer,
    /// Ids the post-processor puts around a text.
    around: (Vec<u32>, Vec<u32>),
    special: HashSet<String>,
    special_ids: HashSet<u32>,
    /// Tokens at which the text is cut before anything else happens to it.
    cutting_ids: HashSet<u32>,
    literals: Option<Regex>,
    /// Whether a control token has the name of a role or of a message's key.
    names_are_literals: bool,
    added: Option<Regex>,
    /// Whether the normalizer may turn other text into a control token.
    fuzzy: bool,
    twins: Mutex<Vec<Arc<Twin>>>,
    most_bytes_per_token: OnceLock<Option<usize>>,
    /// Words met before; `None` where a word's tokens depend on what stands around it.
    words: Option<Words>,
}

impl TextTokenizer {
    /// The tokenizer of a `tokenizer.json`, with further control tokens by their text.
    ///
    /// # Errors
    /// A file the library cannot load.
    pub(crate) fn new(
        json: &[u8],
        added: &[(u32, AddedToken)],
        special: &[String],
    ) -> Result<TextTokenizer, LibraryError> {
        let mut inner = Tokenizer::from_bytes(json)?;
        inner.with_truncation(None)?;
        inner.with_padding(None);
        for (id, token) in added {
            let id = *id as usize;
            let known = inner.token_to_id(&token.content).map(|known| known as usize);
            if known == Some(id) || (known.is_none() && id == inner.get_vocab_size(true)) {
                inner.add_tokens([token.clone()])?;
            }
        }
        let around = around(&inner)?;
        // It would only trim offsets: its tokens are kept in `around`.
        inner.with_post_processor(None::<tokenizers::PostProcessorWrapper>);
        let mut tokenizer = TextTokenizer {
            inner,
            around,
            special: HashSet::new(),
            special_ids: HashSet::new(),
            cutting_ids: HashSet::new(),
            literals: None,
            names_are_literals: false,
            added: None,
            fuzzy: false,
            twins: Mutex::new(Vec::new()),
            most_bytes_per_token: OnceLock::new(),
            words: None,
        };
        tokenizer.add_special(special)?;
        Ok(tokenizer)
    }

    /// Makes those of the texts that are tokens control tokens.
    ///
    /// # Errors
    /// What the library says.
    pub(crate) fn add_special(&mut self, texts: &[String]) -> Result<(), LibraryError> {
        let decoder = self.inner.get_added_tokens_decoder();
        let mut changed = Vec::new();
        for text in texts {
            let known = decoder.values().find(|token| token.content == *text);
            match (known, self.inner.token_to_id(text)) {
                (Some(token), _) if !token.special => changed.push(token.clone().special(true)),
                (None, Some(_)) if !text.is_empty() => changed.push(AddedToken::from(text, true)),
                _ => {}
            }
        }
        if !changed.is_empty() {
            self.inner.add_special_tokens(changed)?;
        }
        self.index_added()
    }

    fn index_added(&mut self) -> Result<(), LibraryError> {
        let decoder = self.inner.get_added_tokens_decoder();
        let normalizes = self.inner.get_normalizer().is_some();
        let special = || decoder.iter().filter(|(_, token)| token.special);
        self.special = special().map(|(_, token)| token.content.clone()).collect();
        self.special_ids = special().map(|(id, _)| *id).collect();
        self.cutting_ids = decoder
            .iter()
            .filter(|(_, token)| !(token.single_word || token.normalized && normalizes))
            .map(|(id, _)| *id)
            .collect();
        self.fuzzy = normalizes && special().any(|(_, token)| token.normalized);
        self.literals = any_of(special().map(|(_, token)| token.content.as_str()))?;
        let is_literal = |name: &&str| self.literals.as_ref().is_some_and(|any| any.is_match(name));
        self.names_are_literals = NAMES.iter().any(is_literal);
        self.added = any_of(decoder.values().map(|token| token.content.as_str()))?;
        self.twins.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
        self.most_bytes_per_token = OnceLock::new();
        self.words = Words::of(&self.inner, self.added.as_ref());
        Ok(())
    }

    /// Matches the text of any control token.
    pub(crate) fn literals(&self) -> Option<&Regex> {
        self.literals.as_ref()
    }

    /// Whether nothing in the text, or in a name that this crate gives to a template, could become a control token.
    pub(crate) fn is_harmless(&self, text: &str) -> bool {
        match &self.literals {
            Some(literals) => !self.names_are_literals && !literals.is_match(text),
            None => true,
        }
    }

    /// Whether even a text without literals must say which control tokens it has.
    pub(crate) fn is_fuzzy(&self) -> bool {
        self.fuzzy
    }

    /// Ids the tokenizer puts before and after a text of its own accord.
    pub(crate) fn around(&self) -> &(Vec<u32>, Vec<u32>) {
        &self.around
    }

    /// Byte ranges of the control tokens in a text, as the tokenizer would find them.
    pub(crate) fn controls_in(&self, text: &str) -> Vec<Range<usize>> {
        let Some(added) = &self.added else {
            return Vec::new();
        };
        let found = added.find_iter(text).filter(|found| self.special.contains(found.as_str()));
        found.map(|found| found.range()).collect()
    }

    /// The added tokens in a text that are written as marks, `<…>` or `[…]`, and are no control tokens.
    pub(crate) fn marks_in(&self, text: &str) -> Vec<String> {
        let is_mark = |text: &str| {
            let inner = |open, close| text.strip_prefix(open)?.strip_suffix(close);
            inner('<', '>').or_else(|| inner('[', ']')).is_some_and(|inner| !inner.is_empty())
        };
        let found = self.added.iter().flat_map(|added| added.find_iter(text));
        let marks = found.map(|found| found.as_str()).filter(|found| is_mark(found));
        marks.filter(|mark| !self.special.contains(*mark)).map(str::to_string).collect()
    }

    /// The tokens of a text in which only `controls` are control tokens; `None`: every literal is one.
    ///
    /// # Errors
    /// Text that the model's vocabulary cannot express, and tokenizers without a twin.
    pub(crate) fn encode(
        &self,
        text: &str,
        controls: Option<&[Range<usize>]>,
    ) -> Result<Encoded, RenderProblem> {
        match (controls, &self.words) {
            (None, Some(words)) => words.encode(&self.inner, text),
            (None, None) => encode(&self.inner, text),
            (Some(controls), _) => self.twin(text)?.encode(text, controls),
        }
    }

    /// The tokens of a text that has no control tokens.
    ///
    /// # Errors
    /// As [`TextTokenizer::encode`].
    pub(crate) fn encode_text(&self, text: &str) -> Result<Encoded, RenderProblem> {
        let guarded = self.fuzzy || self.literals.as_ref().is_some_and(|any| any.is_match(text));
        self.encode(text, guarded.then_some(&[]))
    }

    /// The tokens of `text` where it continues another text, so that no space is put before it.
    ///
    /// # Errors
    /// As [`TextTokenizer::encode`].
    pub(crate) fn encode_after(
        &self,
        text: &str,
        controls: Option<&[Range<usize>]>,
    ) -> Result<Encoded, RenderProblem> {
        // A letter before the text takes the space that some tokenizers put first; one of these does not merge.
        for before in ["\n", ".", "a", "0"] {
            let joined = format!("{before}{text}");
            let shifted: Option<Vec<Range<usize>>> = controls.map(|controls| {
                controls.iter().map(|at| at.start + before.len()..at.end + before.len()).collect()
            });
            let mut encoded = self.encode(&joined, shifted.as_deref())?;
            let Some(cut) = encoded.border(before.len()) else {
                continue;
            };
            let offsets = encoded.offsets.split_off(cut).into_iter();
            return Ok(Encoded {
                ids: encoded.ids.split_off(cut),
                offsets: offsets.map(|(a, b)| (a - before.len(), b - before.len())).collect(),
            });
        }
        self.encode(text, controls)
    }

    /// The tokens of `prefix`, given those of a text that begins with it and has the same `controls` there.
    ///
    /// The same as encoding it alone, but cheaper: only the part from the last control token on is encoded anew: those tokens cut the text before anything else.
    ///
    /// # Errors
    /// As [`TextTokenizer::encode`].
    pub(crate) fn encode_prefix(
        &self,
        prefix: &str,
        controls: Option<&[Range<usize>]>,
        whole: &Encoded,
    ) -> Result<Encoded, RenderProblem> {
        let inside = whole.offsets.partition_point(|(_, end)| *end <= prefix.len());
        let cut = whole
            .ids
            .get(..inside)
            .and_then(|ids| ids.iter().rposition(|id| self.cutting_ids.contains(id)));
        let (Some(cut), false) = (cut, self.fuzzy) else {
            return self.encode(prefix, controls);
        };
        let start = whole.offsets.get(cut).map_or(0, |(start, _)| *start);
        let behind: Option<Vec<Range<usize>>> = controls.map(|controls| {
            let behind = controls.iter().filter(|control| control.start >= start);
            behind.map(|control| control.start - start..control.end - start).collect()
        });
        let tail = self.encode(prefix.get(start..).unwrap_or_default(), behind.as_deref())?;
        let mut ids = whole.ids.get(..cut).unwrap_or_default().to_vec();
        let mut offsets = whole.offsets.get(..cut).unwrap_or_default().to_vec();
        ids.extend(tail.ids);
        offsets.extend(tail.offsets.into_iter().map(|(a, b)| (a + start, b + start)));
        Ok(Encoded { ids, offsets })
    }

    fn twin(&self, text: &str) -> Result<Arc<Twin>, RenderProblem> {
        let mut twins = self.twins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(twin) = twins.iter().find(|twin| !text.contains(twin.lead())) {
            return Ok(twin.clone());
        }
        let twin = Arc::new(Twin::build(&self.inner, &self.special, text)?);
        twins.push(twin.clone());
        Ok(twin)
    }

    /// Whether the id is a control token.
    pub(crate) fn is_special(&self, id: u32) -> bool {
        self.special_ids.contains(&id)
    }

    /// Whether the text is a token that is never cut, nor part of another.
    pub(crate) fn is_single_token(&self, text: &str) -> bool {
        let id = self.inner.token_to_id(text);
        id.is_some()
            && encode(&self.inner, text).is_ok_and(|found| found.ids.as_slice() == id.as_slice())
    }

    /// Whether the vocabulary can express the text: it comes back from its ids.
    pub(crate) fn knows(&self, text: &str) -> bool {
        let around = format!("a{text}a");
        let decoded = encode(&self.inner, &around).and_then(|found| self.decode(&found.ids));
        decoded.is_ok_and(|decoded| decoded.contains(text))
    }

    /// The id of a token by its text.
    pub(crate) fn id(&self, text: &str) -> Option<u32> {
        self.inner.token_to_id(text)
    }

    /// The text of a token by its id.
    pub(crate) fn token(&self, id: u32) -> Option<String> {
        self.inner.id_to_token(id)
    }

    /// Whether the token was added beside the model's vocabulary.
    pub(crate) fn is_added(&self, id: u32) -> bool {
        self.inner.get_added_vocabulary().get_added_tokens_decoder().contains_key(&id)
    }

    /// Tokens of the vocabulary, added ones included.
    pub(crate) fn vocabulary_size(&self) -> usize {
        self.inner.get_vocab_size(true)
    }

    /// The most bytes of text that become that many tokens; `None` where there is no bound.
    pub(crate) fn most_bytes(&self, tokens: usize) -> Option<usize> {
        let most = self.most_bytes_per_token.get_or_init(|| most_bytes_per_token(&self.inner));
        most.map(|most| most.saturating_mul(tokens))
    }

    /// The text of tokens, control tokens left out.
    ///
    /// # Errors
    /// What the library says.
    pub(crate) fn decode(&self, ids: &[u32]) -> Result<String, RenderProblem> {
        self.inner.decode(ids, true).map_err(RenderProblem::Tokenizer)
    }

    /// The text of tokens, control tokens written out.
    ///
    /// # Errors
    /// What the library says.
    pub(crate) fn decode_with_special(&self, ids: &[u32]) -> Result<String, RenderProblem> {
        self.inner.decode(ids, false).map_err(RenderProblem::Tokenizer)
    }
}

/// The tokens of a text, every literal a control token.
pub(crate) fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Encoded, RenderProblem> {
    let encoding = tokenizer.encode(text, false).map_err(RenderProblem::Tokenizer)?;
    let mut offsets = encoding.get_offsets().to_vec();
    // A letter that several tokens share belongs to the last of them, so that the ranges tile the text.
    let mut next = usize::MAX;
    for (start, end) in offsets.iter_mut().rev() {
        *end = (*end).min(next).max(*start);
        next = *start;
    }
    Ok(Encoded { ids: encoding.get_ids().to_vec(), offsets })
}

/// What the post-processor puts before and after a text.
fn around(tokenizer: &Tokenizer) -> Result<(Vec<u32>, Vec<u32>), LibraryError> {
    let bare = tokenizer.encode("a", false)?.get_ids().to_vec();
    let full = tokenizer.encode("a", true)?.get_ids().to_vec();
    let width = bare.len().max(1);
    let start = full.windows(width).position(|window| window == bare.as_slice());
    Ok(match start {
        Some(start) => (full[..start].to_vec(), full[start + bare.len()..].to_vec()),
        None => (full, Vec::new()),
    })
}

/// Matches the longest of those texts that starts first; `None` where there are none.
pub(crate) fn any_of<'t>(
    texts: impl Iterator<Item = &'t str>,
) -> Result<Option<Regex>, regex::Error> {
    let mut texts: Vec<&str> = texts.filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        return Ok(None);
    }
    // The first alternative wins, so the longest comes first.
    texts.sort_by_key(|text| (std::cmp::Reverse(text.len()), *text));
    let pattern: Vec<String> = texts.iter().map(|text| regex::escape(text)).collect();
    RegexBuilder::new(&pattern.join("|")).size_limit(1 << 28).build().map(Some)
}
