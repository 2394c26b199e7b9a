//! Snapshots written by every version of the format, good and corrupt: the good ones are restored
//! byte for byte, and each corrupt one is refused for the right reason.
//!
//! `fixtures/v1` was written when keyed segments had version 1, `fixtures/keyed2` by today's code:
//! `_metadata` is the same but for checksums. Their files are never written again once the version has
//! been released: a change of format adds a folder. Until then
//! `TIDEGATE_WRITE_FIXTURES=1 cargo test -p tidegate-snapshot --test fixtures -- --ignored` writes
//! those of today's version anew.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use tidegate_snapshot::{
    SnapshotError, codec,
    manifest::{
        FORMAT, FORMAT_VERSION, InlineBytes, JobInfo, KeyedManifest, ListSummary, ListsManifest,
        Manifest, OperatorManifest, SegmentLocation, SegmentRef, SnapshotForm, SnapshotKind,
        StateDescription, SubtaskManifest,
    },
    segment::{
        ItemType, KeyedSegmentReader, KeyedSegmentWriter, ListSegment, ListState, Redistribution,
    },
    store::{SnapshotLocation, SnapshotStore, StoredSegment},
};
use tidegate_types::{
    AttemptId, CheckpointId, ErrorKind, JobId, KeyGroup, KeyGroupRange, MaxParallelism,
    OperatorUid, Parallelism, SubtaskIndex, Timestamp, key_group,
};

const STATE_FILE: &str = "state-0-golden";
const GROUPS: [KeyGroupRange; 2] =
    [KeyGroupRange { start: 0, end: 4 }, KeyGroupRange { start: 4, end: 8 }];

/// Key group, state id, entries.
type GoldenBlock = (u32, u16, &'static [(&'static str, u64)]);

/// What the keyed operator holds.
const COUNTS: [GoldenBlock; 4] = [
    (1, 0, &[("AA", 1), ("UA", u64::MAX)]),
    (1, 1, &[("AA", 300)]),
    (3, 0, &[("", 0)]),
    (6, 0, &[("Zürich", 7)]),
];

/// By each version of what is in them, today's last.
const VERSIONS: [&str; 2] = ["v1", "keyed2"];
const TODAYS: &str = VERSIONS[1];

fn fixture(version: &str, name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(version).join(name)
}

fn location(folder: &Path) -> SnapshotLocation {
    SnapshotLocation::parse(folder.to_str().expect("a path in utf-8")).expect("a folder")
}

fn keyed_segment(groups: KeyGroupRange) -> Vec<u8> {
    let mut writer = KeyedSegmentWriter::new(groups);
    for (group, state, entries) in COUNTS {
        if groups.contains(KeyGroup(group)) {
            writer.begin_block(KeyGroup(group), state);
            for entry in entries {
                codec::encode(entry, writer.buffer()).expect("a text and a number");
            }
            writer.end_block(entries.len() as u64);
        }
    }
    writer.finish()
}

fn lists() -> Vec<ListState> {
    let list = |name: &str, redistribution, items: &[&'static [u8]]| ListState {
        name: name.to_owned(),
        redistribution,
        item_type: ItemType::Unknown,
        items: items.iter().copied().map(Bytes::from_static).collect(),
    };
    vec![
        list("splits", Redistribution::Split, &[b"first", b"", b"\x00\xff third"]),
        list("offsets", Redistribution::Union, &[b"7"]),
        list("rules", Redistribution::Broadcast, &[]),
    ]
}

/// The segments that make up the state file, in order, and the references to them.
fn state_file() -> (Vec<Bytes>, Vec<SegmentRef>) {
    let chunks = GROUPS.map(|groups| Bytes::from(keyed_segment(groups))).to_vec();
    let mut offset = 0;
    let mut references = Vec::new();
    for chunk in &chunks {
        let length = chunk.len() as u64;
        let location = SegmentLocation::File { path: STATE_FILE.to_owned(), offset };
        references.push(SegmentRef { location, length, crc32c: crc32c::crc32c(chunk) });
        offset += length;
    }
    (chunks, references)
}

fn subtask(
    index: u32,
    keyed: Option<KeyedManifest>,
    lists: Option<ListsManifest>,
) -> SubtaskManifest {
    SubtaskManifest {
        index: SubtaskIndex(index),
        finished: false,
        keyed,
        lists,
        tables: Vec::new(),
    }
}

fn source() -> OperatorManifest {
    let bytes = Bytes::from(ListSegment { states: lists() }.encode());
    let segment = SegmentRef {
        length: bytes.len() as u64,
        crc32c: crc32c::crc32c(&bytes),
        location: SegmentLocation::Inline(InlineBytes(bytes)),
    };
    let summaries = lists().into_iter().map(|list| ListSummary {
        item_type: ItemType::Unknown,
        items: list.items.len() as u64,
        name: list.name,
        redistribution: list.redistribution,
    });
    let lists = ListsManifest { lists: summaries.collect(), segment };
    let finished = SubtaskManifest { finished: true, ..subtask(1, None, None) };
    OperatorManifest {
        name: "flights.csv".to_owned(),
        key_hash: None,
        key_type: None,
        states: Vec::new(),
        subtasks: vec![subtask(0, None, Some(lists)), finished],
        ..operator()
    }
}

fn counter(segments: Vec<SegmentRef>) -> OperatorManifest {
    let state = |id, name: &str, kind: &str, ttl_ms| StateDescription {
        id,
        name: name.to_owned(),
        kind: kind.to_owned(),
        value_type: "u64".to_owned(),
        ttl_ms,
    };
    let keyed =
        |(index, (groups, segment))| subtask(index, Some(KeyedManifest { groups, segment }), None);
    OperatorManifest {
        states: vec![state(0, "count", "value", None), state(1, "late", "map", Some(60_000))],
        subtasks: (0..).zip(GROUPS.into_iter().zip(segments)).map(keyed).collect(),
        ..operator()
    }
}

fn operator() -> OperatorManifest {
    OperatorManifest {
        name: "count by carrier".to_owned(),
        parallelism: Parallelism::new(2).expect("not zero"),
        max_parallelism: MaxParallelism::new(8).expect("in bounds"),
        key_hash: Some(key_group::FINGERPRINT.to_owned()),
        key_type: Some("String".to_owned()),
        states: Vec::new(),
        subtasks: Vec::new(),
    }
}

/// Writes the good snapshot, everything in it fixed.
async fn write_golden(folder: &Path) {
    let location = location(folder);
    let (chunks, references) = state_file();
    let crc32c = crc32c::crc32c(&chunks.concat());
    let entry = location.write_file(STATE_FILE, chunks, crc32c).await.expect("written");
    let manifest = Manifest {
        format: FORMAT.to_owned(),
        version: FORMAT_VERSION,
        kind: SnapshotKind::Savepoint,
        form: SnapshotForm::Native,
        job: JobInfo { id: JobId::from_name("flights"), name: "flights".to_owned(), folder: None },
        checkpoint: CheckpointId(42),
        attempt: AttemptId(3),
        triggered_at: Timestamp(1_700_000_000_000),
        completed_at: Timestamp(1_700_000_000_125),
        operators: BTreeMap::from([("count".into(), counter(references)), ("in".into(), source())]),
        files: BTreeMap::from([(STATE_FILE.to_owned(), entry)]),
    };
    location.commit(&manifest).await.expect("committed");
}

/// Copies the good snapshot to `name` and spoils the copy.
fn spoil(name: &str, change: impl FnOnce(&Path)) {
    let folder = fixture(TODAYS, name);
    fs::create_dir_all(&folder).expect("a folder");
    for file in ["_metadata", STATE_FILE] {
        fs::copy(fixture(TODAYS, "good").join(file), folder.join(file)).expect("copied");
    }
    change(&folder);
}

fn alter(file: PathBuf, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(&file).expect("read");
    change(&mut bytes);
    fs::write(file, bytes).expect("written");
}

async fn write_fixtures() {
    fs::remove_dir_all(fixture(TODAYS, "")).or_else(ignore_missing).expect("removed");
    fs::create_dir_all(fixture(TODAYS, "good")).expect("a folder");
    write_golden(&fixture(TODAYS, "good")).await;
    spoil("missing-file", |folder| fs::remove_file(folder.join(STATE_FILE)).expect("removed"));
    spoil("truncated", |folder| {
        alter(folder.join(STATE_FILE), |bytes| bytes.truncate(bytes.len() - 1));
    });
    spoil("flipped-byte", |folder| alter(folder.join(STATE_FILE), |bytes| bytes[20] ^= 0x40));
    spoil("no-metadata", |folder| fs::remove_file(folder.join("_metadata")).expect("removed"));
    spoil("other-version", |folder| {
        alter(folder.join("_metadata"), |bytes| {
            let text = String::from_utf8(bytes.clone()).expect("json");
            *bytes = text.replacen("\"version\": 1", "\"version\": 999", 1).into_bytes();
        });
    });
    spoil("cut-metadata", |folder| {
        alter(folder.join("_metadata"), |bytes| bytes.truncate(bytes.len() / 2));
    });
    spoil("altered-metadata", |folder| {
        alter(folder.join("_metadata"), |bytes| {
            let text = String::from_utf8(bytes.clone()).expect("json");
            *bytes = text.replacen("\"checkpoint\": 42", "\"checkpoint\": 43", 1).into_bytes();
        });
    });
}

fn ignore_missing(error: std::io::Error) -> std::io::Result<()> {
    if error.kind() == std::io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

/// What restoring a fixture reports.
async fn refusal(version: &str, name: &str) -> SnapshotError {
    let location = location(&fixture(version, name));
    match location.load().await {
        Ok(manifest) => location.read_all(&manifest).await.expect_err("it is corrupt"),
        Err(error) => error,
    }
}

/// Not a check: writes the fixtures when the variable asks for it.
#[tokio::test]
#[ignore = "writes fixtures/keyed2 anew; needs TIDEGATE_WRITE_FIXTURES=1"]
async fn write_the_fixtures_anew() {
    assert_eq!(std::env::var("TIDEGATE_WRITE_FIXTURES").as_deref(), Ok("1"), "asked for");
    write_fixtures().await;
}

#[tokio::test]
async fn the_good_snapshots_restore_byte_for_byte() {
    for version in VERSIONS {
        restores(&fixture(version, "good")).await;
    }
}

async fn restores(folder: &Path) {
    let location = location(folder);
    let manifest = location.load().await.expect("loads");
    let loaded = location.read_all(&manifest).await.expect("reads");
    let mut found = Vec::new();
    for (subtask, groups) in
        manifest.operators[&OperatorUid::from("count")].subtasks.iter().zip(GROUPS)
    {
        let keyed = subtask.keyed.as_ref().expect("keyed state");
        let bytes = loaded.segment(&keyed.segment).expect("checked");
        let reader = KeyedSegmentReader::open(bytes).expect("opens");
        assert_eq!((reader.groups(), keyed.groups), (groups, groups));
        for block in reader.blocks_in(groups) {
            let mut bytes = block.bytes;
            let entries = (0..block.entries)
                .map(|_| codec::decode::<(String, u64)>(&mut bytes).expect("an entry"))
                .collect::<Vec<_>>();
            assert!(bytes.is_empty(), "nothing behind the entries");
            found.push((block.group.get(), block.state, entries));
        }
    }
    let expected = COUNTS.map(|(group, state, entries)| {
        (group, state, entries.iter().map(|(key, count)| ((*key).to_owned(), *count)).collect())
    });
    assert_eq!(found, expected);
    let source = &manifest.operators[&OperatorUid::from("in")].subtasks;
    let segment = &source[0].lists.as_ref().expect("operator state").segment;
    let bytes = loaded.segment(segment).expect("checked");
    assert_eq!(ListSegment::decode(&bytes).expect("decodes").states, lists());
    assert!(source[1].finished);
}

#[tokio::test]
async fn the_good_snapshot_is_still_written_the_same() {
    let folder = tempfile::tempdir().expect("a folder");
    write_golden(folder.path()).await;
    for file in ["_metadata", STATE_FILE] {
        let written = fs::read(folder.path().join(file)).expect("read");
        let golden = fs::read(fixture(TODAYS, "good").join(file)).expect("read");
        assert!(written == golden, "`{file}` has changed: that is a new format version");
    }
}

#[tokio::test]
async fn each_corrupt_snapshot_is_refused_for_its_own_reason() {
    for version in VERSIONS {
        corrupt_ones_are_refused(version).await;
    }
}

async fn corrupt_ones_are_refused(version: &str) {
    let length = fs::metadata(fixture(version, "good").join(STATE_FILE)).expect("there").len();
    let error = refusal(version, "missing-file").await;
    assert!(
        matches!(&error, SnapshotError::Missing { path } if path.ends_with(STATE_FILE)),
        "{error}"
    );
    let error = refusal(version, "truncated").await;
    assert!(
        matches!(&error, SnapshotError::Length { path, expected, found }
            if path.ends_with(STATE_FILE) && *expected == length && *found == length - 1),
        "{error}"
    );
    let error = refusal(version, "flipped-byte").await;
    assert!(
        matches!(&error, SnapshotError::Checksum { path, expected, found }
            if path.ends_with(STATE_FILE) && expected != found),
        "{error}"
    );
    let error = refusal(version, "no-metadata").await;
    assert!(
        matches!(&error, SnapshotError::NoMetadata { path } if path.ends_with("no-metadata")),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Invalid);
    let error = refusal(version, "other-version").await;
    assert!(matches!(&error, SnapshotError::Version { found: 999, .. }), "{error}");
    assert_eq!(error.kind(), ErrorKind::Incompatible);
    let error = refusal(version, "cut-metadata").await;
    assert!(
        matches!(&error, SnapshotError::Corrupt { path, .. } if path.ends_with("_metadata")),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    let error = refusal(version, "altered-metadata").await;
    assert!(
        matches!(&error, SnapshotError::Checksum { path, .. } if path.ends_with("_metadata")),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn a_fixture_restores_from_another_store_too() {
    let store = SnapshotStore::open("memory://fixtures").expect("opens");
    let location = store.savepoint(JobId::from_name("flights"), 1);
    let bytes = Bytes::from(fs::read(fixture(TODAYS, "good").join(STATE_FILE)).expect("read"));
    let crc32c = crc32c::crc32c(&bytes);
    let json = fs::read(fixture(TODAYS, "good").join("_metadata")).expect("read");
    let manifest = Manifest::parse(&json, "_metadata").expect("parses");
    location.write_file(STATE_FILE, vec![bytes], crc32c).await.expect("written");
    location.commit(&manifest).await.expect("committed");
    assert_eq!(location.load().await.expect("loads"), manifest);
    location.read_all(&manifest).await.expect("reads");
}

/// However a job is rescaled, what its subtasks read of a snapshot by ranges is what a whole read finds.
#[tokio::test]
async fn the_good_snapshots_are_read_by_ranges() {
    for version in VERSIONS {
        let location = location(&fixture(version, "good"));
        let manifest = location.load().await.expect("loads");
        let loaded = location.read_all(&manifest).await.expect("reads");
        let operator = &manifest.operators[&OperatorUid::from("count")];
        for keyed in operator.subtasks.iter().filter_map(|subtask| subtask.keyed.as_ref()) {
            let states = operator.states.clone().into();
            let segment = StoredSegment::new(&location, &manifest, &keyed.segment, states);
            let segment = Arc::new(segment.expect("it lies within its file"));
            let whole = loaded.segment(&keyed.segment).expect("checked");
            let whole = KeyedSegmentReader::open(whole).expect("opens");
            for group in keyed.groups.start..keyed.groups.end {
                let groups = KeyGroupRange { start: group, end: group + 1 };
                let mut found = Vec::new();
                for request in segment.requests(groups, 1).await.expect("its end is whole") {
                    found.extend(request.read(|bytes| bytes).await.expect("it is whole"));
                }
                let blocks = found.iter().map(|block| block.as_block());
                assert!(blocks.eq(whole.blocks_in(groups)), "{version}: {group}");
            }
        }
    }
}
