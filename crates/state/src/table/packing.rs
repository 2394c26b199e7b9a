//! A key group on its way into its encoded form, while it is being written.
//!
//! ```text
//!   buckets   0 . . . . . . . cursor . . . x . . x . . . . . end
//!             packed in their order        |     |
//!                                          packed out of turn, just before each was written
//! ```
//!
//! Packing goes through the buckets in their order, some at a time. Who writes to one further on packs
//! that one first: copy on write, entry by entry, into what has to be made anyway. So no write waits
//! for more than its own entry, and memory grows by the encoded form alone. (Flink's
//! `CopyOnWriteStateMap` copies entries too, and keeps both until the snapshot is done.)

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use tidegate_snapshot::codec::CodecError;

use super::Group;

/// Appends an entry, its key and then its value, or nothing if it has expired; tells which.
pub type Pack<K, V> = Arc<dyn Fn(&(K, V), &mut Vec<u8>) -> Result<bool, CodecError> + Send + Sync>;

/// How many buckets are looked through at once, and how many a word of [`Packing::done`] speaks of.
const WORD: usize = u64::BITS as usize;

/// A piece is handed on once it is this long, in bytes: one long list would be copied whenever it
/// grows, and keep in reserve what many groups together can't afford.
const PIECE: usize = 64 << 10;

/// The entries of a group in their encoded form.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    /// In no order.
    pub pieces: Vec<Piece>,
}

/// Some entries, one behind the other.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The entries.
    pub bytes: Bytes,
    /// How many there are.
    pub entries: u64,
}

/// How far the packing of a group has come.
pub(super) struct Packing<K, V> {
    encode: Pack<K, V>,
    /// All buckets before this one are done.
    cursor: usize,
    /// A bit for each bucket: whether it has been packed out of turn, or was empty at the barrier. As
    /// long as there is none it is empty.
    done: Vec<u64>,
    packed: Packed,
    /// The piece that grows.
    bytes: Vec<u8>,
    entries: u64,
    failed: Option<CodecError>,
}

impl<K, V> Packing<K, V> {
    pub(super) const fn new(encode: Pack<K, V>) -> Self {
        Self {
            encode,
            cursor: 0,
            done: Vec::new(),
            packed: Packed { pieces: Vec::new() },
            bytes: Vec::new(),
            entries: 0,
            failed: None,
        }
    }

    /// Packs what is in the next buckets, about as many as `buckets`; tells whether all are done.
    pub(super) fn advance(&mut self, group: &Group<K, V>, buckets: usize) -> bool {
        let count = group.num_buckets();
        let end = count.min(self.cursor.saturating_add(buckets));
        while self.cursor < end {
            let next = count.min(self.cursor + WORD);
            let done = self.done.get(self.cursor / WORD).copied().unwrap_or(0);
            self.pack_word(group, self.cursor..next, done);
            self.cursor = next;
        }
        if self.cursor < count {
            return false;
        }
        // The group may get more buckets from now on.
        self.cursor = usize::MAX;
        self.done = Vec::new();
        true
    }

    /// Which buckets hold something can't be foreseen: finding that out in a pass of its own, without
    /// a branch, keeps the processor from guessing wrong at every other one.
    #[inline]
    fn pack_word(&mut self, group: &Group<K, V>, buckets: Range<usize>, done: u64) {
        let (mut found, mut count) = ([0; WORD], 0);
        for (bit, bucket) in buckets.enumerate() {
            found[count] = bucket;
            count += usize::from(group.get_bucket(bucket).is_some() & (done >> bit & 1 == 0));
        }
        for entry in found[..count].iter().filter_map(|bucket| group.get_bucket(*bucket)) {
            self.append(entry);
        }
    }

    /// Is told of the entry in a bucket, out of so many, before it is changed or removed.
    #[inline]
    pub(super) fn before_write(&mut self, bucket: usize, buckets: usize, entry: &(K, V)) {
        if self.mark(bucket, buckets) {
            self.append(entry);
        }
    }

    /// Is told when a bucket, out of so many, that was empty has been filled.
    #[inline]
    pub(super) fn after_insert(&mut self, bucket: usize, buckets: usize) {
        self.mark(bucket, buckets);
    }

    /// Whether a bucket was not done yet. From now on it is.
    #[inline]
    fn mark(&mut self, bucket: usize, buckets: usize) -> bool {
        if bucket < self.cursor {
            return false;
        }
        if self.done.is_empty() {
            self.done = vec![0; buckets.div_ceil(WORD)];
        }
        let (word, bit) = (&mut self.done[bucket / WORD], 1 << (bucket % WORD));
        let is_new = *word & bit == 0;
        *word |= bit;
        is_new
    }

    #[inline]
    fn append(&mut self, entry: &(K, V)) {
        if self.failed.is_some() {
            return;
        }
        match (self.encode)(entry, &mut self.bytes) {
            Ok(is_alive) => self.entries += u64::from(is_alive),
            Err(error) => self.failed = Some(error),
        }
        if self.bytes.len() >= PIECE {
            self.end_piece();
        }
    }

    fn end_piece(&mut self) {
        let bytes = std::mem::take(&mut self.bytes);
        let entries = std::mem::take(&mut self.entries);
        if entries > 0 {
            self.packed.pieces.push(Piece { bytes: bytes.into(), entries });
        }
    }

    /// What has become of a group all of whose buckets are done.
    ///
    /// # Errors
    ///
    /// What a value's own code reported.
    pub(super) fn finish(mut self) -> Result<Packed, CodecError> {
        self.end_piece();
        self.failed.map_or(Ok(self.packed), Err)
    }
}
