//! What the tasks with inputs do: sum by key, and write in two phases.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::de::DeserializeOwned;
use tidegate_checkpoint::restore::SubtaskRestore;
use tidegate_snapshot::{
    codec,
    segment::{
        ItemType, KeyedSegmentReader, KeyedSegmentWriter, ListSegment, ListState, Redistribution,
    },
};
use tidegate_types::{
    CheckpointId, KeyGroup, KeyGroupRange, KeyHash, MaxParallelism, Parallelism, SubtaskIndex,
};

use super::{Effect, Packet, Part};
use crate::store::{Loaded, Output, Transaction};

/// What a subtask takes over from a snapshot.
pub(crate) struct Restored<'a> {
    pub(crate) snapshot: &'a Loaded,
    pub(crate) share: &'a SubtaskRestore,
}

impl Restored<'_> {
    /// The items of its lists.
    ///
    /// # Errors
    ///
    /// When they can't be read.
    pub(crate) fn items<T: DeserializeOwned>(&self) -> Result<Vec<T>, String> {
        let mut items = Vec::new();
        for range in &self.share.lists {
            let segment = self.snapshot.segment(&range.segment)?;
            let lists = ListSegment::decode(&segment).map_err(|error| error.to_string())?;
            let list = lists.states.iter().find(|list| list.name == range.name);
            let taken =
                list.and_then(|list| list.items.get(range.start as usize..range.end as usize));
            for item in taken.ok_or("a list is shorter than its summary says")? {
                items.push(codec::decode_exact(item).map_err(|error| error.to_string())?);
            }
        }
        Ok(items)
    }

    fn sums(&self) -> Result<BTreeMap<KeyGroup, Sums>, String> {
        let mut groups: BTreeMap<KeyGroup, Sums> = BTreeMap::new();
        for (segment, range) in &self.share.keyed {
            let bytes = self.snapshot.segment(segment)?;
            let reader = KeyedSegmentReader::open(bytes).map_err(|error| error.to_string())?;
            for block in reader.blocks_in(*range) {
                let mut bytes = block.bytes;
                for _ in 0..block.entries {
                    let (key, sum) = codec::decode::<(u64, (u64, i64))>(&mut bytes)
                        .map_err(|error| error.to_string())?;
                    groups.entry(block.group).or_default().insert(key, sum);
                }
            }
        }
        Ok(groups)
    }
}

/// By key, how many records there were, and the sum of their values.
type Sums = BTreeMap<u64, (u64, i64)>;

/// The operator of a task with inputs.
pub(crate) enum Operator {
    Sum {
        groups: KeyGroupRange,
        parallelism: Parallelism,
        max_parallelism: MaxParallelism,
        sums: BTreeMap<KeyGroup, Sums>,
    },
    Sink {
        run: u64,
        subtask: SubtaskIndex,
        written: Vec<Output>,
        /// What is prepared and not known to be committed.
        prepared: BTreeMap<CheckpointId, Transaction>,
    },
}

impl Operator {
    /// A subtask of the sum.
    ///
    /// # Errors
    ///
    /// When its state can't be read, or is not what the subtask owns.
    pub(crate) fn sum(
        subtask: SubtaskIndex,
        parallelism: Parallelism,
        max_parallelism: MaxParallelism,
        restored: Option<&Restored<'_>>,
    ) -> Result<Self, String> {
        let groups = KeyGroupRange::owned_by(subtask, parallelism, max_parallelism);
        let sums = restored.map(Restored::sums).transpose()?.unwrap_or_default();
        match sums.keys().find(|group| !groups.contains(**group)) {
            Some(group) => Err(format!("subtask {subtask} was handed key group {group}")),
            None => Ok(Self::Sum { groups, parallelism, max_parallelism, sums }),
        }
    }

    /// A subtask of the sink; `run` tells its transactions apart from those of other runs.
    pub(crate) fn sink(subtask: SubtaskIndex, run: u64) -> Self {
        Self::Sink { run, subtask, written: Vec::new(), prepared: BTreeMap::new() }
    }

    /// Whether it has to wait until the restored transactions are committed.
    pub(super) fn recovers_first(&self) -> bool {
        matches!(self, Self::Sink { subtask: SubtaskIndex(0), .. })
    }

    pub(super) fn on_data(&mut self, packet: Packet, effects: &mut Vec<Effect>) {
        match (self, packet) {
            (Self::Sum { parallelism, max_parallelism, sums, .. }, Packet::Records(records)) => {
                for record in records {
                    let group = KeyHash::of(&record.key).group(*max_parallelism);
                    let entry = sums.entry(group).or_default().entry(record.key);
                    let (count, sum) = entry.or_default();
                    *count += 1;
                    *sum += record.value;
                    let (key, id) = (record.key, record.id);
                    let output = Output { key, count: *count, sum: *sum, record: id };
                    let to = ((u64::from(id.0) + id.1) % u64::from(parallelism.get())) as u32;
                    effects.push(Effect::Send(to, Packet::Outputs(vec![output])));
                }
            }
            (Self::Sink { written, .. }, Packet::Outputs(outputs)) => written.extend(outputs),
            (_, packet) => unreachable!("nobody sends {packet:?} there"),
        }
    }

    pub(super) fn snapshot(&mut self, checkpoint: CheckpointId) -> Part {
        match self {
            Self::Sum { groups, sums, .. } => {
                Part { keyed: Some((*groups, keyed_segment(*groups, sums))), ..Part::default() }
            }
            Self::Sink { run, subtask, written, prepared } => {
                let outputs = std::mem::take(written);
                let transaction = (*run, subtask.get(), checkpoint);
                let staged = (!outputs.is_empty()).then_some((transaction, outputs));
                if staged.is_some() {
                    prepared.insert(checkpoint, transaction);
                }
                Part { list: Some(committables(prepared.values())), staged, ..Part::default() }
            }
        }
    }

    /// A snapshot is complete; tells what is to be committed with it: everything up to it that is
    /// not known to be committed, also what is being committed for an earlier one right now.
    pub(crate) fn on_completed(&self, checkpoint: CheckpointId) -> Vec<Transaction> {
        match self {
            Self::Sum { .. } => Vec::new(),
            Self::Sink { prepared, .. } => {
                prepared.range(..=checkpoint).map(|(_, transaction)| *transaction).collect()
            }
        }
    }

    /// Only now may snapshots leave these out.
    pub(crate) fn on_committed(&mut self, transactions: &[Transaction]) {
        if let Self::Sink { prepared, .. } = self {
            prepared.retain(|_, transaction| !transactions.contains(transaction));
        }
    }
}

fn keyed_segment(groups: KeyGroupRange, sums: &BTreeMap<KeyGroup, Sums>) -> Vec<u8> {
    let mut writer = KeyedSegmentWriter::new(groups);
    for (group, sums) in sums {
        writer.begin_block(*group, 0);
        for entry in sums {
            codec::encode(&entry, writer.buffer()).expect("an entry is plain numbers");
        }
        writer.end_block(sums.len() as u64);
    }
    writer.finish()
}

fn committables<'a>(prepared: impl Iterator<Item = &'a Transaction>) -> ListState {
    let items = prepared.map(|transaction| {
        let mut bytes = Vec::new();
        codec::encode(transaction, &mut bytes).expect("a transaction's name is plain numbers");
        Bytes::from(bytes)
    });
    let (name, redistribution) = ("committables".to_owned(), Redistribution::Union);
    ListState { name, redistribution, item_type: ItemType::Unknown, items: items.collect() }
}
