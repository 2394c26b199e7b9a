//! What goes in comes out; what can't be read is named.

use proptest::{collection, prelude::*};
use prost::Message;

use super::*;
use crate::{MessageError, link::Word, wire};

/// Over bytes, as over the network.
fn travel<T: Word>(word: T) -> Result<T, MessageError> {
    let bytes = word.into_wire().encode_to_vec();
    T::from_wire(T::Wire::decode(bytes.as_slice()).expect("its own bytes"))
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

fn key() -> impl Strategy<Value = ProcessKey> {
    any::<([u8; 16], u64, u32)>().prop_map(|(job, attempt, process)| ProcessKey {
        job: JobId(job),
        attempt: AttemptId(attempt),
        process: ProcessIndex(process),
    })
}

fn duration() -> impl Strategy<Value = Duration> {
    any::<u64>().prop_map(Duration::from_nanos)
}

fn start_process() -> impl Strategy<Value = StartProcess> {
    let counts = any::<(u64, u32, u32, u32)>();
    let arguments = collection::vec(text(), 0..4);
    let configuration = collection::btree_map(text(), text(), 0..4);
    let credential = proptest::option::of(text().prop_map(Secret::new));
    (key(), counts, text(), arguments, text(), configuration, credential).prop_map(
        |(key, counts, artifact, arguments, coordinator, configuration, credential)| {
            let (token, threads, processes, parallelism) = counts;
            StartProcess {
                key,
                token,
                threads,
                processes,
                parallelism,
                artifact,
                arguments,
                coordinator,
                configuration: configuration.into(),
                credential,
            }
        },
    )
}

fn from_task_manager() -> impl Strategy<Value = FromTaskManager> {
    prop_oneof![
        collection::vec(key(), 0..4).prop_map(|processes| FromTaskManager::Heartbeat { processes }),
        Just(FromTaskManager::Leaving),
        (key(), any::<u32>()).prop_map(|(key, pid)| FromTaskManager::Started(key, pid)),
        (key(), text(), any::<bool>(), text()).prop_map(|(key, status, success, output_tail)| {
            FromTaskManager::Ended { key, status, success, output_tail }
        }),
        (any::<u64>(), collection::vec(log_file(), 0..4))
            .prop_map(|(request, logs)| FromTaskManager::Logs { request, logs }),
        (any::<u64>(), prop_oneof![log_part().prop_map(Ok), text().prop_map(Err)])
            .prop_map(|(request, part)| FromTaskManager::LogPart { request, part }),
    ]
}

fn log_file() -> impl Strategy<Value = LogFile> {
    (text(), any::<(u64, u64)>()).prop_map(|(name, (bytes, modified))| LogFile {
        name,
        bytes,
        modified: Timestamp(modified),
    })
}

fn log_part() -> impl Strategy<Value = LogPart> {
    (any::<u64>(), collection::vec(any::<u8>(), 0..20))
        .prop_map(|(total, bytes)| LogPart { total, bytes: bytes.into() })
}

fn to_task_manager() -> impl Strategy<Value = ToTaskManager> {
    prop_oneof![
        (duration(), duration()).prop_map(|(heartbeat_interval, heartbeat_timeout)| {
            ToTaskManager::Registered { heartbeat_interval, heartbeat_timeout }
        }),
        text().prop_map(ToTaskManager::Refused),
        Just(ToTaskManager::Heartbeat),
        start_process().prop_map(ToTaskManager::StartProcess),
        key().prop_map(ToTaskManager::EndProcess),
        any::<u64>().prop_map(|request| ToTaskManager::ListLogs { request }),
        (any::<u64>(), text(), any::<u64>(), any::<u64>()).prop_map(
            |(request, name, offset, length)| ToTaskManager::ReadLog {
                request,
                name,
                offset,
                length
            }
        ),
    ]
}

fn registration() -> impl Strategy<Value = Registration> {
    (text(), text(), any::<u32>(), any::<u32>(), any::<u64>()).prop_map(
        |(id, host, slots, cpu_cores, memory_bytes)| Registration {
            id,
            host,
            slots,
            hardware: Hardware { cpu_cores, memory_bytes },
        },
    )
}

proptest! {
    #[test]
    fn what_a_task_manager_says_comes_out(word in from_task_manager()) {
        prop_assert_eq!(travel(word.clone()), Ok(word));
    }

    #[test]
    fn what_the_job_manager_says_comes_out(word in to_task_manager()) {
        prop_assert_eq!(travel(word.clone()), Ok(word));
    }

    #[test]
    fn who_a_task_manager_is_comes_out(registration in registration()) {
        let word = wire::from_task_manager::Word::Registration(registration.clone().into());
        let bytes = wire::FromTaskManager { word: Some(word) }.encode_to_vec();
        let read = wire::FromTaskManager::decode(bytes.as_slice()).expect("its own bytes");
        prop_assert_eq!(messages::registration(read), Ok(registration));
    }

    #[test]
    fn bytes_of_any_kind_are_a_message_or_an_error(bytes in collection::vec(any::<u8>(), 0..200)) {
        if let Ok(wire) = wire::FromTaskManager::decode(bytes.as_slice()) {
            let _ = messages::registration(wire.clone());
            let _ = FromTaskManager::from_wire(wire);
        }
        if let Ok(wire) = wire::ToTaskManager::decode(bytes.as_slice()) {
            let _ = ToTaskManager::from_wire(wire);
        }
    }
}

#[test]
fn a_part_that_is_missing_is_named() {
    let word = wire::to_task_manager::Word::StartProcess(wire::StartProcess::default());
    let error = ToTaskManager::from_wire(wire::ToTaskManager { word: Some(word) });
    let error = error.expect_err("no key");
    assert_eq!(error.to_string(), "a message `StartProcess` has no `key`");

    let error = FromTaskManager::from_wire(wire::FromTaskManager { word: None });
    let error = error.expect_err("no word");
    assert_eq!(error.to_string(), "a message `FromTaskManager` has no `word`");
}

#[test]
fn a_job_manager_of_another_version_is_not_believed() {
    let registered = wire::Registered {
        protocol_version: Some(wire::ProtocolVersion { major: 9, minor: 1 }),
        ..Default::default()
    };
    let word = Some(wire::to_task_manager::Word::Registered(registered));
    let error = ToTaskManager::from_wire(wire::ToTaskManager { word }).expect_err("version 9");
    assert!(error.to_string().contains("protocol version 9.1"), "{error}");
}

#[test]
fn a_registration_comes_first() {
    let heartbeat = FromTaskManager::Heartbeat { processes: Vec::new() }.into_wire();
    let error = messages::registration(heartbeat).expect_err("no registration");
    assert_eq!(
        error.to_string(),
        "a message `TaskManagerHeartbeat` has come, and `Registration` was expected"
    );
}
