//! How many threads compute.

use crate::failure::Problem;

/// The variable by which the thread pool and the matrix products learn their number of threads.
const VARIABLE: &str = "RAYON_NUM_THREADS";

/// The most threads: more than any machine has cores, and few enough that the system can start them.
pub const MOST: usize = 1024;

/// Bytes of stack of a thread, as the main thread usually has them.
const STACK: usize = 8 << 20;

/// Sets the number of threads for the whole process; `None` leaves it to `RAYON_NUM_THREADS`, then to the machine.
///
/// It must run before any other thread starts, since it writes the environment.
///
/// # Errors
/// When the number is out of range, or the pool cannot be built.
pub fn set(threads: Option<usize>) -> anyhow::Result<()> {
    let inherited = std::env::var(VARIABLE).ok().and_then(|number| number.trim().parse().ok());
    match (threads, inherited) {
        (Some(threads), _) if !(1..=MOST).contains(&threads) => {
            return Err(out_of_range("--threads", threads).into());
        }
        (None, Some(threads)) if threads > MOST => {
            return Err(out_of_range(VARIABLE, threads).into());
        }
        _ => {}
    }
    if let Some(threads) = threads {
        std::env::set_var(VARIABLE, threads.to_string());
    }
    // The pool reads the variable itself.
    Ok(rayon::ThreadPoolBuilder::new().stack_size(STACK).build_global()?)
}

fn out_of_range(name: &str, found: usize) -> Problem {
    let bound = if found == 0 { "at least 1".to_owned() } else { format!("at most {MOST}") };
    let what = format!("`{name}` is {found}, expected {bound}");
    let hint = if name == VARIABLE { "unset it" } else { "leave it out" };
    Problem::with_hint(what, format!("{hint} to use every core"))
}

/// What `work` returns, run on a thread of the pool.
///
/// From outside the pool every small operation would wake a thread and sleep until it is done, which costs more than
/// most of them.
pub fn within<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    rayon::scope(|_| work())
}
