//! Reads a keyed segment that is in memory.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tidegate_types::{KeyGroup, KeyGroupRange};

use super::{
    blocks::{BlockSource, BlockStream, OwnedBlock},
    corrupt,
    index::{BlockPlace, SegmentIndex, version_of},
};
use crate::SnapshotError;

/// One state of one key group, or a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The key group.
    pub group: KeyGroup,
    /// The state's id.
    pub state: u16,
    /// How many entries it holds.
    pub entries: u64,
    /// The entries, one behind the other.
    pub bytes: &'a [u8],
}

/// Reads a keyed segment whose bytes have been checked as a whole; its index is checked when it is
/// opened. Cheap to clone.
#[derive(Clone, Debug)]
pub struct KeyedSegmentReader {
    bytes: Bytes,
    index: Arc<SegmentIndex>,
}

impl KeyedSegmentReader {
    /// Opens a segment.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Version`] when it is of another version, [`SnapshotError::Corrupt`] when the
    /// bytes are not a keyed segment.
    pub fn open(bytes: Bytes) -> Result<Self, SnapshotError> {
        let begins = bytes.first_chunk().is_some_and(|magic| version_of(magic).is_some());
        if !begins {
            return Err(corrupt("it does not begin as a keyed segment does"));
        }
        let index = SegmentIndex::read(&bytes, bytes.len() as u64)?;
        Ok(Self { bytes, index: Arc::new(index) })
    }

    /// The key groups it was written for.
    #[must_use]
    pub fn groups(&self) -> KeyGroupRange {
        self.index.groups()
    }

    /// Where its blocks lie.
    #[must_use]
    pub fn index(&self) -> &SegmentIndex {
        &self.index
    }

    /// The blocks of the key groups in `range`, in order.
    pub fn blocks_in(&self, range: KeyGroupRange) -> impl Iterator<Item = Block<'_>> {
        self.index.blocks_in(range).iter().map(|place| Block {
            group: place.group,
            state: place.state,
            entries: place.entries,
            bytes: &self.bytes[within(place)],
        })
    }

    /// A block of it.
    #[must_use]
    pub fn block(&self, place: &BlockPlace) -> OwnedBlock {
        OwnedBlock::new(place, self.bytes.slice(within(place)))
    }

    /// The blocks of some key groups, for a restore.
    #[must_use]
    pub fn into_source(self, groups: KeyGroupRange) -> SegmentSource {
        SegmentSource { segment: self, groups }
    }
}

fn within(place: &BlockPlace) -> Range<usize> {
    place.offset as usize..place.end() as usize
}

/// Some key groups of a segment that is in memory.
#[derive(Clone, Debug)]
pub struct SegmentSource {
    segment: KeyedSegmentReader,
    groups: KeyGroupRange,
}

impl BlockSource for SegmentSource {
    fn open(&self) -> Box<dyn BlockStream> {
        let places = self.segment.index.blocks_in(self.groups).to_vec().into_iter();
        Box::new(SegmentStream { segment: self.segment.clone(), places })
    }
}

struct SegmentStream {
    segment: KeyedSegmentReader,
    places: std::vec::IntoIter<BlockPlace>,
}

impl BlockStream for SegmentStream {
    fn next_block(&mut self) -> Result<Option<OwnedBlock>, SnapshotError> {
        Ok(self.places.next().map(|place| self.segment.block(&place)))
    }
}
