//! One snapshot's folder: written file by file, then committed; loaded, checked and deleted.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::{
    Error, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart, path::Path,
};

use tidegate_storage::{Address, Place, Places, StoreError};

use crate::{
    CommitError, SnapshotError,
    manifest::{FileEntry, METADATA, Manifest, SegmentLocation, SegmentRef},
};

/// Files of more bytes are uploaded in parts.
const WHOLE: u64 = 64 << 20;
/// How much of a file is read at once to verify it, in bytes.
const VERIFIED: u64 = 4 << 20;
/// How many files are looked for at once.
const LOOKS: usize = 16;

/// The folder of one snapshot. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SnapshotLocation(Place);

impl fmt::Display for SnapshotLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Place> for SnapshotLocation {
    fn from(place: Place) -> Self {
        Self(place)
    }
}

/// The folder that a person means: what is in front of a last component `_metadata`, unless a
/// folder bears that name.
fn folder_of(text: &str) -> Result<Address, StoreError> {
    let address = Address::parse(text)?;
    if address.local().is_some_and(std::path::Path::is_dir) {
        return Ok(address);
    }
    match text.trim_end_matches('/').rsplit_once('/') {
        Some(("", METADATA)) => Address::parse("/"),
        Some((folder, METADATA)) => Address::parse(folder),
        None if text == METADATA => Address::parse("."),
        _ => Ok(address),
    }
}

impl SnapshotLocation {
    /// The snapshot at a path or URL. Nothing is made, and need not be there.
    ///
    /// # Errors
    ///
    /// When the address is not one.
    pub fn find(places: &Places, text: &str) -> Result<Self, StoreError> {
        places.find(text).map(Self)
    }

    /// The snapshot at a path or URL that a person names: its folder, or the `_metadata` in it.
    ///
    /// # Errors
    ///
    /// When there is no such folder, or the address is not one.
    pub fn parse(text: &str) -> Result<Self, SnapshotError> {
        Self::parse_among(&Places::default(), text)
    }

    /// The same, in one of `places` if it lies there.
    ///
    /// # Errors
    ///
    /// As [`SnapshotLocation::parse`].
    pub fn parse_among(places: &Places, text: &str) -> Result<Self, SnapshotError> {
        let missing = || SnapshotError::NoSuchFolder { path: text.to_owned() };
        if text.is_empty() {
            return Err(missing());
        }
        let address = folder_of(text)?;
        if address.local().is_some_and(|folder| !folder.is_dir()) {
            return Err(missing());
        }
        Ok(Self(places.at(address)?))
    }

    /// Where it lies.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.0
    }

    pub(super) fn file(&self, name: &str) -> (Path, String) {
        self.0.file(name)
    }

    /// Writes a file that `chunks` make up, and whose checksum the caller knows.
    ///
    /// # Errors
    ///
    /// When the store does not take it; a part of it may be there.
    pub async fn write_file(
        &self,
        name: &str,
        chunks: Vec<Bytes>,
        crc32c: u32,
    ) -> Result<FileEntry, StoreError> {
        let (path, shown) = self.file(name);
        let length = chunks.iter().map(|chunk| chunk.len() as u64).sum();
        let written = if length <= WHOLE {
            self.0.store().put(&path, PutPayload::from_iter(chunks)).await.map(|_| ())
        } else {
            self.write_in_parts(&path, chunks).await
        };
        written.map_err(|error| StoreError::failed("write", shown, error))?;
        Ok(FileEntry { length, crc32c })
    }

    /// Writes a file whose chunks are still being made, without keeping them all.
    ///
    /// # Errors
    ///
    /// When the store does not take it; a part of it may be there.
    pub async fn write_stream(
        &self,
        name: &str,
        chunks: tokio::sync::mpsc::Receiver<Bytes>,
    ) -> Result<FileEntry, StoreError> {
        let mut entry = FileEntry { length: 0, crc32c: 0 };
        let seen = |chunk: &Bytes| {
            entry.length += chunk.len() as u64;
            entry.crc32c = crc32c::crc32c_append(entry.crc32c, chunk);
        };
        self.0.write_stream(name, chunks, seen).await?;
        Ok(entry)
    }

    async fn write_in_parts(&self, path: &Path, chunks: Vec<Bytes>) -> object_store::Result<()> {
        let upload = self.0.store().put_multipart(path).await?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, 16 << 20);
        for chunk in chunks {
            writer.wait_for_capacity(4).await?;
            writer.put(chunk);
        }
        writer.finish().await.map(|_| ())
    }

    /// Writes `_metadata`, last and at once: with it the snapshot exists. It is looked before
    /// whether every file is here that it names (INV-WHOLE).
    ///
    /// # Errors
    ///
    /// Whether it did not happen, may have happened, or somebody else's is there.
    pub async fn commit(&self, manifest: &Manifest) -> Result<(), CommitError> {
        let (path, shown) = self.file(METADATA);
        if let Err(source) = self.check_lengths(manifest).await {
            return Err(CommitError::NotWhole { path: shown, source: Box::new(source) });
        }
        let options = PutOptions::from(PutMode::Create);
        let written = self.0.store().put_opts(&path, manifest.to_json().into(), options).await;
        written.map(|_| ()).map_err(|source| match source {
            Error::AlreadyExists { .. } => CommitError::Exists { path: shown },
            Error::NotFound { .. }
            | Error::PermissionDenied { .. }
            | Error::Unauthenticated { .. }
            | Error::InvalidPath { .. }
            | Error::NotSupported { .. }
            | Error::NotImplemented { .. } => CommitError::DidNotHappen { path: shown, source },
            // A time-out, a broken connection, a full disk: only a look tells.
            _ => CommitError::MayHaveHappened { path: shown, source },
        })
    }

    /// Whether it has a `_metadata`.
    ///
    /// # Errors
    ///
    /// When the store does not answer.
    pub async fn exists(&self) -> Result<bool, StoreError> {
        let (path, shown) = self.file(METADATA);
        match self.0.store().head(&path).await {
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(StoreError::failed("look for", shown, error)),
        }
    }

    /// Reads and checks `_metadata`.
    ///
    /// # Errors
    ///
    /// When it is not there, damaged, or of another version.
    pub async fn load(&self) -> Result<Manifest, SnapshotError> {
        let (path, shown) = self.file(METADATA);
        let bytes = match self.read(&path, &shown).await {
            Err(SnapshotError::Missing { .. }) => {
                return Err(SnapshotError::NoMetadata { path: self.to_string() });
            }
            result => result?,
        };
        Manifest::parse(&bytes, &shown)
    }

    pub(super) async fn read(&self, path: &Path, shown: &str) -> Result<Bytes, SnapshotError> {
        let failed = |error| match error {
            Error::NotFound { .. } => SnapshotError::Missing { path: shown.to_owned() },
            error => StoreError::failed("read", shown, error).into(),
        };
        let found = self.0.store().get(path).await.map_err(failed)?;
        found.bytes().await.map_err(failed)
    }

    /// Reads every file once and checks its length and checksum.
    ///
    /// # Errors
    ///
    /// The first file that is not what was written, and what is wrong with it.
    pub async fn read_all(&self, manifest: &Manifest) -> Result<LoadedSnapshot, SnapshotError> {
        let mut files = BTreeMap::new();
        for (name, entry) in &manifest.files {
            let (path, shown) = self.file(name);
            let bytes = self.read(&path, &shown).await?;
            check(&shown, &bytes, entry)?;
            files.insert(name.clone(), bytes);
        }
        Ok(LoadedSnapshot { name: self.to_string(), files })
    }

    /// Checks the length and checksum of every file, one after the other, without keeping any.
    ///
    /// # Errors
    ///
    /// The first file that is not what was written, and what is wrong with it.
    pub async fn verify(&self, manifest: &Manifest) -> Result<(), SnapshotError> {
        for (name, entry) in &manifest.files {
            self.clone().look_for(name.clone(), *entry).await?;
            let (mut crc32c, mut from) = (0, 0);
            while from < entry.length {
                let until = entry.length.min(from + VERIFIED);
                let bytes = self.read_range(name, from..until, entry).await?;
                crc32c = crc32c::crc32c_append(crc32c, &bytes);
                from = until;
            }
            let (_, shown) = self.file(name);
            check_entry(&shown, FileEntry { crc32c, ..*entry }, entry)?;
        }
        Ok(())
    }

    /// Looks whether every file is here and as long as `manifest` says, without reading any.
    ///
    /// # Errors
    ///
    /// A file that is missing or of another length.
    pub async fn check_lengths(&self, manifest: &Manifest) -> Result<(), SnapshotError> {
        let files = manifest.files.clone().into_iter();
        let looks = files.map(|(name, entry)| self.clone().look_for(name, entry));
        stream::iter(looks).buffer_unordered(LOOKS).try_collect().await
    }

    async fn look_for(self, name: String, entry: FileEntry) -> Result<(), SnapshotError> {
        let (path, shown) = self.file(&name);
        match self.0.store().head(&path).await {
            Ok(found) => check_length(&shown, found.size, &entry),
            Err(Error::NotFound { .. }) => Err(SnapshotError::Missing { path: shown }),
            Err(error) => Err(StoreError::failed("look for", shown, error).into()),
        }
    }
}

pub(super) fn check(shown: &str, bytes: &Bytes, entry: &FileEntry) -> Result<(), SnapshotError> {
    let found = FileEntry { length: bytes.len() as u64, crc32c: crc32c::crc32c(bytes) };
    check_entry(shown, found, entry)
}

fn check_entry(shown: &str, found: FileEntry, entry: &FileEntry) -> Result<(), SnapshotError> {
    check_length(shown, found.length, entry)?;
    let (found, expected) = (found.crc32c, entry.crc32c);
    if found != expected {
        return Err(SnapshotError::Checksum { path: shown.to_owned(), expected, found });
    }
    Ok(())
}

pub(super) fn check_length(
    shown: &str,
    found: u64,
    entry: &FileEntry,
) -> Result<(), SnapshotError> {
    let expected = entry.length;
    if found != expected {
        return Err(SnapshotError::Length { path: shown.to_owned(), expected, found });
    }
    Ok(())
}

/// The files of a snapshot in memory, checked.
#[derive(Clone, Debug, Default)]
pub struct LoadedSnapshot {
    name: String,
    files: BTreeMap<String, Bytes>,
}

impl LoadedSnapshot {
    /// Files that are in memory already; `name` is what a person calls the snapshot.
    #[must_use]
    pub fn new(name: impl Into<String>, files: BTreeMap<String, Bytes>) -> Self {
        Self { name: name.into(), files }
    }

    /// What a person calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What a manifest says of its files.
    #[must_use]
    pub fn entries(&self) -> BTreeMap<String, FileEntry> {
        let entry =
            |bytes: &Bytes| FileEntry { length: bytes.len() as u64, crc32c: crc32c::crc32c(bytes) };
        self.files.iter().map(|(path, bytes)| (path.clone(), entry(bytes))).collect()
    }

    /// A whole file.
    ///
    /// # Errors
    ///
    /// When there is none of this path.
    pub fn file(&self, path: &str) -> Result<Bytes, SnapshotError> {
        let missing = || SnapshotError::Missing { path: format!("{}/{path}", self.name) };
        self.files.get(path).cloned().ok_or_else(missing)
    }

    /// A segment, without copying it.
    ///
    /// # Errors
    ///
    /// When it reaches past the file's end, or its checksum is not that which was written.
    pub fn segment(&self, segment: &SegmentRef) -> Result<Bytes, SnapshotError> {
        let (shown, bytes) = match &segment.location {
            SegmentLocation::Inline(bytes) => {
                (format!("{}/{METADATA}", self.name), bytes.0.clone())
            }
            SegmentLocation::File { path, offset } => {
                let shown = format!("{}/{path}", self.name);
                let file = self.files.get(path);
                let file = file.ok_or_else(|| SnapshotError::Missing { path: shown.clone() })?;
                let bytes = part(file, *offset, segment.length).ok_or_else(|| {
                    let (length, path) = (file.len(), shown.clone());
                    let problem = format!(
                        "a segment of {} bytes at {offset} lies beyond its end at {length}",
                        segment.length
                    );
                    SnapshotError::Corrupt { path, problem }
                })?;
                (format!("{shown}, {} bytes at {offset}", segment.length), bytes)
            }
        };
        let found = crc32c::crc32c(&bytes);
        if found == segment.crc32c {
            return Ok(bytes);
        }
        Err(SnapshotError::Checksum { path: shown, expected: segment.crc32c, found })
    }
}

/// `length` bytes from `offset` on, if there are that many.
fn part(file: &Bytes, offset: u64, length: u64) -> Option<Bytes> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(length).ok()?)?;
    (end <= file.len()).then(|| file.slice(start..end))
}
