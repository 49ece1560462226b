//! Credentials: keys, tokens and passwords.

use std::collections::BTreeSet;
use std::ops::Range;

use super::surroundings::{after, before, ending, is_word, stands_alone, KEY};

/// Bits per letter from which on a string looks drawn at random.
const RANDOM_BITS: f64 = 4.0;

/// The most letters of a token; what is longer is data.
const LONGEST_TOKEN: usize = 2048;

/// Different letters that a key has at least; placeholders such as `sk-xxxxxxxx` have fewer.
const KEY_LETTERS: usize = 8;

/// What programs call the objects that hold their settings.
const ROOTS: [&str; 12] = [
    "app", "args", "config", "env", "options", "os", "params", "process", "request", "self",
    "settings", "this",
];

/// The private key whose first line is at `place`, up to its last line or else the end of the text.
///
/// Source: RFC 7468.
pub(super) fn accept_private_key(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    const LAST_LINE: &str = "-----END ";
    let behind = after(text, place.end);
    let (body, end, least) = match behind.find(LAST_LINE) {
        Some(at) => {
            let name = after(behind, at + LAST_LINE.len());
            let rest = name.find("-----").map_or("", |dashes| after(name, dashes + 5));
            (before(behind, at), text.len() - rest.len(), 16)
        }
        // Without a last line, only a whole line of key makes the rest of the text one.
        None => (behind, text.len(), 32),
    };
    let is_base64 = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '/');
    let longest = body.split(|letter: char| !is_base64(letter)).take(64).map(str::len).max();
    (longest >= Some(least)).then_some(place.start..end)
}

/// The key at `place`, whose issuer its first letters name.
pub(super) fn accept_api_key(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let key = text.get(place.clone())?;
    let varied = key.bytes().collect::<BTreeSet<u8>>().len() >= KEY_LETTERS;
    // `sk-learn-2-guide` is made of words and numbers.
    let is_plain = |part: &str| {
        part.bytes().all(|byte| byte.is_ascii_lowercase())
            || part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let in_words = key.split(['-', '_']).all(is_plain);
    (varied && !in_words && stands_alone(text, &place)).then_some(place)
}

/// The Telegram bot token whose second half, colon included, is at `place`.
pub(super) fn accept_telegram(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let left = before(text, place.start);
    let start = left.trim_end_matches(|letter: char| letter.is_ascii_digit()).len();
    let range = start..place.end;
    let numbered = (8..=10).contains(&(place.start - start));
    (numbered && stands_alone(text, &range)).then_some(range)
}

/// The JSON web token at `place`.
///
/// Source: RFC 7519; `eyJ` is `{"` in base64url.
pub(super) fn accept_jwt(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    stands_alone(text, &place).then_some(place)
}

/// The token behind the word `Bearer` at `place`.
///
/// Source: RFC 6750 section 2.1.
pub(super) fn accept_bearer(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let is_token = |letter: char| {
        letter.is_ascii_alphanumeric() || matches!(letter, '-' | '.' | '_' | '~' | '+' | '/' | '=')
    };
    let rest = after(text, place.end);
    let length = rest.find(|letter: char| !is_token(letter)).unwrap_or(rest.len());
    let token = before(rest, length).trim_end_matches('.');
    let has_digit = token.contains(|letter: char| letter.is_ascii_digit());
    let has_letter = token.contains(|letter: char| letter.is_ascii_alphabetic());
    (token.len() >= 16 && has_digit && has_letter).then_some(place.end..place.end + token.len())
}

/// The password in the user info of the URL whose `://user:password@` is at `place`.
///
/// Source: RFC 3986 section 3.2.1.
pub(super) fn accept_url_password(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let info = text.get(place.clone())?.strip_prefix("://")?.strip_suffix('@')?;
    let (_, password) = info.split_once(':')?;
    let range = place.end - 1 - password.len()..place.end - 1;
    (!is_placeholder(password)).then_some(range)
}

/// The value behind the name of a password or key and its separator, both at `place`.
pub(super) fn accept_password(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let name = text.get(place.clone())?;
    let value = value_at(text, place.end)?;
    let written = text.get(value.clone())?;
    let has_digit = written.contains(|letter: char| letter.is_ascii_digit());
    // `password is wrong` is talk, `password is 756987` is not.
    let told = name.contains([':', '=']) || has_digit;
    let is_mark = |letter: char| "!@#$%^&*+~?|".contains(letter);
    let is_secret = written.chars().count() >= 6 && (has_digit || written.contains(is_mark));
    let is_other = is_placeholder(written) || is_code(written) || is_email(written);
    (told && is_secret && !is_other).then_some(value)
}

/// The place of the value that begins at the byte `at`, without its quotes.
fn value_at(text: &str, at: usize) -> Option<Range<usize>> {
    let rest = after(text, at);
    let quote = rest.chars().next().filter(|letter| matches!(letter, '"' | '\'' | '`'));
    let in_query = before(text, at).ends_with('=');
    let start = at + usize::from(quote.is_some());
    let rest = after(text, start);
    let ends = |letter: char| match quote {
        Some(quote) => letter == quote || letter.is_whitespace(),
        None => {
            letter.is_whitespace() || matches!(letter, '"' | '`') || (in_query && letter == '&')
        }
    };
    let value = before(rest, rest.find(ends).unwrap_or(rest.len()));
    let value = match quote {
        Some(_) => value,
        None => {
            value.trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']', '}', '>', '*', '\''])
        }
    };
    (!value.is_empty()).then_some(start..start + value.len())
}

/// Whether a value stands for one that somebody is to write.
fn is_placeholder(value: &str) -> bool {
    let lower = value.to_ascii_lowercase();
    let variable = value.strip_prefix('$').is_some_and(|name| {
        name.starts_with(['{', '(']) || !name.contains(|letter: char| letter.is_ascii_lowercase())
    });
    let words = ["your", "example", "placeholder", "redacted", "changeme", "xxxx", "***", "..."];
    let letters: BTreeSet<char> = value.chars().collect();
    variable
        || value.starts_with(['<', '[', '{'])
        || value.contains("{{")
        || matches!(lower.as_str(), "%s" | "%d")
        || value.starts_with("%(")
        || (value.len() > 1 && letters.len() == 1)
        || words.iter().any(|word| lower.contains(word))
}

/// Whether a value is a call, a path, a URL or an attribute in a program.
fn is_code(value: &str) -> bool {
    let is_name = |part: &str| {
        part.starts_with(|letter: char| letter.is_ascii_alphabetic()) && part.chars().all(is_word)
    };
    let (head, called) = match value.find(['(', '[']) {
        Some(at) => (before(value, at), true),
        None => (value, false),
    };
    let (root, _) = head.split_once('.').unwrap_or_default();
    let is_attribute = head.split('.').all(is_name) && (called || ROOTS.contains(&root));
    let is_path = value.starts_with(['/', '.', '~']) && value.matches('/').count() > 1;
    is_attribute || is_path || value.starts_with([':', '=']) || value.contains("://")
}

fn is_email(value: &str) -> bool {
    let last = value.split_once('@').and_then(|(_, domain)| domain.rsplit_once('.'));
    last.is_some_and(|(_, last)| {
        last.len() > 1 && last.chars().all(|letter| letter.is_ascii_alphabetic())
    })
}

/// The hexadecimal key at `place`, where it is called one; others are digests.
pub(super) fn accept_hex_key(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let named = matches!(place.len(), 32 | 40 | 64) && KEY.precede(text, place.start);
    let varied = text.get(place.clone())?.bytes().collect::<BTreeSet<u8>>().len() >= KEY_LETTERS;
    (named && varied && stands_alone(text, &place)).then_some(place)
}

/// The token at `place`, where its letters look drawn at random.
pub(super) fn accept_random(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let run = text.get(place.clone())?;
    // What stands before the `=` is the token's name.
    let name = run.trim_end_matches('=').rfind('=').map_or(0, |at| at + 1);
    let range = place.start + name..place.end;
    let token = text.get(range.clone())?;
    let is_random = (24..=LONGEST_TOKEN).contains(&token.len())
        && token.contains(|letter: char| letter.is_ascii_uppercase())
        && token.contains(|letter: char| letter.is_ascii_lowercase())
        && token.contains(|letter: char| letter.is_ascii_digit())
        && word_share(token) < 0.3
        && bits_per_letter(token) >= RANDOM_BITS;
    (is_random && !is_reference(text, &range) && !is_digest(token)).then_some(range)
}

/// The share of the letters in runs of four small letters and more, as words and names have them.
fn word_share(token: &str) -> f64 {
    let runs = token.split(|letter: char| !letter.is_ascii_lowercase()).map(str::len);
    let in_words: usize = runs.filter(|run| *run >= 4).sum();
    in_words as f64 / token.len().max(1) as f64
}

/// The entropy of a token's letters.
///
/// Units: bits per letter.
/// Source: Shannon 1948, "A Mathematical Theory of Communication", section 6.
fn bits_per_letter(token: &str) -> f64 {
    let mut counts = [0u32; 256];
    for byte in token.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = token.len().max(1) as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    shares.map(|share| -share * share.log2()).sum()
}

/// Whether a token belongs to a URL, a path, a file name or embedded data.
fn is_reference(text: &str, range: &Range<usize>) -> bool {
    let token = text.get(range.clone()).unwrap_or_default();
    let left = ending(before(text, range.start), 256);
    let ends = |letter: char| letter.is_whitespace() || "\"'`<>(){}[],|".contains(letter);
    let word = left.rsplit(ends).next().unwrap_or_default();
    let slashes = token.matches('/').count();
    let is_path = slashes * 12 > token.len() || (token.starts_with('/') && slashes > 1);
    let right = after(text, range.end).strip_prefix('.').unwrap_or_default();
    let suffix: String = right.chars().take_while(|letter| is_word(*letter)).collect();
    let is_file = (2..=4).contains(&suffix.len()) && !suffix.contains(char::is_uppercase);
    is_path || is_file || word.contains("://") || word.contains("www.") || left.ends_with("base64,")
}

/// Whether a token is a UUID, a digest in hexadecimal or one with its algorithm's name.
fn is_digest(token: &str) -> bool {
    let is_hex = |letter: char| letter.is_ascii_hexdigit() || letter == '-';
    let named = ["sha256-", "sha384-", "sha512-"];
    token.chars().all(is_hex) || named.iter().any(|name| token.starts_with(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropy_of_equal_shares_is_their_logarithm() {
        assert_eq!(bits_per_letter("aaaa"), 0.0);
        assert_eq!(bits_per_letter("abab"), 1.0);
        assert_eq!(bits_per_letter("abcdefghijklmnop"), 4.0);
    }

    #[test]
    fn words_are_runs_of_small_letters() {
        assert_eq!(word_share("Order-Kind"), 0.4);
        assert_eq!(word_share("q7Zt3LkP"), 0.0);
    }

    #[test]
    fn a_value_ends_at_its_quote_or_at_white_space() {
        let value = |text: &'static str| value_at(text, 2).map(|range| &text[range]);
        assert_eq!(value("p=\"a b\""), Some("a"));
        assert_eq!(value("p='ab'c"), Some("ab"));
        assert_eq!(value("p=ab&c=d"), Some("ab"));
        assert_eq!(value("p:ab&cd, ef"), Some("ab&cd"));
        assert_eq!(value("p="), None);
    }

    #[test]
    fn placeholders_and_code_are_no_secrets() {
        for value in
            ["<key1>", "{{key1}}", "********", "YOUR_KEY_1", "$API_KEY1", "${key1}", "%(p1)s"]
        {
            assert!(is_placeholder(value), "{value}");
        }
        for value in ["b64.encode(x", "self.oauth2.key", "/etc/pass/1", "=x1", "http://a1"] {
            assert!(is_code(value), "{value}");
        }
        for value in ["hunter2", "$ecret123", "a.1b.c", "p@ss.w0rd"] {
            assert!(!is_placeholder(value) && !is_code(value), "{value}");
        }
    }
}
