//! What the program does.
//!
//! | command | what it does |
//! |---|---|
//! | `run` | plays seeds; one that fails can be played again, and told step by step |
//! | `mutations` | puts faults in on purpose, one after the other, and plays until each is found |
//! | `coverage` | plays until every fault has hit every operation often enough |

mod coverage;
mod find;
mod mutations;
mod run;

use std::{
    io::{self, Write},
    num::NonZero,
    process::ExitCode,
    thread,
    time::Duration,
};

use clap::{Parser, Subcommand};

use crate::{
    Failed,
    shipped::{self, Setup},
};

/// Plays seeds of the simulation; ends with status 1 if something fails.
#[derive(Parser)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Plays seeds.
    Run(run::Arguments),
    /// Puts faults in on purpose, one after the other, and plays until each is found.
    Mutations(mutations::Arguments),
    /// Plays until every fault has hit every operation often enough.
    Coverage(coverage::Arguments),
}

impl Arguments {
    /// Does what is asked for, and tells `out` about it.
    ///
    /// # Errors
    ///
    /// When `out` takes nothing, or a copy of the sources can't be made.
    pub fn carry_out(self, out: &mut dyn Write) -> io::Result<ExitCode> {
        let is_well = match self.command {
            Command::Run(arguments) => arguments.carry_out(out)?,
            Command::Mutations(arguments) => arguments.carry_out(out)?,
            Command::Coverage(arguments) => arguments.carry_out(out)?,
        };
        Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// How long a play that has failed is made smaller.
const SHRINKING: Duration = Duration::from_secs(30);

/// Makes a play that has failed smaller, and tells what is left of it.
fn tell_smaller(failed: Box<Failed>, setup: &Setup, out: &mut dyn Write) -> io::Result<()> {
    let (smaller, failed) = shipped::shrink(failed, setup, SHRINKING);
    if smaller.without != setup.without {
        writeln!(out, "made smaller: {failed}")?;
    }
    Ok(())
}

/// How many plays go on at once.
fn cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}
