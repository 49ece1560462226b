//! What the machine has.

use std::path::{Path, PathBuf};

use serde::Serialize;

/// The processor and what it can do that matters for matrix products.
#[derive(Debug, Serialize)]
pub struct Processor {
    /// Its name, where the system tells.
    pub name: Option<String>,
    /// Cores that a program may use.
    pub cores: usize,
    /// The instruction sets it has, of those that matter.
    pub features: Vec<&'static str>,
    /// Those it lacks.
    pub absent: Vec<&'static str>,
}

/// Memory, in bytes.
#[derive(Debug, Serialize)]
pub struct Memory {
    /// All of it, where the system tells.
    pub total: Option<u64>,
    /// What a program can take now.
    pub available: Option<u64>,
}

/// A folder that downloads are kept in.
#[derive(Debug, Serialize)]
pub struct Cache {
    /// The variable that names it.
    pub variable: &'static str,
    /// Whether the variable is set.
    pub set: bool,
    /// Where it is.
    pub path: Option<PathBuf>,
    /// Whether it exists.
    pub exists: bool,
}

impl Processor {
    /// The processor of this machine.
    pub fn here() -> Processor {
        let known = features();
        let those = |present: bool| {
            known.iter().filter(move |(_, has)| *has == present).map(|(name, _)| *name)
        };
        Processor {
            name: processor_name(),
            cores: cores(),
            features: those(true).collect(),
            absent: those(false).collect(),
        }
    }
}

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[cfg(target_arch = "x86_64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("avx2", std::is_x86_feature_detected!("avx2")),
        ("fma", std::is_x86_feature_detected!("fma")),
        ("f16c", std::is_x86_feature_detected!("f16c")),
        ("avx512f", std::is_x86_feature_detected!("avx512f")),
        ("avx512_bf16", std::is_x86_feature_detected!("avx512bf16")),
    ]
}

#[cfg(target_arch = "aarch64")]
fn features() -> Vec<(&'static str, bool)> {
    vec![
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("fp16", std::arch::is_aarch64_feature_detected!("fp16")),
        ("bf16", std::arch::is_aarch64_feature_detected!("bf16")),
        ("i8mm", std::arch::is_aarch64_feature_detected!("i8mm")),
    ]
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn features() -> Vec<(&'static str, bool)> {
    Vec::new()
}

/// Source: `/proc/cpuinfo` on Linux, `sysctl` on macOS, the environment on Windows.
fn processor_name() -> Option<String> {
    if cfg!(target_os = "macos") {
        return sysctl("machdep.cpu.brand_string");
    }
    if cfg!(windows) {
        return std::env::var("PROCESSOR_IDENTIFIER").ok();
    }
    field(&std::fs::read_to_string("/proc/cpuinfo").ok()?, "model name")
}

impl Memory {
    /// The memory of this machine.
    pub fn here() -> Memory {
        if cfg!(target_os = "macos") {
            let total = sysctl("hw.memsize").and_then(|bytes| bytes.parse().ok());
            return Memory { total, available: None };
        }
        let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let bytes = |key: &str| {
            let kibibytes: u64 = field(&text, key)?.strip_suffix(" kB")?.trim().parse().ok()?;
            Some(kibibytes * 1024)
        };
        Memory { total: bytes("MemTotal"), available: bytes("MemAvailable") }
    }
}

/// The value of the first `key : value` line.
fn field(text: &str, key: &str) -> Option<String> {
    let pairs = text.lines().filter_map(|line| line.split_once(':'));
    let mut values =
        pairs.filter(|(name, _)| name.trim() == key).map(|(_, value)| value.trim().to_owned());
    values.next()
}

fn sysctl(name: &str) -> Option<String> {
    let output = std::process::Command::new("sysctl").args(["-n", name]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// The folders in which the Hugging Face tools keep downloads.
pub fn caches() -> Vec<Cache> {
    let home =
        std::env::var_os("HOME").or_else(|| std::env::var_os("USERPROFILE")).map(PathBuf::from);
    let general = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let general = general.or_else(|| Some(home?.join(".cache")));
    let hf_home = cache("HF_HOME", general.map(|folder| folder.join("huggingface")));
    let hub = cache("HF_HUB_CACHE", hf_home.path.as_deref().map(|folder| folder.join("hub")));
    vec![hf_home, hub]
}

fn cache(variable: &'static str, default: Option<PathBuf>) -> Cache {
    let set = std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let is_set = set.is_some();
    let path = set.or(default);
    Cache { variable, set: is_set, exists: path.as_deref().is_some_and(Path::is_dir), path }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_the_first_value_of_its_key() {
        let text = "processor\t: 0\nmodel name\t: EPYC 9\nmodel name\t: other\n";
        assert_eq!(field(text, "model name").as_deref(), Some("EPYC 9"));
        assert_eq!(field(text, "model"), None);
    }

    #[test]
    fn every_feature_is_either_there_or_absent() {
        let processor = Processor::here();
        assert_eq!(processor.features.len() + processor.absent.len(), features().len());
        assert!(processor.cores >= 1);
    }
}
