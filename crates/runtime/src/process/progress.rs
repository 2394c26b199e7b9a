//! How far a process has come, for others to see.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use tidegate_types::{CheckpointId, Clock, SnapshotFigures, Timestamp};

/// How far a process has come. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Progress {
    clock: Arc<dyn Clock>,
    first_record: Arc<OnceLock<Timestamp>>,
    snapshots: Arc<Mutex<BTreeMap<CheckpointId, SnapshotFigures>>>,
}

impl Progress {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, first_record: Arc::default(), snapshots: Arc::default() }
    }

    /// When the first record had passed through all operators.
    pub(crate) fn first_record(&self) -> Option<Timestamp> {
        self.first_record.get().copied()
    }

    /// The snapshots that are being taken.
    pub(crate) fn snapshots(&self) -> Vec<SnapshotFigures> {
        self.lock().values().copied().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CheckpointId, SnapshotFigures>> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A first record has passed. Every worker tells of its own; the first counts.
    pub(super) fn first_record_has_left(&self) {
        let _ = self.first_record.set(self.clock.now());
    }

    /// A subtask's part of a snapshot, so long, has been encoded.
    pub(super) fn encoded(&self, checkpoint: CheckpointId, bytes: u64) {
        let mut snapshots = self.lock();
        let none = SnapshotFigures { checkpoint, subtasks: 0, bytes: 0 };
        let figures = snapshots.entry(checkpoint).or_insert(none);
        figures.subtasks += 1;
        figures.bytes += bytes;
    }

    /// Nobody is to be told of the snapshot any more.
    pub(super) fn ended(&self, checkpoint: CheckpointId) {
        self.lock().remove(&checkpoint);
    }
}
