//! Writes a keyed segment.

use bytes::Bytes;
use tidegate_types::{BoxError, KeyGroup, KeyGroupRange};

use super::{KEYED_MAGIC, index::IndexEntry};
use crate::codec;

/// How long a piece of a segment grows before the next one begins, in bytes.
const CHUNK: usize = 1 << 20;
/// From how many bytes on entries become a piece of their own, without a copy.
const LARGE: usize = 64 << 10;
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
    pub(super) index: Vec<IndexEntry>,
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
