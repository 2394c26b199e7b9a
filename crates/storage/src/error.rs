//! What can happen to an operation on a store.

use tidegate_types::ErrorKind;

/// What can happen to an operation on the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address is not one.
    #[error("`{url}` is not an address of a store: {problem}")]
    Address {
        /// What was given.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It failed.
    #[error("cannot {operation} '{path}'")]
    Failed {
        /// What was to be done.
        operation: &'static str,
        /// With which file.
        path: String,
        /// Why not.
        #[source]
        source: object_store::Error,
    },
}

impl StoreError {
    /// What `operation` on `path` has come to.
    pub fn failed(
        operation: &'static str,
        path: impl ToString,
        source: object_store::Error,
    ) -> Self {
        Self::Failed { operation, path: path.to_string(), source }
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Address { .. } => ErrorKind::Invalid,
            Self::Failed { .. } => ErrorKind::Unavailable,
        }
    }
}
