//! The coordinator's settings: plain data, handed in.

use std::time::Duration;

pub use tidegate_types::options::RetentionPolicy;

/// Flink's `execution.checkpointing.*`, as far as the coordinator heeds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinatorConfig {
    /// From one trigger to the next; `None` for no periodic checkpoints.
    pub interval: Option<Duration>,
    /// After this time a snapshot that is not complete is given up.
    pub timeout: Duration,
    /// At least this long from the end of one snapshot to the trigger of the next periodic one.
    pub min_pause: Duration,
    /// How many snapshots may be under way at once.
    pub max_concurrent: u32,
    /// How many checkpoints in a row may fail before the attempt does.
    pub tolerable_failed: u32,
    /// What becomes of checkpoints when the job is cancelled.
    pub retention: RetentionPolicy,
    /// How many completed checkpoints are kept.
    pub num_retained: u32,
    /// Whether checkpoints go on when some subtasks have consumed all of their input, with a final
    /// one at the end. Without, the last results of two-phase sinks stay uncommitted, as in Flink.
    pub checkpoints_after_tasks_finish: bool,
}
