//! Runs jobs on Timely Dataflow: exchange, flow control, operators' harness, attempts, snapshots.
//!
//! The only crate that names Timely.

mod api;
mod describe;
mod embedded;
mod exchange;
mod flow;
mod follow;
mod graph;
mod job;
mod lead;
mod master;
mod packet;
mod prepare;
mod process;
mod restore;
mod round;
mod seat;
mod task;
mod worker;

pub use api::{
    AttemptFailure, BuildPlan, CheckpointSummary, ClusterSpec, FailedCheckpoint, JobError,
    JobHandle, JobResult, JobSettings, JobSpec, JobStats, JobStatus,
};
pub use describe::{
    InputDescription, JobDescription, JobPlan, OperatorDescription, TaskDescription,
};
pub use job::{
    describe, dispose_savepoint, run, run_process, start, start_master, verify_snapshot,
};
pub use master::{AttemptFigures, AttemptStart, Attempts, CompletionLog, LogError, RunningAttempt};
pub use prepare::{RestorePoint, discard_unrecorded};
pub use seat::{CONFIGURATION_VARIABLE, DESCRIBE_VARIABLE, PROCESS_VARIABLE, ProcessSeat};
