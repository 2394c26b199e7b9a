//! What a sink's subtask has written and does not know to be committed.

use std::collections::BTreeMap;

use bytes::Bytes;
use tidegate_snapshot::codec;
use tidegate_types::{CheckpointId, UserResult};

use crate::batch::Data;

/// By the checkpoint that it was prepared for. Shared with the duties that prepare, and with the
/// futures that commit.
pub(super) struct Ledger<C> {
    /// Waits for its checkpoint, or a later one, to complete.
    prepared: BTreeMap<CheckpointId, Vec<C>>,
    /// Is being committed. A crash may come before that is done, and the job be restored from a
    /// snapshot taken meanwhile: snapshots leave these out only when they are committed.
    committing: BTreeMap<CheckpointId, Vec<C>>,
    /// The latest checkpoint that is complete.
    completed: Option<CheckpointId>,
}

impl<C> Default for Ledger<C> {
    fn default() -> Self {
        Self { prepared: BTreeMap::new(), committing: BTreeMap::new(), completed: None }
    }
}

impl<C: Data> Ledger<C> {
    pub(super) fn add(&mut self, checkpoint: CheckpointId, prepared: Vec<C>) {
        self.prepared.insert(checkpoint, prepared);
    }

    /// INV-CARRY: everything up to this checkpoint, whether or not earlier ones completed.
    fn carried(&self, checkpoint: CheckpointId) -> impl Iterator<Item = &C> {
        let prepared = self.prepared.range(..=checkpoint);
        self.committing.iter().chain(prepared).flat_map(|(_, committables)| committables)
    }

    /// What a snapshot of this checkpoint has to hold.
    pub(super) fn encode_carried(&self, checkpoint: CheckpointId) -> UserResult<Vec<Bytes>> {
        let encode = |committable: &C| {
            let mut bytes = Vec::new();
            codec::encode(committable, &mut bytes)?;
            Ok(bytes.into())
        };
        self.carried(checkpoint).map(encode).collect()
    }

    pub(super) fn complete(&mut self, checkpoint: CheckpointId) {
        self.completed = self.completed.max(Some(checkpoint));
    }

    pub(super) fn completed(&self) -> Option<CheckpointId> {
        self.completed
    }

    /// Moves on what belongs to completed checkpoints up to this one; tells what it is, in order,
    /// and for which ones.
    pub(super) fn begin_commit(&mut self, checkpoint: CheckpointId) -> (Vec<CheckpointId>, Vec<C>) {
        let later = self.prepared.split_off(&checkpoint.next());
        let ready = std::mem::replace(&mut self.prepared, later);
        let ids = ready.keys().copied().collect();
        let committables = ready.values().flatten().cloned().collect();
        self.committing.extend(ready);
        (ids, committables)
    }

    /// What belongs to these checkpoints is committed.
    pub(super) fn end_commit(&mut self, checkpoints: &[CheckpointId]) {
        for checkpoint in checkpoints {
            self.committing.remove(checkpoint);
        }
    }
}
