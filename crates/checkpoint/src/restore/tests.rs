use bytes::Bytes;
use tidegate_snapshot::manifest::{
    FORMAT, FORMAT_VERSION, InlineBytes, JobInfo, KeyedManifest, ListSummary, ListsManifest,
    SegmentLocation, SnapshotForm, SnapshotKind,
};
use tidegate_types::{AttemptId, CheckpointId, JobId, Timestamp};

use super::*;

fn max(count: u32) -> MaxParallelism {
    MaxParallelism::new(count).expect("in bounds")
}

fn parallelism(count: u32) -> Parallelism {
    Parallelism::new(count).expect("not zero")
}

/// A segment whose checksum tells whose it is.
fn segment(old: u32) -> SegmentRef {
    let location = SegmentLocation::Inline(InlineBytes(Bytes::new()));
    SegmentRef { location, length: 0, crc32c: old }
}

fn operator(old_parallelism: u32, redistribution: Redistribution) -> OperatorManifest {
    let p = parallelism(old_parallelism);
    let subtask = |index: SubtaskIndex| SubtaskManifest {
        index,
        finished: true,
        keyed: Some(KeyedManifest {
            groups: KeyGroupRange::owned_by(index, p, max(128)),
            segment: segment(index.get()),
        }),
        lists: Some(ListsManifest {
            lists: vec![ListSummary {
                name: "items".into(),
                redistribution,
                items: 3,
                item_type: tidegate_snapshot::segment::ItemType::Unknown,
            }],
            segment: segment(index.get()),
        }),
        tables: Vec::new(),
    };
    OperatorManifest {
        name: "process".into(),
        parallelism: p,
        max_parallelism: max(128),
        key_hash: Some(key_group::FINGERPRINT.into()),
        key_type: Some("u64".into()),
        states: vec![],
        subtasks: p.subtasks().map(subtask).collect(),
    }
}

fn manifest(operators: Vec<(&str, OperatorManifest)>) -> Manifest {
    Manifest {
        format: FORMAT.into(),
        version: FORMAT_VERSION,
        kind: SnapshotKind::Savepoint,
        form: SnapshotForm::Native,
        job: JobInfo { id: JobId::from_name("a"), name: "a".into(), folder: None },
        checkpoint: CheckpointId(1),
        attempt: AttemptId(0),
        triggered_at: Timestamp(0),
        completed_at: Timestamp(0),
        operators: operators.into_iter().map(|(uid, operator)| (uid.into(), operator)).collect(),
        files: BTreeMap::new(),
    }
}

fn planned(uids: &[&str]) -> Vec<PlannedOperator> {
    let planned =
        |uid: &&str| PlannedOperator { uid: (*uid).into(), name: "process".into(), rekeyed: false };
    uids.iter().map(planned).collect()
}

fn program(operators: &[PlannedOperator], p: u32) -> Program<'_> {
    Program {
        operators,
        parallelism: parallelism(p),
        max_parallelism: None,
        allow_non_restored_state: false,
    }
}

#[test]
fn every_key_group_goes_to_exactly_one_new_subtask_from_its_old_owner() {
    for (old, new) in [(1, 4), (4, 1), (2, 3), (3, 2), (4, 4), (128, 5)] {
        let manifest = manifest(vec![("sum", operator(old, Redistribution::Split))]);
        let operators = planned(&["sum"]);
        let plan = plan_restore(&manifest, &program(&operators, new)).expect("fits");
        let subtasks = &plan.operators[&OperatorUid::from("sum")].subtasks;
        let mut seen = vec![0; 128];
        for (index, subtask) in subtasks.iter().enumerate() {
            let own =
                KeyGroupRange::owned_by(SubtaskIndex(index as u32), parallelism(new), max(128));
            for (segment, groups) in &subtask.keyed {
                let from = SubtaskIndex(segment.crc32c);
                let old_range = KeyGroupRange::owned_by(from, parallelism(old), max(128));
                for group in groups.numbers() {
                    assert!(own.contains(key_group::KeyGroup(group)));
                    assert!(old_range.contains(key_group::KeyGroup(group)));
                    seen[group as usize] += 1;
                }
            }
        }
        assert!(seen.iter().all(|count| *count == 1));
    }
}

fn taken(redistribution: Redistribution, old: u32, new: u32) -> Vec<Vec<(u32, u64)>> {
    let manifest = manifest(vec![("sum", operator(old, redistribution))]);
    let operators = planned(&["sum"]);
    let plan = plan_restore(&manifest, &program(&operators, new)).expect("fits");
    let items = |subtask: &SubtaskRestore| {
        let items = subtask
            .lists
            .iter()
            .flat_map(|range| (range.start..range.end).map(|item| (range.segment.crc32c, item)));
        items.collect()
    };
    plan.operators[&OperatorUid::from("sum")].subtasks.iter().map(items).collect()
}

#[test]
fn a_split_list_goes_evenly_and_in_order_to_all_a_union_list_whole_to_each() {
    let all = [0, 1].iter().flat_map(|old| (0..3).map(move |item| (*old, item)));
    let all = all.collect::<Vec<_>>();
    let split = taken(Redistribution::Split, 2, 4);
    assert_eq!(split.concat(), all);
    assert!(split.iter().all(|items| (1..=2).contains(&items.len())), "{split:?}");
    assert_eq!(taken(Redistribution::Union, 2, 3), vec![all; 3]);
    let copies = taken(Redistribution::Broadcast, 2, 3);
    assert!(copies.iter().all(|items| items.len() == 3), "{copies:?}");
}

#[test]
fn an_operator_that_is_gone_is_refused_by_uid_unless_that_is_allowed() {
    let manifest = manifest(vec![("sum", operator(1, Redistribution::Split))]);
    let operators = planned(&["other"]);
    let mut program = program(&operators, 1);
    let error = plan_restore(&manifest, &program).expect_err("it is gone");
    let message = error.to_string();
    assert!(message.contains("`sum`") && message.contains("--allow-non-restored-state"));
    program.allow_non_restored_state = true;
    let plan = plan_restore(&manifest, &program).expect("allowed");
    assert_eq!(plan.left_behind, ["sum".into()]);
    assert!(plan.operators.is_empty());
}

#[test]
fn what_does_not_fit_is_refused() {
    let one = |change: &dyn Fn(&mut OperatorManifest)| {
        let mut operator = operator(1, Redistribution::Split);
        change(&mut operator);
        manifest(vec![("sum", operator)])
    };
    let operators = planned(&["sum"]);
    let too_many = plan_restore(&one(&|_| {}), &program(&operators, 129));
    assert!(matches!(too_many, Err(RestoreError::Parallelism { .. })), "{too_many:?}");
    let other_max = Program { max_parallelism: Some(max(64)), ..program(&operators, 1) };
    let other_max = plan_restore(&one(&|_| {}), &other_max);
    assert!(matches!(other_max, Err(RestoreError::MaxParallelism { .. })), "{other_max:?}");
    let manifest = one(&|operator| operator.key_hash = Some("other".into()));
    let other_hash = plan_restore(&manifest, &program(&operators, 1));
    assert!(matches!(other_hash, Err(RestoreError::KeyHash { .. })), "{other_hash:?}");
}
