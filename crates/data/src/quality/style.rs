//! How replies are written: measures of each, how alike those of a set are, and how far one stands out.
//!
//! The word lists and the syllable count are for English; in other languages only the measures of length, lists and
//! punctuation mean something.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::text::{ends_sentence, list_item};

/// Measures of one reply.
///
/// Units: words, sentences and lines as written; a line break ends a sentence, and a list marker is no word.
#[derive(Debug, Clone, PartialEq)]
pub struct Style {
    /// Words.
    pub words: f64,
    /// Mean words per sentence.
    pub sentence_words: f64,
    /// Formal words less contractions, informal words, emoji and emoticons, per 100 words.
    ///
    /// A word list stands in for the F-score of Heylighen & Dewaele (1999), which needs parts of speech.
    pub formality: f64,
    /// Contractions per 100 words.
    pub contractions: f64,
    /// Forms of `you` per 100 words.
    pub second_person: f64,
    /// Words that weaken a statement, `perhaps` or `I think`, per 100 words; after Hyland (1998).
    pub hedging: f64,
    /// List items among the lines that are not blank, from 0 to 1.
    pub list_lines: f64,
    /// Exclamation marks per sentence.
    pub exclamations: f64,
    /// Question marks per sentence.
    pub questions: f64,
    /// Flesch reading ease: 100 is plain, 0 is hard.
    pub reading_ease: f64,
}

/// Medians and interquartile ranges of the measures of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct StyleSummary {
    median: [f64; COUNT],
    spread: [f64; COUNT],
}

const COUNT: usize = Style::MEASURES.len();
/// A shorter reply has no style.
const LEAST_WORDS: usize = 3;
/// The interquartile range of each measure that makes a set half consistent.
const SCALES: [f64; COUNT] = [40.0, 6.0, 10.0, 5.0, 8.0, 5.0, 0.25, 0.5, 0.5, 25.0];
/// The measures that are means over words, and the words from which such a mean is sure.
const PER_WORD: [usize; 5] = [2, 3, 4, 5, 9];
const SURE_WORDS: f64 = 20.0;
/// Interquartile range of the standard normal distribution.
const NORMAL_SPREAD: f64 = 1.349;

const FORMAL: &str = "accordingly additionally advise apologies apologise apologize appreciate appreciated assist \
    assistance commence concerning consequently cordially dear enquire enquiry ensure facilitate faithfully \
    furthermore grateful hence however inconvenience inform informed inquire inquiry kindly madam moreover \
    nevertheless notify obtain please prior provide provided purchase purchased pursuant receive received regarding \
    regards request requested require required requires respectfully shall sincerely sir subsequent sufficient \
    terminate therefore thus upon whom";
const INFORMAL: &str = "asap awesome btw buddy bye cool coz cuz cya dude dunno folks fyi gimme gonna gotta guys haha \
    hey hi hiya hmm kinda lemme lol mate nah nope oh ok okay omg oops pls plz sorta stuff super thx totally u ur \
    wanna whoa wow ya yay yeah yep yo yup y'all";
const HEDGES: &str = "apparently approximately appear appears generally likely may maybe might often perhaps possibly \
    potentially presumably probably roughly seem seemingly seems sometimes somewhat tend tends typically unlikely \
    usually";
const OPINIONS: &str = "assume believe guess suppose think";
const SECOND_PERSON: &str = "you your yours yourself yourselves";
/// What an `'s` contracts with; behind other words it may be a possessive.
const CONTRACTED_WITH_IS: &[&str] = &[
    "it", "that", "what", "here", "there", "he", "she", "who", "where", "how", "when", "why", "let",
];
const EMOTICONS: &[&str] = &[":)", ":-)", ":(", ":-(", ";)", ";-)", ":d", ":-d", ":p", ":-p", "<3"];

/// What a word says about the style.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Marker {
    Formal,
    Informal,
    Hedge,
    /// A hedge behind `I`.
    Opinion,
    SecondPerson,
}

const LISTS: [(&str, Marker); 5] = [
    (FORMAL, Marker::Formal),
    (INFORMAL, Marker::Informal),
    (HEDGES, Marker::Hedge),
    (OPINIONS, Marker::Opinion),
    (SECOND_PERSON, Marker::SecondPerson),
];

static MARKERS: LazyLock<HashMap<&str, Marker>> = LazyLock::new(|| {
    let marked = |(list, marker): (&'static str, Marker)| {
        list.split_whitespace().map(move |word| (word, marker))
    };
    LISTS.into_iter().flat_map(marked).collect()
});

impl Style {
    /// Names of the measures, in the order of [`Style::values`].
    pub const MEASURES: [&'static str; 10] = [
        "words",
        "words per sentence",
        "formality",
        "contractions",
        "second person",
        "hedging",
        "list lines",
        "exclamation marks",
        "question marks",
        "reading ease",
    ];

    /// The measures of a reply; `None` under three words.
    ///
    /// Source: Flesch (1948), A new readability yardstick, for the reading ease.
    pub fn of(reply: &str) -> Option<Style> {
        let counts = Counts::of(reply);
        if counts.words < LEAST_WORDS {
            return None;
        }
        let (words, sentences) = (counts.words as f64, counts.sentences as f64);
        let per_100_words = |count: usize| 100.0 * count as f64 / words;
        let per_sentence = |count: usize| count as f64 / sentences;
        let syllables_per_word = counts.syllables as f64 / words;
        Some(Style {
            words,
            sentence_words: per_sentence(counts.words),
            formality: per_100_words(counts.formal) - per_100_words(counts.informal),
            contractions: per_100_words(counts.contractions),
            second_person: per_100_words(counts.second_person),
            hedging: per_100_words(counts.hedges),
            list_lines: counts.list_lines as f64 / counts.lines as f64,
            exclamations: per_sentence(counts.exclamations),
            questions: per_sentence(counts.questions),
            reading_ease: 206.835 - 1.015 * words / sentences - 84.6 * syllables_per_word,
        })
    }

    /// The measures in the order of [`Style::MEASURES`].
    pub fn values(&self) -> [f64; COUNT] {
        [
            self.words,
            self.sentence_words,
            self.formality,
            self.contractions,
            self.second_person,
            self.hedging,
            self.list_lines,
            self.exclamations,
            self.questions,
            self.reading_ease,
        ]
    }
}

impl StyleSummary {
    /// The summary of a set; `None` for an empty one.
    ///
    /// Source: Hyndman & Fan (1996), definition 7, for the quartiles.
    pub fn of(styles: &[Style]) -> Option<StyleSummary> {
        if styles.is_empty() {
            return None;
        }
        let (mut median, mut spread) = ([0.0; COUNT], [0.0; COUNT]);
        for (measure, (median, spread)) in median.iter_mut().zip(&mut spread).enumerate() {
            let values = styles.iter().filter_map(|style| style.values().get(measure).copied());
            let mut sorted: Vec<f64> = values.collect();
            sorted.sort_unstable_by(f64::total_cmp);
            *median = quantile(&sorted, 0.5);
            *spread = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
        }
        Some(StyleSummary { median, spread })
    }

    /// The median of each measure.
    pub fn median(&self) -> [f64; COUNT] {
        self.median
    }

    /// The interquartile range of each measure.
    pub fn spread(&self) -> [f64; COUNT] {
        self.spread
    }

    /// How much alike the replies are, from 0 to 1: the mean over the measures of 1 / (1 + spread / scale).
    ///
    /// The scales are 40 words, 6 words per sentence; per 100 words 10 of formality, 5 contractions, 8 of the second
    /// person and 5 hedges; 0.25 of the lines; per sentence 0.5 exclamation marks and 0.5 question marks; and 25 of
    /// reading ease.
    pub fn consistency(&self) -> f64 {
        let alike =
            self.spread.iter().zip(SCALES).map(|(spread, scale)| 1.0 / (1.0 + spread / scale));
        alike.sum::<f64>() / COUNT as f64
    }

    /// The index of the measure in which a reply stands out most, and by how much.
    ///
    /// Units: robust standard deviations, |value − median| / (spread / 1.349). A spread below the measure's scale
    /// counts as the scale: where most replies have none of something, one more of it is no outlier. Means over the
    /// words of a reply under 20 words count in proportion to its words: one word of three is no style.
    pub fn outlyingness(&self, style: &Style) -> (usize, f64) {
        let certainty = (style.words / SURE_WORDS).min(1.0);
        let usual = self.median.iter().zip(&self.spread).zip(SCALES);
        let mut most = (0, 0.0);
        for (measure, (value, ((median, spread), scale))) in
            style.values().iter().zip(usual).enumerate()
        {
            let mut deviation = (value - median).abs() / (spread.max(scale) / NORMAL_SPREAD);
            if PER_WORD.contains(&measure) {
                deviation *= certainty;
            }
            if deviation > most.1 {
                most = (measure, deviation);
            }
        }
        most
    }
}

/// What is counted in a reply.
#[derive(Debug, Default)]
struct Counts {
    words: usize,
    sentences: usize,
    syllables: usize,
    formal: usize,
    informal: usize,
    contractions: usize,
    second_person: usize,
    hedges: usize,
    lines: usize,
    list_lines: usize,
    exclamations: usize,
    questions: usize,
}

impl Counts {
    fn of(reply: &str) -> Counts {
        let mut counts = Counts::default();
        let mut text = reply.to_ascii_lowercase();
        if text.contains('’') {
            text = text.replace('’', "'");
        }
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let item = list_item(line);
            counts.lines += 1;
            counts.list_lines += usize::from(item.is_some());
            counts.add_line(item.unwrap_or(line));
        }
        counts
    }

    fn add_line(&mut self, line: &str) {
        let mut before = "";
        let mut open = false;
        let divides = |c: char| c.is_whitespace() || matches!(c, '—' | '–');
        for token in line.split(divides).filter(|token| !token.is_empty()) {
            if EMOTICONS.contains(&token) {
                self.informal += 1;
                continue;
            }
            if !token.is_ascii() {
                self.informal += token.chars().filter(|c| is_emoji(*c)).count();
            }
            let marks = token.rsplit(char::is_alphanumeric).next().unwrap_or_default();
            self.exclamations += marks.matches('!').count();
            self.questions += marks.matches('?').count();
            let word = token.trim_matches(|c: char| !c.is_alphanumeric());
            let ends = match word {
                // A mark may stand apart from its sentence.
                "" => open && marks.contains(['.', '!', '?', '…']),
                _ => ends_sentence(token),
            };
            if !word.is_empty() {
                self.add_word(word, before);
                before = word;
                open = true;
            }
            self.sentences += usize::from(ends);
            open &= !ends;
        }
        self.sentences += usize::from(open);
    }

    fn add_word(&mut self, word: &str, before: &str) {
        self.words += 1;
        self.syllables += syllables(word);
        if is_contraction(word) {
            self.contractions += 1;
            self.informal += 1;
            self.second_person += usize::from(word.starts_with("you'"));
        }
        match MARKERS.get(word) {
            Some(Marker::Formal) => self.formal += 1,
            Some(Marker::Informal) => self.informal += 1,
            Some(Marker::Hedge) => self.hedges += 1,
            Some(Marker::Opinion) => self.hedges += usize::from(before == "i"),
            Some(Marker::SecondPerson) => self.second_person += 1,
            None => {}
        }
    }
}

fn is_contraction(word: &str) -> bool {
    let Some((stem, ending)) = word.rsplit_once('\'') else { return false };
    match ending {
        "t" => stem.ends_with('n'),
        "re" | "ve" | "ll" | "d" | "m" => true,
        "s" => CONTRACTED_WITH_IS.contains(&stem),
        _ => false,
    }
}

fn is_emoji(c: char) -> bool {
    // The five skin tones only change the emoji before them.
    matches!(c, '\u{1f300}'..='\u{1f3fa}' | '\u{1f400}'..='\u{1faff}' | '☺' | '☹' | '❤' | '✨')
}

/// Syllables of an English word in small letters: its groups of vowels without a silent ending, at least one.
fn syllables(word: &str) -> usize {
    let word = word.strip_suffix("'s").unwrap_or(word).as_bytes();
    let mut groups: usize = 0;
    let mut in_vowels = false;
    for byte in word {
        groups += usize::from(is_vowel(*byte) && !in_vowels);
        in_vowels = is_vowel(*byte);
    }
    let silent = usize::from(has_silent_ending(word));
    groups.saturating_sub(silent).max(1)
}

fn is_vowel(byte: u8) -> bool {
    matches!(byte, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

/// Whether the `e` of a last `e`, `es` or `ed` is silent: in `make`, `makes` and `asked`, not in `table` or `needed`.
fn has_silent_ending(word: &[u8]) -> bool {
    match word {
        [.., before, b'l', b'e'] | [.., before, b'l', b'e', b's'] => is_vowel(*before),
        [.., before, b'e', b'd'] => !is_vowel(*before) && !matches!(before, b't' | b'd'),
        [.., before, b'e', b's'] => !is_vowel(*before) && !b"sxzcgh".contains(before),
        [.., before, b'e'] => !is_vowel(*before),
        _ => false,
    }
}

/// The quantile of sorted values, between two of them where it falls there; 0 without any.
pub(super) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let value = |at: f64| sorted.get(at as usize).copied().unwrap_or_default();
    let below = value(place.floor());
    below + (value(place.ceil()) - below) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LETTER: &str = "Dear Anna, we kindly request your new receipt. Please reply!";
    const CHAT: &str = "Hey, it’s ready! Perhaps?\n- Yeah, you can\n\n- I think so :)";

    fn assert_close(found: [f64; COUNT], expected: [f64; COUNT]) {
        for ((found, expected), measure) in found.iter().zip(expected).zip(Style::MEASURES) {
            // The sums are rounded in f64.
            assert!((found - expected).abs() < 1e-9, "{measure}: {found}, expected {expected}");
        }
    }

    /// A style that differs from others in its words alone.
    fn of_words(words: f64) -> Style {
        let style = Style::of(LETTER).unwrap();
        Style { words, ..style }
    }

    #[test]
    fn a_formal_reply_has_the_measures_counted_by_hand() {
        // Two sentences of 10 words and 15 syllables; formal: dear, kindly, request, please.
        let ease = 206.835 - 1.015 * 5.0 - 84.6 * 1.5;
        let expected = [10.0, 5.0, 40.0, 0.0, 10.0, 0.0, 0.0, 0.5, 0.0, ease];
        assert_close(Style::of(LETTER).unwrap().values(), expected);
    }

    #[test]
    fn an_informal_reply_has_the_measures_counted_by_hand() {
        // Four sentences of 10 words and 12 syllables; informal: hey, it's, yeah, :); hedges: perhaps, I think.
        let ease = 206.835 - 1.015 * 2.5 - 84.6 * 1.2;
        let expected = [10.0, 2.5, -40.0, 10.0, 10.0, 20.0, 2.0 / 3.0, 0.25, 0.25, ease];
        assert_close(Style::of(CHAT).unwrap().values(), expected);
    }

    #[test]
    fn a_reply_under_three_words_has_no_style() {
        assert_eq!(Style::of("cancel_order"), None);
        assert_eq!(Style::of("Yes, please!"), None);
        assert_eq!(Style::of("1. 2. - !"), None);
        assert_eq!(Style::of("Yes, please do.").map(|style| style.words), Some(3.0));
    }

    #[test]
    fn abbreviations_and_numbers_end_no_sentence_and_marks_may_stand_apart() {
        let sentences = |reply| Counts::of(reply).sentences;
        assert_eq!(sentences("Ask Dr. Hall, e.g. by mail"), 1);
        assert_eq!(sentences("It costs 31.36 GBP ! Is that fine ?"), 2);
        assert_eq!(sentences("Great!!! (It is \"done.\") Bye"), 3);
        assert_eq!(sentences("Wait... what?!"), 2);
    }

    #[test]
    fn emoji_count_once_whatever_their_skin() {
        let informal = |reply| Counts::of(reply).informal;
        assert_eq!(informal("We thank you 👍🏽"), 1);
        assert_eq!(informal("We thank you ❤\u{fe0f}😀"), 2);
        assert_eq!(informal("Go → there ✓ now"), 0);
    }

    #[test]
    fn a_possessive_is_no_contraction() {
        for word in ["it's", "don't", "you'll", "we've", "i'm", "they're", "he'd", "let's"] {
            assert!(is_contraction(word), "{word}");
        }
        for word in ["anna's", "guests'", "o'neill", "ma'am", "its", "hotel's"] {
            assert!(!is_contraction(word), "{word}");
        }
    }

    #[test]
    fn syllables_are_vowel_groups_without_silent_endings() {
        let counted =
            ["the", "make", "makes", "asked", "needed", "table", "tables", "boxes", "people"];
        assert_eq!(counted.map(syllables), [1, 1, 1, 1, 2, 2, 2, 2, 2]);
        let counted =
            ["available", "reservation", "you're", "we've", "here's", "free", "17:45", "tr"];
        assert_eq!(counted.map(syllables), [4, 4, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn no_word_is_in_two_lists() {
        let words: usize = LISTS.iter().map(|(list, _)| list.split_whitespace().count()).sum();
        assert_eq!(MARKERS.len(), words);
    }

    #[test]
    fn a_summary_has_medians_and_interquartile_ranges() {
        let styles = [40.0, 10.0, 20.0, 30.0].map(of_words);
        let summary = StyleSummary::of(&styles).unwrap();
        assert_eq!(summary.median()[..2], [25.0, 5.0]);
        assert_eq!(summary.spread()[..2], [15.0, 0.0]);
        assert_eq!(StyleSummary::of(&[]), None);
    }

    #[test]
    fn consistency_is_one_for_equal_replies_and_loses_half_a_measure_at_its_scale() {
        let equal = StyleSummary::of(&[of_words(10.0), of_words(10.0)]).unwrap();
        assert_eq!(equal.consistency(), 1.0);
        let spread = StyleSummary::of(&[of_words(10.0), of_words(90.0)]).unwrap();
        assert_eq!(spread.spread()[0], 40.0);
        assert!((spread.consistency() - 0.95).abs() < 1e-12);
    }

    #[test]
    fn the_measure_that_stands_out_most_is_told_in_robust_deviations() {
        let summary = StyleSummary::of(&[of_words(10.0), of_words(10.0)]).unwrap();
        let (measure, deviation) = summary.outlyingness(&of_words(90.0));
        assert_eq!(Style::MEASURES[measure], "words");
        assert!((deviation - 80.0 / (40.0 / 1.349)).abs() < 1e-12);
        assert_eq!(summary.outlyingness(&of_words(10.0)), (0, 0.0));
    }

    #[test]
    fn one_contraction_in_three_words_is_no_outlier() {
        let usual = Style::of("Ten rooms are free.").unwrap();
        let short = Style::of("That's the TR2840.").unwrap();
        let (measure, deviation) = StyleSummary::of(&[usual]).unwrap().outlyingness(&short);
        assert_eq!(Style::MEASURES[measure], "contractions");
        assert!((deviation - 100.0 / 3.0 / (5.0 / 1.349) * 3.0 / 20.0).abs() < 1e-12);
    }
}
