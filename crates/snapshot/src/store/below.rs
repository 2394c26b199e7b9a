//! What a folder holds that is no snapshot itself, for whoever has named it as one: the folder of a
//! job, of all checkpoints, or of all savepoints.

use std::collections::BTreeMap;

use tidegate_storage::{Place, StoreError};
use tidegate_types::{CheckpointId, JobId};

use super::{SnapshotLocation, checkpoint_of};
use crate::{SnapshotError, manifest::Manifest};

/// How many folders are looked into; whoever has more is told of some.
const LOOKED_INTO: usize = 100;

/// The newest snapshot of a job that a folder holds.
#[derive(Clone, Debug)]
pub struct Newest {
    /// The job.
    pub job: JobId,
    /// Its name.
    pub name: String,
    /// The snapshot's number.
    pub checkpoint: CheckpointId,
    /// Where it lies.
    pub location: SnapshotLocation,
}

impl std::fmt::Display for Newest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "'{}' of job {} (`{}`)", self.location, self.job, self.name)
    }
}

/// All of them, as a message names them.
#[must_use]
pub fn in_words(found: &[Newest]) -> String {
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The newest snapshot of each job in a folder and in the folders in it. One that can't be read does
/// not count.
///
/// # Errors
///
/// When the store does not answer.
pub async fn newest_below(place: &Place) -> Result<Vec<Newest>, StoreError> {
    let mut newest = BTreeMap::<JobId, Newest>::new();
    let mut note = |location: SnapshotLocation, manifest: Manifest| {
        let (job, checkpoint) = (manifest.job.id, manifest.checkpoint);
        if newest.get(&job).is_none_or(|known| known.checkpoint < checkpoint) {
            newest.insert(job, Newest { job, name: manifest.job.name, checkpoint, location });
        }
    };
    let folders = place.folders().await?;
    if let Some((location, manifest)) = newest_checkpoint(place, &folders).await {
        note(location, manifest);
    }
    for name in folders.iter().filter(|name| checkpoint_of(name).is_none()).take(LOOKED_INTO) {
        let folder = place.folder(name);
        let location = SnapshotLocation::from(folder.clone());
        match location.load().await {
            Ok(manifest) => note(location, manifest),
            Err(SnapshotError::NoMetadata { .. }) => {
                let inner = folder.folders().await?;
                if let Some((location, manifest)) = newest_checkpoint(&folder, &inner).await {
                    note(location, manifest);
                }
            }
            Err(_) => {}
        }
    }
    Ok(newest.into_values().collect())
}

/// Of the checkpoints among `folders` the newest that can be read.
async fn newest_checkpoint(
    place: &Place,
    folders: &[String],
) -> Option<(SnapshotLocation, Manifest)> {
    let mut ids = folders.iter().filter_map(|name| checkpoint_of(name)).collect::<Vec<_>>();
    ids.sort_unstable();
    for id in ids.into_iter().rev().take(LOOKED_INTO) {
        let location = SnapshotLocation::from(place.folder(&format!("chk-{id}")));
        if let Ok(manifest) = location.load().await {
            return Some((location, manifest));
        }
    }
    None
}

impl SnapshotLocation {
    /// As [`SnapshotLocation::load`], of a snapshot that a person has named: where there is none, the
    /// error names those that are there.
    ///
    /// # Errors
    ///
    /// As [`SnapshotLocation::load`], and [`SnapshotError::Holds`].
    pub async fn load_named(&self) -> Result<Manifest, SnapshotError> {
        let error = match self.load().await {
            Err(error @ SnapshotError::NoMetadata { .. }) => error,
            loaded => return loaded,
        };
        // That there is none is known; what else is there need not be.
        let found = newest_below(self.place()).await.unwrap_or_default();
        if found.is_empty() {
            return Err(error);
        }
        Err(SnapshotError::Holds { path: self.to_string(), found: in_words(&found) })
    }
}
