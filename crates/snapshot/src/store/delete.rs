//! Deleting: a completed snapshot goes by what its manifest names, one that never was completed by
//! who has written it.
//!
//! ```text
//!   DeletionProof --delete_snapshot--> _metadata, then the files it names, then empty folders
//!   Unfinished    --discard-------->  files of its own token that no manifest names
//!   Leftover      --remove--------->  that file
//! ```
//!
//! # Protocol
//!
//! There is no way to delete a folder. Who deletes a completed snapshot shows a [`DeletionProof`],
//! which only they can make who know that nobody needs it: retention, recovery, and the disposal
//! that a person has asked for. Who has begun a snapshot holds an [`Unfinished`], and can discard
//! no more than what it has written itself. Anything else is a [`Leftover`], found by name.
//!
//! # Invariants
//!
//! - INV-OWN: nothing is deleted but what a manifest names, and what bears a name that we give and
//!   no manifest in its folder names. A stranger's file stays, and with it the folder.
//! - What a `_metadata` in the folder names is never a leftover, whoever has written that.
//!
//! # Failure
//!
//! A crash in between leaves a folder without `_metadata` and with files of our naming: leftovers.
//! An unreadable `_metadata` stops any deletion, since nobody knows what it names.

use std::collections::BTreeSet;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::{Error, ObjectStoreExt, path::Path};
use tidegate_storage::{Places, StoreError};
use tidegate_types::CheckpointId;

use super::{
    SnapshotLocation,
    files::{self, Found, remove_empty_folders},
    names::{OwnName, unstaged},
};
use crate::{
    SnapshotError,
    manifest::{METADATA, Manifest},
};

/// The proof that a completed snapshot may be deleted.
///
/// It is implemented by values whose fields are private to the place that decides: whoever adds
/// one says with it that nobody can need the snapshot any more.
pub trait DeletionProof {
    /// Where the snapshot lies, as a path or URL.
    fn location(&self) -> &str;

    /// Which snapshot is meant, if it matters: another one that lies there by now stays.
    fn checkpoint(&self) -> Option<CheckpointId>;
}

/// Deletes a completed snapshot: `_metadata` first, then the files that it names, then folders that
/// are empty. One that is gone is deleted already.
///
/// # Errors
///
/// When the store does not answer, `_metadata` can't be read, or it is another snapshot's.
pub async fn delete_snapshot(
    places: &Places,
    proof: &impl DeletionProof,
) -> Result<(), SnapshotError> {
    let location = SnapshotLocation::find(places, proof.location())?;
    let manifest = match location.load().await {
        Err(SnapshotError::NoMetadata { .. }) => return Ok(()),
        result => result?,
    };
    match proof.checkpoint() {
        Some(expected) if expected != manifest.checkpoint => {
            let (path, found) = (location.to_string(), manifest.checkpoint);
            Err(SnapshotError::Another { path, expected, found })
        }
        _ => location.delete_named(&manifest).await,
    }
}

/// A snapshot that an attempt has begun, and not completed yet. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Unfinished {
    location: SnapshotLocation,
    token: u64,
}

impl Unfinished {
    /// Where it will lie.
    #[must_use]
    pub fn location(&self) -> &SnapshotLocation {
        &self.location
    }

    /// The token of the attempt that has begun it.
    #[must_use]
    pub fn token(&self) -> u64 {
        self.token
    }

    /// Deletes what was written for it, by the names that carry the attempt's token. If somebody
    /// has completed a snapshot there, it stays whole.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or a `_metadata` that is there can't be read.
    pub async fn discard(&self) -> Result<(), SnapshotError> {
        let mut own = self.location.leftovers().await?;
        own.retain(|leftover| leftover.token() == Some(self.token));
        Ok(self.location.remove(own).await?)
    }
}

/// A file in a snapshot's folder that bears a name of ours, and that no manifest there names.
#[derive(Clone, Debug)]
pub struct Leftover {
    found: Found,
    name: OwnName,
}

impl Leftover {
    /// The token of who has written it; a `_metadata` that was never finished has none.
    #[must_use]
    pub fn token(&self) -> Option<u64> {
        match self.name {
            OwnName::State(token) => Some(token),
            OwnName::StagedMetadata => None,
        }
    }

    /// What a person calls it: its path in the snapshot's folder.
    #[must_use]
    pub fn path(&self) -> String {
        self.found.parts.join("/")
    }

    /// In bytes.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.found.length
    }

    /// When it was last written to.
    #[must_use]
    pub fn modified(&self) -> std::time::SystemTime {
        self.found.modified
    }
}

impl SnapshotLocation {
    /// This snapshot, begun by the attempt of that token.
    #[must_use]
    pub fn begun_by(self, token: u64) -> Unfinished {
        Unfinished { location: self, token }
    }

    /// The files of our naming in here that no manifest names.
    ///
    /// # Errors
    ///
    /// When the store does not answer, or a `_metadata` that is there can't be read.
    pub async fn leftovers(&self) -> Result<Vec<Leftover>, SnapshotError> {
        let found = files::below(self.place()).await?;
        // Only after that: a file that was there before its `_metadata` came is named by it.
        let named = match self.load().await {
            Ok(manifest) => self.named(&manifest),
            Err(SnapshotError::NoMetadata { .. }) => BTreeSet::new(),
            Err(error) => return Err(error),
        };
        let own = found.into_iter().filter(|found| !named.contains(&found.path));
        Ok(own.filter_map(|found| Some(Leftover { name: found.own_name()?, found })).collect())
    }

    /// Deletes leftovers, and folders that are empty then.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn remove(&self, leftovers: Vec<Leftover>) -> Result<(), StoreError> {
        let found = leftovers.into_iter().map(|leftover| leftover.found);
        self.remove_found(found.collect()).await
    }

    fn named(&self, manifest: &Manifest) -> BTreeSet<Path> {
        manifest.files.keys().map(|name| self.place().file(name).0).collect()
    }

    async fn delete_named(&self, manifest: &Manifest) -> Result<(), SnapshotError> {
        let metadata = self.place().file(METADATA).0;
        let named = self.named(manifest);
        self.delete_all([metadata.clone()].into()).await?;
        self.delete_all(named.clone()).await?;
        // What a crash has left of an earlier try to write the same.
        let is_named = |found: &Found| {
            let (path, staged) = found.unstaged();
            staged && (path == metadata || named.contains(&path))
        };
        let mut staged = files::below(self.place()).await?;
        staged.retain(is_named);
        self.remove_found(staged).await?;
        Ok(remove_empty_folders(self.place(), named).await?)
    }

    async fn delete_all(&self, paths: BTreeSet<Path>) -> Result<(), StoreError> {
        let paths = stream::iter(paths.into_iter().map(Ok)).boxed();
        let deleted = self.place().store().delete_stream(paths);
        let gone = |result| match result {
            Err(Error::NotFound { .. }) => Ok(()),
            result => result.map(drop),
        };
        let deleted = deleted.map(gone).try_collect::<()>().await;
        deleted.map_err(|error| StoreError::failed("delete", self, error))
    }

    async fn remove_found(&self, found: Vec<Found>) -> Result<(), StoreError> {
        let paths = found.iter().map(|found| found.path.clone()).collect::<BTreeSet<_>>();
        for found in found {
            match found.local {
                // The store does not know names that it has not given yet.
                Some(file) => files::remove_local(file).await,
                None => match self.place().store().delete(&found.path).await {
                    Err(Error::NotFound { .. }) => Ok(()),
                    result => result,
                },
            }
            .map_err(|error| StoreError::failed("delete", self, error))?;
        }
        remove_empty_folders(self.place(), paths).await
    }
}

impl Found {
    fn own_name(&self) -> Option<OwnName> {
        super::names::own_name(&self.parts.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The path that the file is to have, and whether it does not have it yet.
    fn unstaged(&self) -> (Path, bool) {
        match unstaged(self.path.as_ref()) {
            (path, true) => (Path::parse(path).unwrap_or_else(|_| self.path.clone()), true),
            _ => (self.path.clone(), false),
        }
    }
}
