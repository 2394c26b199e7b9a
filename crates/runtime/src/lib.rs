//! Runs jobs on Timely Dataflow: exchange, flow control, operators' harness, attempts, snapshots.
//!
//! The only crate that names Timely.

#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "tests wait, and look how long that takes")
)]

mod api;
mod describe;
mod dry_run;
mod embedded;
mod exchange;
mod fit;
mod flow;
mod follow;
mod graph;
mod held_up;
pub mod host;
mod in_flight;
mod job;
mod lead;
mod master;
mod packet;
mod prepare;
mod process;
mod reckoning;
mod restore;
mod seat;
mod secret;
mod stats;
mod task;
mod tenure;
mod ticket;
mod worker;

pub use api::{
    BuildPlan, ClusterSpec, JobError, JobHandle, JobResult, JobSettings, JobSpec, JobStatus,
};
pub use describe::{
    InputDescription, JobDescription, JobPlan, OperatorDescription, TaskDescription,
};
pub use dry_run::{DryRun, StateOutcome, dry_run};
pub use held_up::{HeldUp, hold_up};
pub use host::{Host, Network, Threads, Turn, Turns, Urgency};
pub use job::{
    Behind, Disposed, HeldSnapshot, describe, dispose_savepoint, recover_master, run, run_process,
    run_process_here, start, start_here, start_location, start_master, start_on,
};
pub use master::{AttemptStart, Attempts, RunningAttempt};
pub use prepare::{Fork, RestorePoint, Rewind};
pub use seat::{
    CONFIGURATION_VARIABLE, DESCRIBE_VARIABLE, PARENT_VARIABLE, PROCESS_VARIABLE, ProcessSeat,
};
pub use secret::secret_of_processes;
pub use stats::{
    AttemptFailure, CheckpointSummary, FailedCheckpoint, JobStats, Location, PendingCheckpoint,
    SubtaskSnapshot,
};
pub use tenure::{Runner, note_disposal, running};
pub use ticket::{RecoveredJob, Ticket, sweep_unfinished};
pub use tidegate_checkpoint::coordinator::{AfterSavepoint, Wish};
pub use tidegate_snapshot::manifest::SnapshotForm;
