//! Texts by their words, and the texts most like each.
//!
//! A text is a sparse vector of its words, pairs of words and parts of words, and is like another as far as the two
//! vectors point the same way.
//!
//! Source: Salton and Buckley, Term-Weighting Approaches in Automatic Text Retrieval, 1988 (tf–idf weights, cosines).

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::overlap::PlainWords;

/// Texts that are a text's neighbours.
pub(super) const NEIGHBOURS: usize = 10;
/// Texts up to which neighbours are looked for: beyond, it takes too long.
pub(super) const MOST_TEXTS: usize = 200_000;

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

/// A text that is like another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Near {
    /// Its index.
    pub(super) text: usize,
    /// The cosine of the angle between the two, above 0.
    pub(super) similarity: f64,
}

/// Texts as vectors, and the texts that have each feature.
///
/// Features are words in lower case, pairs of words and runs of three characters in words, weighted by
/// (1 + ln tf) · ln(1 + N/df), pairs and runs by half of that. To bound the time, only the first 2,000 characters of a
/// text count, and features of thousands of texts only where a text has few that are rarer.
pub(super) struct WordSpace {
    /// The features of each text and what it has of them, sorted.
    vectors: Vec<Vec<(u32, f32)>>,
    /// Each feature with each text that has it and what that has of it, sorted.
    postings: Vec<(u32, u32, f32)>,
}

impl WordSpace {
    /// The space of these texts.
    pub(super) fn of(texts: &[&str]) -> WordSpace {
        let holders = holders(texts);
        let vector = |text: &&str| vector(text, &holders, texts.len());
        let vectors: Vec<Vec<(u32, f32)>> = texts.par_iter().map(vector).collect();
        let mut postings: Vec<(u32, u32, f32)> = Vec::new();
        for (text, vector) in (0_u32..).zip(&vectors) {
            postings.extend(vector.iter().map(|&(feature, value)| (feature, text, value)));
        }
        postings.par_sort_unstable_by_key(|&(feature, text, _)| (feature, text));
        WordSpace { vectors, postings }
    }

    /// What `make` makes of each text's neighbours, nearest first; the same for any number of threads.
    ///
    /// They are the [`NEIGHBOURS`] texts with the highest cosine similarity, of those that share a feature with the
    /// text; the text itself is not among them, and copies of it are.
    pub(super) fn map_neighbours<T: Send>(&self, make: impl Fn(Vec<Near>) -> T + Sync) -> Vec<T> {
        let made = |sums: &mut Vec<f32>, text: usize| make(self.nearest(text, sums));
        // A list of sums is as long as there are texts, so each should serve many.
        let texts = (0..self.vectors.len()).into_par_iter().with_min_len(256);
        texts.map_init(|| vec![0.0_f32; self.vectors.len()], made).collect()
    }

    fn list(&self, feature: u32) -> &[(u32, u32, f32)] {
        let start = self.postings.partition_point(|posting| posting.0 < feature);
        let list = &self.postings[start..];
        &list[..list.partition_point(|posting| posting.0 == feature)]
    }

    /// The texts most like one, without itself, with their similarity by its rarest features, nearest first.
    ///
    /// `sums` has a zero for each text, before and after.
    fn nearest(&self, text: usize, sums: &mut [f32]) -> Vec<Near> {
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
        let near = |(text, cosine)| Near { text: text as usize, similarity: f64::from(cosine) };
        nearest.into_iter().map(near).collect()
    }
}

/// How many texts have each feature.
fn holders(texts: &[&str]) -> Vec<u32> {
    let holders: Vec<AtomicU32> = (0..FEATURES).map(|_| AtomicU32::new(0)).collect();
    texts.par_iter().for_each(|text| {
        for (feature, _) in features(text) {
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

    #[test]
    fn copies_point_the_same_way_and_texts_without_a_common_word_are_not_near() {
        let texts = ["red apple", "Red apple!", "quux", "red apple"];
        let near = WordSpace::of(&texts).map_neighbours(|near| near);
        let found: Vec<Vec<usize>> =
            near.iter().map(|near| near.iter().map(|near| near.text).collect()).collect();
        assert_eq!(found, [vec![1, 3], vec![0, 3], vec![], vec![0, 1]]);
        let alike = |near: &Near| (near.similarity - 1.0).abs() < 1e-6;
        assert!(near.iter().flatten().all(alike), "{near:?}");
    }

    #[test]
    fn of_many_neighbours_the_nearest_ten_are_told_nearest_first() {
        let words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"];
        let texts: Vec<String> = (0..words.len()).map(|last| words[..=last].join(" ")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).chain(["one two"; 4]).collect();
        let near = WordSpace::of(&texts).map_neighbours(|near| near);
        assert_eq!(near[8].len(), 10);
        assert_eq!(near[8][0].text, 7);
        let first: Vec<usize> = near[1].iter().take(4).map(|near| near.text).collect();
        assert_eq!(first, [9, 10, 11, 12]);
        assert!(near.iter().all(|near| near.is_sorted_by(|a, b| a.similarity >= b.similarity)));
    }

    #[test]
    fn text_beyond_the_first_2000_characters_does_not_count() {
        let long = |end: &str| format!("{}{end}", "é ".repeat(1000));
        assert_eq!(features(&long("zebra")), features(&long("")));
        assert_ne!(features(&long("zebra")[2..]), features(&long("")[2..]));
    }
}
