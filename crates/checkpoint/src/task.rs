//! What tasks are told.

use tidegate_types::{Barrier, CheckpointId};

/// What a process tells every one of its tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskCommand {
    /// Take a snapshot: sources emit its barrier.
    Trigger(Barrier),
    /// A snapshot is complete: commit.
    Completed(CheckpointId),
    /// A snapshot never will be.
    Aborted(CheckpointId),
}
