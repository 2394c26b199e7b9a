//! How a job ends, and what it leaves behind.
//!
//! # Protocol
//!
//! A job that keeps no checkpoint says in its log that it has ended, deletes its checkpoints, and looks
//! whether that has worked. If so the log goes too; if not it stays, and whoever wants to go on from the
//! latest checkpoint is told how the job has ended, instead of going on from one that was left by chance:
//! by a deletion that failed, or by a run that was taken over from as it completed something.
//!
//! # Failure
//!
//! Before the log says that the job has ended, the next run goes on from its last checkpoint and ends once
//! more; behind that nobody goes on from anything (INV-ENDED).

use tidegate_checkpoint::{Action, Event, coordinator::EndStatus};
use tidegate_storage::log::{Concluded, JobLog};
use tidegate_types::error::chain;
use tracing::{info, warn};

use super::JobMaster;
use crate::api::{JobResult, JobStatus};

/// How the log says it of a job that is over for good and has not failed.
pub(super) fn concluded(status: EndStatus) -> Option<Concluded> {
    match status {
        EndStatus::Finished => Some(Concluded::Finished),
        EndStatus::Canceled => Some(Concluded::Canceled),
        EndStatus::Failed | EndStatus::Suspended => None,
    }
}

impl JobMaster {
    /// The job ends like that.
    pub(super) async fn ended(&mut self, status: EndStatus) -> JobResult {
        let may_delete = self.conclude(status).await;
        let mut actions = self.coordinator.step(Event::JobEnded(status), self.clock.monotonic());
        if !may_delete {
            actions.retain(|action| !matches!(action, Action::Delete(_)));
        }
        self.perform(actions, &mut None);
        let status = match status {
            EndStatus::Finished => JobStatus::Finished,
            EndStatus::Canceled => JobStatus::Canceled,
            EndStatus::Suspended => JobStatus::Suspended,
            EndStatus::Failed => JobStatus::Failed,
        };
        self.set_status(status);
        info!(job = %self.settings.id, ?status, "the job has ended");
        JobResult { status, savepoint: self.stopped_with.take(), stats: self.stats.get() }
    }

    /// INV-ENDED: says in the log that the job has ended, if it leaves nothing to go on from; tells
    /// whether what it has retained may go.
    async fn conclude(&mut self, status: EndStatus) -> bool {
        // What it was stopped with is there to go on from.
        let has_savepoint = self.stopped_with.is_some() || self.coordinator.is_concluding();
        if has_savepoint || self.coordinator.keeps_checkpoints(status) {
            return true;
        }
        // Otherwise there is something to go on with.
        let Some(how) = concluded(status) else { return true };
        self.is_concluded = self.tenure.conclude(how).await;
        self.is_concluded
    }

    /// Waits until what is to be deleted is, and lets go of the job; with nothing left of it its log goes
    /// too, or is handed back where a JobManager has the job on record.
    pub(super) async fn let_go(mut self, is_over: bool) -> Option<JobLog> {
        while self.deletions.join_next().await.is_some() {}
        let nothing_retained = self.is_concluded || self.coordinator.retained().is_empty();
        let forget = is_over && nothing_retained && self.is_swept().await;
        self.tenure.end(forget).await
    }

    /// Whether no checkpoint of the job is left that anybody could take for its latest.
    async fn is_swept(&mut self) -> bool {
        let (job, subdir) = (self.settings.id, self.settings.options.checkpointing.create_subdir);
        let listed = self.stores.checkpoints.list(job, subdir).await;
        let left = match &listed {
            Ok(listed) => listed.iter().find(|found| found.complete),
            Err(error) => {
                warn!(%job, error = chain(error), "is anything of the job left? its log stays");
                return false;
            }
        };
        if let Some(left) = left {
            let location = &left.location;
            warn!(%job, %location, "a checkpoint is left, which nobody goes on from by itself any more: the job has ended");
        }
        left.is_none()
    }
}
