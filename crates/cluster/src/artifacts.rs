//! Job binaries by content hash, on this machine's disk.
//!
//! ```text
//!   <folder>/<sha-256>/binary     the file, executable
//!   <folder>/<sha-256>/name       what it was called when it was uploaded; gone if it was forgotten
//!   <folder>/incoming-<random>/   on its way
//! ```
//!
//! # Invariants
//!
//! - INV-WHOLE: a folder with its hash as name holds the whole file: it is written elsewhere, hashed
//!   on the way, and moved into place.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use sha2::{Digest, Sha256};
use tidegate_types::{Random, SystemRandom, Timestamp};
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::disk::{Disk, SystemDisk};

/// How much of a file is read at once, in bytes.
const CHUNK: usize = 256 << 10;
/// How the name of a folder begins whose binary is on its way.
const INCOMING: &str = "incoming-";

/// A binary that is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Artifact {
    /// SHA-256 of its content, in lower-case hexadecimal digits.
    pub hash: String,
    /// What it was called when it was uploaded.
    pub name: String,
    /// When that was.
    pub uploaded: Timestamp,
    /// How long it is, in bytes.
    pub bytes: u64,
}

/// Why a file could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum ArtifactError {
    /// It is longer than is allowed.
    #[error("the file is longer than {limit} bytes (rest.server.max-content-length)")]
    TooLong {
        /// The limit, in bytes.
        limit: u64,
    },
    /// Its content is not what was announced.
    #[error("the file's hash is {found}, and {expected} was expected")]
    Hash {
        /// What was announced.
        expected: String,
        /// What came.
        found: String,
    },
    /// The operating system refused.
    #[error("cannot {action} `{path}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: String,
        /// Why not.
        source: io::Error,
    },
}

/// A folder of binaries. Cheap to clone.
#[derive(Clone)]
pub struct ArtifactStore {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    random: Arc<dyn Random>,
}

impl fmt::Debug for ArtifactStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ArtifactStore").field(&self.folder).finish()
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError {
    let path = path.display().to_string();
    move |source| ArtifactError::Io { action, path, source }
}

impl ArtifactStore {
    /// Opens a folder of this machine, and makes it if need be.
    ///
    /// # Errors
    ///
    /// When it can't be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, ArtifactError> {
        Self::open_on(folder, Arc::new(SystemDisk), Arc::new(SystemRandom))
    }

    /// As [`ArtifactStore::open`], on another disk.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open_on(
        folder: impl Into<PathBuf>,
        disk: Arc<dyn Disk>,
        random: Arc<dyn Random>,
    ) -> Result<Self, ArtifactError> {
        let folder = folder.into();
        disk.make_folder(&folder).map_err(io_error("create the folder", &folder))?;
        Ok(Self { folder, disk, random })
    }

    /// Deletes what was on its way when an earlier process ended: nobody else may be using the folder.
    ///
    /// # Errors
    ///
    /// When it can't be deleted.
    pub fn sweep(&self) -> Result<(), ArtifactError> {
        let names = self.disk.names(&self.folder).map_err(io_error("list", &self.folder))?;
        for name in names.iter().filter(|name| name.starts_with(INCOMING)) {
            let path = self.folder.join(name);
            tracing::info!(?path, "deleting a binary that never came in whole");
            self.disk.remove_folder(&path).map_err(io_error("delete", &path))?;
        }
        Ok(())
    }

    /// Keeps a file of at most `limit` bytes. One that is there already stays as it is.
    ///
    /// # Errors
    ///
    /// When it is too long or can't be written; nothing of it is left then.
    pub async fn add(
        &self,
        name: &str,
        content: &mut (impl AsyncRead + Unpin),
        limit: u64,
    ) -> Result<Artifact, ArtifactError> {
        let staged = self.folder.join(format!("{INCOMING}{:016x}", self.random.number()));
        let kept = self.keep(name, content, limit, &staged).await;
        if kept.is_err() {
            // What is left is never taken for an artifact.
            let _ = self.disk.remove_folder(&staged);
        }
        kept
    }

    async fn keep(
        &self,
        name: &str,
        content: &mut (impl AsyncRead + Unpin),
        limit: u64,
        staged: &Path,
    ) -> Result<Artifact, ArtifactError> {
        let (fs, disk) = (|error| io_error("write", staged)(error), &self.disk);
        disk.make_folder(staged).map_err(fs)?;
        let hash = self.copy_hashed(content, &staged.join("binary"), limit).await?;
        disk.write_text(&staged.join("name"), file_name(name)).map_err(fs)?;
        let place = self.folder.join(&hash);
        match disk.rename(staged, &place) {
            Ok(()) => {}
            // Somebody was faster, with the same content.
            Err(_) if disk.find(&place.join("binary")).is_ok() => {
                if disk.find(&place.join("name")).is_err() {
                    // It was forgotten, and a job still runs it.
                    disk.rename(&staged.join("name"), &place.join("name")).map_err(fs)?;
                }
                disk.remove_folder(staged).map_err(fs)?;
            }
            Err(error) => return Err(io_error("rename", staged)(error)),
        }
        self.get(&hash).ok_or_else(|| io_error("find", &place)(io::ErrorKind::NotFound.into()))
    }

    async fn copy_hashed(
        &self,
        content: &mut (impl AsyncRead + Unpin),
        path: &Path,
        limit: u64,
    ) -> Result<String, ArtifactError> {
        let failed = |error| io_error("write", path)(error);
        let mut file = self.disk.create(path).await.map_err(failed)?;
        let (mut hasher, mut length, mut buffer) = (Sha256::new(), 0_u64, vec![0; CHUNK]);
        loop {
            let read = content.read(&mut buffer).await.map_err(io_error("receive", path))?;
            if read == 0 {
                break;
            }
            length += read as u64;
            if length > limit {
                return Err(ArtifactError::TooLong { limit });
            }
            hasher.update(&buffer[..read]);
            file.write(&buffer[..read]).await.map_err(failed)?;
        }
        file.finish().await.map_err(failed)?;
        Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The binary with this hash.
    #[must_use]
    pub fn get(&self, hash: &str) -> Option<Artifact> {
        let folder = self.folder.join(checked(hash)?);
        let found = self.disk.find(&folder.join("binary")).ok()?;
        Some(Artifact {
            hash: hash.to_owned(),
            name: self.disk.text(&folder.join("name")).ok()?,
            uploaded: found.modified,
            bytes: found.bytes,
        })
    }

    /// Where the binary with this hash lies.
    #[must_use]
    pub fn path(&self, hash: &str) -> Option<PathBuf> {
        let path = self.folder.join(checked(hash)?).join("binary");
        self.disk.find(&path).is_ok().then_some(path)
    }

    /// Where its paths lead to.
    pub(crate) fn disk(&self) -> &dyn Disk {
        self.disk.as_ref()
    }

    /// All binaries, the latest upload first.
    #[must_use]
    pub fn list(&self) -> Vec<Artifact> {
        let names = self.disk.names(&self.folder).unwrap_or_default();
        let mut all = names.iter().filter_map(|name| self.get(name)).collect::<Vec<_>>();
        all.sort_by(|a, b| (b.uploaded, &b.hash).cmp(&(a.uploaded, &a.hash)));
        all
    }

    /// Forgets a binary, which stays for those who know its hash; tells whether it was there.
    ///
    /// # Errors
    ///
    /// When it can't be forgotten.
    pub fn forget(&self, hash: &str) -> Result<bool, ArtifactError> {
        let Some(name) = checked(hash).map(|hash| self.folder.join(hash).join("name")) else {
            return Ok(false);
        };
        was_there(self.disk.remove_file(&name), &name)
    }

    /// Deletes a binary; tells whether it was there. Processes that run it go on.
    ///
    /// # Errors
    ///
    /// When it can't be deleted.
    pub fn remove(&self, hash: &str) -> Result<bool, ArtifactError> {
        let Some(folder) = checked(hash).map(|hash| self.folder.join(hash)) else {
            return Ok(false);
        };
        was_there(self.disk.remove_folder(&folder), &folder)
    }
}

fn was_there(deleted: io::Result<()>, path: &Path) -> Result<bool, ArtifactError> {
    match deleted {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(io_error("delete", path)(error)),
    }
}

/// A hash that can be a folder's name: anything else can't leave the store.
fn checked(hash: &str) -> Option<&str> {
    let is_hash = hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_hash.then_some(hash)
}

/// The last part of a path, for people to read.
fn file_name(name: &str) -> &str {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    if last.is_empty() { "unnamed" } else { last }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_added_is_found_by_its_hash_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = ArtifactStore::open(folder.path()).expect("opens");
        let first = store.add("../a/job", &mut b"abc".as_slice(), 3).await.expect("kept");
        let expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!((first.hash.as_str(), first.name.as_str(), first.bytes), (expected, "job", 3));
        let again = store.add("other", &mut b"abc".as_slice(), 3).await.expect("kept");
        assert_eq!(again.name, "job", "the first upload stays");
        assert_eq!(store.list().len(), 1);
        assert_eq!(std::fs::read(store.path(expected).expect("there")).expect("reads"), b"abc");
        assert!(store.remove(expected).expect("deleted"));
        assert!(!store.remove(expected).expect("deleted before"));
    }

    #[tokio::test]
    async fn what_is_forgotten_stays_for_who_knows_it_and_can_come_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = ArtifactStore::open(folder.path()).expect("opens");
        let hash = store.add("job", &mut b"abc".as_slice(), 3).await.expect("kept").hash;
        assert!(store.forget(&hash).expect("forgotten"));
        assert!(!store.forget(&hash).expect("forgotten before"));
        assert_eq!((store.get(&hash), store.list()), (None, Vec::new()));
        assert!(store.path(&hash).is_some());
        let again = store.add("other", &mut b"abc".as_slice(), 3).await.expect("kept");
        assert_eq!(again.name, "other");
    }

    #[tokio::test]
    async fn what_never_came_in_whole_is_swept_and_what_did_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = ArtifactStore::open(folder.path()).expect("opens");
        let whole = store.add("job", &mut b"abc".as_slice(), 3).await.expect("kept");
        let (mut reader, _never_closed) = tokio::io::duplex(1);
        let receiving = store.add("job", &mut reader, 3);
        let unheard = std::time::Duration::from_millis(50);
        // As a process that is ended leaves it: what would clear up does not run.
        let mut receiving = Box::pin(receiving);
        assert!(tokio::time::timeout(unheard, &mut receiving).await.is_err());
        std::mem::forget(receiving);
        assert_eq!(std::fs::read_dir(folder.path()).expect("reads").count(), 2);
        store.sweep().expect("it is the test's own");
        assert_eq!(std::fs::read_dir(folder.path()).expect("reads").count(), 1);
        assert_eq!(store.list(), [whole]);
    }

    #[tokio::test]
    async fn what_is_too_long_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = ArtifactStore::open(folder.path()).expect("opens");
        let error = store.add("job", &mut b"abcd".as_slice(), 3).await.expect_err("too long");
        assert!(matches!(error, ArtifactError::TooLong { limit: 3 }), "{error}");
        assert_eq!(std::fs::read_dir(folder.path()).expect("reads").count(), 0);
    }

    #[test]
    fn nothing_outside_of_the_store_has_a_hash() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = ArtifactStore::open(folder.path().join("store")).expect("opens");
        std::fs::create_dir(folder.path().join("x")).expect("made");
        assert!(!store.remove("../x").expect("not a hash"));
        assert!(folder.path().join("x").is_dir());
    }
}
