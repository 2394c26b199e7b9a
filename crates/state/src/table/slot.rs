//! A key group as the worker sees it.
//!
//! ```text
//!            share()         first write           packed, or no longer wanted
//!   Owned ------------> Lent -------------> Written ----------------------------> Owned
//!                        |                  the worker packs: the entry it writes, and the
//!                        |                  rest a little at a time (see `packing`)
//!                        +--> packed by the encoder, a little at a time, if it is there first
//! ```
//!
//! A group that nobody writes is packed on the encoder's thread. One that is written comes back to
//! the worker as it is, half packed if the encoder has begun: a write waits for a step of the encoder
//! (`STEP` buckets) and no longer. Nothing is ever copied but into the encoded form. (Copying a
//! group on its first write, what is usual for a snapshot, would double memory: keys in no order
//! write to every group within a moment of the barrier.)

use std::sync::Arc;

use hashbrown::hash_table::OccupiedEntry;
use tidegate_types::{KeyGroup, KeyHash};

use super::{
    Group,
    packing::{Pack, Packing},
    rehash,
    shared::{Form, Frozen, STEP, SharedGroup},
};
use crate::{Key, StateValue};

/// Where a group's entries are.
pub(super) enum Slot<K, V> {
    Owned(Group<K, V>),
    Lent { group: Arc<Group<K, V>>, frozen: Arc<Frozen<K, V>> },
    Written(Box<Written<K, V>>),
}

/// A group that has been written since its barrier.
pub(super) struct Written<K, V> {
    group: Group<K, V>,
    /// One for each barrier since, the oldest first.
    unfinished: Vec<Unfinished<K, V>>,
}

impl<K: Key, V: StateValue> Slot<K, V> {
    #[inline]
    pub(super) fn get(&self) -> &Group<K, V> {
        match self {
            Self::Owned(group) => group,
            Self::Lent { group, .. } => group,
            Self::Written(written) => &written.group,
        }
    }

    /// Finds an entry, to be changed or removed, or the place for a new one.
    #[inline]
    pub(super) fn find(&mut self, hash: KeyHash, key: &K) -> Found<'_, K, V> {
        match self {
            Self::Owned(group) => find(group, hash, key),
            shared => shared.find_shared(hash, key),
        }
    }

    #[inline(never)]
    fn find_shared(&mut self, hash: KeyHash, key: &K) -> Found<'_, K, V> {
        self.take_back();
        match self {
            Self::Written(written) => written.find(hash, key),
            Self::Owned(group) => find(group, hash, key),
            Self::Lent { .. } => unreachable!("the group has just been taken back"),
        }
    }

    #[inline]
    fn take_back(&mut self) {
        if !matches!(self, Self::Lent { .. }) {
            return;
        }
        if let Self::Lent { group, frozen } = std::mem::replace(self, Self::Owned(Group::new())) {
            let packing = frozen.take_back();
            // Nobody else has it any more.
            let group = Arc::unwrap_or_clone(group);
            *self = match packing {
                Some(packing) => {
                    let unfinished = vec![Unfinished { packing: Some(packing), frozen }];
                    Self::Written(Box::new(Written { group, unfinished }))
                }
                None => Self::Owned(group),
            };
        }
    }

    /// Hands out the entries as of now; `None` if there are none.
    pub(super) fn share(
        &mut self,
        number: KeyGroup,
        pack: &Pack<K, V>,
    ) -> Option<SharedGroup<K, V>> {
        if self.get().is_empty() {
            return None;
        }
        let packing = Packing::new(Arc::clone(pack));
        let frozen = match self {
            Self::Owned(group) => {
                let group = Arc::new(std::mem::take(group));
                let frozen = Frozen::new(Form::Lent { group: Arc::clone(&group), packing });
                *self = Self::Lent { group, frozen: Arc::clone(&frozen) };
                frozen
            }
            // It is as it was at the barrier before.
            Self::Lent { group, frozen } => match Frozen::join(frozen) {
                Some(frozen) => frozen,
                None => {
                    let group = Arc::clone(group);
                    *frozen = Frozen::new(Form::Lent { group, packing });
                    Arc::clone(frozen)
                }
            },
            Self::Written(written) => {
                let frozen = Frozen::new(Form::Written);
                let unfinished = Unfinished { packing: Some(packing), frozen: Arc::clone(&frozen) };
                written.unfinished.push(unfinished);
                frozen
            }
        };
        Some(SharedGroup::new(number, frozen))
    }

    /// Does a step of what is left to pack.
    pub(super) fn advance(&mut self) -> Progress {
        match self {
            Self::Owned(_) => Progress::None,
            Self::Lent { frozen, .. } if frozen.is_needed() => Progress::Elsewhere,
            Self::Lent { .. } => {
                self.take_back();
                Progress::None
            }
            Self::Written(written) => {
                let Written { group, unfinished } = &mut **written;
                unfinished.retain(Unfinished::is_needed);
                if let Some(oldest) = unfinished.first_mut()
                    && oldest.advance(group, STEP)
                {
                    unfinished.remove(0);
                }
                if unfinished.is_empty() {
                    *self = Self::Owned(std::mem::take(group));
                }
                Progress::Made
            }
        }
    }
}

/// What a step of packing has achieved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is nothing to do.
    None,
    /// An encoder is at it, or will be.
    Elsewhere,
    /// The step has been done; there may be more.
    Made,
}

/// An entry, to be changed or removed, or the place for a new one.
pub(super) type Found<'a, K, V> = Result<OccupiedEntry<'a, (K, V)>, Vacancy<'a, K, V>>;

/// A place for an entry whose key is not there.
pub(super) struct Vacancy<'a, K, V> {
    group: &'a mut Group<K, V>,
    unfinished: &'a mut [Unfinished<K, V>],
}

impl<'a, K: Key, V> Vacancy<'a, K, V> {
    #[inline(never)]
    pub(super) fn insert(self, hash: KeyHash, key: K, value: V) -> &'a mut V {
        let Self { group, unfinished } = self;
        if unfinished.is_empty() {
            return &mut group.insert_unique(hash.0, (key, value), rehash).into_mut().1;
        }
        if group.len() == group.capacity() {
            // It grows, and its entries move to other buckets.
            for unfinished in &mut *unfinished {
                unfinished.advance(group, usize::MAX);
            }
        }
        let buckets = group.num_buckets();
        let entry = group.insert_unique(hash.0, (key, value), rehash);
        for packing in packings(unfinished) {
            packing.after_insert(entry.bucket_index(), buckets);
        }
        &mut entry.into_mut().1
    }
}

#[inline]
fn find<'a, K: Key, V>(group: &'a mut Group<K, V>, hash: KeyHash, key: &K) -> Found<'a, K, V> {
    let found = group.find_entry(hash.0, |entry| entry.0 == *key);
    found.map_err(|absent| Vacancy { group: absent.into_table(), unfinished: &mut [] })
}

impl<K: Key, V> Written<K, V> {
    #[inline]
    fn find(&mut self, hash: KeyHash, key: &K) -> Found<'_, K, V> {
        let Self { group, unfinished } = self;
        let buckets = group.num_buckets();
        match group.find_entry(hash.0, |entry| entry.0 == *key) {
            Ok(found) => {
                for packing in packings(unfinished) {
                    packing.before_write(found.bucket_index(), buckets, found.get());
                }
                Ok(found)
            }
            Err(absent) => Err(Vacancy { group: absent.into_table(), unfinished }),
        }
    }
}

#[inline]
fn packings<K, V>(unfinished: &mut [Unfinished<K, V>]) -> impl Iterator<Item = &mut Packing<K, V>> {
    unfinished.iter_mut().filter_map(|unfinished| unfinished.packing.as_mut())
}

/// What the worker still has to pack of a group.
struct Unfinished<K, V> {
    /// `None` once it is done.
    packing: Option<Packing<K, V>>,
    frozen: Arc<Frozen<K, V>>,
}

impl<K, V> Unfinished<K, V> {
    fn is_needed(&self) -> bool {
        self.packing.is_some() && self.frozen.is_needed()
    }

    /// Packs some more, and hands it over when it is done; tells whether it is.
    fn advance(&mut self, group: &Group<K, V>, buckets: usize) -> bool {
        let Some(packing) = &mut self.packing else { return true };
        if !packing.advance(group, buckets) {
            return false;
        }
        if let Some(packing) = self.packing.take() {
            self.frozen.on_worker(|form| *form = Form::Packed(packing.finish()));
        }
        true
    }
}

impl<K, V> Drop for Unfinished<K, V> {
    fn drop(&mut self) {
        if self.packing.is_some() {
            self.frozen.on_worker(|form| *form = Form::Gone);
        }
    }
}
