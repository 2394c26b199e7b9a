//! The index of a keyed segment: where each block lies and what it holds.
//!
//! It is read from the segment's end: the footer says where it begins. Of version 2 both have a
//! checksum of their own, and each block has one in the index, so that who reads parts of a segment
//! knows that they are what was written. Version 1 has none of these; whoever reads it has to check
//! the segment as a whole.

use std::ops::Range;

use tidegate_types::{KeyGroup, KeyGroupRange};

use super::{KEYED_NAME, KEYED_VERSION, corrupt};
use crate::{SnapshotError, codec};

/// The magic, with which a segment begins and ends.
const MAGIC: usize = 8;
/// First group, last group + 1, index offset, index length: what the index's checksum covers too.
const PLACE: usize = 4 + 4 + 8 + 8;
/// The longest footer of all versions, in bytes.
pub const FOOTER: usize = PLACE + 4 + MAGIC;

/// Where a block lies and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockPlace {
    /// The key group.
    pub group: KeyGroup,
    /// The state's id.
    pub state: u16,
    /// How many entries it holds.
    pub entries: u64,
    /// Where it begins in the segment.
    pub offset: u64,
    /// In bytes.
    pub length: u64,
    /// Its checksum; version 1 has none.
    pub crc32c: Option<u32>,
}

/// As it is encoded in version 1: group, state, entries, offset, length.
type Entry1 = (u32, u16, u64, u64, u64);
/// The same and the block's checksum, in version 2.
type Entry2 = (u32, u16, u64, u64, u64, u32);

impl BlockPlace {
    /// Where it ends in the segment.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }

    fn decode(bytes: &mut &[u8], has_checksums: bool) -> Result<Self, codec::CodecError> {
        let ((group, state, entries, offset, length), crc32c) = if has_checksums {
            let (group, state, entries, offset, length, crc32c) = codec::decode::<Entry2>(bytes)?;
            ((group, state, entries, offset, length), Some(crc32c))
        } else {
            (codec::decode::<Entry1>(bytes)?, None)
        };
        Ok(Self { group: KeyGroup(group), state, entries, offset, length, crc32c })
    }
}

/// What stands at a segment's end.
struct Footer {
    has_checksums: bool,
    groups: KeyGroupRange,
    /// Where the index lies in the segment.
    index: Range<u64>,
    /// The checksum of the index and of what the footer says of it.
    crc32c: Option<u32>,
    /// How long it is.
    length: usize,
}

impl Footer {
    /// Reads it from the last bytes of a segment of that length.
    fn read(tail: &[u8], segment: u64) -> Result<Self, SnapshotError> {
        let does_not_end = || corrupt("it does not end as a keyed segment does");
        let version = version_of(tail.last_chunk::<MAGIC>().ok_or_else(does_not_end)?);
        let has_checksums = match version.ok_or_else(does_not_end)? {
            b'1' => false,
            KEYED_VERSION => true,
            other => return Err(super::other_version(other, KEYED_VERSION)),
        };
        let length = PLACE + MAGIC + if has_checksums { 4 } else { 0 };
        let start = tail.len().checked_sub(length).ok_or_else(does_not_end)?;
        let place = &tail[start..];
        let half = |at: usize| u32::from_le_bytes(place[at..at + 4].try_into().expect("4 bytes"));
        let word = |at: usize| u64::from_le_bytes(place[at..at + 8].try_into().expect("8 bytes"));
        let groups = KeyGroupRange { start: half(0), end: half(4) };
        let (offset, index_length) = (word(8), word(16));
        let end = segment.checked_sub(length as u64).ok_or_else(does_not_end)?;
        if offset.checked_add(index_length) != Some(end) || offset < MAGIC as u64 {
            return Err(corrupt("its index does not lie where it should"));
        }
        let crc32c = has_checksums.then(|| half(PLACE));
        Ok(Self { has_checksums, groups, index: offset..end, crc32c, length })
    }
}

/// The version in a magic, if it is one.
pub(super) fn version_of(magic: &[u8; MAGIC]) -> Option<u8> {
    match magic.strip_prefix(KEYED_NAME) {
        Some([version @ b'0'..=b'9']) => Some(*version),
        _ => None,
    }
}

/// Where the blocks of a keyed segment lie, by key group.
#[derive(Clone, Debug)]
pub struct SegmentIndex {
    groups: KeyGroupRange,
    blocks: Vec<BlockPlace>,
    has_checksums: bool,
}

impl SegmentIndex {
    /// Where in a segment of that length its index and footer lie, by its last [`FOOTER`] bytes or
    /// more, or by all of it if it is shorter.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Version`] when it is of another version, [`SnapshotError::Corrupt`] when it
    /// does not end as a keyed segment does.
    pub fn locate(tail: &[u8], segment: u64) -> Result<Range<u64>, SnapshotError> {
        Ok(Footer::read(tail, segment)?.index.start..segment)
    }

    /// Reads it from the last bytes of a segment of that length: at least what
    /// [`SegmentIndex::locate`] says.
    ///
    /// # Errors
    ///
    /// As [`SegmentIndex::locate`], and when the index is damaged or says what can't be.
    pub fn read(tail: &[u8], segment: u64) -> Result<Self, SnapshotError> {
        let Footer { has_checksums, groups, index, crc32c, length } = Footer::read(tail, segment)?;
        let short = || corrupt("its index is not whole");
        let skipped = segment.checked_sub(tail.len() as u64).ok_or_else(short)?;
        let start = index.start.checked_sub(skipped).ok_or_else(short)? as usize;
        let footer = tail.len() - length;
        if let Some(expected) = crc32c {
            let found = crc32c::crc32c(&tail[start..footer + PLACE]);
            if found != expected {
                return Err(corrupt(&format!(
                    "its index has been altered: its checksum is {found:08x}, and {expected:08x} \
                     was written"
                )));
            }
        }
        let blocks = read_places(&tail[start..footer], has_checksums)?;
        check_places(&blocks, groups, index.start)?;
        Ok(Self { groups, blocks, has_checksums })
    }

    /// Appends an index of `blocks`, and the footer, to a segment of which `written` bytes precede
    /// `bytes`.
    pub(super) fn append(
        blocks: &[BlockPlace],
        groups: KeyGroupRange,
        written: usize,
        bytes: &mut Vec<u8>,
    ) {
        let start = bytes.len();
        for place in blocks {
            let BlockPlace { group, state, entries, offset, length, crc32c } = *place;
            let crc32c = crc32c.unwrap_or_default();
            let entry: Entry2 = (group.get(), state, entries, offset, length, crc32c);
            codec::encode(&entry, bytes).expect("an index entry is plain numbers");
        }
        let length = (bytes.len() - start) as u64;
        bytes.extend_from_slice(&groups.start.to_le_bytes());
        bytes.extend_from_slice(&groups.end.to_le_bytes());
        bytes.extend_from_slice(&((written + start) as u64).to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        let crc32c = crc32c::crc32c(&bytes[start..]);
        bytes.extend_from_slice(&crc32c.to_le_bytes());
        bytes.extend_from_slice(&super::keyed_magic());
    }

    /// The key groups that the segment was written for.
    #[must_use]
    pub fn groups(&self) -> KeyGroupRange {
        self.groups
    }

    /// Whether each block has a checksum; else only the segment as a whole can be checked.
    #[must_use]
    pub fn has_checksums(&self) -> bool {
        self.has_checksums
    }

    /// Where the blocks of the key groups in `range` lie, in order.
    #[must_use]
    pub fn blocks_in(&self, range: KeyGroupRange) -> &[BlockPlace] {
        let from = self.blocks.partition_point(|block| block.group.get() < range.start);
        let to = self.blocks.partition_point(|block| block.group.get() < range.end).max(from);
        &self.blocks[from..to]
    }
}

/// Cuts blocks into runs that lie one behind the other, each of at most so many bytes unless a
/// single block is longer.
#[must_use]
pub fn runs_of(blocks: &[BlockPlace], most: u64) -> Vec<&[BlockPlace]> {
    let (mut runs, mut first) = (Vec::new(), 0);
    for next in 1..=blocks.len() {
        let goes_on = blocks.get(next).is_some_and(|block| {
            block.offset == blocks[next - 1].end() && block.end() - blocks[first].offset <= most
        });
        if !goes_on {
            runs.push(&blocks[first..next]);
            first = next;
        }
    }
    runs
}

fn read_places(mut bytes: &[u8], has_checksums: bool) -> Result<Vec<BlockPlace>, SnapshotError> {
    let mut blocks = Vec::new();
    while !bytes.is_empty() {
        let place = BlockPlace::decode(&mut bytes, has_checksums);
        blocks.push(place.map_err(|_| corrupt("its index can't be read"))?);
    }
    Ok(blocks)
}

fn check_places(
    blocks: &[BlockPlace],
    groups: KeyGroupRange,
    end: u64,
) -> Result<(), SnapshotError> {
    let in_bounds = |block: &BlockPlace| {
        groups.contains(block.group)
            && block.offset >= MAGIC as u64
            && block.offset.checked_add(block.length).is_some_and(|block_end| block_end <= end)
    };
    if !blocks.iter().all(in_bounds) || !blocks.is_sorted_by_key(|block| block.group) {
        return Err(corrupt("its index points out of bounds"));
    }
    // An entry takes at least a byte, but for the single one whose key and value take none.
    if blocks.iter().any(|block| block.entries > block.length.max(1)) {
        return Err(corrupt("a block in its index can't hold as many entries as that says"));
    }
    if blocks.windows(2).any(|pair| pair[0].end() > pair[1].offset) {
        return Err(corrupt("blocks in its index overlap"));
    }
    Ok(())
}
