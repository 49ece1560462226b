//! Which rows each optimizer step takes.

/// The order of the rows within an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOrder {
    /// As in the file, every epoch.
    File,
    /// A new permutation every epoch, from the seed and the epoch's number.
    Shuffled {
        /// The run's seed.
        seed: u64,
    },
}

/// The rows of every step, a function of the step's number alone, so that a resumed run needs no stored position.
#[derive(Debug, Clone)]
pub struct Sampler {
    rows: usize,
    rows_per_step: usize,
    order: RowOrder,
    epoch: Option<(usize, Vec<usize>)>,
}

impl Sampler {
    /// A sampler over `rows` rows, `rows_per_step` at a time.
    pub fn new(rows: usize, rows_per_step: usize, order: RowOrder) -> Self {
        Self { rows, rows_per_step: rows_per_step.max(1), order, epoch: None }
    }

    /// Optimizer steps of an epoch; the last one may have fewer rows.
    pub fn steps_per_epoch(&self) -> usize {
        self.rows.div_ceil(self.rows_per_step).max(1)
    }

    /// Optimizer steps of the run: `max_steps` where given, else the epochs' steps, rounded up.
    pub fn total_steps(&self, epochs: f64, max_steps: Option<usize>) -> usize {
        max_steps.unwrap_or_else(|| (epochs * self.steps_per_epoch() as f64).ceil() as usize)
    }

    /// Epochs passed after `steps` steps.
    pub fn epochs_after(&self, steps: usize) -> f64 {
        steps as f64 / self.steps_per_epoch() as f64
    }

    /// The indices of the rows of a step, counted from 0.
    pub fn rows_of(&mut self, step: usize) -> Vec<usize> {
        let epoch = step / self.steps_per_epoch();
        let first = (step % self.steps_per_epoch()) * self.rows_per_step;
        let last = (first + self.rows_per_step).min(self.rows);
        match self.order {
            RowOrder::File => (first..last).collect(),
            RowOrder::Shuffled { seed } => {
                let (rows, stored) = (self.rows, self.epoch.take().filter(|(of, _)| *of == epoch));
                let (_, permutation) =
                    self.epoch
                        .insert(stored.unwrap_or_else(|| {
                            (epoch, tunewise_data::shuffled(rows, seed, epoch))
                        }));
                permutation.get(first..last).map(<[usize]>::to_vec).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_order_repeats_and_the_last_step_of_an_epoch_is_smaller() {
        let mut sampler = Sampler::new(5, 2, RowOrder::File);
        let steps: Vec<_> = (0..4).map(|step| sampler.rows_of(step)).collect();
        assert_eq!(steps, [vec![0, 1], vec![2, 3], vec![4], vec![0, 1]]);
        assert_eq!(sampler.epochs_after(4), 4.0 / 3.0);
    }

    #[test]
    fn a_shuffled_epoch_has_every_row_once_in_the_order_of_the_permutation() {
        let mut sampler = Sampler::new(7, 3, RowOrder::Shuffled { seed: 11 });
        for epoch in 0..2 {
            let rows: Vec<usize> =
                (0..3).flat_map(|step| sampler.rows_of(epoch * 3 + step)).collect();
            assert_eq!(rows, tunewise_data::shuffled(7, 11, epoch));
        }
    }

    #[test]
    fn a_step_has_the_same_rows_whatever_was_asked_before() {
        let order = RowOrder::Shuffled { seed: 3 };
        let mut walked = Sampler::new(10, 4, order);
        let all: Vec<_> = (0..9).map(|step| walked.rows_of(step)).collect();
        assert_eq!(Sampler::new(10, 4, order).rows_of(7), all[7]);
    }

    #[test]
    fn total_steps_come_from_epochs_unless_max_steps_is_given() {
        let sampler = Sampler::new(10, 4, RowOrder::File);
        assert_eq!(sampler.steps_per_epoch(), 3);
        assert_eq!(sampler.total_steps(3.0, None), 9);
        assert_eq!(sampler.total_steps(0.5, None), 2);
        assert_eq!(sampler.total_steps(3.0, Some(4)), 4);
    }
}
