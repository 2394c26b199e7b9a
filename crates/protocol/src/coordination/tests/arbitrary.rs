//! Messages of every kind.

use std::time::Duration;

use bytes::Bytes;
use proptest::{collection, option, prelude::*};
use tidegate_checkpoint::protocol::{Failure, OperatorAck, ProcessAck, SubtaskStats};
use tidegate_snapshot::{
    manifest::{
        FileEntry, InlineBytes, KeyedManifest, ListSummary, ListsManifest, SegmentLocation,
        SegmentRef, SnapshotForm, StateDescription, SubtaskManifest,
    },
    segment::Redistribution,
};
use tidegate_types::{
    Barrier, BarrierKind, CheckpointId, ErrorKind, EventTime, KeyGroupRange, OperatorUid, RunToken,
    SnapshotFigures, SubtaskFigures, SubtaskIndex, Superseded, Timestamp,
};

use crate::coordination::*;

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

fn uid() -> impl Strategy<Value = OperatorUid> {
    text().prop_map(OperatorUid::from)
}

fn checkpoint() -> impl Strategy<Value = CheckpointId> {
    any::<u64>().prop_map(CheckpointId)
}

fn process() -> impl Strategy<Value = ProcessIndex> {
    any::<u32>().prop_map(ProcessIndex)
}

fn max_parallelism() -> impl Strategy<Value = MaxParallelism> {
    (1..=MaxParallelism::UPPER_BOUND).prop_map(|max| MaxParallelism::new(max).unwrap())
}

fn barrier_kind() -> impl Strategy<Value = BarrierKind> {
    prop_oneof![
        Just(BarrierKind::Checkpoint),
        Just(BarrierKind::Savepoint),
        any::<bool>().prop_map(|drain| BarrierKind::StopWithSavepoint { drain }),
        Just(BarrierKind::Final),
    ]
}

fn form() -> impl Strategy<Value = SnapshotForm> {
    prop_oneof![Just(SnapshotForm::Native), Just(SnapshotForm::Canonical)]
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        Just(Command::Begin),
        (checkpoint(), barrier_kind(), text(), form()).prop_map(
            |(checkpoint, kind, target, form)| {
                Command::Trigger { barrier: Barrier { checkpoint, kind }, target, form }
            }
        ),
        checkpoint().prop_map(|checkpoint| Command::Completed { checkpoint }),
        checkpoint().prop_map(|checkpoint| Command::SavepointCompleted { checkpoint }),
        checkpoint().prop_map(|checkpoint| Command::Aborted { checkpoint }),
        Just(Command::Finish),
        Just(Command::Cancel),
    ]
}

fn error_kind() -> impl Strategy<Value = ErrorKind> {
    prop_oneof![
        Just(ErrorKind::Invalid),
        Just(ErrorKind::Unavailable),
        Just(ErrorKind::Fenced),
        Just(ErrorKind::Incompatible),
        Just(ErrorKind::Corrupt),
        Just(ErrorKind::User),
        Just(ErrorKind::Internal),
    ]
}

fn failure() -> impl Strategy<Value = Failure> {
    let subtask = any::<u32>().prop_map(SubtaskIndex);
    (error_kind(), text(), option::of(uid()), option::of(subtask))
        .prop_map(|(kind, message, uid, subtask)| Failure { kind, message, uid, subtask })
}

fn segment() -> impl Strategy<Value = SegmentRef> {
    let inline = collection::vec(any::<u8>(), 0..40)
        .prop_map(|bytes| SegmentLocation::Inline(InlineBytes(Bytes::from(bytes))));
    let file =
        (text(), any::<u64>()).prop_map(|(path, offset)| SegmentLocation::File { path, offset });
    (prop_oneof![inline, file], any::<u64>(), any::<u32>())
        .prop_map(|(location, length, crc32c)| SegmentRef { location, length, crc32c })
}

fn lists() -> impl Strategy<Value = ListsManifest> {
    let redistribution = prop_oneof![
        Just(Redistribution::Split),
        Just(Redistribution::Union),
        Just(Redistribution::Broadcast),
    ];
    let list = (text(), redistribution, any::<u64>()).prop_map(|(name, redistribution, items)| {
        let item_type = tidegate_snapshot::segment::ItemType::Is("u64".to_owned());
        ListSummary { name, redistribution, items, item_type }
    });
    (collection::vec(list, 0..3), segment())
        .prop_map(|(lists, segment)| ListsManifest { lists, segment })
}

fn subtask() -> impl Strategy<Value = SubtaskManifest> {
    let keyed = (any::<u32>(), any::<u32>(), segment()).prop_map(|(start, end, segment)| {
        KeyedManifest { groups: KeyGroupRange { start, end }, segment }
    });
    (any::<u32>().prop_map(SubtaskIndex), any::<bool>(), option::of(keyed), option::of(lists()))
        .prop_map(|(index, finished, keyed, lists)| SubtaskManifest {
            index,
            finished,
            keyed,
            lists,
            tables: Vec::new(),
        })
}

fn state() -> impl Strategy<Value = StateDescription> {
    (any::<u16>(), text(), text(), text(), option::of(any::<u64>())).prop_map(
        |(id, name, kind, value_type, ttl_ms)| StateDescription {
            id,
            name,
            kind,
            value_type,
            ttl_ms,
        },
    )
}

fn stats() -> impl Strategy<Value = SubtaskStats> {
    any::<(u64, u64, u64, u64)>().prop_map(|(sync_us, async_us, alignment_us, bytes)| {
        SubtaskStats { sync_us, async_us, alignment_us, bytes }
    })
}

fn operator_ack() -> impl Strategy<Value = OperatorAck> {
    let keys = (option::of(text()), option::of(text()));
    let states = collection::vec(state(), 0..3);
    (uid(), text(), max_parallelism(), keys, states, subtask(), stats()).prop_map(
        |(uid, name, max_parallelism, (key_hash, key_type), states, subtask, stats)| OperatorAck {
            uid,
            name,
            max_parallelism,
            key_hash,
            key_type,
            states,
            subtask,
            stats,
        },
    )
}

fn ack() -> impl Strategy<Value = ProcessAck> {
    let file = any::<(u64, u32)>().prop_map(|(length, crc32c)| FileEntry { length, crc32c });
    let files = collection::btree_map(text(), file, 0..3);
    let operators = collection::vec(operator_ack(), 0..3);
    (checkpoint(), process(), operators, files).prop_map(
        |(checkpoint, process, operators, files)| ProcessAck {
            checkpoint,
            process,
            operators,
            files,
        },
    )
}

fn report() -> impl Strategy<Value = Report> {
    prop_oneof![
        1 => process().prop_map(|process| Report::Restored { process }),
        4 => ack().prop_map(Report::Acknowledged),
        1 => (checkpoint(), process(), text()).prop_map(|(checkpoint, process, reason)| {
            Report::Declined { checkpoint, process, reason }
        }),
        1 => process().prop_map(|process| Report::InputsEnded { process }),
        1 => process().prop_map(|process| Report::SubtaskEnded { process }),
        1 => (checkpoint(), process())
            .prop_map(|(checkpoint, process)| Report::Committed { checkpoint, process }),
        1 => process().prop_map(|process| Report::Closed { process }),
        2 => (process(), failure())
            .prop_map(|(process, failure)| Report::Failed { process, failure }),
    ]
}

fn figures() -> impl Strategy<Value = Figures> {
    let in_flight_max = any::<u64>().prop_map(Duration::from_nanos);
    let first_record = option::of(any::<u64>().prop_map(Timestamp));
    let subtasks = collection::vec(subtask_figures(), 0..3);
    let snapshots = collection::vec(snapshot_figures(), 0..3);
    let progress = option::of(any::<(u64, u64)>());
    (any::<(u64, u64)>(), progress, in_flight_max, first_record, subtasks, snapshots).prop_map(
        |(counts, progress, in_flight_max, first_record, subtasks, snapshots)| Figures {
            records: counts.0,
            progress,
            in_flight_max,
            progress_messages: counts.1,
            first_record,
            subtasks,
            snapshots,
        },
    )
}

fn subtask_figures() -> impl Strategy<Value = SubtaskFigures> {
    let watermark = option::of(any::<i64>().prop_map(EventTime));
    (any::<(u32, u32)>(), any::<[u64; 2]>(), any::<[u64; 3]>(), watermark).prop_map(
        |((task, subtask), [records_in, records_out], times, watermark)| {
            let [busy, backpressured, idle] = times.map(Duration::from_nanos);
            SubtaskFigures {
                task,
                subtask: SubtaskIndex(subtask),
                records_in,
                records_out,
                busy,
                backpressured,
                idle,
                watermark,
            }
        },
    )
}

fn snapshot_figures() -> impl Strategy<Value = SnapshotFigures> {
    (checkpoint(), any::<(u32, u64)>())
        .prop_map(|(checkpoint, (subtasks, bytes))| SnapshotFigures { checkpoint, subtasks, bytes })
}

pub(super) fn hello() -> impl Strategy<Value = Hello> {
    let attempt = option::of(any::<u64>().prop_map(AttemptId));
    let job = any::<[u8; 16]>().prop_map(JobId);
    (job, attempt, any::<u64>(), process(), text(), text()).prop_map(
        |(job, attempt, token, process, fingerprint, data_address)| Hello {
            job,
            attempt,
            token,
            process,
            fingerprint,
            data_address,
        },
    )
}

fn start() -> impl Strategy<Value = Start> {
    let parallelism = (1..=u32::MAX).prop_map(|count| Parallelism::new(count).unwrap());
    let addresses = collection::vec(text(), 0..4);
    let attempt = any::<u64>().prop_map(AttemptId);
    let runs = collection::btree_set(any::<u64>().prop_map(RunToken), 0..4);
    let but = collection::btree_set(any::<u64>(), 0..4);
    let these = (runs, but).prop_map(|(runs, but)| Superseded::Runs { runs, but });
    let others = collection::btree_set(any::<u64>(), 0..4);
    let others = others.prop_map(|but| Superseded::Others { but });
    let superseded = prop_oneof![others, these];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    let rest = (option::of(text()), addresses, flags, superseded);
    (attempt, any::<u64>(), parallelism, max_parallelism(), rest).prop_map(
        |(attempt, token, parallelism, max_parallelism, rest)| Start {
            attempt,
            token,
            parallelism,
            max_parallelism,
            restored_from: rest.0,
            addresses: rest.1,
            concludes: rest.2.0,
            leaves_output: rest.2.1,
            superseded: rest.3,
            telling: rest.2.2,
        },
    )
}

pub(super) fn from_process() -> impl Strategy<Value = FromProcess> {
    prop_oneof![
        3 => report().prop_map(FromProcess::Report),
        1 => figures().prop_map(FromProcess::Figures),
    ]
}

pub(super) fn to_process() -> impl Strategy<Value = ToProcess> {
    prop_oneof![
        start().prop_map(ToProcess::Start),
        text().prop_map(ToProcess::Refused),
        command().prop_map(ToProcess::Command),
    ]
}
