//! Runs jobs on Timely Dataflow: exchange, flow control, operators' harness, attempts, snapshots.
//!
//! The only crate that names Timely.

mod api;
mod describe;
mod embedded;
mod exchange;
mod flow;
mod graph;
mod job;
mod link;
mod master;
mod packet;
mod prepare;
mod process;
mod restore;
mod round;
mod task;
mod worker;

pub use api::{
    AttemptFailure, BuildPlan, CheckpointSummary, ClusterSpec, FailedCheckpoint, JobError,
    JobHandle, JobResult, JobSettings, JobSpec, JobStats, JobStatus,
};
pub use describe::{
    InputDescription, JobDescription, JobPlan, OperatorDescription, TaskDescription,
};
pub use job::{run, start, start_master};
pub use master::{AttemptFigures, AttemptStart, Attempts, RunningAttempt};
pub use prepare::RestorePoint;
