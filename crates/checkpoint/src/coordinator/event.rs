//! What the coordinator is told, and what it wants done.

use std::time::Duration;

use tidegate_snapshot::manifest::SnapshotForm;
use tidegate_types::{AttemptId, Barrier, BarrierKind, CheckpointId};

use super::{CompletedSnapshot, Subsumed};
use crate::protocol::{Command, Failure, ProcessAck, Report};

/// Tells a request apart from others; chosen by the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Somebody wants a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotRequest {
    /// Whom to answer.
    pub id: RequestId,
    /// Which one.
    pub wish: Wish,
}

/// Which snapshot somebody wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// A checkpoint out of turn.
    Checkpoint,
    /// A savepoint, and what follows it.
    Savepoint {
        /// The folder for it, `None` for the configured one.
        target: Option<String>,
        /// The form of its state files.
        form: SnapshotForm,
        /// What the job does behind it.
        then: AfterSavepoint,
    },
}

impl Wish {
    /// What the barrier of such a snapshot is for.
    pub(super) fn barrier_kind(&self) -> BarrierKind {
        match self {
            Self::Checkpoint => BarrierKind::Checkpoint,
            Self::Savepoint { then: AfterSavepoint::GoOn, .. } => BarrierKind::Savepoint,
            Self::Savepoint { then: AfterSavepoint::Stop { drain }, .. } => {
                BarrierKind::StopWithSavepoint { drain: *drain }
            }
            Self::Savepoint { then: AfterSavepoint::Cancel, .. } => {
                BarrierKind::StopWithSavepoint { drain: false }
            }
        }
    }
}

/// What a job does once a savepoint is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterSavepoint {
    /// Goes on.
    GoOn,
    /// Commits what the savepoint holds, and finishes; with `drain`, as if all input had ended.
    Stop {
        /// Whether what waits for event times to pass is handed out first.
        drain: bool,
    },
    /// Commits what the savepoint holds, and counts as canceled.
    Cancel,
}

impl AfterSavepoint {
    /// How the job ends behind it, if it does.
    pub(super) fn end(self) -> Option<EndStatus> {
        match self {
            Self::GoOn => None,
            Self::Stop { .. } => Some(EndStatus::Finished),
            Self::Cancel => Some(EndStatus::Canceled),
        }
    }
}

/// What the coordinator is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// An attempt of this many processes runs.
    AttemptStarted {
        /// Its number.
        attempt: AttemptId,
        /// How many processes it has.
        processes: u32,
    },
    /// The attempt is over and none of its processes can write any more.
    AttemptEnded {
        /// Why, in words.
        reason: String,
    },
    /// Time has passed.
    Tick,
    /// Somebody wants a snapshot.
    Requested(SnapshotRequest),
    /// A process has something to say.
    Report {
        /// Which attempt it belongs to.
        attempt: AttemptId,
        /// What it says.
        report: Report,
    },
    /// The manifest is there.
    ManifestDurable {
        /// Of this snapshot.
        checkpoint: CheckpointId,
        /// Where it lies, as a path or URL.
        location: String,
    },
    /// The manifest could not be written.
    ManifestFailed {
        /// Of this snapshot.
        checkpoint: CheckpointId,
        /// Whether it may be there all the same.
        may_have_happened: bool,
        /// Why, in words.
        reason: String,
    },
    /// A manifest lies there that this run has not written: one that was taken over from has woken.
    ManifestTaken {
        /// Of the snapshot that was to be there.
        checkpoint: CheckpointId,
    },
    /// The job is to be ended by hand.
    CancelRequested,
    /// The job has come to its end and no attempt follows.
    JobEnded(EndStatus),
}

/// How a job has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndStatus {
    /// All input consumed, or stopped with a savepoint.
    Finished,
    /// By hand.
    Canceled,
    /// For now: it goes on later, from its last checkpoint.
    Suspended,
    /// For good, with a failure.
    Failed,
}

/// Where the files of a triggered snapshot go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Into the job's checkpoint folder.
    Checkpoint,
    /// Into the savepoint folder, or the one that is named.
    Savepoint {
        /// The folder that was asked for.
        target: Option<String>,
        /// The form of its state files.
        form: SnapshotForm,
    },
}

/// What has become of a snapshot, for those who watch.
#[derive(Clone, Debug, PartialEq)]
pub enum CheckpointOutcome {
    /// It is complete.
    Completed {
        /// What it is.
        snapshot: CompletedSnapshot,
        /// From its trigger to its completion.
        duration: Duration,
        /// The longest synchronous part of all subtasks.
        sync_max: Duration,
        /// The longest alignment of all subtasks.
        alignment_max: Duration,
    },
    /// It has failed.
    Failed {
        /// Its id.
        checkpoint: CheckpointId,
        /// What it was for.
        kind: BarrierKind,
        /// Why, in words.
        reason: String,
    },
}

/// What the coordinator wants done.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Choose the snapshot's folder and send [`Command::Trigger`] to every process.
    Trigger {
        /// Its id and what it is for.
        barrier: Barrier,
        /// Where it goes.
        trigger: Trigger,
        /// Who has asked for it, if anybody has.
        request: Option<RequestId>,
        /// How the job ends behind it, if it does.
        ends: Option<EndStatus>,
    },
    /// Send this to every process.
    Send(Command),
    /// Write the manifest, create-if-absent, and answer with [`Event::ManifestDurable`] or
    /// [`Event::ManifestFailed`].
    WriteManifest {
        /// Of this snapshot.
        checkpoint: CheckpointId,
        /// What it is for.
        kind: BarrierKind,
        /// The parts of all processes.
        acks: Vec<ProcessAck>,
    },
    /// Look whether the manifest is there, and answer as above.
    CheckManifest {
        /// Of this snapshot.
        checkpoint: CheckpointId,
    },
    /// Delete what was written for a snapshot that failed.
    Discard {
        /// Its id.
        checkpoint: CheckpointId,
    },
    /// Delete a completed snapshot that nobody needs any more.
    Delete(Subsumed),
    /// Answer a request: with a path, or the reason why not.
    Answer {
        /// The request.
        request: super::RequestId,
        /// The answer.
        result: Result<String, String>,
    },
    /// End the attempt; the restart strategy decides what follows.
    FailAttempt(Failure),
    /// End the attempt, through no fault of its own: the next one goes on from the restore point.
    RestartAttempt {
        /// Why, in words.
        reason: String,
    },
    /// Every process has closed: the job has ended, like this.
    AttemptClosed(EndStatus),
    /// Tell those who watch.
    Observe(CheckpointOutcome),
}
