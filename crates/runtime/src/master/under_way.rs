//! A snapshot under way, as its master knows it: one record, from its trigger to its end.

use std::sync::Arc;

use tidegate_checkpoint::protocol::ProcessAck;
use tidegate_snapshot::{
    manifest::{Manifest, SnapshotForm, SnapshotKind},
    store::Unfinished,
};
use tidegate_storage::log::{Concluded, Recorded, RecordedKind};
use tidegate_types::{BarrierKind, CheckpointId, Timestamp};

use crate::stats::SubtaskSnapshot;

/// A snapshot that has been triggered, until it is complete or its files are gone.
pub(super) struct UnderWay {
    /// Where it goes, resolved once, and by whose token its files are told from others'.
    pub(super) unfinished: Unfinished,
    kind: BarrierKind,
    pub(super) form: SnapshotForm,
    pub(super) triggered_at: Timestamp,
    /// The request that it is taken for, if the job's log is to say so.
    pub(super) trigger: Option<String>,
    /// How the job ends behind it, if it does.
    pub(super) ends: Option<Concluded>,
    /// The manifest as it is being written: by no other is the snapshot this one.
    pub(super) manifest: Option<Arc<Manifest>>,
    /// What was measured of its parts, once all have come.
    pub(super) parts: Arc<[SubtaskSnapshot]>,
}

impl UnderWay {
    pub(super) fn new(
        unfinished: Unfinished,
        kind: BarrierKind,
        form: SnapshotForm,
        now: Timestamp,
    ) -> Self {
        let (trigger, ends, manifest, parts) = (None, None, None, Arc::default());
        Self { unfinished, kind, form, triggered_at: now, trigger, ends, manifest, parts }
    }

    /// Whom it belongs to, as its manifest says.
    pub(super) fn snapshot_kind(&self) -> SnapshotKind {
        match self.kind {
            BarrierKind::Checkpoint | BarrierKind::Final => SnapshotKind::Checkpoint,
            BarrierKind::Savepoint => SnapshotKind::Savepoint,
            BarrierKind::StopWithSavepoint { .. } => SnapshotKind::FinalSavepoint,
        }
    }

    /// What the job's log says of it when it is complete.
    pub(super) fn record(&self, checkpoint: CheckpointId) -> Recorded {
        let kind = match self.snapshot_kind() {
            SnapshotKind::Checkpoint => RecordedKind::Checkpoint,
            SnapshotKind::Savepoint => RecordedKind::Savepoint,
            SnapshotKind::FinalSavepoint => RecordedKind::FinalSavepoint,
        };
        let location = self.unfinished.location().to_string();
        let (attempt, trigger) = (Some(self.unfinished.token()), self.trigger.clone());
        Recorded { checkpoint, location, kind, attempt, trigger, ends: self.ends }
    }

    /// Keeps what was measured of its parts.
    pub(super) fn measure(&mut self, acks: &[ProcessAck]) {
        let operators = acks.iter().flat_map(|ack| &ack.operators);
        let parts = operators.map(|ack| SubtaskSnapshot {
            uid: ack.uid.clone(),
            subtask: ack.subtask.index,
            stats: ack.stats,
        });
        self.parts = parts.collect();
    }
}
