//! Ctrl-C: the first asks the work to stop and save, the second ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::output;

static ASKED: AtomicBool = AtomicBool::new(false);

/// What a shell expects of a program that a signal ended at once.
const ABORTED: i32 = 130;

/// Catches Ctrl-C from here on.
///
/// # Errors
/// When the system does not let the signal be caught.
pub fn catch() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if ASKED.swap(true, Ordering::SeqCst) {
            std::process::exit(ABORTED);
        }
        output::say("interrupted: saving a checkpoint after this step; press Ctrl-C again to stop without it");
    })?;
    Ok(())
}

/// What is set once the user asks to stop.
pub fn flag() -> &'static AtomicBool {
    &ASKED
}
