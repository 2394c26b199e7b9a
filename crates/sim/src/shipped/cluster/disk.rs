//! The disk of a machine, which survives it.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use tidegate_cluster::disk::{Content, Disk, Found, NewProgram};
use tidegate_types::{Clock, Timestamp};

use super::super::{chance::Chance, clock::PlayClock, machine::Pulse};

/// What lies there; folders have no content. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct PlayDisk(Arc<Mutex<BTreeMap<PathBuf, Option<File>>>>);

#[derive(Clone, Debug)]
struct File {
    bytes: Vec<u8>,
    modified: Timestamp,
}

impl PlayDisk {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<PathBuf, Option<File>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The way to it from a machine.
    pub(super) fn from(&self, pulse: &Pulse, chance: &Chance, clock: &PlayClock) -> MountedDisk {
        let (disk, pulse) = (self.clone(), pulse.clone());
        MountedDisk { disk, pulse, chance: chance.clone(), clock: clock.clone() }
    }

    /// What a file holds, for who looks at the disk from outside.
    pub(super) fn read(&self, file: &Path) -> Option<Vec<u8>> {
        self.lock().get(file).cloned().flatten().map(|file| file.bytes)
    }
}

/// A disk in its machine, which writes nothing any more once it is gone.
#[derive(Clone, Debug)]
pub(super) struct MountedDisk {
    disk: PlayDisk,
    pulse: Pulse,
    chance: Chance,
    clock: PlayClock,
}

fn missing() -> io::Error {
    io::ErrorKind::NotFound.into()
}

impl MountedDisk {
    fn file(&self, path: &Path) -> io::Result<File> {
        self.disk.lock().get(path).cloned().flatten().ok_or_else(missing)
    }

    fn change<T>(
        &self,
        change: impl FnOnce(&mut BTreeMap<PathBuf, Option<File>>) -> io::Result<T>,
    ) -> io::Result<T> {
        if self.pulse.is_gone() {
            return Err(io::ErrorKind::Other.into());
        }
        change(&mut self.disk.lock())
    }

    fn put(&self, path: &Path, bytes: Vec<u8>) -> io::Result<()> {
        let modified = self.clock.now();
        self.change(|all| {
            let folder = path.parent().ok_or_else(missing)?;
            all.get(folder).ok_or_else(missing)?;
            all.insert(path.to_owned(), Some(File { bytes, modified }));
            Ok(())
        })
    }
}

impl Disk for MountedDisk {
    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(|all| {
            for folder in folder.ancestors() {
                all.entry(folder.to_owned()).or_insert(None);
            }
            Ok(())
        })
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let all = self.disk.lock();
        all.get(folder).ok_or_else(missing)?;
        let inside = all.keys().filter(|path| path.parent() == Some(folder));
        let name = |path: &PathBuf| Some(path.file_name()?.to_str()?.to_owned());
        Ok(inside.filter_map(name).collect())
    }

    fn find(&self, file: &Path) -> io::Result<Found> {
        let File { bytes, modified } = self.file(file)?;
        Ok(Found { bytes: bytes.len() as u64, modified })
    }

    fn text(&self, file: &Path) -> io::Result<String> {
        String::from_utf8(self.file(file)?.bytes).map_err(io::Error::other)
    }

    fn write_text(&self, file: &Path, text: &str) -> io::Result<()> {
        self.put(file, text.into())
    }

    fn open<'a>(&'a self, file: &'a Path) -> BoxFuture<'a, io::Result<Content>> {
        async move {
            tokio::time::sleep(self.chance.delay()).await;
            Ok(Box::new(io::Cursor::new(self.file(file)?.bytes)) as Content)
        }
        .boxed()
    }

    fn create<'a>(&'a self, file: &'a Path) -> BoxFuture<'a, io::Result<Box<dyn NewProgram>>> {
        async move {
            tokio::time::sleep(self.chance.delay()).await;
            if self.file(file).is_ok() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            self.put(file, Vec::new())?;
            let (disk, path) = (self.clone(), file.to_owned());
            Ok(Box::new(Growing { disk, path, bytes: Vec::new() }) as Box<dyn NewProgram>)
        }
        .boxed()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|all| {
            all.get(from).ok_or_else(missing)?;
            let is_full = all.keys().any(|path| path.parent() == Some(to));
            if is_full {
                return Err(io::ErrorKind::DirectoryNotEmpty.into());
            }
            let moved = all.keys().filter(|path| path.starts_with(from)).cloned();
            for path in moved.collect::<Vec<_>>() {
                let Some(file) = all.remove(&path) else { continue };
                let below = path.strip_prefix(from).unwrap_or(Path::new("")).to_owned();
                let place = if below.as_os_str().is_empty() { to.into() } else { to.join(below) };
                all.insert(place, file);
            }
            Ok(())
        })
    }

    fn remove_file(&self, file: &Path) -> io::Result<()> {
        self.change(|all| all.remove(file).flatten().map(drop).ok_or_else(missing))
    }

    fn remove_folder(&self, folder: &Path) -> io::Result<()> {
        self.change(|all| {
            all.get(folder).ok_or_else(missing)?;
            all.retain(|path, _| !path.starts_with(folder));
            Ok(())
        })
    }
}

/// A file that is being written.
struct Growing {
    disk: MountedDisk,
    path: PathBuf,
    bytes: Vec<u8>,
}

impl NewProgram for Growing {
    fn write<'a>(&'a mut self, bytes: &'a [u8]) -> BoxFuture<'a, io::Result<()>> {
        async move {
            tokio::time::sleep(self.disk.chance.delay()).await;
            self.bytes.extend_from_slice(bytes);
            self.disk.put(&self.path, self.bytes.clone())
        }
        .boxed()
    }

    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>> {
        async move {
            tokio::time::sleep(self.disk.chance.delay()).await;
            self.disk.file(&self.path).map(drop)
        }
        .boxed()
    }
}
