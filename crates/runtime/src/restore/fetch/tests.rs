use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::FutureExt;
use tidegate_snapshot::{
    manifest::{
        FORMAT, FORMAT_VERSION, JobInfo, Manifest, SegmentLocation, SegmentRef, SnapshotForm,
        SnapshotKind,
    },
    segment::KeyedSegmentWriter,
    store::{SnapshotLocation, SnapshotStore},
};
use tidegate_storage::faults::{Fault, FaultyStore, Hold, Note, Operation};
use tidegate_types::{AttemptId, CheckpointId, ErrorKind, JobId, KeyGroup, Timestamp};

use super::*;
use crate::host::Host;

const GROUPS: u32 = 64;
const BLOCK: usize = 256 << 10;
const ALL: KeyGroupRange = KeyGroupRange { start: 0, end: GROUPS };

/// A file of 16 MiB, a block for each key group.
async fn written(name: &str) -> (SnapshotLocation, Manifest, SegmentRef) {
    let store = SnapshotStore::open(&format!("memory://fetch-{name}")).expect("opens");
    let location = SnapshotLocation::from(store.place().folder("chk-1"));
    let mut writer = KeyedSegmentWriter::new(ALL);
    for group in 0..GROUPS {
        writer.begin_block(KeyGroup(group), 0);
        let end = writer.buffer().len() + BLOCK;
        writer.buffer().resize(end, group as u8);
        writer.end_block(BLOCK as u64);
    }
    let bytes = Bytes::from(writer.finish());
    let crc32c = crc32c::crc32c(&bytes);
    let path = "state-0-1".to_owned();
    let length = bytes.len() as u64;
    let entry = location.write_file(&path, vec![bytes], crc32c).await.expect("is written");
    let manifest = Manifest {
        format: FORMAT.into(),
        version: FORMAT_VERSION,
        kind: SnapshotKind::Checkpoint,
        form: SnapshotForm::Native,
        job: JobInfo { id: JobId::from_name("fetch"), name: "fetch".into(), folder: None },
        checkpoint: CheckpointId(1),
        attempt: AttemptId(0),
        triggered_at: Timestamp(1),
        completed_at: Timestamp(2),
        operators: BTreeMap::new(),
        files: BTreeMap::from([(path.clone(), entry)]),
    };
    let location_in = SegmentLocation::File { path, offset: 0 };
    (location, manifest, SegmentRef { location: location_in, length, crc32c })
}

/// What the store does at each read: notes it, fails, or holds it up.
#[derive(Clone, Default)]
struct Store {
    bytes: Arc<AtomicU64>,
    fails: Arc<AtomicBool>,
    never_answers: Arc<AtomicBool>,
}

impl Store {
    fn over(
        &self,
        inner: Arc<dyn object_store::ObjectStore>,
    ) -> Arc<dyn object_store::ObjectStore> {
        let Self { bytes, fails, never_answers } = self.clone();
        let note: Note = Arc::new(move |range| {
            let range = range.expect("nobody reads a whole file");
            bytes.fetch_add(range.end - range.start, Ordering::Relaxed);
        });
        let hold: Hold = Arc::new(move || {
            let never = never_answers.load(Ordering::Relaxed);
            async move {
                if never {
                    std::future::pending().await
                }
            }
            .boxed()
        });
        let decide = move |operation: Operation<'_>| match operation {
            Operation::Get(_) if fails.load(Ordering::Relaxed) => Fault::Before,
            _ => Fault::None,
        };
        Arc::new(FaultyStore::new(inner, Arc::new(decide)).noting(note).holding(hold))
    }
}

/// Some of the file's groups, fetched from a store that the test has in hand.
async fn segment(name: &str, store: &Store) -> Arc<StoredSegment> {
    let (location, manifest, segment) = written(name).await;
    let place = location.place().decorated(|inner| store.over(inner));
    let location = SnapshotLocation::from(place);
    let segment = StoredSegment::new(&location, &manifest, &segment, Arc::from([]));
    Arc::new(segment.expect("it lies within its file"))
}

fn blocks(
    segment: &Arc<StoredSegment>,
    fetching: &Arc<Fetching>,
    groups: KeyGroupRange,
) -> SubtaskBlocks {
    SubtaskBlocks::new(vec![(Arc::clone(segment), groups)], Arc::clone(fetching))
}

/// Waits on a thread of its own, as workers do.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("it does not panic")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_is_fetched_ahead_than_there_is_room_for() {
    let store = Store::default();
    let segment = segment("room", &store).await;
    let fetching = Arc::new(Fetching::new(Handle::current(), Host::system().threads));
    let source = blocks(&segment, &fetching, ALL);
    on_a_thread(move || {
        let mut stream = source.open();
        let mut kept = vec![stream.next_block().expect("it is whole").expect("there are some")];
        // It goes on until there is no more room, however long nobody takes the next.
        std::thread::sleep(Duration::from_millis(200));
        let ahead = store.bytes.load(Ordering::Relaxed);
        let room = u64::from(ROOM);
        assert!((2 * REQUEST..=room + (64 << 10)).contains(&ahead), "{ahead} bytes");
        while let Some(block) = stream.next_block().expect("it is whole") {
            // All but the last are let go of.
            kept = vec![block];
        }
        assert_eq!(kept[0].group, KeyGroup(GROUPS - 1));
        let all = store.bytes.load(Ordering::Relaxed);
        assert!(all <= (GROUPS as u64 * BLOCK as u64) + (64 << 10), "{all} bytes");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_subtasks_share_the_room_and_all_come_to_their_end() {
    let store = Store::default();
    let segment = segment("shared", &store).await;
    let fetching = Arc::new(Fetching::new(Handle::current(), Host::system().threads));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let threads = (0..16).map(|index| {
        let groups = KeyGroupRange { start: index * 4, end: index * 4 + 4 };
        let (source, seen) = (blocks(&segment, &fetching, groups), Arc::clone(&seen));
        on_a_thread(move || {
            let mut stream = source.open();
            while let Some(block) = stream.next_block().expect("it is whole") {
                let is_its_own = block.bytes[..] == [block.group.get() as u8; BLOCK];
                assert!(is_its_own, "of key group {}", block.group);
                seen.lock().expect("nobody panics").push(block.group.get());
            }
        })
    });
    futures::future::join_all(threads).await;
    let mut seen = seen.lock().expect("nobody panics").clone();
    seen.sort_unstable();
    assert_eq!(seen, (0..GROUPS).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_store_that_never_answers_hears_when_it_is_given_up() {
    let store = Store::default();
    store.never_answers.store(true, Ordering::Relaxed);
    let segment = segment("slow", &store).await;
    let fetching = Arc::new(Fetching::new(Handle::current(), Host::system().threads));
    let source = blocks(&segment, &fetching, ALL);
    let waits = tokio::spawn(on_a_thread(move || source.open().next_block()));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waits.is_finished(), "it waits for the store");
    let begun = Instant::now();
    fetching.give_up();
    let error = waits.await.expect("no panic").expect_err("nobody answers");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    // Who begins later is told at once.
    let source = blocks(&segment, &fetching, ALL);
    on_a_thread(move || source.open().next_block()).await.expect_err("it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_come_is_not_taken_in_any_more_once_it_is_given_up() {
    let store = Store::default();
    let segment = segment("over", &store).await;
    let fetching = Arc::new(Fetching::new(Handle::current(), Host::system().threads));
    let source = blocks(&segment, &fetching, ALL);
    let gives_up = Arc::clone(&fetching);
    on_a_thread(move || {
        let mut stream = source.open();
        stream.next_block().expect("it is whole").expect("there are some");
        gives_up.give_up();
        let error = stream.next_block().expect_err("the attempt is over");
        assert!(matches!(error, SnapshotError::GivenUp), "{error}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_fails_midway_is_not_taken_for_the_end() {
    let store = Store::default();
    let segment = segment("midway", &store).await;
    let fetching = Arc::new(Fetching::new(Handle::current(), Host::system().threads));
    let source = blocks(&segment, &fetching, ALL);
    on_a_thread(move || {
        let mut stream = source.open();
        let mut count = 0;
        let error = loop {
            match stream.next_block() {
                Ok(Some(_)) => count += 1,
                Ok(None) => panic!("a part of it is missing"),
                Err(error) => break error,
            }
            store.fails.store(true, Ordering::Relaxed);
        };
        assert!((1..GROUPS).contains(&count), "{count}");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let message = error.to_string();
        assert!(message.contains("state-0-1") && message.contains("bytes at"), "{message}");
    })
    .await;
}

#[test]
fn a_runtime_that_ends_ends_the_wait() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build();
    let runtime = runtime.expect("a runtime");
    let store = Store::default();
    store.never_answers.store(true, Ordering::Relaxed);
    let segment = runtime.block_on(segment("ends", &store));
    let fetching = Arc::new(Fetching::new(runtime.handle().clone(), Host::system().threads));
    let source = blocks(&segment, &fetching, ALL);
    let waits = std::thread::spawn(move || source.open().next_block());
    std::thread::sleep(Duration::from_millis(50));
    runtime.shutdown_background();
    let error = waits.join().expect("no panic").expect_err("nobody reads any more");
    assert!(matches!(error, SnapshotError::GivenUp), "{error}");
}
