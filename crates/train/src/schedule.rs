//! Learning rates over the steps of a run.

/// How the learning rate falls after the warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduleShape {
    /// The peak at every step; has no warm-up.
    Constant,
    /// A straight line to zero.
    Linear,
    /// Half a cosine wave to zero.
    Cosine,
}

/// The learning rate of every step.
///
/// Source: transformers `optimization.py`, `get_constant_schedule`, `get_linear_schedule_with_warmup` and
/// `get_cosine_schedule_with_warmup` (half a cycle), in its order of operations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// How it falls.
    pub shape: ScheduleShape,
    /// The highest learning rate.
    pub peak: f64,
    /// Steps over which the rate rises from zero; without effect on `Constant`.
    pub warmup_steps: usize,
    /// Optimizer steps of the whole run.
    pub total_steps: usize,
}

impl Schedule {
    /// The learning rate of a step, counted from 0.
    pub fn learning_rate(&self, step: usize) -> f64 {
        self.peak * self.factor(step)
    }

    fn factor(&self, step: usize) -> f64 {
        if self.shape == ScheduleShape::Constant {
            return 1.0;
        }
        if step < self.warmup_steps {
            return step as f64 / self.warmup_steps.max(1) as f64;
        }
        let falling = self.total_steps.saturating_sub(self.warmup_steps).max(1) as f64;
        if self.shape == ScheduleShape::Linear {
            return (self.total_steps.saturating_sub(step)) as f64 / falling;
        }
        let progress = (step - self.warmup_steps) as f64 / falling;
        (0.5 * (1.0 + (std::f64::consts::PI * 0.5 * 2.0 * progress).cos())).max(0.0)
    }
}

/// The warm-up's steps: the number where one is given, else the share of the run, rounded up.
pub fn warmup_steps(steps: Option<usize>, ratio: f64, total_steps: usize) -> usize {
    match steps {
        Some(steps) if steps > 0 => steps,
        _ => (total_steps as f64 * ratio).ceil() as usize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(shape: ScheduleShape, warmup_steps: usize, total_steps: usize) -> Vec<f64> {
        let schedule = Schedule { shape, peak: 2e-4, warmup_steps, total_steps };
        (0..=total_steps).map(|step| schedule.learning_rate(step)).collect()
    }

    #[test]
    fn linear_rises_from_zero_and_falls_to_zero() {
        let expected =
            [0.0, 1e-4, 2e-4, 2e-4 * (3.0 / 4.0), 2e-4 * (2.0 / 4.0), 2e-4 * (1.0 / 4.0), 0.0];
        assert_eq!(rates(ScheduleShape::Linear, 2, 6), expected);
    }

    #[test]
    fn cosine_without_warmup_starts_at_the_peak() {
        // The same formula, printed by Python.
        let expected = [2e-4, 0.00017071067811865476, 0.0001, 2.9289321881345254e-05, 0.0];
        for (found, expected) in rates(ScheduleShape::Cosine, 0, 4).into_iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-19, "{found} is not {expected}");
        }
    }

    #[test]
    fn cosine_with_warmup_reaches_the_peak_at_its_end() {
        let found = rates(ScheduleShape::Cosine, 3, 5);
        assert_eq!(found[0], 0.0);
        assert_eq!(found[1], 2e-4 * (1.0 / 3.0));
        assert_eq!(found[3], 2e-4);
        assert!((found[4] - 1e-4).abs() < 1e-19);
        assert_eq!(found[5], 0.0);
    }

    #[test]
    fn constant_has_no_warmup() {
        assert_eq!(rates(ScheduleShape::Constant, 2, 3), [2e-4; 4]);
    }

    #[test]
    fn a_step_past_the_end_has_rate_zero() {
        let schedule =
            Schedule { shape: ScheduleShape::Linear, peak: 1.0, warmup_steps: 0, total_steps: 2 };
        assert_eq!(schedule.learning_rate(5), 0.0);
    }

    #[test]
    fn the_warmup_ratio_is_rounded_up_and_a_number_goes_first() {
        assert_eq!(warmup_steps(None, 0.03, 100), 3);
        assert_eq!(warmup_steps(None, 0.03, 101), 4);
        assert_eq!(warmup_steps(Some(7), 0.03, 100), 7);
        assert_eq!(warmup_steps(Some(0), 0.5, 3), 2);
    }
}
