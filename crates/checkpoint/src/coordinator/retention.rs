//! Which completed snapshots are kept, and which of them to restore from.

use std::collections::VecDeque;

use tidegate_snapshot::store::DeletionProof;
use tidegate_types::{BarrierKind, CheckpointId};

/// A snapshot whose manifest is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompletedSnapshot {
    /// Its id.
    pub id: CheckpointId,
    /// What it was for.
    pub kind: BarrierKind,
    /// Where it lies, as a path or URL.
    pub location: String,
    /// How many bytes of state it holds.
    pub bytes: u64,
}

impl CompletedSnapshot {
    /// Whether it belongs to the user, who alone may delete it.
    #[must_use]
    pub fn is_savepoint(&self) -> bool {
        matches!(self.kind, BarrierKind::Savepoint | BarrierKind::StopWithSavepoint { .. })
    }
}

/// A snapshot of the job's own that nobody needs any more, as only retention can tell: the proof
/// that it may be deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subsumed(CompletedSnapshot);

impl Subsumed {
    /// Which one.
    #[must_use]
    pub fn snapshot(&self) -> &CompletedSnapshot {
        &self.0
    }
}

impl DeletionProof for Subsumed {
    fn location(&self) -> &str {
        &self.0.location
    }

    fn checkpoint(&self) -> Option<CheckpointId> {
        Some(self.0.id)
    }
}

/// The completed snapshots of one job.
#[derive(Clone, Debug)]
pub(super) struct Retention {
    num_retained: usize,
    /// Ours to delete, oldest first.
    owned: VecDeque<CompletedSnapshot>,
    /// What the job was started from without claiming it, or the final savepoint that it ends with:
    /// a restore point that is never deleted.
    foreign: Option<CompletedSnapshot>,
}

impl Retention {
    pub(super) fn new(
        num_retained: u32,
        mut owned: Vec<CompletedSnapshot>,
        foreign: Option<CompletedSnapshot>,
    ) -> Self {
        owned.sort_by_key(|snapshot| snapshot.id);
        Self { num_retained: (num_retained as usize).max(1), owned: owned.into(), foreign }
    }

    /// Takes in a completed snapshot; tells which ones nobody needs any more.
    ///
    /// INV-ASIDE: a savepoint is its user's, who may move it at any time. Only the final one of a
    /// stop is restored from, since its sinks are to commit what it holds.
    ///
    /// Manifests written at the same time may become durable in any order. What counts is the
    /// order of the ids: sinks have committed what the latest one holds, and going back behind it
    /// would commit the same again.
    pub(super) fn add(&mut self, snapshot: CompletedSnapshot) -> Vec<Subsumed> {
        match snapshot.kind {
            BarrierKind::Savepoint => return Vec::new(),
            BarrierKind::StopWithSavepoint { .. } => {
                self.foreign = Some(snapshot);
                return Vec::new();
            }
            BarrierKind::Checkpoint | BarrierKind::Final => {}
        }
        let place = self.owned.partition_point(|other| other.id < snapshot.id);
        self.owned.insert(place, snapshot);
        let surplus = self.owned.len().saturating_sub(self.num_retained);
        self.owned.drain(..surplus).map(Subsumed).collect()
    }

    pub(super) fn restore_point(&self) -> Option<&CompletedSnapshot> {
        self.owned.back().into_iter().chain(&self.foreign).max_by_key(|snapshot| snapshot.id)
    }

    /// Leaves a restore point out that is damaged; tells whether there is an older checkpoint to go
    /// back to. The damaged one is not deleted: somebody may want to look at it.
    pub(super) fn pass_over(&mut self, id: CheckpointId) -> bool {
        let newest = self.owned.back().is_some_and(|newest| newest.id == id);
        let is_restored = self.restore_point().is_some_and(|point| point.id == id);
        if !newest || !is_restored || self.owned.len() < 2 {
            return false;
        }
        self.owned.pop_back();
        true
    }

    pub(super) fn all(&self) -> Vec<CompletedSnapshot> {
        self.owned.iter().chain(&self.foreign).cloned().collect()
    }

    /// Gives up everything that is ours.
    pub(super) fn take_owned(&mut self) -> Vec<Subsumed> {
        self.owned.drain(..).map(Subsumed).collect()
    }
}
