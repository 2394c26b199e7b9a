//! The store, and the outside that the sink writes to: both survive every crash.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tidegate_snapshot::manifest::{Manifest, SegmentLocation, SegmentRef, SnapshotKind};
use tidegate_types::CheckpointId;

/// A folder for a snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folder {
    /// `_metadata`, as it was written.
    pub(crate) metadata: Option<Bytes>,
    pub(crate) files: BTreeMap<String, Bytes>,
}

/// Folders by path. What is written is durable at once; what was not written when its writer
/// crashed never is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Store {
    folders: BTreeMap<String, Folder>,
}

/// A snapshot's folder, read.
#[derive(Clone, Debug)]
pub(crate) struct Loaded {
    pub(crate) manifest: Manifest,
    files: BTreeMap<String, Bytes>,
}

impl Store {
    pub(crate) fn write_file(&mut self, folder: &str, name: &str, bytes: Bytes) {
        let folder = self.folders.entry(folder.to_owned()).or_default();
        folder.files.insert(name.to_owned(), bytes);
    }

    /// Create-if-absent.
    ///
    /// # Errors
    ///
    /// When it is there already.
    pub(crate) fn commit(&mut self, folder: &str, metadata: Bytes) -> Result<(), String> {
        let slot = &mut self.folders.entry(folder.to_owned()).or_default().metadata;
        match slot {
            None => {
                *slot = Some(metadata);
                Ok(())
            }
            Some(_) => Err(format!("{folder}/_metadata is there already")),
        }
    }

    pub(crate) fn is_complete(&self, folder: &str) -> bool {
        self.folders.get(folder).is_some_and(|folder| folder.metadata.is_some())
    }

    /// Whether somebody has stopped the job with it.
    pub(crate) fn is_final(&self, folder: &str) -> bool {
        let metadata = self.folders.get(folder).and_then(|folder| folder.metadata.as_ref());
        let manifest = metadata.and_then(|bytes| Manifest::parse(bytes, folder).ok());
        manifest.is_some_and(|manifest| manifest.kind == SnapshotKind::FinalSavepoint)
    }

    pub(crate) fn delete(&mut self, folder: &str) {
        self.folders.remove(folder);
    }

    /// The first half of a deletion, after which the folder is no snapshot any more.
    pub(crate) fn delete_metadata(&mut self, folder: &str) {
        if let Some(folder) = self.folders.get_mut(folder) {
            folder.metadata = None;
        }
    }

    pub(crate) fn folders(&self) -> impl Iterator<Item = (&String, &Folder)> {
        self.folders.iter()
    }

    /// Reads a snapshot.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub(crate) fn load(&self, path: &str) -> Result<Loaded, String> {
        let folder = self.folders.get(path).ok_or_else(|| format!("{path} is not there"))?;
        let metadata = folder.metadata.as_ref();
        let metadata = metadata.ok_or_else(|| format!("{path} has no _metadata"))?;
        let manifest = Manifest::parse(metadata, path).map_err(|error| error.to_string())?;
        Ok(Loaded { manifest, files: folder.files.clone() })
    }
}

impl Loaded {
    /// The bytes of a segment.
    ///
    /// # Errors
    ///
    /// When they are not what was written.
    pub(crate) fn segment(&self, segment: &SegmentRef) -> Result<Bytes, String> {
        let bytes = match &segment.location {
            SegmentLocation::Inline(bytes) => bytes.0.clone(),
            SegmentLocation::File { path, offset } => {
                let file = self.files.get(path).ok_or_else(|| format!("{path} is not there"))?;
                let end = offset + segment.length;
                if end > file.len() as u64 {
                    return Err(format!("{path} is too short"));
                }
                file.slice(*offset as usize..end as usize)
            }
        };
        if crc32c::crc32c(&bytes) == segment.crc32c {
            Ok(bytes)
        } else {
            Err("the checksum of a segment is wrong".to_owned())
        }
    }
}

/// What the job has made of one record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Output {
    pub(crate) key: u64,
    /// The how many-th record of its key it is.
    pub(crate) count: u64,
    /// The sum of the values of its key so far.
    pub(crate) sum: i64,
    /// The record: its split, and its place in there.
    pub(crate) record: (u32, u64),
}

/// A transaction of the sink: the run, the subtask, and the checkpoint that it ends with.
pub(crate) type Transaction = (u64, u32, CheckpointId);

/// Where the sink writes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outside {
    staged: BTreeMap<Transaction, Vec<Output>>,
    committed: BTreeMap<Transaction, Vec<Output>>,
}

impl Outside {
    pub(crate) fn stage(&mut self, transaction: Transaction, outputs: Vec<Output>) {
        self.staged.insert(transaction, outputs);
    }

    /// Makes a transaction visible. Doing so twice is harmless.
    ///
    /// # Errors
    ///
    /// When there is none: its data is lost.
    pub(crate) fn commit(&mut self, transaction: Transaction) -> Result<(), String> {
        match self.staged.remove(&transaction) {
            Some(outputs) => {
                self.committed.insert(transaction, outputs);
                Ok(())
            }
            None if self.committed.contains_key(&transaction) => Ok(()),
            None => Err(format!("the transaction {transaction:?} is gone before its commit")),
        }
    }

    /// Aborts whatever runs other than `run` have left behind.
    pub(crate) fn abort_others(&mut self, run: u64) {
        self.staged.retain(|(other, ..), _| *other == run);
    }

    /// Everything that can be seen.
    pub(crate) fn visible(&self) -> impl Iterator<Item = &Output> {
        self.committed.values().flatten()
    }

    /// Who has left something that is not visible.
    pub(crate) fn staged_by(&self) -> BTreeSet<u64> {
        self.staged.keys().map(|(run, ..)| *run).collect()
    }
}
