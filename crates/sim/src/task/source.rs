//! A subtask of the source.

use std::collections::VecDeque;

use bytes::Bytes;
use rand::RngExt;
use tidegate_snapshot::{
    codec,
    segment::{ItemType, ListState, Redistribution},
};
use tidegate_types::{
    Barrier, BarrierKind, CheckpointId, KeyHash, MaxParallelism, Parallelism, SubtaskIndex,
};

use super::{Effect, Packet, Part, Record, Restored};
use crate::scenario::Random;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    /// It holds still behind the barrier of a stop-with-savepoint.
    Stopped(CheckpointId),
    Ended,
}

/// Reads some of the splits, each in its order.
pub(crate) struct Source {
    phase: Phase,
    parallelism: Parallelism,
    max_parallelism: MaxParallelism,
    /// Splits, and the place of the next record in each.
    positions: Vec<(u32, u64)>,
    triggers: VecDeque<Barrier>,
}

impl Source {
    /// Splits are handed out in turn at first, and later as the snapshot's list is split.
    ///
    /// # Errors
    ///
    /// When the restored positions can't be read.
    pub(crate) fn new(
        subtask: SubtaskIndex,
        parallelism: Parallelism,
        max_parallelism: MaxParallelism,
        splits: u32,
        restored: Option<Restored>,
    ) -> Result<Self, String> {
        let positions = match restored {
            Some(restored) => restored.items()?,
            None => {
                let own = |split: &u32| split % parallelism.get() == subtask.get();
                (0..splits).filter(own).map(|split| (split, 0)).collect()
            }
        };
        let (phase, triggers) = (Phase::Running, VecDeque::new());
        Ok(Self { phase, parallelism, max_parallelism, positions, triggers })
    }

    /// Whether it will never emit again.
    pub(crate) fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// Emits a few records.
    pub(crate) fn poll(&mut self, splits: &[Vec<(u64, i64)>], random: &mut Random) -> Vec<Effect> {
        if self.phase != Phase::Running {
            return Vec::new();
        }
        let rest = |(split, next): &(u32, u64)| splits[*split as usize].len() as u64 - next;
        let open = (0..self.positions.len()).filter(|index| rest(&self.positions[*index]) > 0);
        let open = open.collect::<Vec<_>>();
        if open.is_empty() {
            self.phase = Phase::Ended;
            return vec![Effect::Broadcast(Packet::End), Effect::Ended];
        }
        let index = open[random.random_range(0..open.len())];
        let count = random.random_range(1..6).min(rest(&self.positions[index]));
        let (split, next) = &mut self.positions[index];
        let mut batches = vec![Vec::new(); self.parallelism.get() as usize];
        for place in *next..*next + count {
            let (key, value) = splits[*split as usize][place as usize];
            let group = KeyHash::of(&key).group(self.max_parallelism);
            let owner = group.owner(self.parallelism, self.max_parallelism);
            batches[owner.get() as usize].push(Record { key, value, id: (*split, place) });
        }
        *next += count;
        let batches = (0..).zip(batches).filter(|(_, batch)| !batch.is_empty());
        batches.map(|(owner, batch)| Effect::Send(owner, Packet::Records(batch))).collect()
    }

    pub(crate) fn on_trigger(&mut self, barrier: Barrier) -> Vec<Effect> {
        self.triggers.push_back(barrier);
        self.follow_triggers()
    }

    /// A snapshot will never be complete.
    pub(crate) fn on_aborted(&mut self, checkpoint: CheckpointId) -> Vec<Effect> {
        if self.phase == Phase::Stopped(checkpoint) {
            self.phase = Phase::Running;
        }
        self.follow_triggers()
    }

    fn follow_triggers(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while !matches!(self.phase, Phase::Stopped(_))
            && let Some(barrier) = self.triggers.pop_front()
        {
            effects.push(Effect::Snapshot(barrier.checkpoint, self.snapshot()));
            if self.has_ended() {
                continue;
            }
            effects.push(Effect::Broadcast(Packet::Barrier(barrier)));
            if matches!(barrier.kind, BarrierKind::StopWithSavepoint { .. }) {
                self.phase = Phase::Stopped(barrier.checkpoint);
            }
        }
        effects
    }

    fn snapshot(&self) -> Part {
        let items = self.positions.iter().map(|position| {
            let mut bytes = Vec::new();
            codec::encode(position, &mut bytes).expect("a position is plain numbers");
            Bytes::from(bytes)
        });
        let (name, redistribution) = ("positions".to_owned(), Redistribution::Split);
        let list = Some(ListState {
            name,
            redistribution,
            item_type: ItemType::Unknown,
            items: items.collect(),
        });
        Part { finished: self.has_ended(), list, ..Part::default() }
    }
}
