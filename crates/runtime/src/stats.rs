//! What is told about a job while it runs, and at its end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tidegate_checkpoint::protocol::SubtaskStats;
use tidegate_snapshot::manifest::SnapshotForm;
use tidegate_types::{
    AttemptId, BarrierKind, CheckpointId, ErrorKind, MaxParallelism, OperatorUid, Parallelism,
    SubtaskFigures, SubtaskIndex, SubtaskRates, Timestamp,
};

use crate::{
    api::{JobSettings, JobStatus},
    prepare::{Fork, Rewind},
};

/// Why an attempt failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptFailure {
    /// When.
    pub time: Timestamp,
    /// Which attempt.
    pub attempt: AttemptId,
    /// What to do about it.
    pub kind: ErrorKind,
    /// The whole cause chain.
    pub message: String,
    /// The operator it happened in, if it was one.
    pub uid: Option<OperatorUid>,
    /// The subtask it happened in, if it was one.
    pub subtask: Option<SubtaskIndex>,
    /// Where that was, if the job's processes are spread.
    pub location: Option<Location>,
}

/// Where a process of a job is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The TaskManager's id.
    pub task_manager: String,
    /// Its host.
    pub host: String,
}

/// A snapshot that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedCheckpoint {
    /// Its id.
    pub id: CheckpointId,
    /// What it was for.
    pub kind: BarrierKind,
    /// The form of its state files.
    pub form: SnapshotForm,
    /// When it was triggered.
    pub triggered_at: Timestamp,
    /// When it was given up.
    pub time: Timestamp,
    /// Why.
    pub reason: String,
}

/// What is told about a snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct CheckpointSummary {
    /// Its id.
    pub id: CheckpointId,
    /// What it was for.
    pub kind: BarrierKind,
    /// The form of its state files.
    pub form: SnapshotForm,
    /// When it was triggered.
    pub triggered_at: Timestamp,
    /// When it was complete.
    pub completed_at: Timestamp,
    /// From the trigger to its completion.
    pub duration: Duration,
    /// How many bytes of state it holds.
    pub bytes: u64,
    /// The longest synchronous part of all subtasks.
    pub sync_max: Duration,
    /// The longest alignment of all subtasks.
    pub alignment_max: Duration,
    /// Where it lies.
    pub path: String,
}

/// A snapshot that is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PendingCheckpoint {
    /// Its id.
    pub id: CheckpointId,
    /// What it is for.
    pub kind: BarrierKind,
    /// The form of its state files.
    pub form: SnapshotForm,
    /// When it was triggered.
    pub triggered_at: Timestamp,
    /// How many subtasks of tasks have handed out their part.
    pub subtasks: u32,
    /// How many bytes those parts have.
    pub bytes: u64,
}

/// What was measured of a subtask's part of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubtaskSnapshot {
    /// The operator.
    pub uid: OperatorUid,
    /// Which of its subtasks.
    pub subtask: SubtaskIndex,
    /// What was measured.
    pub stats: SubtaskStats,
}

/// What is told about a job while it runs, and at its end.
#[derive(Clone, Debug)]
pub struct JobStats {
    /// Its state.
    pub status: JobStatus,
    /// When it last came into each state that it has been in.
    pub status_since: BTreeMap<JobStatus, Timestamp>,
    /// The current attempt.
    pub attempt: AttemptId,
    /// How many subtasks each operator has in it.
    pub parallelism: Parallelism,
    /// How many key groups the job has.
    pub max_parallelism: MaxParallelism,
    /// How many attempts have failed and been followed by another.
    pub restarts: u64,
    /// How many attempts have given way to one of another parallelism.
    pub rescales: u64,
    /// Why attempts failed, oldest first; the latest sixteen.
    pub failures: Vec<AttemptFailure>,
    /// How many records its sources have emitted in this process and attempt.
    pub records: u64,
    /// How far its sources have come in this process: done and total, in a unit of the source's.
    pub progress: Option<(u64, u64)>,
    /// When this attempt was started.
    pub attempt_started: Timestamp,
    /// When the first record of this attempt and process had passed through all operators.
    pub first_record: Option<Timestamp>,
    /// The snapshot it has been restored from, if any.
    pub restored: Option<(CheckpointId, String)>,
    /// What this run writes again, since it was started behind what the job had committed.
    pub rewind: Option<Rewind>,
    /// Beside which other job this run began.
    pub fork: Option<Fork>,
    /// Where the snapshots lie that it holds: what it may go on from, and what it retains.
    pub held: Vec<String>,
    /// Every completed snapshot, oldest first; the latest thousand of them.
    pub completed: Vec<Arc<CheckpointSummary>>,
    /// The parts of the latest of them.
    pub parts: BTreeMap<CheckpointId, Arc<[SubtaskSnapshot]>>,
    /// How many snapshots have been completed.
    pub completed_count: u64,
    /// How many snapshots have failed.
    pub failed_count: u64,
    /// The snapshots that failed, oldest first; the latest ten of them.
    pub failed: Vec<FailedCheckpoint>,
    /// The snapshots that are under way, oldest first.
    pub pending: Vec<PendingCheckpoint>,
    /// What the subtasks of the current attempt have counted, by task and subtask.
    pub subtasks: Vec<SubtaskFigures>,
    /// What each of them does per second, of late.
    pub rates: Vec<SubtaskRates>,
    /// How many records its sources emit per second, of late.
    pub records_per_second: f64,
    /// The longest time that a record has been under way between source and sink.
    pub in_flight_max: Duration,
    /// How many messages about progress Timely has sent in the current attempt: nothing that flows needs
    /// any.
    pub progress_messages: u64,
}

/// The one place where a job's figures are kept.
#[derive(Clone)]
pub(crate) struct SharedStats(Arc<Mutex<JobStats>>);

impl SharedStats {
    pub(crate) fn new(now: Timestamp, settings: &JobSettings) -> Self {
        let parallelism = settings.parallelism;
        let default = || MaxParallelism::default_for(parallelism);
        let max_parallelism = settings.max_parallelism.unwrap_or_else(default);
        Self(Arc::new(Mutex::new(JobStats {
            status: JobStatus::Initializing,
            status_since: BTreeMap::from([(JobStatus::Initializing, now)]),
            attempt: AttemptId(0),
            parallelism,
            max_parallelism,
            restarts: 0,
            rescales: 0,
            failures: Vec::new(),
            records: 0,
            progress: None,
            attempt_started: now,
            first_record: None,
            restored: None,
            rewind: None,
            fork: None,
            held: Vec::new(),
            completed: Vec::new(),
            parts: BTreeMap::new(),
            completed_count: 0,
            failed_count: 0,
            failed: Vec::new(),
            pending: Vec::new(),
            subtasks: Vec::new(),
            rates: Vec::new(),
            records_per_second: 0.0,
            in_flight_max: Duration::ZERO,
            progress_messages: 0,
        })))
    }

    pub(crate) fn get(&self) -> JobStats {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_status(&self, status: JobStatus, now: Timestamp) {
        self.update(|stats| {
            stats.status = status;
            stats.status_since.insert(status, now);
        });
    }

    pub(crate) fn update(&self, change: impl FnOnce(&mut JobStats)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}
