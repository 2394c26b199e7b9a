//! Jobs begin.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tidegate_runtime::{
    Attempts, Behind, JobDescription, JobError, JobHandle, JobSettings, Runner, recover_master,
    start_location, start_master,
};
use tidegate_storage::absolute;
use tidegate_types::{
    ErrorKind, JobId, Timestamp,
    options::{Configuration, JobOptions},
};
use tokio::sync::watch;
use tracing::info;

use super::{
    Dispatcher, Job, Submission, SubmitError, transitions::Reservation, triggers::lasting,
};
use crate::{
    attempts::{ClusterAttempts, JobProgram, Places},
    ha::{HaStore, StoredJob},
    scheduler::Requirements,
};

/// The folder for checkpoints, when neither the job nor the JobManager names one.
const CHECKPOINTS: &str = "checkpoints";
/// Options that name a place for snapshots.
const SNAPSHOT_DIRS: [&str; 2] =
    ["execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"];

/// What is known of a job before it is started.
pub(super) struct Described {
    description: JobDescription,
    options: JobOptions,
    settings: JobSettings,
}

impl Dispatcher {
    /// Takes a job in. Returns once it is known that it can start: its plan is right, and the
    /// snapshot that it is to be restored from is whole and fits.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing has been started then.
    pub async fn submit(&self, submission: Submission) -> Result<JobId, SubmitError> {
        let id = submission.job_id.unwrap_or_else(|| JobId(self.any_id()));
        let reserved = self.reserve(id)?;
        let started = self.now();
        let described = self.described(id, &submission).await?;
        if let Some(location) = start_location(&described.settings, &self.0.host).await? {
            reserved.start_from(&described.description.name, &location)?;
        }
        let Some(ha) = &self.0.ha else {
            let requirements = Requirements::of(&described.options);
            self.start(described, submission, started, requirements).await?;
            return Ok(id);
        };
        let behind = Behind::now(&described.settings, &self.0.host).await?;
        let (stored, binary) = self.stored(&submission, started, behind)?;
        match ha.put_job(id, &stored, (self.0.artifacts.disk(), &binary)).await {
            Ok(true) => {}
            // An earlier JobManager has left it, and it has not been recovered.
            Ok(false) => return Err(SubmitError::Duplicate { id }),
            Err(error) => {
                self.withdraw(reserved, stored);
                return Err(error.into());
            }
        }
        let requirements = Requirements::of(&described.options);
        let result = self.start(described, submission, started, requirements).await;
        if result.is_err() {
            self.withdraw(reserved, stored);
        }
        result.map(|()| id)
    }

    /// Nobody is to go on with a job that was not taken in, though its record may be there. Its id is free
    /// once that is gone.
    fn withdraw(&self, reserved: Reservation, stored: StoredJob) {
        let dispatcher = self.clone();
        tokio::spawn(async move {
            if let Some(ha) = &dispatcher.0.ha {
                lasting(|| ha.withdraw(reserved.id(), &stored)).await;
            }
        });
    }

    /// What of a submission is to outlive this JobManager, and where its binary lies.
    fn stored(
        &self,
        submission: &Submission,
        started: Timestamp,
        behind: Behind,
    ) -> Result<(StoredJob, PathBuf), SubmitError> {
        let hash = &submission.artifact;
        let missing = || SubmitError::NoArtifact { hash: hash.clone() };
        let artifact = self.0.artifacts.get(hash).ok_or_else(missing)?;
        let path = self.0.artifacts.path(hash).ok_or_else(missing)?;
        let stored = StoredJob {
            artifact: hash.clone(),
            artifact_name: artifact.name,
            arguments: submission.arguments.clone(),
            configuration: submission.configuration.clone(),
            submitted_ms: started.millis(),
            behind: behind.checkpoint,
            behind_entry: behind.entry,
            submission: self.0.host.random.number(),
        };
        Ok((stored, path))
    }

    /// Asks the job's binary what it is.
    pub(super) async fn described(
        &self,
        id: JobId,
        submission: &Submission,
    ) -> Result<Described, SubmitError> {
        let mut description = self.describe(submission).await?;
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
        Ok(Described { description, options, settings })
    }

    async fn start(
        &self,
        described: Described,
        submission: Submission,
        started: Timestamp,
        requirements: Requirements,
    ) -> Result<(), SubmitError> {
        let (attempts, program) = self.attempts(&described, &submission, requirements);
        let (settings, plan) = (described.settings.clone(), described.description.plan.clone());
        let runner = self.runner(&described.options);
        let handle = start_master(settings, plan, attempts, &runner, &self.0.host).await?;
        self.started(described, submission.artifact, started, program, handle);
        Ok(())
    }

    /// Goes on with a job that an earlier JobManager has left behind.
    pub(super) async fn go_on(
        &self,
        described: Described,
        submission: Submission,
        stored: &StoredJob,
        requirements: Option<Requirements>,
    ) -> Result<(), SubmitError> {
        let requirements = requirements.unwrap_or_else(|| Requirements::of(&described.options));
        let (attempts, program) = self.attempts(&described, &submission, requirements);
        let (settings, plan) = (described.settings.clone(), described.description.plan.clone());
        let (host, started) = (&self.0.host, Timestamp(stored.submitted_ms));
        let behind = Behind { checkpoint: stored.behind, entry: stored.behind_entry };
        let runner = self.runner(&described.options);
        let recovered = recover_master(settings, plan, attempts, &runner, behind, host).await?;
        let (id, handle) = (described.description.id, recovered.handle.clone());
        self.started(described, submission.artifact, started, program, handle);
        self.settle(id, recovered);
        Ok(())
    }

    /// An id that no other job has.
    fn any_id(&self) -> [u8; 16] {
        let [high, low] = [(); 2].map(|()| self.0.host.random.number());
        (u128::from(high) << 64 | u128::from(low)).to_be_bytes()
    }

    /// As whom this JobManager runs jobs.
    fn runner(&self, options: &JobOptions) -> Runner {
        let runner = Runner::of(&self.0.host, options.recovery.take_over);
        let name = format!("the JobManager in {}", runner.name);
        Runner { name, rank: self.0.ha.as_ref().map(HaStore::rank), ..runner }
    }

    fn attempts(
        &self,
        described: &Described,
        submission: &Submission,
        requirements: Requirements,
    ) -> (Box<dyn Attempts>, (Places, watch::Sender<Requirements>)) {
        let Described { description, options, .. } = described;
        let (requirements, wanted) = watch::channel(requirements);
        let program = JobProgram {
            job: description.id,
            artifact: submission.artifact.clone(),
            arguments: submission.arguments.clone(),
            configuration: description.configuration.clone(),
            fingerprint: description.plan.fingerprint.clone(),
            requirements: wanted,
            scheduler: options.scheduler.clone(),
        };
        let attempts = ClusterAttempts::new(program, self.0.resources.clone());
        let places = attempts.places();
        (Box::new(attempts), (places, requirements))
    }

    fn started(
        &self,
        described: Described,
        artifact: String,
        started: Timestamp,
        (places, requirements): (Places, watch::Sender<Requirements>),
        handle: JobHandle,
    ) {
        let Described { description, options, .. } = described;
        let (id, description) = (description.id, Arc::new(description));
        info!(job = %id, name = description.name, "job started");
        let job = Job {
            description,
            options: Arc::new(options),
            started,
            handle: handle.clone(),
            places,
            requirements,
            end: None,
        };
        self.lock().insert(id, job);
        self.watch(id, artifact, handle);
    }

    /// Adds the options of the JobManager, and makes places for snapshots absolute: job processes
    /// have working folders of their own.
    pub(super) fn complete(&self, configuration: &mut BTreeMap<String, String>) {
        let options = &self.0.options;
        for (key, value) in options.configuration.iter() {
            configuration.entry(key.clone()).or_insert_with(|| value.clone());
        }
        let checkpoints = || options.folder.join(CHECKPOINTS).display().to_string();
        configuration.entry(SNAPSHOT_DIRS[0].to_owned()).or_insert_with(checkpoints);
        for key in SNAPSHOT_DIRS {
            if let Some(place) = configuration.get_mut(key) {
                *place = absolute(place);
            }
        }
    }
}

pub(super) fn options_of(configuration: &BTreeMap<String, String>) -> Result<JobOptions, JobError> {
    let mut all = Configuration::new();
    all.add_overrides(configuration.iter().map(|(key, value)| (key.clone(), value.clone())));
    JobOptions::from_configuration(&all)
        .map_err(|error| JobError::new(ErrorKind::Invalid, error.to_string()))
}
