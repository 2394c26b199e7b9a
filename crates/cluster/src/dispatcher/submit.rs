//! Jobs begin: submitted by a client, or left behind by an earlier JobManager.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tidegate_runtime::{CompletionLog, JobError, JobSettings, discard_unrecorded, start_master};
use tidegate_storage::absolute;
use tidegate_types::{
    CheckpointId, ErrorKind, JobId, Timestamp,
    error::chain,
    options::{Configuration, JobOptions},
};
use tokio::sync::watch;
use tracing::{error, info};

use super::{Dispatcher, Job, Submission, SubmitError};
use crate::{
    attempts::{ClusterAttempts, JobProgram},
    ha::{HaStore, JobLog, StoredJob},
    scheduler::Requirements,
};

/// The folder for checkpoints, when neither the job nor the JobManager names one.
const CHECKPOINTS: &str = "checkpoints";
/// The options by which a job goes on from a snapshot.
const RECOVERY_PATH: &str = "execution.state-recovery.path";
const CLAIM_MODE: &str = "execution.state-recovery.claim-mode";
/// Options that name a place for snapshots.
const SNAPSHOT_DIRS: [&str; 2] =
    ["execution.checkpointing.dir", "execution.checkpointing.savepoint-dir"];

/// What an earlier JobManager has left of a job.
struct Recovered {
    /// Its newest complete snapshot: what lies beyond that in its folder is not its own.
    newest: Option<CheckpointId>,
    /// How many subtasks it may have, if anybody has changed that.
    requirements: Option<Requirements>,
}

impl Dispatcher {
    /// Takes a job in. Returns once it is known that it can start: its plan is right, and the
    /// snapshot that it is to be restored from is whole and fits.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing has been started then.
    pub async fn submit(&self, submission: Submission) -> Result<JobId, SubmitError> {
        let id = submission.job_id.unwrap_or_else(|| JobId(rand::random()));
        let _reserved = self.reserve(id)?;
        let started = self.now();
        let Some(ha) = &self.0.ha else {
            self.start(id, submission, started, None).await?;
            return Ok(id);
        };
        let artifact = submission.artifact.clone();
        let (stored, binary) = self.stored(&submission, started)?;
        if !ha.put_job(id, &stored, &binary).await? {
            // An earlier JobManager has left it, and it has not been recovered.
            return Err(SubmitError::Duplicate { id });
        }
        let result = match ha.take_over(id).await {
            Ok((log, _)) => self.start(id, submission, started, Some(log)).await,
            Err(error) => Err(error.into()),
        };
        if result.is_err() {
            ha.remove_job(id, &artifact).await?;
        }
        result.map(|()| id)
    }

    /// What of a submission is to outlive this JobManager, and where its binary lies.
    fn stored(
        &self,
        submission: &Submission,
        started: Timestamp,
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
        };
        Ok((stored, path))
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
            let recovered = match stored {
                Ok(stored) => self.recover_job(ha, id, stored).await,
                Err(damaged) => Err(damaged.into()),
            };
            if let Err(error) = recovered {
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
        let _reserved = self.reserve(id)?;
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
        let requirements = ha.requirements(id).await?;
        let recovered = Some(Recovered { newest, requirements });
        self.start_behind(id, submission, Timestamp(stored.submitted_ms), Some(log), recovered)
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

    /// Starts a job; one that is recovered goes on where it was.
    async fn start_behind(
        &self,
        id: JobId,
        submission: Submission,
        started: Timestamp,
        log: Option<JobLog>,
        recovered: Option<Recovered>,
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
        let asked = recovered.as_ref().and_then(|recovered| recovered.requirements);
        let requirements = asked.unwrap_or_else(|| Requirements::of(&options));
        let (requirements, wanted) = watch::channel(requirements);
        let program = JobProgram {
            job: id,
            artifact: artifact.clone(),
            arguments: submission.arguments,
            configuration: description.configuration.clone(),
            fingerprint: description.plan.fingerprint.clone(),
            requirements: wanted,
            scheduler: options.scheduler.clone(),
        };
        let attempts = ClusterAttempts::new(program, self.0.resources.clone());
        let places = attempts.places();
        let (plan, clock) = (description.plan.clone(), Arc::clone(&self.0.clock));
        if let Some(recovered) = &recovered {
            discard_unrecorded(&settings, recovered.newest).await?;
        }
        let log = log.map(|log| Arc::new(log) as Arc<dyn CompletionLog>);
        let handle = start_master(settings, plan, Box::new(attempts), log, clock).await?;
        let (description, options) = (Arc::new(description), Arc::new(options));
        info!(job = %id, name = description.name, "job started");
        let job = Job {
            description,
            options,
            started,
            handle: handle.clone(),
            places,
            requirements,
            end: None,
        };
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
            if let Some(place) = configuration.get_mut(key) {
                *place = absolute(place);
            }
        }
    }
}

fn options_of(configuration: &BTreeMap<String, String>) -> Result<JobOptions, JobError> {
    let mut all = Configuration::new();
    all.add_overrides(configuration.iter().map(|(key, value)| (key.clone(), value.clone())));
    JobOptions::from_configuration(&all)
        .map_err(|error| JobError::new(ErrorKind::Invalid, error.to_string()))
}
