//! Stateful stream jobs in Rust that survive whatever happens to them: checkpoints, savepoints,
//! exactly once, on Timely Dataflow.
//!
//! A job is a binary. Its `main` names the job and gives a closure that builds the dataflow:
//!
//! ```no_run
//! use tidegate::{files, prelude::*};
//!
//! fn main() -> std::process::ExitCode {
//!     Job::new("wordcount").run(|env| {
//!         env.source("lines", files::text("input/*.txt"))
//!             .flat_map(|line: String| Ok(line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()))
//!             .key_by(|word: &String| word.clone())
//!             .aggregate("count", Count)
//!             .sink("counts", files::json_lines_sink("output"));
//!         Ok(())
//!     })
//! }
//! ```
//!
//! | to … | look at |
//! |---|---|
//! | build a stream | [`Env`], [`Stream`], [`KeyedStream`] |
//! | keep state by key, with timers | [`KeyedProcess`], [`States`] |
//! | keep state by subtask | [`UnkeyedProcess`], [`OperatorStates`] |
//! | read and write | [`files`], [`generator`], [`sockets`], [`mod@print`], [`collect`] |
//! | write a source or a sink | [`Source`](tidegate_core::Source), [`Sink`](tidegate_core::Sink), [`TwoPhaseSink`](tidegate_core::TwoPhaseSink) |
//! | run a job, by hand or in a test | [`Job`], [`JobHandle`] |

mod aggregates;
mod cli;
mod env;
mod job;
mod keyed;
mod live;
pub mod operators;
mod role;
mod signals;
mod stream;

pub use aggregates::Count;
pub use env::Env;
pub use job::{Job, JobBuild};
pub use keyed::KeyedStream;
pub use operators::{
    process::{KeyedProcess, ProcessContext, States, Timer},
    timestamps::WatermarkStrategy,
    unkeyed::{OperatorStates, UnkeyedContext, UnkeyedProcess},
};
pub use stream::{IntoSink, Stream};
pub use tidegate_connectors::{collect, discard, files, generator, print, sockets};
pub use tidegate_core as connector;
pub use tidegate_runtime::{
    CheckpointSummary, ClusterSpec, JobError, JobHandle, JobResult, JobStats, JobStatus,
    SnapshotForm,
};
pub use tidegate_savepoint as savepoint;
pub use tidegate_state::{
    AggregateFunction, AggregatingState, AsJson, ListState, MapState, OperatorListState,
    Redistribution, ReducingState, StateTtl, TimeDomain, TtlUpdate, TtlVisibility, ValueState,
};
pub use tidegate_types::{
    BoxError, CheckpointId, Clock, ErrorKind, EventTime, JobId, MaxParallelism, OperatorUid,
    Parallelism, SubtaskIndex, Timestamp, options,
};

/// What user functions return: `?` works on every error, `Err("message".into())` too.
pub type Result<T> = std::result::Result<T, BoxError>;

/// Everything a job usually needs.
pub mod prelude {
    pub use crate::{
        AggregateFunction, AggregatingState, Count, Env, EventTime, Job, JobError, JobHandle,
        JobResult, KeyedProcess, KeyedStream, ListState, MapState, OperatorListState,
        OperatorStates, ProcessContext, Redistribution, ReducingState, StateTtl, States, Stream,
        Timer, UnkeyedContext, UnkeyedProcess, ValueState, WatermarkStrategy,
    };
    pub use tidegate_core::Data;
}

#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
