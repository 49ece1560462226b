//! Runs of words that texts of two splits share, and so leak from one into the other.
//!
//! Source: Brown et al., Language Models are Few-Shot Learners, 2020, appendix C (13-gram overlap).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use rayon::prelude::*;
use xxhash_rust::xxh3::xxh3_64;

/// Words in a gram.
pub const GRAM: usize = 13;

/// How many texts may have a gram, however few there are, before it is a template.
const TEMPLATE_TEXTS: usize = 10;

/// One text in this many may have a gram before it is a template.
const TEMPLATE_ONE_IN: usize = 100;

/// The grams of a list of texts: each run of [`GRAM`] words, whatever their case and what stands between them.
///
/// Words are runs of letters and digits. A gram in more than 10 of the texts and in more than 1 % of them is a
/// template, such as a system prompt or a greeting, and no leak: it is left out. A text of fewer words than a gram has
/// none, so copies of short texts have to be found by other means; a script without spaces has few words.
///
/// Grams are kept as hashes of 64 bits and not compared word by word: among n different grams, two have the same hash
/// with a probability of about n²/2⁶⁵.
///
/// Units: 16 bytes for each gram of each text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GramIndex {
    /// The hash of each gram with each text that has it, sorted.
    held: Vec<(u64, usize)>,
    /// The hashes of the templates, sorted.
    templates: Vec<u64>,
}

/// What a text shares with the texts of a [`GramIndex`].
#[derive(Debug, Clone, PartialEq)]
pub struct Overlap {
    /// The indexed text that has the most of the text's grams; of several, the first.
    pub row: usize,
    /// The grams of the text that this one has, each as often as the text repeats it.
    pub grams: usize,
    /// The share of the text's grams, templates aside, that any indexed text has: above 0, at most 1.
    pub share: f64,
    /// The bytes of the text from the first word to the last of the first run that it shares with `row`.
    pub excerpt: Range<usize>,
}

impl GramIndex {
    /// The grams of these texts; the same for any number of threads.
    pub fn of(texts: &[&str]) -> GramIndex {
        let grams = |(row, text): (usize, &&str)| {
            let mut grams: Vec<u64> = PlainWords::of(text).grams().collect();
            grams.sort_unstable();
            grams.dedup();
            grams.into_iter().map(move |gram| (gram, row))
        };
        let mut held: Vec<(u64, usize)> =
            texts.par_iter().enumerate().flat_map_iter(grams).collect();
        held.par_sort_unstable();
        let is_template = |holders: usize| {
            holders > TEMPLATE_TEXTS && holders.saturating_mul(TEMPLATE_ONE_IN) > texts.len()
        };
        let templates: Vec<u64> = held
            .chunk_by(|a, b| a.0 == b.0)
            .filter(|holders| is_template(holders.len()))
            .map(|holders| holders[0].0)
            .collect();
        held.retain(|(gram, _)| templates.binary_search(gram).is_err());
        held.shrink_to_fit();
        GramIndex { held, templates }
    }

    /// What a text shares with those of the index; `None` where it shares no gram.
    pub fn overlap(&self, text: &str) -> Option<Overlap> {
        let words = PlainWords::of(text);
        let is_template = |gram: &u64| self.templates.binary_search(gram).is_ok();
        let own: Vec<(usize, u64)> =
            words.grams().enumerate().filter(|(_, gram)| !is_template(gram)).collect();
        let mut shared = 0;
        let mut of_rows: BTreeMap<usize, usize> = BTreeMap::new();
        for &(_, gram) in &own {
            let mut any = false;
            for row in self.holders(gram) {
                *of_rows.entry(row).or_default() += 1;
                any = true;
            }
            shared += usize::from(any);
        }
        let most = of_rows.into_iter().max_by_key(|&(row, grams)| (grams, Reverse(row)));
        let (row, grams) = most?;
        let run = self.first_run(&own, row)?;
        Some(Overlap {
            row,
            grams,
            share: shared as f64 / own.len() as f64,
            excerpt: words.in_text[run.start].start..words.in_text[run.end - 1].end,
        })
    }

    /// The indexed texts that have a gram, in order.
    fn holders(&self, gram: u64) -> impl Iterator<Item = usize> + '_ {
        let start = self.held.partition_point(|&(held, _)| held < gram);
        let holders = self.held[start..].iter().take_while(move |&&(held, _)| held == gram);
        holders.map(|&(_, row)| row)
    }

    /// The words under the first unbroken run of grams that an indexed text has; each gram comes after its first word.
    fn first_run(&self, grams: &[(usize, u64)], row: usize) -> Option<Range<usize>> {
        let has = |gram: u64| self.held.binary_search(&(gram, row)).is_ok();
        let mut begins = grams.iter().filter(|&&(_, gram)| has(gram)).map(|&(begin, _)| begin);
        let first = begins.next()?;
        let more = begins.zip(first + 1..).take_while(|(begin, next)| begin == next).count();
        Some(first..first + more + GRAM)
    }
}

/// A text's words in lower case, which neither punctuation nor spacing tell apart.
pub(super) struct PlainWords {
    /// The words, with a space before, between and after them.
    pub(super) line: String,
    /// The bytes of each word in `line`.
    pub(super) in_line: Vec<Range<usize>>,
    /// The bytes of each word in the text.
    in_text: Vec<Range<usize>>,
}

impl PlainWords {
    /// The runs of letters and digits in a text.
    pub(super) fn of(text: &str) -> PlainWords {
        let in_text = runs(text);
        let mut line = String::with_capacity(text.len() + 2);
        line.push(' ');
        let mut in_line = Vec::with_capacity(in_text.len());
        for word in &in_text {
            let start = line.len();
            line.push_str(&text[word.clone()].to_lowercase());
            in_line.push(start..line.len());
            line.push(' ');
        }
        PlainWords { line, in_line, in_text }
    }

    /// The hash of each gram, by the word it begins with.
    fn grams(&self) -> impl Iterator<Item = u64> + '_ {
        self.in_line.windows(GRAM).map(move |words| {
            let gram = &self.line[words[0].start..words[GRAM - 1].end];
            xxh3_64(gram.as_bytes())
        })
    }
}

/// The bytes of each run of letters and digits.
fn runs(text: &str) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (start, letter) in text.match_indices(char::is_alphanumeric) {
        let end = start + letter.len();
        match runs.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => runs.push(start..end),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words `w` and a number each, of these numbers.
    fn words(numbers: Range<usize>) -> String {
        numbers.map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ")
    }

    fn index(texts: &[String]) -> GramIndex {
        GramIndex::of(&texts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    #[test]
    fn a_shared_run_is_found_with_its_bytes() {
        let index = index(&[words(100..130), words(0..40)]);
        let text = format!("Prelude, {} and out.", words(10..25));
        // 15 of the 18 words, and so 3 of the 6 grams.
        let expected = Overlap { row: 1, grams: 3, share: 0.5, excerpt: 9..68 };
        assert_eq!(index.overlap(&text), Some(expected));
        assert_eq!(text[9..68], words(10..25));
    }

    #[test]
    fn the_excerpt_is_the_first_of_two_runs() {
        let index = index(&[words(0..40)]);
        let text = format!("{} x {}", words(0..13), words(20..40));
        let excerpt = 0..words(0..13).len();
        let expected = Overlap { row: 0, grams: 9, share: 9.0 / 22.0, excerpt };
        assert_eq!(index.overlap(&text), Some(expected));
    }

    #[test]
    fn the_text_with_the_most_shared_grams_is_told_and_of_equals_the_first() {
        let texts = [words(0..13), words(0..20), words(0..20)];
        let found = index(&texts).overlap(&words(0..20)).unwrap();
        assert_eq!((found.row, found.grams, found.share), (1, 8, 1.0));
        let found = index(&texts).overlap(&words(0..13)).unwrap();
        assert_eq!((found.row, found.grams, found.share), (0, 1, 1.0));
    }

    #[test]
    fn a_repeated_gram_counts_each_time() {
        let index = index(&[words(0..13)]);
        let text = format!("{0} {0}", words(0..13));
        let excerpt = 0..words(0..13).len();
        let expected = Overlap { row: 0, grams: 2, share: 2.0 / 14.0, excerpt };
        assert_eq!(index.overlap(&text), Some(expected));
    }

    /// Texts that begin with the same 14 words and go on with 20 of their own.
    fn greeted(count: usize) -> Vec<String> {
        let own = |row: usize| words(1000 * (row + 1)..1000 * (row + 1) + 20);
        (0..count).map(|row| format!("{} {}", words(0..14), own(row))).collect()
    }

    #[test]
    fn a_gram_of_many_texts_is_a_template_and_no_leak() {
        let index = index(&greeted(12));
        let greeting = words(0..14);
        assert_eq!(index.overlap(&format!("{greeting} {}", words(500..515))), None);
        let text = format!("{greeting} {}", words(4000..4013));
        // The two grams of the greeting are left out, so what is shared begins with its third word.
        let expected = Overlap { row: 3, grams: 13, share: 1.0, excerpt: 6..text.len() };
        assert_eq!(index.overlap(&text), Some(expected));
    }

    #[test]
    fn a_gram_of_ten_texts_or_of_one_text_in_a_hundred_is_no_template() {
        let shared =
            |texts: &[String]| index(texts).overlap(&words(0..14)).map(|found| found.grams);
        assert_eq!(shared(&greeted(10)), Some(2));
        assert_eq!(shared(&greeted(11)), None);
        let mut texts = greeted(11);
        texts.resize(1100, "short".to_owned());
        assert_eq!(shared(&texts), Some(2));
        texts.pop();
        assert_eq!(shared(&texts), None);
    }

    #[test]
    fn punctuation_spacing_and_case_hide_nothing() {
        let plain = "One two, three; four five six seven eight nine ten eleven twelve thirteen.";
        let index = GramIndex::of(&[plain]);
        let text =
            "ONE... two—three four (five) six\n\nseven eight nine-ten\televen twelve THIRTEEN";
        let expected = Overlap { row: 0, grams: 1, share: 1.0, excerpt: 0..text.len() };
        assert_eq!(index.overlap(text), Some(expected));
        assert_eq!(index.overlap(&text.replace("four", "fourteen")), None);
        assert_eq!(index.overlap(&text.replace("nine-ten", "nineten more")), None);
    }

    #[test]
    fn a_text_shorter_than_a_gram_has_none() {
        let texts = [words(0..12), String::new()];
        let index = index(&texts);
        assert_eq!(index, GramIndex { held: vec![], templates: vec![] });
        assert_eq!(index.overlap(&texts[0]), None);
        assert_eq!(index.overlap(""), None);
        assert_eq!(GramIndex::of(&[]).overlap(&words(0..20)), None);
    }

    #[test]
    fn bytes_of_other_alphabets_lie_between_characters() {
        let run = "één twee drie vier vijf шесть zeven acht negen 十 élf twaalf dértién";
        let upper = run.to_uppercase();
        let index = GramIndex::of(&[upper.as_str()]);
        let text = format!("→ “{run}” ←");
        let found = index.overlap(&text).unwrap();
        assert_eq!((found.grams, found.share), (1, 1.0));
        assert_eq!(text[found.excerpt], *run);
    }

    #[test]
    fn one_thread_and_three_give_the_same_index() {
        let texts = greeted(50);
        let build = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| index(&texts))
        };
        assert_eq!(build(1), build(3));
        // Each text has 34 words and so 22 grams, of which 2 are the greeting.
        assert_eq!((build(1).held.len(), build(1).templates.len()), (50 * 20, 2));
    }
}
