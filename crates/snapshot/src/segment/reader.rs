//! Reads a keyed segment that is in memory.

use bytes::Bytes;
use tidegate_types::{KeyGroup, KeyGroupRange};

use super::{
    KEYED_MAGIC, corrupt,
    index::{FOOTER, IndexEntry, check_index, read_index},
    strip_magic,
};
use crate::SnapshotError;

/// One state of one key group.
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

/// Reads a keyed segment; everything is checked when it is opened.
#[derive(Clone, Debug)]
pub struct KeyedSegmentReader {
    bytes: Bytes,
    groups: KeyGroupRange,
    index: Vec<IndexEntry>,
}

impl KeyedSegmentReader {
    /// Opens a segment.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Version`] when it is of another version, [`SnapshotError::Corrupt`] when the
    /// bytes are not a keyed segment.
    pub fn open(bytes: Bytes) -> Result<Self, SnapshotError> {
        let whole = bytes.len();
        strip_magic(&bytes, KEYED_MAGIC)?;
        if whole < KEYED_MAGIC.len() + FOOTER || !bytes.ends_with(KEYED_MAGIC) {
            return Err(corrupt("it does not end as a keyed segment does"));
        }
        let footer = &bytes[whole - FOOTER..];
        let half = |at: usize| u32::from_le_bytes(footer[at..at + 4].try_into().expect("4 bytes"));
        let word = |at: usize| u64::from_le_bytes(footer[at..at + 8].try_into().expect("8 bytes"));
        let groups = KeyGroupRange { start: half(0), end: half(4) };
        let (offset, length) = (word(8), word(16));
        if offset.checked_add(length) != Some((whole - FOOTER) as u64) {
            return Err(corrupt("its index does not lie where it should"));
        }
        let index = read_index(&bytes[offset as usize..whole - FOOTER])?;
        check_index(&index, groups, offset)?;
        Ok(Self { bytes, groups, index })
    }

    /// The key groups it was written for.
    #[must_use]
    pub fn groups(&self) -> KeyGroupRange {
        self.groups
    }

    /// The blocks of the key groups in `range`, in order.
    pub fn blocks_in(&self, range: KeyGroupRange) -> impl Iterator<Item = Block<'_>> {
        let from = self.index.partition_point(|entry| entry.group < range.start);
        let to = self.index.partition_point(|entry| entry.group < range.end).max(from);
        self.index[from..to].iter().map(|entry| Block {
            group: KeyGroup(entry.group),
            state: entry.state,
            entries: entry.entries,
            bytes: &self.bytes[entry.offset as usize..(entry.offset + entry.length) as usize],
        })
    }
}
