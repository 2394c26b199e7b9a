//! A record of completed snapshots that decides who may complete them.

use futures::future::BoxFuture;
use tidegate_types::CheckpointId;

/// Where the master of a job records each snapshot before it counts as complete, so that of two
/// masters that both believe a job to be theirs only one can complete anything.
pub trait CompletionLog: Send + Sync + 'static {
    /// Records a snapshot whose `_metadata` is written. Doing so twice is harmless.
    fn record(
        &self,
        checkpoint: CheckpointId,
        location: String,
    ) -> BoxFuture<'static, Result<(), LogError>>;
}

/// Why a snapshot was not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// Another master has taken the job over.
    #[error("another JobManager has taken this job over: {0}")]
    Fenced(String),
    /// The store does not answer; it may have happened.
    #[error("the record of completed snapshots can't be written: {0}")]
    Unavailable(String),
}
