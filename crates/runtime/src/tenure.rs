//! A run's hold on its job: that it lives, for others to see, and the log in which its snapshots become
//! complete.
//!
//! ```text
//!   <checkpoint folder>/<job>/log/<number>   who has taken the job over, and what is complete
//!   <checkpoint folder>/<job>/run/           which run lives
//! ```

use std::{collections::BTreeSet, time::Duration};

use tidegate_snapshot::store::SnapshotStore;
use tidegate_storage::{
    Address, Place, Places,
    log::{self, Concluded, JobLog, LogError, Rank, Recorded, Run},
    presence::{self, Presence, PresenceError, PresenceOptions},
};
use tidegate_types::{AttemptId, ErrorKind, JobId, Random, RunToken, error::chain};
use tracing::warn;

use crate::{
    api::{JobError, JobSettings},
    host::Host,
    job::Disposed,
    prepare::Stores,
};

/// The folders beside a job's checkpoints.
const LOG: &str = "log";
pub(crate) const PRESENCE: &str = "run";
/// How often the log is asked for again when it may have been written or not.
const RETRIES: u32 = 5;
/// How long to wait in between.
const PAUSE: Duration = Duration::from_millis(200);

/// Who runs a job.
#[derive(Clone, Debug)]
pub struct Runner {
    /// What a person calls it.
    pub name: String,
    /// Nobody takes over from a later JobManager of the same sequence. `None` for who is of none.
    pub rank: Option<Rank>,
    /// How it shows that it lives.
    pub presence: PresenceOptions,
}

impl Runner {
    /// A process, on its own.
    #[must_use]
    pub fn of(host: &Host, take_over: bool) -> Self {
        let name = host.name.clone();
        let presence = PresenceOptions { take_over, ..PresenceOptions::default() };
        Self { name, rank: None, presence }
    }
}

impl From<LogError> for JobError {
    fn from(error: LogError) -> Self {
        let kind = match &error {
            LogError::Fenced { .. } => ErrorKind::Fenced,
            LogError::Unavailable(error) => error.kind(),
            LogError::Damaged { .. } => ErrorKind::Corrupt,
        };
        Self::caused_by(kind, &error)
    }
}

impl Stores {
    /// Where the job's log lies.
    pub(crate) fn log(&self, spec: &JobSettings) -> Place {
        self.job_folder(spec).folder(LOG)
    }
}

/// The run of a job that is seen to be alive at a glance, if there is one: on a local disk, that is.
/// Nothing is made.
#[must_use]
pub fn running(settings: &JobSettings) -> Option<String> {
    let options = &settings.options.checkpointing;
    let place = Place::at(Address::parse(options.dir.as_deref()?).ok()?).ok()?;
    let folder = if options.create_subdir { place.folder(&settings.id.to_string()) } else { place };
    presence::holder(&folder.folder(PRESENCE))
}

/// Notes in the log of a snapshot's job, if it lies below these folders, that the snapshot is gone:
/// what it alone held for sinks is the job's to delete.
///
/// # Errors
///
/// When the log can't be read or written.
pub async fn note_disposal(
    disposed: &Disposed,
    (dir, create_subdir): (&str, bool),
    places: &Places,
) -> Result<bool, JobError> {
    let place = places.at(Address::parse(dir)?)?;
    let log = SnapshotStore::from(place).job_folder(disposed.job, create_subdir).folder(LOG);
    Ok(log::dispose(&log, disposed.checkpoint, &disposed.location).await?)
}

/// Deletes the log of a job, below these folders, that has ended and left nothing to go on from, if whoever
/// ended it did not live to do so. Nobody may begin the job meanwhile.
///
/// # Errors
///
/// When the log can't be read or deleted.
pub async fn forget_ended(
    job: JobId,
    (dir, create_subdir): (&str, bool),
    places: &Places,
) -> Result<(), JobError> {
    let place = places.at(Address::parse(dir)?)?;
    let log = SnapshotStore::from(place).job_folder(job, create_subdir).folder(LOG);
    log::forget_ended(&log).await?;
    Ok(())
}

/// That no other run of a job was seen alive.
pub(crate) struct Claim {
    presence: Presence,
    log: Place,
    run: Run,
}

impl Claim {
    /// Looks whether another run lives, and shows that this one does.
    ///
    /// # Errors
    ///
    /// When one does.
    pub(crate) async fn of(
        stores: &Stores,
        spec: &JobSettings,
        runner: &Runner,
        random: &dyn Random,
    ) -> Result<Self, JobError> {
        let Runner { name, rank, presence } = runner.clone();
        let run = Run { token: RunToken::of(random.number()), rank, name };
        let folder = stores.job_folder(spec).folder(PRESENCE);
        let claimed = Presence::claim(&folder, &run, presence).await;
        let presence = claimed.map_err(|error| refused(spec, stores, &error))?;
        Ok(Self { presence, log: stores.log(spec), run })
    }

    /// The job's complete snapshots, the highest id first.
    ///
    /// # Errors
    ///
    /// When the log can't be read.
    pub(crate) async fn recorded(&self) -> Result<Vec<Recorded>, JobError> {
        Ok(log::read(&self.log).await?)
    }

    /// Takes the job over: from here on nothing counts that another run completes.
    ///
    /// # Errors
    ///
    /// When the log can't be written, or belongs to a later JobManager.
    pub(crate) async fn take_over(&self) -> Result<(JobLog, Vec<Recorded>), JobError> {
        self.lasting(|| log::take_over(&self.log, self.run.clone())).await
    }

    /// The same, to begin anew, from a snapshot or from nothing.
    ///
    /// # Errors
    ///
    /// As there.
    pub(crate) async fn begin(&self) -> Result<(JobLog, Vec<Recorded>), JobError> {
        self.lasting(|| log::begin(&self.log, self.run.clone())).await
    }

    async fn lasting<T, F>(&self, append: impl Fn() -> F) -> Result<T, JobError>
    where
        F: Future<Output = Result<T, LogError>>,
    {
        for _ in 0..RETRIES {
            match append().await {
                Err(LogError::Unavailable(error)) => {
                    warn!(run = self.run.name, error = chain(&error), "taking the job over again");
                    tokio::time::sleep(PAUSE).await;
                }
                result => return Ok(result?),
            }
        }
        Ok(append().await?)
    }

    pub(crate) fn tenure(self, log: JobLog) -> Tenure {
        Tenure { presence: self.presence, log }
    }
}

fn refused(spec: &JobSettings, stores: &Stores, error: &PresenceError) -> JobError {
    match error {
        PresenceError::Store(error) => JobError::caused_by(error.kind(), error),
        PresenceError::Alive { by } => JobError::new(
            ErrorKind::Fenced,
            format!(
                "job {} (`{}`) is running already: {by} has its checkpoints in {}; stop that one, \
                 or take the job over from it with --take-over (execution.take-over)",
                spec.id, spec.name, stores.checkpoints
            ),
        ),
    }
}

/// A run's hold on its job, until the run ends.
pub(crate) struct Tenure {
    presence: Presence,
    log: JobLog,
}

impl Tenure {
    pub(crate) fn log(&self) -> &JobLog {
        &self.log
    }

    /// What the names of an attempt's files carry.
    pub(crate) fn attempt_token(&self, attempt: AttemptId) -> u64 {
        self.log.run().token.of_attempt(attempt.get())
    }

    /// The runs whose output an attempt of this run may delete that is prepared and not committed, but
    /// for what savepoints hold: those that it has superseded, and its own.
    pub(crate) fn superseded(&self) -> BTreeSet<RunToken> {
        let superseded = self.log.superseded().difference(self.log.with_savepoints());
        superseded.copied().chain([self.log.run().token]).collect()
    }

    /// Says in the log that the job has ended and leaves nothing to go on from; tells whether its
    /// checkpoints may be deleted.
    pub(crate) async fn conclude(&self, how: Concluded) -> bool {
        let mut tries = 0;
        loop {
            match self.log.conclude(how).await {
                Ok(()) => return true,
                Err(LogError::Unavailable(_)) if tries < RETRIES => tries += 1,
                Err(error) => {
                    let (run, error) = (&self.log.run().name, chain(&error));
                    warn!(
                        run,
                        error, "that the job has ended could not be noted: its checkpoints stay"
                    );
                    return false;
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The job is cancelled: nothing more will come of it.
    pub(crate) fn say_ending(&mut self) {
        self.presence.say_ending();
    }

    /// The run has ended. With nothing left to go on from, `forget` the log too, or hand it back where a
    /// JobManager has the job on record: see [`Ended`](crate::api::Ended).
    pub(crate) async fn end(self, forget: bool) -> Option<JobLog> {
        let is_recorded = self.log.run().rank.is_some();
        if forget
            && !is_recorded
            && let Err(error) = self.log.forget().await
        {
            warn!(run = self.log.run().name, error = chain(&error), "the job's log stays");
        }
        self.presence.leave(forget).await;
        (forget && is_recorded).then_some(self.log)
    }
}
