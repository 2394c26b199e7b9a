//! A snapshot under way, as its master knows it: one record, from its trigger to its end.

use std::sync::Arc;

use tidegate_checkpoint::protocol::ProcessAck;
use tidegate_snapshot::{manifest::SnapshotForm, store::Unfinished};
use tidegate_types::Timestamp;

use crate::stats::SubtaskSnapshot;

/// A snapshot that has been triggered, until it is complete or its files are gone.
pub(super) struct UnderWay {
    /// Where it goes, resolved once, and by whose token its files are told from others'.
    pub(super) unfinished: Unfinished,
    pub(super) form: SnapshotForm,
    pub(super) triggered_at: Timestamp,
    /// What was measured of its parts, once all have come.
    pub(super) parts: Arc<[SubtaskSnapshot]>,
}

impl UnderWay {
    pub(super) fn new(unfinished: Unfinished, form: SnapshotForm, now: Timestamp) -> Self {
        Self { unfinished, form, triggered_at: now, parts: Arc::default() }
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
