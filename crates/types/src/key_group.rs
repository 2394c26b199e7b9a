//! Which key group a key belongs to, and which subtask owns a key group.
//!
//! ```text
//!   key --serde--> key bytes --xxh3-64--> KeyHash --low 32 bits--> KeyGroup --range--> subtask
//! ```
//!
//! # Invariants
//!
//! - INV-STABLE: a key's group depends on nothing but its key bytes and the max parallelism: not
//!   on the build, the machine, the Rust release or the parallelism. [`FINGERPRINT`] names the
//!   algorithm and stands in every snapshot; whoever changes the algorithm changes the name.
//! - INV-COVER: for every parallelism the ranges of all subtasks are disjoint and cover every
//!   group (Flink's `KeyGroupRangeAssignment`).
//!
//! # Key bytes
//!
//! A key is written through serde into a defined form: integers and floats little-endian in their
//! own width (`usize` and `isize` as 64 bits by serde), `bool` as one byte, `char` as 4 bytes,
//! strings, byte strings, sequences and maps after their length as 64 bits, an option after a byte
//! 0 or 1, an enum's variant as its index in 32 bits, structs and tuples field after field.

mod bytes;

use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use self::bytes::KeyError;
use crate::ids::{MaxParallelism, Parallelism, SubtaskIndex};

/// Names the key bytes' form and the hash; written into every snapshot with keyed state.
pub const FINGERPRINT: &str = "tidegate-key-1/xxh3-64";

/// The 64-bit hash of a key's bytes.
///
/// The key group comes from the low half, so that the high bits still differ inside a group and a
/// hash table there can use them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHash(pub u64);

/// The bytes of a key, of which it is hashed.
///
/// # Errors
///
/// What the key's own `Serialize` reports.
pub fn key_bytes<K: Serialize + ?Sized>(key: &K) -> Result<Vec<u8>, KeyError> {
    bytes::try_with_key_bytes(key, <[u8]>::to_vec)
}

impl KeyHash {
    /// Hashes `key`.
    ///
    /// # Panics
    ///
    /// When the key's own `Serialize` reports an error: such a type can't be a key. What it unwinds with
    /// is a [`BoxError`](crate::BoxError) that says so, marked as one that no restart mends.
    #[inline]
    #[must_use]
    pub fn of<K: Serialize + ?Sized>(key: &K) -> Self {
        Self(bytes::with_key_bytes(key, xxhash_rust::xxh3::xxh3_64))
    }

    /// The key group among `max` many.
    #[inline]
    #[must_use]
    pub const fn group(self, max: MaxParallelism) -> KeyGroup {
        // Lemire's multiply-shift range reduction, on the hash's low 32 bits.
        KeyGroup((((self.0 & 0xffff_ffff) * max.get() as u64) >> 32) as u32)
    }
}

/// A key group's number: keyed state moves between subtasks in whole key groups.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default,
)]
#[serde(transparent)]
pub struct KeyGroup(pub u32);

impl KeyGroup {
    /// The number itself.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The subtask that owns this group: `group × parallelism / max`, as in Flink.
    #[inline]
    #[must_use]
    pub const fn owner(self, parallelism: Parallelism, max: MaxParallelism) -> SubtaskIndex {
        SubtaskIndex((self.0 as u64 * parallelism.get() as u64 / max.get() as u64) as u32)
    }
}

impl std::fmt::Display for KeyGroup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A half-open range of key groups: `start` belongs to it, `end` does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyGroupRange {
    /// The first group.
    pub start: u32,
    /// One past the last group.
    pub end: u32,
}

impl KeyGroupRange {
    /// The groups that `subtask` owns.
    #[must_use]
    pub const fn owned_by(
        subtask: SubtaskIndex,
        parallelism: Parallelism,
        max: MaxParallelism,
    ) -> Self {
        const fn first(subtask: u64, parallelism: Parallelism, max: MaxParallelism) -> u32 {
            (subtask * max.get() as u64).div_ceil(parallelism.get() as u64) as u32
        }
        Self {
            start: first(subtask.get() as u64, parallelism, max),
            end: first(subtask.get() as u64 + 1, parallelism, max),
        }
    }

    /// How many groups.
    #[must_use]
    pub const fn len(&self) -> u32 {
        self.end.saturating_sub(self.start)
    }

    /// Whether there is no group in it.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether `group` belongs to it.
    #[must_use]
    pub const fn contains(&self, group: KeyGroup) -> bool {
        self.start <= group.0 && group.0 < self.end
    }

    /// The groups that belong to both.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let start = self.start.max(other.start);
        Self { start, end: self.end.min(other.end).max(start) }
    }

    /// The numbers of the groups, in order.
    #[must_use]
    pub const fn numbers(&self) -> Range<u32> {
        self.start..self.end
    }
}

#[cfg(test)]
mod tests;
