//! A key group as of a barrier: where the worker and the snapshots that hold it meet.
//!
//! # Protocol
//!
//! One lock per group, which is of interest only to who packs it. An encoder packs under the lock,
//! makes way for the worker after each step, and waits if the worker has taken the group back. The
//! worker never waits for more than a step, and hands over what it has packed.

use std::{
    fmt,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use tidegate_snapshot::codec::CodecError;
use tidegate_types::KeyGroup;

use super::{
    Group,
    packing::{Packed, Packing},
};

/// How many buckets are packed at once: some microseconds, unless values take long to encode.
pub(super) const STEP: usize = 512;

/// A group as of a barrier, which the worker and the snapshots of that moment hold.
pub(super) struct Frozen<K, V> {
    form: Mutex<Form<K, V>>,
    has_changed: Condvar,
    /// How many [`SharedGroup`]s there are. Changed under the lock, so that it fits the form.
    readers: AtomicUsize,
    /// Whether the worker waits for the lock: whoever packs under it makes way after each step.
    is_wanted: AtomicBool,
}

pub(super) enum Form<K, V> {
    /// Nobody writes to it.
    Lent {
        group: Arc<Group<K, V>>,
        packing: Packing<K, V>,
    },
    /// The worker writes to it, and packs it.
    Written,
    Packed(Result<Packed, CodecError>),
    /// Nobody needs it any more, or nobody can pack it.
    Gone,
}

impl<K, V> Frozen<K, V> {
    /// With one reader.
    pub(super) fn new(form: Form<K, V>) -> Arc<Self> {
        Arc::new(Self {
            form: Mutex::new(form),
            has_changed: Condvar::new(),
            readers: AtomicUsize::new(1),
            is_wanted: AtomicBool::new(false),
        })
    }

    /// For another reader, unless it is packed already: then something may have expired since.
    pub(super) fn join(this: &Arc<Self>) -> Option<Arc<Self>> {
        this.on_worker(|form| {
            matches!(form, Form::Lent { .. }).then(|| {
                this.readers.fetch_add(1, Ordering::Relaxed);
                Arc::clone(this)
            })
        })
    }

    fn leave(&self) {
        let mut form = self.lock();
        if self.readers.fetch_sub(1, Ordering::Relaxed) == 1 {
            *form = Form::Gone;
        }
    }

    /// Only the worker makes readers, so that it can rely on there being none.
    pub(super) fn is_needed(&self) -> bool {
        self.readers.load(Ordering::Relaxed) > 0
    }

    fn lock(&self) -> MutexGuard<'_, Form<K, V>> {
        self.form.lock().unwrap_or_else(give_up)
    }

    /// Has the worker look at the form or change it, as soon as the step under way is done.
    pub(super) fn on_worker<R>(&self, call: impl FnOnce(&mut Form<K, V>) -> R) -> R {
        self.is_wanted.store(true, Ordering::Relaxed);
        let mut form = self.lock();
        self.is_wanted.store(false, Ordering::Relaxed);
        let result = call(&mut form);
        drop(form);
        self.has_changed.notify_all();
        result
    }

    /// Lets go of the group, which the worker is about to write; returns what is left to pack of it.
    pub(super) fn take_back(&self) -> Option<Packing<K, V>> {
        self.on_worker(|form| match std::mem::replace(form, Form::Written) {
            Form::Lent { packing, .. } => Some(packing),
            other => {
                *form = other;
                None
            }
        })
    }

    /// Packs the group, or waits until the worker has.
    fn packed(&self) -> Result<Packed, PackError> {
        let mut form = self.lock();
        loop {
            match &mut *form {
                Form::Lent { group, packing } if !self.is_wanted.load(Ordering::Relaxed) => {
                    if packing.advance(group, STEP)
                        && let Form::Lent { packing, .. } =
                            std::mem::replace(&mut *form, Form::Gone)
                    {
                        *form = Form::Packed(packing.finish());
                    }
                }
                Form::Lent { .. } | Form::Written => {
                    form = self.has_changed.wait(form).unwrap_or_else(give_up);
                }
                Form::Packed(packed) => return packed.clone().map_err(PackError::Encode),
                Form::Gone => return Err(PackError::Abandoned),
            }
        }
    }
}

/// A value whose own code panics leaves a group half packed, and nobody knows how far.
fn give_up<'a, K, V>(
    poisoned: PoisonError<MutexGuard<'a, Form<K, V>>>,
) -> MutexGuard<'a, Form<K, V>> {
    let mut form = poisoned.into_inner();
    *form = Form::Gone;
    form
}

/// Why there is no encoded form of a group.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A value's own code reports an error.
    #[error(transparent)]
    Encode(CodecError),
    /// The table was dropped before the group was packed, or a value's own code panicked.
    #[error("the operator ended before all of its state was encoded")]
    Abandoned,
}

/// The entries of one key group as of a barrier (INV-FROZEN).
///
/// Drop it as soon as it is encoded: until then writing to the group costs more.
pub struct SharedGroup<K, V> {
    group: KeyGroup,
    frozen: Arc<Frozen<K, V>>,
}

impl<K, V> SharedGroup<K, V> {
    /// One of the readers that `frozen` counts.
    pub(super) const fn new(group: KeyGroup, frozen: Arc<Frozen<K, V>>) -> Self {
        Self { group, frozen }
    }

    /// The group's number.
    #[must_use]
    pub const fn group(&self) -> KeyGroup {
        self.group
    }

    /// Its entries in encoded form. If the group has been written since the barrier it is the worker
    /// that packs it, and this waits until it has: not to be called on the worker's own thread.
    ///
    /// # Errors
    ///
    /// When a value's own code reports one, or the table is dropped meanwhile.
    pub fn packed(&self) -> Result<Packed, PackError> {
        self.frozen.packed()
    }

    /// What an encoder does, unless the worker has written to the group.
    #[cfg(test)]
    pub(super) fn pack_what_is_lent(&self) {
        let is_lent = matches!(*self.frozen.lock(), Form::Lent { .. });
        if is_lent {
            let _ = self.packed();
        }
    }
}

impl<K, V> Drop for SharedGroup<K, V> {
    fn drop(&mut self) {
        self.frozen.leave();
    }
}

impl<K, V> fmt::Debug for SharedGroup<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedGroup").field("group", &self.group).finish_non_exhaustive()
    }
}
