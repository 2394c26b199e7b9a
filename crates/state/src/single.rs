//! The fast path: an operator with exactly one keyed state, without handles.

use tidegate_snapshot::manifest::StateDescription;
use tidegate_types::{KeyGroupRange, MaxParallelism, Timestamp};

use crate::{
    Key, KeyedSnapshot, KeyedTable, RestoreSource, StateError, StateValue,
    declared::KeyedDeclaration,
    snapshot::SharedStates,
    store::{Declaration, DeclaredType, StateTable, restore_blocks},
    ttl::Forever,
};

/// A [`KeyedTable`] with a name, so that it can be snapshotted and restored.
#[derive(Debug)]
pub struct SingleTable<K, V> {
    state: StateTable<K, V, Forever>,
    key: DeclaredType,
}

impl<K: Key, V: StateValue> SingleTable<K, V> {
    /// An empty state called `name` for the key groups of `range`, out of `max` many.
    #[must_use]
    pub fn new(name: &str, range: KeyGroupRange, max: MaxParallelism) -> Self {
        let declaration = Declaration {
            name: name.to_owned(),
            was: None,
            kind: "value",
            value: DeclaredType::of::<V>(),
            ttl_ms: None,
        };
        let state = StateTable::new(range, max, declaration, Forever);
        Self { state, key: DeclaredType::key_of::<K>() }
    }

    /// What the program says about it.
    ///
    /// # Errors
    ///
    /// When its keys or values could be written and not read back.
    pub fn declaration(&self) -> Result<KeyedDeclaration, StateError> {
        KeyedDeclaration::of(&self.key, std::slice::from_ref(&self.state.declaration))
    }

    /// The description of the keys' type.
    #[must_use]
    pub fn key_type(&self) -> &str {
        &self.key.description
    }

    /// The entries.
    #[must_use]
    pub const fn table(&self) -> &KeyedTable<K, V> {
        &self.state.table
    }

    /// The entries, to be changed.
    #[inline]
    pub const fn table_mut(&mut self) -> &mut KeyedTable<K, V> {
        &mut self.state.table
    }

    /// What a snapshot takes, as of now: copies nothing.
    pub fn snapshot(&mut self) -> (Vec<StateDescription>, Box<dyn KeyedSnapshot>) {
        let shared = self.state.share(Timestamp(0));
        (vec![self.state.declaration.describe(0)], Box::new(SharedStates(vec![shared])))
    }

    /// See [`KeyedTable::pack_some`].
    pub fn pack_some(&mut self) -> bool {
        self.state.table.pack_some()
    }

    /// Takes in what `sources` hold. Returns the names of states in them that this isn't.
    ///
    /// # Errors
    ///
    /// When the types do not fit, or the snapshot is damaged.
    pub fn restore(&mut self, sources: &[RestoreSource<'_>]) -> Result<Vec<String>, StateError> {
        let declared = [self.state.declaration.clone()];
        restore_blocks(&self.key, &declared, sources, |_, block, stored| {
            self.state.restore_block(block, stored, Timestamp(0))
        })
    }
}
