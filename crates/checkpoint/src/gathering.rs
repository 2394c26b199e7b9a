//! The parts that one process hands out, snapshot by snapshot: `event -> actions`.
//!
//! ```text
//!   [early] ---------> [gathering] -----------> [writing] -------> [acknowledged]
//!     ^ part  trigger      |       all encoded      |      written      |       |
//!                          | aborted, or a part     | aborted           |       | completed
//!                          | could not be encoded   |                   |       v
//!                          v                        |                   |  [committing]
//!                      [given up] <-----------------+        aborted, or a      |
//!                          |                           savepoint completed      | all commits
//!                          | nothing is encoded or written any more     |       | are done
//!                          v                                            v       v
//!                       Declined                                      (over)  Committed
//! ```
//!
//! # Protocol
//!
//! The driver feeds every [`Event`] to [`Gathering::step`] and carries out the [`Action`]s in
//! order. Triggers come in the order of their ids, and ahead of whatever else is said of a
//! snapshot. Parts may come before the trigger does: when all sources of a process have ended,
//! barriers come from other processes alone. What a part is, and what is made of it, the driver
//! knows.
//!
//! # Invariants
//!
//! - INV-ANSWER: a snapshot that was triggered is acknowledged or declined once, and never both;
//!   not at all only if the attempt fails over it ([`Event::Unprepared`]).
//! - INV-STILL: when it is declined nothing of it is being encoded or written, and nothing will be:
//!   whoever is told so may delete what there is.
//! - INV-KEPT: parts that come before the trigger are kept until it comes, and no longer than until
//!   a later one does.
//! - INV-COMMITTED: `Committed` is said once per completed snapshot, when every subtask has handed
//!   out its commits and all of those are done.
//!
//! # Failure
//!
//! A snapshot that fails takes nothing with it. A second trigger, a second completion, and whatever
//! is said of a snapshot that is over, count for nothing.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_snapshot::manifest::SnapshotForm;
use tidegate_types::{Barrier, CheckpointId, ProcessIndex, SubtaskIndex};

use crate::{
    protocol::{ProcessAck, Report},
    task::TaskCommand,
};

/// Where the parts of a snapshot go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The folder, as a path or URL.
    pub folder: String,
    /// The form of its state files.
    pub form: SnapshotForm,
}

/// What a process is told: by the coordinator, by its tasks, and by what it has begun itself. `P`
/// is a part as a task hands it out, `E` what it is encoded into.
#[derive(Clone, Debug, PartialEq)]
pub enum Event<P, E> {
    /// A snapshot is to be taken.
    Triggered {
        /// Its id and what it is for.
        barrier: Barrier,
        /// Where its files go.
        target: Target,
    },
    /// The checkpoint, or the final savepoint of a stop, is durable.
    Completed(CheckpointId),
    /// The savepoint is durable.
    SavepointCompleted(CheckpointId),
    /// The snapshot will never be complete.
    Aborted(CheckpointId),
    /// A task has handed out its part.
    Part(CheckpointId, P),
    /// A part has been encoded.
    Encoded(CheckpointId, E),
    /// A part could not be encoded, for this reason.
    NotEncoded(CheckpointId, String),
    /// A part could not be encoded, since what an operator prepares for it has failed. That fails
    /// the attempt, which says why; the snapshot is not answered before it does.
    Unprepared(CheckpointId),
    /// The process's file has been written, or could not be.
    Written(CheckpointId, Result<ProcessAck, String>),
    /// A subtask has answered a completion with as many commits.
    Commits(CheckpointId, usize),
    /// One of those is done. Of one that fails there is nothing to say here: it fails the attempt.
    CommitDone(CheckpointId),
    /// A subtask, of that task, has consumed all of its input.
    InputEnded(usize, SubtaskIndex),
}

/// What a process is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action<P, E> {
    /// Tell every task.
    Tell(TaskCommand),
    /// Encode a part, and come back with [`Event::Encoded`] or why not.
    Encode {
        /// Of this snapshot.
        checkpoint: CheckpointId,
        /// For there.
        target: Target,
        /// The part.
        part: P,
    },
    /// Write one file of all parts, and come back with [`Event::Written`].
    Write {
        /// Of this snapshot.
        checkpoint: CheckpointId,
        /// Where.
        target: Target,
        /// One of every subtask.
        parts: Vec<E>,
    },
    /// Tell the coordinator.
    Report(Report),
}

/// How far a snapshot has come. `busy` is how many of its parts are being encoded.
#[derive(Clone, Debug)]
enum Stage<P, E> {
    /// Parts have come, and no trigger.
    Early(Vec<P>),
    /// Parts are being encoded as they come.
    Gathering { target: Target, busy: usize, parts: Vec<E> },
    /// All of them are being written.
    Writing,
    /// Nothing will come of it. What is being encoded, or written, goes on for now.
    GivenUp { busy: usize, reason: String },
    /// What becomes of it is up to others.
    Acknowledged,
    /// It is complete: how many subtasks have not said what they commit, and how many commits run.
    Committing { answers: usize, running: usize },
}

/// The parts of one process of an attempt.
#[derive(Clone, Debug)]
pub struct Gathering<P, E> {
    process: ProcessIndex,
    subtasks: usize,
    snapshots: BTreeMap<CheckpointId, Stage<P, E>>,
    /// The highest id that the coordinator has spoken of. Whatever is lower, and not in
    /// `snapshots`, is over.
    highest: Option<CheckpointId>,
    ended: BTreeSet<(usize, SubtaskIndex)>,
}

impl<P, E> Gathering<P, E> {
    /// For a process with `subtasks` many subtasks, of all its tasks together.
    #[must_use]
    pub fn new(process: ProcessIndex, subtasks: usize) -> Self {
        let (snapshots, ended) = Default::default();
        Self { process, subtasks, snapshots, highest: None, ended }
    }

    /// Whether parts of the snapshot are still of use to anybody.
    #[must_use]
    pub fn is_gathering(&self, checkpoint: CheckpointId) -> bool {
        matches!(self.snapshots.get(&checkpoint), Some(Stage::Gathering { .. }))
    }

    /// Whether no snapshot is under way or waits to hear what becomes of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshots.is_empty()
    }

    /// Takes in one event and tells what to do.
    pub fn step(&mut self, event: Event<P, E>) -> Vec<Action<P, E>> {
        let mut actions = Vec::new();
        match event {
            Event::Triggered { barrier, target } => self.on_trigger(barrier, target, &mut actions),
            Event::Completed(checkpoint) => self.on_completed(checkpoint, &mut actions),
            Event::SavepointCompleted(checkpoint) => self.on_over(checkpoint),
            Event::Aborted(checkpoint) => self.on_aborted(checkpoint, &mut actions),
            Event::Part(checkpoint, part) => self.on_part(checkpoint, part, &mut actions),
            Event::Encoded(checkpoint, part) => {
                self.on_encoded(checkpoint, Some(part), &mut actions);
            }
            Event::Unprepared(checkpoint) => self.on_encoded(checkpoint, None, &mut actions),
            Event::NotEncoded(checkpoint, reason) => {
                self.on_encoded(checkpoint, None, &mut actions);
                self.give_up(checkpoint, reason, &mut actions);
            }
            Event::Written(checkpoint, result) => self.on_written(checkpoint, result, &mut actions),
            Event::Commits(checkpoint, count) => self.on_commits(checkpoint, count, &mut actions),
            Event::CommitDone(checkpoint) => self.on_commit_done(checkpoint, &mut actions),
            Event::InputEnded(task, subtask) => self.on_input_ended(task, subtask, &mut actions),
        }
        actions
    }

    /// Takes note that the coordinator has spoken of a snapshot; tells whether it is the first
    /// time.
    fn is_news(&mut self, checkpoint: CheckpointId) -> bool {
        let is_news = self.highest < Some(checkpoint);
        if is_news {
            self.highest = Some(checkpoint);
            // INV-KEPT: nobody triggers older ones any more.
            self.snapshots
                .retain(|id, stage| *id >= checkpoint || !matches!(stage, Stage::Early(_)));
        }
        is_news
    }

    fn on_trigger(&mut self, barrier: Barrier, target: Target, actions: &mut Vec<Action<P, E>>) {
        let checkpoint = barrier.checkpoint;
        if !self.is_news(checkpoint) {
            return;
        }
        let gathering = Stage::Gathering { target, busy: 0, parts: Vec::new() };
        let early = self.snapshots.insert(checkpoint, gathering);
        actions.push(Action::Tell(TaskCommand::Trigger(barrier)));
        if let Some(Stage::Early(parts)) = early {
            parts.into_iter().for_each(|part| self.on_part(checkpoint, part, actions));
        }
    }

    fn on_part(&mut self, checkpoint: CheckpointId, part: P, actions: &mut Vec<Action<P, E>>) {
        match self.snapshots.get_mut(&checkpoint) {
            Some(Stage::Gathering { target, busy, .. }) => {
                *busy += 1;
                actions.push(Action::Encode { checkpoint, target: target.clone(), part });
            }
            Some(Stage::Early(parts)) => parts.push(part),
            None if self.highest < Some(checkpoint) => {
                self.snapshots.insert(checkpoint, Stage::Early(vec![part]));
            }
            _ => {}
        }
    }

    /// A part is not being encoded any more; there may be something to show for it.
    fn on_encoded(
        &mut self,
        checkpoint: CheckpointId,
        part: Option<E>,
        actions: &mut Vec<Action<P, E>>,
    ) {
        let Some(stage) = self.snapshots.get_mut(&checkpoint) else { return };
        match stage {
            Stage::Gathering { target, busy, parts } => {
                *busy = busy.saturating_sub(1);
                parts.extend(part);
                if parts.len() == self.subtasks {
                    let (target, parts) = (target.clone(), std::mem::take(parts));
                    *stage = Stage::Writing;
                    actions.push(Action::Write { checkpoint, target, parts });
                }
            }
            Stage::GivenUp { busy, .. } => {
                *busy = busy.saturating_sub(1);
                self.decline_if_quiet(checkpoint, actions);
            }
            _ => {}
        }
    }

    fn on_written(
        &mut self,
        checkpoint: CheckpointId,
        result: Result<ProcessAck, String>,
        actions: &mut Vec<Action<P, E>>,
    ) {
        let Some(stage) = self.snapshots.get_mut(&checkpoint) else { return };
        match (stage, result) {
            (stage @ Stage::Writing, Ok(ack)) => {
                *stage = Stage::Acknowledged;
                actions.push(Action::Report(Report::Acknowledged(ack)));
            }
            (stage @ Stage::Writing, Err(reason)) => {
                *stage = Stage::GivenUp { busy: 0, reason };
                self.decline_if_quiet(checkpoint, actions);
            }
            (Stage::GivenUp { busy, .. }, _) => {
                *busy = busy.saturating_sub(1);
                self.decline_if_quiet(checkpoint, actions);
            }
            _ => {}
        }
    }

    fn on_aborted(&mut self, checkpoint: CheckpointId, actions: &mut Vec<Action<P, E>>) {
        actions.push(Action::Tell(TaskCommand::Aborted(checkpoint)));
        if self.is_news(checkpoint) {
            // Whoever gives up what was never triggered here waits for an answer all the same.
            let (busy, reason) = (0, "aborted".to_owned());
            self.snapshots.insert(checkpoint, Stage::GivenUp { busy, reason });
            self.decline_if_quiet(checkpoint, actions);
        } else {
            self.give_up(checkpoint, "aborted".to_owned(), actions);
            self.on_over(checkpoint);
        }
    }

    /// Nothing will come of a snapshot that is not answered yet.
    fn give_up(
        &mut self,
        checkpoint: CheckpointId,
        reason: String,
        actions: &mut Vec<Action<P, E>>,
    ) {
        let Some(stage) = self.snapshots.get_mut(&checkpoint) else { return };
        let busy = match stage {
            Stage::Gathering { busy, .. } => *busy,
            Stage::Writing => 1,
            _ => return,
        };
        *stage = Stage::GivenUp { busy, reason };
        self.decline_if_quiet(checkpoint, actions);
    }

    /// INV-STILL
    fn decline_if_quiet(&mut self, checkpoint: CheckpointId, actions: &mut Vec<Action<P, E>>) {
        let Some(Stage::GivenUp { busy: 0, reason }) = self.snapshots.get_mut(&checkpoint) else {
            return;
        };
        let (process, reason) = (self.process, std::mem::take(reason));
        self.snapshots.remove(&checkpoint);
        actions.push(Action::Report(Report::Declined { checkpoint, process, reason }));
    }

    /// There is nothing left to do for a snapshot, if it was acknowledged.
    fn on_over(&mut self, checkpoint: CheckpointId) {
        if let Some(Stage::Acknowledged) = self.snapshots.get(&checkpoint) {
            self.snapshots.remove(&checkpoint);
        }
    }

    /// A snapshot that was never triggered here is the final savepoint of a stop, which an earlier
    /// attempt has taken.
    fn on_completed(&mut self, checkpoint: CheckpointId, actions: &mut Vec<Action<P, E>>) {
        let acknowledged = matches!(self.snapshots.get(&checkpoint), Some(Stage::Acknowledged));
        if !acknowledged && !self.is_news(checkpoint) {
            return;
        }
        let committing = Stage::Committing { answers: self.subtasks, running: 0 };
        self.snapshots.insert(checkpoint, committing);
        actions.push(Action::Tell(TaskCommand::Completed(checkpoint)));
        self.check_committed(checkpoint, actions);
    }

    fn on_commits(
        &mut self,
        checkpoint: CheckpointId,
        count: usize,
        actions: &mut Vec<Action<P, E>>,
    ) {
        if let Some(Stage::Committing { answers, running }) = self.snapshots.get_mut(&checkpoint)
            && *answers > 0
        {
            *answers -= 1;
            *running += count;
        }
        self.check_committed(checkpoint, actions);
    }

    fn on_commit_done(&mut self, checkpoint: CheckpointId, actions: &mut Vec<Action<P, E>>) {
        if let Some(Stage::Committing { running, .. }) = self.snapshots.get_mut(&checkpoint) {
            *running = running.saturating_sub(1);
        }
        self.check_committed(checkpoint, actions);
    }

    /// INV-COMMITTED
    fn check_committed(&mut self, checkpoint: CheckpointId, actions: &mut Vec<Action<P, E>>) {
        if let Some(Stage::Committing { answers: 0, running: 0 }) = self.snapshots.get(&checkpoint)
        {
            self.snapshots.remove(&checkpoint);
            let process = self.process;
            actions.push(Action::Report(Report::Committed { checkpoint, process }));
        }
    }

    fn on_input_ended(
        &mut self,
        task: usize,
        subtask: SubtaskIndex,
        actions: &mut Vec<Action<P, E>>,
    ) {
        if !self.ended.insert((task, subtask)) {
            return;
        }
        let process = self.process;
        if self.ended.len() == self.subtasks {
            actions.push(Action::Report(Report::InputsEnded { process }));
        } else if self.ended.len() == 1 {
            actions.push(Action::Report(Report::SubtaskEnded { process }));
        }
    }
}

#[cfg(test)]
mod tests;
