//! Time to live of state: how long an entry stays after it was last written, or read.
//!
//! As in Flink, in processing time: the clock is read once per record or batch, not per access. An
//! expired entry is left out of snapshots, not restored, removed when it is read under
//! [`TtlVisibility::NeverReturnExpired`], and otherwise a few at a time with each access.

pub(crate) mod retime;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tidegate_types::Timestamp;

/// What renews an entry's time to live.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TtlUpdate {
    /// Nothing: the state lives for ever.
    Disabled,
    /// Its creation and every write.
    #[default]
    OnCreateAndWrite,
    /// Every read too.
    OnReadAndWrite,
}

/// Whether a read may return what has expired.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TtlVisibility {
    /// Never.
    #[default]
    NeverReturnExpired,
    /// As long as it has not been cleaned up.
    ReturnExpiredIfNotCleanedUp,
}

/// How long an entry of a state lives. Elements of lists and entries of maps live one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateTtl {
    /// How long, counted in whole milliseconds.
    pub ttl: Duration,
    /// What renews it.
    pub update_type: TtlUpdate,
    /// Whether a read may return what has expired.
    pub visibility: TtlVisibility,
}

impl StateTtl {
    /// Lives for `ttl` after its creation or last write, and is never returned after that.
    #[must_use]
    pub const fn new(ttl: Duration) -> Self {
        Self {
            ttl,
            update_type: TtlUpdate::OnCreateAndWrite,
            visibility: TtlVisibility::NeverReturnExpired,
        }
    }

    /// With another rule for what renews it.
    #[must_use]
    pub const fn update_type(mut self, update_type: TtlUpdate) -> Self {
        self.update_type = update_type;
        self
    }

    /// With another rule for what a read may return.
    #[must_use]
    pub const fn visibility(mut self, visibility: TtlVisibility) -> Self {
        self.visibility = visibility;
        self
    }

    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.ttl.as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn is_expired(&self, at: Timestamp, now: Timestamp) -> bool {
        at.millis().saturating_add(self.millis()) <= now.millis()
    }

    pub(crate) fn hides_expired(&self) -> bool {
        self.visibility == TtlVisibility::NeverReturnExpired
    }

    pub(crate) fn renews_on_read(&self) -> bool {
        self.update_type == TtlUpdate::OnReadAndWrite
    }
}

/// How much of a value is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Liveness {
    All,
    Some,
    None,
}

impl Liveness {
    /// Of a collection in which `alive` of `all` elements are.
    pub(crate) const fn of(alive: usize, all: usize) -> Self {
        if alive == all {
            Self::All
        } else if alive == 0 {
            Self::None
        } else {
            Self::Some
        }
    }
}

/// How long the values of a table live.
pub(crate) trait Lifetime<V>: Clone + Send + Sync + 'static {
    /// How much of `value` is alive.
    fn liveness(&self, value: &V, now: Timestamp) -> Liveness;

    /// Removes what has expired from `value`; whether anything is left.
    fn prune(&self, value: &mut V, now: Timestamp) -> bool;
}

/// For ever: the checks compile to nothing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Forever;

impl<V> Lifetime<V> for Forever {
    #[inline]
    fn liveness(&self, _value: &V, _now: Timestamp) -> Liveness {
        Liveness::All
    }

    #[inline]
    fn prune(&self, _value: &mut V, _now: Timestamp) -> bool {
        true
    }
}

/// A value and when it was last written, or read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Timed<V> {
    pub(crate) value: V,
    pub(crate) at: Timestamp,
}

impl<V> Lifetime<Timed<V>> for StateTtl {
    fn liveness(&self, value: &Timed<V>, now: Timestamp) -> Liveness {
        if self.is_expired(value.at, now) { Liveness::None } else { Liveness::All }
    }

    fn prune(&self, value: &mut Timed<V>, now: Timestamp) -> bool {
        !self.is_expired(value.at, now)
    }
}

/// A list whose elements live one by one. The times stand apart, so that the values are a slice.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct TimedList<V> {
    values: Vec<V>,
    times: Vec<Timestamp>,
}

impl<V> TimedList<V> {
    pub(crate) fn new(values: Vec<V>, at: Timestamp) -> Self {
        let times = vec![at; values.len()];
        Self { values, times }
    }

    pub(crate) fn values(&self) -> &[V] {
        &self.values
    }

    pub(crate) fn push(&mut self, value: V, at: Timestamp) {
        self.values.push(value);
        self.times.push(at);
    }

    pub(crate) fn renew(&mut self, at: Timestamp) {
        self.times.fill(at);
    }
}

impl<V> Lifetime<TimedList<V>> for StateTtl {
    fn liveness(&self, list: &TimedList<V>, now: Timestamp) -> Liveness {
        let alive = list.times.iter().filter(|at| !self.is_expired(**at, now)).count();
        if list.times.is_empty() { Liveness::None } else { Liveness::of(alive, list.times.len()) }
    }

    fn prune(&self, list: &mut TimedList<V>, now: Timestamp) -> bool {
        let mut times = list.times.iter();
        list.values.retain(|_| times.next().is_some_and(|at| !self.is_expired(*at, now)));
        list.times.retain(|at| !self.is_expired(*at, now));
        !list.values.is_empty()
    }
}
