//! What a TaskManager tells the binary of a job that it starts: which process of which attempt it
//! is to be.

use std::fmt;

use serde::{Deserialize, Serialize};
use tidegate_types::{AttemptId, JobId, Parallelism, ProcessIndex};

/// Names a file: the binary is to write a [`crate::JobDescription`] there as JSON, and to end.
pub const DESCRIBE_VARIABLE: &str = "TIDEGATE_DESCRIBE";
/// Holds a [`ProcessSeat`] as JSON: the binary is to be that process.
pub const PROCESS_VARIABLE: &str = "TIDEGATE_PROCESS";
/// Holds options as a JSON object of texts; they win over everything else.
pub const CONFIGURATION_VARIABLE: &str = "TIDEGATE_CONFIGURATION";
/// Holds the id of the process that has started this one, and whose end it must not survive.
pub const PARENT_VARIABLE: &str = "TIDEGATE_PARENT";

/// A process of an attempt.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessSeat {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Tells the attempt apart from all others.
    pub token: u64,
    /// Which process it is.
    pub process: ProcessIndex,
    /// How many processes there are.
    pub processes: u32,
    /// How many workers each of them has.
    pub threads: u32,
    /// How many subtasks each operator has: as many as there are workers.
    pub parallelism: Parallelism,
    /// The URL of the JobManager's coordinator.
    pub coordinator: String,
    /// Without a sign of life from there, after how many milliseconds to ask for one.
    pub silence_ms: u64,
    /// How many milliseconds later it counts as lost.
    pub lost_ms: u64,
    /// What it shows to the coordinator, and the processes of the attempt know each other by; good
    /// for nothing else.
    pub secret: Option<String>,
    /// The host, as other processes reach it.
    pub host: String,
}

impl fmt::Debug for ProcessSeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { job, attempt, process, .. } = self;
        write!(f, "process {process} of attempt {attempt} of job {job}")
    }
}
