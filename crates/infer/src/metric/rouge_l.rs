//! ROUGE-L: the longest common subsequence of words.

/// The F1 of the longest common subsequence of words; 0 where either text has no word.
///
/// Source: Lin 2004, section 3.1, equations 2 to 4 with beta 1; tokenised as the `rouge_score`
/// package does without stemming.
pub(super) fn score(output: &str, reference: &str) -> f64 {
    let (output, reference) = (output.to_lowercase(), reference.to_lowercase());
    let (output, reference) = (words(&output), words(&reference));
    if output.is_empty() || reference.is_empty() {
        return 0.0;
    }
    let common = common_subsequence(&output, &reference) as f64;
    2.0 * common / (output.len() as f64 + reference.len() as f64)
}

fn words(lower_case: &str) -> Vec<&str> {
    let in_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let runs = lower_case.split(|c| !in_word(c));
    runs.filter(|run| !run.is_empty()).collect()
}

/// The length of the longest common subsequence, with one row of the table in memory.
fn common_subsequence(a: &[&str], b: &[&str]) -> usize {
    let mut row = vec![0usize; b.len()];
    for word in a {
        let (mut diagonal, mut left) = (0, 0);
        for (other, cell) in b.iter().zip(row.iter_mut()) {
            let above = *cell;
            *cell = if word == other { diagonal + 1 } else { above.max(left) };
            (diagonal, left) = (above, *cell);
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subsequence_may_skip_words_but_not_reorder_them() {
        // Lin 2004, section 3.1: S1 against S2 and S3 at beta 1.
        assert_eq!(score("police kill the gunman", "police killed the gunman"), 0.75);
        assert_eq!(score("the gunman kill police", "police killed the gunman"), 0.5);
    }
}
