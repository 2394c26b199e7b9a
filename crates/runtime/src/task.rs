//! Tasks: what one Timely operator of one worker runs.
//!
//! ```text
//!   Timely inputs --packets--> [input: align, merge watermarks] --> [chain of operators] --outbox-->
//!   source ------------------------------------------------------> [chain of operators] --outbox-->
//! ```
//!
//! # Protocol
//!
//! Everything here runs on the worker's thread and in short slices, so that barriers and progress
//! move while an operator is slow. What the coordinator wants arrives in the task's [`Mailbox`];
//! what it is to know goes out as a [`TaskReport`].
//!
//! # Invariants
//!
//! - INV-CUT: a task snapshots all its operators at one point between two packets, once the last
//!   barrier has come and everything before it has been handed on.
//! - INV-HOLD: while an operator still works on a packet its records count as under way, so that
//!   flow control sees a slow sink.
//!
//! # Failure
//!
//! An error or a panic of an operator is reported once, with its operator and subtask; then the
//! task does nothing more, and the attempt is torn down.

pub(crate) mod alarm;
pub(crate) mod chain;
pub(crate) mod input;
pub(crate) mod meter;
pub(crate) mod operator;
pub(crate) mod outlet;
pub(crate) mod own;
pub(crate) mod reached;
pub(crate) mod source;

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    rc::Rc,
    sync::Arc,
    task::Wake,
    time::Duration,
};

use tidegate_checkpoint::task::TaskCommand;
use tidegate_core::{
    Duty,
    user_code::{OperatorError, Telling},
};
use tidegate_types::{
    Barrier, BoxError, CheckpointId, Clock, ErrorKind, Monotonic, OperatorUid, UserResult,
    error::chain,
};
use timely::scheduling::{Activator, SyncActivator};
use tokio::sync::mpsc;

use self::{
    chain::{Chain, Commits, LinkSnapshot},
    meter::WorkerCounters,
    own::OwnFlow,
};
use crate::{flow::FlowControl, graph::TaskId, in_flight::Tally};

/// How long a task may work before others get their turn.
pub(crate) const SLICE: Duration = Duration::from_millis(1);

/// For how long a task works at least, in a slice, on what snapshots have left to do.
const SHORTEST_PACKING: Duration = Duration::from_micros(100);

/// Why a task failed.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct TaskError {
    pub(crate) kind: ErrorKind,
    pub(crate) uid: Option<OperatorUid>,
    /// The whole cause chain.
    pub(crate) message: String,
}

impl TaskError {
    /// The failure of one operator.
    pub(crate) fn in_operator(uid: &OperatorUid, name: &str, source: BoxError) -> Self {
        Self::from(OperatorError::blame(uid, name, source))
    }
}

impl From<BoxError> for TaskError {
    fn from(error: BoxError) -> Self {
        let uid = error.downcast_ref::<OperatorError>().map(|error| error.uid.clone());
        Self { kind: kind_of(error.as_ref()), uid, message: chain(error.as_ref()) }
    }
}

/// What to do about an error of an operator.
fn kind_of(error: &(dyn std::error::Error + 'static)) -> ErrorKind {
    if let Some(kind) = ErrorKind::marked(error) {
        return kind;
    }
    let mut error = Some(error);
    while let Some(cause) = error {
        if let Some(state) = cause.downcast_ref::<tidegate_state::StateError>() {
            return state.kind();
        }
        if let Some(snapshot) = cause.downcast_ref::<tidegate_snapshot::SnapshotError>() {
            return snapshot.kind();
        }
        // A value that can't be written, or bytes of another program's: the next attempt has the same.
        if cause.is::<tidegate_snapshot::codec::CodecError>() {
            return ErrorKind::Invalid;
        }
        error = cause.source();
    }
    ErrorKind::User
}

/// What a task has to tell its process.
pub(crate) enum TaskReport {
    /// All tasks of its worker have what they take over.
    Restored,
    /// Its part of a snapshot.
    Snapshot(TaskSnapshot),
    /// One of its operators has begun something that is to be run to the end.
    Duty(OperatorUid, Duty),
    /// It has consumed all of its input.
    InputEnded,
    /// What its sinks commit for a completed snapshot; to be run to the end.
    Commits(CheckpointId, Commits),
    /// It has failed.
    Failed(TaskError),
    /// The first record of one of its worker's sources has left the dataflow.
    FirstRecord,
}

/// A task's part of a snapshot.
pub(crate) struct TaskSnapshot {
    pub(crate) barrier: Barrier,
    pub(crate) links: Vec<LinkSnapshot>,
    /// How long the worker was busy with it.
    pub(crate) sync: Duration,
    /// From the first to the last barrier.
    pub(crate) alignment: Duration,
    /// Whether all its input has been consumed.
    pub(crate) finished: bool,
}

/// What a task was told and has not heard of yet.
pub(crate) type Mailbox = VecDeque<TaskCommand>;

/// A task as its worker's loop sees it.
pub(crate) struct TaskHandle {
    pub(crate) mailbox: Rc<RefCell<Mailbox>>,
    pub(crate) activator: Activator,
    pub(crate) is_source: bool,
    /// There if it has inputs and emits by itself too.
    pub(crate) own: Option<OwnFlow>,
}

/// What all tasks of a worker share.
pub(crate) struct WorkerContext {
    pub(crate) worker: usize,
    pub(crate) peers: usize,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) flow: RefCell<FlowControl>,
    pub(crate) tally: Tally,
    pub(crate) reports: mpsc::UnboundedSender<(TaskId, usize, TaskReport)>,
    pub(crate) counters: Arc<WorkerCounters>,
    /// Whether nothing is emitted: all that is left is to commit and to end.
    pub(crate) concludes: bool,
    /// Whether a task of this worker has failed.
    pub(crate) failed: Cell<bool>,
    /// Whether records are copied to be told.
    pub(crate) telling: Telling,
}

impl WorkerContext {
    /// The time by which intervals are measured.
    pub(crate) fn now(&self) -> Monotonic {
        self.clock.monotonic()
    }

    pub(crate) fn report(&self, task: TaskId, report: TaskReport) {
        // Nobody listens any more when the attempt is being torn down.
        let _ = self.reports.send((task, self.worker, report));
    }

    pub(crate) fn fail(&self, task: TaskId, error: impl Into<TaskError>) {
        if !self.failed.replace(true) {
            self.report(task, TaskReport::Failed(error.into()));
        }
    }
}

/// Works on what snapshots have left to do, at the end of a slice that has begun then; tells whether
/// there may be more.
///
/// It takes as long again as the slice has: the stream goes on at half its rate, and a task without
/// records has nothing else to do anyway. To be slower at it saves nothing, since it costs more to
/// write to what is not packed yet than to pack it.
pub(crate) fn pack(chain: &mut Chain, begun: Monotonic, clock: &dyn Clock) -> UserResult<bool> {
    if !chain.pack_some()? {
        return Ok(false);
    }
    let now = clock.monotonic();
    let end = now + now.since(begun).max(SHORTEST_PACKING);
    while clock.monotonic() < end {
        if !chain.pack_some()? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Activates a task from any thread.
pub(crate) struct TaskWaker(pub(crate) SyncActivator);

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // An error says that the worker is gone, and then there is nobody to wake.
        let _ = self.0.activate();
    }
}

/// Measures a slice of work.
pub(crate) struct Slice {
    end: Monotonic,
}

impl Slice {
    pub(crate) fn begin(now: Monotonic) -> Self {
        Self { end: now + SLICE }
    }

    pub(crate) fn is_over(&self, now: Monotonic) -> bool {
        now >= self.end
    }
}

#[cfg(test)]
mod tests {
    use tidegate_snapshot::codec::CodecError;

    use super::*;

    #[test]
    fn what_can_not_be_written_or_read_is_not_tried_again() {
        let left_over = || CodecError::LeftOver { count: 1 };
        let kind = |error: BoxError| TaskError::from(error).kind;
        assert_eq!(kind(left_over().into()), ErrorKind::Invalid);
        let in_operator = TaskError::in_operator(&"it".into(), "map", left_over().into());
        assert_eq!((in_operator.kind, in_operator.uid), (ErrorKind::Invalid, Some("it".into())));
        assert_eq!(kind("no such plane".into()), ErrorKind::User);
    }
}
