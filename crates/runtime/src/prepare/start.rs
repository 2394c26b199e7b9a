//! Which snapshot a job starts from.
//!
//! The job's log says which of its snapshots are complete; what it does not know never was. Where there
//! is no log, whatever has a `_metadata` counts: snapshots that an earlier version has left, or copied
//! ones.

use tidegate_snapshot::{
    SnapshotError,
    manifest::SnapshotKind,
    store::{ListedSnapshot, SnapshotLocation, in_words, newest_below},
};
use tidegate_storage::log::{self, Concluded, Recorded, RecordedKind};
use tidegate_types::{CheckpointId, ErrorKind, error::chain, options::ClaimMode};
use tracing::warn;

use super::{JobError, JobSettings, Stores, newest_of};

/// Where the snapshot lies that a job would start from, if it is to start from one, and what the job's
/// log knows.
///
/// # Errors
///
/// When it can't be found.
pub(crate) async fn locate_start(
    settings: &JobSettings,
    stores: &Stores,
) -> Result<Option<(SnapshotLocation, Vec<Recorded>)>, JobError> {
    let recorded = log::read(&stores.log(settings)).await.map_err(JobError::from)?;
    let candidates = Candidates::of(settings, stores, &recorded).await?;
    let location = candidates.choose(settings, stores).await?.map(|start| start.location);
    Ok(location.map(|location| (location, recorded)))
}

/// The snapshot to start from.
pub(super) struct Start {
    pub(super) location: SnapshotLocation,
    pub(super) claim: bool,
}

/// What a job may start from.
pub(super) struct Candidates<'a> {
    recorded: &'a [Recorded],
    /// Whether there is a log at all.
    has_log: bool,
    /// The checkpoint folders, complete or not.
    pub(super) listed: Vec<ListedSnapshot>,
    savepoints: Savepoints,
}

impl<'a> Candidates<'a> {
    /// Looks for them.
    ///
    /// # Errors
    ///
    /// When the store does not answer, the folder is another job's, or it is not certain which
    /// snapshot is the latest and that is asked for.
    pub(super) async fn of(
        spec: &JobSettings,
        stores: &Stores,
        recorded: &'a [Recorded],
    ) -> Result<Self, JobError> {
        let subdir = spec.options.checkpointing.create_subdir;
        let listed = stores.checkpoints.list(spec.id, subdir).await?;
        if !subdir {
            refuse_strangers(spec, stores, &listed).await?;
        }
        let has_log = log::is_begun(&stores.log(spec)).await.map_err(JobError::from)?;
        let savepoints = savepoints_of(spec, stores).await?;
        Ok(Self { recorded, has_log, listed, savepoints })
    }

    /// Ids only grow, over runs too: a new one must not be taken for older than any that is there.
    pub(super) fn highest(&self) -> Option<CheckpointId> {
        let listed = self.listed.iter().map(|snapshot| snapshot.id);
        let recorded = self.recorded.iter().map(|snapshot| snapshot.checkpoint);
        listed.chain(recorded).chain(self.savepoints.highest).max()
    }

    /// Finds the one to start from, if the job is to start from any.
    ///
    /// # Errors
    ///
    /// When it is not there.
    pub(super) async fn choose(
        &self,
        spec: &JobSettings,
        stores: &Stores,
    ) -> Result<Option<Start>, JobError> {
        let recovery = &spec.options.recovery;
        let Some(path) = &recovery.path else { return Ok(None) };
        if path != "latest" {
            let location = SnapshotLocation::parse_among(&stores.places(), path)?;
            let claim = recovery.claim_mode == Some(ClaimMode::Claim);
            return Ok(Some(Start { location, claim }));
        }
        let latest = match newest_of(self.recorded) {
            Some(newest) => {
                let location = stores.places().find(&newest.location)?.into();
                Some((location, newest.kind == RecordedKind::Checkpoint))
            }
            None if self.has_log => None,
            None => self.newest_without_log(),
        };
        let Some((location, is_checkpoint)) = latest else {
            return Err(nothing_found(spec, stores).await);
        };
        // The job's own checkpoint is its own again, unless somebody says otherwise.
        let claim = match recovery.claim_mode {
            Some(mode) => mode == ClaimMode::Claim,
            None => is_checkpoint,
        };
        Ok(Some(Start { location, claim }))
    }

    fn newest_without_log(&self) -> Option<(SnapshotLocation, bool)> {
        let complete = self.listed.iter().filter(|snapshot| snapshot.complete);
        let checkpoints = complete.map(|found| (found.id, &found.location, true));
        let savepoint = self.savepoints.newest_final.iter();
        let savepoint = savepoint.map(|(id, location)| (*id, location, false));
        let newest = checkpoints.chain(savepoint).max_by_key(|(id, ..)| *id);
        newest.map(|(_, location, is_checkpoint)| (location.clone(), is_checkpoint))
    }
}

/// Without a folder of its own a job must not take another's snapshots for its own.
async fn refuse_strangers(
    spec: &JobSettings,
    stores: &Stores,
    listed: &[ListedSnapshot],
) -> Result<(), JobError> {
    for found in listed.iter().filter(|found| found.complete) {
        // One that can't be read belongs to nobody that can be told.
        let Ok(manifest) = found.location.load().await else { continue };
        if manifest.job.id != spec.id {
            let (job, name) = (manifest.job.id, manifest.job.name);
            let message = format!(
                "'{}' holds snapshots of another job, {job} (`{name}`), and this one is {} (`{}`): \
                 give each job a folder of its own, or set \
                 execution.checkpointing.create-subdir to true",
                stores.checkpoints, spec.id, spec.name
            );
            return Err(JobError::new(ErrorKind::Invalid, message));
        }
    }
    Ok(())
}

fn has_ended(spec: &JobSettings, how: Concluded) -> JobError {
    let how = match how {
        Concluded::Finished => "has finished, and what came of its input is committed",
        Concluded::Canceled => "was cancelled",
    };
    JobError::new(
        ErrorKind::Invalid,
        format!(
            "job {} (`{}`) {how}: there is nothing to go on from; start it without --from-savepoint \
             to run it once more from the beginning",
            spec.id, spec.name
        ),
    )
}

/// There is no latest snapshot; whose there are in its folder is told instead.
async fn nothing_found(spec: &JobSettings, stores: &Stores) -> JobError {
    match log::concluded(&stores.log(spec)).await {
        Ok(None) => {}
        Ok(Some(how)) => return has_ended(spec, how),
        Err(error) => return error.into(),
    }
    let nothing = format!(
        "there is no checkpoint or savepoint of job {} (`{}`) in {}",
        spec.id, spec.name, stores.checkpoints
    );
    // What lies there is a help, and no more: the store may be unable to tell.
    let others = newest_below(stores.checkpoints.place()).await.unwrap_or_default();
    let (same, others): (Vec<_>, Vec<_>) =
        others.into_iter().partition(|found| found.name == spec.name);
    let advice = match (&same[..], &others[..]) {
        ([], []) => "start without --from-savepoint if it has never completed one; one that has \
                     finished, or was cancelled, has deleted them"
            .to_owned(),
        ([], others) => format!(
            "there are those of other jobs: {}; start without --from-savepoint if it has never \
             completed one",
            in_words(others)
        ),
        ([one], _) => format!(
            "there is {one}, which has the same name: name the snapshot by its path, or go on as \
             that job under its id (--job-id {}, or `jobId` in a request)",
            one.job
        ),
        (several, _) => {
            format!("jobs of the same name have some: {}; name one by its path", in_words(several))
        }
    };
    JobError::new(ErrorKind::Invalid, format!("{nothing}: {advice}"))
}

/// The savepoints of a job, as far as they are known.
#[derive(Default)]
struct Savepoints {
    /// The highest id of all.
    highest: Option<CheckpointId>,
    /// The newest that the job was stopped with: only such a one counts as the latest snapshot,
    /// since nothing was committed for the others.
    newest_final: Option<(CheckpointId, SnapshotLocation)>,
}

fn unreadable(location: &SnapshotLocation, error: &SnapshotError) -> JobError {
    let problem = chain(error);
    JobError::new(
        error.kind(),
        format!(
            "'{location}' of this job can't be read, so that nobody knows which snapshot is the \
             latest: {problem}; name the one to start from by its path, or move this one away"
        ),
    )
}

/// Looks through the job's own savepoints.
///
/// # Errors
///
/// When one can't be read and the latest snapshot is asked for: to go on from an older one instead
/// could write again what is committed already.
async fn savepoints_of(spec: &JobSettings, stores: &Stores) -> Result<Savepoints, JobError> {
    let mut found = Savepoints::default();
    let Some(store) = &stores.savepoints else { return Ok(found) };
    let wants_latest = spec.options.recovery.path.as_deref() == Some("latest");
    for location in store.list_savepoints(spec.id).await? {
        let manifest = match location.load().await {
            Ok(manifest) => manifest,
            Err(error) if wants_latest => return Err(unreadable(&location, &error)),
            Err(error) => {
                let error = chain(&error);
                warn!(job = %spec.id, %location, error, "a savepoint of this job can't be read");
                continue;
            }
        };
        if manifest.job.id != spec.id {
            continue;
        }
        found.highest = found.highest.max(Some(manifest.checkpoint));
        let newest = found.newest_final.as_ref().map(|(id, _)| *id);
        if manifest.kind == SnapshotKind::FinalSavepoint && Some(manifest.checkpoint) > newest {
            found.newest_final = Some((manifest.checkpoint, location));
        }
    }
    Ok(found)
}
