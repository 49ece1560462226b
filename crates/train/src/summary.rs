//! The figures of a whole run.

use serde::{Deserialize, Serialize};

/// What a finished run did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSummary {
    /// Optimizer steps.
    pub steps: usize,
    /// Rows processed, over all epochs.
    pub rows: usize,
    /// Their tokens; a shared prefix counts for every row that has it.
    pub tokens: usize,
    /// Those of them that were predicted.
    pub supervised_tokens: usize,
    /// Loss of the last step, in nats per supervised token.
    pub final_loss: f64,
    /// Rows per second of `train_seconds`.
    pub rows_per_second: f64,
    /// Tokens per second of `train_seconds`.
    pub tokens_per_second: f64,
    /// From the first batch to the last optimizer step; over the sessions of a resumed run.
    pub train_seconds: f64,
    /// The process's largest memory, in bytes; `None` where the system does not tell.
    pub peak_memory_bytes: Option<u64>,
    /// Tokens that shared prefixes spared the decoder.
    pub saved_prefix_tokens: usize,
    /// The lowest loss on the valid split, in nats per supervised token.
    pub best_eval_loss: Option<f64>,
    /// Folder of the adapter.
    pub adapter: String,
}

/// The process's largest memory so far, in bytes.
///
/// Source: `VmHWM` of `/proc/self/status`; `None` on systems without it.
pub fn peak_memory_bytes() -> Option<u64> {
    high_water_mark(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// The process's memory now, in bytes.
///
/// Source: `VmRSS` of `/proc/self/status`; `None` on systems without it.
pub fn resident_memory_bytes() -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Memory that a program can take now, in bytes.
///
/// Source: `MemAvailable` of `/proc/meminfo`; `None` on systems without it.
pub fn available_memory_bytes() -> Option<u64> {
    kibibytes(&std::fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

fn high_water_mark(status: &str) -> Option<u64> {
    kibibytes(status, "VmHWM:")
}

fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_high_water_mark_is_read_in_bytes() {
        let status = "Name:\ttunewise\nVmPeak:\t  900 kB\nVmHWM:\t    1234 kB\nVmRSS:\t 12 kB\n";
        assert_eq!(high_water_mark(status), Some(1234 * 1024));
        assert_eq!(high_water_mark("Name:\ttunewise\n"), None);
    }
}
