//! A job that can't go on now, as whoever watches sees it.

use std::sync::Arc;

use tidegate_types::{AttemptId, Clock};
use tokio::sync::{mpsc, watch};

use crate::{
    api::{Ended, JobError, JobHandle, JobResult, JobSettings, JobStatus, Request},
    stats::{AttemptFailure, SharedStats},
};

/// The other end of the handle of a job that nobody could start yet.
pub struct HeldUp {
    stats: SharedStats,
    requests: mpsc::UnboundedReceiver<Request>,
    end: watch::Sender<Option<Ended>>,
    clock: Arc<dyn Clock>,
}

/// A handle on a job that can't be started now, and what is behind it.
#[must_use]
pub fn hold_up(settings: &JobSettings, clock: Arc<dyn Clock>) -> (JobHandle, HeldUp) {
    let stats = SharedStats::new(clock.now(), settings);
    let (requests, requested) = mpsc::unbounded_channel();
    let (end, ended) = watch::channel(None);
    let handle = JobHandle { requests, stats: stats.clone(), end: ended };
    (handle, HeldUp { stats, requests: requested, end, clock })
}

impl HeldUp {
    /// Says why.
    pub fn because(&self, error: &JobError) {
        let time = self.clock.now();
        self.stats.set_status(JobStatus::Restarting, time);
        let (kind, message) = (error.kind(), error.to_string());
        let (attempt, uid, subtask, location) = (AttemptId(0), None, None, None);
        let failure = AttemptFailure { time, attempt, kind, message, uid, subtask, location };
        // The latest word on it is enough.
        self.stats.update(|stats| stats.failures = vec![failure]);
    }

    /// Waits until somebody wants it to end; tells how.
    pub async fn told_to_end(&mut self) -> JobStatus {
        while let Some(request) = self.requests.recv().await {
            match request {
                Request::Cancel => return JobStatus::Canceled,
                Request::Suspend { .. } => return JobStatus::Suspended,
                Request::Snapshot { reply, .. } => {
                    // Who has given up waiting needs no answer.
                    let _ = reply.send(Err("the job could not be recovered yet".to_owned()));
                }
            }
        }
        std::future::pending().await
    }

    /// It ends like that.
    pub fn end(self, status: JobStatus) -> JobResult {
        self.stats.set_status(status, self.clock.now());
        let result = JobResult { status, savepoint: None, stats: self.stats.get() };
        // Nobody waits for a job whose handles are all gone.
        let _ = self.end.send(Some(Ok(result.clone()).into()));
        result
    }
}
