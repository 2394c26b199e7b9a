//! What a task does next: its phases, without its operators, packets and threads.
//!
//! ```text
//!   process --TaskCommand--> [source]   --barriers, end--> [operator] --barriers, end--> …
//! ```
//!
//! Both are asked what comes next (`turn`), and told what came of it. What to do with a barrier and
//! an end is decided here; records, watermarks and the right to send are the driver's. Nothing here
//! is done per record, or per batch.

pub mod operator;
pub mod source;

use std::collections::VecDeque;

use tidegate_types::{Barrier, BarrierKind, CheckpointId};

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

/// What a task has been told and not acted upon.
#[derive(Clone, Debug, Default)]
struct Told {
    /// Snapshots of which it has heard and that it has not taken.
    triggers: VecDeque<Barrier>,
    /// Snapshots that never will be, of which it may see the barriers still, or hold still behind one.
    aborted: VecDeque<CheckpointId>,
}

impl Told {
    /// Commits are its operators' business.
    fn on_command(&mut self, command: TaskCommand) {
        match command {
            TaskCommand::Trigger(barrier) => self.triggers.push_back(barrier),
            TaskCommand::Aborted(checkpoint) => self.aborted.push_back(checkpoint),
            TaskCommand::Completed(_) => {}
        }
    }
}

/// What watermarks have set off in a task's operators and is not done yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Firing {
    /// Whether there is any.
    pub any: bool,
    /// Whether records wait behind it, which are in nobody's state.
    pub records: bool,
}

/// Whether what is left to do has to be done before a snapshot: records are in nobody's state, and
/// a drain has all timers fire before its savepoint. Otherwise it is in the operators' state.
fn must_fire_before(barrier: Barrier, firing: Firing) -> bool {
    let drains = barrier.kind == BarrierKind::StopWithSavepoint { drain: true };
    (drains && firing.any) || firing.records
}
