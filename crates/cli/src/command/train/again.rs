//! Command lines to be typed again.

const RESUME: [&str; 2] = ["--resume-from-checkpoint", "--resume_from_checkpoint"];

/// The command line of an interrupted run, with the flag that resumes it.
pub fn command_to_resume(words: impl IntoIterator<Item = String>) -> String {
    let mut kept: Vec<String> = Vec::new();
    let mut words = words.into_iter().peekable();
    while let Some(word) = words.next() {
        let flag = word.split('=').next().unwrap_or_default();
        if !RESUME.contains(&flag) {
            kept.push(word);
            continue;
        }
        // The flag's value, where it stands in a word of its own.
        if flag == word {
            words.next_if(|value| !value.starts_with("--"));
        }
    }
    kept.extend(["--resume-from-checkpoint".to_owned(), "true".to_owned()]);
    quoted(kept.iter().map(String::as_str))
}

/// The words as a shell reads them.
pub fn quoted<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./=:,+@%…".contains(c);
    let quote = |word: &str| match word {
        word if !word.is_empty() && word.chars().all(plain) => word.to_owned(),
        word => format!("'{}'", word.replace('\'', r"'\''")),
    };
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resumed(line: &[&str]) -> String {
        command_to_resume(line.iter().map(|word| (*word).to_owned()))
    }

    #[test]
    fn the_command_is_repeated_with_one_flag_to_resume() {
        let expected = "tunewise train --data 'my data' --r 4 --resume-from-checkpoint true";
        assert_eq!(resumed(&["tunewise", "train", "--data", "my data", "--r", "4"]), expected);
        for earlier in [
            &["--resume-from-checkpoint"][..],
            &["--resume-from-checkpoint", "run/checkpoint-3"],
            &["--resume_from_checkpoint=true"],
        ] {
            let mut line = vec!["tunewise", "train"];
            line.extend(earlier);
            line.extend(["--data", "my data", "--r", "4"]);
            assert_eq!(resumed(&line), expected, "{earlier:?}");
        }
    }

    #[test]
    fn a_quotation_mark_survives_the_shell() {
        assert_eq!(quoted(["it's", ""]), r"'it'\''s' ''");
    }
}
