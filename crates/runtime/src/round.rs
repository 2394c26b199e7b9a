//! The Timely timestamp of every packet: whose it is, and in which round it was emitted.
//!
//! Flow control needs to know when a batch has left the last operator, and Timely's progress
//! tracking tells just that, for timestamps. A worker's sources give what they emit the worker's
//! own rounds, 0, 1, 2, …, and so does each task that emits by itself: a [`Lane`] each. Rounds of
//! different lanes are incomparable, so that no worker has to keep up with another, and an idle one
//! holds nobody back. The timestamp says nothing about event time.

use serde::{Deserialize, Serialize};
use timely::{
    PartialOrder,
    progress::{PathSummary, Timestamp, frontier::AntichainRef, timestamp::Refines},
};

use crate::graph::TaskId;

/// Whose rounds they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lane(u32);

impl Lane {
    /// Of a worker's sources.
    pub(crate) fn of_sources(worker: usize) -> Self {
        Self(worker as u32 + 1)
    }

    /// Of a task of a worker, out of `peers` many.
    pub(crate) fn of_task(TaskId(task): TaskId, worker: usize, peers: usize) -> Self {
        Self::of_sources(worker + peers * (task + 1))
    }

    /// The first round in this lane that something may still be under way in.
    pub(crate) fn frontier(self, frontier: &AntichainRef<'_, Round>) -> u64 {
        if frontier.contains(&Round::START) {
            return 0;
        }
        let own = frontier.iter().filter(|round| round.owner == self.0);
        own.map(|round| round.number).min().unwrap_or(u64::MAX)
    }
}

/// A round of one lane, or [`Round::START`], which comes before all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Round {
    /// The lane; 0 only in `START`.
    owner: u32,
    /// The round's number.
    number: u64,
}

impl Round {
    /// Before every round of every lane.
    pub(crate) const START: Self = Self { owner: 0, number: 0 };

    /// Round `number` of a lane.
    pub(crate) fn of(Lane(owner): Lane, number: u64) -> Self {
        Self { owner, number }
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use timely::progress::frontier::Antichain;

    use super::*;

    #[test]
    fn no_two_lanes_are_one_and_none_holds_another_back() {
        let peers = 3;
        let tasks = (0..peers)
            .flat_map(|worker| (0..4).map(move |task| Lane::of_task(TaskId(task), worker, peers)));
        let lanes = (0..peers).map(Lane::of_sources).chain(tasks).collect::<Vec<_>>();
        let owners = lanes.iter().map(|lane| lane.0).collect::<HashSet<_>>();
        assert_eq!(owners.len(), lanes.len());
        assert!(!owners.contains(&0), "that is the beginning");
        let first = lanes.iter().map(|lane| Round::of(*lane, u64::from(lane.0)));
        let frontier = Antichain::from_iter(first);
        assert_eq!(frontier.len(), lanes.len());
        for lane in lanes {
            assert_eq!(lane.frontier(&frontier.borrow()), u64::from(lane.0));
        }
        let start = Antichain::from_elem(Round::START);
        assert_eq!(Lane::of_sources(2).frontier(&start.borrow()), 0);
    }
}
