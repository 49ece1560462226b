//! Comparisons of arms on the same items.

use std::fmt;

use serde::Serialize;

use crate::metric::ItemScores;
use crate::statistics::{
    agresti_min_interval, bootstrap_interval, holm, items_to_bound_gain, mcnemar,
    mcnemar_items_needed, paired_bootstrap, paired_items_needed, wilson_interval, Interval,
    McNemar, Planned, Resampling, StatisticsError, ALPHA, CONFIDENCE, POWER,
};

/// With fewer items than this on the rarer side, a bootstrap of 0 and 1 is too coarse.
const FEW_ITEMS: usize = 10;

/// Whether an arm needs training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArmKind {
    /// The model as it is, asked in some way.
    PromptOnly,
    /// The model with an adapter, asked in some way.
    Tuned,
}

/// What an arm answered, scored, and what asking it costs.
#[derive(Clone, Debug)]
pub struct ScoredArm {
    /// The arm's name, once in a list.
    pub name: String,
    /// Whether it needs training.
    pub kind: ArmKind,
    /// Its scores on the items.
    pub scores: ItemScores,
    /// The mean length of its prompts, in tokens: among equal arms of a kind the shorter is taken.
    pub prompt_tokens_per_item: f64,
}

impl ScoredArm {
    /// The 95 % interval of the arm's figure.
    ///
    /// It is the percentile bootstrap, but Wilson's where the figure is a share with fewer than 10
    /// right or fewer than 10 wrong items, and where every item scores 0 or every item 1: there a
    /// bootstrap would be too narrow, down to a point.
    ///
    /// # Errors
    /// When there are no resamples.
    pub fn interval(&self, resampling: &Resampling) -> Result<Interval, StatisticsError> {
        let scores = &self.scores;
        let items = scores.items();
        let right = scores.scores().iter().filter(|score| **score == 1.0).count();
        let wrong = scores.scores().iter().filter(|score| **score == 0.0).count();
        let rarer = right.min(wrong);
        let coarse = right + wrong == items
            && (right as f64 / items as f64 - scores.figure()).abs() < 1e-12
            && (rarer == 0 || (rarer < FEW_ITEMS && scores.metric().is_zero_one()));
        if coarse {
            return wilson_interval(right, items, CONFIDENCE);
        }
        bootstrap_interval(items, |chosen| scores.figure_of(chosen), CONFIDENCE, resampling)
    }
}

/// The test that a p-value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PairedTest {
    /// McNemar's exact test, for scores of 0 and 1.
    McnemarExact,
    /// The paired bootstrap, for every other figure.
    PairedBootstrap,
}

impl fmt::Display for PairedTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PairedTest::McnemarExact => "mcnemar-exact",
            PairedTest::PairedBootstrap => "paired-bootstrap",
        })
    }
}

/// How two arms differ on the same items.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// The first arm's name; the tuned one where the arms are of both kinds.
    pub a: String,
    /// The second arm's name.
    pub b: String,
    /// The first arm's figure minus the second's.
    pub difference: f64,
    /// The 95 % interval of the difference, of this comparison alone.
    pub ci95: Interval,
    /// The test that gave the p-value.
    pub test: PairedTest,
    /// The two-sided p-value of this comparison alone.
    pub p_value: f64,
    /// The p-value after Holm's adjustment over all comparisons of the report.
    pub p_adjusted: f64,
    /// The interval at 1 − 0.05/m, for m comparisons: all of them hold together 95 % of the time.
    #[serde(skip)]
    pub(crate) simultaneous: Interval,
    #[serde(skip)]
    evidence: Evidence,
}

/// What a sample size is planned from.
#[derive(Clone, Copy, Debug)]
struct Evidence {
    items: usize,
    spread: f64,
    discordant: Option<McNemar>,
    planned: Planned,
}

impl Comparison {
    /// How many items both arms answered.
    pub fn items(&self) -> usize {
        self.evidence.items
    }

    /// How many items, all counted, would show the difference observed, if it is the true one.
    ///
    /// It is planned for a power of 0.8 at 0.05 divided by the number of comparisons, the hardest
    /// step of Holm's. `None` where the difference is 0.
    ///
    /// # Errors
    /// Where the statistics refuse the numbers, which those of a comparison never make them do.
    pub fn items_needed(&self) -> Result<Option<usize>, StatisticsError> {
        let Evidence { spread, planned, .. } = &self.evidence;
        match &self.evidence.discordant {
            Some(table) => {
                let share = |count: usize| count as f64 / table.items as f64;
                mcnemar_items_needed(share(table.only_a), share(table.only_b), planned)
            }
            None => paired_items_needed(self.difference, *spread, planned),
        }
    }

    /// How many items, all counted, would show the first arm's gain to stay below `margin`.
    ///
    /// `None` where the gain observed reaches it.
    ///
    /// # Errors
    /// As [`Comparison::items_needed`].
    pub fn items_to_bound_gain(&self, margin: f64) -> Result<Option<usize>, StatisticsError> {
        let Evidence { spread, planned, .. } = &self.evidence;
        items_to_bound_gain(self.difference, *spread, margin, planned)
    }
}

/// The comparisons of each tuned arm with each prompt-only one, Holm's adjustment over all of them.
///
/// Pairs within a kind are left out where both kinds are present: each more comparison weakens the
/// question asked, whether tuning helps. Where only one kind is present, all its pairs are
/// compared; a single arm gives none. Scores of 0 and 1 go through McNemar's exact test, with
/// Agresti and Min's interval where fewer than 10 items are discordant; everything else goes
/// through the paired bootstrap.
///
/// # Errors
/// When a name stands twice, or the arms were not measured by one metric on the same items.
pub fn compare_arms(
    arms: &[ScoredArm],
    resampling: &Resampling,
) -> Result<Vec<Comparison>, StatisticsError> {
    check_arms(arms)?;
    let pairs = pairs(arms);
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let planned = Planned { alpha: ALPHA / pairs.len() as f64, power: POWER };
    let compared = pairs.into_iter().map(|(a, b)| compare(a, b, planned, resampling));
    let mut comparisons = compared.collect::<Result<Vec<Comparison>, StatisticsError>>()?;
    let p_values: Vec<f64> = comparisons.iter().map(|c| c.p_value).collect();
    for (comparison, p_adjusted) in comparisons.iter_mut().zip(holm(&p_values)?) {
        comparison.p_adjusted = p_adjusted;
    }
    Ok(comparisons)
}

fn check_arms(arms: &[ScoredArm]) -> Result<(), StatisticsError> {
    for (index, arm) in arms.iter().enumerate() {
        let earlier = arms.iter().take(index);
        if earlier.clone().any(|other| other.name == arm.name) {
            let name = arm.name.clone();
            return Err(StatisticsError::DuplicateArm { name });
        }
        if let Some(other) = earlier.clone().find(|o| !o.scores.is_aligned_with(&arm.scores)) {
            return Err(StatisticsError::NotAligned { a: other.name.clone(), b: arm.name.clone() });
        }
    }
    Ok(())
}

fn pairs(arms: &[ScoredArm]) -> Vec<(&ScoredArm, &ScoredArm)> {
    let of = |kind: ArmKind| arms.iter().filter(move |arm| arm.kind == kind);
    let across: Vec<_> = of(ArmKind::Tuned)
        .flat_map(|tuned| of(ArmKind::PromptOnly).map(move |prompt| (tuned, prompt)))
        .collect();
    if !across.is_empty() {
        return across;
    }
    let later = |index: usize| arms.iter().skip(index + 1);
    let within = arms.iter().enumerate();
    within.flat_map(|(index, a)| later(index).map(move |b| (a, b))).collect()
}

fn compare(
    a: &ScoredArm,
    b: &ScoredArm,
    planned: Planned,
    resampling: &Resampling,
) -> Result<Comparison, StatisticsError> {
    let (x, y) = (&a.scores, &b.scores);
    let items = x.items();
    let difference_of = |chosen: &[usize]| x.figure_of(chosen) - y.figure_of(chosen);
    let bootstrap = paired_bootstrap(items, x.differing(y), difference_of, resampling)?;
    let discordant = match x.metric().is_zero_one() {
        true => Some(mcnemar(x.scores(), y.scores())?),
        false => None,
    };
    let interval = |confidence: f64| match discordant.filter(|t| t.discordant() < FEW_ITEMS) {
        Some(table) => agresti_min_interval(table.only_a, table.only_b, items, confidence),
        None => bootstrap.interval(confidence),
    };
    let (test, p_value) = match discordant {
        Some(table) => (PairedTest::McnemarExact, table.p_value),
        None => (PairedTest::PairedBootstrap, bootstrap.p_value),
    };
    Ok(Comparison {
        a: a.name.clone(),
        b: b.name.clone(),
        difference: bootstrap.difference,
        ci95: interval(CONFIDENCE)?,
        test,
        p_value,
        p_adjusted: p_value,
        simultaneous: interval(1.0 - planned.alpha)?,
        evidence: Evidence {
            items,
            spread: bootstrap.standard_error * (items as f64).sqrt(),
            discordant,
            planned,
        },
    })
}
