//! The commands, one file each.

mod bench;
mod check;
mod compare;
mod doctor;
mod evaluate;
mod generate;
mod merge;
mod prepare;
mod recipe;
mod render;
mod tokenizer;
mod train;

use crate::args::compute::ComputeArgs;
use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::model_folder;
use crate::output::Form;
use crate::threads;

/// Does what was asked and returns how the program ends.
///
/// # Errors
/// On whatever stops the command.
pub fn run(cli: Cli, form: Form) -> anyhow::Result<Exit> {
    if let Some(instructions) = cli.instructions {
        // The flag's parser has seen that the processor has them, and nothing has been computed yet.
        instructions.force();
    }
    match cli.command {
        Command::Check(args) => check::run(&args, form),
        Command::Prepare(args) => prepare::run(&args, form),
        Command::Train(args) => train::run(&args, form),
        Command::Render(args) => render::run(&args, form),
        Command::Generate(args) => on(&args.model.compute, || generate::run(&args, form)),
        Command::Evaluate(args) => on(&args.model.compute, || evaluate::run(&args, form)),
        Command::Compare(args) => on(&args.model.compute, || compare::run(&args, form)),
        Command::Merge(args) => merge::run(&args, form),
        Command::Bench(args) => on(&args.model.compute, || bench::run(&args, form)),
        Command::Tokenizer(args) => tokenizer::run(&args, form),
        Command::Recipe(args) => recipe::run(&args, form),
        Command::Doctor => doctor::run(form),
    }
}

/// Runs a command that computes with a model on the device and the threads asked for.
fn on(
    compute: &ComputeArgs,
    command: impl FnOnce() -> anyhow::Result<Exit> + Send,
) -> anyhow::Result<Exit> {
    model_folder::prepare(compute)?;
    threads::within(command)
}
