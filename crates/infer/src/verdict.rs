//! The verdict: prompt, fine-tune, or cannot tell.
//!
//! The best prompt-only arm stands against the best tuned arm, best by the figure on the test
//! items; among equals the one with the shorter prompts, then the first. Choosing the best of
//! several on the very items that score them flatters the side with more arms to choose from.
//! Therefore every pair of a tuned and a prompt-only arm counts in Holm's adjustment and in the
//! width of the interval used below, whichever pair the verdict then speaks of. Pairs within a kind
//! are a family of their own, and the verdict reads none of them.
//!
//! In this order:
//! 1. Only one kind of arm is there, or the metric gives every arm 0: cannot tell. A metric can be
//!    blind to answers of a kind (BLEU to short ones, ROUGE-L to scripts other than Latin), and then
//!    its zeros are no sign that the arms are equal.
//! 2. The two differ significantly (adjusted p below 0.05): the better one, however small the
//!    difference; the sentence says how large it is.
//! 3. Tuning gains less than 2 points over the best prompt for every tuned arm, with 95 %
//!    confidence for all comparisons together: prompt, since training and keeping an adapter has a
//!    price. The gain is bounded from above only; that the prompt may be much better is no reason
//!    to doubt. At least 150 items are asked for: with fewer, a difference that shows in 2 of 100
//!    items can be missing from all of them (0.98¹⁵⁰ is just below 0.05).
//! 4. Otherwise: cannot tell, with the number of items that would tell.

use std::fmt;

use serde::Serialize;

use crate::comparison::{compare_arms, ArmKind, Comparison, Family, ScoredArm};
use crate::metric::Metric;
use crate::statistics::{Resampling, StatisticsError, ALPHA};

/// The gain, in 0..1, below which an adapter is not worth having.
pub const WORTHWHILE_GAIN: f64 = 0.02;

/// The fewest items on which a gain is said to be below [`WORTHWHILE_GAIN`].
pub const FEWEST_ITEMS_TO_BOUND_GAIN: usize = 150;

/// What the figures advise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Prompting does as well, or better.
    Prompt,
    /// Tuning does better.
    FineTune,
    /// The items at hand do not say.
    CannotTell,
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Choice::Prompt => "prompt",
            Choice::FineTune => "fine-tune",
            Choice::CannotTell => "cannot tell",
        })
    }
}

/// What to do, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verdict {
    /// What the figures advise.
    pub choice: Choice,
    /// One sentence with the figures.
    pub why: String,
    /// Where the choice is "cannot tell": how many test items, all counted, would tell.
    pub items_needed: Option<usize>,
}

/// The comparisons of the arms, and the verdict on them.
///
/// # Errors
/// As [`compare_arms`].
pub fn judge(
    arms: &[ScoredArm],
    resampling: &Resampling,
) -> Result<(Vec<Comparison>, Verdict), StatisticsError> {
    let comparisons = compare_arms(arms, resampling)?;
    let verdict = Verdict::of(arms, &comparisons)?;
    Ok((comparisons, verdict))
}

impl Verdict {
    /// The verdict on arms that [`compare_arms`] compared.
    ///
    /// # Errors
    /// When the comparison of the best arms is not in the list.
    pub fn of(arms: &[ScoredArm], comparisons: &[Comparison]) -> Result<Verdict, StatisticsError> {
        let (prompt, tuned) = match (best(arms, ArmKind::PromptOnly), best(arms, ArmKind::Tuned)) {
            (Some(prompt), Some(tuned)) => (prompt, tuned),
            (None, None) => return Ok(cannot_tell("there is no arm to judge".to_string(), None)),
            (Some(_), None) => return Ok(one_sided("prompt-only", "a tuned")),
            (None, Some(_)) => return Ok(one_sided("tuned", "a prompt-only")),
        };
        let found = comparisons.iter().find(|c| c.a == tuned.name && c.b == prompt.name);
        let comparison = found.ok_or_else(|| StatisticsError::NotCompared {
            a: tuned.name.clone(),
            b: prompt.name.clone(),
        })?;
        let figures = figures(tuned, prompt, comparison);
        if tuned.scores.figure() == 0.0 && prompt.scores.figure() == 0.0 {
            return Ok(cannot_tell(format!("{figures}; {}", blind(arms)), None));
        }
        if comparison.p_adjusted < ALPHA {
            let tuning_gains = comparison.difference > 0.0;
            let better = if tuning_gains { Choice::FineTune } else { Choice::Prompt };
            return Ok(decided(better, figures));
        }
        let across = comparisons.iter().filter(|c| c.family == Family::TunedAgainstPrompt);
        let against_best = across.filter(|c| c.b == prompt.name);
        let highest = against_best.map(|c| c.simultaneous.high).fold(f64::MIN, f64::max);
        if highest < WORTHWHILE_GAIN && comparison.items() >= FEWEST_ITEMS_TO_BOUND_GAIN {
            let margin = 100.0 * WORTHWHILE_GAIN;
            let reason = format!(
                "tuning gains less than {margin:.0} points, too little to pay for training"
            );
            return Ok(decided(Choice::Prompt, format!("{figures}; {reason}")));
        }
        undecided(figures, comparison)
    }
}

/// What to say of arms whose figures are all 0.
fn blind(arms: &[ScoredArm]) -> String {
    let zero = arms.iter().all(|arm| arm.scores.scores().iter().all(|score| *score == 0.0));
    let what = match zero {
        true => "the metric scores every answer 0",
        false => "the metric is 0 over these items for every arm",
    };
    let instead = match arms.first().map(|arm| arm.scores.metric()) {
        Some(Metric::Bleu | Metric::RougeL) => ", try `chrf`, which compares characters",
        _ => ": look at the answers, or take another metric",
    };
    format!("{what}{instead}")
}

fn undecided(figures: String, comparison: &Comparison) -> Result<Verdict, StatisticsError> {
    let to_show = comparison.items_needed()?;
    let to_bound = comparison.items_to_bound_gain(WORTHWHILE_GAIN)?;
    let to_bound = to_bound.map(|items| items.max(FEWEST_ITEMS_TO_BOUND_GAIN));
    // A plan for fewer items than were just not enough would contradict the outcome.
    let more = comparison.items() + 1;
    let shows = "show a difference of this size";
    let bounds = format!("tell whether tuning gains {:.0} points", 100.0 * WORTHWHILE_GAIN);
    let plans = [(to_show, shows), (to_bound, bounds.as_str())];
    let plans = plans.into_iter().filter_map(|(items, what)| Some((items?.max(more), what)));
    let plan = plans.min_by_key(|(items, _)| *items);
    let needed = plan.map(|(items, _)| items);
    let outlook = match plan {
        Some((items, what)) => format!("about {items} items would {what}"),
        None => "no number of items can be named".to_string(),
    };
    Ok(cannot_tell(format!("{figures}; {outlook}"), needed))
}

fn best(arms: &[ScoredArm], kind: ArmKind) -> Option<&ScoredArm> {
    let mut best: Option<&ScoredArm> = None;
    for arm in arms.iter().filter(|arm| arm.kind == kind) {
        let beats = |other: &ScoredArm| {
            let (new, old) = (arm.scores.figure(), other.scores.figure());
            new > old || (new == old && arm.prompt_tokens_per_item < other.prompt_tokens_per_item)
        };
        if best.is_none_or(beats) {
            best = Some(arm);
        }
    }
    best
}

fn figures(tuned: &ScoredArm, prompt: &ScoredArm, comparison: &Comparison) -> String {
    let items = comparison.items();
    format!(
        "`{}` scores {:.3} in {} against {:.3} of `{}`, the best prompt, on {items} {}: \
         {:+.1} points (95 % interval {:+.1} to {:+.1}, adjusted p {})",
        tuned.name,
        tuned.scores.figure(),
        tuned.scores.metric(),
        prompt.scores.figure(),
        prompt.name,
        if items == 1 { "item" } else { "items" },
        100.0 * comparison.difference,
        100.0 * comparison.ci95.low,
        100.0 * comparison.ci95.high,
        probability(comparison.p_adjusted),
    )
}

/// A p-value with three decimals, never shown as 0.
fn probability(p: f64) -> String {
    if p < 0.001 {
        "< 0.001".to_string()
    } else {
        format!("{p:.3}")
    }
}

fn one_sided(present: &str, missing: &str) -> Verdict {
    let why = format!("only {present} arms were run, expected {missing} arm to compare with");
    cannot_tell(why, None)
}

fn decided(choice: Choice, why: String) -> Verdict {
    Verdict { choice, why, items_needed: None }
}

fn cannot_tell(why: String, items_needed: Option<usize>) -> Verdict {
    Verdict { choice: Choice::CannotTell, why, items_needed }
}
