//! What the outside sees of a cluster: copies, as of now.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};
use tidegate_runtime::{JobDescription, JobError, JobStats, JobStatus, Location};
use tidegate_types::{
    JobId, MaxParallelism, Timestamp,
    options::{JobOptions, OptionValues},
};

use crate::scheduler::Requirements;

/// A job as of now.
#[derive(Clone, Debug)]
pub struct JobView {
    /// What its snapshots are found by.
    pub id: JobId,
    /// What a person calls it.
    pub name: String,
    /// Its state.
    pub status: JobStatus,
    /// When it was submitted.
    pub started: Timestamp,
    /// When it ended, if it has.
    pub ended: Option<Timestamp>,
    /// How many key groups, if that is given.
    pub max_parallelism: Option<MaxParallelism>,
    /// The job without its code.
    pub description: Arc<JobDescription>,
    /// Its options.
    pub options: Arc<JobOptions>,
    /// What its master tells.
    pub stats: JobStats,
    /// Why it failed for good, if it has.
    pub error: Option<JobError>,
    /// Where its subtasks run, in order; none while it waits for slots.
    pub places: Vec<ProcessPlace>,
    /// How many slots are missing, while it waits for some.
    pub missing_slots: u32,
    /// How many subtasks of each operator it may have.
    pub requirements: Requirements,
}

impl JobView {
    /// When its state last changed.
    #[must_use]
    pub fn last_modified(&self) -> Timestamp {
        self.stats.status_since.values().copied().max().unwrap_or(self.started)
    }
}

/// A process of a job's current attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessPlace {
    /// The first subtask of each operator that runs there.
    pub first_subtask: u32,
    /// How many.
    pub subtasks: u32,
    /// The TaskManager.
    pub task_manager: TaskManagerId,
    /// Where that is.
    pub host: String,
}

impl ProcessPlace {
    pub(crate) fn location(&self) -> Location {
        Location { task_manager: self.task_manager.0.clone(), host: self.host.clone() }
    }
}

impl fmt::Display for ProcessPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " (TaskManager {} on {})", self.task_manager.0, self.host)
    }
}

/// A TaskManager's name for itself: it keeps it when it comes back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskManagerId(pub String);

/// A TaskManager as of now.
#[derive(Clone, Debug)]
pub struct TaskManagerView {
    /// Its name.
    pub id: TaskManagerId,
    /// Where it is.
    pub host: String,
    /// How many subtasks it takes.
    pub slots: u32,
    /// How many more it takes now.
    pub free_slots: u32,
    /// When it was last heard of.
    pub last_heartbeat: Timestamp,
    /// How many processors it has.
    pub cpu_cores: u32,
    /// How much memory it has.
    pub memory_bytes: u64,
    /// The jobs with a process there, and how many of its slots each takes.
    pub jobs: BTreeMap<JobId, u32>,
}

/// A job to be submitted.
#[derive(Clone, Debug, Default)]
pub struct Submission {
    /// The content hash of its binary.
    pub artifact: String,
    /// Its own arguments.
    pub arguments: Vec<String>,
    /// Options that win over those of the program.
    pub configuration: OptionValues,
    /// Its id; by default a new one.
    pub job_id: Option<JobId>,
}

/// How a request to cancel was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cancellation {
    /// It is being cancelled, or is so already.
    Accepted,
    /// There is no such job.
    Unknown,
    /// It has ended in another way.
    Ended(JobStatus),
}
