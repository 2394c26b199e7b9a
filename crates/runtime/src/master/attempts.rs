//! Where a job's attempts run: in this process, or in others.

use futures::future::BoxFuture;
use tidegate_checkpoint::{Command, Report};
use tidegate_types::{AttemptId, Figures, Parallelism, Superseded};
use tokio::sync::mpsc;

use crate::{api::JobError, prepare::RestorePoint, stats::Location};

/// Starts a job's attempts, one after the other.
pub trait Attempts: Send + 'static {
    /// Gets ready what the first attempt takes over, as far as that is done here, so that what is
    /// wrong with it is said before the job starts.
    fn check<'a>(&'a mut self, point: &'a RestorePoint) -> BoxFuture<'a, Result<(), JobError>>;

    /// Starts an attempt; waits for whatever that needs. Dropping the future gives up, and leaves
    /// nothing behind that goes on.
    fn start(&mut self, start: AttemptStart) -> BoxFuture<'_, Result<RunningAttempt, JobError>>;

    /// Whether another attempt can follow one that has failed.
    fn can_restart(&self) -> bool;
}

/// What an attempt begins with.
#[derive(Clone, Debug)]
pub struct AttemptStart {
    /// Which one it is.
    pub attempt: AttemptId,
    /// Tells it apart from all others, over runs too.
    pub token: u64,
    /// What it takes over.
    pub restored: RestorePoint,
    /// Whether it emits nothing: the final savepoint of a stop is complete, its sinks commit what
    /// that holds, and the job ends.
    pub concludes: bool,
    /// Whether what the snapshot holds for sinks is left to the job that it is of, which lives.
    pub leaves_output: bool,
    /// Whose leftovers it may delete.
    pub superseded: Superseded,
    /// Whether it follows upon a failure of user code, whose record it may see again: see
    /// [`Telling`](tidegate_core::user_code::Telling).
    pub telling: bool,
}

/// An attempt that runs, as its master sees it.
pub struct RunningAttempt {
    /// How many subtasks each operator has.
    pub parallelism: Parallelism,
    /// To each of its processes, in order. Once they are dropped the processes end.
    pub commands: Vec<mpsc::UnboundedSender<Command>>,
    /// From all of them.
    pub reports: mpsc::UnboundedReceiver<Report>,
    /// What they have counted.
    pub figures: Box<dyn Fn() -> Figures + Send>,
    /// Where its processes are, in order; empty if they are where the master is.
    pub locations: Vec<Location>,
    /// Done when it has to give way to one of another parallelism, with the reason.
    pub outdated: BoxFuture<'static, String>,
    /// Done when nothing of it writes any more.
    pub ended: BoxFuture<'static, ()>,
}
