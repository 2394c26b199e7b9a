//! Flink's states of jobs and of subtasks.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use tidegate_runtime::JobStatus;

use crate::dispatcher::JobView;

/// A state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum JobState {
    Initializing,
    Created,
    Running,
    Failing,
    Failed,
    Cancelling,
    Canceled,
    Finished,
    Restarting,
    Suspended,
    Reconciling,
}

impl JobState {
    pub(super) const ALL: [Self; 11] = [
        Self::Initializing,
        Self::Created,
        Self::Running,
        Self::Failing,
        Self::Failed,
        Self::Cancelling,
        Self::Canceled,
        Self::Finished,
        Self::Restarting,
        Self::Suspended,
        Self::Reconciling,
    ];

    /// Its name, as in Flink.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Initializing => "INITIALIZING",
            Self::Created => "CREATED",
            Self::Running => "RUNNING",
            Self::Failing => "FAILING",
            Self::Failed => "FAILED",
            Self::Cancelling => "CANCELLING",
            Self::Canceled => "CANCELED",
            Self::Finished => "FINISHED",
            Self::Restarting => "RESTARTING",
            Self::Suspended => "SUSPENDED",
            Self::Reconciling => "RECONCILING",
        }
    }
}

impl From<JobStatus> for JobState {
    fn from(status: JobStatus) -> Self {
        match status {
            JobStatus::Initializing => Self::Initializing,
            JobStatus::Running => Self::Running,
            JobStatus::Restarting => Self::Restarting,
            JobStatus::Cancelling => Self::Cancelling,
            JobStatus::Canceled => Self::Canceled,
            JobStatus::Failed => Self::Failed,
            JobStatus::Finished => Self::Finished,
            JobStatus::Suspended => Self::Suspended,
        }
    }
}

/// A state of a subtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum TaskState {
    Created,
    Scheduled,
    Deploying,
    Initializing,
    Running,
    Finished,
    Canceling,
    Canceled,
    Failed,
    Reconciling,
}

impl TaskState {
    const ALL: [Self; 10] = [
        Self::Created,
        Self::Scheduled,
        Self::Deploying,
        Self::Initializing,
        Self::Running,
        Self::Finished,
        Self::Canceling,
        Self::Canceled,
        Self::Failed,
        Self::Reconciling,
    ];

    /// The state that all subtasks of a job are in.
    pub(super) fn of(view: &JobView) -> Self {
        match view.status {
            JobStatus::Initializing | JobStatus::Restarting if view.places.is_empty() => {
                Self::Scheduled
            }
            JobStatus::Initializing | JobStatus::Restarting => Self::Initializing,
            JobStatus::Running => Self::Running,
            JobStatus::Cancelling => Self::Canceling,
            JobStatus::Canceled | JobStatus::Suspended => Self::Canceled,
            JobStatus::Failed => Self::Failed,
            JobStatus::Finished => Self::Finished,
        }
    }

    /// How many subtasks are in each state, when all are in this one.
    pub(super) fn counts(self, count: u64) -> BTreeMap<Self, u64> {
        Self::ALL.iter().map(|state| (*state, if *state == self { count } else { 0 })).collect()
    }
}

/// How many subtasks there are, and how many in each state.
#[derive(Serialize, JsonSchema)]
pub(super) struct TaskCounts {
    pub(super) total: u64,
    created: u64,
    scheduled: u64,
    deploying: u64,
    initializing: u64,
    running: u64,
    finished: u64,
    canceling: u64,
    canceled: u64,
    failed: u64,
    reconciling: u64,
}

impl TaskCounts {
    /// Of `total` subtasks that are all in one state.
    pub(super) fn all(state: TaskState, total: u64) -> Self {
        let counts = state.counts(total);
        let of = |state| counts.get(&state).copied().unwrap_or_default();
        Self {
            total,
            created: of(TaskState::Created),
            scheduled: of(TaskState::Scheduled),
            deploying: of(TaskState::Deploying),
            initializing: of(TaskState::Initializing),
            running: of(TaskState::Running),
            finished: of(TaskState::Finished),
            canceling: of(TaskState::Canceling),
            canceled: of(TaskState::Canceled),
            failed: of(TaskState::Failed),
            reconciling: of(TaskState::Reconciling),
        }
    }
}
