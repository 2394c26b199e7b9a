//! The mark that splits a stream into what belongs to a snapshot and what does not.

use serde::{Deserialize, Serialize};

use crate::ids::CheckpointId;

/// What kind of snapshot a barrier asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum BarrierKind {
    /// A periodic checkpoint: the stream goes on.
    Checkpoint,
    /// A savepoint: the stream goes on.
    Savepoint,
    /// A savepoint after which the sources hold still and the job ends.
    StopWithSavepoint {
        /// Whether the final watermark goes ahead of the barrier, so that all timers fire.
        drain: bool,
    },
    /// The checkpoint after all inputs have ended, with which the last results are committed.
    Final,
}

/// Splits a stream into the records that belong to a snapshot and those that do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Barrier {
    /// The snapshot's id.
    pub checkpoint: CheckpointId,
    /// What it is for.
    pub kind: BarrierKind,
}
