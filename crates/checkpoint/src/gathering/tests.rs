//! Scripts of single snapshots.

use tidegate_types::BarrierKind;

use super::*;

type Script = Gathering<&'static str, &'static str>;

const ONE: CheckpointId = CheckpointId(1);
const PROCESS: ProcessIndex = ProcessIndex(0);

fn gathering(subtasks: usize) -> Script {
    Gathering::new(PROCESS, subtasks)
}

fn target() -> Target {
    Target { folder: "chk".into(), form: SnapshotForm::Native }
}

fn trigger(id: u64) -> Event<&'static str, &'static str> {
    let barrier = Barrier { checkpoint: CheckpointId(id), kind: BarrierKind::Checkpoint };
    Event::Triggered { barrier, target: target() }
}

fn ack() -> ProcessAck {
    let (operators, files) = Default::default();
    ProcessAck { checkpoint: ONE, process: PROCESS, operators, files }
}

fn declined(reason: &str) -> Action<&'static str, &'static str> {
    let (checkpoint, process, reason) = (ONE, PROCESS, reason.to_owned());
    Action::Report(Report::Declined { checkpoint, process, reason })
}

fn told(command: TaskCommand) -> Action<&'static str, &'static str> {
    Action::Tell(command)
}

/// Takes a snapshot from its trigger to its acknowledgement, with one subtask.
fn acknowledge(script: &mut Script) {
    script.step(trigger(1));
    script.step(Event::Part(ONE, "a"));
    script.step(Event::Encoded(ONE, "A"));
    let actions = script.step(Event::Written(ONE, Ok(ack())));
    assert_eq!(actions, [Action::Report(Report::Acknowledged(ack()))]);
}

#[test]
fn inv_kept_parts_before_the_trigger_wait_for_it() {
    let mut script = gathering(2);
    assert_eq!(script.step(Event::Part(ONE, "a")), []);
    let actions = script.step(trigger(1));
    assert!(
        matches!(&actions[..], [Action::Tell(_), Action::Encode { part: "a", .. }]),
        "{actions:?}"
    );
    script.step(Event::Part(ONE, "b"));
    assert_eq!(script.step(Event::Encoded(ONE, "B")), []);
    let parts = vec!["B", "A"];
    let write = Action::Write { checkpoint: ONE, target: target(), parts };
    assert_eq!(script.step(Event::Encoded(ONE, "A")), [write]);
}

#[test]
fn inv_kept_parts_of_what_nobody_triggers_any_more_are_let_go() {
    let mut script = gathering(1);
    script.step(Event::Part(ONE, "a"));
    script.step(trigger(2));
    assert_eq!(script.snapshots.keys().copied().collect::<Vec<_>>(), [CheckpointId(2)]);
}

#[test]
fn an_abort_ahead_of_the_trigger_is_answered_and_leaves_nothing_behind() {
    let mut script = gathering(1);
    script.step(Event::Part(ONE, "a"));
    let actions = script.step(Event::Aborted(ONE));
    assert_eq!(actions, [told(TaskCommand::Aborted(ONE)), declined("aborted")]);
    assert_eq!(script.step(Event::Part(ONE, "b")), []);
    assert!(script.snapshots.is_empty());
}

#[test]
fn inv_still_an_abort_is_answered_once_nothing_is_encoded_any_more() {
    let mut script = gathering(3);
    script.step(trigger(1));
    script.step(Event::Part(ONE, "a"));
    script.step(Event::Part(ONE, "b"));
    assert_eq!(script.step(Event::Encoded(ONE, "A")), []);
    assert_eq!(script.step(Event::Aborted(ONE)), [told(TaskCommand::Aborted(ONE))]);
    assert_eq!(script.step(Event::Part(ONE, "c")), [], "nothing is begun any more");
    assert_eq!(script.step(Event::Encoded(ONE, "B")), [declined("aborted")]);
}

#[test]
fn inv_still_an_abort_is_answered_once_nothing_is_written_any_more() {
    for result in [Ok(ack()), Err("disk full".to_owned())] {
        let mut script = gathering(1);
        script.step(trigger(1));
        script.step(Event::Part(ONE, "a"));
        script.step(Event::Encoded(ONE, "A"));
        assert_eq!(script.step(Event::Aborted(ONE)), [told(TaskCommand::Aborted(ONE))]);
        assert_eq!(script.step(Event::Written(ONE, result)), [declined("aborted")]);
        assert!(script.snapshots.is_empty());
    }
}

#[test]
fn inv_answer_the_first_reason_is_the_one_that_is_given() {
    let mut script = gathering(3);
    script.step(trigger(1));
    script.step(Event::Part(ONE, "a"));
    script.step(Event::Part(ONE, "b"));
    assert_eq!(script.step(Event::NotEncoded(ONE, "too long".into())), []);
    script.step(Event::Aborted(ONE));
    let actions = script.step(Event::NotEncoded(ONE, "too short".into()));
    assert_eq!(actions, [declined("too long")]);
}

#[test]
fn inv_answer_what_fails_the_attempt_is_not_declined_before_it_does() {
    let mut script = gathering(1);
    script.step(trigger(1));
    script.step(Event::Part(ONE, "a"));
    assert_eq!(script.step(Event::Unprepared(ONE)), []);
    let actions = script.step(Event::Aborted(ONE));
    assert_eq!(actions, [told(TaskCommand::Aborted(ONE)), declined("aborted")]);
}

#[test]
fn a_second_trigger_counts_for_nothing() {
    let mut script = gathering(1);
    script.step(trigger(1));
    script.step(Event::Part(ONE, "a"));
    assert_eq!(script.step(trigger(1)), []);
    let actions = script.step(Event::Encoded(ONE, "A"));
    assert!(matches!(&actions[..], [Action::Write { .. }]), "{actions:?}");
}

#[test]
fn inv_committed_a_second_completion_counts_for_nothing() {
    let mut script = gathering(1);
    acknowledge(&mut script);
    let completed = || Event::Completed(ONE);
    assert_eq!(script.step(completed()), [told(TaskCommand::Completed(ONE))]);
    assert_eq!(script.step(Event::Commits(ONE, 2)), []);
    assert_eq!(script.step(completed()), []);
    assert_eq!(script.step(Event::CommitDone(ONE)), []);
    let committed = Report::Committed { checkpoint: ONE, process: PROCESS };
    assert_eq!(script.step(Event::CommitDone(ONE)), [Action::Report(committed)]);
    assert_eq!(script.step(completed()), []);
    assert!(script.snapshots.is_empty());
}

#[test]
fn inv_committed_commits_that_nobody_has_asked_for_count_for_nothing() {
    let mut script = gathering(1);
    assert_eq!(script.step(Event::Commits(ONE, 1)), []);
    assert_eq!(script.step(Event::CommitDone(ONE)), []);
    acknowledge(&mut script);
    assert_eq!(script.step(Event::Commits(ONE, 0)), []);
    assert_eq!(script.step(Event::Completed(ONE)), [told(TaskCommand::Completed(ONE))]);
}

#[test]
fn the_final_savepoint_of_an_earlier_attempt_is_committed() {
    let mut script = gathering(1);
    assert_eq!(script.step(Event::Completed(ONE)), [told(TaskCommand::Completed(ONE))]);
    let committed = Report::Committed { checkpoint: ONE, process: PROCESS };
    assert_eq!(script.step(Event::Commits(ONE, 0)), [Action::Report(committed)]);
}

#[test]
fn nothing_is_kept_of_a_savepoint_that_is_over() {
    for over in [Event::SavepointCompleted(ONE), Event::Aborted(ONE)] {
        let mut script = gathering(1);
        acknowledge(&mut script);
        script.step(over);
        assert!(script.snapshots.is_empty());
    }
}

#[test]
fn the_first_and_the_last_end_of_an_input_are_reported() {
    let mut script = gathering(3);
    let mut end = |task, subtask| script.step(Event::InputEnded(task, SubtaskIndex(subtask)));
    assert_eq!(end(0, 0), [Action::Report(Report::SubtaskEnded { process: PROCESS })]);
    assert_eq!(end(0, 0), []);
    assert_eq!(end(1, 0), []);
    assert_eq!(end(0, 1), [Action::Report(Report::InputsEnded { process: PROCESS })]);
}
