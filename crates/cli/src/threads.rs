//! How many threads compute.

use crate::failure::Problem;

/// The variable by which the thread pool and the matrix products learn their number of threads.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// Sets the number of threads for the whole process; `None` leaves it to `RAYON_NUM_THREADS`, then to the machine.
///
/// It must run before any other thread starts, since it writes the environment.
///
/// # Errors
/// When the pool cannot be built.
pub fn set(threads: Option<usize>) -> anyhow::Result<()> {
    let Some(threads) = threads else { return Ok(()) };
    if threads == 0 {
        return Err(Problem::with_hint(
            "`--threads` is 0, expected at least 1",
            "leave it out to use every core",
        )
        .into());
    }
    std::env::set_var(VARIABLE, threads.to_string());
    rayon::ThreadPoolBuilder::new().num_threads(threads).build_global()?;
    Ok(())
}
