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
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};
use tidegate_types::Timestamp;
use tokio::io::{AsyncRead, AsyncReadExt};

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

/// A folder of binaries.
#[derive(Clone, Debug)]
pub struct ArtifactStore {
    folder: PathBuf,
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ArtifactError {
    let path = path.display().to_string();
    move |source| ArtifactError::Io { action, path, source }
}

impl ArtifactStore {
    /// Opens a folder, and makes it if need be.
    ///
    /// # Errors
    ///
    /// When it can't be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self, ArtifactError> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder).map_err(io_error("create the folder", &folder))?;
        Ok(Self { folder })
    }

    /// Deletes what was on its way when an earlier process ended: nobody else may be using the folder.
    ///
    /// # Errors
    ///
    /// When it can't be deleted.
    pub fn sweep(&self) -> Result<(), ArtifactError> {
        let entries = std::fs::read_dir(&self.folder).map_err(io_error("list", &self.folder))?;
        for entry in entries.flatten() {
            let path = entry.path();
            if entry.file_name().to_string_lossy().starts_with(INCOMING) {
                tracing::info!(?path, "deleting a binary that never came in whole");
                std::fs::remove_dir_all(&path).map_err(io_error("delete", &path))?;
            }
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
        let staged = self.folder.join(format!("{INCOMING}{:016x}", rand::random::<u64>()));
        let kept = self.keep(name, content, limit, &staged).await;
        if kept.is_err() {
            // What is left is never taken for an artifact.
            let _ = tokio::fs::remove_dir_all(&staged).await;
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
        let fs = |error| io_error("write", staged)(error);
        tokio::fs::create_dir(staged).await.map_err(fs)?;
        let binary = staged.join("binary");
        let hash = copy_hashed(content, &binary, limit).await?;
        let executable = std::fs::Permissions::from_mode(0o755);
        tokio::fs::set_permissions(&binary, executable).await.map_err(fs)?;
        tokio::fs::write(staged.join("name"), file_name(name)).await.map_err(fs)?;
        let place = self.folder.join(&hash);
        match tokio::fs::rename(staged, &place).await {
            Ok(()) => {}
            // Somebody was faster, with the same content.
            Err(_) if place.join("binary").exists() => {
                if !place.join("name").exists() {
                    // It was forgotten, and a job still runs it.
                    tokio::fs::rename(staged.join("name"), place.join("name")).await.map_err(fs)?;
                }
                tokio::fs::remove_dir_all(staged).await.map_err(fs)?;
            }
            Err(error) => return Err(io_error("rename", staged)(error)),
        }
        self.get(&hash).ok_or_else(|| io_error("find", &place)(io::ErrorKind::NotFound.into()))
    }

    /// The binary with this hash.
    #[must_use]
    pub fn get(&self, hash: &str) -> Option<Artifact> {
        let folder = self.folder.join(checked(hash)?);
        let metadata = std::fs::metadata(folder.join("binary")).ok()?;
        let since_epoch =
            |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Some(Artifact {
            hash: hash.to_owned(),
            name: std::fs::read_to_string(folder.join("name")).ok()?,
            uploaded: Timestamp(metadata.modified().map_or(0, since_epoch) as u64),
            bytes: metadata.len(),
        })
    }

    /// Where the binary with this hash lies.
    #[must_use]
    pub fn path(&self, hash: &str) -> Option<PathBuf> {
        let path = self.folder.join(checked(hash)?).join("binary");
        path.is_file().then_some(path)
    }

    /// All binaries, the latest upload first.
    #[must_use]
    pub fn list(&self) -> Vec<Artifact> {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut all = names.filter_map(|name| self.get(&name)).collect::<Vec<_>>();
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
        match std::fs::remove_file(&name) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_error("delete", &name)(error)),
        }
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
        match std::fs::remove_dir_all(&folder) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_error("delete", &folder)(error)),
        }
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

async fn copy_hashed(
    content: &mut (impl AsyncRead + Unpin),
    path: &Path,
    limit: u64,
) -> Result<String, ArtifactError> {
    use tokio::io::AsyncWriteExt;
    let failed = |error| io_error("write", path)(error);
    let mut file = tokio::fs::File::create_new(path).await.map_err(failed)?;
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
        file.write_all(&buffer[..read]).await.map_err(failed)?;
    }
    file.sync_all().await.map_err(failed)?;
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
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
