//! Plays seeds, one after the other.

use std::{
    io::{self, Write},
    time::{Duration, Instant},
};

use super::find::find;
use crate::{
    Failed, Played,
    shipped::{self, Activity, Aim, Fault, Mutation, Setup, Without},
};

/// Plays seeds.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The seed to play, or the first of many.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds to play.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Print what happens, line by line.
    #[arg(long)]
    trace: bool,
    /// Put this fault in.
    #[arg(long)]
    mutation: Option<Mutation>,
    /// Have this go wrong more often, while the operation is under way.
    #[arg(long, requires = "operation")]
    fault: Option<Fault>,
    /// See --fault.
    #[arg(long, requires = "fault")]
    operation: Option<Activity>,
    /// Leave this out of what the seeds stand for.
    #[arg(long)]
    without: Vec<Without>,
    /// Leave nothing more out of a seed that fails, to make it smaller.
    #[arg(long)]
    as_is: bool,
    /// Play until a seed fails, for so many seconds at most; every other seed aims at something.
    #[arg(long)]
    find: Option<u64>,
    /// Play the shipped cluster: JobManagers, TaskManagers, and the processes of jobs.
    #[arg(long, conflicts_with_all = ["mutation", "fault", "without", "find", "retold"])]
    cluster: bool,
    /// Play the older simulation, which tells processes and tasks again.
    #[arg(long)]
    retold: bool,
}

impl Arguments {
    pub(super) fn carry_out(self, out: &mut dyn Write) -> io::Result<bool> {
        if let Some(seconds) = self.find {
            let failed = find(self.seed, self.mutation, Duration::from_secs(seconds));
            failed.iter().try_for_each(|failed| writeln!(out, "{failed}"))?;
            return Ok(failed.is_none());
        }
        let begun = Instant::now();
        let aim = self.fault.zip(self.operation).map(|(fault, activity)| Aim { fault, activity });
        let without = self.without.clone();
        let setup = Setup { traced: self.trace, mutation: self.mutation, aim, without };
        let (mut steps, mut attempts, mut snapshots, mut failed) = (0, 0, 0, 0);
        for seed in self.seed..self.seed.saturating_add(self.seeds) {
            match self.play(seed, &setup) {
                Ok(played) => {
                    write!(out, "{}", played.trace.unwrap_or_default())?;
                    steps += played.steps;
                    attempts += played.attempts;
                    snapshots += played.snapshots;
                }
                Err(failure) => {
                    write!(out, "{}", failure.trace.as_deref().unwrap_or_default())?;
                    writeln!(out, "{failure}")?;
                    steps += failure.steps;
                    if !self.trace && !self.as_is && !self.retold && !self.cluster {
                        super::tell_smaller(failure, &setup, out)?;
                    }
                    failed += 1;
                }
            }
        }
        let (seeds, seconds) = (self.seeds, begun.elapsed().as_secs_f64());
        writeln!(
            out,
            "{seeds} seeds, {failed} failed; {attempts} attempts, {snapshots} snapshots; {steps} \
             steps in {seconds:.1} s, {:.0} per second",
            steps as f64 / seconds
        )?;
        Ok(failed == 0)
    }

    fn play(&self, seed: u64, setup: &Setup) -> Result<Played, Box<Failed>> {
        if self.cluster {
            shipped::cluster::play(seed, self.trace)
        } else if self.retold {
            crate::play(seed, self.trace)
        } else {
            shipped::play(seed, setup)
        }
    }
}
