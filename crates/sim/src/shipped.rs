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
//! - When a job has told its end nothing of it is left, as long as the store does what it is asked.
//! - The job comes to its end once all goes well.
//! - The same seed does the same.
//!
//! # Not here
//!
//! JobManagers and TaskManagers: [`cluster`]. Files of the local disk; sockets, and what is shown to be let in.

mod chance;
mod clock;
pub mod cluster;
mod job;
mod machine;
mod mutation;
mod network;
mod oracle;
mod play;
mod runs;
mod scenario;
mod store;
mod target;
mod turns;
mod user;

use tidegate_runtime::JobStatus;

pub use self::mutation::Mutation;
use self::{play::Play, user::Life};
use crate::{Failed, Played};

/// Plays a seed.
///
/// # Errors
///
/// When what must hold does not.
pub fn play(seed: u64, traced: bool) -> Result<Played, Box<Failed>> {
    play_with(seed, traced, None)
}

/// Plays a seed with a fault that is put in on purpose.
///
/// # Errors
///
/// When it is found.
pub fn play_with(
    seed: u64,
    traced: bool,
    mutation: Option<Mutation>,
) -> Result<Played, Box<Failed>> {
    let mut play = Play::new(seed, traced, mutation);
    play.run();
    let (steps, millis) = (play.steps, play.clock.elapsed().as_millis() as u64);
    let fingerprint = play.fingerprint();
    let trace = play.trace.take();
    if let Some(what) = play.violation.take() {
        return Err(Box::new(Failed { flag: "--shipped ", seed, steps, millis, what, trace }));
    }
    let finished = matches!(play.life, Life::Over(JobStatus::Finished));
    let (attempts, snapshots) = (play.lives, play.snapshots);
    Ok(Played { steps, fingerprint, finished, attempts, snapshots, trace })
}
