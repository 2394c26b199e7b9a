//! A key group that the worker and an encoder share.
//!
//! ```text
//!   share()                   first write after it
//!   Owned ---> Shared --+-- nobody needs it any more ------> Owned
//!     ^                 +-- the encoder is not there yet --> Owned     once it is packed
//!     |                 +-- the encoder is reading it -----> Owned     once it has read it
//!     +--- every read and write goes straight here, without an atomic
//! ```
//!
//! Nothing is ever copied. A table takes several times the memory of its encoded form, and records
//! with keys in no order touch every group within a moment of the barrier: if each were copied,
//! memory would double for as long as a savepoint takes. So the worker does the encoder's work for
//! that group instead ([`Pack`]), or waits while the encoder does it. Either takes less time than a
//! copy with the page faults that come with it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use hashbrown::hash_table;
use tidegate_snapshot::codec::CodecError;
use tidegate_types::KeyGroup;

use super::Group;
use crate::{Key, StateValue};

/// Writes the entries of a group one behind the other, each its key and then its value.
pub type Pack<K, V> =
    Arc<dyn Fn(hash_table::Iter<'_, (K, V)>) -> Result<Packed, CodecError> + Send + Sync>;

/// The entries of a group in their encoded form.
#[derive(Debug, Default)]
pub struct Packed {
    /// One behind the other.
    pub bytes: Bytes,
    /// How many there are.
    pub entries: u64,
}

/// Where a group's entries are.
pub(super) enum Slot<K, V> {
    Owned(Group<K, V>),
    Shared { group: Arc<Group<K, V>>, frozen: Arc<Frozen<K, V>> },
}

impl<K: Key, V: StateValue> Slot<K, V> {
    #[inline]
    pub(super) fn get(&self) -> &Group<K, V> {
        match self {
            Self::Owned(group) => group,
            Self::Shared { group, .. } => group,
        }
    }

    #[inline]
    pub(super) fn get_mut(&mut self) -> &mut Group<K, V> {
        if matches!(self, Self::Shared { .. }) {
            self.take_back();
        }
        match self {
            Self::Owned(group) => group,
            Self::Shared { .. } => unreachable!("the group has just been taken back"),
        }
    }

    #[cold]
    #[inline(never)]
    fn take_back(&mut self) {
        if let Self::Shared { group, frozen } = std::mem::replace(self, Self::Owned(Group::new())) {
            frozen.give_back();
            // Nobody else has it any more.
            *self = Self::Owned(Arc::unwrap_or_clone(group));
        }
    }

    /// `None` if there is nothing in the group.
    pub(super) fn share(
        &mut self,
        number: KeyGroup,
        pack: &Pack<K, V>,
    ) -> Option<SharedGroup<K, V>> {
        if let Self::Owned(group) = self {
            if group.is_empty() {
                return None;
            }
            let group = Arc::new(std::mem::take(group));
            let form = Mutex::new(Form::Live(Arc::clone(&group)));
            let frozen = Arc::new(Frozen { form, pack: Arc::clone(pack) });
            *self = Self::Shared { group, frozen };
        }
        match self {
            Self::Owned(_) => None,
            Self::Shared { frozen, .. } => {
                Some(SharedGroup { group: number, frozen: Arc::clone(frozen) })
            }
        }
    }
}

/// A group as of a barrier, which the worker and the snapshots of that moment hold.
pub(super) struct Frozen<K, V> {
    form: Mutex<Form<K, V>>,
    pack: Pack<K, V>,
}

enum Form<K, V> {
    Live(Arc<Group<K, V>>),
    Packed(Result<Packed, CodecError>),
}

impl<K, V> Frozen<K, V> {
    fn lock(&self) -> MutexGuard<'_, Form<K, V>> {
        // A value whose own code panics leaves the form as it was.
        self.form.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of the group, which the worker is about to write.
    fn give_back(self: Arc<Self>) {
        // Only the worker shares a group, so that a count of one can't grow again.
        let is_needed = Arc::strong_count(&self) > 1;
        let mut form = self.lock();
        if let Form::Live(group) = &*form {
            let packed = if is_needed { (self.pack)(group.iter()) } else { Ok(Packed::default()) };
            *form = Form::Packed(packed);
        }
    }
}

/// The entries of one key group as of a barrier (INV-FROZEN).
///
/// Drop it as soon as it is encoded: until then the first write to the group has to pack it.
pub struct SharedGroup<K, V> {
    group: KeyGroup,
    frozen: Arc<Frozen<K, V>>,
}

impl<K, V> SharedGroup<K, V> {
    /// The group's number.
    #[must_use]
    pub const fn group(&self) -> KeyGroup {
        self.group
    }

    /// Hands what it holds to `take`, during which the worker can't write to the group.
    pub fn read<R>(&self, take: impl FnOnce(Contents<'_, K, V>) -> R) -> R {
        match &*self.frozen.lock() {
            Form::Live(group) => take(Contents::Live(group.iter())),
            Form::Packed(packed) => take(Contents::Packed(packed)),
        }
    }
}

/// What a [`SharedGroup`] holds.
pub enum Contents<'a, K, V> {
    /// The entries themselves, in no order.
    Live(hash_table::Iter<'a, (K, V)>),
    /// What its [`Pack`] has made of them, because the worker needed the entries.
    Packed(&'a Result<Packed, CodecError>),
}

impl<K, V> fmt::Debug for SharedGroup<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedGroup").field("group", &self.group).finish_non_exhaustive()
    }
}
