//! `tunewise doctor`: what this machine and this build can do.

use serde::Serialize;

use tunewise_model::Instructions;

use crate::exit::Exit;
use crate::machine::{caches, Cache, Memory, Processor};
use crate::number::bytes;
use crate::output::Form;

#[derive(Debug, Serialize)]
struct Findings {
    version: &'static str,
    system: String,
    device: &'static str,
    processor: Processor,
    instructions: &'static str,
    dtype: &'static str,
    threads: usize,
    memory_bytes: Memory,
    caches: Vec<Cache>,
}

/// Prints what the machine has.
///
/// # Errors
/// When standard output cannot be written.
pub fn run(form: Form) -> anyhow::Result<Exit> {
    let findings = Findings {
        version: env!("CARGO_PKG_VERSION"),
        system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
        device: "cpu",
        processor: Processor::here(),
        instructions: Instructions::current().name(),
        dtype: if Instructions::current().multiplies_bf16() { "bf16" } else { "f32" },
        threads: rayon::current_num_threads(),
        memory_bytes: Memory::here(),
        caches: caches(),
    };
    for (name, value) in lines(&findings) {
        form.text(format_args!("{name:<11} {value}"))?;
    }
    form.json(&findings)?;
    Ok(Exit::Done)
}

fn lines(findings: &Findings) -> Vec<(&'static str, String)> {
    let size = |bytes_known: Option<u64>| bytes_known.map_or_else(|| "unknown".to_owned(), bytes);
    let processor = &findings.processor;
    let mut lines = vec![
        ("version", format!("tunewise {}", findings.version)),
        ("system", findings.system.clone()),
        ("device", format!("{} (this build has no other)", findings.device)),
        ("processor", processor.name.clone().unwrap_or_else(|| "unknown".into())),
        ("features", listed(&processor.features)),
    ];
    if !processor.absent.is_empty() {
        lines.push(("absent", listed(&processor.absent)));
    }
    lines.push((
        "products",
        format!(
            "{}; `--dtype auto` computes a bf16 checkpoint in {} (`--instructions` forces others)",
            findings.instructions, findings.dtype
        ),
    ));
    lines.push(("cores", processor.cores.to_string()));
    lines.push((
        "threads",
        format!("{} (`--threads` or `RAYON_NUM_THREADS` change it)", findings.threads),
    ));
    let memory = &findings.memory_bytes;
    lines.push((
        "memory",
        format!("{} in all, {} available", size(memory.total), size(memory.available)),
    ));
    for cache in &findings.caches {
        lines.push((cache.variable, described(cache)));
    }
    lines
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        return "none".into();
    }
    names.join(" ")
}

fn described(cache: &Cache) -> String {
    let Some(path) = &cache.path else { return "unknown, no home folder".into() };
    let origin = if cache.set { "set" } else { "default" };
    let state = if cache.exists { "exists" } else { "does not exist" };
    format!("{} ({origin}, {state})", path.display())
}
