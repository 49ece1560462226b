//! `tunewise train --dry-run`: what a run would take.

use serde_json::json;
use tunewise_train::plan::RunPlan;
use tunewise_train::Recipe;

use super::progress::Progress;
use crate::exit::Exit;
use crate::number::{bytes, counted, grouped, seconds};
use crate::output::{self, Form};
use crate::threads;

/// Prints what the run would take.
///
/// # Errors
/// When the recipe, the data or the model is faulty.
pub fn run(recipe: &Recipe, form: Form) -> anyhow::Result<Exit> {
    let mut progress = Progress::new(None);
    let plan = threads::within(|| {
        tunewise_train::run::dry_run(recipe, &mut |event| progress.show(&event))
    });
    progress.close();
    let plan = plan?;
    told(&plan, form)?;
    form.json(&json!({
        "steps": plan.steps,
        "rows": plan.rows,
        "tokens": plan.tokens,
        "computed_tokens": plan.computed_tokens,
        "supervised_tokens": plan.supervised_tokens,
        "largest_piece_tokens": plan.largest.tokens,
        "largest_piece_targets": plan.largest.targets,
        "peak_memory_bytes": plan.peak_memory_bytes,
        "available_memory_bytes": plan.available_memory_bytes,
        "gradient_checkpointing": plan.recomputes,
        "memory_bytes": {
            "weights": plan.memory.weights,
            "backward_weights": plan.memory.backward_weights,
            "trainable": plan.memory.trainable,
            "traces": plan.memory.traces,
            "buffers": plan.memory.buffers,
        },
        "seconds": plan.seconds,
        "measured_steps": plan.measured_steps,
    }))?;
    Ok(Exit::Done)
}

fn told(plan: &RunPlan, form: Form) -> anyhow::Result<()> {
    form.text(format_args!(
        "{}: {}, {}, {} of them supervised, {} computed after shared prefixes",
        counted(plan.steps, "step"),
        counted(plan.rows, "row"),
        counted(plan.tokens, "token"),
        grouped(plan.supervised_tokens),
        grouped(plan.computed_tokens),
    ))?;
    let memory = &plan.memory;
    let size = |count: usize| bytes(count as u64);
    if let Some(peak) = plan.peak_memory_bytes {
        form.text(format_args!(
            "peak memory {}: weights {}, the same packed for the backward pass {}, what is trained with gradients and optimizer \
             {}, what the backward pass reads {}, buffers {}, and the program with its rows",
            size(peak),
            size(memory.weights),
            size(memory.backward_weights),
            size(memory.trainable),
            size(memory.traces),
            size(memory.buffers),
        ))?;
    }
    form.text(format_args!(
        "time {}, from {} that moved nothing; without evaluations and checkpoints",
        seconds(plan.seconds),
        counted(plan.measured_steps, "step"),
    ))?;
    let needed = plan.peak_memory_bytes.unwrap_or(0) as u64;
    if plan.available_memory_bytes.is_some_and(|free| needed > free) {
        output::note("that is more memory than the machine has free; lower `max_length` or `r`, or use `dtype: bf16`");
    }
    Ok(())
}
