//! JobManager, TaskManagers and REST: many jobs on many machines.
//!
//! ```text
//!   client --REST--> [Dispatcher] --> [JobMaster] per job --> [ClusterAttempts]
//!                                                              |        |  commands, reports
//!                                                        [Resources]    v
//!   [TaskManager] per host --registration, heartbeats-------^      job process = the job's binary
//!        '--- starts, watches, ends ---------------------------------^
//! ```
//!
//! | module | what it holds |
//! |---|---|
//! | [`dispatcher`] | all jobs: submission, views, cancelling |
//! | `attempts` | an attempt over several processes |
//! | [`resources`] | who is there, what runs where, who may join |
//! | [`scheduler`] | how many subtasks an attempt gets |
//! | `slots` | who has which slots: pure |
//! | [`artifacts`] | job binaries by content hash |
//! | [`host`] | what JobManager and TaskManager have of their machines: handed in |
//! | [`disk`] | the disk among that |
//! | [`describe`] | asks a binary what it would run |
//! | `program` | starts a binary that has just been written |
//! | [`leader`] | who is JobManager |
//! | [`ha`] | what outlives a JobManager |
//! | [`triggers`] | what was asked for under a trigger id: pure |
//! | [`jobmanager`] | the servers, put together |
//! | [`rest`] | Flink's REST API |
//! | [`taskmanager`] | starts, watches and ends processes |
//!
//! # Not here
//!
//! What a checkpoint is: `tidegate-checkpoint`. How a job runs: `tidegate-runtime`.

#![cfg_attr(
    test,
    expect(clippy::disallowed_methods, reason = "tests have files and programs of their own")
)]

pub mod artifacts;
mod attempts;
pub mod describe;
pub mod disk;
pub mod dispatcher;
pub mod ha;
pub mod host;
pub mod jobmanager;
pub mod leader;
mod program;
pub mod resources;
pub mod rest;
pub mod scheduler;
mod slots;
pub mod taskmanager;
pub mod triggers;

pub use dispatcher::Dispatcher;
