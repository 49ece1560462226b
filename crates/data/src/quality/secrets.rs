//! Personal data and secrets in the text of training rows, and their replacement by placeholders.
//!
//! Patterns propose and checks decide: check digits, issuers' ranges and the words around a number tell a telephone
//! number or a card from the order numbers, dates and prices that fill a support conversation.

mod address;
mod credential;
mod number;
mod pattern;
mod phone;
mod surroundings;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::ops::Range;

/// What a secret is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SecretKind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// The number of a payment card.
    CardNumber,
    /// An international bank account number.
    Iban,
    /// A number that a state gives to a person.
    NationalId,
    /// A public IP address.
    IpAddress,
    /// A key whose issuer can be told from it.
    ApiKey,
    /// A private key in PEM.
    PrivateKey,
    /// A password, or any value behind the name of one: `api_key=…`, `https://user:…@host`.
    Password,
    /// A bearer or web token, or a string that looks drawn at random.
    Token,
}

/// A secret in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secret {
    /// What it is.
    pub kind: SecretKind,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
}

/// Replaces secrets, and remembers them: the same secret becomes the same placeholder in every text.
///
/// It holds the secrets themselves, so its `Debug` output shows only how many there are.
#[derive(Default)]
pub struct Redaction {
    numbers: BTreeMap<SecretKind, HashMap<String, usize>>,
}

/// The secrets in a text, ascending and not overlapping; of two that overlap, the more specific kind.
///
/// Placeholders such as `[EMAIL_1]` and template slots such as `{{Order Number}}` hold none.
///
/// Units: ranges in bytes of UTF-8.
/// Source: ISO/IEC 7812-1 (cards), ISO 13616-1 (IBAN), ITU-T E.164 (telephone), Shannon 1948 section 6 (entropy).
pub fn find(text: &str) -> Vec<Secret> {
    let candidates = pattern::candidates(text);
    if candidates.is_empty() {
        return candidates;
    }
    let slots = pattern::slots(text);
    let in_slot = |at: usize| {
        let next = slots.partition_point(|slot| slot.end <= at);
        slots.get(next).is_some_and(|slot| slot.start <= at)
    };
    let mut found: BTreeMap<usize, Secret> = BTreeMap::new();
    for secret in candidates {
        let Range { start, end } = secret.range;
        // Those found do not overlap, so the last one to begin before the end also ends last.
        let last = found.range(..end).next_back().map_or(0, |(_, other)| other.range.end);
        if last <= start && !in_slot(start) && !in_slot(end.saturating_sub(1)) {
            found.insert(start, secret);
        }
    }
    found.into_values().collect()
}

impl SecretKind {
    /// The kind as machines read it.
    pub fn code(self) -> &'static str {
        match self {
            SecretKind::Email => "email",
            SecretKind::Phone => "phone",
            SecretKind::CardNumber => "card_number",
            SecretKind::Iban => "iban",
            SecretKind::NationalId => "national_id",
            SecretKind::IpAddress => "ip_address",
            SecretKind::ApiKey => "api_key",
            SecretKind::PrivateKey => "private_key",
            SecretKind::Password => "password",
            SecretKind::Token => "token",
        }
    }

    /// The kind as people read it.
    pub fn name(self) -> &'static str {
        match self {
            SecretKind::Email => "e-mail address",
            SecretKind::Phone => "telephone number",
            SecretKind::CardNumber => "card number",
            SecretKind::Iban => "bank account number",
            SecretKind::NationalId => "national id number",
            SecretKind::IpAddress => "IP address",
            SecretKind::ApiKey => "API key",
            SecretKind::PrivateKey => "private key",
            SecretKind::Password => "password",
            SecretKind::Token => "access token",
        }
    }

    /// Whether who has it can act as its owner; the other kinds are personal data.
    pub fn is_credential(self) -> bool {
        use SecretKind::{ApiKey, Password, PrivateKey, Token};
        matches!(self, ApiKey | PrivateKey | Password | Token)
    }

    /// The word in the placeholders of this kind; [`pattern::slots`] knows them all.
    fn placeholder(self) -> &'static str {
        match self {
            SecretKind::Email => "EMAIL",
            SecretKind::Phone => "PHONE",
            SecretKind::CardNumber => "CARD_NUMBER",
            SecretKind::Iban => "IBAN",
            SecretKind::NationalId => "NATIONAL_ID",
            SecretKind::IpAddress => "IP_ADDRESS",
            SecretKind::ApiKey => "API_KEY",
            SecretKind::PrivateKey => "PRIVATE_KEY",
            SecretKind::Password => "PASSWORD",
            SecretKind::Token => "TOKEN",
        }
    }

    /// A secret without what may vary in how it is written.
    fn canonical(self, secret: &str) -> String {
        match self {
            SecretKind::Email => secret.to_lowercase(),
            SecretKind::Phone
            | SecretKind::CardNumber
            | SecretKind::Iban
            | SecretKind::NationalId => {
                let significant = |letter: &char| letter.is_ascii_alphanumeric() || *letter == '+';
                secret.to_ascii_uppercase().chars().filter(significant).collect()
            }
            _ => secret.to_owned(),
        }
    }
}

impl Redaction {
    /// A redaction that has seen no secret yet.
    pub fn new() -> Redaction {
        Redaction::default()
    }

    /// The text with its secrets replaced, as in `[EMAIL_1]`; `None` where it has none.
    ///
    /// The result holds no secret: redacting it again gives `None`.
    pub fn redact(&mut self, text: &str) -> Option<String> {
        let mut redacted = self.replace(text)?;
        // What stood beside a secret may look like one now that it stands alone.
        while let Some(again) = self.replace(&redacted) {
            redacted = again;
        }
        Some(redacted)
    }

    /// How many different secrets of each kind were replaced.
    pub fn counts(&self) -> BTreeMap<SecretKind, usize> {
        self.numbers.iter().map(|(kind, numbers)| (*kind, numbers.len())).collect()
    }

    fn replace(&mut self, text: &str) -> Option<String> {
        let secrets = find(text);
        if secrets.is_empty() {
            return None;
        }
        let mut replaced = String::with_capacity(text.len());
        let mut behind = 0;
        for Secret { kind, range } in secrets {
            let number = self.number(kind, text.get(range.clone()).unwrap_or_default());
            replaced.push_str(text.get(behind..range.start).unwrap_or_default());
            replaced.push_str(&format!("[{}_{number}]", kind.placeholder()));
            behind = range.end;
        }
        replaced.push_str(text.get(behind..).unwrap_or_default());
        Some(replaced)
    }

    /// The number of a secret within its kind, from 1 in the order of their appearance.
    fn number(&mut self, kind: SecretKind, secret: &str) -> usize {
        let numbers = self.numbers.entry(kind).or_default();
        let next = numbers.len() + 1;
        *numbers.entry(kind.canonical(secret)).or_insert(next)
    }
}

impl fmt::Debug for Redaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redaction").field("counts", &self.counts()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
