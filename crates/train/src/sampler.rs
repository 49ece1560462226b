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
    steps: Steps,
    order: RowOrder,
    epoch: Option<Epoch>,
}

/// An epoch's rows in their order, and the place where each step begins and the last one ends.
#[derive(Debug, Clone)]
struct Epoch {
    number: usize,
    rows: Vec<usize>,
    starts: Vec<usize>,
}

/// How an epoch is cut into steps.
#[derive(Debug, Clone)]
enum Steps {
    /// So many rows each.
    Rows(usize),
    /// About as many tokens each.
    Tokens {
        /// Tokens of each row.
        lengths: Vec<usize>,
        total: usize,
        steps: usize,
    },
}

impl Sampler {
    /// A sampler over rows of these lengths, about `tokens` tokens at a time, or as many as the longest row has.
    ///
    /// Every epoch has the same number of steps: its tokens are cut at equal distances, and a row goes where its middle
    /// lies.
    pub fn by_tokens(lengths: Vec<usize>, tokens: usize, order: RowOrder) -> Self {
        let total: usize = lengths.iter().sum();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        // No step is shorter than the longest row, so none is empty.
        let steps = (total / tokens.max(longest).max(1)).max(1);
        let rows = lengths.len();
        Self { rows, steps: Steps::Tokens { lengths, total, steps }, order, epoch: None }
    }

    /// A sampler over `rows` rows, `rows_per_step` at a time.
    pub fn new(rows: usize, rows_per_step: usize, order: RowOrder) -> Self {
        Self { rows, steps: Steps::Rows(rows_per_step.max(1)), order, epoch: None }
    }

    /// Optimizer steps of an epoch; the last one may have fewer rows.
    pub fn steps_per_epoch(&self) -> usize {
        match &self.steps {
            Steps::Rows(rows) => self.rows.div_ceil(*rows).max(1),
            Steps::Tokens { steps, .. } => *steps,
        }
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
        let step = step % self.steps_per_epoch();
        if self.epoch.as_ref().is_none_or(|known| known.number != epoch) {
            self.epoch = Some(self.cut(epoch));
        }
        let known = self.epoch.as_ref();
        let range =
            known.and_then(|epoch| Some(*epoch.starts.get(step)?..*epoch.starts.get(step + 1)?));
        known
            .zip(range)
            .and_then(|(epoch, range)| epoch.rows.get(range))
            .map(<[usize]>::to_vec)
            .unwrap_or_default()
    }

    /// The order of an epoch's rows, and where its steps begin.
    fn cut(&self, number: usize) -> Epoch {
        let rows: Vec<usize> = match self.order {
            RowOrder::File => (0..self.rows).collect(),
            RowOrder::Shuffled { seed } => tunewise_data::shuffled(self.rows, seed, number),
        };
        let mut starts = Vec::with_capacity(self.steps_per_epoch() + 1);
        match &self.steps {
            Steps::Rows(count) => starts.extend((0..rows.len()).step_by(*count)),
            Steps::Tokens { lengths, total, steps } => {
                let mut before = 0;
                for (place, row) in rows.iter().enumerate() {
                    let length = lengths.get(*row).copied().unwrap_or(0);
                    // The middle of the row, in halves of a token.
                    let step = (2 * before + length) * steps / (2 * total).max(1);
                    before += length;
                    while starts.len() <= step.min(steps - 1) {
                        starts.push(place);
                    }
                }
            }
        }
        starts.resize(self.steps_per_epoch() + 1, rows.len());
        Epoch { number, rows, starts }
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
    fn steps_by_tokens_have_every_row_once_and_about_as_many_tokens() {
        let lengths: Vec<usize> = (0..200).map(|row| 5 + (row * 37) % 60).collect();
        let order = RowOrder::Shuffled { seed: 4 };
        let mut sampler = Sampler::by_tokens(lengths.clone(), 256, order);
        let total: usize = lengths.iter().sum();
        let steps = sampler.steps_per_epoch();
        assert_eq!(steps, total / 256);
        let all: Vec<Vec<usize>> = (0..steps).map(|step| sampler.rows_of(step)).collect();
        assert_eq!(all.concat(), tunewise_data::shuffled(200, 4, 0));
        for rows in all {
            let tokens: usize = rows.iter().map(|row| lengths[*row]).sum();
            // A row at either end may lie half outside.
            assert!((256 - 65..=total / steps + 66).contains(&tokens), "{tokens}");
        }
        // A row longer than a step makes every step as long.
        let mut longest = Sampler::by_tokens(vec![3, 100, 3, 90, 4], 10, RowOrder::File);
        assert_eq!(longest.steps_per_epoch(), 2);
        assert_eq!([longest.rows_of(0), longest.rows_of(1)], [vec![0, 1], vec![2, 3, 4]]);
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
