//! When a task has seen all that precedes a barrier.
//!
//! A channel is one sender of one input, numbered from 0. The caller keeps the packets; this
//! decides. Exactly once: a channel whose barrier has come is *blocked*, the caller sets its
//! packets aside, until the barriers of all other channels have come. At least once: nothing is
//! blocked, and several snapshots may be counted at once.
//!
//! # Protocol
//!
//! The caller consumes the packets of a channel in their order. After every barrier it takes up
//! what it has set aside, ahead of what arrived later: not only a snapshot lets channels go on, but
//! also a barrier that gives an earlier snapshot up.
//!
//! # Invariants
//!
//! - INV-EXACT: aligned, a snapshot holds exactly what precedes its barrier on every channel.
//! - INV-ATLEAST: otherwise it holds at least that.
//! - INV-ENDED: a channel that has ended counts as having sent every later barrier.
//! - INV-ONCE: a task snapshots for each id at most once, in growing order.

use std::collections::BTreeMap;

use tidegate_types::{Barrier, CheckpointId};

/// Whether channels are blocked while others' barriers are awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guarantee {
    /// They are.
    ExactlyOnce,
    /// They are not.
    AtLeastOnce,
}

/// What a task does about a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Wait,
    /// Snapshot now, forward this barrier, and then take up what was set aside.
    Snapshot(Barrier),
}

#[derive(Clone, Debug)]
struct Pending {
    barrier: Barrier,
    seen: Vec<bool>,
}

/// The alignment of one task.
#[derive(Clone, Debug)]
pub struct Alignment {
    guarantee: Guarantee,
    ended: Vec<bool>,
    pending: BTreeMap<CheckpointId, Pending>,
    /// The latest id that this task has snapshotted for, or given up.
    latest: Option<CheckpointId>,
}

impl Alignment {
    /// For a task with `channels` many channels.
    #[must_use]
    pub fn new(channels: usize, guarantee: Guarantee) -> Self {
        Self { guarantee, ended: vec![false; channels], pending: BTreeMap::new(), latest: None }
    }

    /// Whether the packets of `channel` must be set aside for now.
    #[must_use]
    pub fn is_blocked(&self, channel: usize) -> bool {
        self.guarantee == Guarantee::ExactlyOnce
            && self.pending.values().any(|pending| pending.seen[channel])
    }

    /// Whether a barrier has come and another is awaited.
    #[must_use]
    pub fn is_aligning(&self) -> bool {
        !self.pending.is_empty()
    }

    /// `barrier` has come on `channel`.
    ///
    /// Aligned, a barrier that follows one which has not come yet elsewhere gives the earlier one
    /// up: some sender has skipped it, so it will never be complete. Its barriers that are still to
    /// come count for nothing, else their channels would wait for each other for ever.
    pub fn on_barrier(&mut self, channel: usize, barrier: Barrier) -> Decision {
        let id = barrier.checkpoint;
        if self.latest.is_some_and(|latest| id <= latest) {
            return Decision::Wait;
        }
        if self.guarantee == Guarantee::ExactlyOnce {
            self.pending = self.pending.split_off(&id);
            self.latest = id.get().checked_sub(1).map(CheckpointId);
        }
        let channels = self.ended.len();
        let pending = self.pending.entry(id);
        let pending = pending.or_insert_with(|| Pending { barrier, seen: vec![false; channels] });
        pending.seen[channel] = true;
        self.decide()
    }

    /// Nothing follows on `channel`.
    pub fn on_end(&mut self, channel: usize) -> Decision {
        self.ended[channel] = true;
        self.decide()
    }

    /// A snapshot was triggered, and this task, all of whose channels have ended, will get no
    /// barrier for it.
    pub fn on_trigger(&mut self, barrier: Barrier) -> Decision {
        let all_ended = self.ended.iter().all(|ended| *ended);
        if !all_ended || self.latest.is_some_and(|latest| barrier.checkpoint <= latest) {
            return Decision::Wait;
        }
        self.complete(barrier)
    }

    /// The earliest pending snapshot that has everything.
    fn decide(&mut self) -> Decision {
        let is_complete = |pending: &Pending| {
            pending.seen.iter().zip(&self.ended).all(|(seen, ended)| *seen || *ended)
        };
        let complete = self.pending.values().find(|pending| is_complete(pending));
        match complete.map(|pending| pending.barrier) {
            Some(barrier) => self.complete(barrier),
            None => Decision::Wait,
        }
    }

    fn complete(&mut self, barrier: Barrier) -> Decision {
        self.latest = Some(barrier.checkpoint);
        self.pending = self.pending.split_off(&barrier.checkpoint.next());
        Decision::Snapshot(barrier)
    }

    /// To be asked after each snapshot: the end of a channel may have completed several at once.
    pub fn after_snapshot(&mut self) -> Decision {
        self.decide()
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::BarrierKind;

    use super::*;

    fn barrier(id: u64) -> Barrier {
        Barrier { checkpoint: CheckpointId(id), kind: BarrierKind::Checkpoint }
    }

    #[test]
    fn a_channel_is_blocked_from_its_barrier_to_the_last_one() {
        let mut alignment = Alignment::new(2, Guarantee::ExactlyOnce);
        assert_eq!(alignment.on_barrier(0, barrier(1)), Decision::Wait);
        assert!(alignment.is_blocked(0) && !alignment.is_blocked(1));
        assert_eq!(alignment.on_barrier(1, barrier(1)), Decision::Snapshot(barrier(1)));
        assert!(!alignment.is_blocked(0) && !alignment.is_aligning());
    }

    #[test]
    fn an_ended_channel_counts_as_having_sent_every_later_barrier() {
        let mut alignment = Alignment::new(3, Guarantee::ExactlyOnce);
        assert_eq!(alignment.on_end(2), Decision::Wait);
        assert_eq!(alignment.on_barrier(0, barrier(1)), Decision::Wait);
        assert_eq!(alignment.on_end(1), Decision::Snapshot(barrier(1)));
        assert_eq!(alignment.on_barrier(0, barrier(2)), Decision::Snapshot(barrier(2)));
        assert_eq!(alignment.on_trigger(barrier(3)), Decision::Wait, "a channel is open");
        assert_eq!(alignment.on_end(0), Decision::Wait);
        assert_eq!(alignment.on_trigger(barrier(2)), Decision::Wait, "it is done");
        assert_eq!(alignment.on_trigger(barrier(3)), Decision::Snapshot(barrier(3)));
    }

    #[test]
    fn a_newer_barrier_gives_an_older_one_up() {
        let mut alignment = Alignment::new(2, Guarantee::ExactlyOnce);
        alignment.on_barrier(0, barrier(1));
        assert_eq!(alignment.on_barrier(1, barrier(2)), Decision::Wait);
        assert!(!alignment.is_blocked(0) && alignment.is_blocked(1));
        assert_eq!(alignment.on_barrier(0, barrier(2)), Decision::Snapshot(barrier(2)));
        assert_eq!(alignment.on_barrier(1, barrier(1)), Decision::Wait, "it was given up");
    }

    #[test]
    fn a_barrier_that_was_given_up_blocks_nothing_when_it_comes_at_last() {
        let mut alignment = Alignment::new(2, Guarantee::ExactlyOnce);
        alignment.on_barrier(0, barrier(2));
        assert_eq!(alignment.on_barrier(1, barrier(1)), Decision::Wait);
        assert!(!alignment.is_blocked(1), "channel 0 waits for its next one");
        assert_eq!(alignment.on_barrier(1, barrier(2)), Decision::Snapshot(barrier(2)));
    }

    #[test]
    fn at_least_once_blocks_nothing_and_counts_several() {
        let mut alignment = Alignment::new(2, Guarantee::AtLeastOnce);
        alignment.on_barrier(0, barrier(1));
        alignment.on_barrier(0, barrier(2));
        assert!(!alignment.is_blocked(0));
        assert_eq!(alignment.on_barrier(1, barrier(1)), Decision::Snapshot(barrier(1)));
        assert_eq!(alignment.on_end(1), Decision::Snapshot(barrier(2)));
    }
}
