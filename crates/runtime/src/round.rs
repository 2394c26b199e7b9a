//! The Timely timestamp of every packet: which worker's source it stems from, and in which round.
//!
//! Flow control needs to know when a batch has left the last operator, and Timely's progress
//! tracking tells just that, for timestamps. A worker's source gives what it emits the worker's
//! own rounds, 0, 1, 2, …; rounds of different workers are incomparable, so that no worker has to
//! keep up with another, and an idle one holds nobody back. The timestamp says nothing about event
//! time.

use serde::{Deserialize, Serialize};
use timely::{
    PartialOrder,
    progress::{PathSummary, Timestamp, timestamp::Refines},
};

/// A round of one worker, or [`Round::START`], which comes before all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Round {
    /// One more than the worker's index; 0 only in `START`.
    owner: u32,
    /// The round's number.
    number: u64,
}

impl Round {
    /// Before every round of every worker.
    pub(crate) const START: Self = Self { owner: 0, number: 0 };

    /// Round `number` of the worker with this index.
    pub(crate) fn of(worker: usize, number: u64) -> Self {
        Self { owner: worker as u32 + 1, number }
    }

    /// The round's number, if it is one of this worker's.
    pub(crate) fn number_for(&self, worker: usize) -> Option<u64> {
        (self.owner == worker as u32 + 1).then_some(self.number)
    }
}

impl PartialOrder for Round {
    fn less_equal(&self, other: &Self) -> bool {
        self.owner == 0 || (self.owner == other.owner && self.number <= other.number)
    }
}

impl Timestamp for Round {
    type Summary = Unchanged;

    fn minimum() -> Self {
        Self::START
    }
}

/// No operator changes the round of what passes through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unchanged;

impl PartialOrder for Unchanged {
    fn less_equal(&self, _other: &Self) -> bool {
        true
    }
}

impl PathSummary<Round> for Unchanged {
    fn results_in(&self, round: &Round) -> Option<Round> {
        Some(*round)
    }

    fn followed_by(&self, _other: &Self) -> Option<Self> {
        Some(Self)
    }
}

impl Refines<()> for Round {
    fn to_inner(_outer: ()) -> Self {
        Self::START
    }

    fn to_outer(self) {}

    fn summarize(_path: Unchanged) {}
}
