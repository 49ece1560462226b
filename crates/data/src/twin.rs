//! A tokenizer whose control tokens answer to other names.
//!
//! In the twin a literal such as `<|im_end|>` is text like any other; the control token is written with an alias of
//! private-use letters that the text does not have. Everything else is the original, so both give the same ids.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use serde_json::Value;
use tokenizers::Tokenizer;

use crate::render_problem::RenderProblem;
use crate::tokenizer::{encode, Encoded};

const DIGIT: u32 = 0x10_0000;
const DIGITS: usize = 0x1000;
/// Aliases begin with one of these; the digits come from other letters.
const LEADS: std::ops::RangeInclusive<char> = '\u{10F000}'..='\u{10FFF0}';
/// More would only repeat the same check.
const PROBED: usize = 24;

/// The renamed tokenizer.
pub(crate) struct Twin {
    tokenizer: Tokenizer,
    lead: char,
    aliases: HashMap<String, String>,
    /// Ids that differ, as the original has them.
    original_ids: HashMap<u32, u32>,
}

impl Twin {
    /// The twin of a tokenizer for texts that have the same free private-use letter as `text`.
    ///
    /// # Errors
    /// [`RenderProblem::ControlTokens`] where the twin gives other ids than the original.
    pub(crate) fn build(
        original: &Tokenizer,
        special: &HashSet<String>,
        text: &str,
    ) -> Result<Twin, RenderProblem> {
        let lead = LEADS.into_iter().find(|lead| !text.contains(*lead));
        let lead = lead
            .ok_or(RenderProblem::ControlTokens { reason: "it holds every private-use letter" })?;
        let mut names: Vec<&String> = special.iter().collect();
        names.sort();
        let aliases: HashMap<String, String> = names
            .iter()
            .enumerate()
            .map(|(index, name)| ((*name).clone(), alias(lead, index)))
            .collect();
        let json = original.to_string(false).map_err(RenderProblem::Tokenizer)?;
        let unreadable = |error: serde_json::Error| RenderProblem::Tokenizer(error.into());
        let mut file: Value = serde_json::from_str(&json).map_err(unreadable)?;
        rename(&mut file, &aliases);
        let json = serde_json::to_vec(&file).map_err(unreadable)?;
        let tokenizer = Tokenizer::from_bytes(json).map_err(RenderProblem::Tokenizer)?;
        let mut twin = Twin { tokenizer, lead, aliases, original_ids: HashMap::new() };
        for (id, token) in original.get_added_tokens_decoder() {
            let name = twin.aliases.get(&token.content).unwrap_or(&token.content);
            match twin.tokenizer.token_to_id(name) {
                Some(own) if own == id => {}
                Some(own) => drop(twin.original_ids.insert(own, id)),
                None => {
                    return Err(RenderProblem::ControlTokens { reason: "a token has no alias" })
                }
            }
        }
        twin.check(original, &names)?;
        Ok(twin)
    }

    /// The letter that no text given to this twin may have.
    pub(crate) fn lead(&self) -> char {
        self.lead
    }

    /// The tokens of a text in which only `controls` are control tokens.
    ///
    /// # Errors
    /// What the library says.
    pub(crate) fn encode(
        &self,
        text: &str,
        controls: &[Range<usize>],
    ) -> Result<Encoded, RenderProblem> {
        let mut controls = controls.to_vec();
        loop {
            let renamed = self.rename_text(text, &controls);
            let encoded = encode(&self.tokenizer, &renamed.text)?;
            let matched = renamed.matched(&encoded, &self.tokenizer);
            if matched.iter().all(|matched| *matched) {
                return Ok(self.translate(encoded, &renamed));
            }
            // A control token that the tokenizer passes over is text, in the original too.
            let mut matched = matched.into_iter();
            controls.retain(|_| matched.next().unwrap_or(false));
        }
    }

    fn rename_text(&self, text: &str, controls: &[Range<usize>]) -> Renamed {
        let mut renamed = Renamed { text: String::with_capacity(text.len()), places: Vec::new() };
        let mut from = 0;
        for control in controls {
            let literal = text.get(control.clone()).unwrap_or_default();
            let Some(alias) = self.aliases.get(literal) else {
                continue;
            };
            renamed.text.push_str(text.get(from..control.start).unwrap_or_default());
            let start = renamed.text.len();
            renamed.text.push_str(alias);
            renamed.places.push((start..renamed.text.len(), control.clone()));
            from = control.end;
        }
        renamed.text.push_str(text.get(from..).unwrap_or_default());
        renamed
    }

    fn translate(&self, encoded: Encoded, renamed: &Renamed) -> Encoded {
        let id = |id: &u32| self.original_ids.get(id).copied().unwrap_or(*id);
        Encoded {
            ids: encoded.ids.iter().map(id).collect(),
            offsets: encoded
                .offsets
                .iter()
                .map(|(start, end)| (renamed.original(*start), renamed.original(*end)))
                .collect(),
        }
    }

    /// Both tokenizers must agree on a text that has the control tokens among words.
    fn check(&self, original: &Tokenizer, names: &[&String]) -> Result<(), RenderProblem> {
        for names in [names, &names[..names.len().min(1)]] {
            let mut text = String::from("The first 2 words.");
            let mut controls = Vec::new();
            for name in names.iter().take(PROBED) {
                let start = text.len();
                text.push_str(name);
                controls.push(start..text.len());
                text.push_str("user\nand more, é \n\n");
            }
            if encode(original, &text)? != self.encode(&text, &controls)? {
                return Err(RenderProblem::ControlTokens {
                    reason: "its ids change once control tokens are renamed",
                });
            }
        }
        Ok(())
    }
}

/// A text with aliases, and where each stands: in it, and in the original.
struct Renamed {
    text: String,
    places: Vec<(Range<usize>, Range<usize>)>,
}

impl Renamed {
    fn original(&self, at: usize) -> usize {
        let index = self.places.partition_point(|(own, _)| own.start < at);
        match index.checked_sub(1).and_then(|index| self.places.get(index)) {
            Some((own, original)) => original.end + at.saturating_sub(own.end),
            None => at,
        }
    }

    /// For each alias, whether one token covers it.
    fn matched(&self, encoded: &Encoded, tokenizer: &Tokenizer) -> Vec<bool> {
        let covered = |own: &Range<usize>| {
            let id = self.text.get(own.clone()).and_then(|alias| tokenizer.token_to_id(alias));
            let first = encoded.offsets.partition_point(|(_, end)| *end <= own.start);
            let token = encoded.offsets.get(first).zip(encoded.ids.get(first));
            token.is_some_and(|((start, end), found)| {
                *start <= own.start && *end >= own.end && Some(*found) == id
            })
        };
        self.places.iter().map(|(own, _)| covered(own)).collect()
    }
}

fn alias(lead: char, index: usize) -> String {
    let digit = |value: usize| char::from_u32(DIGIT + (value % DIGITS) as u32).unwrap_or(lead);
    [lead, digit(index / DIGITS), digit(index)].iter().collect()
}

/// Renames control tokens in a `tokenizer.json`: among the added tokens, and in the vocabulary where plain text
/// could otherwise become them.
fn rename(file: &mut Value, aliases: &HashMap<String, String>) {
    for part in ["truncation", "padding", "post_processor"] {
        file[part] = Value::Null;
    }
    for token in file["added_tokens"].as_array_mut().into_iter().flatten() {
        if let Some(alias) = token["content"].as_str().and_then(|name| aliases.get(name)) {
            token["content"] = alias.clone().into();
        }
    }
    let model = &mut file["model"];
    let merged = merged_names(&model["merges"], aliases);
    let rename = |name: &str| match aliases.get(name) {
        // A piece that other pieces are made of, or a single letter, is part of ordinary text.
        Some(alias) if !merged.contains(name) && name.chars().nth(1).is_some() => {
            Some(alias.clone())
        }
        _ => None,
    };
    if let Some(alias) = model["unk_token"].as_str().and_then(rename) {
        model["unk_token"] = alias.into();
    }
    match &mut model["vocab"] {
        Value::Object(vocabulary) => {
            for name in aliases.keys() {
                if let (Some(alias), true) = (rename(name), vocabulary.contains_key(name)) {
                    let id = vocabulary.remove(name).unwrap_or_default();
                    vocabulary.insert(alias, id);
                }
            }
        }
        Value::Array(pieces) => {
            for piece in pieces {
                if let Some(alias) = piece[0].as_str().and_then(rename) {
                    piece[0] = alias.into();
                }
            }
        }
        _ => {}
    }
}

/// The control tokens that take part in merges.
fn merged_names(merges: &Value, aliases: &HashMap<String, String>) -> HashSet<String> {
    let mut names = HashSet::new();
    for merge in merges.as_array().into_iter().flatten() {
        let pair = match merge {
            Value::String(pair) => pair.split_once(' '),
            pair => pair[0].as_str().zip(pair[1].as_str()),
        };
        if let Some((left, right)) = pair {
            for name in [left.to_string(), right.to_string(), format!("{left}{right}")] {
                if aliases.contains_key(&name) {
                    names.insert(name);
                }
            }
        }
    }
    names
}
