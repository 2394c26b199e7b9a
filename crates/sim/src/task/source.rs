//! A subtask of the source.

use bytes::Bytes;
use rand::RngExt;
use tidegate_checkpoint::task::{
    Firing, TaskCommand,
    source::{Flushed, SourceTask, Turn},
};
use tidegate_snapshot::{
    codec,
    segment::{ItemType, ListState, Redistribution},
};
use tidegate_types::{KeyHash, MaxParallelism, Parallelism, SubtaskIndex};

use super::{Effect, Packet, Part, Record, Restored};
use crate::scenario::Random;

/// Reads some of the splits, each in its order.
pub(crate) struct Source {
    phases: SourceTask,
    has_ended: bool,
    parallelism: Parallelism,
    max_parallelism: MaxParallelism,
    /// Splits, and the place of the next record in each.
    positions: Vec<(u32, u64)>,
}

impl Source {
    /// Splits are handed out in turn at first, and later as the snapshot's list is split. If the
    /// job `concludes` it emits nothing.
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
        concludes: bool,
    ) -> Result<Self, String> {
        let positions = match restored {
            Some(restored) => restored.items()?,
            None => {
                let own = |split: &u32| split % parallelism.get() == subtask.get();
                (0..splits).filter(own).map(|split| (split, 0)).collect()
            }
        };
        let (phases, has_ended) = (SourceTask::new(concludes), false);
        Ok(Self { phases, has_ended, parallelism, max_parallelism, positions })
    }

    /// Whether it will never emit again.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Emits a few records.
    pub(crate) fn poll(&mut self, splits: &[Vec<(u64, i64)>], random: &mut Random) -> Vec<Effect> {
        if self.phases.turn() != Turn::Emit {
            return Vec::new();
        }
        let rest = |(split, next): &(u32, u64)| splits[*split as usize].len() as u64 - next;
        let open = (0..self.positions.len()).filter(|index| rest(&self.positions[*index]) > 0);
        let open = open.collect::<Vec<_>>();
        if open.is_empty() {
            self.phases.on_source_end();
            return self.run();
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

    pub(crate) fn on_command(&mut self, command: TaskCommand) -> Vec<Effect> {
        self.phases.on_command(command);
        self.run()
    }

    /// Nothing is buffered here, and there are no watermarks.
    fn run(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.phases.turn() == Turn::Flush {
            match self.phases.on_flushed(Firing::default()) {
                Flushed::FinalWatermark | Flushed::Fire | Flushed::Again => {}
                Flushed::Snapshot { barrier, finished } => {
                    effects.push(Effect::Snapshot(barrier.checkpoint, self.snapshot(finished)));
                    if !finished {
                        effects.push(Effect::Broadcast(Packet::Barrier(barrier)));
                    }
                    self.phases.on_snapshot();
                }
                Flushed::End => {
                    self.has_ended = true;
                    effects.push(Effect::Broadcast(Packet::End));
                    effects.push(Effect::Ended);
                    self.phases.on_end_sent();
                }
            }
        }
        effects
    }

    fn snapshot(&self, finished: bool) -> Part {
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
        Part { finished, list, ..Part::default() }
    }
}
