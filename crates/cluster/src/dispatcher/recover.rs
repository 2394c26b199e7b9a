//! Jobs that an earlier JobManager has left behind go on.
//!
//! What such a job goes on from is its first attempt's business, so that a store that is away, or a
//! damaged checkpoint, is what it is for any job. Before that its record, its binary and its log have
//! to be read: a job for which that can't be done stays listed, with the reason among its exceptions,
//! and is tried again until it can be or somebody cancels it.

use std::{sync::Arc, time::Duration};

use tidegate_runtime::{
    HeldUp, JobDescription, JobError, JobPlan, JobSettings, JobStatus, forget_ended, hold_up,
};
use tidegate_types::{ErrorKind, JobId, Timestamp, error::chain, options::OptionValues};
use tokio::sync::watch;
use tracing::{error, info, warn};

use super::{Dispatcher, Job, Submission, SubmitError, submit::options_of, triggers::lasting};
use crate::{
    attempts::Places,
    ha::{EndedJob, HaError, HaStore, StoredJob},
    scheduler::Requirements,
};

/// How long to wait before a job is tried again that could not be recovered.
const RETRY: Duration = Duration::from_secs(5);

impl Dispatcher {
    /// Goes on with the jobs that an earlier JobManager has left behind, each from its newest
    /// complete snapshot. One that can't go on now is listed, and tried again.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or a later JobManager is there.
    pub async fn recover(&self) -> Result<(), SubmitError> {
        let Some(ha) = &self.0.ha else { return Ok(()) };
        let jobs = ha.jobs().await?;
        self.inherit(jobs.iter().map(|(id, _)| *id));
        for (id, stored) in jobs {
            info!(job = %id, "recovering a job");
            let _reserved = self.reserve(id)?;
            if let Err(error) = self.recover_job(ha, id, &stored).await {
                error!(job = %id, error = chain(&error), "the job can't be recovered now");
                if !is_over(&error) {
                    self.keep_trying(id, stored, &error)?;
                }
            }
        }
        tokio::spawn(self.clone().clear_up());
        Ok(())
    }

    /// Deletes what is left of jobs that have ended, where an earlier JobManager did not live to do so.
    /// What can't be deleted now the next one looks for.
    async fn clear_up(self) {
        let Some(ha) = &self.0.ha else { return };
        let ended = lasting(|| ha.ended()).await.unwrap_or_default();
        for (id, left) in ended {
            // One that is there has ended again when it has been recovered, or begins anew.
            let Ok(_reserved) = self.reserve(id) else { continue };
            if let Err(error) = self.clear_up_behind(ha, id, &left).await {
                warn!(job = %id, error = chain(&error), "what is left of a job that has ended stays");
            }
        }
    }

    async fn clear_up_behind(
        &self,
        ha: &HaStore,
        id: JobId,
        EndedJob { artifact, dir, create_subdir }: &EndedJob,
    ) -> Result<(), SubmitError> {
        if ha.jobs().await?.iter().any(|(other, _)| *other == id) {
            return Ok(());
        }
        info!(job = %id, "deleting what is left of a job that has ended");
        ha.remove_job(id, artifact).await?;
        if let Some(dir) = dir {
            forget_ended(id, (dir, *create_subdir), &self.0.host.places).await?;
        }
        Ok(ha.forget_ended(id).await?)
    }

    async fn recover_job(
        &self,
        ha: &HaStore,
        id: JobId,
        stored: &Result<StoredJob, HaError>,
    ) -> Result<(), SubmitError> {
        let stored = match stored {
            Ok(stored) => stored,
            Err(damaged) => return Err(JobError::caused_by(ErrorKind::Corrupt, damaged).into()),
        };
        if self.0.artifacts.path(&stored.artifact).is_none()
            && let Some(binary) = ha.binary(&stored.artifact).await?
        {
            let mut content: &[u8] = &binary;
            self.0.artifacts.add(&stored.artifact_name, &mut content, u64::MAX).await?;
        }
        let submission = Submission {
            artifact: stored.artifact.clone(),
            arguments: stored.arguments.clone(),
            configuration: stored.configuration.clone(),
            job_id: Some(id),
        };
        let requirements = ha.requirements(id).await?;
        let described = self.described(id, &submission).await?;
        self.go_on(described, submission, stored, requirements).await
    }

    /// Lists a job that can't go on now, and tries it again until it can.
    fn keep_trying(
        &self,
        id: JobId,
        stored: Result<StoredJob, HaError>,
        error: &SubmitError,
    ) -> Result<(), SubmitError> {
        let (job, held_up) = self.placeholder(id, stored.as_ref().ok())?;
        held_up.because(&JobError::caused_by(error.kind(), error));
        self.lock().insert(id, job);
        tokio::spawn(self.clone().try_again(id, stored, held_up));
        Ok(())
    }

    async fn try_again(self, id: JobId, stored: Result<StoredJob, HaError>, mut held_up: HeldUp) {
        let Some(ha) = &self.0.ha else { return };
        loop {
            tokio::select! {
                biased;
                status = held_up.told_to_end() => {
                    if status == JobStatus::Canceled
                        && let Err(error) = ha.remove_job(id, artifact_of(&stored)).await
                    {
                        warn!(job = %id, error = chain(&error), "the job's record stays");
                    }
                    self.disinherit(id);
                    let result = held_up.end(status);
                    if let Some(job) = self.lock().get_mut(&id) {
                        job.end = Some((self.now(), Ok(result)));
                    }
                    return;
                }
                () = tokio::time::sleep(RETRY) => {}
            }
            match self.recover_job(ha, id, &stored).await {
                // What is listed now is the job itself.
                Ok(()) => return,
                Err(error) if is_over(&error) => return,
                Err(error) => {
                    warn!(job = %id, error = chain(&error), "the job can't be recovered yet");
                    held_up.because(&JobError::caused_by(error.kind(), &error));
                }
            }
        }
    }

    /// What is told of a job that is not there yet.
    fn placeholder(
        &self,
        id: JobId,
        stored: Option<&StoredJob>,
    ) -> Result<(Job, HeldUp), SubmitError> {
        let name = stored.map_or_else(|| id.to_string(), |stored| stored.artifact_name.clone());
        let configuration =
            stored.map_or_else(OptionValues::default, |job| job.configuration.clone());
        // Its options may be what is wrong with it.
        let options =
            options_of(&configuration).or_else(|_| options_of(&OptionValues::default()))?;
        let settings = JobSettings {
            name: name.clone(),
            id,
            parallelism: options.parallelism,
            max_parallelism: options.max_parallelism,
            options: options.clone(),
        };
        let plan = JobPlan { tasks: Vec::new(), fingerprint: String::new() };
        let (parallelism, max_parallelism) = (options.parallelism, options.max_parallelism);
        let description =
            JobDescription { name, id, parallelism, max_parallelism, configuration, plan };
        let (handle, held_up) = hold_up(&settings, Arc::clone(&self.0.host.clock));
        let job = Job {
            description: Arc::new(description),
            requirements: watch::channel(Requirements::of(&options)).0,
            options: Arc::new(options),
            started: stored.map_or_else(|| self.now(), |stored| Timestamp(stored.submitted_ms)),
            handle,
            places: Places::default(),
            end: None,
        };
        Ok((job, held_up))
    }
}

/// Whether another JobManager has taken over. Another run of the job is another matter: it may end.
fn is_over(error: &SubmitError) -> bool {
    matches!(error, SubmitError::Ha(HaError::Fenced { .. }))
}

fn artifact_of(stored: &Result<StoredJob, HaError>) -> &str {
    stored.as_ref().map_or("", |stored| stored.artifact.as_str())
}
