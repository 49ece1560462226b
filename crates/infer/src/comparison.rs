//! Comparisons of arms on the same items.

use std::fmt;

use serde::Serialize;

use crate::metric::ItemScores;
use crate::statistics::{
    agresti_min_interval, bootstrap_interval, fewest_items_for_signs, holm, items_to_bound_gain,
    mcnemar, mcnemar_items_needed, paired_bootstrap, paired_items_needed, wilson_interval,
    Interval, McNemar, Planned, Resampling, StatisticsError, ALPHA, CONFIDENCE, POWER,
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

/// The question that a comparison belongs to; Holm's adjustment covers one family at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// A tuned arm against a prompt-only one: whether tuning helps, which the verdict answers.
    TunedAgainstPrompt,
    /// Two tuned arms, or two prompt-only ones.
    Within,
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
    /// The p-value after Holm's adjustment over all comparisons of its family.
    pub p_adjusted: f64,
    /// The question that it belongs to.
    pub family: Family,
    /// The interval at 1 − 0.05/m, for the family's m comparisons: all of them hold together 95 % of
    /// the time.
    #[serde(skip)]
    pub(crate) simultaneous: Interval,
    #[serde(skip)]
    evidence: Evidence,
}

/// What a sample size is planned from.
#[derive(Clone, Copy, Debug)]
struct Evidence {
    items: usize,
    /// The items on which the arms were measured differently.
    differing: usize,
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
    /// It is planned for a power of 0.8 at 0.05 divided by the number of comparisons of the family,
    /// the hardest step of Holm's, and never for fewer items than let the test reach that, if as
    /// many of them differ as did. `None` where the difference is 0.
    ///
    /// # Errors
    /// Where the statistics refuse the numbers, which those of a comparison never make them do.
    pub fn items_needed(&self) -> Result<Option<usize>, StatisticsError> {
        let Evidence { items, differing, spread, planned, .. } = &self.evidence;
        let share = |count: usize| count as f64 / *items as f64;
        let needed = match &self.evidence.discordant {
            Some(table) => mcnemar_items_needed(share(table.only_a), share(table.only_b), planned)?,
            None => paired_items_needed(self.difference, *spread, planned)?,
        };
        let fewest = fewest_items_for_signs(share(*differing), planned)?;
        Ok(needed.map(|needed| needed.max(fewest.unwrap_or_default())))
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

/// The comparisons of each tuned arm with each prompt-only one, then those within each kind.
///
/// They are two families, each with its own Holm's adjustment: were the pairs within a kind
/// adjusted together with the others, they would weaken the question asked, whether tuning helps. A
/// single arm gives no comparison. Scores of 0 and 1 go through McNemar's exact test, with
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
    let mut comparisons = compare_family(arms, Family::TunedAgainstPrompt, resampling)?;
    comparisons.extend(compare_family(arms, Family::Within, resampling)?);
    Ok(comparisons)
}

fn compare_family(
    arms: &[ScoredArm],
    family: Family,
    resampling: &Resampling,
) -> Result<Vec<Comparison>, StatisticsError> {
    let pairs = pairs(arms, family);
    if pairs.is_empty() {
        return Ok(Vec::new());
    }
    let planned = Planned { alpha: ALPHA / pairs.len() as f64, power: POWER };
    let compared = pairs.into_iter().map(|(a, b)| compare(a, b, family, planned, resampling));
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

fn pairs(arms: &[ScoredArm], family: Family) -> Vec<(&ScoredArm, &ScoredArm)> {
    let of = |kind: ArmKind| arms.iter().filter(move |arm| arm.kind == kind);
    let across = || {
        of(ArmKind::Tuned)
            .flat_map(|tuned| of(ArmKind::PromptOnly).map(move |prompt| (tuned, prompt)))
    };
    let within = |kind: ArmKind| {
        of(kind)
            .enumerate()
            .flat_map(move |(index, a)| of(kind).skip(index + 1).map(move |b| (a, b)))
    };
    match family {
        Family::TunedAgainstPrompt => across().collect(),
        Family::Within => within(ArmKind::PromptOnly).chain(within(ArmKind::Tuned)).collect(),
    }
}

fn compare(
    a: &ScoredArm,
    b: &ScoredArm,
    family: Family,
    planned: Planned,
    resampling: &Resampling,
) -> Result<Comparison, StatisticsError> {
    let (x, y) = (&a.scores, &b.scores);
    let items = x.items();
    let difference_of = |chosen: &[usize]| x.figure_of(chosen) - y.figure_of(chosen);
    let differing = x.differing(y);
    let bootstrap = paired_bootstrap(items, differing, difference_of, resampling)?;
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
        family,
        simultaneous: interval(1.0 - planned.alpha)?,
        evidence: Evidence {
            items,
            differing,
            spread: bootstrap.standard_error * (items as f64).sqrt(),
            discordant,
            planned,
        },
    })
}
