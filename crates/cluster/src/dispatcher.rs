//! All jobs of a JobManager: takes them in, keeps what is told of them, hands out holds on them
//! (Flink's Dispatcher).

mod error;
mod recover;
mod rescale;
mod submit;
mod transitions;
mod triggers;
mod views;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tidegate_runtime::{Host, JobDescription, JobError, JobHandle, JobResult, JobStatus};
use tidegate_types::{
    ErrorKind, JobId, Timestamp,
    error::chain,
    options::{JobOptions, OptionValues},
};
use tokio::sync::watch;
use tracing::{error, info, warn};

pub use self::{
    error::{RescaleError, SubmitError},
    views::{Cancellation, JobView, ProcessPlace, Submission, TaskManagerId, TaskManagerView},
};
use self::{transitions::Transitions, triggers::Triggers};
use crate::{
    artifacts::{ArtifactError, ArtifactStore},
    attempts::Places,
    describe::{Describer, Question},
    ha::{EndedJob, HaStore},
    resources::Resources,
    scheduler::Requirements,
};

/// How many jobs that have ended are remembered (Flink's `jobstore.max-capacity`, bounded).
const ENDED_JOBS: usize = 1000;

/// How long the processes of a job may take to end behind its last checkpoint.
const END_PATIENCE: Duration = Duration::from_secs(5);

/// What a JobManager is set up with.
#[derive(Clone, Debug)]
pub struct DispatcherOptions {
    /// Where it keeps what it needs, binaries for one.
    pub folder: PathBuf,
    /// Options for every job, which count less than those of the job itself.
    pub configuration: OptionValues,
}

/// What a Dispatcher has at its side.
pub struct Beside {
    /// The binaries of jobs.
    pub artifacts: ArtifactStore,
    /// The TaskManagers.
    pub resources: Resources,
    /// What outlives its JobManager. Without that, jobs end with the JobManager.
    pub ha: Option<HaStore>,
    /// Knows what binaries would run.
    pub describer: Arc<dyn Describer>,
}

/// A job that was taken in.
struct Job {
    description: Arc<JobDescription>,
    options: Arc<JobOptions>,
    started: Timestamp,
    handle: JobHandle,
    places: Places,
    requirements: watch::Sender<Requirements>,
    end: Option<(Timestamp, Result<JobResult, JobError>)>,
}

/// All jobs of a JobManager. Cheap to clone.
#[derive(Clone)]
pub struct Dispatcher(Arc<Inner>);

struct Inner {
    options: DispatcherOptions,
    artifacts: ArtifactStore,
    resources: Resources,
    ha: Option<HaStore>,
    describer: Arc<dyn Describer>,
    host: Host,
    jobs: Mutex<BTreeMap<JobId, Job>>,
    /// The binaries of jobs that have not ended.
    in_use: Mutex<BTreeMap<JobId, String>>,
    /// The jobs that are being started, and the snapshots that are being deleted.
    transitions: Mutex<Transitions>,
    triggers: Triggers,
}

impl Dispatcher {
    /// Without any job.
    #[must_use]
    pub fn new(options: DispatcherOptions, beside: Beside, host: Host) -> Self {
        let Beside { artifacts, resources, ha, describer } = beside;
        let (jobs, in_use, transitions, triggers) = Default::default();
        Self(Arc::new(Inner {
            options,
            artifacts,
            resources,
            ha,
            describer,
            host,
            jobs,
            in_use,
            transitions,
            triggers,
        }))
    }

    /// The binaries that have been uploaded.
    #[must_use]
    pub fn artifacts(&self) -> &ArtifactStore {
        &self.0.artifacts
    }

    /// The options that every job begins with.
    #[must_use]
    pub fn configuration(&self) -> &OptionValues {
        &self.0.options.configuration
    }

    /// The time as this JobManager sees it.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.host.clock.now()
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
        let (binary, name) = (path.as_path(), artifact.name.as_str());
        let question = Question { binary, name, arguments, configuration };
        Ok(self.0.describer.describe(question).await?)
    }

    /// Deletes a binary; tells whether it was there. One whose job has not ended is no longer listed,
    /// and goes with that: until then the job's next attempt may need it.
    ///
    /// # Errors
    ///
    /// When it can't be deleted.
    pub fn remove_artifact(&self, hash: &str) -> Result<bool, ArtifactError> {
        let in_use = self.in_use();
        if in_use.values().any(|used| used == hash) {
            self.0.artifacts.forget(hash)
        } else {
            self.0.artifacts.remove(hash)
        }
    }

    /// A job does not need its binary any more.
    fn release_artifact(&self, id: JobId, hash: &str) {
        let mut in_use = self.in_use();
        in_use.remove(&id);
        let is_forgotten = self.0.artifacts.get(hash).is_none();
        if is_forgotten
            && !in_use.values().any(|used| used == hash)
            && let Err(error) = self.0.artifacts.remove(hash)
        {
            warn!(job = %id, error = chain(&error), "the job's binary can't be deleted");
        }
    }

    fn in_use(&self) -> MutexGuard<'_, BTreeMap<JobId, String>> {
        self.0.in_use.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self, id: JobId, artifact: String, handle: JobHandle) {
        let dispatcher = self.clone();
        self.in_use().insert(id, artifact.clone());
        tokio::spawn(async move {
            let result = handle.wait().await;
            dispatcher.release_artifact(id, &artifact);
            let now = dispatcher.now();
            // What has ended for now, or is another JobManager's, goes on.
            let is_over = match &result {
                Ok(result) => result.status != JobStatus::Suspended,
                Err(error) => error.kind() != ErrorKind::Fenced,
            };
            if dispatcher.0.ha.is_some() && is_over {
                // Whoever finds no job any more finds what came of the requests about it.
                dispatcher.all_answered(id).await;
            }
            if let Some(ha) = &dispatcher.0.ha
                && is_over
            {
                let ended = dispatcher.ended_job(id, artifact);
                match ha.end_job(id, &ended).await {
                    // In this order: see there.
                    Ok(()) => {
                        if handle.forget_log().await
                            && let Err(error) = ha.forget_ended(id).await
                        {
                            let error = chain(&error);
                            warn!(job = %id, error, "the next JobManager looks for what is left");
                        }
                    }
                    Err(error) => {
                        let error = chain(&error);
                        error!(job = %id, error, "the job has ended, and its record could not be deleted");
                    }
                }
            }
            let mut jobs = dispatcher.lock();
            if let Some(job) = jobs.get_mut(&id) {
                job.end = Some((now, result));
            }
            forget_oldest(&mut jobs);
        });
    }

    /// What is left of a job that has ended.
    fn ended_job(&self, id: JobId, artifact: String) -> EndedJob {
        let options = self.lock().get(&id).map(|job| Arc::clone(&job.options));
        let options = options.as_ref().map(|options| &options.checkpointing);
        EndedJob {
            artifact,
            dir: options.and_then(|options| options.dir.clone()),
            create_subdir: options.is_none_or(|options| options.create_subdir),
        }
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

    /// Ends all jobs for now, with a last checkpoint each or at once, and waits for that as long as
    /// their options allow.
    pub async fn suspend_all(&self, last_checkpoint: bool) {
        let suspend = |(id, job): (&JobId, &Job)| {
            let most =
                if last_checkpoint { job.options.termination_timeout } else { Duration::ZERO };
            let handle = job.handle.clone();
            handle.suspend(most);
            let id = *id;
            async move {
                match tokio::time::timeout(most + END_PATIENCE, handle.wait()).await {
                    Ok(Ok(result)) => {
                        info!(job = %id, status = ?result.status, "the job has ended")
                    }
                    Ok(Err(error)) => warn!(job = %id, %error, "the job has ended"),
                    Err(_) => warn!(
                        job = %id, waited = ?(most + END_PATIENCE),
                        "the job's processes have not ended; their TaskManagers end them"
                    ),
                }
            }
        };
        let running = |(_, job): &(&JobId, &Job)| job.end.is_none();
        let all = self.lock().iter().filter(running).map(suspend).collect::<Vec<_>>();
        futures::future::join_all(all).await;
    }

    /// What the TaskManagers have in their logs, and who they are.
    #[must_use]
    pub fn resources(&self) -> &Resources {
        &self.0.resources
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
        let placed = self.places.get();
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
            missing_slots: if self.end.is_none() { placed.missing_slots } else { 0 },
            places: placed.processes,
            requirements: *self.requirements.borrow(),
        }
    }
}
