//! The hot path: one keyed state of one subtask, shared with an encoder.
//!
//! # Protocol
//!
//! A table belongs to one worker thread, which writes it record by record. At a barrier the worker
//! calls [`KeyedTable::share`]: each key group that holds anything moves behind an `Arc`, nothing
//! is copied. The [`SharedGroup`]s go to another thread, which packs what the worker does not write,
//! and drops each as soon as it is done with it. What the worker does write it packs itself: the
//! entry before it changes it, and the rest in steps, for which [`KeyedTable::pack_some`] is to be
//! called as often as the worker has time, until it says that there is no more.
//!
//! # Invariants
//!
//! - INV-FROZEN: what a [`SharedGroup`] holds never changes: it is the group at its barrier.
//! - INV-HASH: the hash handed in is `KeyHash::of(key)`, so that a table that grows finds its
//!   entries again. The table does not check it.
//!
//! # Not here
//!
//! How a group is packed while it is written: see [`packing`], `slot` and [`shared`]. Names, bytes and restoring: see `store.rs`. Handles for user code: see [`crate::handles`].

pub(crate) mod keys;
pub mod packing;
mod prefetch;
pub mod shared;
mod slot;

use std::fmt;

use hashbrown::HashTable;
use tidegate_types::{ErrorKind, KeyGroup, KeyGroupRange, KeyHash, MaxParallelism};

use self::{
    packing::Pack,
    shared::SharedGroup,
    slot::{Found, Progress, Slot},
};
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
    /// Whether a group is shared, as far as is known.
    is_shared: bool,
    /// The place of the group that is to be packed next.
    packing: usize,
    /// Looks at keys before they are put in; `None` once it has seen enough, or if nobody asks for
    /// it.
    keys: Option<Box<keys::KeyCheck<K>>>,
}

impl<K: Key, V: StateValue> KeyedTable<K, V> {
    /// An empty table for the key groups of `range`, out of `max` many.
    #[must_use]
    pub fn new(range: KeyGroupRange, max: MaxParallelism) -> Self {
        let slots = range.numbers().map(|_| Slot::Owned(HashTable::new())).collect();
        Self {
            slots,
            range,
            max,
            is_shared: false,
            packing: 0,
            keys: keys::KeyCheck::if_asked(false),
        }
    }

    /// Has the first keys that are put in looked at, as in debug builds: whether each is written in
    /// one way, and whether those that are equal are written alike.
    pub fn check_keys(&mut self) {
        self.keys = keys::KeyCheck::if_asked(true);
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
        self.find(hash, key).ok().map(|found| &mut found.into_mut().1)
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
        self.look_at(hash, key);
        match self.find(hash, key) {
            Ok(found) => &mut found.into_mut().1,
            Err(vacancy) => vacancy.insert(hash, key.clone(), make()),
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
        self.look_at(hash, key);
        match self.find(hash, key) {
            Ok(mut found) => Some(std::mem::replace(&mut found.get_mut().1, value)),
            Err(vacancy) => {
                vacancy.insert(hash, key.clone(), value);
                None
            }
        }
    }

    /// Removes the value of `key` and returns it. A group that is shared is not taken back for a key
    /// that isn't there.
    pub fn remove(&mut self, hash: KeyHash, key: &K) -> Option<V> {
        if !self.contains(hash, key) {
            return None;
        }
        self.find(hash, key).ok().map(|found| found.remove().0.1)
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
        self.look_at(hash, key);
        match self.find(hash, key) {
            Ok(found) => {
                let ((key, value), vacant) = found.remove();
                if let Some(value) = update(Some(value))? {
                    vacant.insert((key, value));
                }
            }
            Err(vacancy) => {
                if let Some(value) = update(None)? {
                    vacancy.insert(hash, key.clone(), value);
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
    /// those that are empty, to be packed with `pack`. Copies nothing.
    pub fn share(&mut self, pack: &Pack<K, V>) -> Vec<SharedGroup<K, V>> {
        self.is_shared = true;
        self.packing = 0;
        let slots = self.range.numbers().zip(&mut self.slots);
        slots.filter_map(|(group, slot)| slot.share(KeyGroup(group), pack)).collect()
    }

    /// Packs a little of a group that has been written since it was shared, some microseconds of
    /// work; tells whether there may be more to do.
    pub fn pack_some(&mut self) -> bool {
        if !self.is_shared {
            return false;
        }
        let mut is_shared = false;
        for _ in 0..self.slots.len() {
            match self.slots[self.packing].advance() {
                Progress::Made => return true,
                Progress::Elsewhere => is_shared = true,
                Progress::None => {}
            }
            self.packing = (self.packing + 1) % self.slots.len();
        }
        self.is_shared = is_shared;
        false
    }

    /// Makes room for `additional` more entries of `group`, unless it is shared.
    ///
    /// # Panics
    ///
    /// When the group does not belong to this table.
    pub fn reserve(&mut self, group: KeyGroup, additional: usize) {
        let index = self.index_of_group(group);
        if let Slot::Owned(group) = &mut self.slots[index] {
            group.reserve(additional, rehash);
        }
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

    /// Looks at a key before it is put in, if that is asked for.
    #[inline]
    fn look_at(&mut self, hash: KeyHash, key: &K) {
        if self.keys.is_some() {
            self.look_at_new(hash, key);
        }
    }

    #[cold]
    fn look_at_new(&mut self, hash: KeyHash, key: &K) {
        if !self.contains(hash, key) {
            self.keys = self.keys.take().and_then(|keys| keys.look_at(key));
        }
    }

    /// One lookup for both answers: the path of a key that is there stays as short as a read.
    #[inline]
    fn find(&mut self, hash: KeyHash, key: &K) -> Found<'_, K, V> {
        let index = self.index(hash);
        self.slots[index].find(hash, key)
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
    ErrorKind::Invalid.throw(format!(
        "key group {group} came to the subtask of groups {}..{}: the key selector gave another key \
         for the same record, or a key that is written in several ways; is it a function of the \
         record alone, and has its type one order?",
        range.start, range.end
    ))
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
