//! Folders and files of snapshots, in any object store.
//!
//! # Failure
//!
//! A crash between the files and `_metadata` leaves a folder without `_metadata`, which nobody
//! takes for a snapshot and [`SnapshotStore::list`] reports as not complete, to be swept. Deleting
//! begins with `_metadata`, so that a crash in between leaves the same: files whose names tell that
//! they are ours, and of which attempt ([`DeletionProof`] and its neighbours say who may delete
//! what). On a local disk a write that a crash cut short leaves a staged file, which `object_store`
//! hides from its listings; it goes by the name that it was to have.

mod below;
mod delete;
mod files;
mod location;
mod names;
mod ranges;
mod sweep;

use std::fmt;

use tidegate_storage::{Place, StoreError};
use tidegate_types::{CheckpointId, JobId};

pub use below::{Newest, in_words, newest_below};
pub use delete::{DeletionProof, Leftover, Unfinished, delete_snapshot};
pub use location::{LoadedSnapshot, SnapshotLocation};
pub use names::{state_file, table_file};
pub use ranges::{BlockRequest, StoredSegment};
pub use sweep::{Rule, Untidy, find_untidy};

/// A place where snapshots are kept. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SnapshotStore(Place);

impl fmt::Display for SnapshotStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Place> for SnapshotStore {
    fn from(place: Place) -> Self {
        Self(place)
    }
}

/// A checkpoint folder that was found.
#[derive(Clone, Debug)]
pub struct ListedSnapshot {
    /// Its number.
    pub id: CheckpointId,
    /// Whether it has a `_metadata`, and so is a snapshot.
    pub complete: bool,
    /// Where it lies.
    pub location: SnapshotLocation,
}

impl SnapshotStore {
    /// Opens a folder (which is made if need be), or the URL of an object store.
    ///
    /// # Errors
    ///
    /// When the address is not one, or the folder can't be made.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        Place::open(url).map(Self)
    }

    /// The folder itself.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0
    }

    /// The folder of a job's checkpoints, and of what else is the job's.
    #[must_use]
    pub fn job_folder(&self, job: JobId, create_subdir: bool) -> Place {
        if create_subdir { self.0.folder(&job.to_string()) } else { self.0.clone() }
    }

    /// The folder of a checkpoint.
    #[must_use]
    pub fn checkpoint(
        &self,
        job: JobId,
        id: CheckpointId,
        create_subdir: bool,
    ) -> SnapshotLocation {
        self.job_folder(job, create_subdir).folder(&format!("chk-{id}")).into()
    }

    /// The folder of a savepoint; of `random` 48 bits count.
    #[must_use]
    pub fn savepoint(&self, job: JobId, random: u64) -> SnapshotLocation {
        let random = random & 0xffff_ffff_ffff;
        self.0.folder(&format!("savepoint-{}-{random:012x}", job.short())).into()
    }

    /// The checkpoint folders of a job, oldest first, complete or not.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn list(
        &self,
        job: JobId,
        create_subdir: bool,
    ) -> Result<Vec<ListedSnapshot>, StoreError> {
        let folders = self.job_folder(job, create_subdir).folders().await?;
        let ids = folders.iter().filter_map(|name| checkpoint_of(name));
        let mut found = Vec::new();
        for id in ids {
            let location = self.checkpoint(job, id, create_subdir);
            let complete = location.exists().await?;
            found.push(ListedSnapshot { id, complete, location });
        }
        found.sort_by_key(|snapshot| snapshot.id);
        Ok(found)
    }

    /// The savepoints of a job that lie here.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn list_savepoints(&self, job: JobId) -> Result<Vec<SnapshotLocation>, StoreError> {
        self.savepoint_folders(job, true).await
    }

    /// The folders of a job's savepoints in here that have no `_metadata`.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn list_unfinished_savepoints(
        &self,
        job: JobId,
    ) -> Result<Vec<SnapshotLocation>, StoreError> {
        self.savepoint_folders(job, false).await
    }

    async fn savepoint_folders(
        &self,
        job: JobId,
        complete: bool,
    ) -> Result<Vec<SnapshotLocation>, StoreError> {
        let beginning = format!("savepoint-{}-", job.short());
        let mut found = Vec::new();
        for name in self.0.folders().await? {
            let location = SnapshotLocation::from(self.0.folder(&name));
            if name.starts_with(&beginning) && location.exists().await? == complete {
                found.push(location);
            }
        }
        Ok(found)
    }
}

/// The checkpoint that a folder of this name is for, if we have made it: `chk-007` is not ours.
fn checkpoint_of(folder: &str) -> Option<CheckpointId> {
    let id = CheckpointId(folder.strip_prefix("chk-")?.parse().ok()?);
    (folder == format!("chk-{id}")).then_some(id)
}

#[cfg(test)]
pub(crate) mod tests;
