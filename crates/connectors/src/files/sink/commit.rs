//! Makes pending files finished ones, and deletes leftovers. All of it blocks.
//!
//! # What a commit can tell
//!
//! A finished file is its consumer's, who may have moved, changed or deleted it since; and nothing
//! but a commit takes a pending name away.
//!
//! | the pending file | the finished file | so it was |
//! |---|---|---|
//! | is there, whole | is not there, or cut short | not committed: it is now |
//! | is there, whole | is there, whole | committed, by a file system that copies to rename |
//! | is there, changed | is not there | lost |
//! | is gone | is there, whatever is in it | committed |
//! | is gone | is gone | committed and taken away since, if the folder is there: a warning; else lost |
//!
//! A file is looked for in the sink's folder, which may have been moved with all that is in it, and
//! then in the one that it was written to, which is another if the job was restored to write
//! elsewhere: it is committed where it lies, with a warning.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tidegate_core::CommitOutcome;
use tracing::warn;

use super::{
    super::error::FileError,
    names::{self, Owner},
};

/// A file that is written, synced and not visible yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingFile {
    pub(super) pending: String,
    pub(super) finished: String,
    /// How long it is, in bytes.
    pub(super) length: u64,
    /// The folder that it was written to, from the root. Snapshots of earlier versions do not say
    /// it, and neither do names that are not UTF-8: then it is the sink's.
    #[serde(default)]
    pub(super) folder: Option<String>,
}

impl PendingFile {
    /// The name it gets when it is finished.
    #[must_use]
    pub fn finished_name(&self) -> &str {
        &self.finished
    }

    /// Where to look for it, from most to least likely.
    fn folders<'a>(&'a self, dir: &'a Path) -> impl Iterator<Item = &'a Path> {
        let own = self.folder.as_deref().map(Path::new);
        std::iter::once(dir).chain(own.filter(|own| !is_same(own, dir)))
    }
}

fn is_same(folder: &Path, other: &Path) -> bool {
    std::path::absolute(other).is_ok_and(|other| other == folder)
}

/// Makes files finished that are not so already.
pub(super) fn commit(dir: &Path, files: &[PendingFile]) -> Result<Vec<CommitOutcome>, FileError> {
    let mut commit = Commit { dir, touched: BTreeSet::new(), elsewhere: None, gone: None };
    let outcomes = files.iter().map(|file| commit.one(file)).collect::<Result<Vec<_>, _>>()?;
    commit.touched.iter().try_for_each(|folder| sync_folder(folder))?;
    commit.warn();
    Ok(outcomes)
}

/// The commit of some files, and what there is to tell about them.
struct Commit<'a> {
    dir: &'a Path,
    /// Folders whose names have to be synced.
    touched: BTreeSet<PathBuf>,
    /// How many files lie in other folders than the sink's, and the first of them.
    elsewhere: Option<(usize, PathBuf)>,
    /// How many files are not there any more, and the first of them.
    gone: Option<(usize, PathBuf)>,
}

impl Commit<'_> {
    fn one(&mut self, file: &PendingFile) -> Result<CommitOutcome, FileError> {
        for folder in file.folders(self.dir) {
            if let Some(outcome) = finish(folder, file)? {
                if folder != self.dir {
                    count(&mut self.elsewhere, folder.join(&file.finished));
                }
                self.touched.insert(folder.to_owned());
                return Ok(outcome);
            }
        }
        let written_to = file.folder.as_deref().map_or(self.dir, Path::new);
        if !written_to.is_dir() {
            let (folder, pending) = (written_to.display(), &file.pending);
            let lost = format!("the folder `{folder}` is gone, and with it `{pending}`");
            return Ok(CommitOutcome::Lost(lost));
        }
        count(&mut self.gone, written_to.join(&file.finished));
        Ok(CommitOutcome::AlreadyCommitted)
    }

    fn warn(&self) {
        let dir = self.dir.display();
        if let Some((files, first)) = &self.elsewhere {
            let first = first.display();
            warn!(files, %first, "what was written to another folder than `{dir}` is finished there");
        }
        if let Some((files, first)) = &self.gone {
            let first = first.display();
            warn!(files, %first, "neither finished nor pending any more: taken for finished and moved away");
        }
    }
}

fn count(counted: &mut Option<(usize, PathBuf)>, path: PathBuf) {
    counted.get_or_insert((0, path)).0 += 1;
}

/// Finishes a file that lies in this folder; `None` if it does not.
///
/// The pending file is looked at first: another commit of it, that of an attempt that was just given
/// up, may rename it between the two looks.
fn finish(folder: &Path, file: &PendingFile) -> Result<Option<CommitOutcome>, FileError> {
    let (pending, finished) = (folder.join(&file.pending), folder.join(&file.finished));
    let Some(found) = length(&pending)? else {
        return Ok(length(&finished)?.map(|_| CommitOutcome::AlreadyCommitted));
    };
    if length(&finished)? == Some(file.length) {
        return Ok(Some(CommitOutcome::AlreadyCommitted));
    }
    if found != file.length {
        let (path, expected) = (pending.display(), file.length);
        let lost = format!("the pending file `{path}` had {expected} bytes and has {found}");
        return Ok(Some(CommitOutcome::Lost(lost)));
    }
    match fs::rename(&pending, &finished) {
        Ok(()) => Ok(Some(CommitOutcome::Committed)),
        // Likewise.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Ok(Some(CommitOutcome::AlreadyCommitted))
        }
        Err(error) => Err(FileError::io("finish", pending.display())(error)),
    }
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
