//! Plays seeds of the simulation.

use std::process::ExitCode;

use clap::Parser;
use tidegate_sim::command::Arguments;

fn main() -> std::io::Result<ExitCode> {
    Arguments::parse().carry_out(&mut std::io::stdout().lock())
}
