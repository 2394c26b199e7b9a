//! A keyed table with a name: what of it goes into a snapshot, and how it comes back.
//!
//! # Invariants
//!
//! - INV-NAME: state is matched by name, never by its number, which is only the place of its
//!   declaration.
//! - INV-GROUP: an entry is restored only into the key group that its key hashes to; a snapshot
//!   that says otherwise is damaged, or was written with another hash.
//!
//! # Failure
//!
//! A restore that fails leaves the tables half filled: they are to be thrown away. A block is let go of
//! once it is in its table, so that what of a snapshot is in memory is what its source has fetched
//! ahead.

use std::{collections::BTreeSet, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use tidegate_snapshot::{
    codec,
    described::Described,
    manifest::StateDescription,
    segment::{Block, BlockSink, BlockSource, KeyedSegmentReader},
    wire::decode_as,
};
use tidegate_types::{KeyGroup, KeyGroupRange, KeyHash, MaxParallelism, Timestamp};

use crate::{
    Key, KeyedTable, StateError, StateValue,
    declared::{carry_key_over, carry_over, in_words},
    describe::{
        accepted, accepted_list, accepted_map,
        check::{UnfitType, check_key, check_type},
        list_description, map_description,
        on_write::WriteCheck,
        shape::Shape,
        type_description,
    },
    snapshot::SharedState,
    table::{
        packing::{Pack, Piece},
        shared::{PackError, SharedGroup},
    },
    ttl::{Lifetime, Liveness, retime::Retime},
};

/// A type as the program has it.
#[derive(Clone, Debug)]
pub(crate) struct DeclaredType {
    pub(crate) description: String,
    /// Finds out what it can be read from.
    pub(crate) accepted: fn() -> Option<Shape>,
    /// Finds out whether its values can be read back.
    pub(crate) check: fn() -> Result<(), UnfitType>,
}

impl DeclaredType {
    pub(crate) fn of<T: Serialize + DeserializeOwned>() -> Self {
        let description = type_description::<T>();
        Self { description, accepted: accepted::<T>, check: check_type::<T> }
    }

    pub(crate) fn key_of<K: Key>() -> Self {
        Self { check: check_key::<K>, ..Self::of::<K>() }
    }

    pub(crate) fn list_of<T: Serialize + DeserializeOwned>() -> Self {
        let description = list_description::<T>();
        Self { description, accepted: accepted_list::<T>, check: check_type::<T> }
    }

    pub(crate) fn map_of<K: Key, V: Serialize + DeserializeOwned>() -> Self {
        Self {
            description: map_description::<K, V>(),
            accepted: accepted_map::<K, V>,
            check: || check_key::<K>().and_then(|()| check_type::<V>()),
        }
    }
}

/// What the program says about a state.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    /// What it was called in older snapshots.
    pub(crate) was: Option<String>,
    pub(crate) kind: &'static str,
    pub(crate) value: DeclaredType,
    pub(crate) ttl_ms: Option<u64>,
}

impl Declaration {
    pub(crate) fn describe(&self, id: u16) -> StateDescription {
        StateDescription {
            id,
            name: self.name.clone(),
            kind: self.kind.to_owned(),
            value_type: self.value.description.clone(),
            ttl_ms: self.ttl_ms,
        }
    }

    /// In which form a value is in the snapshot, unless that is the form of the program's type.
    fn check(&self, stored: &StateDescription) -> Result<Option<Form>, StateError> {
        let accepted = || (self.value.accepted)();
        let changes = carry_over(stored, &self.describe(0), accepted)?;
        Ok(changes.map(|_| Form::of(stored, self.ttl_ms.is_some())))
    }

    fn incompatible(&self, stored: &StateDescription, source: codec::CodecError) -> StateError {
        StateError::Incompatible {
            state: self.name.clone(),
            stored: in_words(stored),
            declared: in_words(&self.describe(0)),
            source: Some(source.into()),
        }
    }
}

/// Keyed state to restore from: blocks of a snapshot, to be gone through once.
#[derive(Clone)]
pub struct RestoreSource<'a> {
    /// Where its blocks come from.
    pub blocks: Arc<dyn BlockSource>,
    /// The states in it.
    pub states: &'a [StateDescription],
    /// The description of its keys' type.
    pub key_type: &'a str,
}

impl<'a> RestoreSource<'a> {
    /// Some key groups of a segment that is in memory, with these states in it and keys of that type.
    #[must_use]
    pub fn of_segment(
        segment: KeyedSegmentReader,
        groups: KeyGroupRange,
        states: &'a [StateDescription],
        key_type: &'a str,
    ) -> Self {
        Self { blocks: Arc::new(segment.into_source(groups)), states, key_type }
    }
}

/// In which form a state is in a snapshot.
pub(crate) struct Stored<'a> {
    description: &'a StateDescription,
    /// The types of its keys and values, where they are not those of the program.
    key: Option<Described>,
    value: Option<Form>,
}

/// The form of values that are not in the one of the program's type.
struct Form {
    /// What has to be added to them, or taken away, first.
    retime: Option<Retime>,
    described: Described,
}

impl Form {
    fn of(stored: &StateDescription, has_ttl: bool) -> Self {
        let retime = (stored.ttl_ms.is_some() != has_ttl).then(|| Retime::of(stored));
        let ttl_ms = has_ttl.then(|| stored.ttl_ms.unwrap_or(0));
        let described = Described::of_state(&StateDescription { ttl_ms, ..stored.clone() });
        Self { retime, described }
    }

    fn decode<V: DeserializeOwned>(
        &self,
        bytes: &mut &[u8],
        now: Timestamp,
    ) -> Result<V, codec::CodecError> {
        let value = match &self.retime {
            None => decode_as(&self.described, bytes),
            Some(retime) => retime
                .take(bytes, now)
                .and_then(|retimed| decode_as(&self.described, &mut retimed.as_slice())),
        };
        value.map_err(codec::CodecError::Carry)
    }
}

/// Goes through `sources` and hands each block of a declared state to `restore`, with the state's
/// place among `declared`. Returns the names of states that the program does not declare.
pub(crate) fn restore_blocks(
    key: &DeclaredType,
    declared: &[Declaration],
    sources: &[RestoreSource<'_>],
    mut restore: impl FnMut(usize, &Block<'_>, &Stored<'_>) -> Result<(), StateError>,
) -> Result<Vec<String>, StateError> {
    let mut unknown = BTreeSet::new();
    for source in sources {
        let changes = carry_key_over(source.key_type, &key.description, || (key.accepted)())?;
        let stored_key = changes.map(|_| Described::parse(source.key_type));
        let places = match_by_name(declared, source.states, &mut unknown);
        let mut states = Vec::new();
        for (description, place) in source.states.iter().zip(&places) {
            let value = place.map(|place| declared[place].check(description)).transpose()?;
            states.push(Stored { description, key: stored_key.clone(), value: value.flatten() });
        }
        let mut blocks = source.blocks.open();
        while let Some(block) = blocks.next_block()? {
            let block = block.as_block();
            let place = source.states.iter().position(|state| state.id == block.state);
            match place.map(|place| (places[place], &states[place])) {
                Some((Some(target), stored)) => restore(target, &block, stored)?,
                Some((None, _)) => {}
                None => return Err(unnamed(&block)),
            }
        }
    }
    Ok(unknown.into_iter().collect())
}

/// For each stored state the place of the declared one of that name, or that had it once (INV-NAME).
fn match_by_name(
    declared: &[Declaration],
    stored: &[StateDescription],
    unknown: &mut BTreeSet<String>,
) -> Vec<Option<usize>> {
    let mut places = Vec::with_capacity(stored.len());
    for state in stored {
        let by_name = declared.iter().position(|declaration| declaration.name == state.name);
        let place = by_name.or_else(|| {
            declared.iter().position(|declaration| {
                declaration.was.as_ref() == Some(&state.name)
                    && stored.iter().all(|state| state.name != declaration.name)
            })
        });
        if place.is_none() {
            unknown.insert(state.name.clone());
        }
        places.push(place);
    }
    places
}

fn unnamed(block: &Block<'_>) -> StateError {
    StateError::Corrupt {
        state: format!("#{}", block.state),
        group: block.group,
        problem: "the snapshot does not describe this state".to_owned(),
    }
}

/// A keyed table with a name, whose values live as `L` says.
#[derive(Debug)]
pub(crate) struct StateTable<K, V, L> {
    pub(crate) table: KeyedTable<K, V>,
    pub(crate) declaration: Declaration,
    pub(crate) lifetime: L,
    /// What has been written of it.
    checks: Arc<Checks<K, V>>,
}

/// What has been looked at of the keys and values that were written.
struct Checks<K, V> {
    keys: WriteCheck<K>,
    values: WriteCheck<V>,
}

impl<K, V> std::fmt::Debug for Checks<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checks").finish_non_exhaustive()
    }
}

impl<K: Key, V: StateValue, L: Lifetime<V>> StateTable<K, V, L> {
    pub(crate) fn new(
        range: KeyGroupRange,
        max: MaxParallelism,
        declaration: Declaration,
        lifetime: L,
    ) -> Self {
        let checks = Checks { keys: WriteCheck::default(), values: WriteCheck::default() };
        Self { table: KeyedTable::new(range, max), declaration, lifetime, checks: Arc::new(checks) }
    }

    /// The entries as of now, to be encoded on another thread.
    pub(crate) fn share(&mut self, now: Timestamp) -> Box<dyn SharedState> {
        let (lifetime, checks) = (self.lifetime.clone(), Arc::clone(&self.checks));
        let pack: Pack<K, V> =
            Arc::new(move |entry, out| encode_alive(&lifetime, &checks, now, entry, out));
        let groups = self.table.share(&pack).into_iter().peekable();
        Box::new(SharedTable { groups, name: self.declaration.name.clone() })
    }

    /// Takes in one block, without what has expired, and if keys have changed without those that
    /// belong to others now.
    pub(crate) fn restore_block(
        &mut self,
        block: &Block<'_>,
        stored: &Stored<'_>,
        now: Timestamp,
    ) -> Result<(), StateError> {
        // There are no more of them than bytes, which a segment sees to when it is opened.
        let count = usize::try_from(block.entries).unwrap_or(usize::MAX);
        if stored.key.is_none() {
            self.table.reserve(block.group, count);
        }
        let mut bytes = block.bytes;
        for _ in 0..count {
            let (key, mut value) = self.decode_entry(&mut bytes, stored, now)?;
            let hash = KeyHash::of(&key);
            let group = hash.group(self.table.max_parallelism());
            if stored.key.is_some() {
                if !self.table.range().contains(group) {
                    continue;
                }
            } else if group != block.group {
                return Err(self.corrupt(block.group, "it holds a key of another key group"));
            }
            if self.lifetime.prune(&mut value, now) {
                self.table.insert(hash, &key, value);
            }
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let left_over = codec::CodecError::LeftOver { count: bytes.len() };
        Err(self.declaration.incompatible(stored.description, left_over))
    }

    fn decode_entry(
        &self,
        bytes: &mut &[u8],
        stored: &Stored<'_>,
        now: Timestamp,
    ) -> Result<(K, V), StateError> {
        let pair = match stored {
            Stored { key: None, value: None, .. } => decode_pair(bytes),
            Stored { key, value, .. } => decode_key(key.as_ref(), bytes).and_then(|key| {
                let value = match value {
                    Some(form) => form.decode(bytes, now)?,
                    None => codec::decode(bytes)?,
                };
                Ok((key, value))
            }),
        };
        pair.map_err(|error| self.declaration.incompatible(stored.description, error))
    }

    fn corrupt(&self, group: KeyGroup, problem: &str) -> StateError {
        let state = self.declaration.name.clone();
        StateError::Corrupt { state, group, problem: problem.to_owned() }
    }
}

fn decode_pair<K: DeserializeOwned, V: DeserializeOwned>(
    bytes: &mut &[u8],
) -> Result<(K, V), codec::CodecError> {
    Ok((codec::decode(bytes)?, codec::decode(bytes)?))
}

/// Decodes a key that was written as `stored`, or as the program's type.
fn decode_key<T: DeserializeOwned>(
    stored: Option<&Described>,
    bytes: &mut &[u8],
) -> Result<T, codec::CodecError> {
    match stored {
        Some(stored) => decode_as(stored, bytes).map_err(codec::CodecError::Carry),
        None => codec::decode(bytes),
    }
}

/// Encodes what of an entry is alive as of a barrier. Of a group that has not been written since an
/// earlier barrier, whose snapshot is not done yet, it may be what was alive then.
fn encode_alive<K: Key, V: StateValue>(
    lifetime: &impl Lifetime<V>,
    checks: &Checks<K, V>,
    now: Timestamp,
    (key, value): &(K, V),
    out: &mut Vec<u8>,
) -> Result<bool, codec::CodecError> {
    match lifetime.liveness(value, now) {
        Liveness::None => return Ok(false),
        Liveness::All => encode_pair(checks, key, value, out)?,
        Liveness::Some => {
            let mut alive = value.clone();
            lifetime.prune(&mut alive, now);
            encode_pair(checks, key, &alive, out)?;
        }
    }
    Ok(true)
}

fn encode_pair<K: Key, V: StateValue>(
    checks: &Checks<K, V>,
    key: &K,
    value: &V,
    out: &mut Vec<u8>,
) -> Result<(), codec::CodecError> {
    checks.keys.encode(key, out)?;
    checks.values.encode(value, out)
}

/// Where the keys and values of a piece end, which is not written down in it.
fn find_bounds<K: DeserializeOwned, V: DeserializeOwned>(
    piece: &Piece,
) -> Result<Vec<usize>, codec::CodecError> {
    let (mut rest, mut bounds) = (&piece.bytes[..], Vec::new());
    for _ in 0..piece.entries {
        codec::decode::<K>(&mut rest)?;
        bounds.push(piece.bytes.len() - rest.len());
        codec::decode::<V>(&mut rest)?;
        bounds.push(piece.bytes.len() - rest.len());
    }
    Ok(bounds)
}

/// The entries of a table as of a barrier.
struct SharedTable<K, V> {
    groups: std::iter::Peekable<std::vec::IntoIter<SharedGroup<K, V>>>,
    name: String,
}

impl<K: Key, V: StateValue> SharedTable<K, V> {
    fn encode_failed(&self, source: codec::CodecError) -> StateError {
        StateError::Encode { state: self.name.clone(), source }
    }
}

impl<K: Key, V: StateValue> SharedState for SharedTable<K, V> {
    fn next_group(&mut self) -> Option<KeyGroup> {
        self.groups.peek().map(SharedGroup::group)
    }

    fn encode_next(&mut self, state: u16, sink: &mut dyn BlockSink) -> Result<(), StateError> {
        let Some(group) = self.groups.next() else { return Ok(()) };
        let packed = group.packed().map_err(|error| match error {
            PackError::Encode(source) => self.encode_failed(source),
            PackError::Abandoned => StateError::Abandoned { state: self.name.clone() },
        })?;
        sink.begin_block(group.group(), state);
        // Here the reference goes, so that writing to this group costs no more than usual.
        drop(group);
        for piece in packed.pieces {
            let bounds = if sink.wants_bounds() { find_bounds::<K, V>(&piece) } else { Ok(vec![]) };
            let bounds = bounds.map_err(|source| self.encode_failed(source))?;
            sink.put(piece.bytes, piece.entries, &bounds)
                .map_err(|source| StateError::Write { state: self.name.clone(), source })?;
        }
        sink.end_block();
        Ok(())
    }
}
