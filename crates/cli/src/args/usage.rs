//! Wrong command lines, told like every other error.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use tunewise_train::Recipe;

use crate::failure::Problem;

/// What to say about a command line that clap refused.
pub fn problem(error: &clap::Error, command: Option<&str>) -> anyhow::Error {
    let help = match command {
        Some(command) => format!("`tunewise {command} --help` shows the flags"),
        None => "`tunewise --help` shows the commands".to_owned(),
    };
    let argument = context(error, ContextKind::InvalidArg);
    let what = match (error.kind(), &argument) {
        (ErrorKind::UnknownArgument, Some(flag)) => return unknown(error, flag, command, help),
        (ErrorKind::MissingRequiredArgument, Some(flags)) => format!("{flags} is not given"),
        (ErrorKind::ArgumentConflict, Some(flag)) => match context(error, ContextKind::PriorArg) {
            Some(other) if other == *flag => format!("{flag} is given twice, expected once"),
            Some(other) => format!("{flag} and {other} exclude each other"),
            None => first_paragraph(error),
        },
        (ErrorKind::InvalidSubcommand, _) => return unknown_command(error, help),
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, Some(flag)) => {
            wrong_value(error, flag)
        }
        _ => first_paragraph(error),
    };
    Problem::with_hint(what, help).into()
}

/// A flag that nobody knows; a recipe key that is not built yet says so.
fn unknown(error: &clap::Error, flag: &str, command: Option<&str>, help: String) -> anyhow::Error {
    let bare = flag.trim_matches('`');
    let Some(name) = bare.strip_prefix("--").filter(|name| !name.is_empty()) else {
        return Problem::with_hint(format!("{flag} is not expected here"), help).into();
    };
    let key = name.split('=').next().unwrap_or(name).replace('-', "_");
    if command == Some("train") {
        if let Err(fault @ tunewise_train::TrainError::NotBuilt { .. }) =
            Recipe::default().set(&key, "true")
        {
            return fault.into();
        }
    }
    let hint = match context(error, ContextKind::SuggestedArg) {
        Some(near) => format!("did you mean {near}? {help}"),
        None => help,
    };
    Problem::with_hint(format!("unknown flag {flag}"), hint).into()
}

fn unknown_command(error: &clap::Error, help: String) -> anyhow::Error {
    let found = context(error, ContextKind::InvalidSubcommand).unwrap_or_default();
    let hint = match context(error, ContextKind::SuggestedSubcommand) {
        Some(near) => format!("did you mean {near}? {help}"),
        None => help,
    };
    Problem::with_hint(format!("unknown command {found}"), hint).into()
}

fn wrong_value(error: &clap::Error, flag: &str) -> String {
    let flag = flag.split(' ').next().unwrap_or(flag).trim_matches('`');
    let found = context(error, ContextKind::InvalidValue).unwrap_or_default();
    if found.is_empty() || found == "``" {
        return format!("`{flag}` has no value, expected one");
    }
    if let Some(valid) = context(error, ContextKind::ValidValue) {
        return format!("`{flag}` is {found}, expected {valid}");
    }
    match std::error::Error::source(error) {
        Some(reason) if reason.to_string().starts_with("expected") => {
            format!("`{flag}` is {found}, {reason}")
        }
        Some(reason) => format!("`{flag}` is {found}: {reason}"),
        None => format!("`{flag}` is {found}, expected another value"),
    }
}

/// The words clap holds on the error, in backticks.
fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(word) => Some(format!("`{word}`")),
        ContextValue::Strings(words) if words.is_empty() => None,
        ContextValue::Strings(words) => {
            let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
            Some(quoted.join(", "))
        }
        _ => None,
    }
}

/// What clap itself says first.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let lines = text.lines().take_while(|line| !line.trim().is_empty());
    let joined = lines.map(str::trim).collect::<Vec<_>>().join(" ");
    joined.trim_start_matches("error: ").to_owned()
}
