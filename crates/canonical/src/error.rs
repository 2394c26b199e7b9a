//! What can go wrong.

use tidegate_snapshot::{SnapshotError, wire::WireError};

/// Why state can't be brought from one form into the other.
#[derive(Debug, thiserror::Error)]
pub enum CanonicalError {
    /// The bytes are not of the type that the snapshot says they are.
    #[error("the state is not what its description says: {problem}")]
    Malformed {
        /// What was found, and where.
        problem: String,
    },
    /// A Parquet file can't be written or read.
    #[error("the Parquet file can't be processed")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// A file can't be written.
    #[error("a file can't be written")]
    Write {
        /// Why not.
        source: std::io::Error,
    },
    /// A file has other columns than the state it is to hold.
    #[error("the table has the columns {found}, and {expected} are expected")]
    Columns {
        /// What the file has.
        found: String,
        /// What the state's type asks for.
        expected: String,
    },
    /// The snapshot itself is damaged.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
}

impl CanonicalError {
    pub(crate) fn malformed(problem: impl Into<String>) -> Self {
        Self::Malformed { problem: problem.into() }
    }
}

impl From<WireError> for CanonicalError {
    fn from(error: WireError) -> Self {
        Self::malformed(error.to_string())
    }
}
