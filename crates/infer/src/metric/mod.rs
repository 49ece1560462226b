//! Metrics: how well an output answers a reference, per item and over a list of items.
//!
//! Every score and every figure lies in 0..1 (packages that print 0..100 are divided by 100).
//! Each module states its definition and its source; the golden files under `tests/golden` hold the
//! figures of the published implementations.

mod bleu;
mod chrf;
mod exact_match;
mod item_scores;
mod label;
mod ngram;
mod rouge_l;
mod valid_json;
mod white_space;

use std::fmt;
use std::str::FromStr;

use item_scores::Sufficient;

pub use exact_match::squad_normalised;
pub use item_scores::ItemScores;

/// A rule that compares an output with its reference.
///
/// Parsed from, and shown as, the names that [`Metric::all`] lists.
#[derive(Clone, Debug)]
pub enum Metric {
    /// 1 where output and reference are equal after SQuAD normalisation ([`squad_normalised`]).
    ExactMatch,
    /// 1 where output and reference are equal after trimming white space at both ends.
    ExactMatchStrict,
    /// 1 where the label answered is the reference label, both trimmed; case counts.
    ///
    /// Over items: the share of right labels, scikit-learn's `accuracy_score`.
    LabelAccuracy,
    /// The F1 of each label, averaged over labels with equal weight.
    ///
    /// Over items: scikit-learn's `f1_score(average="macro", zero_division=0)`, over every label
    /// that occurs in the references or in the outputs, so a label answered but never asked for
    /// counts as one with F1 0. Per item: 1 where the label is right.
    MacroF1,
    /// F1 of the longest common subsequence of words, as the `rouge_score` package has it without
    /// stemming; over items the mean.
    ///
    /// Words are runs of `a-z0-9` after lower-casing: text without Latin letters or digits has
    /// none, and scores 0. Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries",
    /// 2004, section 3.1.
    RougeL,
    /// Character n-gram F2, sacrebleu's `chrF2` (orders 1 to 6, no words, white space ignored,
    /// effective order).
    ///
    /// Over items the counts are added up before the F is taken; per item it is the sentence-level
    /// score. Source: Popović, "chrF: character n-gram F-score for automatic MT evaluation", 2015.
    Chrf,
    /// Word n-gram precision with brevity penalty, sacrebleu's default BLEU (13a tokenisation,
    /// orders 1 to 4, exponential smoothing).
    ///
    /// Over items the counts are added up first, and the figure is 0 where no output has four
    /// words: prefer `chrf` for short answers. Per item it is the sentence-level score with
    /// effective order. Source: Papineni et al., "BLEU: a Method for Automatic Evaluation of
    /// Machine Translation", 2002; Post, "A Call for Clarity in Reporting BLEU Scores", 2018.
    Bleu,
    /// 1 where the whole output is one JSON value (RFC 8259); the reference is not read.
    ///
    /// White space around it and one Markdown code fence around all of it are taken off first: a
    /// caller can do the same, while prose before or after the value it cannot. Any value counts,
    /// also a lone number or string; ask for an object with `regex:` where that matters.
    ValidJson,
    /// 1 where the pattern is found anywhere in the output (anchor it with `^` and `$`); the
    /// reference is not read. The syntax is that of the `regex` crate: no look-around, no
    /// back-references.
    Regex(regex::Regex),
}

/// A metric's name and what it measures, for a help text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetricDescription {
    /// The name as the command line takes it.
    pub name: &'static str,
    /// One line on what it measures.
    pub description: &'static str,
}

const ALL: &[MetricDescription] = &[
    MetricDescription {
        name: "exact-match",
        description: "equal after SQuAD normalisation (case, punctuation, articles, white space)",
    },
    MetricDescription {
        name: "exact-match-strict",
        description: "equal after trimming white space",
    },
    MetricDescription {
        name: "label-accuracy",
        description: "share of right labels, each the candidate of highest likelihood",
    },
    MetricDescription {
        name: "macro-f1",
        description: "F1 per label, averaged over labels (scikit-learn's macro)",
    },
    MetricDescription {
        name: "rouge-l",
        description: "longest common subsequence of words, F1 (rouge_score, no stemming)",
    },
    MetricDescription {
        name: "chrf",
        description: "character n-grams up to 6, F2 (sacrebleu's chrF2, 0..1)",
    },
    MetricDescription {
        name: "bleu",
        description: "word n-grams up to 4, tokenisation 13a (sacrebleu's BLEU, 0..1)",
    },
    MetricDescription {
        name: "valid-json",
        description: "the output is one JSON value, in a code fence or bare",
    },
    MetricDescription { name: "regex:PATTERN", description: "PATTERN is found in the output" },
];

impl Metric {
    /// Every metric's name and description, in the order a help text shows them.
    pub fn all() -> &'static [MetricDescription] {
        ALL
    }

    /// Whether an item's score is 0 or 1 and the figure over items is their mean.
    pub fn is_zero_one(&self) -> bool {
        matches!(
            self,
            Metric::ExactMatch
                | Metric::ExactMatchStrict
                | Metric::LabelAccuracy
                | Metric::ValidJson
                | Metric::Regex(_)
        )
    }

    /// Whether an output is compared with a reference; without one, rows that only ask can be scored.
    pub fn reads_reference(&self) -> bool {
        !matches!(self, Metric::ValidJson | Metric::Regex(_))
    }

    /// Whether the outputs are to be labels, chosen among candidates by their likelihood.
    pub fn takes_labels(&self) -> bool {
        matches!(self, Metric::LabelAccuracy | Metric::MacroF1)
    }

    /// One item's score, in 0..1.
    pub fn score(&self, output: &str, reference: &str) -> f64 {
        match self {
            Metric::ExactMatch => zero_one(exact_match::normalised_equal(output, reference)),
            Metric::ExactMatchStrict => zero_one(exact_match::trimmed_equal(output, reference)),
            Metric::LabelAccuracy | Metric::MacroF1 => {
                zero_one(label::named(output) == label::named(reference))
            }
            Metric::RougeL => rouge_l::score(output, reference),
            Metric::Chrf => chrf::figure(&chrf::counts(output, reference)),
            Metric::Bleu => bleu::sentence_figure(&bleu::counts(output, reference)),
            Metric::ValidJson => zero_one(valid_json::holds(output)),
            Metric::Regex(pattern) => zero_one(pattern.is_match(output)),
        }
    }

    /// The scores of aligned outputs and references, with what a resample of the items needs.
    ///
    /// # Errors
    /// When the lists differ in length or are empty.
    pub fn measure<O: AsRef<str>, R: AsRef<str>>(
        &self,
        outputs: &[O],
        references: &[R],
    ) -> Result<ItemScores, MetricError> {
        if outputs.len() != references.len() {
            return Err(MetricError::DifferentLengths {
                outputs: outputs.len(),
                references: references.len(),
            });
        }
        if outputs.is_empty() {
            return Err(MetricError::NoItems);
        }
        let outputs: Vec<&str> = outputs.iter().map(AsRef::as_ref).collect();
        let references: Vec<&str> = references.iter().map(AsRef::as_ref).collect();
        Ok(self.measure_aligned(&outputs, &references))
    }

    fn measure_aligned(&self, outputs: &[&str], references: &[&str]) -> ItemScores {
        let pairs = || outputs.iter().copied().zip(references.iter().copied());
        let (scores, sufficient): (Vec<f64>, Sufficient) = match self {
            Metric::Chrf => {
                let rows: Vec<chrf::Counts> = pairs().map(|(o, r)| chrf::counts(o, r)).collect();
                (rows.iter().map(chrf::figure).collect(), Sufficient::Chrf(rows))
            }
            Metric::Bleu => {
                let rows: Vec<bleu::Counts> = pairs().map(|(o, r)| bleu::counts(o, r)).collect();
                (rows.iter().map(bleu::sentence_figure).collect(), Sufficient::Bleu(rows))
            }
            _ => {
                let scores = pairs().map(|(o, r)| self.score(o, r)).collect();
                let sufficient = match self {
                    Metric::MacroF1 => Sufficient::Labels(label::LabelPairs::new(pairs())),
                    _ => Sufficient::Mean,
                };
                (scores, sufficient)
            }
        };
        ItemScores::new(self.clone(), scores, sufficient, references)
    }

    /// The figure over aligned outputs and references, in 0..1.
    ///
    /// # Errors
    /// When the lists differ in length or are empty.
    pub fn corpus<O: AsRef<str>, R: AsRef<str>>(
        &self,
        outputs: &[O],
        references: &[R],
    ) -> Result<f64, MetricError> {
        Ok(self.measure(outputs, references)?.figure())
    }
}

fn zero_one(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

impl FromStr for Metric {
    type Err = MetricError;

    fn from_str(name: &str) -> Result<Self, MetricError> {
        if let Some(pattern) = name.strip_prefix("regex:") {
            return match regex::Regex::new(pattern) {
                Ok(pattern) => Ok(Metric::Regex(pattern)),
                Err(source) => Err(MetricError::Pattern { pattern: pattern.to_string(), source }),
            };
        }
        match name {
            "exact-match" => Ok(Metric::ExactMatch),
            "exact-match-strict" => Ok(Metric::ExactMatchStrict),
            "label-accuracy" => Ok(Metric::LabelAccuracy),
            "macro-f1" => Ok(Metric::MacroF1),
            "rouge-l" => Ok(Metric::RougeL),
            "chrf" => Ok(Metric::Chrf),
            "bleu" => Ok(Metric::Bleu),
            "valid-json" => Ok(Metric::ValidJson),
            _ => Err(MetricError::Unknown { name: name.to_string() }),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Metric::ExactMatch => "exact-match",
            Metric::ExactMatchStrict => "exact-match-strict",
            Metric::LabelAccuracy => "label-accuracy",
            Metric::MacroF1 => "macro-f1",
            Metric::RougeL => "rouge-l",
            Metric::Chrf => "chrf",
            Metric::Bleu => "bleu",
            Metric::ValidJson => "valid-json",
            Metric::Regex(pattern) => return write!(f, "regex:{}", pattern.as_str()),
        })
    }
}

impl PartialEq for Metric {
    fn eq(&self, other: &Metric) -> bool {
        match (self, other) {
            (Metric::Regex(a), Metric::Regex(b)) => a.as_str() == b.as_str(),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

/// What can be wrong with a metric's name or the lists it is given.
#[derive(Debug, thiserror::Error)]
pub enum MetricError {
    /// The name is not one of [`Metric::all`].
    #[error("unknown metric `{name}`, expected one of {}", names())]
    Unknown {
        /// The name found.
        name: String,
    },
    /// The pattern after `regex:` does not compile.
    #[error("metric `regex:{pattern}`: the pattern does not compile: {source}")]
    Pattern {
        /// The pattern found.
        pattern: String,
        /// What the compiler of patterns says.
        source: regex::Error,
    },
    /// Outputs and references are not aligned.
    #[error("{outputs} outputs stand against {references} references, expected one for each")]
    DifferentLengths {
        /// How many outputs there are.
        outputs: usize,
        /// How many references there are.
        references: usize,
    },
    /// There is nothing to score.
    #[error("no items to score, expected at least one")]
    NoItems,
}

impl MetricError {
    /// What the reader can do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            MetricError::Unknown { name } => {
                nearest(name).map(|nearest| format!("the nearest name is `{nearest}`"))
            }
            MetricError::Pattern { .. } => Some(
                "look-around and back-references are not supported; escape a literal `(` as `\\(`"
                    .to_string(),
            ),
            MetricError::DifferentLengths { .. } => None,
            MetricError::NoItems => {
                Some("check that the test file has rows with an answer".to_string())
            }
        }
    }
}

fn names() -> String {
    let quoted: Vec<String> = ALL.iter().map(|m| format!("`{}`", m.name)).collect();
    quoted.join(", ")
}

fn nearest(name: &str) -> Option<&'static str> {
    let plain = |text: &str| -> String {
        let kept = text.chars().filter(|c| c.is_alphanumeric());
        kept.flat_map(char::to_lowercase).collect()
    };
    let wanted = plain(name);
    let candidates = ALL.iter().map(|metric| metric.name);
    let mut known = candidates.filter(|known| !wanted.is_empty() && plain(known).contains(&wanted));
    known.next()
}
