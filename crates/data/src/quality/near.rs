//! Near-duplicates among many short texts: those whose shingles are nearly the same.
//!
//! Texts that are the same once normalized are found by a hash. Of the others, signatures of least hash values tell
//! which pairs are worth a look, and the shingles of each such pair decide.
//!
//! Source: Broder, On the resemblance and containment of documents, 1997 (shingles, least hash values); Leskovec,
//! Rajaraman and Ullman, Mining of Massive Datasets, chapter 3 (bands of signatures).

use std::cell::OnceCell;
use std::collections::{BTreeMap, HashMap};

use rayon::prelude::*;
use xxhash_rust::xxh3::{xxh3_128, xxh3_64};

use crate::disjoint_sets::DisjointSets;

/// Jaccard similarity from which rows are told to be nearly the same.
pub(crate) const NEAR: f64 = 0.8;

/// Characters in a shingle.
const SHINGLE: usize = 5;

/// Numbers in the longest signature.
const MOST_NUMBERS: usize = 128;

/// Numbers in the longest band: what agrees in as many is worth a look.
const MOST_ROWS: usize = 16;

/// The chance of a pair just similar enough to share a band.
const CHANCE: f64 = 0.99;

/// The lowest similarity for which [`MOST_NUMBERS`] give that chance, rounded up.
const LOWEST: f64 = 0.05;

/// Earlier texts of a bucket that a text is compared with, so that a full bucket costs no square of its size.
const MOST_COMPARED: usize = 100;

/// Two texts that say nearly the same.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Edge {
    /// The index of the earlier text.
    pub first: usize,
    /// The index of the later text.
    pub second: usize,
    /// What [`similarity`] gives for the two.
    pub similarity: f64,
}

/// Texts and which of them say nearly the same.
///
/// Two texts are in one group if a chain of edges leads from one to the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Groups {
    edges: Vec<Edge>,
    /// The smallest index in each text's group.
    smallest: Vec<usize>,
}

impl Groups {
    /// The pairs that hold the groups together, sorted by their first and then by their second text.
    ///
    /// A group of n texts has n - 1, however many more of its pairs are similar.
    pub fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// The smallest index in a text's group; the text's own if it has no near-duplicate or is none of those given.
    pub fn group_of(&self, text: usize) -> usize {
        self.smallest.get(text).copied().unwrap_or(text)
    }

    /// The groups of more than one text, sorted by their first text; the texts of each sorted.
    pub fn groups(&self) -> Vec<Vec<usize>> {
        let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (text, &first) in self.smallest.iter().enumerate() {
            if text != first {
                groups.entry(first).or_insert_with(|| vec![first]).push(text);
            }
        }
        groups.into_values().collect()
    }
}

/// The texts in groups of those whose [`similarity`] is `least` or more.
///
/// No edge is below `least`. A pair at `least` is overlooked once in a hundred times at most, one above it more
/// rarely; among hundreds of texts that are alike but not similar enough, more often. The same texts give the same
/// groups, on any number of threads.
///
/// Units: `least` from 0.05 to 1; what lies outside is taken as the nearer of the two, and NaN as 1.
///
/// Source: Broder 1997 for signatures; Leskovec, Rajaraman and Ullman, section 3.4, for bands.
pub fn near_duplicates(texts: &[&str], least: f64) -> Groups {
    let least = if least.is_nan() { 1.0 } else { least.clamp(LOWEST, 1.0) };
    let mut joined = Joined::none(texts.len());
    let firsts = join_identical(texts, &mut joined);
    let distinct: Vec<&str> = firsts.iter().map(|&first| texts[first]).collect();
    for edge in Search::over(&distinct, least).edges() {
        joined.add(Edge { first: firsts[edge.first], second: firsts[edge.second], ..edge });
    }
    joined.edges.sort_unstable_by_key(|edge| (edge.first, edge.second));
    let smallest = (0..texts.len()).map(|text| joined.smallest(text)).collect();
    Groups { edges: joined.edges, smallest }
}

/// The share of the shingles of two texts that both have: 0 for nothing in common, 1 for the same shingles.
///
/// Shingles are the runs of five characters of a text in lowercase, with one space for whatever stands between its
/// letters and digits; a shorter text is its own shingle. A text without letters or digits has none, and is the same
/// as another such text.
///
/// Source: Broder 1997, section 2, the resemblance of two documents.
pub fn similarity(a: &str, b: &str) -> f64 {
    jaccard(&shingles(a), &shingles(b))
}

/// Groups while they grow.
struct Joined {
    edges: Vec<Edge>,
    sets: DisjointSets,
}

impl Joined {
    fn none(texts: usize) -> Joined {
        Joined { edges: Vec::new(), sets: DisjointSets::of(texts) }
    }

    /// The smallest index in a text's group.
    fn smallest(&mut self, text: usize) -> usize {
        self.sets.smallest(text)
    }

    /// Adds an edge between two groups.
    fn add(&mut self, edge: Edge) {
        self.sets.join(edge.first, edge.second);
        self.edges.push(edge);
    }
}

/// How signatures are cut: a pair that agrees in all rows of a band is a candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Banding {
    bands: usize,
    rows: usize,
}

impl Banding {
    /// The longest bands, and as few of them, with which a pair of similarity `least` has [`CHANCE`].
    fn of(least: f64) -> Banding {
        let with_rows = |rows: usize| {
            let mut bandings = (1..=MOST_NUMBERS / rows).map(|bands| Banding { bands, rows });
            bandings.find(|banding| banding.chance(least) >= CHANCE)
        };
        let longest = (1..=MOST_ROWS).rev().find_map(with_rows);
        longest.unwrap_or(Banding { bands: MOST_NUMBERS, rows: 1 })
    }

    /// The chance of a pair to agree in all rows of some band.
    ///
    /// Source: Leskovec, Rajaraman and Ullman, section 3.4.2.
    fn chance(self, similarity: f64) -> f64 {
        1.0 - (1.0 - similarity.powi(self.rows as i32)).powi(self.bands as i32)
    }

    fn numbers(self) -> usize {
        self.bands * self.rows
    }
}

/// Texts, no two of which are the same, and their signatures.
struct Search<'a> {
    texts: &'a [&'a str],
    /// One signature after another.
    signatures: Vec<u32>,
    banding: Banding,
    least: f64,
    /// Texts whose signatures agree in fewer numbers are not compared.
    fewest_agreeing: usize,
}

impl<'a> Search<'a> {
    fn over(texts: &'a [&'a str], least: f64) -> Search<'a> {
        let banding = Banding::of(least);
        let functions = hash_functions(banding.numbers());
        let mut signatures = vec![u32::MAX; texts.len() * banding.numbers()];
        signatures
            .par_chunks_mut(banding.numbers())
            .zip(texts)
            .for_each(|(signature, text)| sign(signature, &functions, &shingles(text)));
        let numbers = banding.numbers() as f64;
        let deviation = (numbers * least * (1.0 - least)).sqrt();
        // One in some 30,000 pairs at `least` is below four deviations. The cast turns what is below 0 into 0.
        let fewest_agreeing = (numbers * least - 4.0 * deviation) as usize;
        Search { texts, signatures, banding, least, fewest_agreeing }
    }

    /// Edges that hold together the groups of similar texts.
    fn edges(&self) -> Vec<Edge> {
        let mut joined = Joined::none(self.texts.len());
        for band in 0..self.banding.bands {
            let signatures = self.signatures.par_chunks(self.banding.numbers()).enumerate();
            let mut sorted: Vec<(u64, usize)> =
                signatures.map(|(text, signature)| (self.key(signature, band), text)).collect();
            sorted.par_sort_unstable();
            for bucket in sorted.chunk_by(|a, b| a.0 == b.0).filter(|bucket| bucket.len() > 1) {
                self.join_similar(bucket, &mut joined);
            }
        }
        joined.edges
    }

    /// A hash of a band of a signature.
    fn key(&self, signature: &[u32], band: usize) -> u64 {
        let rows = self.banding.rows;
        let mut bytes = [0_u8; 4 * MOST_ROWS];
        let (numbers, _) = bytes.as_chunks_mut::<4>();
        for (to, number) in numbers.iter_mut().zip(&signature[band * rows..][..rows]) {
            *to = number.to_le_bytes();
        }
        xxh3_64(&bytes)
    }

    /// Joins the similar ones of the texts that share a band, each given after its key.
    fn join_similar(&self, bucket: &[(u64, usize)], joined: &mut Joined) {
        let sets: Vec<OnceCell<Vec<u64>>> = vec![OnceCell::new(); bucket.len()];
        let set = |at: usize| sets[at].get_or_init(|| shingles(self.texts[bucket[at].1]));
        for (later, &(_, second)) in bucket.iter().enumerate() {
            for earlier in (later.saturating_sub(MOST_COMPARED)..later).rev() {
                let first = bucket[earlier].1;
                let in_one_group = joined.smallest(first) == joined.smallest(second);
                if in_one_group || self.agreeing(first, second) < self.fewest_agreeing {
                    continue;
                }
                let similarity = jaccard(set(earlier), set(later));
                if similarity >= self.least {
                    joined.add(Edge { first, second, similarity });
                }
            }
        }
    }

    /// In how many numbers the signatures of two texts agree.
    fn agreeing(&self, first: usize, second: usize) -> usize {
        let numbers = self.banding.numbers();
        let signature = |text: usize| &self.signatures[text * numbers..][..numbers];
        signature(first).iter().zip(signature(second)).filter(|(a, b)| a == b).count()
    }
}

/// Joins texts that are the same once normalized to the first of them; the indices of those first ones.
fn join_identical(texts: &[&str], joined: &mut Joined) -> Vec<usize> {
    let hashes: Vec<u128> =
        texts.par_iter().map(|text| xxh3_128(normalized(text).as_bytes())).collect();
    let mut firsts: HashMap<u128, usize> = HashMap::new();
    for (second, hash) in hashes.into_iter().enumerate() {
        let first = *firsts.entry(hash).or_insert(second);
        if first != second {
            joined.add(Edge { first, second, similarity: 1.0 });
        }
    }
    let mut firsts: Vec<usize> = firsts.into_values().collect();
    firsts.sort_unstable();
    firsts
}

/// A text in lowercase, with one space between its runs of letters and digits.
pub(crate) fn normalized(text: &str) -> String {
    let lowercase = text.to_lowercase();
    let mut normalized = String::with_capacity(lowercase.len());
    let runs = lowercase.split(|character: char| !character.is_alphanumeric());
    for run in runs.filter(|run| !run.is_empty()) {
        if !normalized.is_empty() {
            normalized.push(' ');
        }
        normalized.push_str(run);
    }
    normalized
}

/// A text in lowercase without what spacing and punctuation tell apart; signs stay, as `3 - 4` is not `3 + 4`.
pub(crate) fn wording(text: &str) -> String {
    let divides = |c: char| c.is_whitespace() || ".,;:!?¿¡…'\"`´‘’“”„«»()[]{}".contains(c);
    let lowercase = text.to_lowercase();
    let words: Vec<&str> = lowercase.split(divides).filter(|word| !word.is_empty()).collect();
    if words.is_empty() {
        return text.trim().to_owned();
    }
    words.join(" ")
}

/// The hashes of a text's shingles, each once, sorted.
fn shingles(text: &str) -> Vec<u64> {
    let text = normalized(text);
    let starts = text.char_indices().map(|(start, _)| start);
    // A text shorter than a shingle has its own end alone, and so itself as a shingle.
    let ends = starts.clone().skip(SHINGLE).chain([text.len()]);
    let mut hashes: Vec<u64> =
        starts.zip(ends).map(|(start, end)| xxh3_64(&text.as_bytes()[start..end])).collect();
    hashes.sort_unstable();
    hashes.dedup();
    hashes
}

/// The size of the intersection of two sorted sets over that of their union; 1 for two empty sets.
fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut shared, mut in_a, mut in_b) = (0_usize, 0_usize, 0_usize);
    while let (Some(x), Some(y)) = (a.get(in_a), b.get(in_b)) {
        shared += usize::from(x == y);
        in_a += usize::from(x <= y);
        in_b += usize::from(y <= x);
    }
    let union = a.len() + b.len() - shared;
    if union == 0 {
        return 1.0;
    }
    shared as f64 / union as f64
}

/// Factors and summands, each pair of which stands for another order of all hashes; the same in every run.
fn hash_functions(count: usize) -> Vec<(u64, u64)> {
    let draw = |number: u64| xxh3_64(&number.to_le_bytes());
    // Only an odd factor keeps different hashes apart.
    (0..count as u64).map(|function| (draw(2 * function) | 1, draw(2 * function + 1))).collect()
}

/// Lowers each number of a signature to the least that its function gives for a shingle.
fn sign(signature: &mut [u32], functions: &[(u64, u64)], shingles: &[u64]) {
    for shingle in shingles {
        for (least, &(factor, summand)) in signature.iter_mut().zip(functions) {
            let hash = factor.wrapping_mul(*shingle).wrapping_add(summand);
            *least = (*least).min((hash >> 32) as u32);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_that_are_the_same_once_normalized_are_joined_to_the_first() {
        let texts = ["help", "Été,  à Paris!", "été à paris", " ÉTÉ—À\n(Paris) ", "ete a paris"];
        let found = near_duplicates(&texts, 1.0);
        let edge = |second| Edge { first: 1, second, similarity: 1.0 };
        assert_eq!(found.edges(), [edge(2), edge(3)]);
        assert_eq!(found.groups(), [[1, 2, 3]]);
        let groups: Vec<usize> = (0..6).map(|text| found.group_of(text)).collect();
        assert_eq!(groups, [0, 1, 1, 1, 4, 5]);
    }

    #[test]
    fn texts_without_letters_or_digits_are_one_group() {
        assert_eq!(near_duplicates(&["", "?!", "a", " "], 0.8).groups(), [[0, 1, 3]]);
        assert_eq!(similarity("", "?!"), 1.0);
        assert_eq!(similarity("", "a"), 0.0);
        assert_eq!(near_duplicates(&[], 0.8), Groups { edges: vec![], smallest: vec![] });
    }

    #[test]
    fn similarity_is_the_share_of_common_runs_of_five_characters() {
        // `abcde` and `bcdef` of these and `cdefg` and `cdefh`.
        assert_eq!(similarity("abcdefg", "abcdefh"), 0.5);
        // `o ñan` of this, `o ñan` and ` ñand`.
        assert_eq!(similarity("O-ñan", "o ñand"), 0.5);
        assert_eq!(similarity("abc", "ABC."), 1.0);
        assert_eq!(similarity("abc", "abcd"), 0.0);
        assert_eq!(similarity("aaaaaa", "aaaaaaa"), 1.0);
    }

    #[test]
    fn texts_are_joined_if_they_are_similar_enough() {
        let texts = ["abcdefg", "tuvwxyz", "abcdefh"];
        let found = near_duplicates(&texts, 0.3);
        assert_eq!(found.edges(), [Edge { first: 0, second: 2, similarity: 0.5 }]);
        assert_eq!(found.groups(), [[0, 2]]);
        assert!(near_duplicates(&texts, 0.51).groups().is_empty());
        assert_eq!(near_duplicates(&["aaaaaa", "b", "aaaaaaa"], f64::NAN).groups(), [[0, 2]]);
    }

    #[test]
    fn a_pair_just_similar_enough_is_a_candidate_99_times_in_100() {
        for percent in 5..=100 {
            let least = f64::from(percent) / 100.0;
            let banding = Banding::of(least);
            assert!(banding.chance(least) >= 0.99, "{least}: {banding:?}");
            assert!(banding.numbers() <= 128, "{least}: {banding:?}");
        }
        assert_eq!(Banding::of(0.5), Banding { bands: 35, rows: 3 });
        assert_eq!(Banding::of(0.8), Banding { bands: 16, rows: 6 });
        assert_eq!(Banding::of(1.0), Banding { bands: 1, rows: 16 });
    }

    /// Texts of 50 to 99 letters and spaces, of which every other is an earlier one with one of them changed.
    fn corpus(count: usize) -> Vec<String> {
        let mut state = 7_u64;
        let mut below = |bound: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005);
            state = state.wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % bound
        };
        let character = |draw: usize| char::from(b"abcdefghijklmnopqrstuvwxyz    "[draw]);
        let mut texts: Vec<String> = Vec::new();
        for at in 0..count {
            let mut text: Vec<char> = match below(2) {
                0 if at > 0 => texts[below(at)].chars().collect(),
                _ => (0..50 + below(50)).map(|_| character(below(30))).collect(),
            };
            let place = below(text.len());
            text[place] = character(below(30));
            texts.push(text.into_iter().collect());
        }
        texts
    }

    #[test]
    fn of_the_pairs_that_a_look_at_all_finds_95_in_100_are_found() {
        let corpus = corpus(2000);
        let texts: Vec<&str> = corpus.iter().map(String::as_str).collect();
        let found = near_duplicates(&texts, 0.8);
        let sets: Vec<Vec<u64>> = texts.iter().map(|text| shingles(text)).collect();
        let (mut near, mut together) = (0, 0);
        for (second, b) in sets.iter().enumerate() {
            for (first, a) in sets[..second].iter().enumerate() {
                if jaccard(a, b) >= 0.8 {
                    near += 1;
                    together += usize::from(found.group_of(first) == found.group_of(second));
                }
            }
        }
        assert!(near >= 300 && together * 100 >= near * 95, "{together} of {near}");
        for edge in found.edges() {
            assert!(edge.first < edge.second && edge.similarity >= 0.8, "{edge:?}");
            assert_eq!(edge.similarity, similarity(texts[edge.first], texts[edge.second]));
        }
        assert!(found.edges().is_sorted_by_key(|edge| (edge.first, edge.second)));
        let joined: usize = found.groups().iter().map(|group| group.len() - 1).sum();
        assert_eq!(found.edges().len(), joined);
    }

    #[test]
    fn ten_thousand_copies_are_one_group() {
        let found = near_duplicates(&["What is 1 and 2?"; 10_000], 0.8);
        assert_eq!(found.groups(), [(0..10_000).collect::<Vec<usize>>()]);
        assert_eq!(found.edges().len(), 9_999);
        assert!(found.edges().iter().all(|edge| edge.first == 0 && edge.similarity == 1.0));
    }

    #[test]
    fn nine_hundred_texts_that_differ_in_a_number_are_one_group() {
        let text = |number: usize| {
            format!("Write a short and friendly letter on order {number} to whoever asked today")
        };
        let texts: Vec<String> = (100..1000).map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let found = near_duplicates(&texts, 0.8);
        assert_eq!(found.groups(), [(0..900).collect::<Vec<usize>>()]);
    }

    #[test]
    fn the_groups_are_the_same_on_one_and_on_three_threads() {
        let corpus = corpus(1000);
        let texts: Vec<&str> = corpus.iter().map(String::as_str).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| near_duplicates(&texts, 0.8))
        };
        assert!(on(1).edges().len() > 100);
        assert_eq!(on(1), on(3));
    }
}
