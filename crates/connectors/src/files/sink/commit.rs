//! Makes pending files finished ones, and deletes leftovers. All of it blocks.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    super::error::FileError,
    names::{self, Owner},
};

/// A file that is written, synced and not visible yet. The names are relative to the sink's folder,
/// so that it can be moved between a snapshot and its restore.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingFile {
    pub(super) pending: String,
    pub(super) finished: String,
    /// How long it is, in bytes.
    pub(super) length: u64,
}

impl PendingFile {
    /// The name it gets when it is finished.
    #[must_use]
    pub fn finished_name(&self) -> &str {
        &self.finished
    }
}

/// Makes files finished that are not so already.
pub(super) fn commit(dir: &Path, files: &[PendingFile]) -> Result<(), FileError> {
    files.iter().try_for_each(|file| commit_one(dir, file))?;
    sync_folder(dir)
}

fn commit_one(dir: &Path, file: &PendingFile) -> Result<(), FileError> {
    let (pending, finished) = (dir.join(&file.pending), dir.join(&file.finished));
    if let Some(found) = length(&finished)? {
        return check_length(&finished, file.length, found);
    }
    let Some(found) = length(&pending)? else {
        // Another commit of the same file, that of an attempt that was just given up, may have
        // renamed it between the two looks.
        return match length(&finished)? {
            Some(found) => check_length(&finished, file.length, found),
            None => Err(FileError::Lost {
                pending: pending.display().to_string(),
                finished: finished.display().to_string(),
            }),
        };
    };
    check_length(&pending, file.length, found)?;
    match fs::rename(&pending, &finished) {
        // Likewise.
        Err(error) if error.kind() == io::ErrorKind::NotFound && finished.exists() => Ok(()),
        result => result.map_err(FileError::io("finish", pending.display())),
    }
}

fn check_length(path: &Path, expected: u64, found: u64) -> Result<(), FileError> {
    if expected == found {
        return Ok(());
    }
    Err(FileError::Length { path: path.display().to_string(), expected, found })
}

/// A file's length in bytes, `None` if it does not exist.
fn length(path: &Path) -> Result<Option<u64>, FileError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata.len())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::io("look at", path.display())(error)),
    }
}

/// Deletes the unfinished files of the sink `owner` that belong to other attempts than the one
/// with the token `running`.
pub(super) fn sweep(dir: &Path, owner: Owner, running: u64) -> Result<(), FileError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(FileError::io("list", dir.display()))?,
    };
    for entry in entries {
        let entry = entry.map_err(FileError::io("list", dir.display()))?;
        let leftover = entry.file_name().to_str().and_then(names::unfinished);
        if leftover.is_some_and(|(of, token)| of == owner && token != running) {
            delete(&entry.path())?;
        }
    }
    Ok(())
}

fn delete(path: &Path) -> Result<(), FileError> {
    tracing::info!(file = %path.display(), "deleting what an earlier attempt left behind");
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result.map_err(FileError::io("delete", path.display())),
    }
}

/// Makes the names in a folder survive a crash.
pub(super) fn sync_folder(dir: &Path) -> Result<(), FileError> {
    let sync = || fs::File::open(dir)?.sync_all();
    sync().map_err(FileError::io("sync", dir.display()))
}

/// Makes a folder and those above it, so that they survive a crash.
pub(super) fn make_folder(dir: &Path) -> Result<(), FileError> {
    let missing: Vec<PathBuf> =
        dir.ancestors().take_while(|folder| !folder.exists()).map(Path::to_owned).collect();
    fs::create_dir_all(dir).map_err(FileError::io("make the folder", dir.display()))?;
    // The name of a new folder stands in the one above it.
    missing.iter().filter_map(|folder| folder.parent()).try_for_each(|above| {
        let current = above.as_os_str().is_empty();
        sync_folder(if current { Path::new(".") } else { above })
    })
}
