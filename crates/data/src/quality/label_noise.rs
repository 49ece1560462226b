//! How suspicious labels are: whether the texts most like a row's own have another label.
//!
//! Source: Wilson, Asymptotic Properties of Nearest Neighbor Rules Using Edited Data, 1972 (a row whose neighbours have
//! another label is edited out); Brodley and Friedl, Identifying Mislabeled Training Data, 1999 (filters for labels).

use std::collections::HashMap;

use super::word_space::{Near, WordSpace, NEIGHBOURS};

/// What a row's neighbours say of its label.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspicion {
    /// Towards 0 where all neighbours have the row's label, towards 1 where none has.
    pub score: f64,
    /// The neighbours found, at most 10.
    pub neighbours: usize,
    /// The label that most of the neighbours' similarity is for; the row's own where no other has more.
    pub majority: usize,
    /// The nearest row with the majority's label; `None` where none of the neighbours has it.
    pub nearest: Option<usize>,
}

/// How suspicious each row's label is; the same for any number of threads.
///
/// The score is the share of other labels in the similarity of a row's neighbours and of one more that stands for all:
/// it is as near as the average neighbour of all rows, and disagrees as far as neighbours do on average. A row with few
/// or distant neighbours therefore gets about the average score, and so does a row without any; if no row has a
/// neighbour, each gets 0.5.
///
/// The neighbours of a row are the 10 texts with the highest cosine similarity, of those that share a feature with it.
/// Neither the row itself nor exact copies of its text are among them, and of the copies of another text one for each
/// label. Texts are compared by the words, pairs of words and parts of words in their first 2,000 characters, weighted
/// by tf–idf.
///
/// Shapes: `texts` and `labels` (N); N out. What one has beyond the other's length is left aside.
/// Source: Wilson 1972; Brodley and Friedl 1999, section 3.
pub fn suspicions(texts: &[&str], labels: &[usize]) -> Vec<Suspicion> {
    let (wordings, of_rows) = wordings(texts, labels);
    let neighbourhoods = neighbourhoods(&wordings);
    let of_rows = of_rows.iter().map(|&wording| neighbourhoods[wording].as_slice());
    let rows: Vec<(&[Neighbour], usize)> = of_rows.zip(labels.iter().copied()).collect();
    let (mean_all, mean_against) = average_neighbour(&rows);
    let suspicion = |&(neighbours, label): &(&[Neighbour], usize)| {
        let (all, against) = weigh(neighbours, label);
        let majority = majority(neighbours, label);
        let nearest = neighbours.iter().find(|near| near.label == majority).map(|near| near.row);
        Suspicion {
            score: (against + mean_against) / (all + mean_all),
            neighbours: neighbours.len(),
            majority,
            nearest,
        }
    };
    rows.iter().map(suspicion).collect()
}

/// The probability that a positive case has a higher score than a negative one, where a tie counts half.
///
/// NaN if there is no positive case or no negative one. Scores are numbers: where a NaN ranks is left open.
///
/// Shapes: `scores` and `positive` (N); scalar out.
/// Source: Mann and Whitney, On a Test of Whether One of Two Random Variables is Stochastically Larger, 1947.
pub fn auroc(scores: &[f64], positive: &[bool]) -> f64 {
    let mut cases: Vec<(f64, &bool)> = scores.iter().copied().zip(positive).collect();
    cases.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut positives, mut negatives, mut won) = (0.0, 0.0, 0.0);
    for tied in cases.chunk_by(|a, b| a.0 == b.0) {
        let positive = tied.iter().filter(|(_, positive)| **positive).count() as f64;
        let negative = tied.len() as f64 - positive;
        won += positive * (negatives + negative / 2.0);
        positives += positive;
        negatives += negative;
    }
    won / (positives * negatives)
}

/// A text, however many rows have it.
struct Wording<'a> {
    text: &'a str,
    /// Each of its labels once, with the first row that has it.
    labels: Vec<(usize, usize)>,
}

/// A text like another, with one of its labels.
struct Neighbour {
    label: usize,
    /// The first row with this text and label.
    row: usize,
    similarity: f64,
}

/// The different texts in the order of their first rows, and which of them each row has.
fn wordings<'a>(texts: &[&'a str], labels: &[usize]) -> (Vec<Wording<'a>>, Vec<usize>) {
    let mut wordings: Vec<Wording<'a>> = Vec::new();
    let mut of_rows = Vec::new();
    let mut known: HashMap<&str, usize> = HashMap::new();
    for (row, (&text, &label)) in texts.iter().zip(labels).enumerate() {
        let wording = *known.entry(text).or_insert(wordings.len());
        if wording == wordings.len() {
            wordings.push(Wording { text, labels: Vec::new() });
        }
        let given = &mut wordings[wording].labels;
        if given.iter().all(|&(other, _)| other != label) {
            given.push((label, row));
        }
        of_rows.push(wording);
    }
    (wordings, of_rows)
}

/// The neighbours of each text, nearest first.
fn neighbourhoods(wordings: &[Wording<'_>]) -> Vec<Vec<Neighbour>> {
    let texts: Vec<&str> = wordings.iter().map(|wording| wording.text).collect();
    let labelled = |nearest: Vec<Near>| -> Vec<Neighbour> {
        let neighbours = nearest.into_iter().flat_map(|Near { text, similarity }| {
            let labels = wordings[text].labels.iter();
            labels.map(move |&(label, row)| Neighbour { label, row, similarity })
        });
        neighbours.take(NEIGHBOURS).collect()
    };
    WordSpace::of(&texts).map_neighbours(labelled)
}

/// The similarity of neighbours, and of those among them with another label.
fn weigh(neighbours: &[Neighbour], label: usize) -> (f64, f64) {
    let similarity = |neighbour: &Neighbour| neighbour.similarity;
    let others = neighbours.iter().filter(|neighbour| neighbour.label != label);
    (neighbours.iter().map(similarity).sum(), others.map(similarity).sum())
}

/// What [`weigh`] gives for the neighbours of all rows, for each of them; undecided where there are none.
fn average_neighbour(rows: &[(&[Neighbour], usize)]) -> (f64, f64) {
    let count: usize = rows.iter().map(|(neighbours, _)| neighbours.len()).sum();
    if count == 0 {
        return (1.0, 0.5);
    }
    let weights = rows.iter().map(|&(neighbours, label)| weigh(neighbours, label));
    let whole = weights.fold((0.0, 0.0), |whole, next| (whole.0 + next.0, whole.1 + next.1));
    (whole.0 / count as f64, whole.1 / count as f64)
}

/// The label with the most similarity: of equals the row's own, and then the nearest one's.
fn majority(neighbours: &[Neighbour], own: usize) -> usize {
    let against = |label: usize| weigh(neighbours, label).1;
    let labels = neighbours.iter().map(|neighbour| neighbour.label);
    labels.fold(own, |most, label| if against(label) < against(most) { label } else { most })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_scores(found: &[Suspicion], expected: &[f64]) {
        let near = |(found, expected): (&Suspicion, &f64)| (found.score - expected).abs() < 1e-12;
        assert_eq!(found.len(), expected.len());
        assert!(found.iter().zip(expected).all(near), "{found:?}, expected {expected:?}");
    }

    fn seen(found: &[Suspicion]) -> Vec<(usize, usize, Option<usize>)> {
        found.iter().map(|row| (row.neighbours, row.majority, row.nearest)).collect()
    }

    #[test]
    fn the_score_is_the_share_of_neighbours_that_disagree_with_an_average_one_added() {
        // Alike but for case and punctuation: all similarities are the same, and 4 of 6 are between different labels.
        let found = suspicions(&["red apple", "Red apple", "red apple!"], &[0, 0, 1]);
        assert_scores(&found, &[5.0 / 9.0, 5.0 / 9.0, 8.0 / 9.0]);
        assert_eq!(seen(&found), [(2, 0, Some(1)), (2, 0, Some(0)), (2, 0, Some(0))]);
    }

    #[test]
    fn copies_are_no_neighbours_of_one_another_and_one_neighbour_for_each_label() {
        let texts = ["red apple", "red apple", "red apple", "Red apple"];
        let found = suspicions(&texts, &[0, 0, 1, 0]);
        // Of 5 neighbours 2 disagree.
        assert_scores(&found, &[0.2, 0.2, 0.7, 1.4 / 3.0]);
        assert_eq!(seen(&found[..3]), [(1, 0, Some(3)); 3]);
        assert_eq!(seen(&found[3..]), [(2, 0, Some(0))]);
    }

    #[test]
    fn a_row_without_neighbours_has_the_average_score() {
        let found = suspicions(&["red apple", "Red apple", "red apple!", "quux"], &[0, 0, 1, 2]);
        assert_scores(&found, &[5.0 / 9.0, 5.0 / 9.0, 8.0 / 9.0, 2.0 / 3.0]);
        assert_eq!(seen(&found[3..]), [(0, 2, None)]);
        assert_scores(&suspicions(&["a", ""], &[0, 1]), &[0.5, 0.5]);
        assert!(suspicions(&[], &[]).is_empty());
    }

    #[test]
    fn distant_neighbours_count_less_than_near_ones() {
        let texts = ["red apple", "Red apple", "red apple!", "red apple?", "red zebra quagmire"];
        let found = suspicions(&texts, &[0, 0, 0, 1, 2]);
        assert_eq!(seen(&found[3..]), [(4, 0, Some(0)), (4, 0, Some(0))]);
        assert!(found[3].score > 0.9 && found[4].score < 0.8, "{found:?}");
    }

    /// What is found in 20 topics of 30 rows, where every 20th row has the label of a topic that is not its own.
    fn found_among_topics(threads: usize) -> Vec<Suspicion> {
        const COMMON: [&str; 8] = ["please", "what", "is", "the", "my", "how", "can", "you"];
        let mut state = 1_u64;
        let mut draw = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % below
        };
        let letter = |number: usize| char::from(b'a' + number as u8);
        let (mut texts, mut labels) = (Vec::new(), Vec::new());
        for row in 0..600 {
            let topic = row / 30;
            let mut words = Vec::new();
            for _ in 0..4 {
                words.push(COMMON[draw(8)].to_owned());
                words.push(format!("{0}{1}{0}", letter(topic), letter(draw(12))));
            }
            texts.push(words.join(" "));
            labels.push(if row % 20 == 7 { (topic + 1 + draw(19)) % 20 } else { topic });
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| suspicions(&texts, &labels))
    }

    #[test]
    fn changed_labels_are_the_most_suspicious() {
        let found = found_among_topics(2);
        let scores: Vec<f64> = found.iter().map(|row| row.score).collect();
        let changed: Vec<bool> = (0..600).map(|row| row % 20 == 7).collect();
        let area = auroc(&scores, &changed);
        assert!(area >= 0.95, "{area}");
        let right = found.iter().enumerate().filter(|(row, found)| found.majority == row / 30);
        assert_eq!(right.count(), 600);
    }

    #[test]
    fn one_thread_and_three_give_the_same_bits() {
        // Scores above zero are equal only if their bits are.
        assert_eq!(found_among_topics(1), found_among_topics(3));
    }

    #[test]
    fn the_area_is_the_share_of_pairs_in_order_with_ties_as_halves() {
        assert_eq!(auroc(&[0.1, 0.4, 0.35, 0.8], &[false, false, true, true]), 0.75);
        assert_eq!(auroc(&[0.5, 0.5, 0.5], &[true, false, false]), 0.5);
        assert_eq!(auroc(&[2.0, 1.0, 1.0, 0.0], &[true, true, false, false]), 0.875);
        assert_eq!(auroc(&[0.0, -0.0], &[true, false]), 0.5);
        assert_eq!(auroc(&[1.0, 2.0], &[true, false]), 0.0);
        assert!(auroc(&[1.0, 2.0], &[true, true]).is_nan());
        assert!(auroc(&[], &[]).is_nan());
    }
}
