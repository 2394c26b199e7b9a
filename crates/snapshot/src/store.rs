//! Folders and files of snapshots, in any object store.
//!
//! # Failure
//!
//! A crash between the files and `_metadata` leaves a folder without `_metadata`, which nobody
//! takes for a snapshot and [`SnapshotStore::list`] reports as not complete, to be swept. Deleting
//! begins with `_metadata`, so that a crash in between leaves the same. On a local disk a write
//! that a crash cut short leaves a staged file, which `object_store` hides from its listings: there
//! the folder goes as a whole.

mod delete;
mod location;
mod open;
mod records;

use std::{fmt, path::PathBuf, sync::Arc};

use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use tidegate_types::{CheckpointId, JobId};

pub use location::{LoadedSnapshot, SnapshotLocation};
pub use records::Records;

use crate::StoreError;

/// A place where snapshots are kept. Cheap to clone.
#[derive(Clone)]
pub struct SnapshotStore {
    store: Arc<dyn ObjectStore>,
    base: Path,
    /// Where the store's root lies, if that is on a local disk.
    root: Option<PathBuf>,
    /// What a person calls it.
    name: String,
}

impl fmt::Debug for SnapshotStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SnapshotStore").field(&self.name).finish()
    }
}

impl fmt::Display for SnapshotStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
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
    /// Opens a folder (which is made if need be), or the URL of an object store: `file://`,
    /// `memory://`, and with the feature of that name `s3://`.
    ///
    /// # Errors
    ///
    /// When the address is not one, or the folder can't be made.
    pub fn open(url: &str) -> Result<Self, StoreError> {
        open::store(url)
    }

    /// Takes a store that is open already, for tests.
    #[must_use]
    pub fn from_object_store(store: Arc<dyn ObjectStore>, name: &str) -> Self {
        Self { store, base: Path::default(), root: None, name: name.to_owned() }
    }

    /// The same place, with every operation going through `decorate`, for tests.
    #[must_use]
    pub fn decorated(
        &self,
        decorate: impl FnOnce(Arc<dyn ObjectStore>) -> Arc<dyn ObjectStore>,
    ) -> Self {
        Self { store: decorate(Arc::clone(&self.store)), ..self.clone() }
    }

    /// What a person calls it: a path or a URL. Every location in it begins with this.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder at a path relative to this place.
    #[must_use]
    pub fn folder(&self, relative: &str) -> SnapshotLocation {
        let parts = relative.split('/').filter(|part| !part.is_empty());
        let path = parts.clone().fold(self.base.clone(), |path, part| path.join(part));
        let name = parts.fold(self.name.clone(), |name, part| format!("{name}/{part}"));
        self.location(path, name)
    }

    /// The folder that one of its locations, shown as text, stands for: `None` if `text` lies
    /// elsewhere. `/data/b` does not lie in `/data/a`, nor does `/data/ab`.
    #[must_use]
    pub fn locate(&self, text: &str) -> Option<SnapshotLocation> {
        let relative = text.strip_prefix(&self.name)?;
        let is_below = relative.is_empty() || relative.starts_with('/') || self.name.ends_with('/');
        is_below.then(|| self.folder(relative))
    }

    fn job_folder(&self, job: JobId, create_subdir: bool) -> (Path, String) {
        if create_subdir {
            (self.base.clone().join(job.to_string()), format!("{}/{job}", self.name))
        } else {
            (self.base.clone(), self.name.clone())
        }
    }

    /// The folder of a checkpoint.
    #[must_use]
    pub fn checkpoint(
        &self,
        job: JobId,
        id: CheckpointId,
        create_subdir: bool,
    ) -> SnapshotLocation {
        let (folder, name) = self.job_folder(job, create_subdir);
        self.location(folder.join(format!("chk-{id}")), format!("{name}/chk-{id}"))
    }

    /// The folder of a savepoint; of `random` 48 bits count.
    #[must_use]
    pub fn savepoint(&self, job: JobId, random: u64) -> SnapshotLocation {
        let folder = format!("savepoint-{}-{:012x}", job.short(), random & 0xffff_ffff_ffff);
        let name = format!("{}/{folder}", self.name);
        self.location(self.base.clone().join(folder), name)
    }

    fn location(&self, path: Path, name: String) -> SnapshotLocation {
        SnapshotLocation { store: Arc::clone(&self.store), path, root: self.root.clone(), name }
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
        let (folder, _) = self.job_folder(job, create_subdir);
        let prefix = (!folder.as_ref().is_empty()).then_some(&folder);
        let listing = self.store.list_with_delimiter(prefix).await;
        let listing = match listing {
            Ok(listing) => listing,
            Err(object_store::Error::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(StoreError::failed("list", self, error)),
        };
        let ids = listing
            .common_prefixes
            .iter()
            .filter_map(|path| checkpoint_of(path.parts().next_back()?.as_ref()));
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
        let prefix = (!self.base.as_ref().is_empty()).then_some(&self.base);
        let listing = self.store.list_with_delimiter(prefix).await;
        let listing = listing.map_err(|error| StoreError::failed("list", self, error))?;
        let beginning = format!("savepoint-{}-", job.short());
        let mut found = Vec::new();
        for path in listing.common_prefixes {
            let Some(folder) = path.parts().next_back().map(|part| part.as_ref().to_owned()) else {
                continue;
            };
            let location = self.location(path, format!("{}/{folder}", self.name));
            if folder.starts_with(&beginning) && location.exists().await? {
                found.push(location);
            }
        }
        Ok(found)
    }

    /// Writes and deletes a file, to learn before the job starts whether that can be done.
    ///
    /// # Errors
    ///
    /// When it can't.
    pub async fn probe_writable(&self, random: u64) -> Result<(), StoreError> {
        let path = self.base.clone().join(format!(".probe-{random:016x}"));
        let failed = |error| StoreError::failed("write into", self, error);
        self.store.put(&path, Vec::new().into()).await.map_err(failed)?;
        self.store.delete(&path).await.map_err(failed)
    }
}

/// The checkpoint that a folder of this name is for, if we have made it: `chk-007` is not ours.
fn checkpoint_of(folder: &str) -> Option<CheckpointId> {
    let id = CheckpointId(folder.strip_prefix("chk-")?.parse().ok()?);
    (folder == format!("chk-{id}")).then_some(id)
}

/// Whether a folder of this name is one that we make for a savepoint.
fn is_savepoint(folder: &str) -> bool {
    let is_hex = |text: &str, digits| {
        text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    folder
        .strip_prefix("savepoint-")
        .and_then(|rest| rest.split_once('-'))
        .is_some_and(|(job, random)| is_hex(job, 6) && is_hex(random, 12))
}

#[cfg(test)]
mod tests;
