//! Pure state machines: whether a snapshot is right is decided here, without a thread, a clock or
//! a disk.
//!
//! ```text
//!                    Command (begin, trigger, completed, aborted, finish)
//!   [coordinator] ------------------------------------------------> processes: [gathering]
//!        ^  |     <------------------------------------------------  tasks: [task], [alignment]
//!        |  |        Report (restored, acknowledged, declined, ended, committed, failed)
//!        |  +--Action--> whoever drives it: send, write a manifest, delete a snapshot, …
//!        +-----Event---- what came of it
//! ```
//!
//! # Protocol of one checkpoint
//!
//! 1. The coordinator triggers it at every process ([`protocol::Command::Trigger`]).
//! 2. Sources emit the barrier; each task aligns ([`task`], [`alignment`]) and hands out
//!    references.
//! 3. Each process gathers them, writes its one file and acknowledges ([`gathering`]).
//! 4. When all have, the manifest is written, last and at once. Only now does the snapshot exist.
//! 5. [`protocol::Command::Completed`]: two-phase sinks commit. What the new one subsumes is
//!    deleted. Of a savepoint there is no more to say than that it is over
//!    ([`protocol::Command::SavepointCompleted`]), but for the final one of a stop.
//!
//! Before the first of an attempt all of its subtasks have decoded what they take over
//! ([`beginning`]).
//!
//! # Invariants
//!
//! - INV-GROW: ids only grow, over attempts too.
//! - INV-DURABLE: no process is told `Completed` before the manifest is durable.
//! - INV-REACH: what a retained, pending or claimed snapshot reaches is never deleted.
//! - INV-SWEEP: what nothing reaches is deleted in the end.
//! - INV-FENCE: a report of an earlier attempt changes nothing.
//! - INV-ASIDE: savepoints neither commit anything nor take part in recovery (as in Flink since
//!   FLIP-203), but for the final one of a stop.
//! - INV-BEGIN: nobody emits or commits before everybody has decoded what they take over.
//! - INV-CONCLUDE: once that one is complete, the job's only future is to commit and to end.
//!
//! # Not here
//!
//! Files and formats are in `tidegate-snapshot`, threads and the network in `tidegate-runtime`.

pub mod alignment;
pub mod beginning;
pub mod coordinator;
pub mod gathering;
pub mod protocol;
pub mod restart;
pub mod restore;
pub mod task;
pub mod watermarks;

pub use alignment::{Alignment, Decision};
pub use coordinator::{Action, CompletedSnapshot, Coordinator, CoordinatorConfig, Event};
pub use gathering::Gathering;
pub use protocol::{Command, Report};
pub use restart::{RestartDecision, RestartStrategy};
pub use restore::{PlannedOperator, Program, RestoreError, RestorePlan, plan_restore};
pub use watermarks::Watermarks;
