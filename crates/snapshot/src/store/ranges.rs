//! Parts of a snapshot's files: what a process needs of them, and no more.
//!
//! ```text
//!   segment --its end--> footer, index --groups--> runs of blocks --a request each--> blocks, checked
//! ```
//!
//! # Protocol
//!
//! Of a keyed segment the end is read first, which says where the blocks are
//! ([`StoredSegment::requests`]); then the blocks that are wanted, neighbours with one request
//! ([`BlockRequest::read`]). How many of these are under way is up to the caller. One that is short,
//! that stands in `_metadata`, or that was written by version 1, which has no checksums but its own,
//! is read whole, once for all who share it, and stays in memory for as long as any of them does.
//!
//! # Failure
//!
//! Nothing is handed out before its checksum has been compared. Retrying is the store's business;
//! what still fails says file, offset and length. A file that has become shorter looks like a request
//! that failed, or like a short answer: its length is looked up, so that it is told as damage.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use object_store::{Error, GetOptions, GetRange, ObjectStoreExt};
use tidegate_storage::StoreError;
use tidegate_types::KeyGroupRange;
use tokio::sync::OnceCell;

use super::{
    SnapshotLocation,
    location::{check, check_length},
};
use crate::{
    SnapshotError,
    manifest::{FileEntry, METADATA, Manifest, SegmentLocation, SegmentRef, StateDescription},
    segment::{BlockPlace, FOOTER, KeyedSegmentReader, OwnedBlock, SegmentIndex, runs_of},
};

/// How much of a segment's end is read at first: most indices are shorter.
const TAIL: u64 = 16 << 10;
const _: () = assert!(FOOTER as u64 <= TAIL, "the footer is within what is read first");

impl SnapshotLocation {
    /// Reads bytes of a file.
    ///
    /// # Errors
    ///
    /// When it is missing, shorter than `entry` says, or the store does not answer.
    pub(super) async fn read_range(
        &self,
        name: &str,
        range: Range<u64>,
        entry: &FileEntry,
    ) -> Result<Bytes, SnapshotError> {
        let length = range.end - range.start;
        if length == 0 {
            return Ok(Bytes::new());
        }
        let (path, shown) = self.file(name);
        let part = format!("{shown}, {length} bytes at {}", range.start);
        let range = Some(GetRange::Bounded(range));
        let options = GetOptions { range, ..GetOptions::default() };
        let answer = async {
            let found = self.place().store().get_opts(&path, options).await?;
            found.bytes().await
        };
        let error = match answer.await {
            Ok(bytes) if bytes.len() as u64 == length => return Ok(bytes),
            Ok(bytes) => {
                let source = format!("{} bytes came", bytes.len()).into();
                Error::Generic { store: "range", source }
            }
            Err(Error::NotFound { .. }) => return Err(SnapshotError::Missing { path: shown }),
            Err(error) => error,
        };
        if let Ok(found) = self.place().store().head(&path).await {
            check_length(&shown, found.size, entry)?;
        }
        Err(StoreError::failed("read", part, error).into())
    }

    /// Reads a file whole and checks its length and checksum.
    ///
    /// # Errors
    ///
    /// When it is missing, not what was written, or the store does not answer.
    pub async fn read_file(&self, manifest: &Manifest, name: &str) -> Result<Bytes, SnapshotError> {
        let (path, shown) = self.file(name);
        let missing = || SnapshotError::Missing { path: shown.clone() };
        let entry = manifest.files.get(name).ok_or_else(missing)?;
        let bytes = self.read(&path, &shown).await?;
        check(&shown, &bytes, entry)?;
        Ok(bytes)
    }

    /// Reads a segment whole and checks its checksum.
    ///
    /// # Errors
    ///
    /// When its file is missing, it is not what was written, or the store does not answer.
    pub async fn read_segment(
        &self,
        manifest: &Manifest,
        segment: &SegmentRef,
    ) -> Result<Bytes, SnapshotError> {
        Part::of(self, manifest, segment)?.read_whole().await
    }
}

/// A segment and the file that it lies in.
#[derive(Clone, Debug)]
struct Part {
    location: SnapshotLocation,
    segment: SegmentRef,
    /// What the manifest says of the file; `None` if the segment stands in that itself.
    file: Option<FileEntry>,
}

impl Part {
    fn of(
        location: &SnapshotLocation,
        manifest: &Manifest,
        segment: &SegmentRef,
    ) -> Result<Self, SnapshotError> {
        let file = match &segment.location {
            SegmentLocation::Inline(_) => None,
            SegmentLocation::File { path, offset } => {
                let shown = || format!("{location}/{path}");
                let missing = || SnapshotError::Missing { path: shown() };
                let file = manifest.files.get(path).ok_or_else(missing)?;
                if offset.checked_add(segment.length).is_none_or(|end| end > file.length) {
                    let problem = format!(
                        "a segment of {} bytes at {offset} lies beyond its end at {}",
                        segment.length, file.length
                    );
                    return Err(SnapshotError::Corrupt { path: shown(), problem });
                }
                Some(*file)
            }
        };
        Ok(Self { location: location.clone(), segment: segment.clone(), file })
    }

    /// Where it begins in its file.
    fn offset(&self) -> u64 {
        match self.segment.location {
            SegmentLocation::Inline(_) => 0,
            SegmentLocation::File { offset, .. } => offset,
        }
    }

    /// The file that it lies in, for a person.
    fn shown(&self) -> String {
        let name = match &self.segment.location {
            SegmentLocation::Inline(_) => METADATA,
            SegmentLocation::File { path, .. } => path,
        };
        format!("{}/{name}", self.location)
    }

    /// Bytes of the segment, not checked.
    async fn read(&self, range: Range<u64>) -> Result<Bytes, SnapshotError> {
        match (&self.segment.location, &self.file) {
            (SegmentLocation::File { path, offset }, Some(file)) => {
                let range = offset + range.start..offset + range.end;
                self.location.read_range(path, range, file).await
            }
            (SegmentLocation::Inline(bytes), _) => {
                let range = range.start as usize..range.end as usize;
                let short = || self.corrupt("a segment in it is shorter than it says");
                (range.end <= bytes.0.len()).then(|| bytes.0.slice(range)).ok_or_else(short)
            }
            (SegmentLocation::File { .. }, None) => Err(self.corrupt("a segment has no file")),
        }
    }

    async fn read_whole(&self) -> Result<Bytes, SnapshotError> {
        let bytes = self.read(0..self.segment.length).await?;
        self.check(&bytes).map(|()| bytes)
    }

    /// Checks all of the segment's bytes.
    fn check(&self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let (found, expected) = (crc32c::crc32c(bytes), self.segment.crc32c);
        if found == expected {
            return Ok(());
        }
        let length = self.segment.length;
        let path = format!("{}, {length} bytes at {}", self.shown(), self.offset());
        Err(SnapshotError::Checksum { path, expected, found })
    }

    fn corrupt(&self, problem: &str) -> SnapshotError {
        SnapshotError::Corrupt { path: self.shown(), problem: problem.to_owned() }
    }

    /// Says in which file it is what a segment's reader reports.
    fn located(&self, error: SnapshotError) -> SnapshotError {
        let at = || format!("{}, {} bytes at {}", self.shown(), self.segment.length, self.offset());
        match error {
            SnapshotError::Corrupt { problem, .. } => {
                SnapshotError::Corrupt { path: at(), problem }
            }
            SnapshotError::Version { found, known, .. } => {
                SnapshotError::Version { path: at(), found, known }
            }
            error => error,
        }
    }
}

/// What is known of a segment once its end has been read.
#[derive(Debug)]
enum Opened {
    /// All of it, checked.
    InMemory(KeyedSegmentReader),
    /// Where its blocks are, each with its checksum.
    Indexed(SegmentIndex),
}

/// A keyed segment of a snapshot, of which some blocks are wanted, maybe by several.
#[derive(Debug)]
pub struct StoredSegment {
    part: Part,
    /// The states in it, by whose names errors call them.
    states: Arc<[StateDescription]>,
    opened: OnceCell<Opened>,
}

impl StoredSegment {
    /// A segment of a snapshot, of an operator with these states. Nothing is read.
    ///
    /// # Errors
    ///
    /// When it does not lie within its file.
    pub fn new(
        location: &SnapshotLocation,
        manifest: &Manifest,
        segment: &SegmentRef,
        states: Arc<[StateDescription]>,
    ) -> Result<Self, SnapshotError> {
        let part = Part::of(location, manifest, segment)?;
        Ok(Self { part, states, opened: OnceCell::new() })
    }

    /// What is to be read for some key groups, in their order; each of at most so many bytes unless a
    /// single block is longer. Reads the segment's end, if nobody has.
    ///
    /// # Errors
    ///
    /// When that is damaged, or the store does not answer.
    pub async fn requests(
        self: &Arc<Self>,
        groups: KeyGroupRange,
        most: u64,
    ) -> Result<Vec<BlockRequest>, SnapshotError> {
        let index = match self.opened.get_or_try_init(|| self.open()).await? {
            Opened::InMemory(reader) => reader.index(),
            Opened::Indexed(index) => index,
        };
        let runs = runs_of(index.blocks_in(groups), most).into_iter();
        let request = |blocks: &[BlockPlace]| BlockRequest {
            segment: Arc::clone(self),
            blocks: blocks.to_vec(),
        };
        Ok(runs.map(request).collect())
    }

    /// How many rows each state has in some key groups, by the state's id.
    ///
    /// # Errors
    ///
    /// As [`StoredSegment::requests`].
    pub async fn rows(&self, groups: KeyGroupRange) -> Result<Vec<(u16, u64)>, SnapshotError> {
        let index = match self.opened.get_or_try_init(|| self.open()).await? {
            Opened::InMemory(reader) => reader.index(),
            Opened::Indexed(index) => index,
        };
        Ok(index.blocks_in(groups).iter().map(|block| (block.state, block.entries)).collect())
    }

    async fn open(&self) -> Result<Opened, SnapshotError> {
        let length = self.part.segment.length;
        if length <= TAIL || self.part.file.is_none() {
            return self.open_whole().await;
        }
        let mut tail = self.part.read(length - TAIL..length).await?;
        let located = |error| self.part.located(error);
        let index = SegmentIndex::locate(&tail, length).map_err(located)?;
        if index.start < length - TAIL {
            tail = self.part.read(index).await?;
        }
        let index = SegmentIndex::read(&tail, length).map_err(located)?;
        if index.has_checksums() { Ok(Opened::Indexed(index)) } else { self.open_whole().await }
    }

    async fn open_whole(&self) -> Result<Opened, SnapshotError> {
        let bytes = self.part.read(0..self.part.segment.length).await?;
        if let Err(error) = self.part.check(&bytes) {
            return Err(self.damaged_block(&bytes).unwrap_or(error));
        }
        let reader = KeyedSegmentReader::open(bytes);
        reader.map(Opened::InMemory).map_err(|error| self.part.located(error))
    }

    /// Which block it is, of a segment that is not what was written, if that can be told.
    fn damaged_block(&self, bytes: &Bytes) -> Option<SnapshotError> {
        let reader = KeyedSegmentReader::open(bytes.clone()).ok()?;
        let blocks = reader.index().blocks_in(reader.groups()).iter();
        blocks
            .map(|place| self.check_block(place, &reader.block(place).bytes))
            .find_map(Result::err)
    }

    fn check_block(&self, place: &BlockPlace, bytes: &[u8]) -> Result<(), SnapshotError> {
        // Who has none has been checked as a whole.
        let Some(expected) = place.crc32c else { return Ok(()) };
        let found = crc32c::crc32c(bytes);
        if found == expected {
            return Ok(());
        }
        let state = self.states.iter().find(|state| state.id == place.state);
        Err(SnapshotError::Block {
            path: self.part.shown(),
            state: state.map_or_else(|| format!("#{}", place.state), |state| state.name.clone()),
            group: place.group,
            offset: self.part.offset() + place.offset,
            length: place.length,
            expected,
            found,
        })
    }
}

/// Blocks that lie one behind the other, to be read at once.
#[derive(Clone, Debug)]
pub struct BlockRequest {
    segment: Arc<StoredSegment>,
    blocks: Vec<BlockPlace>,
}

impl BlockRequest {
    /// How many bytes it takes up until the last of its blocks is gone; none if they are in memory
    /// already.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self.segment.opened.get() {
            Some(Opened::InMemory(_)) => 0,
            _ => self.range().map_or(0, |range| range.end - range.start),
        }
    }

    fn range(&self) -> Option<Range<u64>> {
        Some(self.blocks.first()?.offset..self.blocks.last()?.end())
    }

    /// Reads the blocks and checks them. What has been read goes through `hold` before it is cut into
    /// blocks, which share it.
    ///
    /// # Errors
    ///
    /// When one of them is not what was written, or the store does not answer.
    pub async fn read(
        self,
        hold: impl FnOnce(Bytes) -> Bytes,
    ) -> Result<Vec<OwnedBlock>, SnapshotError> {
        if let Some(Opened::InMemory(reader)) = self.segment.opened.get() {
            return Ok(self.blocks.iter().map(|place| reader.block(place)).collect());
        }
        let Some(range) = self.range() else { return Ok(Vec::new()) };
        let start = range.start;
        let bytes = hold(self.segment.part.read(range).await?);
        let block = |place: &BlockPlace| {
            let (from, to) = (place.offset - start, place.end() - start);
            let bytes = bytes.slice(from as usize..to as usize);
            self.segment.check_block(place, &bytes)?;
            Ok(OwnedBlock::new(place, bytes))
        };
        self.blocks.iter().map(block).collect()
    }
}

#[cfg(test)]
mod tests;
