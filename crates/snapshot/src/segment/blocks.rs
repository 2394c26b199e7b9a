//! Blocks of keyed state on their way into tables, one after the other.
//!
//! Who restores takes one at a time and lets go of it before the next: no more of a snapshot is in
//! memory than what is being decoded and the few that are fetched ahead.

use bytes::Bytes;
use tidegate_types::KeyGroup;

use super::{Block, index::BlockPlace};
use crate::SnapshotError;

/// A block by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedBlock {
    /// The key group.
    pub group: KeyGroup,
    /// The state's id.
    pub state: u16,
    /// How many entries it holds.
    pub entries: u64,
    /// The entries, one behind the other.
    pub bytes: Bytes,
}

impl OwnedBlock {
    /// The block that lies there, with its bytes.
    #[must_use]
    pub fn new(place: &BlockPlace, bytes: Bytes) -> Self {
        let BlockPlace { group, state, entries, .. } = *place;
        Self { group, state, entries, bytes }
    }

    /// As its readers see it.
    #[must_use]
    pub fn as_block(&self) -> Block<'_> {
        let Self { group, state, entries, bytes } = self;
        Block { group: *group, state: *state, entries: *entries, bytes }
    }
}

/// Blocks of keyed state that come one after the other, each checked.
pub trait BlockStream {
    /// The next one, once it is there: a thread may have to wait for it. `None` behind the last.
    ///
    /// # Errors
    ///
    /// When it can't be read, is damaged, or nobody wants it any more. Nothing follows an error.
    fn next_block(&mut self) -> Result<Option<OwnedBlock>, SnapshotError>;
}

/// Where blocks of keyed state come from.
pub trait BlockSource: Send + Sync {
    /// Begins to fetch them, in the order of their key groups within each segment.
    fn open(&self) -> Box<dyn BlockStream>;
}
