//! Whether an output is JSON.

use serde::de::IgnoredAny;

use super::white_space::trimmed;

/// Whether the text is one JSON value, bare or inside one Markdown code fence.
///
/// Source: RFC 8259 for the value, CommonMark 0.31 section 4.5 for the fence (backticks). Any
/// depth and any size of number is accepted.
pub(super) fn holds(output: &str) -> bool {
    let text = trimmed(output);
    serde_json::from_str::<IgnoredAny>(unfenced(text).unwrap_or(text)).is_ok()
}

fn unfenced(text: &str) -> Option<&str> {
    let ticks = leading_ticks(text);
    let (info, body) = text.get(ticks..)?.split_once('\n')?;
    let (content, closing) = body.rsplit_once('\n')?;
    let closes = leading_ticks(closing) == closing.len() && closing.len() >= ticks;
    (ticks >= 3 && !info.contains('`') && closes).then_some(content)
}

fn leading_ticks(text: &str) -> usize {
    text.len() - text.trim_start_matches('`').len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_counts_bare_or_in_one_fence() {
        for text in [
            "{\"a\": [1, null]}",
            " 12\n",
            "\"x\"",
            "```json\n{}\n```",
            "````\n[]\n````\n",
            "1e999",
        ] {
            assert!(holds(text), "{text:?}");
        }
    }

    #[test]
    fn anything_beside_the_value_does_not() {
        for text in [
            "",
            "here: {}",
            "{} done",
            "{'a': 1}",
            "```json\n{}\n``` done",
            "```\n{}",
            "```\n{}```",
            "{}{}",
            "[1,]",
            "``````",
            "NaN",
        ] {
            assert!(!holds(text), "{text:?}");
        }
    }

    #[test]
    fn deep_nesting_is_judged_without_recursion() {
        let deep = "[".repeat(200_000) + &"]".repeat(200_000);
        assert!(holds(&deep));
        assert!(!holds(&deep[1..]));
    }
}
