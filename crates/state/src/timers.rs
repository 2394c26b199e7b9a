//! Timers of keys: registered once per key and time, popped in the order of their times.
//!
//! # Protocol
//!
//! The table (key to times) is the truth: it is what a snapshot takes and a restore fills, with
//! its key groups. The heap beside it only knows which times may be next. A deleted timer stays in
//! the heap until it comes to the top, or until the heap is mostly of such ones and is made anew.
//!
//! A key may have any number of timers: its times are a tree, so that each costs O(log n) however
//! they are spread over keys. In a snapshot a key and all of its times are one entry.
//!
//! # Invariants
//!
//! - INV-TOP: what is on the top of the heap is in the table.
//! - INV-ONCE: a timer fires once, however often it was registered.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, BinaryHeap},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeSeq};
use tidegate_types::{KeyGroupRange, KeyHash, MaxParallelism};

use crate::{
    Key,
    store::{Declaration, DeclaredType, StateTable},
    ttl::Forever,
};

/// Which time a timer waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TimeDomain {
    /// The watermark.
    EventTime,
    /// The wall clock.
    ProcessingTime,
}

impl TimeDomain {
    /// What the state is called that its timers are kept in.
    #[must_use]
    pub const fn state_name(self) -> &'static str {
        match self {
            Self::EventTime => "_timers/event-time",
            Self::ProcessingTime => "_timers/processing-time",
        }
    }
}

/// A timer whose time has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueTimer<K> {
    /// Its key.
    pub key: K,
    /// The key's hash.
    pub hash: KeyHash,
    /// Its time in milliseconds since 1970-01-01 00:00 UTC.
    pub time: i64,
}

/// The times of one key. Most keys have one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Times {
    One(i64),
    /// Two or more.
    Many(BTreeSet<i64>),
}

impl Times {
    /// Ascending.
    fn iter(&self) -> impl Iterator<Item = i64> {
        let (one, many) = match self {
            Self::One(time) => (Some(*time), None),
            Self::Many(times) => (None, Some(times)),
        };
        one.into_iter().chain(many.into_iter().flatten().copied())
    }

    fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Many(times) => times.len(),
        }
    }

    fn latest_before(&self, limit: i64) -> Option<i64> {
        match self {
            Self::One(only) => Some(*only).filter(|time| *time < limit),
            Self::Many(times) => times.range(..limit).next_back().copied(),
        }
    }

    fn contains(&self, time: i64) -> bool {
        match self {
            Self::One(only) => *only == time,
            Self::Many(times) => times.contains(&time),
        }
    }

    /// Whether it is new.
    fn insert(&mut self, time: i64) -> bool {
        match self {
            Self::One(only) if *only == time => false,
            Self::One(only) => {
                *self = Self::Many(BTreeSet::from([*only, time]));
                true
            }
            Self::Many(times) => times.insert(time),
        }
    }

    /// What is left without `time`, `None` if nothing.
    fn without(self, time: i64) -> Option<Self> {
        match self {
            Self::One(only) => (only != time).then_some(self),
            Self::Many(mut times) => {
                times.remove(&time);
                Self::of(times)
            }
        }
    }

    fn of(times: BTreeSet<i64>) -> Option<Self> {
        match times.len() {
            0 => None,
            1 => times.first().copied().map(Self::One),
            _ => Some(Self::Many(times)),
        }
    }
}

impl Serialize for Times {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.len()))?;
        self.iter().try_for_each(|time| sequence.serialize_element(&time))?;
        sequence.end()
    }
}

impl<'de> Deserialize<'de> for Times {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let times = Vec::<i64>::deserialize(deserializer)?;
        // No snapshot holds a key without times; if one did, it would mean just that.
        Ok(Self::of(times.into_iter().collect()).unwrap_or_else(|| Self::Many(BTreeSet::new())))
    }
}

/// A time that may be next. Ordered so that the earliest is the greatest.
struct Waiting<K> {
    time: i64,
    hash: KeyHash,
    key: K,
}

impl<K> Ord for Waiting<K> {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.time, other.hash).cmp(&(self.time, self.hash))
    }
}

impl<K> PartialOrd for Waiting<K> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<K> PartialEq for Waiting<K> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<K> Eq for Waiting<K> {}

/// The timers of one time domain.
pub(crate) struct Timers<K> {
    pub(crate) state: StateTable<K, Times, Forever>,
    heap: BinaryHeap<Waiting<K>>,
    /// How many timers the table holds.
    live: usize,
}

impl<K: Key> Timers<K> {
    pub(crate) fn new(domain: TimeDomain, range: KeyGroupRange, max: MaxParallelism) -> Self {
        let declaration = Declaration {
            name: domain.state_name().to_owned(),
            was: None,
            kind: "timer",
            value: DeclaredType::list_of::<i64>(),
            ttl_ms: None,
        };
        let state = StateTable::new(range, max, declaration, Forever);
        Self { state, heap: BinaryHeap::new(), live: 0 }
    }

    pub(crate) fn register(&mut self, hash: KeyHash, key: &K, time: i64) {
        let mut new = false;
        let times = self.state.table.get_or_insert_with(hash, key, || {
            new = true;
            Times::One(time)
        });
        if new || times.insert(time) {
            self.live += 1;
            self.heap.push(Waiting { time, hash, key: key.clone() });
        }
    }

    pub(crate) fn delete(&mut self, hash: KeyHash, key: &K, time: i64) {
        if self.holds(hash, key, time) {
            self.forget(hash, key, time);
            self.drop_deleted();
        }
    }

    /// Removes and returns the earliest timer that is not after `up_to`.
    pub(crate) fn pop_due(&mut self, up_to: i64) -> Option<DueTimer<K>> {
        if self.next_time()? > up_to {
            return None;
        }
        let Waiting { time, hash, key } = self.heap.pop()?;
        self.forget(hash, &key, time);
        self.drop_deleted();
        Some(DueTimer { key, hash, time })
    }

    /// The earliest timer's time (INV-TOP).
    pub(crate) fn next_time(&self) -> Option<i64> {
        self.heap.peek().map(|waiting| waiting.time)
    }

    /// The latest timer of a key before `limit`.
    pub(crate) fn latest(&self, hash: KeyHash, key: &K, limit: i64) -> Option<i64> {
        self.state.table.get(hash, key)?.latest_before(limit)
    }

    /// Makes the heap anew from the table, after a restore.
    pub(crate) fn rebuild(&mut self) {
        let waiting = self.state.table.iter().flat_map(|(key, times)| {
            let hash = KeyHash::of(key);
            times.iter().map(move |time| Waiting { time, hash, key: key.clone() })
        });
        self.heap = waiting.collect();
        self.live = self.heap.len();
    }

    fn holds(&self, hash: KeyHash, key: &K, time: i64) -> bool {
        let times = self.state.table.get(hash, key);
        times.is_some_and(|times| times.contains(time))
    }

    fn forget(&mut self, hash: KeyHash, key: &K, time: i64) {
        let forgotten = self.state.table.try_update(hash, key, |times| {
            Ok::<_, std::convert::Infallible>(times.and_then(|times| times.without(time)))
        });
        match forgotten {
            Ok(()) => self.live -= 1,
            Err(never) => match never {},
        }
    }

    /// Upholds INV-TOP.
    fn drop_deleted(&mut self) {
        if self.heap.len() > 2 * self.live + 64 {
            self.rebuild();
        }
        while let Some(top) = self.heap.peek() {
            if self.holds(top.hash, &top.key, top.time) {
                return;
            }
            self.heap.pop();
        }
    }
}

#[cfg(test)]
mod tests;
