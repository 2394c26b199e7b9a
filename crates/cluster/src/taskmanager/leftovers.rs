//! What processes and TaskManagers that have ended have left on this disk, and its end.
//!
//! ```text
//!   <dir>/taskmanager-<id>/
//!     lock          locked by the TaskManager whose folder it is, for as long as it lives
//!     artifacts/    binaries: those in use, and a few that were so last
//!     log/          of each process, in two files of bounded size; of those that have ended the
//!                   newest few (env.log.max)
//! ```
//!
//! A TaskManager tidies up in its own folder when a process has ended, and beside it, in the folders
//! of TaskManagers that are gone, when it starts.

#![expect(
    clippy::disallowed_methods,
    reason = "what programs of this machine have left on its disk"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use tokio::time::Instant;
use tracing::warn;

use crate::artifacts::ArtifactStore;

/// How many binaries are kept that no process runs: a job that restarts needs its own again.
const BINARIES: usize = 4;
/// The file by which others see that a TaskManager lives.
const LOCK: &str = "lock";
pub(super) const ARTIFACTS: &str = "artifacts";
const LOGS: &str = "log";

/// The folder of a TaskManager that lives.
#[derive(Debug)]
pub(super) struct OwnFolder {
    path: PathBuf,
    /// Let go of by the kernel when this process ends.
    _lock: Option<File>,
}

impl OwnFolder {
    /// Takes a folder, and clears up what TaskManagers that are gone have left beside it, but for the
    /// newest `logs` logs.
    pub(super) fn take(path: &Path, logs: usize) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        let lock = File::options().create(true).append(true).open(path.join(LOCK))?;
        // Where there are no locks nothing is cleared up.
        let lock = lock.try_lock().is_ok().then_some(lock);
        if lock.is_some()
            && let Err(error) = clear_up_beside(path, logs)
        {
            warn!(%error, "what earlier TaskManagers have left can't be cleared up");
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    #[cfg(test)]
    pub(super) fn artifacts(&self) -> PathBuf {
        self.path.join(ARTIFACTS)
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.path.join(LOGS)
    }
}

/// A file, and when it was last written.
type Dated = (SystemTime, PathBuf);

fn files_in(folder: &Path) -> Vec<Dated> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let dated = |entry: fs::DirEntry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()));
    entries.filter_map(dated).collect()
}

/// Deletes all but the newest.
fn keep_newest(mut files: Vec<Dated>, count: usize) {
    files.sort();
    let surplus = files.len().saturating_sub(count);
    for (_, path) in &files[..surplus] {
        if let Err(error) = fs::remove_file(path) {
            warn!(%error, ?path, "a log can't be deleted");
        }
    }
}

/// Deletes the oldest logs of processes that have ended, beyond so many.
pub(super) fn tidy_logs(folder: &Path, running: &BTreeSet<PathBuf>, count: usize) {
    let mut ended = files_in(folder);
    ended.retain(|(_, path)| !running.contains(path));
    keep_newest(ended, count);
}

/// Deletes binaries that nobody runs, but for those that were used last.
pub(super) fn tidy_binaries(
    artifacts: &ArtifactStore,
    running: &BTreeSet<String>,
    used: &BTreeMap<String, Instant>,
) {
    let mut idle = artifacts.list().into_iter().map(|artifact| artifact.hash).collect::<Vec<_>>();
    idle.retain(|hash| !running.contains(hash));
    idle.sort_by_key(|hash| std::cmp::Reverse(used.get(hash).copied()));
    for hash in idle.iter().skip(BINARIES) {
        if let Err(error) = artifacts.remove(hash) {
            warn!(%error, hash, "a binary can't be deleted");
        }
    }
}

/// Of TaskManagers that are gone, deletes the binaries and all but the newest logs, and what folders
/// are empty then.
fn clear_up_beside(own: &Path, logs: usize) -> io::Result<()> {
    let Some(parent) = own.parent() else { return Ok(()) };
    let (mut left, mut gone) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(parent)? {
        let folder = entry?.path();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if folder == own || !name.starts_with("taskmanager-") {
            continue;
        }
        // Without a lock it is nobody's folder that is known here.
        let Ok(lock) = File::options().append(true).open(folder.join(LOCK)) else { continue };
        if lock.try_lock().is_err() {
            continue;
        }
        if let Err(error) = fs::remove_dir_all(folder.join(ARTIFACTS))
            && error.kind() != io::ErrorKind::NotFound
        {
            warn!(%error, ?folder, "the binaries of an earlier TaskManager can't be deleted");
        }
        left.extend(files_in(&folder.join(LOGS)));
        gone.push((folder, lock));
    }
    keep_newest(left, logs);
    for (folder, _lock) in gone {
        // One that is not empty stays, with what it holds.
        if fs::remove_dir(folder.join(LOGS)).is_ok() || !folder.join(LOGS).exists() {
            fs::remove_file(folder.join(LOCK))?;
            let _ = fs::remove_dir(&folder);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn write(path: &Path, age: u64) {
        fs::create_dir_all(path.parent().expect("in a folder")).expect("made");
        let file = File::create(path).expect("the folder is the test's own");
        let time = SystemTime::now() - Duration::from_secs(age);
        file.set_modified(time).expect("it is the test's own");
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names = files_in(folder)
            .into_iter()
            .map(|(_, path)| path.file_name().expect("a name").to_string_lossy().into_owned())
            .collect::<Vec<_>>();
        names.sort();
        names
    }

    #[test]
    fn logs_of_ended_processes_have_an_end_and_those_of_running_ones_stay() {
        let folder = tempfile::tempdir().expect("a folder");
        for age in 0..10 {
            write(&folder.path().join(format!("{age}.log")), age);
        }
        let running = BTreeSet::from([folder.path().join("9.log")]);
        tidy_logs(folder.path(), &running, 3);
        assert_eq!(names(folder.path()), ["0.log", "1.log", "2.log", "9.log"]);
    }

    #[tokio::test]
    async fn binaries_that_nobody_runs_go_by_their_last_use() {
        let folder = tempfile::tempdir().expect("a folder");
        let artifacts = ArtifactStore::open(folder.path()).expect("opens");
        let (mut used, mut hashes, begun) = (BTreeMap::new(), Vec::new(), Instant::now());
        for number in 0..BINARIES as u8 + 3 {
            let added = artifacts.add("job", &mut [number].as_slice(), 1).await.expect("kept");
            used.insert(added.hash.clone(), begun + Duration::from_secs(number.into()));
            hashes.push(added.hash);
        }
        tidy_binaries(&artifacts, &BTreeSet::from([hashes[0].clone()]), &used);
        let left = hashes.iter().map(|hash| artifacts.get(hash).is_some()).collect::<Vec<_>>();
        assert_eq!(left, [true, false, false, true, true, true, true]);
    }

    #[test]
    fn what_taskmanagers_that_are_gone_have_left_is_cleared_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        let living = OwnFolder::take(&path("taskmanager-living"), 2).expect("taken");
        write(&living.artifacts().join("a/binary"), 100);
        write(&living.logs().join("old.log"), 100);
        for (name, age) in [("taskmanager-1", 50), ("taskmanager-2", 10)] {
            let gone = OwnFolder::take(&path(name), 2).expect("taken");
            write(&gone.artifacts().join("a/binary"), age);
            write(&gone.logs().join("x.log"), age);
            write(&gone.logs().join("y.log"), age + 1);
        }
        write(&path("taskmanager-unknown/log/x.log"), 1000);
        let _own = OwnFolder::take(&path("taskmanager-own"), 2).expect("taken");
        assert!(living.artifacts().exists() && living.logs().join("old.log").exists());
        assert!(path("taskmanager-unknown/log/x.log").exists(), "nobody has said whose it is");
        assert!(!path("taskmanager-1").exists(), "its logs are older");
        assert!(!path("taskmanager-2/artifacts").exists());
        assert_eq!(names(&path("taskmanager-2/log")), ["x.log", "y.log"]);
    }
}
