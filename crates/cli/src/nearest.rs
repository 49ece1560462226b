//! The name that a misspelt one was meant to be.

/// A hint that names the nearest of the known names, or another where none is near.
pub fn hint(name: &str, known: &[String], otherwise: &str) -> String {
    let wanted = name.trim().to_lowercase();
    let begins = |known: &&String| wanted.len() >= 3 && known.starts_with(&wanted);
    let close = || {
        let near = known.iter().map(|known| (strsim::levenshtein(&wanted, known), known));
        let near = near.filter(|(steps, known)| *steps <= known.len().div_ceil(3));
        near.min_by_key(|(steps, _)| *steps).map(|(_, known)| known)
    };
    match known.iter().find(begins).or_else(close) {
        Some(near) => format!("did you mean `{near}`?"),
        None => otherwise.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_or_cut_name_finds_the_one_it_was_meant_to_be() {
        let known = ["zero-shot", "few-shot", "tuned"].map(str::to_owned);
        assert_eq!(hint("few", &known, "none"), "did you mean `few-shot`?");
        assert_eq!(hint("Zero_shot", &known, "none"), "did you mean `zero-shot`?");
        assert_eq!(hint("prompt", &known, "none"), "none");
    }
}
