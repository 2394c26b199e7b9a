//! What goes in comes out; what can't be read is named.

mod arbitrary;
mod strangers;

use std::collections::BTreeMap;

use proptest::{collection, prelude::*};
use prost::Message;
use tidegate_checkpoint::protocol::{OperatorAck, ProcessAck, SubtaskStats};
use tidegate_snapshot::manifest::SubtaskManifest;
use tidegate_types::{SubtaskIndex, Superseded};

use self::arbitrary::{from_process, hello, to_process};
use super::*;
use crate::{MessageError, link::Word, wire};

/// Over bytes, as over the network.
fn travel<T: Word>(word: T) -> Result<T, MessageError> {
    let bytes = word.into_wire().encode_to_vec();
    T::from_wire(T::Wire::decode(bytes.as_slice()).expect("its own bytes"))
}

proptest! {
    #[test]
    fn what_a_process_says_comes_out(word in from_process()) {
        prop_assert_eq!(travel(word.clone()), Ok(word));
    }

    #[test]
    fn what_a_coordinator_says_comes_out(word in to_process()) {
        prop_assert_eq!(travel(word.clone()), Ok(word));
    }

    #[test]
    fn who_a_process_is_comes_out(hello in hello()) {
        let word = wire::from_process::Word::Hello(hello.clone().into());
        let bytes = wire::FromProcess { word: Some(word) }.encode_to_vec();
        let read = wire::FromProcess::decode(bytes.as_slice()).expect("its own bytes");
        prop_assert_eq!(messages::hello(read), Ok(hello));
    }

    #[test]
    fn bytes_of_any_kind_are_a_message_or_an_error(bytes in collection::vec(any::<u8>(), 0..200)) {
        if let Ok(wire) = wire::FromProcess::decode(bytes.as_slice()) {
            let _ = messages::hello(wire.clone());
            let _ = FromProcess::from_wire(wire);
        }
        if let Ok(wire) = wire::ToProcess::decode(bytes.as_slice()) {
            let _ = ToProcess::from_wire(wire);
        }
    }

    #[test]
    fn a_message_with_changed_bytes_is_a_message_or_an_error(
        word in from_process(),
        changes in collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = word.into_wire().encode_to_vec();
        for (index, byte) in changes {
            if !bytes.is_empty() {
                let index = index.index(bytes.len());
                bytes[index] = byte;
            }
        }
        if let Ok(wire) = wire::FromProcess::decode(bytes.as_slice()) {
            let _ = FromProcess::from_wire(wire);
        }
    }
}

#[test]
fn fields_of_a_later_version_are_ignored() {
    let start = Start {
        attempt: AttemptId(3),
        token: 7,
        parallelism: Parallelism::ONE,
        max_parallelism: MaxParallelism::new(128).unwrap(),
        restored_from: None,
        addresses: vec!["a:1".to_owned()],
        concludes: false,
        leaves_output: false,
        superseded: Superseded::others(),
        telling: false,
    };
    let mut bytes = wire::Start::from(start.clone()).encode_to_vec();
    // Field 900, a varint; field 901, two bytes.
    prost::encoding::uint64::encode(900, &5, &mut bytes);
    prost::encoding::string::encode(901, &"ab".to_owned(), &mut bytes);
    let read = wire::Start::decode(bytes.as_slice()).expect("well-formed");
    assert_eq!(Start::try_from(read), Ok(start));
}

#[test]
fn a_message_of_a_later_version_is_named() {
    // Field 900 of `FromProcess`: a word that this version does not know.
    let mut bytes = Vec::new();
    prost::encoding::string::encode(900, &"later".to_owned(), &mut bytes);
    let wire = wire::FromProcess::decode(bytes.as_slice()).expect("well-formed");
    let error = FromProcess::from_wire(wire).expect_err("unknown");
    assert_eq!(error.to_string(), "a message `FromProcess` has no `word`");
}

/// What reading `command` fails with.
fn problem_of(command: wire::command::Command) -> String {
    let command = wire::Command { command: Some(command) };
    let word = Some(wire::to_process::Word::Command(command));
    ToProcess::from_wire(wire::ToProcess { word }).expect_err("wrong").to_string()
}

#[test]
fn a_part_that_is_missing_or_wrong_is_named() {
    use wire::command::Command as Wire;
    let target = String::new();
    assert_eq!(
        problem_of(Wire::Trigger(wire::Trigger {
            barrier: None,
            target: target.clone(),
            canonical: false
        })),
        "a message `Trigger` has no `barrier`"
    );
    let barrier = Some(wire::Barrier { checkpoint: 1, kind: 77 });
    assert_eq!(
        problem_of(Wire::Trigger(wire::Trigger { barrier, target, canonical: true })),
        "a message `Barrier` has a wrong `kind`: number 77 is no kind of barrier"
    );
}

/// What reading an acknowledgement fails with.
fn problem_of_ack(change: impl FnOnce(&mut wire::OperatorAck)) -> String {
    let ack = OperatorAck {
        uid: "sum".into(),
        name: "Sum".to_owned(),
        max_parallelism: MaxParallelism::new(128).unwrap(),
        key_hash: None,
        key_type: None,
        states: Vec::new(),
        subtask: SubtaskManifest {
            index: SubtaskIndex(0),
            finished: false,
            keyed: None,
            lists: None,
            tables: Vec::new(),
        },
        stats: SubtaskStats::default(),
    };
    let mut operator = wire::OperatorAck::from(ack);
    change(&mut operator);
    let ack = wire::ProcessAck {
        checkpoint: 1,
        process: 0,
        operators: vec![operator],
        files: BTreeMap::new(),
    };
    ProcessAck::try_from(ack).expect_err("wrong").to_string()
}

#[test]
fn a_wrong_acknowledgement_is_told_by_its_field() {
    assert_eq!(
        problem_of_ack(|ack| ack.max_parallelism = 0),
        "a message `OperatorAck` has a wrong `max_parallelism`: 0 is not a max parallelism: \
         expected 1 to 32768"
    );
    assert_eq!(problem_of_ack(|ack| ack.stats = None), "a message `OperatorAck` has no `stats`");
    let subtask = problem_of_ack(|ack| ack.subtask = b"{}".to_vec());
    assert!(
        subtask.starts_with("a message `OperatorAck` has a wrong `subtask`: missing field `index`"),
        "{subtask}"
    );
    let state = wire::StateDescription { id: 65_536, ..Default::default() };
    assert_eq!(
        problem_of_ack(|ack| ack.states.push(state)),
        "a message `StateDescription` has a wrong `id`: expected at most 65535, found 65536"
    );
}

#[test]
fn a_hello_comes_first_and_only_then() {
    let word = Some(wire::from_process::Word::Figures(Figures::default().into()));
    let error = messages::hello(wire::FromProcess { word }).expect_err("no hello");
    assert_eq!(error.to_string(), "a message `Figures` has come, and `Hello` was expected");

    let hello = wire::Hello { protocol_version: crate::version::ours(), ..Default::default() };
    let error = Hello::try_from(hello.clone()).expect_err("no job");
    assert_eq!(
        error.to_string(),
        "a message `Hello` has a wrong `job`: expected 16 bytes, found 0"
    );
    let word = Some(wire::from_process::Word::Hello(hello));
    let error = FromProcess::from_wire(wire::FromProcess { word }).expect_err("a second hello");
    assert_eq!(error.to_string(), "a message `Hello` has come, and `Report` was expected");
}
