//! A lock that the kernel lets go with its process.

use std::{
    fs::{File, Metadata, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use tokio::{task::AbortHandle, time::sleep};
use tracing::debug;

use super::LOOK;
use crate::log::Run;

/// The name of the lock's file. Its lines: who has it, under which kernel, and of which sequence of
/// JobManagers.
const LOCK: &str = "lock";

/// What became of an attempt to get a lock.
pub(super) enum Found {
    /// It was free.
    Free(Free),
    /// Somebody has it.
    Held {
        /// What a person calls it.
        by: String,
        /// Which JobManagers it is of.
        sequence: Option<u64>,
    },
    /// As on some file systems.
    Unusable,
}

/// A lock that is locked and does not say so yet: whoever had it before is still named in it.
pub(super) struct Free {
    path: PathBuf,
    file: File,
    kernel: Option<String>,
}

/// A lock that is held until this is dropped, or will be as soon as it is free.
#[derive(Debug)]
pub(super) struct Hold {
    path: PathBuf,
    state: State,
}

#[derive(Debug)]
enum State {
    Locked { _file: File },
    Waiting(AbortHandle),
}

impl Drop for State {
    fn drop(&mut self) {
        if let Self::Waiting(waiting) = self {
            waiting.abort();
        }
    }
}

/// Gets the lock of a folder if it is free.
pub(super) fn look(folder: &Path) -> Found {
    let path = folder.join(LOCK);
    match lock(&path) {
        Ok(mut file) => {
            let kernel = kernel_in(&mut file);
            Found::Free(Free { path, file, kernel })
        }
        Err(TryLockError::WouldBlock) => {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let sequence = text.lines().nth(2).and_then(|line| line.parse().ok());
            Found::Held { by: named(&path), sequence }
        }
        Err(TryLockError::Error(error)) => {
            debug!(%error, ?path, "the lock can't be used");
            Found::Unusable
        }
    }
}

/// What there is to see of a lock for who does not want it.
pub(super) enum Seen {
    /// Somebody has it.
    Held {
        /// What a person calls it.
        by: String,
    },
    /// Nobody has it.
    Free {
        /// Whether that tells that whoever had it is gone: see [`Free::was_given_by_this_kernel`].
        by_this_kernel: bool,
    },
    /// There is none, or it can't be used.
    Nothing,
}

/// Looks whether somebody holds the lock of a folder, and makes nothing.
pub(super) fn seen(folder: &Path) -> Seen {
    let path = folder.join(LOCK);
    let Ok(mut file) = File::open(&path) else { return Seen::Nothing };
    match file.try_lock_shared() {
        Ok(()) => {
            let given_by = kernel_in(&mut file);
            Seen::Free { by_this_kernel: given_by.is_some() && given_by == kernel() }
        }
        Err(TryLockError::WouldBlock) => Seen::Held { by: named(&path) },
        Err(TryLockError::Error(_)) => Seen::Nothing,
    }
}

impl Free {
    /// Whether its being free tells that whoever had it is gone: only a kernel knows of the locks of
    /// its processes.
    pub(super) fn was_given_by_this_kernel(&self) -> bool {
        self.kernel.is_some() && self.kernel == kernel()
    }

    /// Writes into it who has it now.
    pub(super) fn hold(mut self, run: &Run) -> Hold {
        sign(&self.path, &mut self.file, run);
        Hold { path: self.path, state: State::Locked { _file: self.file } }
    }
}

impl Hold {
    /// Gets the lock as soon as whoever has it is gone.
    pub(super) fn when_free(folder: &Path, run: &Run) -> Self {
        let (path, run) = (folder.join(LOCK), run.clone());
        let lock_path = path.clone();
        let waiting = tokio::spawn(async move {
            loop {
                sleep(LOOK).await;
                if let Ok(mut file) = lock(&lock_path) {
                    sign(&lock_path, &mut file, &run);
                    // Held until this is aborted.
                    let _held = file;
                    std::future::pending::<()>().await;
                }
            }
        });
        Self { path, state: State::Waiting(waiting.abort_handle()) }
    }

    /// Lets it go; with `forget` its file goes too.
    pub(super) fn leave(self, forget: bool) {
        if forget && matches!(self.state, State::Locked { .. }) {
            // While it is held: whoever has opened it meanwhile finds that it is not there any more.
            let removed = std::fs::remove_file(&self.path);
            debug!(path = ?self.path, ?removed, "the lock");
            drop(self.state);
            // Another one may have begun.
            let _ = self.path.parent().map(std::fs::remove_dir);
        }
    }
}

/// What a person calls who holds a lock.
fn named(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    match text.lines().next().filter(|name| !name.is_empty()) {
        Some(name) => name.to_owned(),
        None => "somebody whose name can't be read".to_owned(),
    }
}

/// Which kernel gave the lock to whoever had it last, if the file says so.
fn kernel_in(file: &mut File) -> Option<String> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    text.lines().nth(1).map(str::to_owned)
}

/// What tells the kernel that runs here from all others.
fn kernel() -> Option<String> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// Whether a file is the one that bears that name now.
fn is_at(path: &Path, file: &File) -> bool {
    let identity = |metadata: std::io::Result<Metadata>| {
        metadata.map(|metadata| (metadata.dev(), metadata.ino())).ok()
    };
    identity(file.metadata()) == identity(std::fs::metadata(path))
}

fn open(path: &Path) -> std::io::Result<File> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    File::options().create(true).truncate(false).read(true).write(true).open(path)
}

fn lock(path: &Path) -> Result<File, TryLockError> {
    let mut file = open(path).map_err(TryLockError::Error)?;
    file.try_lock()?;
    // Somebody may have ended and taken it away since it was opened: that lock is worth nothing.
    while !is_at(path, &file) {
        file = open(path).map_err(TryLockError::Error)?;
        file.try_lock()?;
    }
    Ok(file)
}

fn sign(path: &Path, file: &mut File, run: &Run) {
    let sequence = run.rank.map(|rank| rank.sequence.to_string()).unwrap_or_default();
    let text = format!("{}\n{}\n{sequence}\n", run.name, kernel().unwrap_or_default());
    let mut write = || -> std::io::Result<()> {
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())
    };
    if let Err(error) = write() {
        debug!(%error, ?path, "the lock does not say who holds it");
    }
}
