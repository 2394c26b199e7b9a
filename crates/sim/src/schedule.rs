//! Simulated time: what happens next.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    hash::{DefaultHasher, Hash, Hasher},
    ops::Range,
    time::Duration,
};

use rand::RngExt;
use tidegate_types::{Monotonic, Timestamp};

use crate::{
    scenario::{Random, Scenario, Troubles},
    world::Happening,
};

/// What comes of an operation of the store, or of the sink's outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It happens.
    Success,
    /// It does not happen, and says so.
    FailedBefore,
    /// It happens, and says that it failed.
    FailedAfter,
}

impl Fate {
    /// Whether it happens.
    pub(crate) fn takes_effect(self) -> bool {
        self != Self::FailedBefore
    }
}

/// The clock, the events to come, and all chance.
pub(crate) struct Schedule {
    /// Microseconds.
    now: u64,
    sequence: u64,
    events: BTreeMap<(u64, u64), Happening>,
    pub(crate) random: Random,
    troubles: Troubles,
    calm_from: u64,
    hasher: DefaultHasher,
    /// What happened, in words, if somebody wants to read it.
    pub(crate) trace: Option<String>,
}

impl Schedule {
    pub(crate) fn new(scenario: &Scenario, random: Random, traced: bool) -> Self {
        Self {
            now: 0,
            sequence: 0,
            events: BTreeMap::new(),
            random,
            troubles: scenario.troubles,
            calm_from: scenario.calm_from,
            hasher: DefaultHasher::new(),
            trace: traced.then(String::new),
        }
    }

    pub(crate) fn micros(&self) -> u64 {
        self.now
    }

    /// The time on the wall; it does not begin at 0.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp(1_000_000 + self.now / 1_000)
    }

    /// The time on the clock that only goes forward.
    pub(crate) fn monotonic(&self) -> Monotonic {
        Monotonic::from_start(Duration::from_micros(self.now))
    }

    /// When a time of the coordinator's comes, in microseconds.
    pub(crate) fn micros_of(time: Monotonic) -> u64 {
        time.since(Monotonic::default()).as_micros() as u64
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.now >= self.calm_from
    }

    pub(crate) fn at(&mut self, micros: u64, happening: Happening) {
        self.sequence += 1;
        self.events.insert((micros.max(self.now), self.sequence), happening);
    }

    pub(crate) fn after(&mut self, micros: u64, happening: Happening) {
        self.at(self.now + micros, happening);
    }

    /// Moves on to the next event.
    pub(crate) fn pop(&mut self) -> Option<Happening> {
        let ((micros, sequence), happening) = self.events.pop_first()?;
        self.now = micros;
        (micros, sequence).hash(&mut self.hasher);
        Some(happening)
    }

    /// A latency in this range, and now and then a much longer one; once it is calm all are short.
    pub(crate) fn latency(&mut self, range: &Range<u64>) -> u64 {
        if self.is_calm() {
            return self.random.random_range(range.start..=range.start + range.end / 50);
        }
        let slow = self.random.random_bool(self.troubles.slowness);
        self.random.random_range(range.clone()) * if slow { 20 } else { 1 }
    }

    pub(crate) fn fate(&mut self) -> Fate {
        if self.is_calm() || !self.random.random_bool(self.troubles.store) {
            Fate::Success
        } else if self.random.random_bool(0.5) {
            Fate::FailedBefore
        } else {
            Fate::FailedAfter
        }
    }

    pub(crate) fn fails_to_encode(&mut self) -> bool {
        !self.is_calm() && self.random.random_bool(self.troubles.encoding)
    }

    /// Even odds.
    pub(crate) fn toss(&mut self) -> bool {
        self.random.random_bool(0.5)
    }

    /// Takes note of something that tells two runs apart.
    pub(crate) fn note(&mut self, text: impl FnOnce() -> String) {
        let text = text();
        text.hash(&mut self.hasher);
        if let Some(trace) = &mut self.trace {
            let (millis, micros) = (self.now / 1_000, self.now % 1_000);
            writeln!(trace, "{millis:>8}.{micros:03} {text}").expect("a string takes everything");
        }
    }

    /// A number that two runs share only if the same happened in both.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.hasher.finish()
    }
}

/// A connection on which messages keep their order.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    latest: u64,
}

impl Link {
    /// When a message that is sent now arrives.
    pub(crate) fn arrival(&mut self, schedule: &mut Schedule, latency: &Range<u64>) -> u64 {
        let latency = schedule.latency(latency);
        self.latest = self.latest.max(schedule.micros() + latency);
        self.latest
    }
}
