//! The order of a row's turns.

use super::finding::Code;
use super::inspect::{tool_calls, Notes};
use crate::example::{Message, Role};

/// Adds turns at the wrong place, and calls that no tool answers.
pub(super) fn faults(turns: &[Message], found: &mut Notes) {
    let spoken: Vec<&Message> = turns.iter().filter(|turn| turn.role != Role::System).collect();
    let leading = turns.iter().take_while(|turn| turn.role == Role::System).count();
    if turns.iter().skip(leading).any(|turn| turn.role == Role::System) {
        found.add(Code::RoleOrder, || "a system message stands inside the conversation".to_owned());
    }
    match spoken.first() {
        Some(first) if matches!(first.role, Role::Assistant | Role::Tool) => {
            found.add(Code::RoleOrder, || format!("role `{}` speaks first", first.role));
        }
        _ => {}
    }
    for pair in spoken.windows(2) {
        let (before, after) = (pair[0], pair[1]);
        let calls = !tool_calls(before).is_empty();
        match (before.role, after.role) {
            (Role::Tool, Role::Tool) => {}
            (a, b) if a == b => {
                found.add(Code::RoleOrder, || format!("role `{a}` speaks twice in a row"));
            }
            (Role::User, Role::Tool) => {
                found.add(Code::RoleOrder, || "a tool answers the user".to_owned());
            }
            (Role::Assistant, Role::Tool) if !calls => {
                found.add(Code::RoleOrder, || "a tool answers that was not called".to_owned());
            }
            _ => {}
        }
        if calls && after.role != Role::Tool {
            found.add(Code::ToolUnanswered, || format!("role `{}` speaks next", after.role));
        }
    }
}
