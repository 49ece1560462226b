//! Conversations and other groups that have rows in more than one split.

use std::collections::HashMap;
use std::num::NonZeroU64;

use serde_json::{Map, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::finding::Code;
use super::set::{Findings, Kept};

/// Keys under which rows tell what they belong to, the most telling first.
const KEYS: [&str; 8] = [
    "conversation_id",
    "dialogue_id",
    "dialog_id",
    "thread_id",
    "session_id",
    "chat_id",
    "ticket_id",
    "group_id",
];

/// What a row belongs to: the text or number under `key`, or, without one, under the first usual key that has either.
///
/// Usual keys are `conversation_id`, `dialogue_id`, `dialog_id`, `thread_id`, `session_id`, `chat_id`, `ticket_id` and
/// `group_id`.
pub fn group_of(raw: &Map<String, Value>, key: Option<&str>) -> Option<String> {
    let under = |key: &str| match raw.get(key)? {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    match key {
        Some(key) => under(key),
        None => KEYS.into_iter().find_map(under),
    }
}

/// What stands for a group where millions of rows are kept; `None` for one text in 2^64.
pub(super) fn hash(group: &str) -> Option<NonZeroU64> {
    NonZeroU64::new(xxh3_64(group.as_bytes()))
}

/// Adds the rows of other splits whose group has training rows.
///
/// Where one group has more than half of all rows, groups say nothing: the key holds something else.
pub(super) fn compare(rows: &[Kept], findings: &mut Findings) {
    if rows.iter().all(Kept::is_training) {
        return;
    }
    let mut sizes: HashMap<NonZeroU64, usize> = HashMap::new();
    let mut trained: HashMap<NonZeroU64, &Kept> = HashMap::new();
    for row in rows {
        let Some(group) = row.group else { continue };
        *sizes.entry(group).or_default() += 1;
        if row.is_training() {
            trained.entry(group).or_insert(row);
        }
    }
    if sizes.values().any(|size| 2 * size > rows.len()) {
        return;
    }
    for row in rows.iter().filter(|row| !row.is_training()) {
        if let Some(other) = row.group.and_then(|group| trained.get(&group)) {
            findings.add_pair(Code::GroupLeak, row, other, None);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn group(row: Value, key: Option<&str>) -> Option<String> {
        group_of(row.as_object().unwrap(), key)
    }

    #[test]
    fn a_group_is_a_text_or_a_number_under_the_key() {
        let row = json!({ "user": "ann", "thread_id": 7, "flag": true, "none": null, "empty": "" });
        assert_eq!(group(row.clone(), Some("user")).as_deref(), Some("ann"));
        assert_eq!(group(row.clone(), None).as_deref(), Some("7"));
        for key in ["flag", "none", "empty", "missing"] {
            assert_eq!(group(row.clone(), Some(key)), None);
        }
    }

    #[test]
    fn the_first_usual_key_with_a_value_tells_the_group() {
        let row = json!({ "group": "g", "session_id": "s", "conversation_id": null });
        assert_eq!(group(row, None).as_deref(), Some("s"));
        assert_eq!(group(json!({ "category": "ORDER" }), None), None);
    }
}
