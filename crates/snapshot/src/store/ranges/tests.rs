use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use proptest::prelude::*;
use tidegate_storage::faults::{Fault, FaultyStore, Operation};
use tidegate_types::{ErrorKind, KeyGroup};

use super::*;
use crate::{
    manifest::InlineBytes,
    segment::KeyedSegmentWriter,
    store::{SnapshotStore, tests::manifest},
};

const ALL: KeyGroupRange = KeyGroupRange { start: 0, end: 16 };
const FILE: &str = "state-0-1";

/// Blocks of so many bytes, one for each group and two states.
fn segment(length: usize) -> Bytes {
    let mut writer = KeyedSegmentWriter::new(ALL);
    for group in ALL.start..ALL.end {
        for state in 0..2 {
            writer.begin_block(KeyGroup(group), state);
            writer.buffer().extend((0..length).map(|at| (at as u8) ^ group as u8 ^ state as u8));
            writer.end_block(length as u64);
        }
    }
    writer.finish().into()
}

/// A file of a segment between others' bytes, and where in it the segment is.
struct Stored {
    location: SnapshotLocation,
    manifest: Manifest,
    segment: SegmentRef,
    bytes: Bytes,
}

const BEFORE: usize = 1000;

async fn stored(name: &str, segment: Bytes) -> Stored {
    let store = SnapshotStore::open(&format!("memory://ranges-{name}")).expect("opens");
    let location = SnapshotLocation::from(store.place().folder("chk-1"));
    let (around, offset) = (Bytes::from(vec![9; BEFORE]), BEFORE as u64);
    let bytes = Bytes::from([&around[..], &segment, &around].concat());
    let crc32c = crc32c::crc32c(&bytes);
    let entry = location.write_file(FILE, vec![bytes.clone()], crc32c).await.expect("is written");
    let reference = SegmentRef {
        location: SegmentLocation::File { path: FILE.to_owned(), offset },
        length: segment.len() as u64,
        crc32c: crc32c::crc32c(&segment),
    };
    let manifest = manifest(BTreeMap::from([(FILE.to_owned(), entry)]));
    Stored { location, manifest, segment: reference, bytes }
}

impl Stored {
    fn open(&self) -> Arc<StoredSegment> {
        let state = StateDescription {
            id: 1,
            name: "sums".to_owned(),
            kind: "value".to_owned(),
            value_type: "u64".to_owned(),
            ttl_ms: None,
        };
        let states = Arc::from([state]);
        let segment = StoredSegment::new(&self.location, &self.manifest, &self.segment, states);
        segment.expect("it lies within its file").into()
    }

    /// Overwrites the file, without the manifest hearing of it.
    async fn alter(&self, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = self.bytes.to_vec();
        change(&mut bytes);
        let written = self.location.write_file(FILE, vec![bytes.into()], 0).await;
        written.expect("it can be overwritten");
    }
}

async fn blocks(
    segment: &Arc<StoredSegment>,
    groups: KeyGroupRange,
    most: u64,
) -> Result<Vec<OwnedBlock>, SnapshotError> {
    let mut blocks = Vec::new();
    for request in segment.requests(groups, most).await? {
        blocks.extend(request.read(|bytes| bytes).await?);
    }
    Ok(blocks)
}

fn expected(whole: &Bytes, groups: KeyGroupRange) -> Vec<OwnedBlock> {
    let reader = KeyedSegmentReader::open(whole.clone()).expect("opens");
    reader.index().blocks_in(groups).iter().map(|place| reader.block(place)).collect()
}

/// How many bytes each request has asked for, and of what range.
#[derive(Clone, Default)]
struct Asked(Arc<Mutex<Vec<Range<u64>>>>);

impl Asked {
    fn bytes(&self) -> u64 {
        self.0.lock().expect("nobody panics").iter().map(|range| range.end - range.start).sum()
    }

    fn count(&self) -> usize {
        self.0.lock().expect("nobody panics").len()
    }
}

/// The same snapshot, with every read being noted.
fn watched(stored: Stored) -> (Stored, Asked) {
    let asked = Asked::default();
    let noted = asked.clone();
    let decorate = |inner| -> Arc<dyn object_store::ObjectStore> {
        let note = Arc::new(move |range: Option<Range<u64>>| {
            noted.0.lock().expect("nobody panics").push(range.unwrap_or(0..u64::MAX));
        });
        Arc::new(FaultyStore::new(inner, Arc::new(|_| Fault::None)).noting(note))
    };
    let location = SnapshotLocation::from(stored.location.place().decorated(decorate));
    (Stored { location, ..stored }, asked)
}

#[tokio::test]
async fn only_what_is_asked_for_is_read_and_neighbours_at_once() {
    let whole = segment(8 << 10);
    let (stored, asked) = watched(stored("own", whole.clone()).await);
    let own = KeyGroupRange { start: 4, end: 8 };
    let found = blocks(&stored.open(), own, 40 << 10).await.expect("it is whole");
    assert_eq!(found, expected(&whole, own));
    // A quarter, and the segment's end.
    assert_eq!(asked.bytes(), whole.len() as u64 / 32 * 8 / 8192 * 8192 + TAIL);
    // Eight blocks of 8 KiB, five at a time, and the end.
    assert_eq!(asked.count(), 1 + 2);
}

#[tokio::test]
async fn an_index_that_is_longer_than_the_end_is_read_as_a_whole() {
    let groups = KeyGroupRange { start: 0, end: 4096 };
    let mut writer = KeyedSegmentWriter::new(groups);
    for group in 0..4096 {
        writer.begin_block(KeyGroup(group), 0);
        writer.buffer().extend_from_slice(&group.to_le_bytes());
        writer.end_block(1);
    }
    let whole = Bytes::from(writer.finish());
    let stored = stored("long-index", whole.clone()).await;
    let own = KeyGroupRange { start: 7, end: 9 };
    let found = blocks(&stored.open(), own, 1 << 20).await.expect("it is whole");
    assert_eq!(found, expected(&whole, own));
}

#[tokio::test]
async fn a_segment_in_the_manifest_is_read_from_there() {
    let whole = segment(10);
    let mut stored = stored("inline", whole.clone()).await;
    stored.segment.location = SegmentLocation::Inline(InlineBytes(whole.clone()));
    let (stored, asked) = watched(stored);
    let own = KeyGroupRange { start: 3, end: 5 };
    let found = blocks(&stored.open(), own, 100).await.expect("it is whole");
    assert_eq!((found, asked.count()), (expected(&whole, own), 0));
    let altered = SegmentRef { crc32c: 1, ..stored.segment.clone() };
    let stored = Stored { segment: altered, ..stored };
    let error = blocks(&stored.open(), own, 100).await.expect_err("it was altered");
    assert!(matches!(error, SnapshotError::Checksum { .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_block_of_a_segment_that_is_read_whole_is_named_too() {
    let stored = stored("small", segment(10)).await;
    stored.alter(|bytes| bytes[BEFORE + 8] ^= 1).await;
    let error = blocks(&stored.open(), ALL, 1 << 20).await.expect_err("a bit is another one");
    assert!(matches!(error, SnapshotError::Block { group: KeyGroup(0), .. }), "{error}");
}

#[tokio::test]
async fn a_damaged_block_is_named_and_others_are_none_the_worse() {
    let whole = segment(8 << 10);
    let stored = stored("damaged", whole.clone()).await;
    let reader = KeyedSegmentReader::open(whole).expect("opens");
    let place = reader.index().blocks_in(ALL)[2 * 5 + 1];
    stored.alter(|bytes| bytes[BEFORE + place.offset as usize + 17] ^= 1).await;
    let error = blocks(&stored.open(), ALL, 1 << 20).await.expect_err("a bit is another one");
    let (offset, length) = (BEFORE as u64 + place.offset, place.length);
    let message = error.to_string();
    let says = [FILE, "state `sums`", "key group 5", &format!("{length} bytes at {offset}")];
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let others = KeyGroupRange { start: 6, end: 16 };
    blocks(&stored.open(), others, 1 << 20).await.expect("they are whole");
}

#[tokio::test]
async fn a_file_that_is_cut_or_gone_is_damage_and_not_a_store_that_is_away() {
    let whole = segment(8 << 10);
    let stored = stored("cut", whole).await;
    for left in [0, 10, BEFORE + 100, stored.bytes.len() - BEFORE - 1] {
        stored.alter(|bytes| bytes.truncate(left)).await;
        let error = blocks(&stored.open(), ALL, 1 << 20).await.expect_err("it is cut");
        assert!(matches!(error, SnapshotError::Length { .. }), "{left}: {error}");
    }
    let (path, _) = stored.location.file(FILE);
    stored.location.place().store().delete(&path).await.expect("it is there");
    let error = blocks(&stored.open(), ALL, 1 << 20).await.expect_err("it is gone");
    assert!(matches!(error, SnapshotError::Missing { .. }), "{error}");
}

#[tokio::test]
async fn a_request_that_fails_names_file_offset_and_length() {
    let stored = stored("away", segment(8 << 10)).await;
    let fails = Arc::new(AtomicBool::new(false));
    let decide = Arc::clone(&fails);
    let decorate = |inner| -> Arc<dyn object_store::ObjectStore> {
        let decide = move |operation: Operation<'_>| match operation {
            Operation::Get(_) if decide.load(Ordering::Relaxed) => Fault::Before,
            _ => Fault::None,
        };
        Arc::new(FaultyStore::new(inner, Arc::new(decide)))
    };
    let location = SnapshotLocation::from(stored.location.place().decorated(decorate));
    let stored = Stored { location, ..stored };
    let segment = stored.open();
    let requests = segment.requests(ALL, 40 << 10).await.expect("the store answers");
    fails.store(true, Ordering::Relaxed);
    let second = requests.into_iter().nth(1).expect("there are several");
    let range = second.range().expect("it has blocks");
    let error = second.read(|bytes| bytes).await.expect_err("the store is away");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let (offset, length) = (BEFORE as u64 + range.start, range.end - range.start);
    let message = error.to_string();
    let says = [FILE.to_owned(), format!("{length} bytes at {offset}")];
    assert!(says.iter().all(|part| message.contains(part)), "{message}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]
    /// However a job is rescaled, its subtasks together get what a whole read gets, once.
    #[test]
    fn shares_of_any_number_of_subtasks_are_the_whole(
        subtasks in 1..17_u32, length in 1..3000_usize, most in 1..20_000_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let whole = segment(length);
        let stored = runtime.block_on(stored("shares", whole.clone()));
        let segment = stored.open();
        let share = |index: u32| KeyGroupRange {
            start: ALL.end * index / subtasks,
            end: ALL.end * (index + 1) / subtasks,
        };
        let mut found = Vec::new();
        for index in 0..subtasks {
            let own = runtime.block_on(blocks(&segment, share(index), most)).expect("whole");
            prop_assert!(own.iter().all(|block| share(index).contains(block.group)));
            found.extend(own);
        }
        prop_assert_eq!(found, expected(&whole, ALL));
    }
}
