//! The commands, one file each.

mod check;
mod compare;
mod doctor;
mod evaluate;
mod generate;
mod merge;
mod recipe;
mod render;
mod train;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::output::Form;

/// Does what was asked and returns how the program ends.
///
/// # Errors
/// On whatever stops the command.
pub fn run(cli: Cli, form: Form) -> anyhow::Result<Exit> {
    match cli.command {
        Command::Check(args) => check::run(&args, form),
        Command::Train(args) => train::run(&args, form),
        Command::Render(args) => render::run(&args, form),
        Command::Generate(args) => generate::run(&args, form),
        Command::Evaluate(args) => evaluate::run(&args, form),
        Command::Compare(args) => compare::run(&args, form),
        Command::Merge(args) => merge::run(&args, form),
        Command::Recipe(args) => recipe::run(&args, form),
        Command::Doctor => doctor::run(form),
    }
}
