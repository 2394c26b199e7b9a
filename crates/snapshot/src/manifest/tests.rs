use proptest::prelude::*;

use super::*;

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
                item_type: crate::segment::ItemType::Own,
                name: "splits".into(),
                redistribution: Redistribution::Union,
                items: 1,
            }],
            segment: segment(inline, 3),
        }),
        tables: Vec::new(),
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
        job: JobInfo { id: JobId::from_name("a"), name: "a".into(), folder: None },
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
fn it_reads_back() {
    let manifest = manifest();
    assert_eq!(Manifest::parse(&manifest.to_json(), "_metadata").expect("parses"), manifest);
    assert_eq!(manifest.state_bytes(), 11);
}

#[test]
fn another_version_is_named() {
    let error = problem(|manifest| manifest.version = 9);
    assert!(matches!(error, SnapshotError::Version { found: 9, .. }), "{error}");
    assert_eq!(error.kind(), tidegate_types::ErrorKind::Incompatible);
}

fn operator(manifest: &mut Manifest) -> &mut OperatorManifest {
    manifest.operators.values_mut().next().expect("there is one")
}

/// A manifest whose operator has a subtask for each of these ranges of key groups.
fn with_groups(manifest: &mut Manifest, ranges: &[(u32, u32)]) {
    let operator = operator(manifest);
    let subtask = operator.subtasks[0].clone();
    operator.parallelism = Parallelism::new(ranges.len() as u32).expect("not empty");
    let subtasks = ranges.iter().zip(operator.parallelism.subtasks());
    let subtasks = subtasks.map(|(&(start, end), index)| {
        let mut subtask = SubtaskManifest { index, ..subtask.clone() };
        subtask.keyed.as_mut().expect("keyed").groups = KeyGroupRange { start, end };
        subtask
    });
    operator.subtasks = subtasks.collect();
}

#[test]
fn what_contradicts_itself_is_refused_and_named() {
    let listed = |path: &str| {
        let path = path.to_owned();
        problem(move |manifest| {
            manifest.files.insert(path, FileEntry { length: 1, crc32c: 1 });
        })
    };
    let groups = |ranges: &[(u32, u32)]| problem(|manifest| with_groups(manifest, ranges));
    let problems = [
        (problem(|manifest| manifest.files.clear()), "not listed"),
        (
            problem(|manifest| manifest.files.get_mut("state-0").expect("there").length = 9),
            "beyond the end",
        ),
        (listed("../x"), "leads out"),
        (listed("."), "leads out"),
        (listed("a/./x"), "leads out"),
        (listed(""), "leads out"),
        (listed("_metadata"), "as a state file"),
        (problem(|manifest| manifest.format = "other".into()), "its format is `other`"),
        (problem(|manifest| operator(manifest).subtasks[0].index = SubtaskIndex(1)), "too many"),
        (groups(&[(0, 129)]), "key groups 0 to 129"),
        (groups(&[(0, 64), (70, 70)]), "key groups 70 to 70"),
        (groups(&[(9, 8)]), "key groups 9 to 8"),
        (groups(&[(0, 65), (64, 128)]), "0 to 65 and 64 to 128, which overlap"),
        (
            problem(|manifest| {
                let lists = operator(manifest).subtasks[0].lists.as_mut().expect("lists");
                lists.lists[0].items = u64::MAX;
            }),
            "list items in a segment of 3 bytes",
        ),
    ];
    for (error, expected) in problems {
        assert!(matches!(error, SnapshotError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

/// The file with one text replaced, and the checksum left as it was.
fn edited(from: &str, to: &str) -> Result<Manifest, SnapshotError> {
    let json = String::from_utf8(manifest().to_json()).expect("text");
    assert!(json.contains(from), "{json}");
    Manifest::parse(json.replacen(from, to, 1).as_bytes(), "x/_metadata")
}

#[test]
fn a_changed_value_is_refused_and_a_changed_layout_is_not() {
    let error = edited("\"attempt\": 0", "\"attempt\": 1").expect_err("it was altered");
    let SnapshotError::Checksum { path, expected, found } = &error else { panic!("{error}") };
    assert_eq!(path, "x/_metadata");
    let json = String::from_utf8(manifest().to_json()).expect("text");
    assert!(json.ends_with(&format!("\"checksum\": \"crc32c:{expected:08x}\"\n}}\n")), "{json}");
    // The message tells the checksum of a file that was changed on purpose.
    let json = json.replacen("\"attempt\": 0", "\"attempt\": 1", 1);
    let json = json.replacen(&format!("{expected:08x}"), &format!("{found:08x}"), 1);
    let changed = Manifest::parse(json.as_bytes(), "x/_metadata").expect("it fits again");
    assert_eq!(changed.attempt, AttemptId(1));
    assert_eq!(edited("\"attempt\": 0,", "\"attempt\"  :0  ,").expect("the same"), manifest());
}

#[test]
fn the_checksum_does_not_depend_on_the_order_of_fields() {
    let read = |json: &str| checksum::of(&serde_json::from_str(json).expect("json"));
    let sorted = r#"{"a":{"x":[1,null,"\"ü"],"y":2},"b":true}"#;
    assert_eq!(read(r#"{ "b": true, "a": {"y": 2, "x": [1, null, "\"\u00fc"]} }"#), read(sorted));
    assert_eq!(read(sorted), crc32c::crc32c(sorted.as_bytes()));
}

#[test]
fn a_missing_or_malformed_checksum_is_refused() {
    let field = format!("\"{}\"", checksum::FIELD);
    for (from, to) in [(field.as_str(), "\"other\""), ("crc32c:", "md5:"), ("crc32c:", "crc32c:+")]
    {
        let error = edited(from, to).expect_err("no checksum");
        assert!(matches!(error, SnapshotError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains("`checksum`"), "{error}");
    }
}

#[test]
fn no_key_groups_are_refused_before_anybody_divides_by_them() {
    let json = String::from_utf8(manifest().to_json()).expect("text");
    let error =
        parse_sealed(&json.replacen("\"max_parallelism\": 128", "\"max_parallelism\": 0", 1))
            .expect_err("no key groups");
    assert!(error.to_string().contains("0 is not a max parallelism"), "{error}");
}

/// Parses the text with the checksum that belongs to it, if it is JSON at all.
fn parse_sealed(json: &str) -> Result<Manifest, SnapshotError> {
    let Ok(mut value) = serde_json::from_str::<Value>(json) else {
        return Manifest::parse(json.as_bytes(), "_metadata");
    };
    if let Some(fields) = value.as_object_mut() {
        fields.remove(checksum::FIELD);
        let checksum = checksum::to_text(checksum::of(&Value::Object(fields.clone())));
        fields.insert(checksum::FIELD.to_owned(), checksum.into());
    }
    Manifest::parse(&serde_json::to_vec(&value).expect("json"), "_metadata")
}

/// What a damaged or hostile file may say in place of a number.
fn numbers() -> impl Strategy<Value = String> {
    let edges = [0, 1, 3, 127, 128, 129, u64::from(u32::MAX), u64::MAX - 2, u64::MAX];
    let edges = prop::sample::select(edges.to_vec()).prop_map(|number| number.to_string());
    let odd = prop::sample::select(vec!["-1", "1e9", "null", "\"\"", "[]", "{}"]);
    prop_oneof![3 => edges, 1 => odd.prop_map(str::to_owned)]
}

/// Replaces the number at `at`, counted over all numbers of the text.
fn replace_number(json: &str, at: prop::sample::Index, to: &str) -> String {
    let mut lines = json.lines().map(str::to_owned).collect::<Vec<_>>();
    let is_number =
        |line: &&mut String| line.trim_end_matches(',').ends_with(|c: char| c.is_ascii_digit());
    let mut numbers = lines.iter_mut().filter(is_number).collect::<Vec<_>>();
    let line = at.get_mut(&mut numbers);
    let name = line.rsplit_once(' ').expect("a field").0;
    let comma = if line.ends_with(',') { "," } else { "" };
    **line = format!("{name} {to}{comma}");
    lines.join("\n")
}

proptest! {
    #[test]
    fn an_altered_byte_is_noticed_or_means_nothing(at: prop::sample::Index, to: u8) {
        let mut json = manifest().to_json();
        let at = at.index(json.len());
        json[at] = to;
        if let Ok(read) = Manifest::parse(&json, "_metadata") {
            prop_assert_eq!(read, manifest());
        }
    }

    /// The checksum fits, so that what comes after it is put to the test.
    #[test]
    fn altered_numbers_never_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), numbers()), 1..4),
    ) {
        let mut json = String::from_utf8(manifest().to_json()).expect("text");
        for (at, to) in changes {
            json = replace_number(&json, at, &to);
        }
        if let Ok(read) = parse_sealed(&json) {
            let _ = read.state_bytes();
            prop_assert_eq!(Manifest::parse(&read.to_json(), "_metadata").expect("again"), read);
        }
    }

    #[test]
    fn sealed_bytes_never_panic(at: prop::sample::Index, to: u8, length in 0..9_usize) {
        let mut json = manifest().to_json();
        let at = at.index(json.len());
        let end = (at + length).min(json.len());
        json.splice(at..end, [to]);
        if let Ok(read) = parse_sealed(&String::from_utf8_lossy(&json)) {
            prop_assert_eq!(Manifest::parse(&read.to_json(), "_metadata").expect("again"), read);
        }
    }
}

#[test]
fn any_truncation_is_refused() {
    let json = manifest().to_json();
    for length in 0..json.len() - 2 {
        assert!(Manifest::parse(&json[..length], "_metadata").is_err());
    }
}
