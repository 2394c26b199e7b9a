//! Writes a keyed segment.

use bytes::Bytes;
use tidegate_types::{BoxError, KeyGroup, KeyGroupRange};

use super::{
    index::{BlockPlace, SegmentIndex},
    keyed_magic,
};

/// How long a piece of a segment grows before the next one begins, in bytes.
const CHUNK: usize = 1 << 20;
/// From how many bytes on entries become a piece of their own, without a copy.
const LARGE: usize = 64 << 10;
/// How long a block grows before another one of the same group and state begins, in bytes: a reader
/// has it in memory as a whole.
const BLOCK: usize = 1 << 20;

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
            self.sum();
            self.end_chunk();
            if let Some(open) = &mut self.open {
                open.crc32c = crc32c::crc32c_append(open.crc32c, &entries);
            }
            self.done_length += entries.len();
            self.done.push(entries);
        }
        self.go_on_in_another_block();
        Ok(())
    }

    fn end_block(&mut self) {
        let entries = std::mem::take(&mut self.entries);
        Self::end_block(self, entries);
    }
}

/// The block that is being written.
#[derive(Debug)]
struct OpenBlock {
    group: KeyGroup,
    state: u16,
    /// Where it begins in the segment.
    start: usize,
    /// The checksum of what has been written of it, but for what lies behind `summed` in the piece
    /// that grows.
    crc32c: u32,
    summed: usize,
}

/// Writes a keyed segment, block after block, key groups ascending.
#[derive(Debug)]
pub struct KeyedSegmentWriter {
    groups: KeyGroupRange,
    /// What lies before `bytes`, and how long it is.
    done: Vec<Bytes>,
    done_length: usize,
    bytes: Vec<u8>,
    pub(super) index: Vec<BlockPlace>,
    open: Option<OpenBlock>,
    /// How many entries have been put into it.
    entries: u64,
}

impl KeyedSegmentWriter {
    /// A segment for these key groups.
    #[must_use]
    pub fn new(groups: KeyGroupRange) -> Self {
        let (bytes, index) = (keyed_magic().to_vec(), Vec::new());
        Self { groups, done: Vec::new(), done_length: 0, bytes, index, open: None, entries: 0 }
    }

    /// Begins a block of one state of one key group.
    pub fn begin_block(&mut self, group: KeyGroup, state: u16) {
        debug_assert!(self.open.is_none() && self.groups.contains(group));
        debug_assert!(self.index.last().is_none_or(|last| last.group <= group));
        let (start, summed) = (self.done_length + self.bytes.len(), self.bytes.len());
        self.open = Some(OpenBlock { group, state, start, crc32c: 0, summed });
    }

    /// Where the open block's entries are to be appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends the open block, which holds this many entries; one without entries leaves no trace.
    pub fn end_block(&mut self, entries: u64) {
        self.sum();
        let Some(OpenBlock { group, state, start, crc32c, .. }) = self.open.take() else { return };
        if entries == 0 {
            self.bytes.truncate(start.saturating_sub(self.done_length));
            return;
        }
        let length = (self.done_length + self.bytes.len() - start) as u64;
        let (offset, crc32c) = (start as u64, Some(crc32c));
        self.index.push(BlockPlace { group, state, entries, offset, length, crc32c });
        if self.bytes.len() >= CHUNK {
            self.end_chunk();
        }
    }

    /// Ends a block that has become long, and begins one for the entries that follow.
    fn go_on_in_another_block(&mut self) {
        let length = self.done_length + self.bytes.len();
        let Some(OpenBlock { group, state, start, .. }) = &self.open else { return };
        let (group, state, is_long) = (*group, *state, length - start >= BLOCK);
        if is_long {
            BlockSink::end_block(self);
            self.begin_block(group, state);
        }
    }

    /// Takes what the piece that grows has got into the open block's checksum.
    fn sum(&mut self) {
        if let Some(open) = &mut self.open {
            open.crc32c = crc32c::crc32c_append(open.crc32c, &self.bytes[open.summed..]);
            open.summed = self.bytes.len();
        }
    }

    /// One long list would be copied, and be there twice, whenever it grows. What is in it has been
    /// summed.
    fn end_chunk(&mut self) {
        if self.bytes.is_empty() {
            return;
        }
        let capacity = self.bytes.capacity().min(2 * CHUNK);
        let full = std::mem::replace(&mut self.bytes, Vec::with_capacity(capacity));
        self.done_length += full.len();
        self.done.push(full.into());
        if let Some(open) = &mut self.open {
            open.summed = 0;
        }
    }

    /// The whole segment.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.finish_chunks().concat()
    }

    /// The whole segment, in pieces.
    #[must_use]
    pub fn finish_chunks(mut self) -> Vec<Bytes> {
        SegmentIndex::append(&self.index, self.groups, self.done_length, &mut self.bytes);
        self.end_chunk();
        self.done
    }
}
