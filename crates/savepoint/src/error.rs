//! What can go wrong.

use tidegate_canonical::CanonicalError;
use tidegate_snapshot::{CommitError, SnapshotError, codec::CodecError};
use tidegate_state::StateError;
use tidegate_storage::StoreError;

/// Why a savepoint can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is damaged, or not there.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The store does not answer, or the address is none.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It can't be completed.
    #[error(transparent)]
    Commit(#[from] CommitError),
    /// Its tables can't be read or written.
    #[error(transparent)]
    Tables(#[from] CanonicalError),
    /// A state is of another type than the program's.
    #[error(transparent)]
    Type(#[from] StateError),
    /// A value can't be read or written.
    #[error("a value of the state `{state}` of operator `{uid}`")]
    Value {
        /// The operator.
        uid: String,
        /// The state.
        state: String,
        /// What is wrong with it.
        source: CodecError,
    },
    /// There is no such operator, or no such state.
    #[error("the savepoint has no {0}")]
    Missing(String),
    /// There is one already.
    #[error("there is {0} already")]
    Taken(String),
    /// Waiting is not possible here.
    #[error("no runtime to read and write with")]
    Runtime(#[source] std::io::Error),
}

impl Error {
    pub(crate) fn no_operator(uid: &str) -> Self {
        Self::Missing(format!("operator `{uid}`"))
    }
}
