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
//! 3. When the snapshot is complete, `commit` makes them visible, and answers for each of them what
//!    came of it. Committing twice is harmless, because a crash between the commit and the next
//!    snapshot repeats it. Commits of one subtask come one at a time and in order: what belongs to
//!    snapshots that complete while a commit runs makes up the next one, all of it together. A sink
//!    may say that its commits can overlap ([`TwoPhaseSink::commits_overlap`]).
//! 4. On restore, once subtask 0 has made its writer, it commits the committables of the snapshot
//!    (again) for all subtasks, and then `recover` aborts whatever else earlier attempts have left
//!    behind. It takes no record in before that is done.
//!
//! # What a commit answers
//!
//! | [`CommitOutcome`] | the target says | then |
//! |---|---|---|
//! | `Committed` | visible now | |
//! | `AlreadyCommitted` | an earlier commit made it visible, whatever became of it since | |
//! | `Lost` | it was never committed and is not there any more | the job ends with an error that names it, or goes on without it if it was told to |
//! | an error | it could not be asked | the attempt fails, the next one commits again |
//!
//! # Invariants
//!
//! - INV-DURABLE: a committable resolves only when everything it commits survives a crash.
//! - INV-CARRY: a snapshot that fails does not lose its committables: they stay in every later
//!   snapshot until one completes. Preparing is a [`Duty`](crate::Duty) for that reason: nothing
//!   that becomes of a snapshot ends it.
//! - INV-TURN: of one subtask, what was prepared for an earlier checkpoint is never committed after
//!   what was prepared for a later one.
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

    /// Takes records from the front of `batch`, with their event times; what it leaves is offered
    /// again once it is ready, so that to leave all of it and yet be ready is an error. Whatever it
    /// takes it has to write before [`SinkWriter::flush`] is ready.
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

/// What came of the commit of one committable, as far as its target can tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitOutcome {
    /// It is visible now.
    Committed,
    /// An earlier commit made it visible. What has become of it since is its readers' affair.
    AlreadyCommitted,
    /// It was never committed, and the target does not have it any more, or not as it was: what,
    /// and where, in words.
    Lost(String),
}

/// A sink whose records show exactly once, whatever fails. Its commits run off the worker's thread.
pub trait TwoPhaseSink: Send + Sync + 'static {
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

    /// Makes data visible, and tells what came of each committable, in their order. Doing so twice
    /// is harmless. It is called by one subtask for what it has prepared itself, and by subtask 0
    /// for what a restored snapshot holds, of all subtasks.
    fn commit(
        &self,
        committables: Vec<Self::Committable>,
    ) -> BoxFuture<'static, UserResult<Vec<CommitOutcome>>>;

    /// Whether a subtask's commit may begin before an earlier one has ended. They come one at a
    /// time, in order, unless a sink says that they may.
    fn commits_overlap(&self) -> bool {
        false
    }

    /// Aborts what attempts other than that of `context` have left uncommitted.
    fn recover(&self, context: SinkContext) -> BoxFuture<'static, UserResult<()>>;
}
