//! Plays seeds of the simulation.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Parser;
use tidegate_sim::shipped::{Mutation, play_with};

/// Plays seeds of the simulation; ends with status 1 if one of them fails.
#[derive(Parser)]
struct Arguments {
    /// The seed to play, or the first of many.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds to play.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Play the shipped code.
    #[arg(long)]
    shipped: bool,
    /// Play the shipped cluster.
    #[arg(long)]
    cluster: bool,
    /// Put faults in on purpose, one after the other, and play until each is found.
    #[arg(long)]
    mutations: bool,
    /// Put this fault in.
    #[arg(long)]
    mutation: Option<String>,
    /// Print what happens, line by line.
    #[arg(long)]
    trace: bool,
}

fn main() -> io::Result<ExitCode> {
    let Arguments { seed, seeds, shipped, cluster, mutations, mutation, trace } =
        Arguments::parse();
    if mutations {
        return find_mutations(seed);
    }
    let wanted = |it: &Mutation| mutation.as_ref().is_some_and(|name| it.to_string() == *name);
    let put_in = Mutation::ALL.into_iter().find(wanted);
    if let (Some(name), None) = (&mutation, put_in) {
        let all = Mutation::ALL.map(|it| it.to_string()).join(", ");
        writeln!(io::stderr(), "there is no fault `{name}`: there are {all}")?;
        return Ok(ExitCode::FAILURE);
    }
    let play = |seed, trace| match shipped || put_in.is_some() {
        _ if cluster => tidegate_sim::shipped::cluster::play(seed, trace),
        true => play_with(seed, trace, put_in),
        false => tidegate_sim::play(seed, trace),
    };
    let mut out = io::stdout().lock();
    let (mut steps, mut attempts, mut snapshots, mut failed) = (0, 0, 0, 0);
    for seed in seed..seed.saturating_add(seeds) {
        match play(seed, trace) {
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

/// How long each may take to be found.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays seed after seed with each of the faults until it is found.
fn find_mutations(first: u64) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let mut all = true;
    for mutation in Mutation::ALL {
        let begun = Instant::now();
        let found = (first..)
            .take_while(|_| begun.elapsed() < PATIENCE)
            .find_map(|seed| play_with(seed, false, Some(mutation)).err());
        let seconds = begun.elapsed().as_secs_f64();
        match found {
            Some(failed) => {
                let (seed, what) = (failed.seed, &failed.what);
                writeln!(out, "{mutation:<16} {seconds:>6.1} s, seed {seed}: {what}")?;
            }
            None => {
                all = false;
                writeln!(out, "{mutation:<16} {seconds:>6.1} s: NOT FOUND")?;
            }
        }
    }
    Ok(if all { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
