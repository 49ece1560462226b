//! How the program ends.

/// The exit code, by meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The work is done.
    Done,
    /// The work was done and a check failed.
    CheckFailed,
    /// The input or the command line is wrong.
    WrongInput,
    /// The work was interrupted, and its state is saved.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::CheckFailed => 1,
            Exit::WrongInput => 2,
            Exit::Interrupted => 3,
        }
    }
}
