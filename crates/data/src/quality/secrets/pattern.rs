//! The patterns that propose candidates, each with the check that decides, and what a text must have to try them.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::{address, credential, number, phone, Secret, SecretKind};

/// One shape of a secret.
struct Rule {
    kind: SecretKind,
    pattern: &'static str,
    /// Whether a text can hold a match at all.
    wanted: fn(&Signals) -> bool,
    /// The secret that belongs to a match of the pattern, if it is one.
    check: fn(&str, Range<usize>) -> Option<Range<usize>>,
    retry: Retry,
}

/// Where the search goes on after a match that is no secret.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Retry {
    /// Behind the match; patterns without bound need this to stay linear.
    Behind,
    /// Inside the match, where numbers with spaces may begin too early.
    Inside,
}

/// The rules, the most specific first.
static RULES: &[Rule] = &[
    Rule {
        kind: SecretKind::PrivateKey,
        pattern: r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
        wanted: |signals| signals.dashes >= 5,
        check: credential::accept_private_key,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::Token,
        pattern: r"(?-u:\b)eyJ[A-Za-z0-9_-]{12,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{8,}",
        wanted: |signals| signals.run >= 15 && signals.dots >= 2,
        check: credential::accept_jwt,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::ApiKey,
        pattern: r"(?-u:\b)(?:A[KS]IA[A-Z0-9]{16}|gh[pousr]_[A-Za-z0-9]{30,}|github_pat_[A-Za-z0-9_]{22,}|sk-[A-Za-z0-9_-]{17,}|xox[baprs]-[A-Za-z0-9-]{12,}|AIza[A-Za-z0-9_-]{35}|[spr]k_live_[A-Za-z0-9]{10,}|npm_[A-Za-z0-9]{36}|pypi-[A-Za-z0-9_-]{16,}|hf_[A-Za-z0-9]{28,})",
        wanted: |signals| signals.run >= 16,
        check: credential::accept_api_key,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::ApiKey,
        pattern: r":AA[A-Za-z0-9_-]{33}",
        wanted: |signals| signals.run >= 35 && signals.number >= 8,
        check: credential::accept_telegram,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::Password,
        pattern: r"://[^\s/?#@:]*:[^\s/?#@]+@",
        wanted: |signals| signals.at && signals.colons >= 2,
        check: credential::accept_url_password,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::Iban,
        pattern: r"(?-u:\b)[A-Za-z]{2}[0-9]{2}",
        wanted: |signals| signals.number >= 8,
        check: number::accept_iban,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::CardNumber,
        pattern: r"(?-u:\b)(?:[0-9]{13,19}|[0-9]{4}[ -][0-9]{4}[ -][0-9]{4}[ -][0-9]{1,4}(?:[ -][0-9]{1,3})?|[0-9]{4}[ -][0-9]{6}[ -][0-9]{4,5})(?-u:\b)",
        wanted: |signals| signals.number >= 13,
        check: number::accept_card,
        retry: Retry::Inside,
    },
    Rule {
        kind: SecretKind::NationalId,
        pattern: r"(?-u:\b)[0-9]{3}-[0-9]{2}-[0-9]{4}(?-u:\b)",
        wanted: |signals| signals.number >= 9,
        check: number::accept_social_security,
        retry: Retry::Inside,
    },
    Rule {
        kind: SecretKind::NationalId,
        pattern: r"(?-u:\b)[A-Za-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-Da-d](?-u:\b)",
        wanted: |signals| signals.number >= 6,
        check: number::accept_national_insurance,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::NationalId,
        pattern: r"(?-u:\b)(?:[0-9]{8}|[0-9]{2}\.[0-9]{3}\.[0-9]{3}|[XYZ]-?[0-9]{7})-?[A-Z](?-u:\b)",
        wanted: |signals| signals.number >= 7,
        check: number::accept_dni,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::NationalId,
        pattern: r"(?-u:\b)[12][ .-]?[0-9]{2}[ .-]?(?:0[1-9]|1[0-2])[ .-]?(?:[0-9]{2}|2[ABab])[ .-]?[0-9]{3}[ .-]?[0-9]{3}[ .-]?[0-9]{2}(?-u:\b)",
        wanted: |signals| signals.number >= 8,
        check: number::accept_nir,
        retry: Retry::Inside,
    },
    Rule {
        kind: SecretKind::NationalId,
        pattern: r"(?-u:\b)[1-9][0-9](?: ?[0-9]{3}){3}(?-u:\b)",
        wanted: |signals| signals.number >= 11,
        check: number::accept_tax_id,
        retry: Retry::Inside,
    },
    Rule {
        kind: SecretKind::IpAddress,
        pattern: r"(?-u:\b)(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?-u:\b)",
        wanted: |signals| signals.dots >= 3 && signals.number >= 4,
        check: address::accept_ipv4,
        retry: Retry::Inside,
    },
    Rule {
        kind: SecretKind::IpAddress,
        pattern: r"(?-u:\b)[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){3,8}",
        wanted: |signals| signals.colons >= 3 && signals.number >= 1,
        check: address::accept_ipv6,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::Phone,
        pattern: r"(?x)
            \+[1-9][0-9]{0,14}\)?(?:[\x20\u{a0}\u{202f}\u{2011}.-]{0,2}\([0-9]{1,5}\))?(?:[\x20\u{a0}\u{202f}\u{2011}.-]{0,2}[0-9])?(?:[\x20\u{a0}\u{202f}\u{2011}./-]?[0-9]{2,14}){0,6}(?-u:\b)
            | (?:(?-u:\b)1[\x20\u{a0}.-]?)?\([0-9]{3}\)[\x20\u{a0}.-]{0,2}[0-9]{3}[\x20\u{a0}\u{2011}.-]?[0-9]{4}(?-u:\b)
            | \([0-9]{2,5}\)[\x20\u{a0}.-]{0,2}[0-9]{2,8}(?:[\x20\u{a0}\u{202f}\u{2011}.-][0-9]{2,8}){0,4}(?-u:\b)
            | (?-u:\b)(?:1[\x20\u{a0}\u{2011}.-])?[0-9]{3}[\x20\u{a0}\u{2011}.-][0-9]{3}[\x20\u{a0}\u{2011}.-][0-9]{4}(?-u:\b)
            | (?-u:\b)[0-9]{2,6}(?:[\x20\u{a0}\u{202f}\u{2011}./-][0-9]{2,8}){1,5}(?-u:\b)
            | (?-u:\b)[0-9]{9,12}(?-u:\b)",
        wanted: |signals| signals.number >= 8,
        check: phone::accept_phone,
        retry: Retry::Inside,
    },
    Rule {
        kind: SecretKind::Token,
        pattern: r"(?i-u:\bbearer)[ \t:]+",
        wanted: |signals| signals.run >= 8 && signals.number >= 1,
        check: credential::accept_bearer,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::Password,
        pattern: r#"(?i-u)(?:passw(?:or)?d|pwd|secret(?:[ _-]?(?:access[_-]?)?key)?|api[ _-]?key|token)["'`*]{0,3}[ \t]{0,3}(?:={1,3}>?|:=?)\*{0,2}[ \t]{0,3}|(?i-u)(?:passw(?:or)?d|pwd)[ \t]{1,3}is[ \t]{1,3}"#,
        wanted: |signals| signals.assigned || signals.colons > 0 || signals.number > 0,
        check: credential::accept_password,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::Email,
        pattern: r"@(?:[A-Za-z0-9\u{c0}-\u{24f}-]+\.)+[A-Za-z]{2,24}",
        wanted: |signals| signals.at,
        check: address::accept_email,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::Token,
        pattern: r"(?-u:\b)[0-9A-Fa-f]{32,64}(?-u:\b)",
        wanted: |signals| signals.run >= 32,
        check: credential::accept_hex_key,
        retry: Retry::Behind,
    },
    Rule {
        kind: SecretKind::Token,
        pattern: r"[A-Za-z0-9_/+=-]{24,}",
        wanted: |signals| signals.run >= 24 && signals.number >= 1,
        check: credential::accept_random,
        retry: Retry::Behind,
    },
];

/// The compiled patterns of [`RULES`]; a test holds that each compiles.
static PATTERNS: LazyLock<Vec<Option<Regex>>> =
    LazyLock::new(|| RULES.iter().map(|rule| Regex::new(rule.pattern).ok()).collect());

/// Placeholders of an earlier redaction, and slots of a template.
static SLOTS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(SLOT).ok());

const SLOT: &str = r"\{\{[^{}\n]{0,64}\}\}|\[(?:EMAIL|PHONE|CARD_NUMBER|IBAN|NATIONAL_ID|IP_ADDRESS|API_KEY|PRIVATE_KEY|PASSWORD|TOKEN)_[0-9]+\]";

/// Everything in a text that may be a secret: the most specific kind first, and overlapping.
pub(super) fn candidates(text: &str) -> Vec<Secret> {
    let signals = Signals::of(text);
    let mut found = Vec::new();
    for (rule, pattern) in RULES.iter().zip(PATTERNS.iter()) {
        if let Some(pattern) = pattern.as_ref().filter(|_| (rule.wanted)(&signals)) {
            rule.collect(pattern, text, &mut found);
        }
    }
    found
}

/// The places of a text that stand for something that is not there, ascending.
pub(super) fn slots(text: &str) -> Vec<Range<usize>> {
    let slots = SLOTS.as_ref().map(|pattern| pattern.find_iter(text).map(|slot| slot.range()));
    slots.into_iter().flatten().collect()
}

impl Rule {
    fn collect(&self, pattern: &Regex, text: &str, found: &mut Vec<Secret>) {
        let mut at = 0;
        while let Some(place) = pattern.find_at(text, at) {
            // Each match begins with an ASCII letter, so the next byte begins a letter too.
            let inside = place.start() + 1;
            at = match (self.check)(text, place.range()) {
                Some(range) => {
                    let end = range.end;
                    found.push(Secret { kind: self.kind, range });
                    end.max(inside)
                }
                None if self.retry == Retry::Inside => inside,
                None => place.end(),
            };
        }
    }
}

/// What one pass over a text's bytes tells, so that most texts need few patterns or none.
#[derive(Debug, Default, PartialEq, Eq)]
struct Signals {
    at: bool,
    /// Whether there is a `=`.
    assigned: bool,
    colons: usize,
    dots: usize,
    /// The most dashes in a row.
    dashes: usize,
    /// The most digits in a row, with what may stand between the digits of one number.
    number: usize,
    /// The longest row of letters that tokens are made of.
    run: usize,
}

impl Signals {
    /// The most bytes between two digits of one number, as in `(0) 20` or with spaces beyond ASCII.
    const GAP: usize = 3;

    fn of(text: &str) -> Signals {
        let mut signals = Signals::default();
        let (mut number, mut gap, mut run, mut dashes) = (0, 0, 0, 0);
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => {
                    number += 1;
                    gap = 0;
                    signals.number = signals.number.max(number);
                }
                b' ' | b'(' | b')' | b'.' | b'-' | b'/' | 0x80..=0xff if gap < Signals::GAP => {
                    gap += 1
                }
                _ => number = 0,
            }
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' | b'/' | b'+' | b'=' => {
                    run += 1;
                    signals.run = signals.run.max(run);
                }
                _ => run = 0,
            }
            dashes = if byte == b'-' { dashes + 1 } else { 0 };
            signals.dashes = signals.dashes.max(dashes);
            signals.at |= byte == b'@';
            signals.assigned |= byte == b'=';
            signals.colons += usize::from(byte == b':');
            signals.dots += usize::from(byte == b'.');
        }
        signals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for (rule, pattern) in RULES.iter().zip(PATTERNS.iter()) {
            assert!(pattern.is_some(), "{:?}: {}", rule.kind, rule.pattern);
        }
        assert!(SLOTS.is_some());
    }

    #[test]
    fn ordinary_talk_wants_no_pattern() {
        let signals = Signals::of("can you tell me where my parcel is, please?");
        assert!(RULES.iter().all(|rule| !(rule.wanted)(&signals)));
    }

    #[test]
    fn signals_count_the_digits_of_one_number_together() {
        assert_eq!(Signals::of("+44 (0)20 7946 0958").number, 13);
        assert_eq!(Signals::of("+33\u{202f}6\u{202f}12").number, 5);
        assert_eq!(Signals::of("12 and 34, 567").number, 3);
        let signals = Signals::of("a=b-c/d: e---@.");
        let expected =
            Signals { at: true, assigned: true, colons: 1, dots: 1, dashes: 3, number: 0, run: 7 };
        assert_eq!(signals, expected);
    }

    #[test]
    fn slots_are_placeholders_and_template_variables() {
        assert_eq!(slots("a [EMAIL_1] {{Order Number}} [x_1]"), [2..11, 12..28]);
    }
}
