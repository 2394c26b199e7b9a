//! One declared state seen from two sides: by its handle, which knows nothing of keys and reads
//! and writes the current one, and by the backend, which knows nothing of values.

use std::{
    cell::{Cell, Ref, RefCell, RefMut},
    rc::Rc,
};

use tidegate_snapshot::segment::Block;
use tidegate_types::{KeyHash, Timestamp};

use crate::{
    Key, StateError, StateValue,
    snapshot::SharedState,
    store::{Declaration, StateTable, Stored},
    table::SweepCursor,
    ttl::{Lifetime, Liveness},
};

/// How many places each access to a state with TTL looks at for something to clean up (Flink's
/// incremental cleanup, 5 entries).
const SWEEP: usize = 5;

/// What all states of an operator share: the current key and the time.
#[derive(Debug)]
pub(crate) struct Context<K> {
    pub(crate) key: RefCell<Option<K>>,
    pub(crate) hash: Cell<KeyHash>,
    pub(crate) now: Cell<Timestamp>,
}

impl<K> Context<K> {
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { key: RefCell::new(None), hash: Cell::new(KeyHash(0)), now: Cell::new(now) }
    }

    /// The current key and its hash.
    ///
    /// # Panics
    ///
    /// When there is none: the function runs outside of a record or a timer.
    #[inline]
    pub(crate) fn with_key<R>(&self, then: impl FnOnce(KeyHash, &K) -> R) -> R {
        let key = self.key.borrow();
        let key = key.as_ref().expect(
            "keyed state is read and written while a record or a timer is processed: outside of \
             that there is no current key",
        );
        then(self.hash.get(), key)
    }
}

/// The current key's value of one state.
///
/// A guard that it hands out must be gone before the next call. Handles see to that: what they do
/// between is either their own code, or runs under the handle's own borrow.
pub(crate) trait CurrentValue<T> {
    fn read(&self) -> Option<Ref<'_, T>>;
    fn write(&self) -> Option<RefMut<'_, T>>;
    /// The value, which is `make`'s if there is none.
    fn write_or(&self, make: &mut dyn FnMut() -> T) -> RefMut<'_, T>;
    fn put(&self, value: T);
    fn take(&self) -> Option<T>;
    fn now(&self) -> Timestamp;
    /// Cleans up a few expired entries, of whatever key.
    fn sweep(&self);
}

/// One state of an operator.
pub(crate) trait DeclaredState {
    fn declaration(&self) -> Declaration;
    /// See [`crate::KeyedTable::prefetch`].
    fn prefetch(&self, hashes: &[KeyHash]);
    /// What a snapshot takes, as of now.
    fn share(&self) -> Box<dyn SharedState>;
    /// See [`crate::KeyedTable::pack_some`].
    fn pack_some(&self) -> bool;
    fn restore_block(&self, block: &Block<'_>, stored: &Stored<'_>) -> Result<(), StateError>;
}

/// A state's table with the context that tells its current key.
pub(crate) struct StateCell<K, T, L> {
    context: Rc<Context<K>>,
    state: RefCell<StateTable<K, T, L>>,
    cursor: Cell<SweepCursor>,
}

impl<K, T, L> StateCell<K, T, L> {
    pub(crate) fn new(context: Rc<Context<K>>, state: StateTable<K, T, L>) -> Self {
        Self { context, state: RefCell::new(state), cursor: Cell::default() }
    }
}

impl<K: Key, T: StateValue, L: Lifetime<T>> CurrentValue<T> for StateCell<K, T, L> {
    fn read(&self) -> Option<Ref<'_, T>> {
        self.context.with_key(|hash, key| {
            Ref::filter_map(self.state.borrow(), |state| state.table.get(hash, key)).ok()
        })
    }

    fn write(&self) -> Option<RefMut<'_, T>> {
        self.context.with_key(|hash, key| {
            let state = self.state.borrow_mut();
            RefMut::filter_map(state, |state| state.table.get_mut(hash, key)).ok()
        })
    }

    fn write_or(&self, make: &mut dyn FnMut() -> T) -> RefMut<'_, T> {
        self.context.with_key(|hash, key| {
            let state = self.state.borrow_mut();
            RefMut::map(state, |state| state.table.get_or_insert_with(hash, key, make))
        })
    }

    fn put(&self, value: T) {
        self.context.with_key(|hash, key| self.state.borrow_mut().table.insert(hash, key, value));
    }

    fn take(&self) -> Option<T> {
        self.context.with_key(|hash, key| self.state.borrow_mut().table.remove(hash, key))
    }

    fn now(&self) -> Timestamp {
        self.context.now.get()
    }

    fn sweep(&self) {
        let mut cursor = self.cursor.get();
        let (now, mut state) = (self.now(), self.state.borrow_mut());
        let state = &mut *state;
        let lifetime = &state.lifetime;
        let stale = |value: &T| lifetime.liveness(value, now) != Liveness::All;
        state.table.sweep(&mut cursor, SWEEP, stale, |value| lifetime.prune(value, now));
        self.cursor.set(cursor);
    }
}

impl<K: Key, T: StateValue, L: Lifetime<T>> DeclaredState for StateCell<K, T, L> {
    fn declaration(&self) -> Declaration {
        self.state.borrow().declaration.clone()
    }

    fn prefetch(&self, hashes: &[KeyHash]) {
        self.state.borrow().table.prefetch(hashes);
    }

    fn share(&self) -> Box<dyn SharedState> {
        self.state.borrow_mut().share(self.context.now.get())
    }

    fn pack_some(&self) -> bool {
        self.state.borrow_mut().table.pack_some()
    }

    fn restore_block(&self, block: &Block<'_>, stored: &Stored<'_>) -> Result<(), StateError> {
        self.state.borrow_mut().restore_block(block, stored, self.context.now.get())
    }
}
