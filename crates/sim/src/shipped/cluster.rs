//! A cluster as it is shipped, under a seed: JobManagers with their Dispatcher, leader election and HA
//! store, TaskManagers, and the processes that these start, each on a machine of its own.
//!
//! ```text
//!   [user] --Dispatcher--> JobManager <--links that are slow and get cut--> TaskManager --starts--> process
//!                            |  ^ one leads, one waits                                               |
//!                            v  |                                                                    v
//!                         HA store, checkpoints, savepoints: one store that fails                 target
//! ```
//!
//! Everything is handed in ([`tidegate_cluster::host`]): a machine's disk survives it, what asks a binary
//! what it would run builds the plan, and a process is a machine of its own, which dies with its
//! TaskManager.
//!
//! # Promise
//!
//! - What the sink has made visible is what a plain program makes of the input, every record once, however
//!   many JobManagers believe that they lead.
//! - A job that was taken in is listed until it has ended.
//! - What is said of a request under a trigger id does not change, and a savepoint that was said to be
//!   complete is whole where it was said, until its owner deletes it or a job is told to claim it.
//! - When a job has told its end nothing of it is left, neither beside its checkpoints nor in the HA
//!   store, as long as the store does what it is asked.
//! - The job comes to its end once all goes well.
//! - The same seed does the same.
//!
//! # Not here
//!
//! HTTP, gRPC and programs of the operating system: real processes are tried in the tests of `cluster`
//! and of the command line.

mod disk;
mod oracle;
mod play;
mod programs;
mod requests;
mod scenario;
mod sites;
mod user;
mod way;

use self::{play::ClusterPlay, user::Life};
use crate::{Failed, Played};

/// Plays a seed.
///
/// # Errors
///
/// When what must hold does not.
pub fn play(seed: u64, traced: bool) -> Result<Played, Box<Failed>> {
    let mut play = ClusterPlay::new(seed, traced);
    play.run();
    let (steps, millis) = (play.steps, play.clock.elapsed().as_millis() as u64);
    let (fingerprint, trace) = play.notes.end();
    if let Some(what) = play.violation.take() {
        return Err(Box::new(Failed {
            command: format!("run --cluster --seed {seed}"),
            seed,
            steps,
            millis,
            what,
            trace,
        }));
    }
    let finished = matches!(play.life, Life::Over { is_complete: true });
    let (attempts, snapshots) = (play.processes_started, play.snapshots);
    let coverage = play.met.get();
    Ok(Played { steps, fingerprint, finished, attempts, snapshots, coverage, trace })
}
