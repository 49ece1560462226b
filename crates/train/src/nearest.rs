//! The known name that a mistyped one was probably meant to be.

/// The name at the smallest edit distance, where that is at most a third of the key's length.
pub(crate) fn nearest<'a>(key: &str, names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let key = key.to_lowercase().replace('-', "_");
    let distances = names.into_iter().map(|name| (strsim::levenshtein(&key, name), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= key.chars().count().div_ceil(3)).then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_at_most_a_third_of_the_letters_away() {
        let names = ["learning_rate", "lora_alpha", "r"];
        assert_eq!(nearest("learning-rat", names).as_deref(), Some("learning_rate"));
        assert_eq!(nearest("momentum", names), None);
    }
}
