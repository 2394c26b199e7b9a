//! The files and folders below a place, as they are: on a local disk with those that the store
//! hides, since it has not finished writing them.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path as LocalPath, PathBuf},
    time::SystemTime,
};

use futures::TryStreamExt;
use object_store::{Error, ObjectMeta, path::Path};
use tidegate_storage::{Place, StoreError};
use tidegate_types::JobId;

/// How many folders down a snapshot's files lie at most.
const DEPTH: usize = 2;

/// A file that is there.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// For the store.
    pub(super) path: Path,
    /// From the place on.
    pub(super) parts: Vec<String>,
    /// On this machine's disk, if it is there.
    pub(super) local: Option<PathBuf>,
    /// In bytes.
    pub(super) length: u64,
    /// When it was last written to.
    pub(super) modified: SystemTime,
}

/// All files below a place that may be a snapshot's.
pub(super) async fn below(place: &Place) -> Result<Vec<Found>, StoreError> {
    if let Some(folder) = place.local() {
        let (folder, path) = (folder.to_owned(), place.path().clone());
        let walked = blocking(move || {
            let mut found = Vec::new();
            walk(&folder, &path, &mut Vec::new(), &mut found)?;
            Ok(found)
        });
        return walked.await.map_err(|error| StoreError::failed("list", place, error));
    }
    let listed = place.store().list(Some(place.path())).try_collect::<Vec<_>>().await;
    let listed = listed.map_err(|error| StoreError::failed("list", place, error))?;
    Ok(listed.into_iter().filter_map(|file| remote(place, file)).collect())
}

fn remote(place: &Place, file: ObjectMeta) -> Option<Found> {
    let parts = file.location.prefix_match(place.path())?;
    let parts = parts.map(|part| part.as_ref().to_owned()).collect();
    let (length, modified) = (file.size, file.last_modified.into());
    Some(Found { path: file.location, parts, local: None, length, modified })
}

fn walk(
    folder: &LocalPath,
    path: &Path,
    parts: &mut Vec<String>,
    found: &mut Vec<Found>,
) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        // A name that no store would take is none of ours.
        let Ok(name) = entry.file_name().into_string() else { continue };
        let Ok(below) = Path::parse(format!("{path}/{name}")) else { continue };
        // Links are not followed: they lead to somebody else's.
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        parts.push(name);
        if metadata.is_dir() && parts.len() <= DEPTH {
            walk(&entry.path(), &below, parts, found)?;
        } else if metadata.is_file() {
            let (length, modified) = (metadata.len(), metadata.modified()?);
            let local = Some(entry.path());
            found.push(Found { path: below, parts: parts.clone(), local, length, modified });
        }
        parts.pop();
    }
    Ok(())
}

/// Deletes a file of a local disk; one that is not there is deleted already.
pub(super) async fn remove_local(file: PathBuf) -> object_store::Result<()> {
    blocking(move || match fs::remove_file(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    })
    .await
}

/// Removes the folders that `files` lay in, as far as they are empty: a job's folder goes with its
/// last snapshot. Only a local disk has folders.
pub(super) async fn remove_empty_folders(
    place: &Place,
    files: BTreeSet<Path>,
) -> Result<(), StoreError> {
    let Some(folder) = place.local().map(LocalPath::to_owned) else { return Ok(()) };
    let mut folders = BTreeSet::new();
    for file in files {
        let parts = file.prefix_match(place.path()).into_iter().flatten();
        let mut below = folder.clone();
        for part in parts {
            folders.insert(below.clone());
            below.push(part.as_ref());
        }
    }
    folders.insert(folder.clone());
    let removed = blocking(move || {
        let job = folder.parent().filter(|folder| is_job(folder));
        // The deepest first. One that is not empty stays, and is not removed by this.
        for folder in folders.iter().rev().map(PathBuf::as_path).chain(job) {
            let _ = fs::remove_dir(folder);
        }
        Ok(())
    });
    removed.await.map_err(|error| StoreError::failed("delete", place, error))
}

fn is_job(folder: &LocalPath) -> bool {
    let name = folder.file_name().and_then(|name| name.to_str());
    name.is_some_and(|name| name.parse::<JobId>().is_ok())
}

/// Runs what waits for a disk where waiting is allowed.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> object_store::Result<T> {
    let done = match tokio::runtime::Handle::try_current() {
        Ok(tokio) => tokio.spawn_blocking(work).await?,
        Err(_) => work(),
    };
    done.map_err(|source| Error::Generic { store: "local", source: source.into() })
}
