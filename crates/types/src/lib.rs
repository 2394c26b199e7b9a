//! The vocabulary of Tidegate: ids, event time, key groups, options, clock and randomness.
//!
//! Every other crate stands on this one, and it stands on nothing: no I/O, no Timely, no Tokio.
//!
//! | module | what it holds |
//! |---|---|
//! | [`ids`] | a newtype for every id and counter |
//! | [`time`] | event time, wall-clock and monotonic time, and the [`time::Clock`] that tells both |
//! | [`key_group`] | which key group a key belongs to, and which subtask owns a key group |
//! | [`random`] | random numbers, and the [`random::Random`] that gives them |
//! | [`barrier`] | the mark that a snapshot puts into a stream |
//! | [`options`] | configuration: Flink's keys, forms and defaults |
//! | [`figures`] | what is counted while a job runs |
//! | [`run`] | runs of a job, and whose leftovers an attempt may tidy up |
//! | [`error`] | the kinds of error, by what the user should do |

pub mod barrier;
pub mod error;
pub mod figures;
pub mod ids;
pub mod key_group;
pub mod options;
pub mod random;
pub mod run;
pub mod time;

pub use barrier::{Barrier, BarrierKind};
pub use error::{BoxError, ErrorKind, UserResult};
pub use figures::{Figures, SnapshotFigures, SubtaskFigures, SubtaskRates};
pub use ids::{
    AttemptId, CheckpointId, JobId, MaxParallelism, OperatorUid, Parallelism, ProcessIndex,
    SubtaskIndex,
};
pub use key_group::{KeyGroup, KeyGroupRange, KeyHash};
pub use random::{Random, SystemRandom};
pub use run::{RunToken, Superseded};
pub use time::{Clock, EventTime, Monotonic, Now, Timestamp};
