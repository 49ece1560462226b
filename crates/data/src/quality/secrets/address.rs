//! Addresses of people and of their machines.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use super::surroundings::{after, before, is_word, VERSION};

/// The most letters before the `@`.
///
/// Source: RFC 5321 section 4.5.3.1.1.
const MOST_LOCAL: usize = 64;

/// Endings of files, which end no domain.
const FILE_ENDINGS: [&str; 22] = [
    "png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js", "jsx", "ts", "tsx", "html", "htm",
    "json", "yaml", "yml", "xml", "txt", "pdf", "csv", "log", "php",
];

/// The e-mail address whose `@` and domain are at `place`.
pub(super) fn accept_email(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let left = before(text, place.start);
    let run = after(left, left.trim_end_matches(is_local).len());
    let local = run.trim_start_matches(['.', '-', '+', '\'']);
    let start = place.start - local.len();
    let outside = before(text, start);
    let written = local.starts_with(is_word) && !local.ends_with('.') && local.len() <= MOST_LOCAL;
    // `ssh://git@host` and `git@host:path` name a program's user, `$NAME@host` a variable.
    if !written || local == "git" || outside.ends_with("//") || outside.ends_with('$') {
        return None;
    }
    let domain = without_next_sentence(text.get(place.start + 1..place.end)?);
    is_domain(domain).then_some(start..place.start + 1 + domain.len())
}

fn is_local(letter: char) -> bool {
    is_word(letter) || matches!(letter, '.' | '%' | '+' | '-' | '\'')
}

/// The domain without the word that follows where the space after a full stop is missing.
fn without_next_sentence(domain: &str) -> &str {
    let Some((front, last)) = domain.rsplit_once('.') else {
        return domain;
    };
    let capitalised = last.starts_with(char::is_uppercase) && last.contains(char::is_lowercase);
    match capitalised && front.contains('.') && !front.contains(char::is_uppercase) {
        true => front,
        false => domain,
    }
}

fn is_domain(domain: &str) -> bool {
    let last = domain.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_number = |label: &str| label.chars().all(|letter| letter.is_ascii_digit());
    let is_version = domain.split('.').take(2).all(is_number);
    !FILE_ENDINGS.contains(&last.as_str()) && !is_version && !domain.starts_with('-')
}

/// The IPv4 address at `place`, where it is no private one, version or section.
///
/// Source: RFC 1918 and RFC 6890 for the addresses that lead to nobody.
pub(super) fn accept_ipv4(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let address: Ipv4Addr = text.get(place.clone())?.parse().ok()?;
    let octets = address.octets();
    let [first, ..] = octets;
    let nobody = matches!(first, 0 | 240..=255)
        || address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast();
    // `1.2.3.4` and `8.8.8.8` are sections, versions or public servers.
    let short = octets.iter().all(|octet| *octet < 10);
    let (left, right) = (before(text, place.start), after(text, place.end));
    let mut left_letters = left.chars().rev();
    let joined = match (left_letters.next(), left_letters.next()) {
        (Some('.'), Some(letter)) => letter.is_ascii_digit(),
        (Some('-' | '/'), Some(letter)) => letter.is_alphabetic(),
        _ => false,
    };
    let goes_on = right.strip_prefix('.').is_some_and(|rest| rest.starts_with(is_word));
    let is_address = !nobody && !short && !joined && !goes_on;
    (is_address && !VERSION.precede(text, place.start)).then_some(place)
}

/// The IPv6 address at `place`, where it leads outside and has four groups.
///
/// Source: RFC 4291.
pub(super) fn accept_ipv6(text: &str, place: Range<usize>) -> Option<Range<usize>> {
    let written = text.get(place.clone())?;
    let parsed = |written: &str| written.parse::<Ipv6Addr>().ok();
    let (written, address) = match parsed(written) {
        Some(address) => (written, address),
        None => {
            let trimmed = written.trim_end_matches(':');
            (trimmed, parsed(trimmed)?)
        }
    };
    let groups = || written.split(':').filter(|group| !group.is_empty());
    let [first, ..] = address.segments();
    let local = first & 0xffc0 == 0xfe80 || first & 0xfe00 == 0xfc00 || first & 0xff00 == 0xff00;
    // Four short groups are rather times or ratios.
    let long = groups().count() >= 4 && groups().any(|group| group.len() > 2);
    let range = place.start..place.start + written.len();
    let part = before(text, range.start).ends_with([':', '.']);
    let goes_on = after(text, range.end).starts_with(is_word);
    (long && !local && !part && !goes_on).then_some(range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_sentence_is_no_part_of_a_domain() {
        assert_eq!(without_next_sentence("example.org.Thanks"), "example.org");
        assert_eq!(without_next_sentence("Mail.Example.Org"), "Mail.Example.Org");
        assert_eq!(without_next_sentence("example.Org"), "example.Org");
    }

    #[test]
    fn files_and_versions_are_no_domains() {
        assert!(is_domain("mail.example.org"));
        assert!(!is_domain("2x.png"));
        assert!(!is_domain("4.17.next"));
    }
}
