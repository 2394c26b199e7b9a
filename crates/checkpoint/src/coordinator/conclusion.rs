//! The end of a job that was stopped with a savepoint.
//!
//! ```text
//!   stop -> [stopping] --savepoint complete--> [concluding] --committed--> closed -> answered
//!                                                |      ^
//!                                     attempt fails     | next attempt: emits nothing, commits
//! ```
//!
//! # Invariants
//!
//! - INV-CONCLUDE: once the final savepoint is complete, no attempt emits or snapshots anything any
//!   more, whatever fails: sinks commit what it holds, and the job ends as it was asked to. Only
//!   then is the stop answered. Otherwise whoever starts another job from that savepoint would have
//!   two that write the same.

use std::collections::BTreeSet;

use tidegate_types::CheckpointId;

use super::{Action, Coordinator, EndStatus, Phase, RequestId};
use crate::protocol::Command;

/// The final savepoint of a stop, complete.
#[derive(Clone, Debug)]
pub(super) struct Conclusion {
    pub(super) checkpoint: CheckpointId,
    pub(super) location: String,
    /// Who has asked for it; nobody, if that was before the JobManager was started anew.
    pub(super) request: Option<RequestId>,
    /// How the job ends behind it.
    pub(super) end: EndStatus,
}

impl Coordinator {
    /// For a job whose final savepoint was complete when it was taken over: all that is left is to
    /// commit what it holds and to end, as `end` says.
    #[must_use]
    pub fn concluding(mut self, end: EndStatus) -> Self {
        self.conclusion = self.retention.restore_point().map(|point| Conclusion {
            checkpoint: point.id,
            location: point.location.clone(),
            request: None,
            end,
        });
        self
    }

    /// INV-CONCLUDE: has an attempt that has just begun commit what the final savepoint holds.
    pub(super) fn conclude(&mut self, actions: &mut Vec<Action>) {
        let Some(Conclusion { checkpoint, .. }) = self.conclusion else { return };
        // INV-BEGIN: of an attempt that is being restored it is said when that begins.
        let may = !matches!(self.phase, Phase::Cancelling | Phase::Restoring(_));
        if self.attempt.is_some() && may {
            self.phase = Phase::Committing { checkpoint, committed: BTreeSet::new() };
            // INV-DURABLE: there is a conclusion only of a snapshot that is complete.
            actions.push(Action::Send(Command::Completed { checkpoint }));
        }
    }

    /// How the job ends when all of its processes have closed.
    pub(super) fn closing_status(&self) -> EndStatus {
        self.conclusion.as_ref().map_or(EndStatus::Finished, |conclusion| conclusion.end)
    }

    /// Tells whoever has stopped the job what has come of it.
    pub(super) fn answer_conclusion(&mut self, status: EndStatus, actions: &mut Vec<Action>) {
        let Some(Conclusion { location, request, end, .. }) = self.conclusion.take() else {
            return;
        };
        let Some(request) = request else { return };
        let result = if status == end {
            Ok(location)
        } else {
            Err(format!(
                "the savepoint is complete, in {location}, but the job has ended before its sinks \
                 had committed all that it holds; a job that is started from it commits the rest"
            ))
        };
        actions.push(Action::Answer { request, result });
    }
}
