//! What can be wrong with state.

use tidegate_snapshot::{SnapshotError, codec::CodecError};
use tidegate_types::{BoxError, ErrorKind, KeyGroup};

use crate::UnfitType;

/// What can be wrong with state: with how it is declared, or with a snapshot of it.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Two states of one operator have the same name.
    #[error("the state `{name}` is declared twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// An operator has more states than a snapshot can number.
    #[error("the state `{name}` is one too many: an operator can have {limit} states")]
    TooMany {
        /// The state that found no number.
        name: String,
        /// The highest count.
        limit: usize,
    },
    /// A state would expire at once.
    #[error("the state `{name}` has a TTL of less than a millisecond")]
    ZeroTtl {
        /// The name.
        name: String,
    },
    /// A state has no name.
    #[error("a state has an empty name: name it, so that it can be found again")]
    EmptyName,
    /// Values of a state could be written and not read back.
    #[error(
        "the state `{state}` can't be kept: {source}; or keep it in another form, as JSON \
         (`value_as_json`, `list_as_json`, `map_as_json`, or `AsJson` around a part of it)"
    )]
    Unfit {
        /// The state's name.
        state: String,
        /// What is wrong with its type.
        source: UnfitType,
    },
    /// The keys are of a type that is none for keys.
    #[error("the operator's state can't be kept by such keys: {source}")]
    UnfitKey {
        /// What is wrong with it.
        source: UnfitType,
    },
    /// The snapshot's keys are of another type than the program's.
    #[error("the snapshot's keys are of type `{stored}`, and the program's of type `{declared}`")]
    KeyType {
        /// The type in the snapshot.
        stored: String,
        /// The type in the program.
        declared: String,
        /// Where they don't fit, when the descriptions tell.
        source: Option<BoxError>,
    },
    /// A state in the snapshot is of another type than the program declares, or its values can't
    /// be read as that type.
    #[error("the state `{state}` is {stored} in the snapshot, and {declared} in the program")]
    Incompatible {
        /// The state's name.
        state: String,
        /// What the snapshot says.
        stored: String,
        /// What the program says.
        declared: String,
        /// Where they don't fit, or why a value could not be read.
        source: Option<BoxError>,
    },
    /// A block of the snapshot does not hold what it says.
    #[error("the state `{state}` is damaged in key group {group} of the snapshot: {problem}")]
    Corrupt {
        /// The state's name, or its number if the snapshot does not name it.
        state: String,
        /// The key group.
        group: KeyGroup,
        /// What is wrong.
        problem: String,
    },
    /// The snapshot can't be read.
    #[error(transparent)]
    Read(#[from] SnapshotError),
    /// A value's own `Serialize` reports an error.
    #[error("a value of the state `{state}` can't be written")]
    Encode {
        /// The state's name.
        state: String,
        /// What it reports.
        source: CodecError,
    },
    /// The operator ended first.
    #[error("the operator ended before the state `{state}` was encoded")]
    Abandoned {
        /// The state's name.
        state: String,
    },
    /// The snapshot does not take a state.
    #[error("the state `{state}` can't be written into the snapshot")]
    Write {
        /// The state's name.
        state: String,
        /// Why not.
        source: BoxError,
    },
}

impl StateError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Duplicate { .. }
            | Self::TooMany { .. }
            | Self::ZeroTtl { .. }
            | Self::EmptyName
            | Self::Unfit { .. }
            | Self::UnfitKey { .. }
            | Self::Encode { .. } => ErrorKind::Invalid,
            Self::KeyType { .. } | Self::Incompatible { .. } => ErrorKind::Incompatible,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Read(error) => error.kind(),
            Self::Abandoned { .. } | Self::Write { .. } => ErrorKind::Unavailable,
        }
    }
}
