//! How many threads compute.

use crate::failure::Problem;

/// The variable by which the thread pool and the matrix products learn their number of threads.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// Bytes of stack of a thread, as the main thread usually has them.
const STACK: usize = 8 << 20;

/// Sets the number of threads for the whole process; `None` leaves it to `RAYON_NUM_THREADS`, then to the machine.
///
/// It must run before any other thread starts, since it writes the environment.
///
/// # Errors
/// When the pool cannot be built.
pub fn set(threads: Option<usize>) -> anyhow::Result<()> {
    if threads == Some(0) {
        return Err(Problem::with_hint(
            "`--threads` is 0, expected at least 1",
            "leave it out to use every core",
        )
        .into());
    }
    if let Some(threads) = threads {
        std::env::set_var(VARIABLE, threads.to_string());
    }
    // The pool reads the variable itself.
    Ok(rayon::ThreadPoolBuilder::new().stack_size(STACK).build_global()?)
}

/// What `work` returns, run on a thread of the pool.
///
/// From outside the pool every small operation would wake a thread and sleep until it is done, which costs more than
/// most of them.
pub fn within<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}
