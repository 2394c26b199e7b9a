//! A map per key.

use std::cell::Ref;

use hashbrown::HashTable;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidegate_types::{KeyHash, Timestamp};

use crate::{
    Key, StateTtl, StateValue,
    cell::CurrentValue,
    handles::Backing,
    table::keys::KeyCheck,
    ttl::{Lifetime, Liveness, Timed},
};

/// A map whose keys need neither `Hash` nor `Ord`: it hashes their serialized bytes.
#[derive(Clone, Debug)]
pub(crate) struct StateMap<UK, UV> {
    entries: HashTable<(UK, UV)>,
}

impl<UK, UV> Default for StateMap<UK, UV> {
    fn default() -> Self {
        Self { entries: HashTable::new() }
    }
}

impl<UK: Key, UV> StateMap<UK, UV> {
    fn get(&self, key: &UK) -> Option<&UV> {
        let found = self.entries.find(KeyHash::of(key).0, |entry| entry.0 == *key);
        found.map(|entry| &entry.1)
    }

    fn get_mut(&mut self, key: &UK) -> Option<&mut UV> {
        let found = self.entries.find_mut(KeyHash::of(key).0, |entry| entry.0 == *key);
        found.map(|entry| &mut entry.1)
    }

    fn insert(&mut self, key: UK, value: UV) {
        let hash = KeyHash::of(&key).0;
        match self.entries.find_entry(hash, |entry| entry.0 == key) {
            Ok(mut found) => found.get_mut().1 = value,
            Err(absent) => {
                let rehash = |entry: &(UK, UV)| KeyHash::of(&entry.0).0;
                absent.into_table().insert_unique(hash, (key, value), rehash);
            }
        }
    }

    fn remove(&mut self, key: &UK) -> Option<UV> {
        let found = self.entries.find_entry(KeyHash::of(key).0, |entry| entry.0 == *key);
        found.ok().map(|entry| entry.remove().0.1)
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn iter(&self) -> impl Iterator<Item = (&UK, &UV)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }
}

impl<UK: Serialize, UV: Serialize> Serialize for StateMap<UK, UV> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(&self.entries)
    }
}

impl<'de, UK: Key, UV: Deserialize<'de>> Deserialize<'de> for StateMap<UK, UV> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut map = Self::default();
        for (key, value) in Vec::<(UK, UV)>::deserialize(deserializer)? {
            map.insert(key, value);
        }
        Ok(map)
    }
}

/// A map with times, as it is kept for a state with TTL.
pub(crate) type TimedMap<UK, UV> = StateMap<UK, Timed<UV>>;

impl<UK: Key, UV> Lifetime<TimedMap<UK, UV>> for StateTtl {
    fn liveness(&self, map: &TimedMap<UK, UV>, now: Timestamp) -> Liveness {
        let alive = map.iter().filter(|(_, timed)| !self.is_expired(timed.at, now)).count();
        if map.is_empty() { Liveness::None } else { Liveness::of(alive, map.entries.len()) }
    }

    fn prune(&self, map: &mut TimedMap<UK, UV>, now: Timestamp) -> bool {
        map.entries.retain(|(_, timed)| !self.is_expired(timed.at, now));
        !map.is_empty()
    }
}

/// A map per key. With TTL each entry lives by itself.
pub struct MapState<UK, UV> {
    pub(crate) backing: Backing<StateMap<UK, UV>, TimedMap<UK, UV>>,
    /// Looks at the first keys of the maps.
    pub(crate) keys: Option<Box<KeyCheck<UK>>>,
}

impl<UK: Key, UV: StateValue> MapState<UK, UV> {
    /// The value of `key` in the current key's map.
    #[must_use]
    pub fn get(&self, key: &UK) -> Option<UV> {
        self.with(key, |value| value.cloned())
    }

    /// Looks at the value of `key` in place.
    pub fn with<R>(&self, key: &UK, look: impl FnOnce(Option<&UV>) -> R) -> R {
        match &self.backing {
            Backing::Plain(cell) => {
                let value = cell.read().and_then(|map| Ref::filter_map(map, |m| m.get(key)).ok());
                look(value.as_deref())
            }
            Backing::Timed(cell, ttl) => {
                settle(&**cell, ttl, key);
                let value = cell.read().and_then(|map| {
                    Ref::filter_map(map, |map| map.get(key).map(|timed| &timed.value)).ok()
                });
                look(value.as_deref())
            }
        }
    }

    /// Whether the current key's map has `key`.
    #[must_use]
    pub fn contains(&self, key: &UK) -> bool {
        self.with(key, |value| value.is_some())
    }

    /// Sets the value of `key` in the current key's map.
    pub fn put(&mut self, key: UK, value: UV) {
        if self.keys.is_some() {
            self.look_at(&key);
        }
        match &self.backing {
            Backing::Plain(cell) => cell.write_or(&mut StateMap::default).insert(key, value),
            Backing::Timed(cell, _) => {
                cell.sweep();
                let at = cell.now();
                cell.write_or(&mut StateMap::default).insert(key, Timed { value, at });
            }
        }
    }

    #[cold]
    fn look_at(&mut self, key: &UK) {
        if !self.contains(key) {
            self.keys = self.keys.take().and_then(|keys| keys.look_at(key));
        }
    }

    /// Changes the value of `key` in place; `None` if there is none.
    pub fn modify<R>(&mut self, key: &UK, change: impl FnOnce(&mut UV) -> R) -> Option<R> {
        match &self.backing {
            Backing::Plain(cell) => cell.write()?.get_mut(key).map(change),
            Backing::Timed(cell, ttl) => {
                settle(&**cell, ttl, key);
                let at = cell.now();
                cell.write()?.get_mut(key).map(|timed| {
                    timed.at = at;
                    change(&mut timed.value)
                })
            }
        }
    }

    /// Removes `key` from the current key's map and returns its value.
    pub fn remove(&mut self, key: &UK) -> Option<UV> {
        match &self.backing {
            Backing::Plain(cell) => take_entry(&**cell, key),
            Backing::Timed(cell, ttl) => {
                settle(&**cell, ttl, key);
                take_entry(&**cell, key).map(|timed| timed.value)
            }
        }
    }

    /// Looks at every entry of the current key's map, in no order.
    pub fn for_each(&self, mut look: impl FnMut(&UK, &UV)) {
        match &self.backing {
            Backing::Plain(cell) => {
                if let Some(map) = cell.read() {
                    map.iter().for_each(|(key, value)| look(key, value));
                }
            }
            Backing::Timed(cell, ttl) => {
                settle_all(&**cell, ttl);
                if let Some(map) = cell.read() {
                    map.iter().for_each(|(key, timed)| look(key, &timed.value));
                }
            }
        }
    }

    /// The entries of the current key's map, in no order.
    #[must_use]
    pub fn entries(&self) -> Vec<(UK, UV)> {
        let mut entries = Vec::new();
        self.for_each(|key, value| entries.push((key.clone(), value.clone())));
        entries
    }

    /// How many entries the current key's map has.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.backing {
            Backing::Plain(cell) => cell.read().map_or(0, |map| map.entries.len()),
            Backing::Timed(cell, ttl) => {
                settle_all(&**cell, ttl);
                cell.read().map_or(0, |map| map.entries.len())
            }
        }
    }

    /// Whether the current key's map has no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes the current key's map.
    pub fn clear(&mut self) {
        match &self.backing {
            Backing::Plain(cell) => drop(cell.take()),
            Backing::Timed(cell, _) => drop(cell.take()),
        }
    }
}

/// Removes an entry, and the map with its last one.
fn take_entry<UK: Key, T>(cell: &dyn CurrentValue<StateMap<UK, T>>, key: &UK) -> Option<T> {
    // Read first, so that nothing is copied for a key that isn't there.
    cell.read()?.get(key)?;
    let (value, left) = cell.write().map(|mut map| (map.remove(key), !map.is_empty()))?;
    if !left {
        drop(cell.take());
    }
    value
}

/// Before a read of one entry: removes it if it has expired, or renews it.
fn settle<UK: Key, UV>(cell: &dyn CurrentValue<TimedMap<UK, UV>>, ttl: &StateTtl, key: &UK) {
    cell.sweep();
    let now = cell.now();
    let Some(at) = cell.read().and_then(|map| map.get(key).map(|timed| timed.at)) else { return };
    if ttl.is_expired(at, now) {
        if ttl.hides_expired() {
            drop(take_entry(cell, key));
        }
    } else if ttl.renews_on_read()
        && at != now
        && let Some(mut map) = cell.write()
        && let Some(timed) = map.get_mut(key)
    {
        timed.at = now;
    }
}

/// Before a read of all entries: removes the expired ones, and renews the others.
fn settle_all<UK: Key, UV>(cell: &dyn CurrentValue<TimedMap<UK, UV>>, ttl: &StateTtl) {
    cell.sweep();
    let now = cell.now();
    let Some(liveness) = cell.read().map(|map| ttl.liveness(&*map, now)) else { return };
    if liveness != Liveness::All && ttl.hides_expired() {
        let left = cell.write().is_some_and(|mut map| ttl.prune(&mut *map, now));
        if !left {
            drop(cell.take());
        }
    }
    if liveness != Liveness::None
        && ttl.renews_on_read()
        && let Some(mut map) = cell.write()
    {
        map.entries.iter_mut().for_each(|(_, timed)| timed.at = now);
    }
}
