//! Runs jobs on Timely Dataflow: exchange, flow control, operators' harness, attempts, snapshots.
//!
//! The only crate that names Timely.

mod api;
mod driver;
mod exchange;
mod flow;
mod graph;
mod job;
mod link;
mod packet;
mod prepare;
mod process;
mod restore;
mod round;
mod task;
mod worker;

pub use api::{
    BuildPlan, CheckpointSummary, ClusterSpec, JobError, JobHandle, JobResult, JobSpec, JobStats,
    JobStatus,
};
pub use job::{run, start};
