//! `{% generation %}` blocks: the parts of a rendering that a template declares to be the assistant's.

/// The filter that the tags are rewritten to.
pub(crate) const FILTER: &str = "mark_generation";

/// A template whose `generation` tags are filter blocks, and whether it had any.
///
/// Only the tag names change, so white space control and line numbers stay as written. Comments, `raw` blocks and
/// strings are left alone.
pub(crate) fn rewrite_tags(source: &str) -> (String, bool) {
    let mut out = String::with_capacity(source.len());
    let mut found = false;
    let mut rest = source;
    while let Some(open) = next_tag(rest) {
        let (before, tag) = rest.split_at(open);
        out.push_str(before);
        let end = if tag.starts_with("{#") {
            tag.find("#}").map_or(tag.len(), |at| at + 2)
        } else {
            tag_end(tag)
        };
        let (tag, after) = tag.split_at(end);
        rest = after;
        match block_name(tag) {
            Some("generation") => out.push_str(&tag.replacen("generation", &filter_tag(), 1)),
            Some("endgeneration") => out.push_str(&tag.replacen("endgeneration", "endfilter", 1)),
            Some("raw") => {
                let raw = raw_end(rest);
                out.push_str(tag);
                out.push_str(&rest[..raw]);
                rest = &rest[raw..];
            }
            _ => out.push_str(tag),
        }
        found |= block_name(tag) == Some("generation");
    }
    out.push_str(rest);
    (out, found)
}

fn filter_tag() -> String {
    format!("filter {FILTER}")
}

/// Byte position of the next `{{`, `{%` or `{#`.
fn next_tag(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    bytes.windows(2).position(|pair| pair[0] == b'{' && matches!(pair[1], b'{' | b'%' | b'#'))
}

/// Byte length of the tag that `text` begins with; strings inside may hold the closing mark.
fn tag_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let close: &[u8] = if text.starts_with("{%") { b"%}" } else { b"}}" };
    let mut quote = None;
    let mut at = 2;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            (Some(_), b'\\') => at += 1,
            (Some(open), byte) if byte == open => quote = None,
            (Some(_), _) => {}
            (None, byte @ (b'"' | b'\'')) => quote = Some(byte),
            (None, _) if bytes[at..].starts_with(close) => return at + 2,
            (None, _) => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The keyword of a block tag; `None` for other tags, and `""` never.
fn block_name(tag: &str) -> Option<&str> {
    let inner = tag.strip_prefix("{%")?.strip_suffix("%}")?;
    let inner = inner.trim_start_matches(['-', '+']).trim_end_matches(['-', '+']).trim();
    let name = inner.split(char::is_whitespace).next().filter(|name| !name.is_empty())?;
    let alone = matches!(name, "generation" | "endgeneration");
    (!alone || inner == name).then_some(name)
}

/// Byte position where the `raw` block that `text` is inside of ends.
fn raw_end(text: &str) -> usize {
    let mut at = 0;
    while let Some(open) = text[at..].find("{%") {
        let start = at + open;
        let end = start + tag_end(&text[start..]);
        if block_name(&text[start..end]) == Some("endraw") {
            return end;
        }
        at = start + 2;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_their_white_space_control() {
        let (text, found) = rewrite_tags("a\n  {%- generation -%} x {%+endgeneration %}\nb");
        assert!(found);
        assert_eq!(text, "a\n  {%- filter mark_generation -%} x {%+endfilter %}\nb");
    }

    #[test]
    fn comments_strings_and_raw_blocks_are_left_alone() {
        let source = "{# {% generation %} #}{{ '{% generation %}' }}{% raw %}{% generation %}{% endraw %}{% set generation = 1 %}";
        assert_eq!(rewrite_tags(source), (source.to_string(), false));
    }

    #[test]
    fn a_string_may_hold_the_closing_mark() {
        let source = "{% if x == '%}' %}{% generation %}y{% endgeneration %}{% endif %}";
        let (text, found) = rewrite_tags(source);
        assert!(found);
        assert_eq!(
            text,
            "{% if x == '%}' %}{% filter mark_generation %}y{% endfilter %}{% endif %}"
        );
    }
}
