//! The hot path: one keyed state of one subtask, shared with an encoder.
//!
//! # Protocol
//!
//! A table belongs to one worker thread, which writes it record by record. At a barrier the worker
//! calls [`KeyedTable::share`]: each key group that holds anything moves behind an `Arc`, nothing
//! is copied. The [`SharedGroup`]s may go to another thread, which should drop each as soon as it
//! is done with it. What the first write to a shared group costs: see [`shared`].
//!
//! # Invariants
//!
//! - INV-FROZEN: what a [`SharedGroup`] holds never changes: it is the group at its barrier.
//! - INV-HASH: the hash handed in is `KeyHash::of(key)`, so that a table that grows finds its
//!   entries again. The table does not check it.
//!
//! # Not here
//!
//! Names, bytes and restoring: see `store.rs`. Handles for user code: see [`crate::handles`].

mod prefetch;
pub mod shared;

use std::fmt;

use hashbrown::HashTable;
use tidegate_types::{KeyGroup, KeyGroupRange, KeyHash, MaxParallelism};

use self::shared::{Pack, SharedGroup, Slot};
use crate::{Key, StateValue};

/// How many accesses to prepare with one [`KeyedTable::prefetch`]: enough to keep the memory busy,
/// and few enough to be in the cache still when they are made.
pub const PREFETCH_WINDOW: usize = 128;

/// A table below this many bytes is taken to be in a core's cache as it is.
const CACHED_BYTES: usize = 1 << 20;

/// The entries of one key group.
type Group<K, V> = HashTable<(K, V)>;

/// One keyed state of one subtask: the entries of the key groups that the subtask owns.
///
/// Every access takes the key's hash, which a record's path computes once, beside the key.
pub struct KeyedTable<K, V> {
    slots: Vec<Slot<K, V>>,
    range: KeyGroupRange,
    max: MaxParallelism,
}

impl<K: Key, V: StateValue> KeyedTable<K, V> {
    /// An empty table for the key groups of `range`, out of `max` many.
    #[must_use]
    pub fn new(range: KeyGroupRange, max: MaxParallelism) -> Self {
        let slots = range.numbers().map(|_| Slot::Owned(HashTable::new())).collect();
        Self { slots, range, max }
    }

    /// The key groups it is for.
    #[must_use]
    pub const fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// How many key groups the job has.
    #[must_use]
    pub const fn max_parallelism(&self) -> MaxParallelism {
        self.max
    }

    /// How many entries there are. Counts group by group.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.iter().map(|slot| slot.get().len()).sum()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.iter().all(|slot| slot.get().is_empty())
    }

    /// The value of `key`.
    ///
    /// # Panics
    ///
    /// As every access by hash: when the key's group does not belong to this table, which means
    /// that the record was sent to the wrong subtask.
    #[inline]
    #[must_use]
    pub fn get(&self, hash: KeyHash, key: &K) -> Option<&V> {
        let slot = &self.slots[self.index(hash)];
        slot.get().find(hash.0, |entry| entry.0 == *key).map(|entry| &entry.1)
    }

    /// Whether `key` has a value.
    #[inline]
    #[must_use]
    pub fn contains(&self, hash: KeyHash, key: &K) -> bool {
        self.get(hash, key).is_some()
    }

    /// The value of `key`, to be changed in place.
    #[inline]
    pub fn get_mut(&mut self, hash: KeyHash, key: &K) -> Option<&mut V> {
        self.group_mut(hash).find_mut(hash.0, |entry| entry.0 == *key).map(|entry| &mut entry.1)
    }

    /// The value of `key`, to be changed in place; `make` gives the first one.
    ///
    /// One lookup, and the key is cloned only when it is new.
    #[inline]
    pub fn get_or_insert_with(
        &mut self,
        hash: KeyHash,
        key: &K,
        make: impl FnOnce() -> V,
    ) -> &mut V {
        // `find_entry` and not `entry`: the path of a key that is there stays as short as a read.
        match self.group_mut(hash).find_entry(hash.0, |entry| entry.0 == *key) {
            Ok(found) => &mut found.into_mut().1,
            Err(absent) => add(absent.into_table(), hash, key.clone(), make()),
        }
    }

    /// Asks for the memory that accesses with these hashes will read, and does not wait for it.
    ///
    /// A table that does not fit the cache spends most of its time waiting for memory. Asked
    /// one by one, the processor has few accesses under way at once, and fewer the longer the code
    /// of each is; asked so, as many as it can (Chen, Ailamaki, Gibbons and Mowry 2004, "Improving
    /// hash join performance through prefetching").
    #[inline]
    pub fn prefetch(&self, hashes: &[KeyHash]) {
        let Some(first) = hashes.first() else { return };
        // Keys spread evenly over the groups, so that one of them tells how large the table is.
        let entries = self.slots[self.index(*first)].get().capacity() * self.slots.len();
        if entries * size_of::<(K, V)>() < CACHED_BYTES {
            return;
        }
        for hash in hashes {
            // The first entry whose tag matches is the one in all but a few cases.
            if let Some(entry) = self.slots[self.index(*hash)].get().find(hash.0, |_| true) {
                prefetch::prefetch(entry);
            }
        }
    }

    /// Sets the value of `key` and returns the one before.
    #[inline]
    pub fn insert(&mut self, hash: KeyHash, key: &K, value: V) -> Option<V> {
        match self.group_mut(hash).find_entry(hash.0, |entry| entry.0 == *key) {
            Ok(mut found) => Some(std::mem::replace(&mut found.get_mut().1, value)),
            Err(absent) => {
                add(absent.into_table(), hash, key.clone(), value);
                None
            }
        }
    }

    /// Removes the value of `key` and returns it. A group that is shared is not copied for a key
    /// that isn't there.
    pub fn remove(&mut self, hash: KeyHash, key: &K) -> Option<V> {
        if !self.contains(hash, key) {
            return None;
        }
        let found = self.group_mut(hash).find_entry(hash.0, |entry| entry.0 == *key);
        found.ok().map(|entry| entry.remove().0.1)
    }

    /// Hands the value of `key` to `update` and keeps what it returns: the way to change a value
    /// that a function takes and gives back. One lookup.
    ///
    /// # Errors
    ///
    /// What `update` returns; the value is gone then.
    #[inline]
    pub fn try_update<E>(
        &mut self,
        hash: KeyHash,
        key: &K,
        update: impl FnOnce(Option<V>) -> Result<Option<V>, E>,
    ) -> Result<(), E> {
        match self.group_mut(hash).find_entry(hash.0, |entry| entry.0 == *key) {
            Ok(found) => {
                let ((key, value), vacant) = found.remove();
                if let Some(value) = update(Some(value))? {
                    vacant.insert((key, value));
                }
            }
            Err(absent) => {
                if let Some(value) = update(None)? {
                    add(absent.into_table(), hash, key.clone(), value);
                }
            }
        }
        Ok(())
    }

    /// All entries, group by group, in no order inside a group.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.slots.iter().flat_map(|slot| slot.get().iter().map(|(key, value)| (key, value)))
    }

    /// Hands out the entries as of now (INV-FROZEN), in the order of their groups and without
    /// those that are empty. Copies nothing; a group that is written before it has been encoded is
    /// packed with `pack`.
    pub fn share(&mut self, pack: &Pack<K, V>) -> Vec<SharedGroup<K, V>> {
        let slots = self.range.numbers().zip(&mut self.slots);
        slots.filter_map(|(group, slot)| slot.share(KeyGroup(group), pack)).collect()
    }

    /// Makes room for `additional` more entries of `group`.
    ///
    /// # Panics
    ///
    /// When the group does not belong to this table.
    pub fn reserve(&mut self, group: KeyGroup, additional: usize) {
        let index = self.index_of_group(group);
        self.slots[index].get_mut().reserve(additional, rehash);
    }

    /// Looks at up to `budget` places behind `cursor` and removes the entries that `keep` turns
    /// down, after it has changed those it wants to. A group that is shared is skipped, and so is
    /// one where `stale` finds nothing to do.
    pub(crate) fn sweep(
        &mut self,
        cursor: &mut SweepCursor,
        budget: usize,
        stale: impl Fn(&V) -> bool,
        mut keep: impl FnMut(&mut V) -> bool,
    ) {
        for _ in 0..budget {
            let Some(Slot::Owned(group)) = self.slots.get_mut(cursor.slot) else {
                cursor.next_slot(self.slots.len());
                continue;
            };
            if cursor.bucket >= group.num_buckets() || group.is_empty() {
                cursor.next_slot(self.slots.len());
                continue;
            }
            if group.get_bucket(cursor.bucket).is_some_and(|entry| stale(&entry.1))
                && let Ok(mut entry) = group.get_bucket_entry(cursor.bucket)
                && !keep(&mut entry.get_mut().1)
            {
                entry.remove();
            }
            cursor.bucket += 1;
        }
    }

    #[inline]
    fn group_mut(&mut self, hash: KeyHash) -> &mut Group<K, V> {
        let index = self.index(hash);
        self.slots[index].get_mut()
    }

    #[inline]
    fn index(&self, hash: KeyHash) -> usize {
        self.index_of_group(hash.group(self.max))
    }

    #[inline]
    fn index_of_group(&self, group: KeyGroup) -> usize {
        let index = group.get().wrapping_sub(self.range.start) as usize;
        if index >= self.slots.len() {
            wrong_group(group, self.range);
        }
        index
    }
}

impl<K, V> fmt::Debug for KeyedTable<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedTable").field("range", &self.range).finish_non_exhaustive()
    }
}

#[cold]
#[inline(never)]
fn wrong_group(group: KeyGroup, range: KeyGroupRange) -> ! {
    panic!("key group {group} came to the subtask of groups {}..{}", range.start, range.end)
}

#[inline(never)]
fn add<K: Key, V>(group: &mut Group<K, V>, hash: KeyHash, key: K, value: V) -> &mut V {
    &mut group.insert_unique(hash.0, (key, value), rehash).into_mut().1
}

fn rehash<K: Key, V>(entry: &(K, V)) -> u64 {
    KeyHash::of(&entry.0).0
}

/// Hashes the keys of a batch into `hashes`, in their order, instead of what it held: for
/// [`KeyedTable::prefetch`].
pub fn hash_keys<'a, K: Key>(keys: impl IntoIterator<Item = &'a K>, hashes: &mut Vec<KeyHash>) {
    hashes.clear();
    hashes.extend(keys.into_iter().map(KeyHash::of));
}

/// Where an incremental [`KeyedTable::sweep`] goes on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SweepCursor {
    slot: usize,
    bucket: usize,
}

impl SweepCursor {
    const fn next_slot(&mut self, slots: usize) {
        self.slot = if self.slot + 1 < slots { self.slot + 1 } else { 0 };
        self.bucket = 0;
    }
}

#[cfg(test)]
mod tests;
