//! Plays until every fault has hit every operation often enough.
//!
//! Each play aims at the pair that was met least so far. What a play does follows from its seed and its
//! aim alone; which aim a seed has depends on which plays have ended by then.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    Failed,
    shipped::{self, Aim, Coverage, Setup},
};

/// Plays until every pair was met often enough.
#[derive(clap::Args)]
pub(super) struct Arguments {
    /// How often each pair is to be met.
    #[arg(long, default_value_t = 1_000)]
    least: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// After how many seconds to give up.
    #[arg(long, default_value_t = 3_600)]
    seconds: u64,
}

/// What has come of the plays so far.
#[derive(Default)]
struct Progress {
    next: u64,
    coverage: Coverage,
    plays: u64,
    steps: u64,
    failed: Vec<(Box<Failed>, Setup)>,
}

impl Arguments {
    pub(super) fn carry_out(self, out: &mut dyn Write) -> io::Result<bool> {
        let begun = Instant::now();
        let patience = Duration::from_secs(self.seconds);
        let progress = Mutex::new(Progress { next: self.seed, ..Progress::default() });
        let lock = || progress.lock().unwrap_or_else(PoisonError::into_inner);
        let one = || loop {
            let (seed, aim) = {
                let mut progress = lock();
                let (fault, activity, met) = progress.coverage.rarest();
                let is_over = met >= self.least || !progress.failed.is_empty();
                if is_over || begun.elapsed() > patience {
                    return;
                }
                progress.next += 1;
                (progress.next - 1, Aim { fault, activity })
            };
            let setup = Setup { aim: Some(aim), ..Setup::default() };
            let played = shipped::play(seed, &setup);
            let mut progress = lock();
            progress.plays += 1;
            match played {
                Ok(played) => {
                    progress.steps += played.steps;
                    progress.coverage.add(&played.coverage);
                }
                Err(failed) => {
                    progress.steps += failed.steps;
                    progress.failed.push((failed, setup));
                }
            }
        };
        let cores = super::cores();
        thread::scope(|scope| (0..cores).for_each(|_| _ = scope.spawn(one)));
        let Progress { coverage, plays, steps, failed, .. } = std::mem::take(&mut *lock());
        writeln!(out, "{coverage}")?;
        let seconds = begun.elapsed().as_secs_f64();
        let each = steps as f64 / seconds / cores as f64;
        writeln!(
            out,
            "{plays} plays, {steps} steps in {seconds:.1} s on {cores} cores: {each:.0} steps per \
             second and core"
        )?;
        let is_well = failed.is_empty();
        for (failed, setup) in failed {
            writeln!(out, "{failed}")?;
            super::tell_smaller(failed, &setup, out)?;
        }
        let (fault, activity, met) = coverage.rarest();
        if met < self.least {
            writeln!(out, "{fault} x {activity} was met {met} times, not {}", self.least)?;
        }
        Ok(met >= self.least && is_well)
    }
}
