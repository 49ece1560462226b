//! White space as the published metrics see it: they run on Python's `str.split` and `str.strip`.

/// Whether Python counts the character as white space.
///
/// Source: Python's `str.isspace`, which is Unicode's White_Space plus the four separators
/// U+001C to U+001F.
pub(super) fn is_white_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// The text without white space at both ends.
pub(super) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_white_space)
}

/// The words between white space, in order.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_white_space).filter(|word| !word.is_empty())
}
