//! Tokens of words met before, for tokenizers that look at each word alone.
//!
//! A byte-level tokenizer cuts a text at its added tokens, and then before every space that follows a visible ASCII
//! character, whatever stands further off. So the tokens of a text are those of its words, one after another, and a
//! word that was met before need not be tokenized again. Which tokens a word has, the library alone decides.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{PoisonError, RwLock};

use regex::Regex;
use serde_json::Value;
use tokenizers::{ModelWrapper, Tokenizer};

use crate::render_problem::RenderProblem;
use crate::tokenizer::{encode, Encoded};

/// The most words that are kept; beyond, they are forgotten and gathered anew.
const MOST_WORDS: usize = 1 << 16;
/// The longest word that is kept, in bytes; longer ones hardly come again.
const MOST_BYTES: usize = 64;

/// Patterns no match of which goes on over a space that follows a visible character: Llama 3's and Qwen 2's.
const PATTERNS: [&str; 2] = [
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
];

/// The words of one tokenizer.
pub(crate) struct Words {
    /// Matches any added token.
    added: Option<Regex>,
    ids: TextMap<String, u32>,
    known: RwLock<TextMap<Box<str>, Box<[Token]>>>,
}

type TextMap<K, V> = HashMap<K, V, BuildHasherDefault<TextHasher>>;

/// A hash for short texts in a map of bounded size, which whoever writes the rows may slow down but not fill.
#[derive(Default)]
struct TextHasher(u64);

/// A token and its bytes in its word.
#[derive(Clone, Copy)]
struct Token {
    id: u32,
    start: u8,
    end: u8,
}

impl Hasher for TextHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.write_u64(u64::from_le_bytes(last));
    }

    fn write_u8(&mut self, _: u8) {
        // What a text's hash ends with tells texts in a sequence apart; here each is alone.
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }
}

impl Words {
    /// No words yet; `None` where the tokenizer may look across them.
    ///
    /// `added` matches the longest of its added tokens that starts first.
    pub(crate) fn of(tokenizer: &Tokenizer, added: Option<&Regex>) -> Option<Words> {
        let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
        let normalizer = serde_json::to_value(tokenizer.get_normalizer()).ok()?;
        let pre_tokenizer = serde_json::to_value(tokenizer.get_pre_tokenizer()).ok()?;
        let decoder = tokenizer.get_added_tokens_decoder();
        let plain = decoder.values().all(|token| {
            let as_written = !token.normalized || normalizer.is_null();
            as_written && !(token.single_word || token.lstrip || token.rstrip)
        });
        // Those that are found before normalization win over those that are found after it.
        let of_one_kind = decoder.values().all(|token| token.normalized)
            || decoder.values().all(|token| !token.normalized);
        let alone =
            model.dropout.is_none() && keeps_words(&normalizer) && cuts_words(&pre_tokenizer);
        let tokens = decoder.len();
        let ids: TextMap<String, u32> =
            decoder.into_iter().map(|(id, token)| (token.content, id)).collect();
        let told_apart = ids.len() == tokens;
        (alone && plain && of_one_kind && told_apart).then(|| Words {
            added: added.cloned(),
            ids,
            known: RwLock::default(),
        })
    }

    /// The tokens of a text, every literal a control token: what `tokenizer` gives for it.
    ///
    /// # Errors
    /// What the library says.
    pub(crate) fn encode(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
    ) -> Result<Encoded, RenderProblem> {
        let mut found = Encoded::default();
        let mut new = Vec::new();
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        for part in self.parts(text) {
            let (start, word) = match part {
                Part::Added(start, end, id) => {
                    found.push(id, start, end);
                    continue;
                }
                Part::Word(start, word) => (start, word),
            };
            if let Some(tokens) = known.get(word) {
                for token in tokens {
                    let (from, to) = (usize::from(token.start), usize::from(token.end));
                    found.push(token.id, start + from, start + to);
                }
                continue;
            }
            let encoded = encode(tokenizer, word)?;
            for (id, (from, to)) in encoded.ids.iter().zip(&encoded.offsets) {
                found.push(*id, start + from, start + to);
            }
            if word.len() <= MOST_BYTES && new.len() < MOST_WORDS {
                new.push((word, encoded));
            }
        }
        drop(known);
        self.learn(new);
        Ok(found)
    }

    fn learn(&self, new: Vec<(&str, Encoded)>) {
        if new.is_empty() {
            return;
        }
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        if known.len() + new.len() > MOST_WORDS {
            known.clear();
        }
        for (word, encoded) in new {
            let token = |(id, (start, end)): (&u32, &(usize, usize))| {
                let (start, end) = (u8::try_from(*start).ok()?, u8::try_from(*end).ok()?);
                Some(Token { id: *id, start, end })
            };
            let tokens: Option<Box<[Token]>> =
                encoded.ids.iter().zip(&encoded.offsets).map(token).collect();
            known.extend(tokens.map(|tokens| (Box::from(word), tokens)));
        }
    }

    /// A text cut at its added tokens and before its words.
    fn parts<'t>(&'t self, text: &'t str) -> impl Iterator<Item = Part<'t>> + 't {
        let mut matches = self.added.iter().flat_map(move |added| added.find_iter(text)).peekable();
        let mut at = 0;
        std::iter::from_fn(move || {
            let next = matches.peek().map_or(text.len(), regex::Match::start);
            if at < next {
                let rest = text.get(at..next)?;
                let (start, word) = (at, rest.get(..word_length(rest))?);
                at += word.len();
                return Some(Part::Word(start, word));
            }
            let found = matches.next()?;
            at = found.end();
            let id = self.ids.get(found.as_str()).copied()?;
            Some(Part::Added(found.start(), found.end(), id))
        })
    }
}

/// What a text is cut into.
enum Part<'t> {
    /// An added token: where it starts and ends, and its id.
    Added(usize, usize, u32),
    /// Where a word starts, and the word.
    Word(usize, &'t str),
}

/// Bytes up to the first space that follows a visible character.
fn word_length(text: &str) -> usize {
    let bytes = text.as_bytes();
    let border = |pair: &[u8]| matches!(pair, [before, b' '] if before.is_ascii_graphic());
    bytes.windows(2).position(border).map_or(bytes.len(), |at| at + 1)
}

/// Whether the normalizer turns words into the same whether they stand alone or not.
fn keeps_words(normalizer: &Value) -> bool {
    normalizer.is_null() || normalizer["type"] == "NFC"
}

/// Whether the pre-tokenizer cuts before every space that follows a visible character.
fn cuts_words(pre_tokenizer: &Value) -> bool {
    let steps = match pre_tokenizer["type"].as_str() {
        Some("Sequence") => {
            pre_tokenizer["pretokenizers"].as_array().map_or(&[][..], Vec::as_slice)
        }
        _ => std::slice::from_ref(pre_tokenizer),
    };
    let whole = |step: &Value| step["type"] == "ByteLevel" && step["add_prefix_space"] == false;
    let by_pattern = |step: &Value| {
        let pattern = step["pattern"]["Regex"].as_str();
        step["type"] == "Split"
            && step["behavior"] == "Isolated"
            && step["invert"] == false
            && pattern.is_some_and(|pattern| PATTERNS.contains(&pattern))
    };
    match steps {
        [last] => whole(last) && last["use_regex"] == true,
        [first, last] if first["type"] == "Digits" => whole(last) && last["use_regex"] == true,
        [first, last] => by_pattern(first) && whole(last) && last["use_regex"] == false,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use tokenizers::{AddedToken, PostProcessorWrapper};

    use super::*;
    use crate::tokenizer::any_of;

    #[test]
    fn a_word_ends_before_a_space_behind_a_visible_character() {
        let words = |mut text: &'static str| {
            let mut words = Vec::new();
            while !text.is_empty() {
                let (word, rest) = text.split_at(word_length(text));
                words.push(word);
                text = rest;
            }
            words
        };
        assert_eq!(
            words("user\nwhat's  up, é é 5 x "),
            ["user\nwhat's", "  up,", " é é 5", " x", " "]
        );
        assert_eq!(words("  a"), ["  a"]);
    }

    /// Tokenizers of every kind that is cut into words; those of large models only where they lie beside the checkout.
    fn tokenizers() -> Vec<Tokenizer> {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let fixture = here.join("tests/fixtures/tiny-bytes");
        let large = ["smollm2-135m-instruct", "llama3", "qwen2.5", "gpt2"];
        let large = large.map(|name| here.join("../../../shared/tokenizers").join(name));
        let files =
            std::iter::once(fixture).chain(large).map(|folder| folder.join("tokenizer.json"));
        let load = |file: PathBuf| {
            let mut tokenizer = Tokenizer::from_file(file).unwrap();
            tokenizer.with_post_processor(None::<PostProcessorWrapper>);
            tokenizer
        };
        files.filter(|file| file.exists()).map(load).collect()
    }

    /// A text of pieces that pre-tokenizers treat in different ways, drawn by a number.
    fn text(mut draw: u64, added: &[String]) -> String {
        const PIECES: [&str; 24] = [
            " ", "  ", "\n", "\r\n", "\t", "a", "Hello", " world", "'s", "'LL", "don't", "1", "23",
            "4567", ".", "!?\n", "é", "e\u{301}", "漢字", "\u{a0}", "\u{2003}", "🙂", "\u{200d}",
            " <|",
        ];
        let mut text = String::new();
        for _ in 0..draw % 30 {
            draw = draw
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let at = (draw >> 33) as usize;
            match at % 9 {
                0 if !added.is_empty() => text.push_str(&added[at / 9 % added.len()]),
                _ => text.push_str(PIECES[at / 9 % PIECES.len()]),
            }
        }
        text
    }

    #[test]
    fn a_text_has_the_tokens_that_the_library_gives_whether_its_words_are_known_or_not() {
        for tokenizer in tokenizers() {
            let decoder = tokenizer.get_added_tokens_decoder();
            let mut added: Vec<String> = decoder.into_values().map(|token| token.content).collect();
            added.sort();
            let any = any_of(added.iter().map(String::as_str)).unwrap();
            let words = Words::of(&tokenizer, any.as_ref()).unwrap();
            for draw in 0..3000 {
                let text = text(draw, &added);
                let whole = encode(&tokenizer, &text).unwrap();
                for _ in 0..2 {
                    assert_eq!(words.encode(&tokenizer, &text).unwrap(), whole, "{text:?}");
                }
            }
            assert!(words.known.read().unwrap().len() > 1000);
        }
    }

    #[test]
    fn words_are_forgotten_once_there_are_too_many() {
        let tokenizer = tokenizers().swap_remove(0);
        let words = Words::of(&tokenizer, None).unwrap();
        let text: String = (0..MOST_WORDS + 10).map(|word| format!(" {word:x}")).collect();
        let whole = encode(&tokenizer, &text).unwrap();
        for _ in 0..2 {
            assert_eq!(words.encode(&tokenizer, &text).unwrap(), whole);
            assert!(words.known.read().unwrap().len() <= MOST_WORDS);
        }
    }

    #[test]
    fn tokenizers_that_may_look_across_words_have_none() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tiny-pieces");
        let pieces = Tokenizer::from_file(folder.join("tokenizer.json")).unwrap();
        assert!(Words::of(&pieces, None).is_none());
        let mut bytes = tokenizers().swap_remove(0);
        bytes.add_special_tokens([AddedToken::from("<x>", true).lstrip(true)]).unwrap();
        assert!(Words::of(&bytes, None).is_none());
    }
}
