use futures::FutureExt;
use tidegate_checkpoint::protocol::{Command, Report};
use tidegate_types::{CheckpointId, ErrorKind, ProcessIndex};

use super::*;
use crate::{
    coordination::{FromProcess, HostLink, ProcessLink, ToProcess},
    error::LinkError,
};

fn begun() -> (ProcessLink, HostLink, Wire) {
    conversation("the process", "the coordinator")
}

fn completed(id: u64) -> ToProcess {
    ToProcess::Command(Command::Completed { checkpoint: CheckpointId(id) })
}

fn closed(process: u32) -> FromProcess {
    FromProcess::Report(Report::Closed { process: ProcessIndex(process) })
}

/// What is there at once; `None` for nothing yet.
fn heard<Out: Word, In: Word>(link: &mut Link<Out, In>) -> Option<Option<Result<In, LinkError>>> {
    link.receive().now_or_never()
}

fn carry(wire: &mut Wire, from: End) {
    while let Some(sent) = wire.take(from) {
        wire.deliver(from, sent);
    }
}

#[test]
fn nothing_arrives_before_it_is_delivered_and_then_in_order() {
    let (process, mut host, mut wire) = begun();
    process.send(closed(1)).expect("open");
    process.send(closed(2)).expect("open");
    assert!(heard(&mut host).is_none());
    let first = wire.take(End::First).expect("it is under way");
    assert!(heard(&mut host).is_none());
    wire.deliver(End::First, first);
    assert!(matches!(heard(&mut host), Some(Some(Ok(word))) if word == closed(1)));
    assert!(heard(&mut host).is_none());
    carry(&mut wire, End::First);
    assert!(matches!(heard(&mut host), Some(Some(Ok(word))) if word == closed(2)));
}

#[test]
fn either_way_goes_by_itself() {
    let (mut process, mut host, mut wire) = begun();
    process.send(closed(1)).expect("open");
    host.send(completed(7)).expect("open");
    carry(&mut wire, End::Second);
    assert!(matches!(heard(&mut process), Some(Some(Ok(word))) if word == completed(7)));
    assert!(heard(&mut host).is_none());
}

#[test]
fn who_closes_is_heard_to_behind_the_last_message_and_hears_what_still_comes() {
    let (process, mut host, mut wire) = begun();
    process.send(closed(1)).expect("open");
    let mut closing = Box::pin(process.close());
    assert!((&mut closing).now_or_never().is_none());
    carry(&mut wire, End::First);
    assert!(matches!(heard(&mut host), Some(Some(Ok(word))) if word == closed(1)));
    assert!(matches!(heard(&mut host), Some(None)));
    host.send(completed(7)).expect("the other way is open");
    drop(host);
    carry(&mut wire, End::Second);
    assert!(closing.now_or_never().is_some());
    assert!(wire.is_over());
}

#[test]
fn once_it_is_cut_both_ends_have_lost_it_and_what_was_under_way() {
    let (mut process, mut host, mut wire) = begun();
    process.send(closed(1)).expect("open");
    carry(&mut wire, End::First);
    process.send(closed(2)).expect("open");
    let lost = wire.take(End::First).expect("it is under way");
    wire.cut();
    wire.deliver(End::First, lost);
    assert!(matches!(heard(&mut host), Some(Some(Ok(word))) if word == closed(1)));
    let error = heard(&mut host).flatten().expect("an end").expect_err("it is cut");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.to_string(), "the connection to the process is lost: it has been cut");
    assert!(matches!(heard(&mut host), Some(None)));
    assert!(matches!(heard(&mut process), Some(Some(Err(LinkError::Lost { .. })))));
    assert!(matches!(process.send(closed(3)), Err(LinkError::Closed { .. })));
    assert!(wire.is_over());
}

#[test]
fn a_wire_that_nobody_carries_any_more_is_cut() {
    let (mut process, _host, wire) = begun();
    drop(wire);
    assert!(matches!(heard(&mut process), Some(Some(Err(LinkError::Lost { .. })))));
}

#[test]
fn who_is_heard_by_nobody_can_send_nothing_once_it_knows() {
    let (process, host, mut wire) = begun();
    drop(host);
    process.send(closed(1)).expect("it does not know yet");
    assert_eq!(wire.take(End::First), None);
    assert!(matches!(process.send(closed(2)), Err(LinkError::Closed { .. })));
}

#[test]
fn what_is_no_message_is_an_error() {
    let (_process, mut host, mut wire) = begun();
    wire.deliver(End::First, Sent::Message(Bytes::from_static(&[0xff])));
    assert!(matches!(heard(&mut host), Some(Some(Err(LinkError::Lost { .. })))));
}
