//! What the coordinator and the processes of an attempt say to each other.
//!
//! One protocol from the first day: embedded it is called in process, in a cluster the same
//! messages come over the network.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidegate_snapshot::manifest::{FileEntry, SnapshotForm, StateDescription, SubtaskManifest};
use tidegate_types::{
    Barrier, CheckpointId, ErrorKind, MaxParallelism, OperatorUid, ProcessIndex, SubtaskIndex,
};

/// From the coordinator to every process of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// All subtasks of all processes have what they take over: records may flow.
    Begin,
    /// Take a snapshot.
    Trigger {
        /// Its id and what it is for.
        barrier: Barrier,
        /// The folder, as a path or URL, that its files go to.
        target: String,
        /// The form of its state files.
        form: SnapshotForm,
    },
    /// The checkpoint, or the final savepoint of a stop, is durable: commit.
    Completed {
        /// Its id.
        checkpoint: CheckpointId,
    },
    /// The savepoint is durable. It is its user's: nothing is committed for it.
    SavepointCompleted {
        /// Its id.
        checkpoint: CheckpointId,
    },
    /// The snapshot will never be complete: sources that hold still behind it go on.
    Aborted {
        /// Its id.
        checkpoint: CheckpointId,
    },
    /// All is done: tasks close.
    Finish,
    /// Stop at once.
    Cancel,
}

/// From a process of an attempt to the coordinator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Report {
    /// All its subtasks have what they take over, and wait for [`Command::Begin`].
    Restored {
        /// Who says so.
        process: ProcessIndex,
    },
    /// All its subtasks have snapshotted and its files are written.
    Acknowledged(ProcessAck),
    /// It can't take part in the snapshot.
    Declined {
        /// The snapshot.
        checkpoint: CheckpointId,
        /// Who says so.
        process: ProcessIndex,
        /// Why, in words.
        reason: String,
    },
    /// Every subtask there has consumed all of its input.
    InputsEnded {
        /// Who says so.
        process: ProcessIndex,
    },
    /// Some, maybe not all, subtasks there have consumed all of their input.
    SubtaskEnded {
        /// Who says so.
        process: ProcessIndex,
    },
    /// Its sinks have committed what belongs to the snapshot.
    Committed {
        /// The snapshot.
        checkpoint: CheckpointId,
        /// Who says so.
        process: ProcessIndex,
    },
    /// It has ended in order.
    Closed {
        /// Who says so.
        process: ProcessIndex,
    },
    /// It has failed, and with it the attempt.
    Failed {
        /// Who says so.
        process: ProcessIndex,
        /// What happened.
        failure: Failure,
    },
}

/// A process's part of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProcessAck {
    /// The snapshot.
    pub checkpoint: CheckpointId,
    /// Whose part it is.
    pub process: ProcessIndex,
    /// Its subtasks.
    pub operators: Vec<OperatorAck>,
    /// The files that it has written, by path relative to the snapshot.
    pub files: BTreeMap<String, FileEntry>,
}

/// A subtask's part of a snapshot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OperatorAck {
    /// The operator.
    pub uid: OperatorUid,
    /// What a person calls it.
    pub name: String,
    /// How many key groups it has.
    pub max_parallelism: MaxParallelism,
    /// How its keys are hashed, if its state is keyed.
    pub key_hash: Option<String>,
    /// The type of its keys, if its state is keyed.
    pub key_type: Option<String>,
    /// Its states.
    pub states: Vec<StateDescription>,
    /// Where its state lies.
    pub subtask: SubtaskManifest,
    /// What was measured.
    pub stats: SubtaskStats,
}

/// What was measured of a subtask's part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskStats {
    /// How long its worker was busy with it, in microseconds.
    pub sync_us: u64,
    /// From there until its bytes were written, in microseconds.
    pub async_us: u64,
    /// From the first to the last barrier, in microseconds.
    pub alignment_us: u64,
    /// Its size.
    pub bytes: u64,
}

/// Why an attempt has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What to do about it, and whether another attempt may help.
    pub kind: ErrorKind,
    /// The whole cause chain.
    pub message: String,
    /// The operator it happened in, if it was one.
    pub uid: Option<OperatorUid>,
    /// The subtask it happened in, if it was one.
    pub subtask: Option<SubtaskIndex>,
}
