use super::*;
use crate::codec;

fn manifest() -> Manifest {
    let segment = |location, length| SegmentRef { location, length, crc32c: 7 };
    let inline = SegmentLocation::Inline(InlineBytes(Bytes::from_static(b"abc")));
    let file = SegmentLocation::File { path: "state-0".into(), offset: 2 };
    let subtask = SubtaskManifest {
        index: SubtaskIndex(0),
        finished: false,
        keyed: Some(KeyedManifest {
            groups: KeyGroupRange { start: 0, end: 128 },
            segment: segment(file, 8),
        }),
        lists: Some(ListsManifest {
            lists: vec![ListSummary {
                name: "splits".into(),
                redistribution: Redistribution::Union,
                items: 1,
            }],
            segment: segment(inline, 3),
        }),
    };
    let operator = OperatorManifest {
        name: "reduce".into(),
        parallelism: Parallelism::ONE,
        max_parallelism: MaxParallelism::new(128).expect("in bounds"),
        key_hash: None,
        key_type: Some("String".into()),
        states: vec![],
        subtasks: vec![subtask],
    };
    Manifest {
        format: FORMAT.into(),
        version: FORMAT_VERSION,
        kind: SnapshotKind::Checkpoint,
        form: SnapshotForm::Native,
        job: JobInfo { id: JobId::from_name("a"), name: "a".into() },
        checkpoint: CheckpointId(3),
        attempt: AttemptId(0),
        triggered_at: Timestamp(1),
        completed_at: Timestamp(2),
        operators: BTreeMap::from([("sum".into(), operator)]),
        files: BTreeMap::from([("state-0".to_owned(), FileEntry { length: 10, crc32c: 1 })]),
    }
}

fn problem(change: impl FnOnce(&mut Manifest)) -> SnapshotError {
    let mut manifest = manifest();
    change(&mut manifest);
    Manifest::parse(&manifest.to_json(), "x/_metadata").expect_err("it is wrong")
}

#[test]
fn it_reads_back_as_json_and_its_parts_in_the_native_codec() {
    let manifest = manifest();
    assert_eq!(Manifest::parse(&manifest.to_json(), "_metadata").expect("parses"), manifest);
    assert_eq!(manifest.state_bytes(), 11);
    let operator = &manifest.operators[&OperatorUid::from("sum")];
    let mut bytes = Vec::new();
    codec::encode(&operator.subtasks, &mut bytes).expect("encodes");
    let back = codec::decode_exact::<Vec<SubtaskManifest>>(&bytes).expect("decodes");
    assert_eq!(back, operator.subtasks);
}

#[test]
fn another_version_is_named() {
    let error = problem(|manifest| manifest.version = 9);
    assert!(matches!(error, SnapshotError::Version { found: 9, .. }), "{error}");
    assert_eq!(error.kind(), tidegate_types::ErrorKind::Incompatible);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let problems = [
        problem(|manifest| manifest.files.clear()),
        problem(|manifest| manifest.files.get_mut("state-0").expect("there").length = 9),
        problem(|manifest| {
            manifest.files.insert("../x".into(), FileEntry { length: 1, crc32c: 1 });
        }),
        problem(|manifest| manifest.format = "other".into()),
        problem(|manifest| {
            let operator = manifest.operators.values_mut().next().expect("there");
            operator.subtasks[0].index = SubtaskIndex(1);
        }),
    ];
    for error in problems {
        assert!(matches!(error, SnapshotError::Corrupt { .. }), "{error}");
    }
}

#[test]
fn any_truncation_is_refused() {
    let json = manifest().to_json();
    for length in 0..json.len() - 2 {
        assert!(Manifest::parse(&json[..length], "_metadata").is_err());
    }
}
