//! All jobs of a JobManager: takes them in, keeps what is told of them, hands out holds on them
//! (Flink's Dispatcher).

mod views;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use tidegate_runtime::{
    CompletionLog, JobDescription, JobError, JobHandle, JobResult, JobSettings, JobStatus,
    discard_unrecorded, start_master,
};
use tidegate_types::{
    CheckpointId, Clock, ErrorKind, JobId, Timestamp,
    error::chain,
    options::{Configuration, JobOptions},
};
use tracing::{error, info};

pub use self::views::{
    Cancellation, JobView, ProcessPlace, Submission, TaskManagerId, TaskManagerView,
};
use crate::{
    artifacts::{ArtifactError, ArtifactStore},
    attempts::{ClusterAttempts, JobProgram, Places},
    describe::{DescribeError, describe},
    ha::{HaError, HaStore, JobLog, StoredJob},
    resources::Resources,
};

/// How many jobs that have ended are remembered (Flink's `jobstore.max-capacity`, bounded).
const ENDED_JOBS: usize = 1000;
/// The folder for checkpoints, when neither the job nor the JobManager names one.
const CHECKPOINTS: &str = "checkpoints";
/// The options by which a job goes on from a snapshot.
const RECOVERY_PATH: &str = "execution.state-recovery.path";
const CLAIM_MODE: &str = "execution.state-recovery.claim-mode";
/// Options that name a place for snapshots.
const SNAPSHOT_DIRS: [&str; 2] =
    ["execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"];

/// Why a job was not taken in.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// There is no such binary.
    #[error("there is no binary {hash}: upload it first")]
    NoArtifact {
        /// Its content hash.
        hash: String,
    },
    /// Its binary does not say what it is.
    #[error(transparent)]
    Describe(#[from] DescribeError),
    /// A job with this id is there already.
    #[error("job {id} has been submitted before, and has not ended")]
    Duplicate {
        /// The id.
        id: JobId,
    },
    /// It can't start.
    #[error(transparent)]
    Job(#[from] JobError),
    /// What is to outlive the JobManager can't be kept.
    #[error(transparent)]
    Ha(#[from] HaError),
    /// Its binary can't be kept.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

impl SubmitError {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoArtifact { .. } | Self::Describe(_) | Self::Duplicate { .. } => {
                ErrorKind::Invalid
            }
            Self::Job(error) => error.kind(),
            Self::Ha(HaError::Fenced { .. }) => ErrorKind::Fenced,
            Self::Ha(_) | Self::Artifact(_) => ErrorKind::Unavailable,
        }
    }
}

/// What a JobManager is set up with.
#[derive(Clone, Debug)]
pub struct DispatcherOptions {
    /// Where it keeps what it needs, binaries for one.
    pub folder: PathBuf,
    /// Options for every job, which count less than those of the job itself.
    pub configuration: BTreeMap<String, String>,
}

/// A job that was taken in.
struct Job {
    description: Arc<JobDescription>,
    options: Arc<JobOptions>,
    started: Timestamp,
    handle: JobHandle,
    places: Places,
    end: Option<(Timestamp, Result<JobResult, JobError>)>,
}

/// All jobs of a JobManager. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher(Arc<Inner>);

struct Inner {
    options: DispatcherOptions,
    artifacts: ArtifactStore,
    resources: Resources,
    /// Without one, jobs end with the JobManager.
    ha: Option<HaStore>,
    clock: Arc<dyn Clock>,
    jobs: Mutex<BTreeMap<JobId, Job>>,
}

impl Dispatcher {
    /// Without any job.
    #[must_use]
    pub fn new(
        options: DispatcherOptions,
        artifacts: ArtifactStore,
        resources: Resources,
        ha: Option<HaStore>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let jobs = Mutex::default();
        Self(Arc::new(Inner { options, artifacts, resources, ha, clock, jobs }))
    }

    /// The binaries that have been uploaded.
    #[must_use]
    pub fn artifacts(&self) -> &ArtifactStore {
        &self.0.artifacts
    }

    /// The options that every job begins with.
    #[must_use]
    pub fn configuration(&self) -> &BTreeMap<String, String> {
        &self.0.options.configuration
    }

    /// The time as this JobManager sees it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    /// What a binary would run.
    ///
    /// # Errors
    ///
    /// Why it does not say.
    pub async fn describe(&self, submission: &Submission) -> Result<JobDescription, SubmitError> {
        let hash = &submission.artifact;
        let artifacts = &self.0.artifacts;
        let (Some(artifact), Some(path)) = (artifacts.get(hash), artifacts.path(hash)) else {
            return Err(SubmitError::NoArtifact { hash: hash.clone() });
        };
        let Submission { arguments, configuration, .. } = submission;
        Ok(describe(&path, &artifact.name, arguments, configuration).await?)
    }

    /// Takes a job in. Returns once it is known that it can start: its plan is right, and the
    /// snapshot that it is to be restored from is whole and fits.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing has been started then.
    pub async fn submit(&self, submission: Submission) -> Result<JobId, SubmitError> {
        let id = submission.job_id.unwrap_or_else(|| JobId(rand::random()));
        if self.lock().get(&id).is_some_and(|job| job.end.is_none()) {
            return Err(SubmitError::Duplicate { id });
        }
        let started = self.now();
        let Some(ha) = &self.0.ha else {
            self.start(id, submission, started, None).await?;
            return Ok(id);
        };
        let artifact = submission.artifact.clone();
        let (stored, binary) = self.stored(&submission, started).await?;
        ha.put_job(id, &stored, binary).await?;
        let result = match ha.take_over(id).await {
            Ok((log, _)) => self.start(id, submission, started, Some(log)).await,
            Err(error) => Err(error.into()),
        };
        if result.is_err() {
            ha.remove_job(id, &artifact).await?;
        }
        result.map(|()| id)
    }

    /// What of a submission is to outlive this JobManager.
    async fn stored(
        &self,
        submission: &Submission,
        started: Timestamp,
    ) -> Result<(StoredJob, Bytes), SubmitError> {
        let hash = &submission.artifact;
        let missing = || SubmitError::NoArtifact { hash: hash.clone() };
        let artifact = self.0.artifacts.get(hash).ok_or_else(missing)?;
        let path = self.0.artifacts.path(hash).ok_or_else(missing)?;
        let binary = tokio::fs::read(&path).await.map_err(|_| missing())?;
        let stored = StoredJob {
            artifact: hash.clone(),
            artifact_name: artifact.name,
            arguments: submission.arguments.clone(),
            configuration: submission.configuration.clone(),
            submitted_ms: started.millis(),
        };
        Ok((stored, binary.into()))
    }

    /// Goes on with the jobs that an earlier JobManager has left behind, each from its newest
    /// complete snapshot. One that can't go on is told of and kept for the next JobManager.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or a later JobManager is there.
    pub async fn recover(&self) -> Result<(), SubmitError> {
        let Some(ha) = &self.0.ha else { return Ok(()) };
        for (id, stored) in ha.jobs().await? {
            info!(job = %id, "recovering a job");
            if let Err(error) = self.recover_job(ha, id, stored).await {
                error!(job = %id, error = chain(&error), "the job can't be recovered");
            }
        }
        Ok(())
    }

    async fn recover_job(
        &self,
        ha: &HaStore,
        id: JobId,
        stored: StoredJob,
    ) -> Result<(), SubmitError> {
        if self.0.artifacts.path(&stored.artifact).is_none()
            && let Some(binary) = ha.binary(&stored.artifact).await?
        {
            let mut content: &[u8] = &binary;
            self.0.artifacts.add(&stored.artifact_name, &mut content, u64::MAX).await?;
        }
        let (log, snapshots) = ha.take_over(id).await?;
        let mut submission = Submission {
            artifact: stored.artifact,
            arguments: stored.arguments,
            configuration: stored.configuration,
            job_id: Some(id),
        };
        if let Some(newest) = snapshots.first() {
            let restore = [(RECOVERY_PATH, newest.location.as_str()), (CLAIM_MODE, "CLAIM")];
            for (key, value) in restore {
                submission.configuration.insert(key.to_owned(), value.to_owned());
            }
        }
        let newest = snapshots.first().map(|snapshot| snapshot.checkpoint);
        self.start_behind(id, submission, Timestamp(stored.submitted_ms), Some(log), Some(newest))
            .await
    }

    async fn start(
        &self,
        id: JobId,
        submission: Submission,
        started: Timestamp,
        log: Option<JobLog>,
    ) -> Result<(), SubmitError> {
        self.start_behind(id, submission, started, log, None).await
    }

    /// Starts a job; with `newest` whatever is in its checkpoint folder beyond that is not its own.
    async fn start_behind(
        &self,
        id: JobId,
        submission: Submission,
        started: Timestamp,
        log: Option<JobLog>,
        newest: Option<Option<CheckpointId>>,
    ) -> Result<(), SubmitError> {
        let mut description = self.describe(&submission).await?;
        description.id = id;
        self.complete(&mut description.configuration);
        let options = options_of(&description.configuration)?;
        let settings = JobSettings {
            name: description.name.clone(),
            id,
            parallelism: options.parallelism,
            max_parallelism: options.max_parallelism,
            options: options.clone(),
        };
        let artifact = submission.artifact;
        let program = JobProgram {
            job: id,
            parallelism: options.parallelism,
            artifact: artifact.clone(),
            arguments: submission.arguments,
            configuration: description.configuration.clone(),
            fingerprint: description.plan.fingerprint.clone(),
        };
        let attempts = ClusterAttempts::new(program, self.0.resources.clone());
        let places = attempts.places();
        let (plan, clock) = (description.plan.clone(), Arc::clone(&self.0.clock));
        if let Some(newest) = newest {
            discard_unrecorded(&settings, newest).await?;
        }
        let log = log.map(|log| Arc::new(log) as Arc<dyn CompletionLog>);
        let handle = start_master(settings, plan, Box::new(attempts), log, clock).await?;
        let (description, options) = (Arc::new(description), Arc::new(options));
        info!(job = %id, name = description.name, "job started");
        let job = Job { description, options, started, handle: handle.clone(), places, end: None };
        self.lock().insert(id, job);
        self.watch(id, artifact, handle);
        Ok(())
    }

    /// Adds the options of the JobManager, and makes places for snapshots absolute: job processes
    /// have working folders of their own.
    fn complete(&self, configuration: &mut BTreeMap<String, String>) {
        let options = &self.0.options;
        for (key, value) in &options.configuration {
            configuration.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let checkpoints = || options.folder.join(CHECKPOINTS).display().to_string();
        configuration.entry(SNAPSHOT_DIRS[0].to_owned()).or_insert_with(checkpoints);
        for key in SNAPSHOT_DIRS {
            if let Some(place) = configuration.get_mut(key)
                && !place.contains("://")
                && let Ok(absolute) = std::path::absolute(&*place)
            {
                *place = absolute.display().to_string();
            }
        }
    }

    fn watch(&self, id: JobId, artifact: String, handle: JobHandle) {
        let dispatcher = self.clone();
        tokio::spawn(async move {
            let result = handle.wait().await;
            let now = dispatcher.now();
            let is_over = !matches!(&result, Err(error) if error.kind() == ErrorKind::Fenced);
            if let Some(ha) = &dispatcher.0.ha
                && is_over
                && let Err(error) = ha.remove_job(id, &artifact).await
            {
                let error = chain(&error);
                error!(job = %id, error, "the job has ended, and its record could not be deleted");
            }
            let mut jobs = dispatcher.lock();
            if let Some(job) = jobs.get_mut(&id) {
                job.end = Some((now, result));
            }
            forget_oldest(&mut jobs);
        });
    }

    /// All jobs, in the order of their submission.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobView> {
        let mut views = self.lock().iter().map(|(id, job)| job.view(*id)).collect::<Vec<_>>();
        views.sort_by_key(|view| (view.started, view.id));
        views
    }

    /// A job.
    #[must_use]
    pub fn job(&self, id: JobId) -> Option<JobView> {
        self.lock().get(&id).map(|job| job.view(id))
    }

    /// A hold on a job that has not ended.
    #[must_use]
    pub fn handle(&self, id: JobId) -> Option<JobHandle> {
        self.lock().get(&id).filter(|job| job.end.is_none()).map(|job| job.handle.clone())
    }

    /// Cancels a job.
    #[must_use]
    pub fn cancel(&self, id: JobId) -> Cancellation {
        let jobs = self.lock();
        let Some(job) = jobs.get(&id) else { return Cancellation::Unknown };
        match job.status() {
            JobStatus::Canceled => Cancellation::Accepted,
            status if status.is_terminal() => Cancellation::Ended(status),
            _ => {
                job.handle.cancel();
                Cancellation::Accepted
            }
        }
    }

    /// The TaskManagers that are there.
    #[must_use]
    pub fn task_managers(&self) -> Vec<TaskManagerView> {
        self.0.resources.task_managers()
    }

    /// How many slots there are, and how many of them are free.
    #[must_use]
    pub fn slots(&self) -> (u32, u32) {
        self.0.resources.slot_counts()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<JobId, Job>> {
        self.0.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn options_of(configuration: &BTreeMap<String, String>) -> Result<JobOptions, JobError> {
    let mut all = Configuration::new();
    all.add_overrides(configuration.iter().map(|(key, value)| (key.clone(), value.clone())));
    JobOptions::from_configuration(&all)
        .map_err(|error| JobError::new(ErrorKind::Invalid, error.to_string()))
}

fn forget_oldest(jobs: &mut BTreeMap<JobId, Job>) {
    let ended = || jobs.iter().filter_map(|(id, job)| Some((job.end.as_ref()?.0, *id)));
    if ended().count() > ENDED_JOBS
        && let Some((_, oldest)) = ended().min()
    {
        jobs.remove(&oldest);
    }
}

impl Job {
    fn status(&self) -> JobStatus {
        match &self.end {
            Some((_, Ok(result))) => result.status,
            Some((_, Err(_))) => JobStatus::Failed,
            None => self.handle.stats().status,
        }
    }

    fn view(&self, id: JobId) -> JobView {
        let mut stats = self.handle.stats();
        stats.status = self.status();
        let error = self.end.as_ref().and_then(|(_, result)| result.as_ref().err().cloned());
        JobView {
            id,
            name: self.description.name.clone(),
            status: stats.status,
            started: self.started,
            ended: self.end.as_ref().map(|(time, _)| *time),
            max_parallelism: self.options.max_parallelism,
            description: Arc::clone(&self.description),
            options: Arc::clone(&self.options),
            stats,
            error,
            places: self.places.get(),
        }
    }
}
