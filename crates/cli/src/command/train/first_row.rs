//! The first row as the model sees it, so that a doubled token or a foreign template meets the eye.

/// Characters of the text and ids that are shown.
const CHARACTERS: usize = 160;
const IDS: usize = 12;

/// Two lines on how the row begins: its text, and its ids.
pub fn told(line: usize, text: &str, ids: &[u32], supervised: usize) -> [String; 2] {
    let beginning: String = text.chars().take(CHARACTERS).collect();
    let more = if beginning.len() < text.len() { "…" } else { "" };
    let shown: Vec<String> = ids.iter().take(IDS).map(u32::to_string).collect();
    let dots = if ids.len() > IDS { " …" } else { "" };
    [
        format!(
            "line {line}: {} tokens, {supervised} supervised, begins {beginning:?}{more}",
            ids.len()
        ),
        format!("first ids: {}{dots}", shown.join(" ")),
    ]
}
