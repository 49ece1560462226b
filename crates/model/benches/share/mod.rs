//! Wall time told as a share of what the machine can do at most.

use std::fmt;
use std::time::{Duration, Instant};

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::Throughput;
use rayon::prelude::*;
use tunewise_model::kernel::ceiling::f32_ceiling;
use tunewise_model::Instructions;

/// Numbers that the copy moves: 64 MiB, more than caches hold.
const COPIED: usize = 1 << 24;
/// Measurements of each ceiling, of which the best counts.
const TRIES: usize = 5;

/// Wall time, and throughput as a share of a ceiling: `Elements` are floating-point operations, `Bytes` are bytes read
/// and written.
pub struct ShareOfCeiling {
    time: WallTime,
    share: Share,
}

struct Share {
    /// GFLOP/s in f32.
    multipliers: f64,
    /// GB/s read and written by a copy.
    copy: f64,
}

impl ShareOfCeiling {
    /// Shares of what this machine reaches now, all threads together.
    pub fn measured() -> Self {
        let share = Share { multipliers: f32_ceiling(TRIES), copy: copy_rate() };
        Self { time: WallTime, share }
    }
}

impl fmt::Display for ShareOfCeiling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} threads, {}: at most {:.0} GFLOP/s in f32, a copy {:.1} GB/s read and written",
            rayon::current_num_threads(),
            Instructions::current(),
            self.share.multipliers,
            self.share.copy
        )
    }
}

/// The rate at which all threads copy, in GB/s.
fn copy_rate() -> f64 {
    let (from, mut to) = (vec![1f32; COPIED], vec![0f32; COPIED]);
    let once = |to: &mut [f32]| {
        let begin = Instant::now();
        let piece = COPIED.div_ceil(rayon::current_num_threads());
        to.par_chunks_mut(piece)
            .zip(from.par_chunks(piece))
            .for_each(|(to, from)| to.copy_from_slice(from));
        8.0 * COPIED as f64 / begin.elapsed().as_secs_f64() / 1e9
    };
    (0..TRIES).map(|_| once(&mut to)).fold(0.0, f64::max)
}

impl Measurement for ShareOfCeiling {
    type Intermediate = Instant;
    type Value = Duration;

    fn start(&self) -> Instant {
        self.time.start()
    }

    fn end(&self, start: Instant) -> Duration {
        self.time.end(start)
    }

    fn add(&self, a: &Duration, b: &Duration) -> Duration {
        self.time.add(a, b)
    }

    fn zero(&self) -> Duration {
        self.time.zero()
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        self.time.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        &self.share
    }
}

impl ValueFormatter for Share {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_values(typical, values)
    }

    fn scale_throughputs(
        &self,
        typical: f64,
        throughput: &Throughput,
        values: &mut [f64],
    ) -> &'static str {
        // Operations or bytes in a nanosecond are GFLOP/s or GB/s.
        let (work, ceiling, unit) = match throughput {
            Throughput::Elements(operations) => (*operations, self.multipliers, "% of multipliers"),
            Throughput::Bytes(bytes) => (*bytes, self.copy, "% of a copy"),
            _ => return WallTime.formatter().scale_throughputs(typical, throughput, values),
        };
        values
            .iter_mut()
            .for_each(|nanoseconds| *nanoseconds = 100.0 * work as f64 / *nanoseconds / ceiling);
        unit
    }

    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        WallTime.formatter().scale_for_machines(values)
    }
}
