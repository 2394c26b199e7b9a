//! How to write a sink: plain, or in two phases for exactly once.
//!
//! ```text
//!   records --write--> [writer] --barrier: prepare--> committables --snapshot complete: commit-->
//! ```
//!
//! # Protocol of a two-phase sink
//!
//! 1. `write` takes records in. Nobody outside may see them yet.
//! 2. At a barrier, once `flush` is ready, `prepare` closes what has been written since the last
//!    one and resolves to *committables* when that data is durable. They go into the snapshot, or,
//!    if that one fails for whatever reason, into the next: what is prepared is the sink's own, and
//!    preparing goes on when nobody waits for that snapshot any more.
//! 3. When the snapshot is complete, `commit` makes them visible. Committing twice is harmless,
//!    because a crash between the commit and the next snapshot repeats it.
//! 4. On restore, the committables of the snapshot are committed (again), and then `recover` aborts
//!    whatever else earlier attempts have left behind.
//!
//! # Invariants
//!
//! - INV-DURABLE: a committable resolves only when everything it commits survives a crash.
//! - INV-CARRY: a snapshot that fails does not lose its committables: they stay in every later
//!   snapshot until one completes. Preparing is a [`Duty`](crate::Duty) for that reason: nothing
//!   that becomes of a snapshot ends it.
//! - INV-RECOVER: `recover` runs on subtask 0 alone, after the restored committables have been
//!   committed; it must leave alone what carries the running attempt's token.

mod plain;
mod two_phase;

use std::{sync::Arc, task::Waker};

use futures::future::BoxFuture;
use tidegate_types::{
    AttemptId, CheckpointId, Clock, JobId, OperatorUid, Parallelism, SubtaskIndex, UserResult,
};

pub use plain::sink_operator;
pub use two_phase::{declare_two_phase, two_phase_operator};

use crate::{
    batch::{Batch, Data},
    context::OperatorContext,
    operator::Readiness,
};

/// What a writer is told when it starts.
#[derive(Clone)]
pub struct SinkContext {
    /// The sink's uid.
    pub uid: OperatorUid,
    /// Which of the sink's subtasks this is.
    pub subtask: SubtaskIndex,
    /// How many subtasks there are.
    pub parallelism: Parallelism,
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: AttemptId,
    /// A number that no other attempt of any process has: put it into the names of what is not
    /// committed yet, so that leftovers can be told from what is being written.
    pub attempt_token: u64,
    /// Where waiting happens: disk and network belong there, never on the worker's thread.
    pub tokio: tokio::runtime::Handle,
    /// Call it when a writer that was [`Readiness::Pending`] may be asked again.
    pub waker: Waker,
    /// The clocks.
    pub clock: Arc<dyn Clock>,
}

impl From<&OperatorContext> for SinkContext {
    fn from(context: &OperatorContext) -> Self {
        Self {
            uid: context.uid.clone(),
            subtask: context.subtask,
            parallelism: context.parallelism,
            job: context.job,
            attempt: context.attempt,
            attempt_token: context.attempt_token,
            tokio: context.tokio.clone(),
            waker: context.waker.clone(),
            clock: context.clock.clone(),
        }
    }
}

/// Writes the records of one subtask.
pub trait SinkWriter: 'static {
    /// What it writes.
    type Item: Data;

    /// Takes records from the front of `batch`; what it leaves is offered again once it is ready.
    /// Whatever it takes it has to write before [`SinkWriter::flush`] is ready.
    ///
    /// # Errors
    ///
    /// What prevents it; it fails the attempt.
    fn write(&mut self, batch: &mut Batch<Self::Item>) -> UserResult<Readiness>;

    /// Hands on what it has buffered; called before a barrier and at the end, until it is ready.
    ///
    /// # Errors
    ///
    /// What prevents it; it fails the attempt.
    fn flush(&mut self) -> UserResult<Readiness> {
        Ok(Readiness::Ready)
    }
}

/// A sink that shows its records at once. A record may appear again after a failure.
pub trait Sink: 'static {
    /// What it takes.
    type Item: Data;
    /// What writes it.
    type Writer: SinkWriter<Item = Self::Item>;

    /// Makes the writer of one subtask.
    ///
    /// # Errors
    ///
    /// What prevents it; it fails the attempt.
    fn writer(&self, context: SinkContext) -> UserResult<Self::Writer>;
}

/// Writes the records of one subtask so that they show only once they are committed.
pub trait TwoPhaseWriter: SinkWriter {
    /// What stands for data that is written and not visible yet.
    type Committable: Data + Sync;

    /// Closes what has been written since the last call. The result resolves, on Tokio, once that
    /// data is durable; the writer goes on with new data meanwhile.
    fn prepare(
        &mut self,
        checkpoint: CheckpointId,
    ) -> BoxFuture<'static, UserResult<Vec<Self::Committable>>>;
}

/// A sink whose records show exactly once, whatever fails.
pub trait TwoPhaseSink: 'static {
    /// What it takes.
    type Item: Data;
    /// What stands for data that is written and not visible yet.
    type Committable: Data + Sync;
    /// What writes it.
    type Writer: TwoPhaseWriter<Item = Self::Item, Committable = Self::Committable>;

    /// Makes the writer of one subtask.
    ///
    /// # Errors
    ///
    /// What prevents it; it fails the attempt.
    fn writer(&self, context: SinkContext) -> UserResult<Self::Writer>;

    /// Makes data visible. Doing so twice is harmless.
    fn commit(&self, committables: Vec<Self::Committable>) -> BoxFuture<'static, UserResult<()>>;

    /// Aborts what attempts other than that of `context` have left uncommitted.
    fn recover(&self, context: SinkContext) -> BoxFuture<'static, UserResult<()>>;
}
