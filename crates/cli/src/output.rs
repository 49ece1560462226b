//! Where words go: results to standard output, everything else to standard error.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// How a result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As text for people.
    Text,
    /// As JSON for programs.
    Json,
}

impl Form {
    /// Prints a line of the result where it is for people.
    pub fn text(self, line: impl Display) -> io::Result<()> {
        match self {
            Form::Text => writeln!(anstream::stdout(), "{line}"),
            Form::Json => Ok(()),
        }
    }

    /// Prints the result where it is for programs.
    pub fn json(self, result: &impl Serialize) -> io::Result<()> {
        match self {
            Form::Text => Ok(()),
            Form::Json => json_line(result),
        }
    }
}

/// Prints a value as one line of JSON.
pub fn json_line(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string(value)?;
    writeln!(io::stdout(), "{text}")
}

/// Tells the user something on standard error.
pub fn say(message: impl Display) {
    // Nobody reads: there is nobody to tell that to.
    let _ = writeln!(anstream::stderr(), "{message}");
}

/// Tells the user something to know.
pub fn note(message: impl Display) {
    say(format_args!("note: {message}"));
}

/// Tells the user something that is probably wrong.
pub fn warn(message: impl Display) {
    let style = anstyle::AnsiColor::Yellow.on_default().bold();
    say(format_args!("{style}warning{style:#}: {message}"));
}

/// Tells the user what failed, and what to do about it.
pub fn fail(error: &str, hint: Option<&str>) {
    let red = anstyle::AnsiColor::Red.on_default().bold();
    say(format_args!("{red}error{red:#}: {error}"));
    if let Some(hint) = hint {
        let cyan = anstyle::AnsiColor::Cyan.on_default().bold();
        say(format_args!("{cyan}hint{cyan:#}: {hint}"));
    }
}

/// Whether standard output shows colours: a terminal, and `NO_COLOR` not set.
pub fn shows_colour() -> bool {
    anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

/// Whether standard error is a terminal on which a line can be drawn again.
pub fn draws_progress() -> bool {
    io::stderr().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}
