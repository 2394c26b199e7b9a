//! What earlier runs have left, and whose it is to delete.
//!
//! Names of files carry the token of their attempt, and so of its run. A run deletes what carries the
//! token of one that it has superseded in the job's log, and what the log says was never complete;
//! everything else is left to those who know it.

use std::collections::BTreeSet;

use tidegate_snapshot::{
    SnapshotError,
    store::{DeletionProof, ListedSnapshot, SnapshotLocation, delete_snapshot},
};
use tidegate_storage::{
    StoreError,
    log::{Recorded, RecordedKind, RunToken},
};
use tidegate_types::{CheckpointId, JobId, error::chain};
use tracing::{info, warn};

use super::{JobError, JobSettings, Stores, newest_of};

/// Deletes what superseded runs have left half-written.
pub(super) async fn leftovers(
    listed: &[ListedSnapshot],
    stores: &Stores,
    spec: &JobSettings,
    superseded: &BTreeSet<RunToken>,
) {
    let job = spec.id;
    let mut unfinished = listed.iter().filter(|found| !found.complete);
    let mut locations = unfinished.by_ref().map(|found| found.location.clone()).collect::<Vec<_>>();
    if let Some(savepoints) = &stores.savepoints {
        match savepoints.list_unfinished_savepoints(job).await {
            Ok(found) => locations.extend(found),
            Err(error) => {
                warn!(%job, error = chain(&error), "could not look for unfinished savepoints")
            }
        }
    }
    for location in locations {
        if let Err(error) = sweep_one(&location, superseded).await {
            warn!(%job, %location, error = chain(&error), "could not sweep it");
        }
    }
}

/// Deletes what superseded runs have written into a folder and no manifest there names.
///
/// # Errors
///
/// When the store does not answer, or a manifest that is there can't be read.
pub(crate) async fn sweep_one(
    location: &SnapshotLocation,
    superseded: &BTreeSet<RunToken>,
) -> Result<(), SnapshotError> {
    let mut left = location.leftovers().await?;
    left.retain(|left| left.token().is_none_or(|token| superseded.contains(&RunToken::of(token))));
    if !left.is_empty() {
        info!(%location, files = left.len(), "sweeping a snapshot that was never completed");
    }
    Ok(location.remove(left).await?)
}

/// Tells of a checkpoint that stays unused.
pub(super) fn tell_unused(listed: &[ListedSnapshot], spec: &JobSettings) {
    let newest = listed.iter().filter(|snapshot| snapshot.complete).max_by_key(|found| found.id);
    if let Some(newest) = newest {
        warn!(
            job = %spec.id,
            location = %newest.location,
            "starting from nothing, though an earlier run of this job has left a checkpoint; \
             --from-savepoint latest goes on from it"
        );
    }
}

/// Whether a snapshot is a job's own; of one that can't be read nobody knows.
pub(super) async fn is_of(job: JobId, location: &SnapshotLocation) -> Result<bool, StoreError> {
    match location.load().await {
        Ok(manifest) => Ok(manifest.job.id == job),
        Err(SnapshotError::Store(error)) => Err(error),
        Err(error) => {
            let error = chain(&error);
            warn!(%job, %location, error, "a checkpoint can't be read and is left alone");
            Ok(false)
        }
    }
}

/// A checkpoint of the job that its record of completed snapshots does not know.
struct Unrecorded {
    location: String,
    checkpoint: CheckpointId,
}

impl DeletionProof for Unrecorded {
    fn location(&self) -> &str {
        &self.location
    }

    fn checkpoint(&self) -> Option<CheckpointId> {
        Some(self.checkpoint)
    }
}

/// What there is to do before a job that was recovered goes on: leftovers go, and so do checkpoints
/// that look complete and are not in its log, or are in it and not retained any more. Tells the
/// highest id of all.
///
/// # Errors
///
/// When the store does not answer.
pub(crate) async fn tidy(
    stores: Stores,
    spec: JobSettings,
    recorded: Vec<Recorded>,
    superseded: BTreeSet<RunToken>,
) -> Result<Option<CheckpointId>, JobError> {
    let subdir = spec.options.checkpointing.create_subdir;
    let listed = stores.checkpoints.list(spec.id, subdir).await?;
    leftovers(&listed, &stores, &spec, &superseded).await;
    let checkpoints = recorded.iter().filter(|found| found.kind == RecordedKind::Checkpoint);
    let retained = spec.options.checkpointing.num_retained.max(1) as usize;
    let subsumed = checkpoints.skip(retained).map(|found| found.checkpoint).collect::<Vec<_>>();
    delete_checkpoints(&listed, &stores, &spec, |id| {
        subsumed.contains(&id) || is_unrecorded(id, &recorded)
    })
    .await?;
    let listed = listed.iter().map(|found| found.id);
    Ok(listed.chain(recorded.iter().map(|recorded| recorded.checkpoint)).max())
}

/// Deletes what looks like a checkpoint of the job and is not in its log: a run that was killed, or
/// taken over from, had written its manifest, and no more.
///
/// # Errors
///
/// When the store does not answer.
pub(super) async fn unrecorded(
    listed: &[ListedSnapshot],
    stores: &Stores,
    spec: &JobSettings,
    recorded: &[Recorded],
) -> Result<(), JobError> {
    delete_checkpoints(listed, stores, spec, |id| is_unrecorded(id, recorded)).await
}

/// Whether a checkpoint is newer than the newest one that the log knows. What is older may be of a time
/// that the log has forgotten.
fn is_unrecorded(id: CheckpointId, recorded: &[Recorded]) -> bool {
    newest_of(recorded).is_some_and(|newest| newest.checkpoint < id)
        && recorded.iter().all(|recorded| recorded.checkpoint != id)
}

/// Deletes the checkpoints of a job that had ended, if whoever ended it did not live to do so.
///
/// # Errors
///
/// When the store does not answer.
pub(super) async fn outlived(
    stores: &Stores,
    spec: &JobSettings,
    outlived: &BTreeSet<CheckpointId>,
) -> Result<(), JobError> {
    if outlived.is_empty() {
        return Ok(());
    }
    let listed = stores.checkpoints.list(spec.id, spec.options.checkpointing.create_subdir).await?;
    delete_checkpoints(&listed, stores, spec, |id| outlived.contains(&id)).await
}

/// Deletes what is left of a job that had ended, if whoever ended it did not live to do so and nobody will
/// begin it anew: its checkpoints, those that look complete and are not in its log, and what was
/// half-written or half-deleted.
///
/// # Errors
///
/// When the store does not answer.
pub(crate) async fn remains(
    stores: &Stores,
    spec: &JobSettings,
    outlived: &BTreeSet<CheckpointId>,
    superseded: &BTreeSet<RunToken>,
) -> Result<(), JobError> {
    let listed = stores.checkpoints.list(spec.id, spec.options.checkpointing.create_subdir).await?;
    let is_newer = |id| outlived.last().is_some_and(|newest| *newest < id);
    delete_checkpoints(&listed, stores, spec, |id| outlived.contains(&id) || is_newer(id)).await?;
    leftovers(&listed, stores, spec, superseded).await;
    Ok(())
}

async fn delete_checkpoints(
    listed: &[ListedSnapshot],
    stores: &Stores,
    spec: &JobSettings,
    which: impl Fn(CheckpointId) -> bool,
) -> Result<(), JobError> {
    let job = spec.id;
    for found in listed.iter().filter(|found| found.complete && which(found.id)) {
        if !is_of(job, &found.location).await? {
            continue;
        }
        info!(%job, location = %found.location, "deleting a checkpoint that does not count");
        let (location, checkpoint) = (found.location.to_string(), found.id);
        match delete_snapshot(&stores.places(), &Unrecorded { location, checkpoint }).await {
            Err(SnapshotError::Store(error)) => return Err(error.into()),
            // It is not what its name says: somebody has put it there.
            Err(error) => warn!(%job, error = chain(&error), "a checkpoint is left alone"),
            Ok(()) => {}
        }
    }
    Ok(())
}
