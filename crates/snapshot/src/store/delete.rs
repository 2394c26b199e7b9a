//! Deleting a snapshot's folder: `_metadata` first, then everything else.

use std::{
    io::{self, ErrorKind},
    path::{Path as LocalPath, PathBuf},
};

use futures::{StreamExt, TryStreamExt};
use object_store::{Error, ObjectStore, ObjectStoreExt, path::Path};

use tidegate_types::JobId;

use super::{checkpoint_of, is_savepoint};
use crate::manifest::METADATA;

/// How often a folder is removed that somebody still writes into.
const ATTEMPTS: usize = 3;

/// Deletes everything below `folder`; `local` is where that lies on a local disk, if it does.
pub(super) async fn delete_below(
    store: &dyn ObjectStore,
    folder: &Path,
    local: Option<&LocalPath>,
) -> object_store::Result<()> {
    delete(store, folder.clone().join(METADATA)).await?;
    let files = store.list(Some(folder)).map_ok(|file| file.location).boxed();
    for path in files.try_collect::<Vec<_>>().await? {
        delete(store, path).await?;
    }
    match local.and_then(own_folder) {
        Some(own) => own.remove().await,
        None => Ok(()),
    }
}

async fn delete(store: &dyn ObjectStore, path: Path) -> object_store::Result<()> {
    match store.delete(&path).await {
        Err(Error::NotFound { .. }) => Ok(()),
        result => result,
    }
}

/// A local folder that bears a name of ours, the proof that it may be removed with whatever the
/// store does not list.
struct OwnFolder {
    path: PathBuf,
}

fn own_folder(path: &LocalPath) -> Option<OwnFolder> {
    let name = path.file_name()?.to_str()?;
    let is_ours = checkpoint_of(name).is_some() || is_savepoint(name);
    is_ours.then(|| OwnFolder { path: path.to_owned() })
}

impl OwnFolder {
    async fn remove(self) -> object_store::Result<()> {
        let removed = match tokio::runtime::Handle::try_current() {
            Ok(tokio) => tokio.spawn_blocking(move || self.remove_blocking()).await?,
            Err(_) => self.remove_blocking(),
        };
        let failed = |source: io::Error| Error::Generic { store: "local", source: source.into() };
        removed.map_err(failed)
    }

    fn remove_blocking(&self) -> io::Result<()> {
        for attempt in 1.. {
            match std::fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error)
                    if error.kind() == ErrorKind::DirectoryNotEmpty && attempt < ATTEMPTS => {}
                Err(error) => return Err(error),
                Ok(()) => break,
            }
        }
        self.remove_empty_parent();
        Ok(())
    }

    /// A job's folder goes with its last snapshot.
    fn remove_empty_parent(&self) {
        let parent = self.path.parent();
        let is_job = |folder: &LocalPath| {
            folder.file_name().and_then(|name| name.to_str()?.parse::<JobId>().ok()).is_some()
        };
        if let Some(parent) = parent.filter(|parent| is_job(parent)) {
            // It stays while anything is in it.
            let _ = std::fs::remove_dir(parent);
        }
    }
}
