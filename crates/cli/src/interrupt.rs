//! Ctrl-C: the first asks training to stop and save, or ends other work; the second ends the program at once.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::output::{self, Form};

static ASKED: AtomicBool = AtomicBool::new(false);
static WRITES: AtomicBool = AtomicBool::new(false);

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

/// Catches Ctrl-C from here on for work that keeps nothing: it says so and ends the program.
///
/// # Errors
/// When the system does not let the signal be caught.
pub fn end_on_it(form: Form) -> anyhow::Result<()> {
    ctrlc::set_handler(move || {
        let again = ASKED.swap(true, Ordering::SeqCst);
        // What is being written takes a moment, and is better whole.
        if WRITES.load(Ordering::SeqCst) && !again {
            return;
        }
        let what = "interrupted: no result was saved";
        output::say(what);
        // Where standard output is gone, the message on standard error has to do.
        let _ = form.json(&json!({ "error": what, "hint": null, "interrupted": true }));
        std::process::exit(ABORTED);
    })?;
    Ok(())
}

/// Lets the first Ctrl-C pass: the results are being written.
pub fn writing() {
    WRITES.store(true, Ordering::SeqCst);
}

/// What is set once the user asks to stop.
pub fn flag() -> &'static AtomicBool {
    &ASKED
}
