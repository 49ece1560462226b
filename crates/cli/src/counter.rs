//! A bar for work whose amount is known, on a terminal; nothing elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;

/// Counts what is done.
pub struct Counter {
    bar: ProgressBar,
}

impl Counter {
    /// A counter up to `total` of the things called `noun`.
    pub fn up_to(total: usize, noun: &str) -> Counter {
        let target = match output::draws_progress() {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target);
        let template = format!("{{elapsed}} {{bar:24}} {{pos}}/{{len}} {noun}  eta {{eta}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        Counter { bar }
    }

    /// Shows that so many are done.
    pub fn set(&self, done: usize) {
        self.bar.set_position(done as u64);
    }

    /// Shows that one more is done.
    pub fn add_one(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
