//! Whether a job begins beside another one: from a snapshot of a job that lives. What that snapshot
//! holds for sinks is then left to its job, which may go back behind it and write it again, or commit it.

use std::{fmt, time::Duration};

use tidegate_snapshot::{
    manifest::{Manifest, SnapshotKind},
    store::SnapshotLocation,
};
use tidegate_storage::{
    StoreError, log,
    presence::{self, Living, PresenceOptions},
};
use tidegate_types::{CheckpointId, ErrorKind, JobId, OperatorUid, error::chain};
use tokio::time::Instant;
use tracing::warn;

use super::{JobError, JobSettings, Stores};
use crate::{describe::JobPlan, tenure::PRESENCE};

/// How long to look for signs of the other job at most, where its store answers slowly or never.
const LOOK: Duration = Duration::from_secs(30);
/// A job that lives has to be seen twice, so far apart: one that has just been told to end does so, or
/// says so, meanwhile.
const APART: Duration = Duration::from_secs(1);
/// How long to wait for a job that is about to end.
const ENDS: Duration = Duration::from_secs(180);

/// That a job is restored from a snapshot of another one, or of the same one elsewhere, that lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fork {
    /// The snapshot.
    pub from: CheckpointId,
    /// Where it lies.
    pub location: String,
    /// Its job, and what that is called.
    pub job: (JobId, String),
    /// Who runs that job; `None` if it was seen to live when this one was first started from there.
    pub by: Option<String>,
    /// The sinks that the snapshot may hold something for, which is left to its job.
    pub sinks: Vec<OperatorUid>,
}

impl Fork {
    /// Whether a start of the job from this snapshot would make a fork of another one. Where that can't
    /// be told it is said, and counts as none: a snapshot may be copied to where its job's store can't
    /// be reached from.
    ///
    /// # Errors
    ///
    /// When this job's own log can't be read, or the other one is being cancelled and does not end.
    pub(crate) async fn of(
        location: &SnapshotLocation,
        manifest: &Manifest,
        (settings, plan): (&JobSettings, &JobPlan),
        stores: &Stores,
    ) -> Result<Option<Self>, JobError> {
        let from = manifest.checkpoint;
        let log = stores.log(settings);
        let noted = log::is_fork(&log, from, &location.to_string()).await?;
        let by = if noted { None } else { who_runs(manifest, settings, stores).await? };
        let held = plan.committing().filter(|uid| manifest.operators.contains_key(*uid));
        let job = (manifest.job.id, manifest.job.name.clone());
        let (location, sinks) = (location.to_string(), held.cloned().collect());
        Ok((noted || by.is_some()).then_some(Self { from, location, job, by, sinks }))
    }

    /// Refuses to make the snapshot the new job's own while the other would go on from it.
    ///
    /// # Errors
    ///
    /// When it is a checkpoint.
    pub(crate) fn check_claim(&self, kind: SnapshotKind) -> Result<(), JobError> {
        let (Some(by), SnapshotKind::Checkpoint) = (&self.by, kind) else { return Ok(()) };
        let Self { location, job: (id, name), .. } = self;
        Err(JobError::new(
            ErrorKind::Invalid,
            format!(
                "'{location}' is a checkpoint of job {id} (`{name}`), which is running ({by}) and \
                 needs it to recover: it can't be claimed; leave the claim mode at NO_CLAIM, take a \
                 savepoint of that job, or stop it first"
            ),
        ))
    }
}

/// Who runs the job of a snapshot and goes on with it, unless it is the one that is being started.
///
/// # Errors
///
/// When it is being cancelled, and does not end: until it has nobody knows what it has committed.
async fn who_runs(
    manifest: &Manifest,
    settings: &JobSettings,
    stores: &Stores,
) -> Result<Option<String>, JobError> {
    let (job, name) = (manifest.job.id, &manifest.job.name);
    let Some(folder) = manifest.job.folder.as_deref() else { return Ok(None) };
    let mut is_alive = false;
    let begin = Instant::now();
    loop {
        let living = match look(folder, settings, stores).await {
            Ok(living) => living,
            Err(problem) => {
                warn!(
                    %job, name, folder, problem,
                    "nobody can tell from here whether the job that the snapshot is of is running: \
                     it counts as ended, and what the snapshot holds for sinks is committed; if it \
                     does run, stop it"
                );
                None
            }
        };
        match living {
            None => return Ok(None),
            Some(Living { by, is_ending: true }) if begin.elapsed() > ENDS => {
                let message = format!(
                    "job {job} (`{name}`), of which the snapshot is, is being cancelled and has not \
                     ended yet ({by}): start this one again once it has"
                );
                return Err(JobError::new(ErrorKind::Unavailable, message));
            }
            Some(Living { is_ending: true, by }) => {
                warn!(%job, name, "waiting for its end: it is being cancelled ({by})");
            }
            Some(Living { by, .. }) if is_alive => return Ok(Some(by)),
            Some(_) => is_alive = true,
        }
        tokio::time::sleep(APART).await;
    }
}

/// Who is seen in the folder of another job than the one that is being started.
async fn look(
    folder: &str,
    settings: &JobSettings,
    stores: &Stores,
) -> Result<Option<Living>, String> {
    let look = async {
        let place = stores.places().find(folder)?;
        if place.is_same_as(&stores.job_folder(settings)) {
            return Ok(None);
        }
        presence::living(&place.folder(PRESENCE), PresenceOptions::default()).await
    };
    match tokio::time::timeout(LOOK, look).await {
        Ok::<Result<_, StoreError>, _>(Ok(living)) => Ok(living),
        Ok(Err(error)) => Err(chain(&error)),
        Err(_) => Err(format!("no answer within {LOOK:?}")),
    }
}

impl fmt::Display for Fork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, job: (id, name), by, sinks, .. } = self;
        write!(f, "snapshot {from} is of job {id} (`{name}`), which ")?;
        match by {
            Some(by) => write!(f, "is running ({by}): this job begins beside it")?,
            None => f.write_str("was running when this job first began beside it")?,
        }
        if !sinks.is_empty() {
            let sinks = sinks.iter().map(|uid| format!("`{uid}`")).collect::<Vec<_>>().join(", ");
            write!(
                f,
                ", and leaves to it to commit what the snapshot holds of {sinks} that is not \
                 committed yet"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_tells_whose_and_what_becomes_of_what_is_prepared() {
        let job = JobId::from_name("orders");
        let fork = Fork {
            from: CheckpointId(4),
            location: "/sp/savepoint-4".to_owned(),
            job: (job, "orders".to_owned()),
            by: Some("process 7 on here".to_owned()),
            sinks: vec!["bills".into(), "alerts".into()],
        };
        assert_eq!(
            fork.to_string(),
            format!(
                "snapshot 4 is of job {job} (`orders`), which is running (process 7 on here): this \
                 job begins beside it, and leaves to it to commit what the snapshot holds of \
                 `bills`, `alerts` that is not committed yet"
            )
        );
        let refused = fork.check_claim(SnapshotKind::Checkpoint).expect_err("it is needed");
        assert!(refused.to_string().contains("process 7 on here"), "{refused}");
        fork.check_claim(SnapshotKind::Savepoint).expect("it is its user's to give away");
        let noted = Fork { by: None, sinks: Vec::new(), ..fork };
        assert_eq!(
            noted.to_string(),
            format!(
                "snapshot 4 is of job {job} (`orders`), which was running when this job first \
                 began beside it"
            )
        );
    }
}
