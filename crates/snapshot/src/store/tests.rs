use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use bytes::Bytes;
use object_store::ObjectStoreExt;
use tidegate_storage::{
    Address, Places,
    faults::{Fault, FaultyStore, Operation},
    log,
};
use tidegate_types::{AttemptId, ProcessIndex, SubtaskIndex, Timestamp};

use super::*;
use crate::{
    CommitError, SnapshotError,
    manifest::{
        FORMAT, FORMAT_VERSION, FileEntry, JobInfo, METADATA, Manifest, SegmentLocation,
        SegmentRef, SnapshotForm, SnapshotKind,
    },
};

fn job() -> JobId {
    JobId::from_name("store-test")
}

pub(crate) fn manifest(files: BTreeMap<String, FileEntry>) -> Manifest {
    Manifest {
        format: FORMAT.into(),
        version: FORMAT_VERSION,
        kind: SnapshotKind::Checkpoint,
        form: SnapshotForm::Native,
        job: JobInfo { id: job(), name: "store-test".into(), folder: None },
        checkpoint: CheckpointId(1),
        attempt: AttemptId(0),
        triggered_at: Timestamp(1),
        completed_at: Timestamp(2),
        operators: BTreeMap::new(),
        files,
    }
}

/// Whoever calls this knows.
struct Known(String, Option<CheckpointId>);

impl DeletionProof for Known {
    fn location(&self) -> &str {
        &self.0
    }

    fn checkpoint(&self) -> Option<CheckpointId> {
        self.1
    }
}

/// Deletes what is complete, and sweeps what is not.
async fn delete(location: &SnapshotLocation) {
    let places = Places::new([location.place().clone()]);
    delete_snapshot(&places, &Known(location.to_string(), None)).await.expect("deleted");
    let leftovers = location.leftovers().await.expect("lists");
    location.remove(leftovers).await.expect("removed");
}

pub(crate) async fn written(location: &SnapshotLocation) -> Manifest {
    let bytes = Bytes::from_static(b"some state");
    let entry = location.write_file("state-0", vec![bytes.clone()], crc32c::crc32c(&bytes)).await;
    let manifest = manifest(BTreeMap::from([("state-0".to_owned(), entry.expect("written"))]));
    location.commit(&manifest).await.expect("committed");
    manifest
}

#[tokio::test]
async fn a_snapshot_can_be_moved_and_is_found_by_its_folder_or_its_metadata() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SnapshotStore::open(folder.path().to_str().expect("utf-8")).expect("opens");
    let location = store.checkpoint(job(), CheckpointId(1), true);
    let manifest = written(&location).await;
    let moved = folder.path().join("moved");
    std::fs::rename(location.to_string(), &moved).expect("moved");
    for text in [moved.display().to_string(), moved.join("_metadata").display().to_string()] {
        let location = SnapshotLocation::parse(&text).expect("found");
        assert_eq!(location.load().await.expect("loads"), manifest);
        location.read_all(&manifest).await.expect("reads");
    }
    let url = format!("file://{}", moved.display());
    assert_eq!(
        SnapshotLocation::parse(&url).expect("found").load().await.expect("loads"),
        manifest
    );
}

#[tokio::test]
async fn every_way_to_name_a_snapshot_finds_it() {
    // A path relative to the current folder, which tests may not change, has to lie below it.
    let folder = tempfile::tempdir_in(".").expect("a folder");
    let relative = std::path::Path::new(folder.path().file_name().expect("a name"));
    let names = ["old_metadata", "a b", "a%20b", "a+b~", "_metadata", "é"];
    for name in names {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).expect("a folder");
        let path = path.canonicalize().expect("it is there");
        let first = SnapshotLocation::parse(path.to_str().expect("utf-8")).expect("found");
        let manifest = written(&first).await;
        let url = url::Url::from_file_path(&path).expect("absolute").to_string();
        let shown = path.display().to_string();
        let relative = relative.join(name).display().to_string();
        for text in [shown, url, relative.clone(), format!("./{relative}")] {
            for text in [text.clone(), format!("{text}/"), format!("{text}/_metadata")] {
                let found =
                    SnapshotLocation::parse(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
                assert_eq!(found.load().await.expect("loads"), manifest, "{text}");
                found.read_all(&manifest).await.expect("reads");
            }
        }
    }
    for missing in ["file:///no/such", "no/such", "no/such/_metadata", "", "old_metadata"] {
        let error = SnapshotLocation::parse(missing).expect_err("nothing there");
        assert!(matches!(&error, SnapshotError::NoSuchFolder { .. }), "{missing}: {error}");
    }
    let here = SnapshotLocation::parse("_metadata").expect("the current folder");
    let current = std::env::current_dir().and_then(|path| path.canonicalize()).expect("known");
    assert_eq!(here.to_string(), current.display().to_string());
}

#[tokio::test]
async fn metadata_is_left_out_of_urls_too() {
    let store = SnapshotStore::open("memory://urls").expect("opens");
    let manifest = written(&store.place().folder("old_metadata").into()).await;
    for text in ["memory://urls/old_metadata", "memory://urls/old_metadata/_metadata"] {
        let found = SnapshotLocation::parse(text).expect("found");
        assert_eq!(found.load().await.expect("loads"), manifest, "{text}");
    }
}

#[tokio::test]
async fn a_segment_past_the_end_of_its_file_is_refused() {
    let store = SnapshotStore::open("memory://segments").expect("opens");
    let location = store.checkpoint(job(), CheckpointId(1), true);
    let manifest = written(&location).await;
    let loaded = location.read_all(&manifest).await.expect("reads");
    let segment = |offset, length| {
        let crc32c = crc32c::crc32c(b"state");
        let location = SegmentLocation::File { path: "state-0".to_owned(), offset };
        loaded.segment(&SegmentRef { location, length, crc32c })
    };
    assert_eq!(segment(5, 5).expect("the last five bytes"), "state");
    for (offset, length) in [(5, 6), (11, 0), (u64::MAX, 5), (5, u64::MAX)] {
        let error = segment(offset, length).expect_err("past the end");
        assert!(matches!(&error, SnapshotError::Corrupt { path, .. } if path.ends_with("state-0")));
    }
    let error = segment(4, 5).expect_err("other bytes");
    assert!(matches!(&error, SnapshotError::Checksum { .. }), "{error}");
}

#[tokio::test]
async fn what_is_missing_cut_or_altered_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SnapshotStore::open(folder.path().to_str().expect("utf-8")).expect("opens");
    let location = store.checkpoint(job(), CheckpointId(1), true);
    let manifest = written(&location).await;
    let file = std::path::PathBuf::from(location.to_string()).join("state-0");
    std::fs::write(&file, b"some stat").expect("cut");
    let error = location.read_all(&manifest).await.expect_err("cut");
    assert!(matches!(&error, SnapshotError::Length { expected: 10, found: 9, .. }), "{error}");
    std::fs::write(&file, b"some State").expect("altered");
    let error = location.read_all(&manifest).await.expect_err("altered");
    assert!(matches!(&error, SnapshotError::Checksum { .. }), "{error}");
    assert!(error.to_string().contains("chk-1/state-0"), "{error}");
    std::fs::remove_file(&file).expect("removed");
    let error = location.read_all(&manifest).await.expect_err("missing");
    assert!(matches!(&error, SnapshotError::Missing { .. }), "{error}");
    std::fs::remove_file(file.with_file_name("_metadata")).expect("removed");
    let error = location.load().await.expect_err("no metadata");
    assert!(matches!(&error, SnapshotError::NoMetadata { .. }), "{error}");
    let error = SnapshotLocation::parse("/no/such/folder").expect_err("no folder");
    assert!(matches!(&error, SnapshotError::NoSuchFolder { .. }), "{error}");
}

#[tokio::test]
async fn inv_last_a_folder_without_metadata_is_no_snapshot_and_can_be_swept() {
    let store = SnapshotStore::open("memory://sweep/below").expect("opens");
    written(&store.checkpoint(job(), CheckpointId(7), true)).await;
    let half = store.checkpoint(job(), CheckpointId(12), true);
    let half_state = state_file(ProcessIndex(0), 1);
    half.write_file(&half_state, vec![Bytes::from_static(b"x")], 0).await.expect("written");
    let listed = store.list(job(), true).await.expect("lists");
    let seen = listed.iter().map(|snapshot| (snapshot.id.get(), snapshot.complete));
    assert_eq!(seen.collect::<Vec<_>>(), [(7, true), (12, false)]);
    for snapshot in listed {
        delete(&snapshot.location).await;
        delete(&snapshot.location).await;
    }
    assert!(store.list(job(), true).await.expect("lists").is_empty());
}

#[tokio::test]
async fn metadata_is_never_written_over_another_and_doubt_is_reported_as_such() {
    let store = SnapshotStore::open("memory://doubt").expect("opens");
    let location = store.checkpoint(job(), CheckpointId(1), true);
    let manifest = written(&location).await;
    let error = location.commit(&manifest).await.expect_err("there is one");
    assert!(matches!(error, CommitError::Exists { .. }), "{error}");
    for (fault, there) in [(Fault::Before, false), (Fault::After, true)] {
        let decide = Arc::new(move |operation: Operation<'_>| match operation {
            Operation::Put(path) if path.ends_with(METADATA) => fault,
            _ => Fault::None,
        });
        let faulty = store.place().decorated(|inner| Arc::new(FaultyStore::new(inner, decide)));
        let location = SnapshotStore::from(faulty).savepoint(job(), u64::from(there));
        let manifest = self::manifest(BTreeMap::new());
        let error = location.commit(&manifest).await.expect_err("a fault");
        assert!(error.may_have_happened(), "{error}");
        assert_eq!(location.exists().await.expect("answers"), there);
    }
    assert_eq!(store.list_savepoints(job()).await.expect("lists").len(), 1);
}

#[test]
fn an_address_that_is_none_is_refused_with_the_way_out() {
    let error = SnapshotStore::open("s4://bucket").expect_err("no such scheme");
    assert!(error.to_string().contains("s4://bucket"), "{error}");
}

/// What a SIGKILL during a put leaves: the store's name for a file that it has not yet renamed.
fn leave_staged(folder: &SnapshotLocation, name: &str) -> PathBuf {
    let path = PathBuf::from(folder.to_string());
    std::fs::create_dir_all(&path).expect("a folder");
    std::fs::write(path.join(name), b"half of").expect("staged");
    path
}

/// All that lies below a folder, folders too.
fn all_below(folder: &std::path::Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("lists").map(|entry| entry.expect("lists")) {
            let path = entry.path();
            found.push(path.strip_prefix(folder).expect("below").display().to_string());
            folders.extend(path.is_dir().then_some(path));
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn what_a_crash_staged_goes_with_the_snapshot() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SnapshotStore::open(folder.path().to_str().expect("utf-8")).expect("opens");
    let half = store.checkpoint(job(), CheckpointId(1), true);
    let path = leave_staged(&half, &format!("{}#1", state_file(ProcessIndex(0), 7)));
    leave_staged(&half, "_metadata#1");
    let listed = store.list(job(), true).await.expect("lists");
    assert_eq!(listed.iter().map(|found| found.complete).collect::<Vec<_>>(), [false]);
    delete(&half).await;
    assert!(!path.exists() && store.list(job(), true).await.expect("lists").is_empty());
    assert!(!path.parent().expect("the job's folder").exists() && folder.path().exists());

    let savepoint = store.savepoint(job(), 1);
    written(&savepoint).await;
    let path = leave_staged(&savepoint, "state-0#1");
    leave_staged(&savepoint, "_metadata#2");
    // Opened by itself, as a claimed snapshot is.
    let claimed = SnapshotLocation::parse(&savepoint.to_string()).expect("found");
    delete(&claimed).await;
    assert!(!path.exists());
    delete(&claimed).await;
}

#[tokio::test]
async fn inv_own_strangers_files_and_other_snapshots_stay_when_one_is_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let local = folder.path().canonicalize().expect("there").display().to_string();
    for base in [local.as_str(), "memory://strangers"] {
        let store = SnapshotStore::open(base).expect("opens");
        let location = store.savepoint(job(), 1);
        let below = SnapshotLocation::from(location.place().folder("mine/savepoint"));
        let (manifest, other) = (written(&location).await, written(&below).await);
        for name in ["notes.txt", "state-1", "mine/notes#1.txt"] {
            location.write_file(name, vec![Bytes::from_static(b"x")], 0).await.expect("written");
        }
        let another = Known(location.to_string(), Some(CheckpointId(2)));
        let places = Places::new([store.place().clone()]);
        let error = delete_snapshot(&places, &another).await.expect_err("it is another");
        assert!(matches!(error, SnapshotError::Another { .. }), "{error}");
        assert_eq!(location.load().await.expect("it stays"), manifest);

        delete(&location).await;
        assert!(!location.exists().await.expect("answers"));
        assert_eq!(below.load().await.expect("it stays"), other);
        below.verify(&other).await.expect("it is whole");
        for name in ["notes.txt", "state-1", "mine/notes#1.txt"] {
            let (path, _) = location.place().file(name);
            assert!(location.place().store().head(&path).await.is_ok(), "{name} is gone");
        }
        let (gone, _) = location.place().file("state-0");
        assert!(location.place().store().head(&gone).await.is_err(), "it is named");
    }
}

#[tokio::test]
async fn who_loses_the_race_for_metadata_deletes_its_own_files_only() {
    let folder = tempfile::tempdir().expect("a folder");
    let local = folder.path().canonicalize().expect("there").display().to_string();
    for base in [local.as_str(), "memory://race"] {
        let store = SnapshotStore::open(base).expect("opens");
        let location = store.checkpoint(job(), CheckpointId(5), true);
        let names = [1, 2].map(|token| state_file(ProcessIndex(0), token));
        let table = format!("uid/state/{}", table_file(SubtaskIndex(0), 2));
        let mut manifests = Vec::new();
        for name in &names {
            let bytes = Bytes::from(name.clone());
            let crc32c = crc32c::crc32c(&bytes);
            let entry = location.write_file(name, vec![bytes], crc32c).await.expect("written");
            manifests.push(manifest(BTreeMap::from([(name.clone(), entry)])));
        }
        location.write_file(&table, vec![Bytes::from_static(b"x")], 0).await.expect("written");
        location.commit(&manifests[0]).await.expect("the first");
        let lost = location.commit(&manifests[1]).await.expect_err("the second");
        assert!(matches!(lost, CommitError::Exists { .. }), "{lost}");
        location.clone().begun_by(2).discard().await.expect("discarded");
        assert_eq!(location.load().await.expect("the winner's"), manifests[0]);
        location.verify(&manifests[0]).await.expect("it is whole");
        for gone in [&names[1], &table] {
            let (path, _) = location.place().file(gone);
            assert!(location.place().store().head(&path).await.is_err(), "{gone} is the loser's");
        }
        // Whoever believes it to be unfinished still deletes nothing that is named.
        location.clone().begun_by(1).discard().await.expect("discarded");
        location.verify(&manifests[0]).await.expect("it is whole");
    }
    let left = all_below(folder.path());
    assert_eq!(left.len(), 4, "job, checkpoint, `_metadata` and one file: {left:?}");
}

#[tokio::test]
async fn a_discarded_snapshot_leaves_what_others_write_there() {
    let store = SnapshotStore::open("memory://discard").expect("opens");
    let location = store.checkpoint(job(), CheckpointId(5), true);
    for token in [1, 2] {
        let name = state_file(ProcessIndex(0), token);
        location.write_file(&name, vec![Bytes::from_static(b"x")], 0).await.expect("written");
    }
    location.clone().begun_by(1).discard().await.expect("discarded");
    let left = location.leftovers().await.expect("lists");
    assert_eq!(left.iter().map(Leftover::token).collect::<Vec<_>>(), [Some(2)]);
}

#[tokio::test]
async fn nothing_is_deleted_where_nobody_knows_what_is_named() {
    let store = SnapshotStore::open("memory://unknown").expect("opens");
    let location = store.checkpoint(job(), CheckpointId(5), true);
    let state = state_file(ProcessIndex(0), 1);
    for name in [&state, "_metadata"] {
        location.write_file(name, vec![Bytes::from_static(b"x")], 0).await.expect("written");
    }
    let damaged = location.clone().begun_by(1).discard().await.expect_err("it can't be read");
    assert!(matches!(damaged, SnapshotError::Corrupt { .. }), "{damaged}");
    let places = Places::new([store.place().clone()]);
    delete_snapshot(&places, &Known(location.to_string(), None))
        .await
        .expect_err("it can't be read");
    let (path, _) = location.place().file(&state);
    location.place().store().head(&path).await.expect("it stays");
}

#[tokio::test]
async fn only_canonical_names_count() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SnapshotStore::open(folder.path().to_str().expect("utf-8")).expect("opens");
    for name in ["chk-7", "chk-+8", "chk-009", "chk-", "chk-x"] {
        let folder = folder.path().join(name);
        std::fs::create_dir(&folder).expect("a folder");
        std::fs::write(folder.join("state-0"), b"x").expect("a file");
    }
    let listed = store.list(job(), false).await.expect("lists");
    assert_eq!(listed.iter().map(|found| found.id.get()).collect::<Vec<_>>(), [7]);
}

#[tokio::test]
async fn a_location_is_found_again_by_its_text_in_its_own_store_only() {
    let store = SnapshotStore::open("memory://located/a").expect("opens");
    let neighbour = SnapshotStore::open("memory://located/ab").expect("opens");
    for location in [store.savepoint(job(), 1), store.checkpoint(job(), CheckpointId(1), true)] {
        let manifest = written(&location).await;
        let text = location.to_string();
        let found = SnapshotLocation::find(&Places::new([store.place().clone()]), &text)
            .expect("it lies here");
        assert_eq!((found.to_string(), found.load().await.expect("loads")), (text, manifest));
    }
    let parse = |location: SnapshotLocation| Address::parse(&location.to_string()).expect("parses");
    assert!(store.place().locate(&parse(neighbour.savepoint(job(), 1))).is_none());
    assert!(neighbour.place().locate(&parse(store.savepoint(job(), 1))).is_none());
}

#[tokio::test]
async fn a_snapshot_that_could_not_be_restored_is_never_complete() {
    let store = SnapshotStore::open("memory://whole").expect("opens");
    let location = store.checkpoint(job(), CheckpointId(1), true);
    let bytes = Bytes::from_static(b"some state");
    let entry = location.write_file("state-0", vec![bytes], 0).await.expect("written");
    let short = FileEntry { length: entry.length + 1, ..entry };
    for (name, entry) in [("state-1", entry), ("state-0", short)] {
        let manifest = manifest(BTreeMap::from([(name.to_owned(), entry)]));
        let error = location.commit(&manifest).await.expect_err("it is not whole");
        assert!(matches!(error, CommitError::NotWhole { .. }), "{error}");
        assert!(!error.may_have_happened());
        assert!(!location.exists().await.expect("answers"));
    }
    let elsewhere = SnapshotLocation::parse("memory://whole-").expect("an address");
    let manifest = manifest(BTreeMap::from([("state-0".to_owned(), entry)]));
    elsewhere.commit(&manifest).await.expect_err("its files lie elsewhere");
    location.commit(&manifest).await.expect("it is whole");
}

#[tokio::test]
async fn the_log_of_a_job_stays_when_the_checkpoints_beside_it_go() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = SnapshotStore::open(folder.path().to_str().expect("utf-8")).expect("opens");
    for subdir in [true, false] {
        let log = store.job_folder(job(), subdir).folder("log");
        let run = log::Run { token: log::RunToken(1), rank: None, name: "here".to_owned() };
        let (taken, _) = log::take_over(&log, run).await.expect("taken");
        let location = store.checkpoint(job(), CheckpointId(1), subdir);
        written(&location).await;
        let listed = store.list(job(), subdir).await.expect("lists");
        assert_eq!(listed.iter().map(|found| found.id.get()).collect::<Vec<_>>(), [1]);
        delete(&location).await;
        assert!(store.list(job(), subdir).await.expect("lists").is_empty());
        let (checkpoint, location) = (CheckpointId(1), "chk-1".to_owned());
        let kind = log::RecordedKind::Checkpoint;
        taken
            .append(log::Recorded {
                checkpoint,
                location,
                kind,
                attempt: None,
                trigger: None,
                ends: None,
            })
            .await
            .expect("its log is there");
    }
}
