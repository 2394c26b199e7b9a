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
//! A restore that fails leaves the tables half filled: they are to be thrown away.

use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

use bytes::Bytes;
use hashbrown::hash_table;
use serde::{Serialize, de::DeserializeOwned};
use tidegate_snapshot::{
    codec,
    manifest::StateDescription,
    segment::{Block, BlockSink, KeyedSegmentReader},
};
use tidegate_types::{KeyGroup, KeyGroupRange, KeyHash, MaxParallelism, Timestamp};

use crate::{
    Key, KeyedTable, StateError, StateValue,
    snapshot::SharedState,
    table::shared::{Contents, Pack, Packed, SharedGroup},
    ttl::{Lifetime, Liveness},
};

/// What the program says about a state.
#[derive(Clone, Debug)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) value_type: String,
    pub(crate) ttl_ms: Option<u64>,
}

impl Declaration {
    pub(crate) fn describe(&self, id: u16) -> StateDescription {
        StateDescription {
            id,
            name: self.name.clone(),
            kind: self.kind.to_owned(),
            value_type: self.value_type.clone(),
            ttl_ms: self.ttl_ms,
        }
    }

    fn in_words(&self) -> String {
        in_words(self.kind, &self.value_type, self.ttl_ms)
    }

    fn check(&self, stored: &StateDescription) -> Result<(), StateError> {
        // A TTL may get longer or shorter, but with one an entry holds its time too.
        let same = self.kind == stored.kind
            && self.value_type == stored.value_type
            && self.ttl_ms.is_some() == stored.ttl_ms.is_some();
        if same { Ok(()) } else { Err(self.incompatible(stored, None)) }
    }

    fn incompatible(
        &self,
        stored: &StateDescription,
        source: Option<codec::CodecError>,
    ) -> StateError {
        StateError::Incompatible {
            state: self.name.clone(),
            stored: in_words(&stored.kind, &stored.value_type, stored.ttl_ms),
            declared: self.in_words(),
            source,
        }
    }
}

fn in_words(kind: &str, value_type: &str, ttl_ms: Option<u64>) -> String {
    let ttl = if ttl_ms.is_some() { " with TTL" } else { "" };
    format!("`{value_type}` ({kind} state{ttl})")
}

/// Keyed state to restore from: a segment of the snapshot, and which of its key groups to take.
#[derive(Clone, Debug)]
pub struct RestoreSource<'a> {
    /// The segment.
    pub segment: KeyedSegmentReader,
    /// The key groups to take from it.
    pub groups: KeyGroupRange,
    /// The states in it.
    pub states: &'a [StateDescription],
    /// The description of its keys' type.
    pub key_type: &'a str,
}

/// Goes through `sources` and hands each block of a declared state to `restore`, with the state's
/// place among `declared`. Returns the names of states that the program does not declare.
pub(crate) fn restore_blocks(
    key_type: &str,
    declared: &[Declaration],
    sources: &[RestoreSource<'_>],
    mut restore: impl FnMut(usize, &Block<'_>, &StateDescription) -> Result<(), StateError>,
) -> Result<Vec<String>, StateError> {
    let mut unknown = BTreeSet::new();
    for source in sources {
        if source.key_type != key_type {
            return Err(StateError::KeyType {
                stored: source.key_type.to_owned(),
                declared: key_type.to_owned(),
            });
        }
        let places = match_by_name(declared, source.states, &mut unknown)?;
        for block in source.segment.blocks_in(source.groups) {
            let place = source.states.iter().position(|state| state.id == block.state);
            match place.map(|place| (places[place], &source.states[place])) {
                Some((Some(target), stored)) => restore(target, &block, stored)?,
                Some((None, _)) => {}
                None => return Err(unnamed(&block)),
            }
        }
    }
    Ok(unknown.into_iter().collect())
}

/// For each stored state the place of the declared one of that name (INV-NAME).
fn match_by_name(
    declared: &[Declaration],
    stored: &[StateDescription],
    unknown: &mut BTreeSet<String>,
) -> Result<Vec<Option<usize>>, StateError> {
    let mut places = Vec::with_capacity(stored.len());
    for state in stored {
        let place = declared.iter().position(|declaration| declaration.name == state.name);
        match place {
            Some(place) => declared[place].check(state)?,
            None => drop(unknown.insert(state.name.clone())),
        }
        places.push(place);
    }
    Ok(places)
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
}

impl<K: Key, V: StateValue, L: Lifetime<V>> StateTable<K, V, L> {
    pub(crate) fn new(
        range: KeyGroupRange,
        max: MaxParallelism,
        declaration: Declaration,
        lifetime: L,
    ) -> Self {
        Self { table: KeyedTable::new(range, max), declaration, lifetime }
    }

    /// The entries as of now, to be encoded on another thread.
    pub(crate) fn share(&mut self, now: Timestamp) -> Box<dyn SharedState> {
        let alive = Alive { lifetime: self.lifetime.clone(), now };
        let to_pack = alive.clone();
        let pack: Pack<K, V> = Arc::new(move |entries| to_pack.pack(entries));
        let groups = self.table.share(&pack).into_iter().peekable();
        Box::new(SharedTable { groups, name: self.declaration.name.clone(), alive })
    }

    /// Takes in one block, without what has expired.
    pub(crate) fn restore_block(
        &mut self,
        block: &Block<'_>,
        stored: &StateDescription,
        now: Timestamp,
    ) -> Result<(), StateError> {
        let count = usize::try_from(block.entries).unwrap_or(usize::MAX);
        // An entry takes at least a byte, but for the single one whose key and value take none.
        if count > block.bytes.len().max(1) {
            return Err(self.corrupt(block.group, "it can't hold as many entries as it says"));
        }
        self.table.reserve(block.group, count);
        let mut bytes = block.bytes;
        for _ in 0..count {
            let (key, mut value) = self.decode_entry(&mut bytes, stored)?;
            let hash = KeyHash::of(&key);
            if hash.group(self.table.max_parallelism()) != block.group {
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
        Err(self.declaration.incompatible(stored, Some(left_over)))
    }

    fn decode_entry(
        &self,
        bytes: &mut &[u8],
        stored: &StateDescription,
    ) -> Result<(K, V), StateError> {
        decode_pair(bytes).map_err(|error| self.declaration.incompatible(stored, Some(error)))
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

/// Encodes what of an entry is alive as of a barrier. Of a group that has not been written since an
/// earlier barrier, whose snapshot is not done yet, it may be what was alive then.
#[derive(Clone)]
struct Alive<L> {
    lifetime: L,
    now: Timestamp,
}

impl<L> Alive<L> {
    /// Appends an entry, unless it has expired.
    fn encode<K: Key, V: StateValue>(
        &self,
        (key, value): &(K, V),
        out: &mut Vec<u8>,
        bounds: &mut Option<&mut Vec<usize>>,
    ) -> Result<bool, codec::CodecError>
    where
        L: Lifetime<V>,
    {
        match self.lifetime.liveness(value, self.now) {
            Liveness::None => return Ok(false),
            Liveness::All => encode_pair(key, value, out, bounds)?,
            Liveness::Some => {
                let mut alive = value.clone();
                self.lifetime.prune(&mut alive, self.now);
                encode_pair(key, &alive, out, bounds)?;
            }
        }
        Ok(true)
    }

    fn encode_all<'a, K: Key, V: StateValue>(
        &self,
        entries: impl Iterator<Item = &'a (K, V)>,
        out: &mut Vec<u8>,
        mut bounds: Option<&mut Vec<usize>>,
    ) -> Result<u64, codec::CodecError>
    where
        L: Lifetime<V>,
    {
        let mut count = 0;
        for entry in entries {
            count += u64::from(self.encode(entry, out, &mut bounds)?);
        }
        Ok(count)
    }

    /// The entries of a group that the worker is about to write.
    fn pack<K: Key, V: StateValue>(
        &self,
        entries: hash_table::Iter<'_, (K, V)>,
    ) -> Result<Packed, codec::CodecError>
    where
        L: Lifetime<V>,
    {
        // Many of them wait at once: what a list keeps in reserve would add up.
        PACKING.with_borrow_mut(|out| {
            out.clear();
            let entries = self.encode_all(entries, out, None)?;
            Ok(Packed { bytes: Bytes::copy_from_slice(out), entries })
        })
    }
}

thread_local! {
    /// Where a worker packs, time and again.
    static PACKING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

fn encode_pair<K: Serialize, V: Serialize>(
    key: &K,
    value: &V,
    out: &mut Vec<u8>,
    bounds: &mut Option<&mut Vec<usize>>,
) -> Result<(), codec::CodecError> {
    codec::encode(key, out)?;
    if let Some(bounds) = bounds {
        bounds.push(out.len());
    }
    codec::encode(value, out)?;
    if let Some(bounds) = bounds {
        bounds.push(out.len());
    }
    Ok(())
}

/// Where the keys and values of a packed group end, which is not written down in it.
fn find_bounds<K: DeserializeOwned, V: DeserializeOwned>(
    packed: &Packed,
    bounds: &mut Vec<usize>,
) -> Result<(), codec::CodecError> {
    let mut rest = &packed.bytes[..];
    for _ in 0..packed.entries {
        codec::decode::<K>(&mut rest)?;
        bounds.push(packed.bytes.len() - rest.len());
        codec::decode::<V>(&mut rest)?;
        bounds.push(packed.bytes.len() - rest.len());
    }
    Ok(())
}

/// The entries of a table as of a barrier.
struct SharedTable<K, V, L> {
    groups: std::iter::Peekable<std::vec::IntoIter<SharedGroup<K, V>>>,
    name: String,
    alive: Alive<L>,
}

impl<K: Key, V: StateValue, L: Lifetime<V>> SharedTable<K, V, L> {
    fn encode_contents(
        &self,
        contents: Contents<'_, K, V>,
        sink: &mut dyn BlockSink,
    ) -> Result<u64, codec::CodecError> {
        match contents {
            Contents::Live(entries) => {
                let (out, bounds) = sink.entries();
                self.alive.encode_all(entries, out, bounds)
            }
            Contents::Packed(packed) => {
                let packed = packed.as_ref().map_err(Clone::clone)?;
                if let Some(bounds) = sink.entries().1 {
                    find_bounds::<K, V>(packed, bounds)?;
                }
                sink.put(packed.bytes.clone());
                Ok(packed.entries)
            }
        }
    }
}

impl<K: Key, V: StateValue, L: Lifetime<V>> SharedState for SharedTable<K, V, L> {
    fn next_group(&mut self) -> Option<KeyGroup> {
        self.groups.peek().map(SharedGroup::group)
    }

    fn encode_next(&mut self, state: u16, sink: &mut dyn BlockSink) -> Result<(), StateError> {
        let Some(group) = self.groups.next() else { return Ok(()) };
        sink.begin_block(group.group(), state);
        let entries = group
            .read(|contents| self.encode_contents(contents, sink))
            .map_err(|source| StateError::Encode { state: self.name.clone(), source })?;
        // Here the reference goes, so that the next write to this group costs nothing.
        drop(group);
        sink.end_block(entries)
            .map_err(|source| StateError::Write { state: self.name.clone(), source })
    }
}
