//! Plays seeds of the simulation.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;

/// Plays seeds of the simulation; ends with status 1 if one of them fails.
#[derive(Parser)]
struct Arguments {
    /// The seed to play, or the first of many.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds to play.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Print what happens, line by line.
    #[arg(long)]
    trace: bool,
}

fn main() -> io::Result<ExitCode> {
    let Arguments { seed, seeds, trace } = Arguments::parse();
    let mut out = io::stdout().lock();
    let (mut steps, mut attempts, mut snapshots, mut failed) = (0, 0, 0, 0);
    for seed in seed..seed.saturating_add(seeds) {
        match tidegate_sim::play(seed, trace) {
            Ok(played) => {
                write!(out, "{}", played.trace.unwrap_or_default())?;
                steps += played.steps;
                attempts += played.attempts;
                snapshots += played.snapshots;
            }
            Err(failure) => {
                write!(out, "{}", failure.trace.as_deref().unwrap_or_default())?;
                writeln!(out, "{failure}")?;
                failed += 1;
            }
        }
    }
    writeln!(
        out,
        "{seeds} seeds, {failed} failed; {steps} steps, {attempts} attempts, {snapshots} snapshots"
    )?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
