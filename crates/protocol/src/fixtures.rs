//! INV-STABLE: messages as the first version wrote them, one a line in `fixtures/1.0.txt`, are read
//! to this day. A field that has changed its number or type does not pass; one that was added does.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::{Debug, Write},
    time::Duration,
};

use bytes::Bytes;
use prost::Message;
use tidegate_checkpoint::protocol::{
    Command, Failure, OperatorAck, ProcessAck, Report, SubtaskStats,
};
use tidegate_snapshot::{
    manifest::{
        FileEntry, InlineBytes, KeyedManifest, ListSummary, ListsManifest, SegmentLocation,
        SegmentRef, SnapshotForm, StateDescription, SubtaskManifest,
    },
    segment::Redistribution,
};
use tidegate_types::{
    AttemptId, Barrier, BarrierKind, CheckpointId, ErrorKind, EventTime, JobId, KeyGroupRange,
    MaxParallelism, Parallelism, ProcessIndex, RunToken, SnapshotFigures, SubtaskFigures,
    SubtaskIndex, Superseded, Timestamp,
};

use crate::{
    coordination::{Figures, FromProcess, Hello, Start, ToProcess},
    link::Word,
    resources::{
        FromTaskManager, Hardware, LogFile, LogPart, ProcessKey, Registration, StartProcess,
        ToTaskManager,
    },
    version, wire,
};

const VERSION_1_0: &str = include_str!("../fixtures/1.0.txt");

const PROCESS: ProcessIndex = ProcessIndex(3);
const CHECKPOINT: CheckpointId = CheckpointId(70_000);

/// A message and how it was written.
struct Example {
    name: &'static str,
    bytes: Vec<u8>,
    /// What other bytes are read as.
    read: fn(&[u8]) -> String,
    /// What they should be read as.
    expected: String,
}

fn example<T: Word + Debug>(name: &'static str, word: T) -> Example {
    let expected = format!("{word:?}");
    let bytes = word.into_wire().encode_to_vec();
    let read = |bytes: &[u8]| {
        let wire = T::Wire::decode(bytes).expect("well-formed");
        format!("{:?}", T::from_wire(wire).expect("known"))
    };
    Example { name, bytes, read, expected }
}

/// One that is not a [`Word`] of its own.
fn raw<W, T>(name: &'static str, message: T) -> Example
where
    W: Message + Default + From<T> + TryInto<T>,
    W::Error: Debug,
    T: Debug,
{
    let expected = format!("{message:?}");
    let bytes = W::from(message).encode_to_vec();
    let read = |bytes: &[u8]| {
        let read: T = W::decode(bytes).expect("well-formed").try_into().expect("known");
        format!("{read:?}")
    };
    Example { name, bytes, read, expected }
}

fn hello() -> Hello {
    Hello {
        job: JobId::from_name("flights"),
        attempt: Some(AttemptId(0)),
        token: u64::MAX - 1,
        process: PROCESS,
        fingerprint: "fingerprint".to_owned(),
        data_address: "10.0.0.1:4000".to_owned(),
    }
}

fn start() -> Start {
    Start {
        attempt: AttemptId(2),
        token: u64::MAX - 1,
        parallelism: Parallelism::new(6).unwrap(),
        max_parallelism: MaxParallelism::new(128).unwrap(),
        restored_from: Some("s3://bucket/chk-7".to_owned()),
        addresses: vec!["10.0.0.1:4000".to_owned(), "10.0.0.2:4000".to_owned()],
        concludes: false,
        leaves_output: false,
        superseded: Superseded::others(),
        telling: false,
    }
}

fn start_superseding() -> Start {
    Start { superseded: Superseded::runs([RunToken(1), RunToken(u64::MAX)]), ..start() }
}

fn start_sparing() -> Start {
    Start { superseded: Superseded::Others { but: BTreeSet::from([1, u64::MAX]) }, ..start() }
}

fn ack() -> ProcessAck {
    let file = FileEntry { length: 300, crc32c: 0x0102_0304 };
    ProcessAck {
        checkpoint: CHECKPOINT,
        process: PROCESS,
        operators: vec![operator_ack()],
        files: BTreeMap::from([("state-3".to_owned(), file)]),
    }
}

fn operator_ack() -> OperatorAck {
    OperatorAck {
        uid: "sum".into(),
        name: "Sum".to_owned(),
        max_parallelism: MaxParallelism::new(128).unwrap(),
        key_hash: Some("xxh3".to_owned()),
        key_type: Some("u64".to_owned()),
        states: vec![StateDescription {
            id: 1,
            name: "total".to_owned(),
            kind: "value".to_owned(),
            value_type: "i64".to_owned(),
            ttl_ms: Some(60_000),
        }],
        subtask: subtask(),
        stats: SubtaskStats { sync_us: 1, async_us: 2, alignment_us: 3, bytes: 4 },
    }
}

fn subtask() -> SubtaskManifest {
    let file = SegmentLocation::File { path: "state-3".to_owned(), offset: 5 };
    let inline = SegmentLocation::Inline(InlineBytes(Bytes::from_static(b"abc")));
    let segment = |location, length| SegmentRef { location, length, crc32c: 9 };
    SubtaskManifest {
        index: SubtaskIndex(4),
        finished: true,
        keyed: Some(KeyedManifest {
            groups: KeyGroupRange { start: 10, end: 20 },
            segment: segment(file, 295),
        }),
        lists: Some(ListsManifest {
            lists: vec![ListSummary {
                item_type: tidegate_snapshot::segment::ItemType::Unknown,
                name: "positions".to_owned(),
                redistribution: Redistribution::Union,
                items: 2,
            }],
            segment: segment(inline, 3),
        }),
        tables: Vec::new(),
    }
}

fn reports() -> Vec<Example> {
    let report = |name, report| example(name, FromProcess::Report(report));
    let failure = Failure {
        kind: ErrorKind::User,
        message: "division by zero".to_owned(),
        uid: Some("sum".into()),
        subtask: Some(SubtaskIndex(4)),
    };
    let (process, checkpoint, reason) = (PROCESS, CHECKPOINT, "disk full".to_owned());
    vec![
        report("restored", Report::Restored { process }),
        report("acknowledged", Report::Acknowledged(ack())),
        report("declined", Report::Declined { checkpoint, process, reason }),
        report("inputs_ended", Report::InputsEnded { process }),
        report("subtask_ended", Report::SubtaskEnded { process }),
        report("committed", Report::Committed { checkpoint, process }),
        report("closed", Report::Closed { process }),
        report("failed", Report::Failed { process, failure }),
    ]
}

fn commands() -> Vec<Example> {
    let command = |name, command| example(name, ToProcess::Command(command));
    let trigger = |name, kind| {
        let barrier = Barrier { checkpoint: CHECKPOINT, kind };
        command(
            name,
            Command::Trigger {
                barrier,
                target: "/checkpoints".to_owned(),
                form: SnapshotForm::Native,
            },
        )
    };
    vec![
        command("begin", Command::Begin),
        trigger("trigger_checkpoint", BarrierKind::Checkpoint),
        trigger("trigger_savepoint", BarrierKind::Savepoint),
        trigger("trigger_stop", BarrierKind::StopWithSavepoint { drain: false }),
        trigger("trigger_drain", BarrierKind::StopWithSavepoint { drain: true }),
        trigger("trigger_final", BarrierKind::Final),
        command("completed", Command::Completed { checkpoint: CHECKPOINT }),
        command("savepoint_completed", Command::SavepointCompleted { checkpoint: CHECKPOINT }),
        command("aborted", Command::Aborted { checkpoint: CHECKPOINT }),
        command("finish", Command::Finish),
        command("cancel", Command::Cancel),
    ]
}

fn errors() -> Vec<Example> {
    let failure = |name, kind| {
        let message = "why".to_owned();
        raw::<wire::Failure, _>(name, Failure { kind, message, uid: None, subtask: None })
    };
    vec![
        failure("failure_invalid", ErrorKind::Invalid),
        failure("failure_unavailable", ErrorKind::Unavailable),
        failure("failure_fenced", ErrorKind::Fenced),
        failure("failure_incompatible", ErrorKind::Incompatible),
        failure("failure_corrupt", ErrorKind::Corrupt),
        failure("failure_user", ErrorKind::User),
        failure("failure_internal", ErrorKind::Internal),
    ]
}

fn conversation() -> Vec<Example> {
    let figures = Figures {
        records: 1_000_000,
        progress: Some((5, 9)),
        in_flight_max: Duration::from_millis(100),
        first_record: Some(Timestamp(1_700_000_000_000)),
        ..Figures::default()
    };
    let of_subtasks = Figures {
        subtasks: vec![SubtaskFigures {
            task: 1,
            subtask: SubtaskIndex(3),
            records_in: 1000,
            records_out: 10,
            busy: Duration::from_millis(5),
            backpressured: Duration::from_millis(6),
            idle: Duration::from_millis(7),
            watermark: Some(EventTime(1_700_000_000_000)),
        }],
        snapshots: vec![SnapshotFigures { checkpoint: CheckpointId(9), subtasks: 2, bytes: 4096 }],
        ..Figures::default()
    };
    vec![
        raw::<wire::Hello, _>("hello", hello()),
        example("start", ToProcess::Start(start())),
        example("start_superseding", ToProcess::Start(start_superseding())),
        example("start_sparing", ToProcess::Start(start_sparing())),
        example("start_concluding", ToProcess::Start(Start { concludes: true, ..start() })),
        example("start_leaving_output", ToProcess::Start(Start { leaves_output: true, ..start() })),
        example("start_telling", ToProcess::Start(Start { telling: true, ..start() })),
        example("refused", ToProcess::Refused("another plan".to_owned())),
        example("figures", FromProcess::Figures(figures)),
        example("figures_of_subtasks", FromProcess::Figures(of_subtasks)),
    ]
}

fn key() -> ProcessKey {
    ProcessKey { job: JobId::from_name("flights"), attempt: AttemptId(2), process: PROCESS }
}

fn from_task_manager() -> Vec<Example> {
    let registration = Registration {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        host: "10.0.0.1".to_owned(),
        slots: 4,
        hardware: Hardware { cpu_cores: 2, memory_bytes: 8 << 30 },
    };
    let ended = FromTaskManager::Ended {
        key: key(),
        status: "exit status: 0".to_owned(),
        success: true,
        output_tail: "done".to_owned(),
    };
    let log =
        LogFile { name: "a.log".to_owned(), bytes: 7, modified: Timestamp(1_700_000_000_000) };
    let part = LogPart { total: 7, bytes: Bytes::from_static(b"abc") };
    let why = "there is no log `b.log`".to_owned();
    vec![
        raw::<wire::Registration, _>("registration", registration),
        example(
            "task_manager_heartbeat",
            FromTaskManager::Heartbeat { processes: vec![key(), key()] },
        ),
        example("leaving", FromTaskManager::Leaving),
        example("process_started", FromTaskManager::Started(key(), 4711)),
        example("process_ended", ended),
        example("logs", FromTaskManager::Logs { request: 3, logs: vec![log] }),
        example("log_part", FromTaskManager::LogPart { request: 4, part: Ok(part) }),
        example("no_log_part", FromTaskManager::LogPart { request: 4, part: Err(why) }),
    ]
}

fn to_task_manager() -> Vec<Example> {
    let registered = ToTaskManager::Registered {
        heartbeat_interval: Duration::from_secs(10),
        heartbeat_timeout: Duration::from_secs(50),
    };
    let start = StartProcess {
        key: key(),
        token: u64::MAX - 1,
        threads: 2,
        processes: 3,
        parallelism: 6,
        artifact: "ab".repeat(32),
        arguments: vec!["--input".to_owned(), "a b".to_owned()],
        coordinator: "http://10.0.0.1:6123".to_owned(),
        configuration: BTreeMap::from([("key".to_owned(), "value".to_owned())]).into(),
        credential: None,
    };
    let read_log =
        ToTaskManager::ReadLog { request: 4, name: "a.log".to_owned(), offset: 4, length: 1 << 20 };
    vec![
        example("registered", registered),
        example("task_manager_refused", ToTaskManager::Refused("no slots".to_owned())),
        example("job_manager_heartbeat", ToTaskManager::Heartbeat),
        example("start_process", ToTaskManager::StartProcess(start)),
        example("end_process", ToTaskManager::EndProcess(key())),
        example("list_logs", ToTaskManager::ListLogs { request: 3 }),
        example("read_log", read_log),
    ]
}

fn examples() -> Vec<Example> {
    let all =
        [conversation(), commands(), reports(), errors(), from_task_manager(), to_task_manager()];
    all.into_iter().flatten().collect()
}

fn fixtures() -> BTreeMap<&'static str, Vec<u8>> {
    let lines = VERSION_1_0.lines().map(|line| line.split_once(' ').expect("a name and bytes"));
    lines.map(|(name, hex)| (name, from_hex(hex))).collect()
}

fn from_hex(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal digits");
    (0..hex.len()).step_by(2).map(digits).collect()
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        write!(hex, "{byte:02x}").expect("a text takes everything");
        hex
    })
}

#[test]
fn inv_stable_what_version_1_0_wrote_is_read() {
    let fixtures = fixtures();
    for example in examples() {
        let name = example.name;
        let line = || format!("{name} {}", to_hex(&example.bytes));
        let written = fixtures.get(name).unwrap_or_else(|| panic!("no fixture: {}", line()));
        assert_eq!((example.read)(written), example.expected, "{name}");
    }
}

#[test]
fn every_fixture_has_its_message() {
    let names = examples().iter().map(|example| example.name).collect::<BTreeSet<_>>();
    assert_eq!(names, fixtures().into_keys().collect());
}

#[test]
fn a_fetch_request_is_written_as_by_version_1_0() {
    let request = wire::FetchRequest { protocol_version: version::ours(), hash: "ab".to_owned() };
    assert_eq!(to_hex(&request.encode_to_vec()), "0a02080112026162");
    let chunk = wire::Chunk { data: Bytes::from_static(b"xyz") };
    assert_eq!(to_hex(&chunk.encode_to_vec()), "0a0378797a");
}
