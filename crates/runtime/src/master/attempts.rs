//! Where a job's attempts run: in this process, or in others.

use std::time::Duration;

use futures::future::BoxFuture;
use tidegate_checkpoint::{Command, Report};
use tidegate_types::{AttemptId, Parallelism, Timestamp};
use tokio::sync::mpsc;

use crate::{api::JobError, prepare::RestorePoint};

/// Starts a job's attempts, one after the other.
pub trait Attempts: Send + 'static {
    /// Looks through the snapshot that the first attempt is to be restored from, so that what is
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
    pub figures: Box<dyn Fn() -> AttemptFigures + Send>,
    /// Done when nothing of it writes any more.
    pub ended: BoxFuture<'static, ()>,
}

/// What is counted while an attempt runs, over all of its processes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct AttemptFigures {
    /// How many records its sources have emitted.
    pub records: u64,
    /// How far its bounded sources have come: done and total, in a unit of the source's.
    pub progress: Option<(u64, u64)>,
    /// The longest time that a record has been under way between source and sink.
    pub in_flight_max: Duration,
    /// When the first record had passed through all operators.
    pub first_record: Option<Timestamp>,
}

impl AttemptFigures {
    /// Those of two processes, taken together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let earlier = |a: Option<Timestamp>, b| a.into_iter().chain(b).min();
        Self {
            records: self.records + other.records,
            progress: match (self.progress, other.progress) {
                (Some((a, b)), Some((c, d))) => Some((a + c, b + d)),
                (one, None) | (None, one) => one,
            },
            in_flight_max: self.in_flight_max.max(other.in_flight_max),
            first_record: earlier(self.first_record, other.first_record),
        }
    }
}
