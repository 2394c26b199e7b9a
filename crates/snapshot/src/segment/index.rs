//! The index of a keyed segment: where each block lies and what it holds.

use serde::{Deserialize, Serialize};
use tidegate_types::{KeyGroup, KeyGroupRange};

use super::{KEYED_MAGIC, corrupt};
use crate::{SnapshotError, codec};

pub(super) const FOOTER: usize = 4 + 4 + 8 + 8 + 8;

/// Where a block lies and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct IndexEntry {
    pub(super) group: u32,
    pub(super) state: u16,
    pub(super) entries: u64,
    pub(super) offset: u64,
    pub(super) length: u64,
}
pub(super) fn read_index(mut bytes: &[u8]) -> Result<Vec<IndexEntry>, SnapshotError> {
    let mut index = Vec::new();
    while !bytes.is_empty() {
        index.push(codec::decode(&mut bytes).map_err(|_| corrupt("its index can't be read"))?);
    }
    Ok(index)
}

pub(super) fn check_index(
    index: &[IndexEntry],
    groups: KeyGroupRange,
    end: u64,
) -> Result<(), SnapshotError> {
    let in_bounds = |entry: &IndexEntry| {
        groups.contains(KeyGroup(entry.group))
            && entry.offset >= KEYED_MAGIC.len() as u64
            && entry.offset.checked_add(entry.length).is_some_and(|block_end| block_end <= end)
    };
    if !index.iter().all(in_bounds) || !index.is_sorted_by_key(|entry| entry.group) {
        return Err(corrupt("its index points out of bounds"));
    }
    // An entry takes at least a byte, but for the single one whose key and value take none.
    if index.iter().any(|entry| entry.entries > entry.length.max(1)) {
        return Err(corrupt("a block in its index can't hold as many entries as that says"));
    }
    let overlap = |pair: &[IndexEntry]| pair[0].offset + pair[0].length > pair[1].offset;
    if index.windows(2).any(overlap) {
        return Err(corrupt("blocks in its index overlap"));
    }
    Ok(())
}
