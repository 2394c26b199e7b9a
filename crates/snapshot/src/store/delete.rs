//! Deleting a snapshot's folder: `_metadata` first, then everything else.

use std::{
    io::{self, ErrorKind},
    path::{Path as LocalPath, PathBuf},
};

use futures::{StreamExt, TryStreamExt};
use object_store::{Error, ObjectStore, ObjectStoreExt, path::Path};

use super::{checkpoint_of, is_savepoint};
use crate::manifest::METADATA;

/// How often a folder is removed that somebody still writes into.
const ATTEMPTS: usize = 3;

/// Deletes everything below `folder`; `root` is where the store lies on a local disk, if it does.
pub(super) async fn delete_below(
    store: &dyn ObjectStore,
    folder: &Path,
    root: Option<&LocalPath>,
) -> object_store::Result<()> {
    delete(store, folder.clone().join(METADATA)).await?;
    let files = store.list(Some(folder)).map_ok(|file| file.location).boxed();
    for path in files.try_collect::<Vec<_>>().await? {
        delete(store, path).await?;
    }
    match root.and_then(|root| own_folder(root, folder)) {
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
    root: PathBuf,
    path: PathBuf,
}

fn own_folder(root: &LocalPath, folder: &Path) -> Option<OwnFolder> {
    let path = folder.parts().fold(root.to_owned(), |path, part| path.join(part.as_ref()));
    let name = path.file_name()?.to_str()?;
    let is_ours = checkpoint_of(name).is_some() || is_savepoint(name);
    is_ours.then(|| OwnFolder { root: root.to_owned(), path })
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
        self.remove_empty_parents();
        Ok(())
    }

    /// As the store does by itself for the files that it deletes: a job's folder goes with its
    /// last snapshot.
    fn remove_empty_parents(&self) {
        let parents = self.path.ancestors().skip(1);
        for parent in parents.take_while(|parent| parent.starts_with(&self.root)) {
            if parent == self.root || std::fs::remove_dir(parent).is_err() {
                break;
            }
        }
    }
}
