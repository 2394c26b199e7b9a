//! The alignment of one task against a model of its caller, under random interleavings.
//!
//! Every channel carries a script of records, barriers and, at last, its end. The caller below does
//! what a task of the runtime does: it consumes packets in the order of their arrival, sets those
//! of blocked channels aside, counts the records of each channel, and writes the counts down at
//! each snapshot.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;
use tidegate_checkpoint::alignment::{Alignment, Decision, Guarantee};
use tidegate_types::{Barrier, BarrierKind, CheckpointId};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Packet {
    Record,
    Barrier(u64),
    End,
}

fn barrier(id: u64) -> Barrier {
    Barrier { checkpoint: CheckpointId(id), kind: BarrierKind::Checkpoint }
}

/// How many records precede barrier `id`, or the end, on a channel.
fn preceding(script: &[Packet], id: u64) -> usize {
    let until = script.iter().take_while(|packet| match packet {
        Packet::Record => true,
        Packet::Barrier(other) => *other < id,
        Packet::End => false,
    });
    until.filter(|packet| **packet == Packet::Record).count()
}

/// A task, as far as the alignment concerns it.
struct Caller {
    alignment: Alignment,
    inbox: VecDeque<(usize, Packet)>,
    aside: VecDeque<(usize, Packet)>,
    consumed: Vec<usize>,
    ended: Vec<bool>,
    triggers: VecDeque<Barrier>,
    snapshots: BTreeMap<u64, Vec<usize>>,
}

impl Caller {
    fn new(channels: usize, guarantee: Guarantee) -> Self {
        Self {
            alignment: Alignment::new(channels, guarantee),
            inbox: VecDeque::new(),
            aside: VecDeque::new(),
            consumed: vec![0; channels],
            ended: vec![false; channels],
            triggers: VecDeque::new(),
            snapshots: BTreeMap::new(),
        }
    }

    fn deliver(&mut self, channel: usize, packet: Packet) {
        self.inbox.push_back((channel, packet));
        self.consume();
    }

    /// The worker hears of a trigger; only a task without open channels acts on it.
    fn trigger(&mut self, id: u64) {
        self.triggers.push_back(barrier(id));
        self.consume();
    }

    fn consume(&mut self) {
        while let Some((channel, packet)) = self.inbox.pop_front() {
            if self.alignment.is_blocked(channel) {
                self.aside.push_back((channel, packet));
                continue;
            }
            let decision = match packet {
                Packet::Record => {
                    self.consumed[channel] += 1;
                    Decision::Wait
                }
                Packet::Barrier(id) => self.alignment.on_barrier(channel, barrier(id)),
                Packet::End => {
                    self.ended[channel] = true;
                    self.alignment.on_end(channel)
                }
            };
            self.follow(decision);
            if packet != Packet::Record {
                self.take_up();
            }
        }
        while self.has_ended()
            && let Some(trigger) = self.triggers.pop_front()
        {
            let decision = self.alignment.on_trigger(trigger);
            self.follow(decision);
        }
    }

    fn has_ended(&self) -> bool {
        self.ended.iter().all(|ended| *ended)
    }

    fn follow(&mut self, mut decision: Decision) {
        while let Decision::Snapshot(barrier) = decision {
            let id = barrier.checkpoint.get();
            let latest = self.snapshots.last_key_value().map(|(latest, _)| *latest);
            assert!(latest.is_none_or(|latest| latest < id), "INV-ONCE: {latest:?}, then {id}");
            self.snapshots.insert(id, self.consumed.clone());
            self.triggers.retain(|trigger| trigger.checkpoint > barrier.checkpoint);
            decision = self.alignment.after_snapshot();
        }
    }

    /// What was set aside comes before what arrived later.
    fn take_up(&mut self) {
        self.aside.append(&mut self.inbox);
        std::mem::swap(&mut self.aside, &mut self.inbox);
    }
}

/// A channel: between barriers a few records; some barriers may be missing, and it may end early.
fn script(barriers: u64, may_skip: bool) -> impl Strategy<Value = Vec<Packet>> {
    let section = (0..4_usize, prop::bool::weighted(if may_skip { 0.2 } else { 0.0 }));
    let sections = prop::collection::vec(section, barriers as usize);
    (sections, prop::option::weighted(0.3, 0..=barriers)).prop_map(|(sections, last)| {
        let mut script = Vec::new();
        for (index, (records, skipped)) in sections.into_iter().enumerate() {
            script.extend(std::iter::repeat_n(Packet::Record, records));
            if last == Some(index as u64) {
                break;
            }
            if !skipped {
                script.push(Packet::Barrier(index as u64 + 1));
            }
        }
        script.push(Packet::End);
        script
    })
}

fn scripts(may_skip: bool) -> impl Strategy<Value = Vec<Vec<Packet>>> {
    (1..5_usize, 0..6_u64).prop_flat_map(move |(channels, barriers)| {
        prop::collection::vec(script(barriers, may_skip), channels)
    })
}

/// Whether a channel has sent `id`, or has ended before it could.
fn carries(script: &[Packet], id: u64) -> bool {
    let highest = script.iter().filter_map(|packet| match packet {
        Packet::Barrier(id) => Some(*id),
        _ => None,
    });
    script.contains(&Packet::Barrier(id)) || highest.max().is_none_or(|highest| highest < id)
}

/// Delivers everything in an order that `turns` picks; triggers are heard at any time.
fn run(scripts: &[Vec<Packet>], guarantee: Guarantee, turns: &[usize]) -> Caller {
    let mut caller = Caller::new(scripts.len(), guarantee);
    let mut queues = scripts.iter().map(|script| script.iter()).collect::<Vec<_>>();
    let mut triggers = 1..=ids(scripts);
    let mut turns = turns.iter().cycle();
    loop {
        let open = (0..queues.len()).filter(|queue| queues[*queue].len() > 0).collect::<Vec<_>>();
        let left = usize::from(!triggers.is_empty());
        if open.len() + left == 0 {
            return caller;
        }
        let turn = turns.next().expect("they go round") % (open.len() + left);
        match open.get(turn) {
            Some(channel) => {
                let packet = queues[*channel].next().expect("it is not empty");
                caller.deliver(*channel, *packet);
            }
            None => caller.trigger(triggers.next().expect("it is not empty")),
        }
    }
}

/// The highest id that any channel carries.
fn ids(scripts: &[Vec<Packet>]) -> u64 {
    let ids = scripts.iter().flatten().filter_map(|packet| match packet {
        Packet::Barrier(id) => Some(*id),
        _ => None,
    });
    ids.max().unwrap_or(0)
}

fn turns() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(0..60_usize, 1..97)
}

/// Nothing is left behind, and no snapshot is missing that every channel takes part in.
fn check_complete(scripts: &[Vec<Packet>], caller: &Caller) {
    assert!(caller.inbox.is_empty() && caller.aside.is_empty(), "packets are stuck");
    for (channel, script) in scripts.iter().enumerate() {
        let records = script.iter().filter(|packet| **packet == Packet::Record).count();
        assert_eq!(caller.consumed[channel], records, "records of channel {channel} are missing");
    }
    let common = (1..=ids(scripts)).filter(|id| scripts.iter().all(|script| carries(script, *id)));
    let taken = caller.snapshots.keys().copied().collect::<BTreeSet<_>>();
    let missing = common.filter(|id| !taken.contains(id)).collect::<Vec<_>>();
    assert!(missing.is_empty(), "no snapshots {missing:?}, only {taken:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn inv_exact_a_snapshot_holds_exactly_what_precedes_its_barrier_on_every_channel(
        scripts in prop::bool::ANY.prop_flat_map(scripts), turns in turns(),
    ) {
        let caller = run(&scripts, Guarantee::ExactlyOnce, &turns);
        for (id, consumed) in &caller.snapshots {
            let expected = scripts.iter().map(|script| preceding(script, *id)).collect::<Vec<_>>();
            prop_assert_eq!(consumed, &expected, "snapshot {}", id);
        }
        check_complete(&scripts, &caller);
    }

    #[test]
    fn inv_at_least_nothing_that_precedes_a_barrier_is_missing(
        scripts in prop::bool::ANY.prop_flat_map(scripts), turns in turns(),
    ) {
        let caller = run(&scripts, Guarantee::AtLeastOnce, &turns);
        for (id, consumed) in &caller.snapshots {
            for (consumed, script) in consumed.iter().zip(&scripts) {
                let expected = preceding(script, *id);
                prop_assert!(*consumed >= expected, "snapshot {}: {}, {}", id, consumed, expected);
            }
        }
        check_complete(&scripts, &caller);
    }
}
