//! What can be wrong with a snapshot, and what can happen to a write.

use tidegate_storage::StoreError;
use tidegate_types::{CheckpointId, ErrorKind, KeyGroup};

use crate::codec::CodecError;

/// What is wrong with a snapshot. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// There is no such folder.
    #[error("cannot find checkpoint or savepoint file/directory '{path}'")]
    NoSuchFolder {
        /// What was asked for.
        path: String,
    },
    /// The folder is no snapshot.
    #[error(
        "cannot find meta data file '_metadata' in directory '{path}': it is no snapshot, or one \
         that was never completed"
    )]
    NoMetadata {
        /// The folder.
        path: String,
    },
    /// The folder is no snapshot, and holds some.
    #[error("'{path}' is no snapshot, but holds some; name one of them: {found}")]
    Holds {
        /// The folder.
        path: String,
        /// The newest snapshot of each job in it.
        found: String,
    },
    /// A file that `_metadata` names is not there.
    #[error("the snapshot's file '{path}' is missing")]
    Missing {
        /// The file.
        path: String,
    },
    /// A file is shorter or longer than it was.
    #[error("the snapshot's file '{path}' has {found} bytes, and {expected} were written")]
    Length {
        /// The file.
        path: String,
        /// As `_metadata` says.
        expected: u64,
        /// As it is.
        found: u64,
    },
    /// A file holds other bytes than were written.
    #[error(
        "the snapshot's file '{path}' has been altered: its checksum is {found:08x}, and \
         {expected:08x} was written"
    )]
    Checksum {
        /// The file, and which part of it.
        path: String,
        /// As `_metadata` says.
        expected: u32,
        /// As it is.
        found: u32,
    },
    /// `_metadata`, or a segment, was written by another version.
    #[error("'{path}' has format version {found}, and this version of Tidegate reads {known}")]
    Version {
        /// The file.
        path: String,
        /// What it says.
        found: u64,
        /// The latest that is read.
        known: u64,
    },
    /// A block of keyed state holds other bytes than were written.
    #[error(
        "the snapshot's file '{path}' has been altered in the block of the state `{state}` in key \
         group {group}, {length} bytes at {offset}: its checksum is {found:08x}, and {expected:08x} \
         was written"
    )]
    Block {
        /// The file.
        path: String,
        /// The state's name, or its number if the snapshot does not name it.
        state: String,
        /// The key group.
        group: KeyGroup,
        /// Where the block begins in the file.
        offset: u64,
        /// How long it is.
        length: u64,
        /// As the segment's index says.
        expected: u32,
        /// As it is.
        found: u32,
    },
    /// A file is not what it should be.
    #[error("'{path}' is damaged: {problem}")]
    Corrupt {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// It is another snapshot than was meant.
    #[error("checkpoint {found} lies at '{path}', not checkpoint {expected}")]
    Another {
        /// The folder.
        path: String,
        /// Which was meant.
        expected: CheckpointId,
        /// Which lies there.
        found: CheckpointId,
    },
    /// A value can't be read or written.
    #[error("a value can't be read or written")]
    Codec(#[from] CodecError),
    /// Nobody waits for it any more, or whoever was to read it is gone.
    #[error("reading the snapshot was given up")]
    GivenUp,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SnapshotError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoSuchFolder { .. }
            | Self::NoMetadata { .. }
            | Self::Holds { .. }
            | Self::Another { .. } => ErrorKind::Invalid,
            Self::Version { .. } => ErrorKind::Incompatible,
            Self::Missing { .. }
            | Self::Length { .. }
            | Self::Checksum { .. }
            | Self::Corrupt { .. }
            | Self::Block { .. }
            | Self::Codec(_) => ErrorKind::Corrupt,
            Self::GivenUp => ErrorKind::Unavailable,
            Self::Store(error) => error.kind(),
        }
    }
}

/// What can happen to the write of `_metadata`, on which all depends.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// There is one already, of somebody else.
    #[error("'{path}' exists already: another process writes snapshots of this job")]
    Exists {
        /// The file.
        path: String,
    },
    /// It was not written, since the snapshot could not be restored from here.
    #[error("'{path}' was not written: not every file that it names is there")]
    NotWhole {
        /// The file.
        path: String,
        /// What is missing.
        #[source]
        source: Box<SnapshotError>,
    },
    /// It is not there.
    #[error("'{path}' was not written")]
    DidNotHappen {
        /// The file.
        path: String,
        /// Why not.
        #[source]
        source: object_store::Error,
    },
    /// Nobody knows whether it is there.
    #[error("'{path}' may or may not have been written")]
    MayHaveHappened {
        /// The file.
        path: String,
        /// What came instead of an answer.
        #[source]
        source: object_store::Error,
    },
}

impl CommitError {
    /// Whether the snapshot may exist all the same.
    #[must_use]
    pub fn may_have_happened(&self) -> bool {
        matches!(self, Self::MayHaveHappened { .. })
    }
}
