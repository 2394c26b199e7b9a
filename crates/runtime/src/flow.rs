//! How much a worker's sources may have under way: pure decisions, no clock, no Timely.
//!
//! Timely's queues are unbounded, so the sources hold back. What they emit falls into rounds; the
//! count of what is under way in each (see [`crate::in_flight`]) tells when a round has left the
//! dataflow, and so how long that took. From that the limit of bytes under way follows, as
//! in TCP Vegas and BBR: it grows while a fuller pipe does not take longer, and shrinks when what
//! is under way takes longer than the target (Flink's `buffer-debloat.target`). A bound on time
//! alone would not do: a fast source puts 20 s of a slow sink's work under way within 200 ms.
//!
//! # Invariants
//!
//! - INV-LIMIT: no more than the limit is under way, but for one batch.
//! - INV-LIVE: with nothing under way a source may always emit.

use std::{collections::VecDeque, time::Duration};

use tidegate_types::Monotonic;

use crate::in_flight::ROUNDS;

/// The first limit, in bytes: small, for nobody knows yet how slow the slowest sink is.
const FIRST_LIMIT: f64 = 512.0;
/// No limit is above this many bytes.
const HIGHEST_LIMIT: f64 = 32.0 * 1024.0 * 1024.0;
/// Below this a round trip is short enough for the limit to grow in any case: workers take turns
/// between their operators, so it can't be much shorter.
const SHORT_TRIP: Duration = Duration::from_millis(2);
/// For how long the shortest round trip counts as the empty pipe's.
const BEST_TRIP_WINDOW: Duration = Duration::from_secs(10);
/// How many rounds the limit is cut into.
const ROUNDS_PER_LIMIT: f64 = 8.0;
/// What a record counts for at least, in bytes: its share in the cost of a batch.
const LEAST_RECORD_BYTES: f64 = 8.0;

/// A round that has been opened and is not known to have left the dataflow.
#[derive(Clone, Copy, Debug)]
struct OpenRound {
    number: u64,
    bytes: f64,
    /// When the last batch of it was emitted.
    last_emitted: Monotonic,
    /// Whether the sources wanted to emit more than they were allowed to meanwhile.
    limited: bool,
}

/// The sources of one worker, taken together.
#[derive(Debug)]
pub(crate) struct FlowControl {
    target: Duration,
    limit: f64,
    under_way: f64,
    record_bytes: f64,
    current: OpenRound,
    closed: VecDeque<OpenRound>,
    best_trip: (Monotonic, Duration),
    /// The round up to which a shrunken limit has not shown its effect yet.
    settling: u64,
    /// Whether the current round is to be closed as soon as there may be another one.
    overdue: bool,
    /// Whether a source wants to emit more than it may.
    waits: bool,
    longest_trip: Duration,
}

impl FlowControl {
    pub(crate) fn new(target: Duration, now: Monotonic) -> Self {
        Self {
            target,
            limit: FIRST_LIMIT,
            under_way: 0.0,
            record_bytes: 64.0,
            current: OpenRound { number: 0, bytes: 0.0, last_emitted: now, limited: false },
            closed: VecDeque::new(),
            best_trip: (now, target),
            settling: 0,
            overdue: false,
            waits: false,
            longest_trip: Duration::ZERO,
        }
    }

    /// The round in which to emit now.
    pub(crate) fn round(&self) -> u64 {
        self.current.number
    }

    /// The longest time that anything was under way.
    pub(crate) fn longest_trip(&self) -> Duration {
        self.longest_trip
    }

    /// Whether a source waits for what is under way.
    pub(crate) fn waits(&self) -> bool {
        self.waits
    }

    /// How many records a source may emit now.
    pub(crate) fn budget(&mut self) -> usize {
        let room = if self.under_way == 0.0 {
            self.limit.max(self.record_bytes)
        } else {
            self.limit - self.under_way
        };
        // Whole rounds at a time, so that a full pipe is refilled with batches of a useful size.
        let round = self.limit / ROUNDS_PER_LIMIT;
        if room < self.record_bytes.max(round.min(room)) || room <= 0.0 {
            self.current.limited = true;
            self.waits = true;
            return 0;
        }
        self.waits = false;
        (room / self.record_bytes) as usize
    }

    /// A source has emitted; closes the round when that is big enough.
    pub(crate) fn emitted(&mut self, records: usize, bytes: usize, now: Monotonic) {
        if records == 0 {
            return;
        }
        let bytes = (bytes as f64).max(records as f64 * LEAST_RECORD_BYTES);
        self.record_bytes += (bytes / records as f64 - self.record_bytes) / 8.0;
        self.under_way += bytes;
        self.current.bytes += bytes;
        self.current.last_emitted = now;
        if self.current.bytes >= self.limit / ROUNDS_PER_LIMIT {
            self.close_round();
        }
    }

    /// The sources have no more for now: what was emitted need not wait for a full round.
    /// Tells whether the round has changed.
    pub(crate) fn pause(&mut self) -> bool {
        let any = self.current.bytes > 0.0;
        if any {
            self.close_round();
        }
        any
    }

    /// Rounds can be told apart as long as there are fewer than [`ROUNDS`]; until one leaves, the
    /// current one goes on.
    fn close_round(&mut self) {
        self.overdue = self.closed.len() as u64 + 1 == ROUNDS;
        if self.overdue {
            return;
        }
        self.closed.push_back(self.current);
        self.current.number += 1;
        self.current.bytes = 0.0;
        self.current.limited = false;
    }

    /// Asks of the rounds that are under way when each has left, if it has. Tells whether any has.
    pub(crate) fn observe(
        &mut self,
        left: impl Fn(u64) -> Option<Monotonic>,
        now: Monotonic,
    ) -> bool {
        let mut any = false;
        while let Some(round) = self.closed.front().copied()
            && let Some(at) = left(round.number)
        {
            self.closed.pop_front();
            self.under_way -= round.bytes;
            // Whoever took the last of it may not have noted when.
            let at = if at < round.last_emitted { now } else { at };
            self.round_left(&round, at);
            any = true;
            if self.overdue {
                self.close_round();
            }
        }
        if self.closed.is_empty() {
            // Sums of floats drift; an empty pipe is the moment to start anew.
            self.under_way = self.current.bytes;
        }
        any
    }

    fn round_left(&mut self, round: &OpenRound, now: Monotonic) {
        let trip = now.since(round.last_emitted);
        self.longest_trip = self.longest_trip.max(trip);
        let (since, best) = self.best_trip;
        if trip < best || now.since(since) > BEST_TRIP_WINDOW {
            self.best_trip = (now, trip);
        }
        if round.number < self.settling {
            return;
        }
        if trip > self.target {
            let share = self.target.as_secs_f64() / trip.as_secs_f64();
            self.limit = (self.limit * share.max(0.25)).max(1.0);
            self.settling = self.current.number + 1;
        } else if round.limited && trip < SHORT_TRIP.max(self.best_trip.1 * 2).min(self.target) {
            // Each round adds its own share: a full pipe doubles the limit per round trip.
            self.limit = (self.limit + round.bytes).min(HIGHEST_LIMIT);
        }
    }
}

#[cfg(test)]
mod tests;
