//! All jobs of a JobManager: takes them in, keeps what is told of them, hands out holds on them
//! (Flink's Dispatcher).

mod views;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tidegate_runtime::{
    JobDescription, JobError, JobHandle, JobResult, JobSettings, JobStatus, start_master,
};
use tidegate_types::{
    Clock, ErrorKind, JobId, Timestamp,
    options::{Configuration, JobOptions},
};
use tracing::info;

pub use self::views::{
    Cancellation, JobView, ProcessPlace, Submission, TaskManagerId, TaskManagerView,
};
use crate::{
    artifacts::ArtifactStore,
    attempts::{ClusterAttempts, JobProgram, Places},
    describe::{DescribeError, describe},
    resources::Resources,
};

/// How many jobs that have ended are remembered (Flink's `jobstore.max-capacity`, bounded).
const ENDED_JOBS: usize = 1000;
/// The folder for checkpoints, when neither the job nor the JobManager names one.
const CHECKPOINTS: &str = "checkpoints";
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
        clock: Arc<dyn Clock>,
    ) -> Self {
        let jobs = Mutex::default();
        Self(Arc::new(Inner { options, artifacts, resources, clock, jobs }))
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
        let mut description = self.describe(&submission).await?;
        let id = submission.job_id.unwrap_or_else(|| JobId(rand::random()));
        if self.lock().get(&id).is_some_and(|job| job.end.is_none()) {
            return Err(SubmitError::Duplicate { id });
        }
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
        let program = JobProgram {
            job: id,
            parallelism: options.parallelism,
            artifact: submission.artifact,
            arguments: submission.arguments,
            configuration: description.configuration.clone(),
            fingerprint: description.plan.fingerprint.clone(),
        };
        let attempts = ClusterAttempts::new(program, self.0.resources.clone());
        let places = attempts.places();
        let (plan, clock) = (description.plan.clone(), Arc::clone(&self.0.clock));
        let handle = start_master(settings, plan, Box::new(attempts), clock).await?;
        let (description, options) = (Arc::new(description), Arc::new(options));
        let (started, end) = (self.now(), None);
        info!(job = %id, name = description.name, "job submitted");
        self.watch(id, handle.clone());
        let job = Job { description, options, started, handle, places, end };
        self.lock().insert(id, job);
        Ok(id)
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

    fn watch(&self, id: JobId, handle: JobHandle) {
        let dispatcher = self.clone();
        tokio::spawn(async move {
            let result = handle.wait().await;
            let now = dispatcher.now();
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
