//! How much text a number of tokens can hold, so that a text far beyond a limit need not be tokenized to be told.

use serde_json::Value;
use tokenizers::models::bpe::BPE;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{ModelWrapper, Tokenizer};

/// NFC turns at most three bytes into one by decomposing a letter, and at most three again by composing.
const NFC_SHRINKS: usize = 9;

/// The most bytes of text that become one token; `None` where there is no such bound, or it is not known.
///
/// There is none where text can be dropped or stand for an unknown token, and where tokens take white space beside
/// them along.
pub(crate) fn most_bytes_per_token(tokenizer: &Tokenizer) -> Option<usize> {
    let ModelWrapper::BPE(model) = tokenizer.get_model() else { return None };
    let normalizer = serde_json::to_value(tokenizer.get_normalizer()).ok()?;
    let pre_tokenizer = serde_json::to_value(tokenizer.get_pre_tokenizer()).ok()?;
    let shrinks = shrinks(&normalizer)?;
    let takes_along = tokenizer
        .get_added_tokens_decoder()
        .values()
        .any(|token| token.lstrip || token.rstrip || token.normalized && shrinks > 1);
    let whole = keeps_text(&pre_tokenizer) && knows_every_byte(model, &pre_tokenizer);
    let longest = tokenizer.get_vocab(true).keys().map(String::len).max()?;
    (whole && !takes_along).then(|| longest * shrinks)
}

/// How many bytes a normalizer turns into one, at most.
fn shrinks(normalizer: &Value) -> Option<usize> {
    match normalizer["type"].as_str() {
        None if normalizer.is_null() => Some(1),
        Some("Prepend") => Some(1),
        Some("NFC") => Some(NFC_SHRINKS),
        Some("Replace") => {
            let pattern = normalizer["pattern"]["String"].as_str()?;
            (normalizer["content"].as_str()?.len() >= pattern.len()).then_some(1)
        }
        Some("Sequence") => {
            let parts = normalizer["normalizers"].as_array()?;
            parts.iter().map(shrinks).try_fold(1, |all, part| Some(all * part?))
        }
        _ => None,
    }
}

/// Whether every letter of a text is still there once it is cut into words.
fn keeps_text(pre_tokenizer: &Value) -> bool {
    match pre_tokenizer["type"].as_str() {
        None => pre_tokenizer.is_null(),
        Some("ByteLevel" | "Metaspace" | "Digits") => true,
        Some("Split") => pre_tokenizer["behavior"] != "Removed",
        Some("Sequence") => {
            pre_tokenizer["pretokenizers"].as_array().is_some_and(|all| all.iter().all(keeps_text))
        }
        _ => false,
    }
}

/// Whether the vocabulary has a token for each byte, so that nothing is unknown or passed over.
fn knows_every_byte(model: &BPE, pre_tokenizer: &Value) -> bool {
    use tokenizers::Model;
    let by_letters = pre_tokenizer.to_string().contains("\"ByteLevel\"");
    match by_letters {
        true => {
            let mut letters = ByteLevel::alphabet().into_iter();
            letters.all(|letter| model.token_to_id(&letter.to_string()).is_some())
        }
        false => {
            let known = |byte: u8| model.token_to_id(&format!("<0x{byte:02X}>")).is_some();
            model.byte_fallback && (0..=u8::MAX).all(known)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_normalizers_that_keep_the_text_have_a_bound() {
        assert_eq!(shrinks(&json!(null)), Some(1));
        assert_eq!(shrinks(&json!({"type": "NFC"})), Some(9));
        assert_eq!(shrinks(&json!({"type": "Strip"})), None);
        let replace =
            |to: &str| json!({"type": "Replace", "pattern": {"String": " "}, "content": to});
        assert_eq!(shrinks(&replace("▁")), Some(1));
        assert_eq!(shrinks(&replace("")), None);
        let all = json!({"type": "Sequence", "normalizers": [{"type": "NFC"}, replace("▁")]});
        assert_eq!(shrinks(&all), Some(9));
    }

    #[test]
    fn only_cuts_that_remove_nothing_keep_the_text() {
        assert!(keeps_text(&json!(null)));
        assert!(!keeps_text(&json!({"type": "Whitespace"})));
        assert!(!keeps_text(&json!({"type": "Split", "behavior": "Removed"})));
        let parts =
            [json!({"type": "Split", "behavior": "Isolated"}), json!({"type": "ByteLevel"})];
        assert!(keeps_text(&json!({"type": "Sequence", "pretokenizers": parts})));
    }
}
