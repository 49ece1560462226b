//! How suspicious labels are: whether the texts most like a row's own have another label.
//!
//! A text is a sparse vector of its words, pairs of words and parts of words, and is like another as far as the two
//! vectors point the same way.
//!
//! Source: Wilson, Asymptotic Properties of Nearest Neighbor Rules Using Edited Data, 1972 (a row whose neighbours have
//! another label is edited out); Brodley and Friedl, Identifying Mislabeled Training Data, 1999 (filters for labels).

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::overlap::PlainWords;

/// Texts that are a row's neighbours.
const NEIGHBOURS: usize = 10;
/// Texts that share a feature with a text, counted for each feature: they bound the time that a text takes.
const MOST_POSTINGS: usize = 20_000;
/// Characters of a text that count.
const MOST_CHARACTERS: usize = 2000;
/// Features by which a text is compared with others, the weightiest.
const MOST_FEATURES: usize = 256;
/// Bits of a feature's hash within its kind.
const KIND_BITS: u32 = 21;
/// How much words, pairs and parts count: the last two repeat what the words say already.
const SHARES: [f64; 3] = [1.0, 0.5, 0.5];
const WORD: u32 = 0;
const PAIR: u32 = 1;
const PART: u32 = 2;
/// Features of all kinds.
const FEATURES: usize = SHARES.len() << KIND_BITS;

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
/// label. Features are words in lower case, pairs of words and runs of three characters in words, weighted by
/// (1 + ln tf) · ln(1 + N/df), pairs and runs by half of that. To bound the time, only the first 2,000 characters of a
/// text count, and features of thousands of texts only where a text has few that are rarer.
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
    let space = Space::of(wordings);
    let neighbours = |sums: &mut Vec<f32>, text: usize| -> Vec<Neighbour> {
        let labelled = space.nearest(text, sums).into_iter().flat_map(|(other, cosine)| {
            let similarity = f64::from(cosine);
            let labels = wordings[other as usize].labels.iter();
            labels.map(move |&(label, row)| Neighbour { label, row, similarity })
        });
        labelled.take(NEIGHBOURS).collect()
    };
    // A list of sums is as long as there are texts, so each should serve many.
    let texts = (0..wordings.len()).into_par_iter().with_min_len(256);
    texts.map_init(|| vec![0.0_f32; wordings.len()], neighbours).collect()
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

/// Texts as vectors, and the texts that have each feature.
struct Space {
    /// The features of each text and what it has of them, sorted.
    vectors: Vec<Vec<(u32, f32)>>,
    /// Each feature with each text that has it and what that has of it, sorted.
    postings: Vec<(u32, u32, f32)>,
}

impl Space {
    fn of(wordings: &[Wording<'_>]) -> Space {
        let holders = holders(wordings);
        let vector = |wording: &Wording<'_>| vector(wording.text, &holders, wordings.len());
        let vectors: Vec<Vec<(u32, f32)>> = wordings.par_iter().map(vector).collect();
        let mut postings: Vec<(u32, u32, f32)> = Vec::new();
        for (text, vector) in (0_u32..).zip(&vectors) {
            postings.extend(vector.iter().map(|&(feature, value)| (feature, text, value)));
        }
        postings.par_sort_unstable_by_key(|&(feature, text, _)| (feature, text));
        Space { vectors, postings }
    }

    fn list(&self, feature: u32) -> &[(u32, u32, f32)] {
        let start = self.postings.partition_point(|posting| posting.0 < feature);
        let list = &self.postings[start..];
        &list[..list.partition_point(|posting| posting.0 == feature)]
    }

    /// The texts most like one, without itself, with their similarity by its rarest features, nearest first.
    ///
    /// `sums` has a zero for each text, before and after.
    fn nearest(&self, text: usize, sums: &mut [f32]) -> Vec<(u32, f32)> {
        let list = |&(feature, own): &(u32, f32)| (self.list(feature), own);
        let mut rarest_first: Vec<_> = self.vectors[text].iter().map(list).collect();
        rarest_first.sort_by_key(|(list, _)| list.len());
        let mut met = Vec::new();
        let mut left = MOST_POSTINGS;
        for (list, own) in rarest_first {
            if list.len() > left && met.len() > NEIGHBOURS {
                break;
            }
            // Where all features are common, a sample from all over the rows.
            let stride = list.len().div_ceil(MOST_POSTINGS).max(1);
            for &(_, other, value) in list.iter().step_by(stride) {
                let sum = &mut sums[other as usize];
                if *sum == 0.0 {
                    met.push(other);
                }
                *sum += own * value;
            }
            left = left.saturating_sub(list.len());
        }
        let taken = met.into_iter().map(|other| (other, std::mem::take(&mut sums[other as usize])));
        let mut nearest: Vec<_> = taken.filter(|&(other, _)| other as usize != text).collect();
        let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
        if nearest.len() > NEIGHBOURS {
            nearest.select_nth_unstable_by(NEIGHBOURS, order);
            nearest.truncate(NEIGHBOURS);
        }
        nearest.sort_unstable_by(order);
        nearest
    }
}

/// How many texts have each feature.
fn holders(wordings: &[Wording<'_>]) -> Vec<u32> {
    let holders: Vec<AtomicU32> = (0..FEATURES).map(|_| AtomicU32::new(0)).collect();
    wordings.par_iter().for_each(|wording| {
        for (feature, _) in features(wording.text) {
            holders[feature as usize].fetch_add(1, Relaxed);
        }
    });
    holders.into_iter().map(AtomicU32::into_inner).collect()
}

/// A text's features that another text has as well, in a vector that would have the length 1 with its other ones.
///
/// A text of which the rest have little is therefore far from all of them.
fn vector(text: &str, holders: &[u32], texts: usize) -> Vec<(u32, f32)> {
    let weigh = |(feature, count): (u32, u32)| {
        let rarity = (1.0 + texts as f64 / f64::from(holders[feature as usize])).ln();
        let share = SHARES[(feature >> KIND_BITS) as usize];
        (feature, share * (1.0 + f64::from(count).ln()) * rarity)
    };
    let mut weights: Vec<(u32, f64)> = features(text).into_iter().map(weigh).collect();
    let length = weights.iter().map(|(_, weight)| weight * weight).sum::<f64>().sqrt();
    weights.retain(|&(feature, _)| holders[feature as usize] > 1);
    weights.sort_by(|a, b| b.1.total_cmp(&a.1));
    weights.truncate(MOST_FEATURES);
    weights.sort_unstable_by_key(|&(feature, _)| feature);
    weights.into_iter().map(|(feature, weight)| (feature, (weight / length) as f32)).collect()
}

/// The features of a text, sorted, and how often it has each.
fn features(text: &str) -> Vec<(u32, u32)> {
    let end = text.char_indices().nth(MOST_CHARACTERS).map_or(text.len(), |(at, _)| at);
    let PlainWords { line, in_line: words, .. } = PlainWords::of(&text[..end]);
    let feature = |kind: u32, start: usize, end: usize| {
        let hash = xxh3_64_with_seed(&line.as_bytes()[start..end], u64::from(kind));
        (kind << KIND_BITS) | (hash >> (u64::BITS - KIND_BITS)) as u32
    };
    let mut found = Vec::new();
    for word in &words {
        found.push(feature(WORD, word.start, word.end));
        // The spaces around a word tell its beginning and its end from its middle.
        let (start, end) = (word.start - 1, word.end + 1);
        let inner = line[start..end].char_indices().map(|(at, _)| start + at);
        let borders: Vec<usize> = inner.chain([end]).collect();
        found.extend(borders.windows(4).map(|part| feature(PART, part[0], part[3])));
    }
    found.extend(words.windows(2).map(|pair| feature(PAIR, pair[0].start, pair[1].end)));
    found.sort_unstable();
    found.chunk_by(|a, b| a == b).map(|same| (same[0], same.len() as u32)).collect()
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

    #[test]
    fn text_beyond_the_first_2000_characters_does_not_count() {
        let long = |end: &str| format!("{}{end}", "é ".repeat(1000));
        assert_eq!(features(&long("zebra")), features(&long("")));
        assert_ne!(features(&long("zebra")[2..]), features(&long("")[2..]));
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
