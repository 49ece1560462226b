//! `tunewise`: fine-tunes a language model with LoRA on the user's own machine, and tells whether that was worth it.
//!
//! [`args`] says what can be asked, [`command`] does it, [`output`] prints it, [`failure`] tells what went wrong.

mod args;
mod command;
mod counter;
mod destination;
mod exit;
mod failure;
mod interrupt;
mod machine;
mod model_folder;
mod nearest;
mod number;
mod output;
mod threads;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use args::{usage, Cli};
use exit::Exit;
use failure::Verdict;
use output::Form;

fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    let form = match words.iter().any(|word| word == "--json") {
        true => Form::Json,
        false => Form::Text,
    };
    let exit = match Cli::try_parse_from(&words) {
        Ok(cli) => command::run(cli, form).unwrap_or_else(|error| tell(&error, form)),
        Err(error) => refused(&error, &words, form),
    };
    ExitCode::from(exit.code())
}

/// Tells a failure and returns how the program ends on it.
fn tell(error: &anyhow::Error, form: Form) -> Exit {
    let Some(verdict) = Verdict::of(error) else { return Exit::Done };
    output::fail(&verdict.error, verdict.hint.as_deref());
    // Where standard output is gone, the message on standard error has to do.
    let _ = form.json(&verdict.to_json());
    verdict.exit
}

/// Prints help where it was asked for, or tells what is wrong with the command line.
fn refused(error: &clap::Error, words: &[OsString], form: Form) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            // A reader that went away has seen enough of the help.
            let _ = error.print();
            Exit::Done
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = error.print();
            Exit::WrongInput
        }
        _ => {
            let names = Cli::command();
            let asked = words.iter().skip(1).filter_map(|word| word.to_str());
            let command = asked.into_iter().find(|word| names.find_subcommand(word).is_some());
            tell(&usage::problem(error, command), form)
        }
    }
}
