//! What one subtask of one operator puts into a snapshot file.
//!
//! ```text
//!   keyed:  magic version | block block … | index: (group, state, entries, offset, length)* |
//!           first group, last group + 1, index offset, index length, magic
//!   lists:  magic version | postcard of the lists
//! ```
//!
//! A keyed segment is a sequence of blocks, one per key group and state, with an index at its end,
//! so that a reader can take some of the groups and leave the others.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidegate_types::{BoxError, KeyGroup, KeyGroupRange};

use crate::{SnapshotError, codec};

const KEYED_MAGIC: &[u8; 8] = b"TGkeyed1";
const LISTS_MAGIC: &[u8; 8] = b"TGlists1";
const FOOTER: usize = 4 + 4 + 8 + 8 + 8;
/// How long a piece of a segment grows before the next one begins, in bytes.
const CHUNK: usize = 1 << 20;
/// From how many bytes on entries become a piece of their own, without a copy.
const LARGE: usize = 64 << 10;

/// How a list is spread over subtasks when it is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Redistribution {
    /// Each item to one subtask, evenly.
    Split,
    /// All items to every subtask.
    Union,
    /// All subtasks hold the same items, and each new one takes a copy.
    Broadcast,
}

/// What is known of the type of a list's items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemType {
    /// Nothing.
    #[default]
    Unknown,
    /// Each item begins with a description of its own type.
    Own,
    /// All items are of the type with this description.
    Is(String),
}

impl ItemType {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::Unknown
    }
}

/// A list of operator state, its items encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListState {
    /// The state's name.
    pub name: String,
    /// How it is spread when it is restored.
    pub redistribution: Redistribution,
    /// Of which type they are; the segment does not keep it, but the manifest does.
    pub item_type: ItemType,
    /// The items, in order.
    pub items: Vec<Bytes>,
}

/// Where a block lies and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct IndexEntry {
    group: u32,
    state: u16,
    entries: u64,
    offset: u64,
    length: u64,
}

/// Where keyed state is written to, block after block, key groups ascending.
pub trait BlockSink {
    /// Begins the block of one state of one key group.
    fn begin_block(&mut self, group: KeyGroup, state: u16);

    /// Whether the open block's entries are of a type that can't be described, so that somebody has
    /// to say where each begins.
    fn wants_bounds(&self) -> bool;

    /// Appends so many entries to the open block: each its key and then its value. If it
    /// [wants them](BlockSink::wants_bounds), with the places in `entries` where every key and every
    /// value ends.
    ///
    /// # Errors
    ///
    /// When the entries can't be kept.
    fn put(&mut self, entries: Bytes, count: u64, bounds: &[usize]) -> Result<(), BoxError>;

    /// Ends the open block; one without entries leaves no trace.
    fn end_block(&mut self);
}

impl BlockSink for KeyedSegmentWriter {
    fn begin_block(&mut self, group: KeyGroup, state: u16) {
        Self::begin_block(self, group, state);
    }

    fn wants_bounds(&self) -> bool {
        false
    }

    fn put(&mut self, entries: Bytes, count: u64, _bounds: &[usize]) -> Result<(), BoxError> {
        self.entries += count;
        if entries.len() < LARGE {
            self.bytes.extend_from_slice(&entries);
        } else {
            self.end_chunk();
            self.done_length += entries.len();
            self.done.push(entries);
        }
        Ok(())
    }

    fn end_block(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        Self::end_block(self, entries);
    }
}

/// Writes a keyed segment, block after block, key groups ascending.
#[derive(Debug)]
pub struct KeyedSegmentWriter {
    groups: KeyGroupRange,
    /// What lies before `bytes`, and how long it is.
    done: Vec<Bytes>,
    done_length: usize,
    bytes: Vec<u8>,
    index: Vec<IndexEntry>,
    /// The open block and where it begins.
    open: Option<(KeyGroup, u16, usize)>,
    /// How many entries have been put into it.
    entries: u64,
}

impl KeyedSegmentWriter {
    /// A segment for these key groups.
    #[must_use]
    pub fn new(groups: KeyGroupRange) -> Self {
        let (bytes, index) = (KEYED_MAGIC.to_vec(), Vec::new());
        Self { groups, done: Vec::new(), done_length: 0, bytes, index, open: None, entries: 0 }
    }

    /// Begins the block of one state of one key group.
    pub fn begin_block(&mut self, group: KeyGroup, state: u16) {
        debug_assert!(self.open.is_none() && self.groups.contains(group));
        debug_assert!(self.index.last().is_none_or(|last| last.group <= group.get()));
        self.open = Some((group, state, self.done_length + self.bytes.len()));
    }

    /// Where the open block's entries are to be appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the open block, which holds this many entries; one without entries leaves no trace.
    pub fn end_block(&mut self, entries: u64) {
        let Some((group, state, start)) = self.open.take() else { return };
        if entries == 0 {
            self.bytes.truncate(start.saturating_sub(self.done_length));
            return;
        }
        let length = (self.done_length + self.bytes.len() - start) as u64;
        let (group, offset) = (group.get(), start as u64);
        self.index.push(IndexEntry { group, state, entries, offset, length });
        if self.bytes.len() >= CHUNK {
            self.end_chunk();
        }
    }

    /// One long list would be copied, and be there twice, whenever it grows.
    fn end_chunk(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let capacity = self.bytes.capacity().min(2 * CHUNK);
        let full = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity));
        self.done_length += full.len();
        self.done.push(full.into());
    }

    /// The whole segment.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.finish_chunks().concat()
    }

    /// The whole segment, in pieces.
    #[must_use]
    pub fn finish_chunks(mut self) -> Vec<Bytes> {
        let index_start = self.bytes.len();
        let index_offset = self.done_length + index_start;
        for entry in &self.index {
            codec::encode(entry, &mut self.bytes).expect("an index entry is plain numbers");
        }
        let index_length = self.bytes.len() - index_start;
        self.bytes.extend_from_slice(&self.groups.start.to_le_bytes());
        self.bytes.extend_from_slice(&self.groups.end.to_le_bytes());
        self.bytes.extend_from_slice(&(index_offset as u64).to_le_bytes());
        self.bytes.extend_from_slice(&(index_length as u64).to_le_bytes());
        self.bytes.extend_from_slice(KEYED_MAGIC);
        self.end_chunk();
        self.done
    }
}

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

fn read_index(mut bytes: &[u8]) -> Result<Vec<IndexEntry>, SnapshotError> {
    let mut index = Vec::new();
    while !bytes.is_empty() {
        index.push(codec::decode(&mut bytes).map_err(|_| corrupt("its index can't be read"))?);
    }
    Ok(index)
}

fn check_index(index: &[IndexEntry], groups: KeyGroupRange, end: u64) -> Result<(), SnapshotError> {
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

/// What follows the magic, whose last byte is the version's digit.
fn strip_magic<'a>(bytes: &'a [u8], magic: &[u8; 8]) -> Result<&'a [u8], SnapshotError> {
    let (name, ours) = (&magic[..7], magic[7]);
    match bytes.strip_prefix(name) {
        Some([version, rest @ ..]) if *version == ours => Ok(rest),
        Some([version @ b'0'..=b'9', ..]) => Err(SnapshotError::Version {
            path: "segment".to_owned(),
            found: u64::from(version - b'0'),
        }),
        _ => {
            let expected = String::from_utf8_lossy(magic);
            Err(corrupt(&format!("it does not begin with `{expected}`")))
        }
    }
}

fn corrupt(problem: &str) -> SnapshotError {
    SnapshotError::Corrupt { path: "segment".to_owned(), problem: problem.to_owned() }
}

/// The operator state of one subtask: lists by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListSegment {
    /// The lists.
    pub states: Vec<ListState>,
}

/// A list as it is encoded.
type EncodedList = (String, Redistribution, Vec<Vec<u8>>);

impl ListSegment {
    /// The segment's bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let lists = self.states.iter().map(|list| {
            let items = list.items.iter().map(|item| item.to_vec()).collect();
            (list.name.clone(), list.redistribution, items)
        });
        let lists = lists.collect::<Vec<EncodedList>>();
        let mut bytes = LISTS_MAGIC.to_vec();
        codec::encode(&lists, &mut bytes).expect("lists of bytes can always be encoded");
        bytes
    }

    /// Reads what [`ListSegment::encode`] wrote.
    ///
    /// # Errors
    ///
    /// [`SnapshotError::Version`] when it is of another version, [`SnapshotError::Corrupt`] when the
    /// bytes are not a segment of lists.
    pub fn decode(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let bytes = strip_magic(bytes, LISTS_MAGIC)?;
        let lists = codec::decode_exact::<Vec<EncodedList>>(bytes)
            .map_err(|error| corrupt(&format!("its lists can't be read: {error}")))?;
        let states = lists.into_iter().map(|(name, redistribution, items)| ListState {
            name,
            redistribution,
            item_type: ItemType::Unknown,
            items: items.into_iter().map(Bytes::from).collect(),
        });
        Ok(Self { states: states.collect() })
    }
}

#[cfg(test)]
mod tests;
