//! A seeded simulation of the Tidegate coordinator, its workers and a faulty store.
//!
//! The coordinator, the gathering of a process's parts, the phases of tasks and their alignment,
//! the restore plan, the restart strategy and the formats are the real ones; operators, threads,
//! network, store, users and time are simulated. A seed stands for a job, its settings, and
//! everything that goes wrong: slow and failing writes (also such that happened and reported
//! failure), crashes of processes, kills of everything, restarts at another parallelism,
//! savepoints, stops, cancellations. After some time all goes well, and the job has to come to its
//! end.
//!
//! # Promise
//!
//! - At every step the invariants of `tidegate-checkpoint` hold, as far as they can be seen from
//!   outside (`world/checks.rs`).
//! - In the end, what the two-phase sink has made visible is what a plain program makes of the
//!   input, every record counted exactly once; in at-least-once mode none is missing.
//! - The same seed does the same, step by step: a failing one is replayed by its number.
//!
//! # Not here
//!
//! Threads, Timely, disks and sockets: whole processes are tried in the tests of the facade.

pub mod command;
pub mod patch;
mod process;
mod scenario;
mod schedule;
pub mod shipped;
mod store;
mod task;
mod world;

use shipped::Coverage;
use world::{End, World};

/// What came of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Played {
    /// How many events there were.
    pub steps: u64,
    /// Two plays have the same fingerprint only if the same happened in both.
    pub fingerprint: u64,
    /// Whether the job consumed all of its input; otherwise it was cancelled.
    pub finished: bool,
    /// How many attempts there were, over all starts of the job.
    pub attempts: u64,
    /// How many snapshots were completed.
    pub snapshots: u64,
    /// Which faults have hit which operations.
    pub coverage: Coverage,
    /// What happened, line by line, if that was asked for.
    pub trace: Option<String>,
}

/// A seed whose play broke an invariant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "seed {seed} fails after {steps} steps, at {millis} ms: {what}\nreplay it with: \
     cargo run --release -p tidegate-sim -- {command} --trace"
)]
pub struct Failed {
    /// What the program needs to play the same.
    pub command: String,
    /// The seed.
    pub seed: u64,
    /// How many events there were.
    pub steps: u64,
    /// The simulated time, in milliseconds.
    pub millis: u64,
    /// What is wrong.
    pub what: String,
    /// What happened, line by line, if that was asked for.
    pub trace: Option<String>,
}

/// Plays a seed.
///
/// # Errors
///
/// When an invariant does not hold, or the result is not what it should be.
pub fn play(seed: u64, traced: bool) -> Result<Played, Box<Failed>> {
    let mut world = World::new(seed, traced);
    let steps = world.play();
    let trace = world.schedule.trace.take();
    match world.violation.take() {
        Some(what) => {
            let millis = world.schedule.micros() / 1_000;
            let command = format!("run --retold --seed {seed}");
            Err(Box::new(Failed { command, seed, steps, millis, what, trace }))
        }
        None => Ok(Played {
            steps,
            fingerprint: world.schedule.fingerprint(),
            finished: world.end == Some(End::Finished),
            attempts: world.attempts(),
            snapshots: world.snapshots,
            coverage: Coverage::default(),
            trace,
        }),
    }
}
