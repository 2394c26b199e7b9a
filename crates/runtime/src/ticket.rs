//! By what a snapshot that somebody has asked for is known to others than the master that takes it:
//! whoever comes after it finds out by the job's log what has come of the request.

use std::collections::BTreeSet;

use tidegate_snapshot::store::{DeletionProof, SnapshotLocation, delete_snapshot};
use tidegate_storage::{Places, log::Recorded};
use tidegate_types::{CheckpointId, JobId, RunToken};

use crate::{
    api::{JobError, JobHandle},
    prepare::sweep_one,
};

/// What a request for a snapshot is known by.
#[derive(Clone, Debug)]
pub struct Ticket {
    /// What the job's log is to say of the snapshot, once it is complete. No other has it.
    pub trigger: String,
    /// The folder that the files of a savepoint go to; `None` for one that the master chooses, and
    /// for checkpoints.
    pub location: Option<SnapshotLocation>,
}

/// A job that goes on after its JobManager is gone, and what its log said when it was taken over:
/// nothing that an earlier run has begun can be complete any more.
pub struct RecoveredJob {
    /// A hold on it.
    pub handle: JobHandle,
    /// The snapshots that are complete, those of an earlier job of that id apart.
    pub recorded: Vec<Recorded>,
    /// The runs whose unfinished files may go.
    pub superseded: BTreeSet<RunToken>,
}

/// A snapshot with a manifest that its job's log does not know.
struct NeverComplete {
    location: String,
    checkpoint: CheckpointId,
}

impl DeletionProof for NeverComplete {
    fn location(&self) -> &str {
        &self.location
    }

    fn checkpoint(&self) -> Option<CheckpointId> {
        Some(self.checkpoint)
    }
}

/// Deletes what superseded runs have written into the folder of a snapshot that was never complete,
/// and nothing else in there. A manifest that is there all the same goes only if it is
/// `unrecorded`: the log reaches back to before the snapshot was asked for, and does not know it.
///
/// # Errors
///
/// When the store does not answer.
pub async fn sweep_unfinished(
    (job, location): (JobId, &str),
    superseded: &BTreeSet<RunToken>,
    unrecorded: bool,
    places: &Places,
) -> Result<(), JobError> {
    let found = SnapshotLocation::find(places, location)?;
    if unrecorded
        && let Ok(manifest) = found.load().await
        && manifest.job.id == job
    {
        let (location, checkpoint) = (location.to_owned(), manifest.checkpoint);
        delete_snapshot(places, &NeverComplete { location, checkpoint }).await?;
    }
    Ok(sweep_one(&found, superseded).await?)
}
