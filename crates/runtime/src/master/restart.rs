//! What follows upon an attempt that has not ended the job.

use std::time::Duration;

use tidegate_checkpoint::{RestartDecision, coordinator::EndStatus, protocol::Failure};
use tidegate_types::ErrorKind;
use tracing::{info, warn};

use super::{JobMaster, describe};
use crate::{
    api::{JobError, JobResult, JobStatus, Request},
    stats::Location,
};

impl JobMaster {
    /// Decides whether another attempt follows, and waits for its time; `None` if it does.
    pub(super) async fn after_failure(
        &mut self,
        failure: Failure,
        location: Option<Location>,
    ) -> Option<Result<JobResult, JobError>> {
        let failure = self.look_for_damage(failure).await;
        self.telling = failure.kind == ErrorKind::User;
        self.remember(&failure, location);
        let message = describe(&failure);
        // Processes are the unit of isolation: who started them starts them again.
        if !failure.kind.is_retryable() || !self.attempts.can_restart() {
            return Some(Err(JobError::new(failure.kind, message)));
        }
        let jitter = self.random.fraction();
        match self.restart.decide(self.clock.monotonic(), jitter) {
            RestartDecision::GiveUp { reason } => {
                let message = format!("{message} (no restart: {reason})");
                Some(Err(JobError::new(failure.kind, message)))
            }
            RestartDecision::After(delay) => {
                let (job, attempt) = (self.settings.id, self.attempt);
                warn!(%job, %attempt, error = message, "the attempt has failed; the next follows in {delay:.1?}");
                self.restarting();
                self.wait_for_restart(delay).await
            }
        }
    }

    fn restarting(&self) {
        self.set_status(JobStatus::Restarting);
        self.stats.update(|stats| {
            stats.restarts += 1;
            stats.records = 0;
            stats.first_record = None;
        });
    }

    /// An attempt could not go on: the next one follows at once, whatever the restart strategy says.
    pub(super) fn after_giving_way(&mut self, message: String) {
        warn!(job = %self.settings.id, attempt = %self.attempt, message, "going back");
        let kind = ErrorKind::Unavailable;
        self.remember(&Failure { kind, message, uid: None, subtask: None }, None);
        self.attempt = self.attempt.next();
        self.restarting();
    }

    /// An attempt has given way: the next one has another parallelism.
    pub(super) fn after_handover(&mut self, reason: &str) {
        info!(job = %self.settings.id, attempt = %self.attempt, reason, "rescaling");
        self.attempt = self.attempt.next();
        self.set_status(JobStatus::Restarting);
        self.stats.update(|stats| stats.rescales += 1);
    }

    async fn wait_for_restart(&mut self, delay: Duration) -> Option<Result<JobResult, JobError>> {
        let restart = tokio::time::sleep(delay);
        tokio::pin!(restart);
        loop {
            tokio::select! {
                biased;
                () = &mut restart => return None,
                Some(request) = self.requests.recv() => match request {
                    Request::Cancel => return Some(Ok(self.ended(EndStatus::Canceled).await)),
                    Request::Suspend { .. } => {
                        return Some(Ok(self.ended(EndStatus::Suspended).await));
                    }
                    Request::Snapshot { reply, .. } => {
                        // Who has given up waiting needs no answer.
                        let _ = reply.send(Err("the job is restarting".to_owned()));
                    }
                },
            }
        }
    }
}
