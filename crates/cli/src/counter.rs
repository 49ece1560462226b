//! Progress of work whose amount is known: a bar on a terminal, a line now and then elsewhere.

use std::cell::Cell;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::number::{grouped, seconds};
use crate::output;

/// Time between lines where there is no terminal.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Counts what is done.
pub struct Counter {
    bar: ProgressBar,
    lines: Option<Lines>,
}

/// What is needed to tell progress line by line.
struct Lines {
    noun: String,
    begin: Instant,
    last: Cell<Instant>,
}

impl Counter {
    /// A counter up to `total` of the things called `noun`.
    pub fn up_to(total: usize, noun: &str) -> Counter {
        let draws = output::draws_progress();
        let target = match draws {
            true => ProgressDrawTarget::stderr(),
            false => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total as u64), target);
        let template = format!("{{elapsed}} {{bar:24}} {{pos}}/{{len}} {noun}  eta {{eta}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        let now = Instant::now();
        let lines = Lines { noun: noun.to_owned(), begin: now, last: Cell::new(now) };
        Counter { bar, lines: (!draws).then_some(lines) }
    }

    /// Shows that so many are done.
    pub fn set(&self, done: usize) {
        self.bar.set_position(done as u64);
        self.tell();
    }

    /// Shows that one more is done.
    pub fn add_one(&self) {
        self.bar.inc(1);
        self.tell();
    }

    /// Says how far the work is, where nothing is drawn and the last line is old.
    fn tell(&self) {
        let Some(lines) = &self.lines else { return };
        if lines.last.get().elapsed() < LINE_INTERVAL {
            return;
        }
        lines.last.set(Instant::now());
        let (done, total) = (self.bar.position(), self.bar.length().unwrap_or_default());
        let took = lines.begin.elapsed().as_secs_f64();
        let left = total.saturating_sub(done) as f64 * took / done.max(1) as f64;
        let (done, total) = (grouped(done as usize), grouped(total as usize));
        let (noun, took, left) = (&lines.noun, seconds(took), seconds(left));
        output::say(format_args!("{done}/{total} {noun} in {took}  eta {left}"));
    }
}

impl Drop for Counter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
