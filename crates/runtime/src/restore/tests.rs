use tidegate_checkpoint::restore::{PlannedOperator, Program, plan_restore};
use tidegate_snapshot::{
    manifest::{
        FORMAT, FORMAT_VERSION, InlineBytes, JobInfo, KeyedManifest, ListSummary, ListsManifest,
        OperatorManifest, SnapshotForm, SnapshotKind, SubtaskManifest,
    },
    segment::{BlockStream, ItemType, KeyedSegmentWriter, ListSegment, ListState, Redistribution},
    store::SnapshotStore,
};
use tidegate_types::{
    AttemptId, JobId, KeyGroup, KeyGroupRange, MaxParallelism, Parallelism, Timestamp, key_group,
};

use super::*;
use crate::host::Host;

const MAX: u32 = 8;

fn inline(bytes: Vec<u8>) -> SegmentRef {
    let (length, crc32c) = (bytes.len() as u64, crc32c::crc32c(&bytes));
    SegmentRef { location: SegmentLocation::Inline(InlineBytes(bytes.into())), length, crc32c }
}

/// A subtask of two, with a block for each of its groups and an item of a split and a union list.
fn subtask(index: u32) -> SubtaskManifest {
    let groups = KeyGroupRange { start: index * MAX / 2, end: (index + 1) * MAX / 2 };
    let mut writer = KeyedSegmentWriter::new(groups);
    for group in groups.start..groups.end {
        writer.begin_block(KeyGroup(group), 0);
        writer.buffer().push(group as u8);
        writer.end_block(1);
    }
    let list = |name: &str, redistribution| ListState {
        name: name.to_owned(),
        redistribution,
        item_type: ItemType::Unknown,
        items: vec![vec![index as u8].into()],
    };
    let states = vec![list("split", Redistribution::Split), list("union", Redistribution::Union)];
    let lists = states.iter().map(ListSummary::of).collect();
    let segment = inline(ListSegment { states }.encode());
    SubtaskManifest {
        index: SubtaskIndex(index),
        finished: false,
        keyed: Some(KeyedManifest { groups, segment: inline(writer.finish()) }),
        lists: Some(ListsManifest { lists, segment }),
        tables: Vec::new(),
    }
}

fn manifest() -> Manifest {
    let operator = OperatorManifest {
        name: "sum".to_owned(),
        parallelism: Parallelism::new(2).expect("not zero"),
        max_parallelism: MaxParallelism::new(MAX).expect("in bounds"),
        key_hash: Some(key_group::FINGERPRINT.to_owned()),
        key_type: Some("u64".to_owned()),
        states: Vec::new(),
        subtasks: (0..2).map(subtask).collect(),
    };
    Manifest {
        format: FORMAT.into(),
        version: FORMAT_VERSION,
        kind: SnapshotKind::Checkpoint,
        form: SnapshotForm::Native,
        job: JobInfo { id: JobId::from_name("restore"), name: "restore".into(), folder: None },
        checkpoint: CheckpointId(7),
        attempt: AttemptId(0),
        triggered_at: Timestamp(1),
        completed_at: Timestamp(2),
        operators: BTreeMap::from([("sum".into(), operator)]),
        files: BTreeMap::new(),
    }
}

async fn restored(parallelism: u32, subtasks: Range<u32>) -> RestoredJob {
    let manifest = manifest();
    let planned = PlannedOperator { uid: "sum".into(), name: "sum".to_owned(), rekeyed: false };
    let program = Program {
        operators: &[planned],
        parallelism: Parallelism::new(parallelism).expect("not zero"),
        max_parallelism: None,
        allow_non_restored_state: false,
    };
    let plan = plan_restore(&manifest, &program).expect("it fits");
    let store = SnapshotStore::open("memory://restore").expect("opens");
    let location = SnapshotLocation::from(store.place().folder("chk-7"));
    let snapshot = Snapshot::Stored(location, manifest);
    RestoredJob::new(snapshot, &plan, subtasks, &Host::system().threads)
        .await
        .expect("it can be read")
}

fn groups_of(mut stream: Box<dyn BlockStream>) -> Vec<u32> {
    let next = || stream.next_block().expect("it is whole").map(|block| block.group.get());
    std::iter::from_fn(next).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_subtask_is_handed_its_part_once() {
    let job = restored(4, 1..3).await;
    let part = job.state_of(&"sum".into(), SubtaskIndex(2)).expect("it is its own");
    assert_eq!(part.checkpoint, Some(CheckpointId(7)));
    assert_eq!(part.items("union").len(), 2, "everybody gets all");
    let blocks = Arc::clone(&part.keyed[0].blocks);
    let groups = tokio::task::spawn_blocking(move || groups_of(blocks.open())).await;
    let groups = groups.expect("no panic");
    assert_eq!(groups, [4, 5]);
    let again = job.state_of(&"sum".into(), SubtaskIndex(2)).err().expect("it is gone");
    assert!(matches!(again, SnapshotError::GivenUp), "{again}");
    job.state_of(&"sum".into(), SubtaskIndex(1)).expect("nobody has taken it");
}

#[tokio::test]
async fn what_the_snapshot_does_not_have_begins_empty() {
    let job = restored(2, 0..2).await;
    let part = job.state_of(&"new".into(), SubtaskIndex(0)).expect("it is new");
    assert_eq!(part.checkpoint, Some(CheckpointId(7)));
    assert!(part.keyed.is_empty() && part.lists.is_empty());
    let fresh = RestoredJob::default().state_of(&"sum".into(), SubtaskIndex(0));
    assert_eq!(fresh.expect("there is no snapshot").checkpoint, None);
}
