//! The shipped code under a seed: master, process, workers, tasks, state, the drivers of sources and of
//! two-phase sinks, the job's log and its signs of life, one step at a time, in an order that the seed
//! decides.
//!
//! ```text
//!   [play] --turn--> Tokio of a machine: JobMaster, process, commits, uploads
//!     |    --step--> one of its threads: a worker's step of its dataflow, or what is encoded
//!     |    --time--> all clocks
//!     |    --carry-> messages and bytes between machines
//!     +--- kill, freeze, cut, start again, take over, savepoint, stop, cancel
//! ```
//!
//! Everything that leaves a machine goes through what it was handed ([`tidegate_runtime::Host`]): the
//! store and the sink's target take a while, fail, and fail although it has happened; both are deaf to a
//! machine that is gone.
//!
//! A job of several processes has a machine for each. Their conversations are messages that take a while
//! (`tidegate_protocol::memory`), their workers one group of threads whose bytes do too
//! (`tidegate_runtime::host::memory`); both are cut, and broken a while after a machine is gone.
//!
//! # Promise
//!
//! - What the sink has made visible is what a plain program makes of the input, every record once.
//! - A savepoint that was reported complete is whole where it was reported, until the end, unless a job
//!   was told to claim it.
//! - A savepoint that was disposed of is gone whole, and after a sweep with nothing running nothing is left
//!   that no manifest reaches.
//! - A job is fenced only if somebody else has started it, cancelled only if somebody has asked for that, and
//!   a stop is answered when the job has ended.
//! - What one subtask has prepared is committed in its turn.
//! - When a job has told its end nothing of it is left, as long as the store does what it is asked.
//! - The job comes to its end once all goes well.
//! - The same seed does the same.
//!
//! # Not here
//!
//! JobManagers and TaskManagers: [`cluster`]. Files of the local disk; sockets, and what is shown to be let in;
//! event time and timers.

mod aim;
mod chance;
mod clock;
pub mod cluster;
mod coverage;
mod errand;
mod job;
mod line;
mod machine;
mod mutation;
mod network;
mod oracle;
mod picture;
mod play;
mod progress;
mod runs;
mod scenario;
mod store;
mod target;
mod trouble;
mod turns;
mod user;

use std::time::{Duration, Instant};

use clap::ValueEnum;
use tidegate_runtime::JobStatus;

pub use self::{
    aim::Aim,
    coverage::{Activity, Coverage, Fault},
    mutation::Mutation,
    scenario::Without,
};
use self::{picture::Picture, play::Play, user::Life};
use crate::{Failed, Played};

/// How a seed is played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Setup {
    /// Whether what happens is told, line by line.
    pub traced: bool,
    /// A fault that is put in on purpose.
    pub mutation: Option<Mutation>,
    /// What is to go wrong more often than it would by chance.
    pub aim: Option<Aim>,
    /// What is left out of what the seed stands for; half of the records is left out more than once.
    pub without: Vec<Without>,
}

impl Setup {
    /// What the command needs to play the same.
    fn arguments(&self, seed: u64) -> String {
        let mut arguments = format!("run --seed {seed}");
        if let Some(mutation) = self.mutation {
            arguments += &format!(" --mutation {mutation}");
        }
        if let Some(Aim { fault, activity }) = self.aim {
            arguments += &format!(" --fault {fault} --operation {activity}");
        }
        for without in &self.without {
            let value = without.to_possible_value();
            arguments += &format!(" --without {}", value.as_ref().map_or("", |it| it.get_name()));
        }
        arguments
    }
}

/// How often records are halved at most.
const HALVES: usize = 6;

/// Leaves out of a play that has failed whatever it fails without, as long as there is time; tells what is
/// left.
#[must_use]
pub fn shrink(mut failed: Box<Failed>, setup: &Setup, patience: Duration) -> (Setup, Box<Failed>) {
    let (begun, seed, mut setup) = (Instant::now(), failed.seed, setup.clone());
    for without in Without::value_variants() {
        let times = if *without == Without::Records { HALVES } else { 1 };
        for _ in 0..times {
            let mut smaller = Setup { traced: false, ..setup.clone() };
            smaller.without.push(*without);
            let Err(other) = play(seed, &smaller) else { break };
            setup = Setup { traced: setup.traced, ..smaller };
            failed = other;
            if begun.elapsed() > patience {
                return (setup, failed);
            }
        }
    }
    (setup, failed)
}

/// Plays a seed.
///
/// # Errors
///
/// When what must hold does not.
pub fn play(seed: u64, setup: &Setup) -> Result<Played, Box<Failed>> {
    let mut play = Play::new(seed, setup);
    if let Some(aim) = setup.aim {
        play.aim_at(aim);
    }
    play.run();
    let (steps, millis) = (play.steps, play.clock.elapsed().as_millis() as u64);
    let fingerprint = play.fingerprint();
    let trace = play.picture.take().map(Picture::into_lines);
    if let Some(what) = play.violation.take() {
        let command = setup.arguments(seed);
        return Err(Box::new(Failed { command, seed, steps, millis, what, trace }));
    }
    let finished = matches!(play.life, Life::Over(JobStatus::Finished));
    let (attempts, snapshots, coverage) = (play.lives, play.snapshots, play.met.get());
    Ok(Played { steps, fingerprint, finished, attempts, snapshots, coverage, trace })
}
