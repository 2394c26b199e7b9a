//! What the outside of the runtime sees: what to run, a handle on the running job, and its end.

use std::{sync::Arc, time::Duration};

use futures::executor::block_on;
use serde::{Deserialize, Serialize};
use tidegate_checkpoint::coordinator::{AfterSavepoint, Wish};
use tidegate_core::plan::SharedPlan;
use tidegate_snapshot::manifest::SnapshotForm;
use tidegate_storage::log::JobLog;
use tidegate_types::{
    ErrorKind, JobId, MaxParallelism, Parallelism, UserResult,
    error::chain,
    options::{JobOptions, Secret},
};
use tokio::sync::{mpsc, oneshot, watch};
use tracing::warn;

use crate::{
    stats::{JobStats, SharedStats},
    ticket::Ticket,
};

/// Builds the plan. Runs once before the start and once on every worker, each time the same way.
pub type BuildPlan = Arc<dyn Fn(&SharedPlan) -> UserResult<()> + Send + Sync>;

/// What is to be run, without the code.
#[derive(Clone, Debug)]
pub struct JobSettings {
    /// What a person calls it.
    pub name: String,
    /// What its snapshots are found by.
    pub id: JobId,
    /// How many subtasks each operator has.
    pub parallelism: Parallelism,
    /// How many key groups, `None` for the snapshot's or Flink's default.
    pub max_parallelism: Option<MaxParallelism>,
    /// Everything that can be configured.
    pub options: JobOptions,
}

/// A job, ready to run.
#[derive(Clone)]
pub struct JobSpec {
    /// What it is.
    pub settings: JobSettings,
    /// Builds the plan.
    pub build: BuildPlan,
    /// The processes that run it together, `None` for this one alone.
    pub cluster: Option<ClusterSpec>,
}

impl JobSpec {
    /// Whether another process leads the job.
    pub(crate) fn follows(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.process > 0)
    }

    /// Whether its records go from one process to another.
    pub(crate) fn has_several_processes(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.addresses.len() > 1)
    }
}

/// The processes that run one job together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterSpec {
    /// Which of them this one is.
    pub process: u32,
    /// `host:port` of each, for the records; as many workers on each.
    pub addresses: Vec<String>,
    /// `host:port` where the first one's coordinator listens.
    pub coordinator: String,
    /// What the processes know each other by; without it everybody who knows the addresses may take
    /// part.
    pub secret: Option<Secret>,
}

/// Flink's states of a job that have a meaning here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum JobStatus {
    /// It is being set up or restored.
    Initializing,
    /// It runs.
    Running,
    /// An attempt has failed and the next one waits for its delay.
    Restarting,
    /// It is being ended by hand.
    Cancelling,
    /// It was ended by hand.
    Canceled,
    /// It has failed for good.
    Failed,
    /// All its input is consumed, or it was stopped with a savepoint.
    Finished,
    /// It has ended for now: its checkpoints are kept, and it can go on from the last one.
    Suspended,
}

impl JobStatus {
    /// Whether the job has ended.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Canceled | Self::Failed | Self::Finished | Self::Suspended)
    }
}

/// How a job ended well.
#[derive(Clone, Debug)]
pub struct JobResult {
    /// [`JobStatus::Finished`], [`JobStatus::Canceled`] or [`JobStatus::Suspended`].
    pub status: JobStatus,
    /// Where the savepoint lies that the job was stopped with.
    pub savepoint: Option<String>,
    /// What was counted.
    pub stats: JobStats,
}

/// Why a job did not start, or failed for good: the whole cause chain, as one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JobError {
    kind: ErrorKind,
    message: String,
}

impl JobError {
    /// An error with its message.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// An error whose message is that of `source` and all that is behind it.
    #[must_use]
    pub fn caused_by(kind: ErrorKind, source: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(kind, tidegate_types::error::chain(source))
    }

    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}

/// What a handle asks of the running job. Answers carry a savepoint's path or the reason.
#[derive(Debug)]
pub(crate) enum Request {
    /// Take a snapshot.
    Snapshot { wish: Wish, ticket: Option<Box<Ticket>>, reply: Reply },
    /// End the job.
    Cancel,
    /// End the job for now, behind one more checkpoint if that is complete by then.
    Suspend { within: Duration },
}

/// Where the answer to a request goes: a path, or the reason why there is none.
pub(crate) type Reply = oneshot::Sender<Result<String, String>>;

/// A hold on a running job. Cheap to clone.
#[derive(Clone)]
pub struct JobHandle {
    pub(crate) requests: mpsc::UnboundedSender<Request>,
    pub(crate) stats: SharedStats,
    pub(crate) end: watch::Receiver<Option<Ended>>,
}

/// How a job has ended.
#[derive(Clone)]
pub(crate) struct Ended {
    pub(crate) result: Result<JobResult, JobError>,
    /// Its log, if there is nothing left to go on from and a JobManager has the job on record: whoever
    /// found that record and no log would start the job anew, so that the record has to go first.
    pub(crate) log: Option<JobLog>,
}

impl From<Result<JobResult, JobError>> for Ended {
    fn from(result: Result<JobResult, JobError>) -> Self {
        Self { result, log: None }
    }
}

impl JobHandle {
    /// Takes a checkpoint now and returns its path.
    ///
    /// # Errors
    ///
    /// Why it could not be taken, in words for a person.
    pub async fn checkpoint(&self) -> Result<String, String> {
        self.ask(Wish::Checkpoint, None).await
    }

    /// Takes what is wished for, as known by `ticket` if there is one, and returns its path.
    ///
    /// # Errors
    ///
    /// Why it could not be taken, in words for a person.
    pub async fn take_by(&self, ticket: Option<Ticket>, wish: Wish) -> Result<String, String> {
        self.ask(wish, ticket).await
    }

    /// Takes a savepoint in canonical form into `target` or the configured folder, and returns its
    /// path.
    ///
    /// # Errors
    ///
    /// Why it could not be taken, in words for a person.
    pub async fn savepoint(&self, target: Option<String>) -> Result<String, String> {
        self.savepoint_as(SnapshotForm::Canonical, target).await
    }

    /// As [`JobHandle::savepoint`], in either form.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn savepoint_as(
        &self,
        form: SnapshotForm,
        target: Option<String>,
    ) -> Result<String, String> {
        self.take(target, form, AfterSavepoint::GoOn).await
    }

    /// Takes a savepoint in canonical form and ends the job with it; with `drain` all timers fire
    /// before. Returns once everything that it holds is committed and the job has ended.
    ///
    /// # Errors
    ///
    /// Why it could not be taken, in words for a person; the job then goes on, behind a drain from
    /// its latest checkpoint.
    pub async fn stop_with_savepoint(
        &self,
        target: Option<String>,
        drain: bool,
    ) -> Result<String, String> {
        self.stop_with_savepoint_as(SnapshotForm::Canonical, target, drain).await
    }

    /// As [`JobHandle::stop_with_savepoint`], in either form.
    ///
    /// # Errors
    ///
    /// As there.
    pub async fn stop_with_savepoint_as(
        &self,
        form: SnapshotForm,
        target: Option<String>,
        drain: bool,
    ) -> Result<String, String> {
        self.take(target, form, AfterSavepoint::Stop { drain }).await
    }

    /// Takes a savepoint and cancels the job with it: its checkpoints go, unless they are retained.
    ///
    /// # Errors
    ///
    /// Why it could not be taken, in words for a person; the job then goes on.
    pub async fn cancel_with_savepoint(
        &self,
        form: SnapshotForm,
        target: Option<String>,
    ) -> Result<String, String> {
        self.take(target, form, AfterSavepoint::Cancel).await
    }

    async fn take(
        &self,
        target: Option<String>,
        form: SnapshotForm,
        then: AfterSavepoint,
    ) -> Result<String, String> {
        self.ask(Wish::Savepoint { target, form, then }, None).await
    }

    /// As [`JobHandle::savepoint`], for a thread that may wait.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn savepoint_blocking(&self, target: Option<String>) -> Result<String, String> {
        block_on(self.savepoint(target))
    }

    /// As [`JobHandle::savepoint_as`], for a thread that may wait.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn savepoint_as_blocking(
        &self,
        form: SnapshotForm,
        target: Option<String>,
    ) -> Result<String, String> {
        block_on(self.savepoint_as(form, target))
    }

    /// As [`JobHandle::stop_with_savepoint`], for a thread that may wait.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn stop_with_savepoint_blocking(
        &self,
        target: Option<String>,
        drain: bool,
    ) -> Result<String, String> {
        block_on(self.stop_with_savepoint(target, drain))
    }

    /// As [`JobHandle::stop_with_savepoint_as`], for a thread that may wait.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn stop_with_savepoint_as_blocking(
        &self,
        form: SnapshotForm,
        target: Option<String>,
        drain: bool,
    ) -> Result<String, String> {
        block_on(self.stop_with_savepoint_as(form, target, drain))
    }

    /// As [`JobHandle::checkpoint`], for a thread that may wait.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn checkpoint_blocking(&self) -> Result<String, String> {
        block_on(self.checkpoint())
    }

    /// As [`JobHandle::wait`], for a thread that may wait.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn wait_blocking(&self) -> Result<JobResult, JobError> {
        block_on(self.wait())
    }

    /// Ends the job without a savepoint.
    pub fn cancel(&self) {
        // A job that has ended needs no cancelling.
        let _ = self.requests.send(Request::Cancel);
    }

    /// Ends the job for now, as an orchestrator wants that stops a process to start it again: it
    /// takes one more checkpoint, which its sinks commit, and ends as [`JobStatus::Suspended`], with
    /// all its checkpoints kept. If that takes longer than `within` it ends without; so does a job
    /// whose checkpoints are in memory alone.
    pub fn suspend(&self, within: Duration) {
        // A job that has ended needs no suspending.
        let _ = self.requests.send(Request::Suspend { within });
    }

    /// What there is to tell now.
    #[must_use]
    pub fn stats(&self) -> JobStats {
        self.stats.get()
    }

    /// Waits for the job's end.
    ///
    /// # Errors
    ///
    /// Why the job failed for good.
    pub async fn wait(&self) -> Result<JobResult, JobError> {
        self.ended().await.result
    }

    /// Deletes the log of a job that has ended and left nothing to go on from, once no JobManager has
    /// the job on record any more.
    pub async fn forget_log(&self) {
        let Some(log) = self.ended().await.log else { return };
        if let Err(error) = log.forget().await {
            warn!(run = log.run().name, error = chain(&error), "the job's log stays");
        }
    }

    async fn ended(&self) -> Ended {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.clone().expect("waited for until it is there"),
            Err(_) => {
                let message = "the job's coordinator ended without a result";
                Err(JobError::new(ErrorKind::Internal, message)).into()
            }
        }
    }

    async fn ask(&self, wish: Wish, ticket: Option<Ticket>) -> Result<String, String> {
        let (reply, answer) = oneshot::channel();
        let ended = || "the job has ended".to_owned();
        let ticket = ticket.map(Box::new);
        self.requests.send(Request::Snapshot { wish, ticket, reply }).map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}
