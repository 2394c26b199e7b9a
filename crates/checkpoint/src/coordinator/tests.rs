use std::time::Duration;

use tidegate_snapshot::manifest::SnapshotForm;
use tidegate_types::ErrorKind;

use super::*;
use crate::protocol::{Failure, ProcessAck};

fn config() -> CoordinatorConfig {
    CoordinatorConfig {
        interval: Some(Duration::from_secs(1)),
        timeout: Duration::from_secs(10),
        min_pause: Duration::ZERO,
        max_concurrent: 1,
        tolerable_failed: 0,
        retention: RetentionPolicy::NoExternalizedCheckpoints,
        num_retained: 1,
        checkpoints_after_tasks_finish: true,
    }
}

/// A coordinator in the hands of a test: two processes, a clock that the test turns.
struct Script {
    coordinator: Coordinator,
    now: Monotonic,
}

fn at(millis: u64) -> Monotonic {
    Monotonic::from_start(Duration::from_millis(millis))
}

const ATTEMPT: AttemptId = AttemptId(0);
const NONE: [u64; 0] = [];

impl Script {
    fn new(config: CoordinatorConfig) -> Self {
        let coordinator = Coordinator::new(config, CheckpointId(1), Vec::new(), None);
        let mut script = Self { coordinator, now: at(0) };
        assert_eq!(script.start(ATTEMPT), []);
        script
    }

    /// From the start of an attempt until it begins, and what else there is to do then.
    fn start(&mut self, attempt: AttemptId) -> Vec<Action> {
        assert_eq!(self.step(Event::AttemptStarted { attempt, processes: 2 }), []);
        assert_eq!(self.restored(attempt, 1), []);
        let mut actions = self.restored(attempt, 0);
        assert_eq!(actions.remove(0), Action::Send(Command::Begin));
        actions
    }

    fn restored(&mut self, attempt: AttemptId, process: u32) -> Vec<Action> {
        let report = Report::Restored { process: ProcessIndex(process) };
        self.step(Event::Report { attempt, report })
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        self.coordinator.step(event, self.now)
    }

    fn at(&mut self, millis: u64) -> Vec<Action> {
        self.now = at(millis);
        self.step(Event::Tick)
    }

    fn report(&mut self, report: Report) -> Vec<Action> {
        self.step(Event::Report { attempt: ATTEMPT, report })
    }

    fn ack(&mut self, id: u64, process: u32) -> Vec<Action> {
        let (checkpoint, process) = (CheckpointId(id), ProcessIndex(process));
        let (operators, files) = (Vec::new(), BTreeMap::new());
        self.report(Report::Acknowledged(ProcessAck { checkpoint, process, operators, files }))
    }

    fn durable(&mut self, id: u64) -> Vec<Action> {
        let location = format!("chk-{id}");
        self.step(Event::ManifestDurable { checkpoint: CheckpointId(id), location })
    }

    /// From the trigger to the manifest.
    fn complete(&mut self, id: u64) -> Vec<Action> {
        assert_eq!(self.ack(id, 0), []);
        let actions = self.ack(id, 1);
        assert!(matches!(actions[..], [Action::WriteManifest { .. }]), "{actions:?}");
        self.durable(id)
    }

    fn request(&mut self, id: u64, wish: Wish) -> Vec<Action> {
        self.step(Event::Requested(SnapshotRequest { id: RequestId(id), wish }))
    }

    fn decline(&mut self, id: u64) -> Vec<Action> {
        let (checkpoint, process) = (CheckpointId(id), ProcessIndex(0));
        self.report(Report::Declined { checkpoint, process, reason: "disk full".into() })
    }

    fn restore_point(&self) -> Option<u64> {
        self.coordinator.restore_point().map(|point| point.id.get())
    }
}

fn savepoint(then: AfterSavepoint) -> Wish {
    Wish::Savepoint { target: None, form: SnapshotForm::Native, then }
}

const STOP: AfterSavepoint = AfterSavepoint::Stop { drain: false };
const DRAIN: AfterSavepoint = AfterSavepoint::Stop { drain: true };

fn answers(actions: &[Action]) -> Vec<Result<String, String>> {
    let result = |action: &Action| match action {
        Action::Answer { result, .. } => Some(result.clone()),
        _ => None,
    };
    actions.iter().filter_map(result).collect()
}

fn triggered(actions: &[Action]) -> Vec<u64> {
    let id = |action: &Action| match action {
        Action::Trigger { barrier, .. } => Some(barrier.checkpoint.get()),
        _ => None,
    };
    actions.iter().filter_map(id).collect()
}

fn completed(id: u64) -> Action {
    Action::Send(Command::Completed { checkpoint: CheckpointId(id) })
}

fn deleted(actions: &[Action]) -> Vec<u64> {
    let id = |action: &Action| match action {
        Action::Delete(subsumed) => Some(subsumed.snapshot().id.get()),
        Action::Discard { checkpoint } => Some(checkpoint.get()),
        _ => None,
    };
    actions.iter().filter_map(id).collect()
}

#[test]
fn inv_durable_processes_hear_of_completion_only_once_the_manifest_is_there() {
    let mut script = Script::new(config());
    assert_eq!(triggered(&script.at(999)), NONE);
    assert_eq!(triggered(&script.at(1000)), [1]);
    assert_eq!(script.ack(1, 1), []);
    let actions = script.ack(1, 0);
    assert!(matches!(&actions[..], [Action::WriteManifest { acks, .. }] if acks.len() == 2));
    assert!(script.durable(1).contains(&completed(1)));
    assert_eq!(script.coordinator.restore_point().map(|point| point.id), Some(CheckpointId(1)));
}

#[test]
fn a_new_checkpoint_subsumes_the_old_one() {
    let mut script = Script::new(config());
    script.at(1000);
    assert_eq!(deleted(&script.complete(1)), NONE);
    script.at(2000);
    assert_eq!(deleted(&script.complete(2)), [1]);
}

#[test]
fn a_late_acknowledgement_of_an_expired_checkpoint_lets_its_folder_go() {
    let mut script = Script::new(CoordinatorConfig { tolerable_failed: 9, ..config() });
    script.at(1000);
    script.ack(1, 0);
    let actions = script.at(11_000);
    assert_eq!(deleted(&actions), NONE, "process 1 may still write");
    assert_eq!(triggered(&actions), [2]);
    assert_eq!(deleted(&script.ack(1, 1)), [1]);
}

#[test]
fn too_many_failures_in_a_row_fail_the_attempt_and_a_success_forgets_them() {
    let mut script = Script::new(CoordinatorConfig { tolerable_failed: 1, ..config() });
    let declined = |id| Report::Declined {
        checkpoint: CheckpointId(id),
        process: ProcessIndex(0),
        reason: "disk full".into(),
    };
    let fails =
        |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::FailAttempt(_)));
    script.at(1000);
    assert!(!fails(&script.report(declined(1))));
    script.at(2000);
    script.complete(2);
    script.at(3000);
    assert!(!fails(&script.report(declined(3))));
    script.at(4000);
    let actions = script.report(declined(4));
    assert!(fails(&actions));
    let text = format!("{actions:?}");
    assert!(text.contains("exceeded checkpoint tolerable failure threshold of 1"), "{text}");
    assert!(text.contains("disk full"), "{text}");
}

#[test]
fn doubt_about_the_manifest_is_cleared_up_before_anything_else() {
    let mut script = Script::new(config());
    script.at(1000);
    script.ack(1, 0);
    script.ack(1, 1);
    let doubt = Event::ManifestFailed {
        checkpoint: CheckpointId(1),
        may_have_happened: true,
        reason: "time-out".into(),
    };
    assert_eq!(script.step(doubt), [Action::CheckManifest { checkpoint: CheckpointId(1) }]);
    script.step(Event::AttemptEnded { reason: "killed".into() });
    assert!(!script.coordinator.is_settled());
    script.durable(1);
    assert!(script.coordinator.is_settled());
    assert_eq!(script.coordinator.restore_point().map(|point| point.id), Some(CheckpointId(1)));
}

#[test]
fn a_manifest_of_somebody_else_costs_a_number_and_no_attempt() {
    let mut script = Script::new(config());
    script.at(1000);
    script.ack(1, 0);
    script.ack(1, 1);
    let actions = script.step(Event::ManifestTaken { checkpoint: CheckpointId(1) });
    assert!(!actions.iter().any(|action| matches!(action, Action::FailAttempt(_))), "{actions:?}");
    assert_eq!(triggered(&actions), [2]);
    script.complete(2);
    assert_eq!(script.restore_point(), Some(2));
}

#[test]
fn inv_fence_reports_of_another_attempt_change_nothing_and_ids_grow_over_attempts() {
    let mut script = Script::new(config());
    script.at(1000);
    assert_eq!(deleted(&script.step(Event::AttemptEnded { reason: "killed".into() })), [1]);
    script.start(AttemptId(1));
    assert_eq!(triggered(&script.at(3000)), [2]);
    assert_eq!(script.ack(2, 0), [], "of attempt 0");
    assert_eq!(script.ack(2, 1), [], "of attempt 0");
}

#[test]
fn the_final_checkpoint_commits_and_then_all_closes() {
    let mut script = Script::new(CoordinatorConfig { interval: None, ..config() });
    assert_eq!(script.report(Report::InputsEnded { process: ProcessIndex(0) }), []);
    let actions = script.report(Report::InputsEnded { process: ProcessIndex(1) });
    assert_eq!(triggered(&actions), [1]);
    assert!(script.complete(1).contains(&completed(1)));
    let committed =
        |process| Report::Committed { checkpoint: CheckpointId(1), process: ProcessIndex(process) };
    assert_eq!(script.report(committed(0)), []);
    assert_eq!(script.report(committed(1)), [Action::Send(Command::Finish)]);
    script.report(Report::Closed { process: ProcessIndex(0) });
    let actions = script.report(Report::Closed { process: ProcessIndex(1) });
    assert_eq!(actions, [Action::AttemptClosed(EndStatus::Finished)]);
    assert_eq!(deleted(&script.step(Event::JobEnded(EndStatus::Finished))), [1]);
}

#[test]
fn a_job_that_ends_for_now_keeps_its_checkpoints() {
    for (end, gone) in [(EndStatus::Suspended, vec![]), (EndStatus::Canceled, vec![1])] {
        let mut script = Script::new(config());
        script.at(1000);
        script.complete(1);
        assert_eq!(deleted(&script.step(Event::JobEnded(end))), gone, "{end:?}");
    }
}

#[test]
fn inv_aside_a_savepoint_commits_nothing_and_is_not_restored_from() {
    let mut script = Script::new(config());
    script.at(1000);
    script.complete(1);
    assert_eq!(triggered(&script.request(7, savepoint(AfterSavepoint::GoOn))), [2]);
    let actions = script.complete(2);
    assert_eq!(answers(&actions), [Ok("chk-2".to_owned())]);
    assert_eq!(deleted(&actions), NONE);
    assert!(!actions.contains(&completed(2)), "{actions:?}");
    let over = Action::Send(Command::SavepointCompleted { checkpoint: CheckpointId(2) });
    assert!(actions.contains(&over), "{actions:?}");
    assert_eq!(script.restore_point(), Some(1));
    assert_eq!(deleted(&script.step(Event::JobEnded(EndStatus::Canceled))), [1]);
}

#[test]
fn what_a_job_was_started_from_is_its_restore_point_until_its_first_checkpoint() {
    let start = CompletedSnapshot {
        id: CheckpointId(4),
        kind: BarrierKind::Savepoint,
        location: "start".into(),
        bytes: 0,
    };
    let coordinator = Coordinator::new(config(), CheckpointId(5), Vec::new(), Some(start));
    let mut script = Script { coordinator, now: at(0) };
    script.start(ATTEMPT);
    script.request(7, savepoint(AfterSavepoint::GoOn));
    script.complete(5);
    assert_eq!(script.restore_point(), Some(4));
    script.at(1000);
    assert_eq!(deleted(&script.complete(6)), NONE);
    assert_eq!(script.restore_point(), Some(6));
}

#[test]
fn a_damaged_restore_point_is_left_out_if_there_is_an_older_one() {
    let mut script = Script::new(CoordinatorConfig { num_retained: 2, ..config() });
    for id in 1..=3 {
        script.at(1000 * id);
        script.complete(id);
    }
    assert!(!script.coordinator.pass_over(CheckpointId(2)), "it is not the one to restore from");
    assert!(script.coordinator.pass_over(CheckpointId(3)));
    assert_eq!(script.restore_point(), Some(2));
    assert!(!script.coordinator.pass_over(CheckpointId(2)), "there is no other");
    assert_eq!(script.restore_point(), Some(2));
}

#[test]
fn a_stop_that_fails_lets_the_job_go_on() {
    let mut script = Script::new(CoordinatorConfig { interval: None, ..config() });
    assert_eq!(triggered(&script.request(7, savepoint(STOP))), [1]);
    let refused = script.request(8, savepoint(AfterSavepoint::GoOn));
    assert!(matches!(&refused[..], [Action::Answer { result: Err(_), .. }]), "{refused:?}");
    let actions = script.decline(1);
    assert!(actions.contains(&Action::Send(Command::Aborted { checkpoint: CheckpointId(1) })));
    assert_eq!(triggered(&script.request(9, savepoint(STOP))), [2]);
}

#[test]
fn a_drain_that_fails_goes_back_behind_its_final_watermark() {
    let mut script = Script::new(CoordinatorConfig { interval: None, ..config() });
    assert_eq!(triggered(&script.request(7, savepoint(DRAIN))), [1]);
    let actions = script.decline(1);
    let gives_way = |action: &Action| matches!(action, Action::RestartAttempt { .. });
    assert!(actions.iter().any(gives_way), "{actions:?}");
    assert_eq!(answers(&actions), [Err("disk full".to_owned())]);
    assert_eq!(triggered(&script.request(8, Wish::Checkpoint)), NONE, "records are lost by then");
    script.step(Event::AttemptEnded { reason: "drain".into() });
    script.start(AttemptId(1));
    assert_eq!(triggered(&script.request(9, Wish::Checkpoint)), [2]);
}

#[test]
fn a_cancel_with_savepoint_that_fails_leaves_no_mark_on_the_next_stop() {
    for (then, end) in [(STOP, EndStatus::Finished), (AfterSavepoint::Cancel, EndStatus::Canceled)]
    {
        let mut script = Script::new(CoordinatorConfig { interval: None, ..config() });
        script.request(7, savepoint(AfterSavepoint::Cancel));
        script.decline(1);
        assert_eq!(triggered(&script.request(8, savepoint(then))), [2]);
        assert!(script.complete(2).contains(&completed(2)));
        for process in [0, 1].map(ProcessIndex) {
            script.report(Report::Committed { checkpoint: CheckpointId(2), process });
        }
        script.report(Report::Closed { process: ProcessIndex(0) });
        let actions = script.report(Report::Closed { process: ProcessIndex(1) });
        assert_eq!(actions, [Action::AttemptClosed(end)]);
        assert_eq!(answers(&script.step(Event::JobEnded(end))), [Ok("chk-2".to_owned())]);
    }
}

#[test]
fn inv_conclude_behind_the_final_savepoint_the_job_only_commits_and_ends() {
    let mut script = Script::new(config());
    script.at(1000);
    script.complete(1);
    script.request(7, savepoint(STOP));
    assert_eq!(answers(&script.complete(2)), [], "its sinks have not committed it yet");
    assert_eq!(answers(&script.step(Event::AttemptEnded { reason: "killed".into() })), []);
    assert_eq!(script.restore_point(), Some(2));
    assert!(script.coordinator.is_concluding());
    assert_eq!(script.start(AttemptId(1)), [completed(2)]);
    assert_eq!(triggered(&script.at(9000)), NONE);
    let refused = script.request(8, Wish::Checkpoint);
    assert!(matches!(answers(&refused)[..], [Err(_)]), "{refused:?}");
    let report =
        |script: &mut Script, report| script.step(Event::Report { attempt: AttemptId(1), report });
    for process in [0, 1].map(ProcessIndex) {
        report(&mut script, Report::Committed { checkpoint: CheckpointId(2), process });
    }
    report(&mut script, Report::Closed { process: ProcessIndex(0) });
    let actions = report(&mut script, Report::Closed { process: ProcessIndex(1) });
    assert_eq!(actions, [Action::AttemptClosed(EndStatus::Finished)]);
    script.step(Event::AttemptEnded { reason: "closed".into() });
    let actions = script.step(Event::JobEnded(EndStatus::Finished));
    assert_eq!(answers(&actions), [Ok("chk-2".to_owned())]);
    assert_eq!(deleted(&actions), [1]);
}

#[test]
fn a_stop_is_not_answered_with_success_when_the_job_fails_behind_it() {
    let mut script = Script::new(CoordinatorConfig { interval: None, ..config() });
    script.request(7, savepoint(STOP));
    script.complete(1);
    script.step(Event::AttemptEnded { reason: "killed".into() });
    let answers = answers(&script.step(Event::JobEnded(EndStatus::Failed)));
    assert!(matches!(&answers[..], [Err(reason)] if reason.contains("chk-1")), "{answers:?}");
}

#[test]
fn the_pause_counts_from_the_end_of_the_previous_checkpoint() {
    let min_pause = Duration::from_millis(700);
    let mut script = Script::new(CoordinatorConfig { min_pause, max_concurrent: 3, ..config() });
    script.at(1000);
    script.now = at(1900);
    script.complete(1);
    assert_eq!(script.coordinator.next_deadline(), Some(at(2600)));
    assert_eq!(triggered(&script.at(2599)), NONE);
    assert_eq!(triggered(&script.at(2600)), [2]);
}

#[test]
fn several_may_be_under_way_and_the_later_one_subsumes_the_earlier() {
    let mut script = Script::new(CoordinatorConfig { max_concurrent: 2, ..config() });
    assert_eq!(triggered(&script.at(1000)), [1]);
    assert_eq!(triggered(&script.at(2000)), [2]);
    assert_eq!(triggered(&script.at(3000)), NONE);
    let actions = script.complete(2);
    assert!(actions.contains(&Action::Send(Command::Aborted { checkpoint: CheckpointId(1) })));
    assert_eq!(triggered(&actions), [3]);
}

#[test]
fn a_failure_report_is_passed_on() {
    let mut script = Script::new(config());
    let kind = ErrorKind::User;
    let failure = Failure { kind, message: "boom".into(), uid: None, subtask: None };
    let report = Report::Failed { process: ProcessIndex(0), failure: failure.clone() };
    assert_eq!(script.report(report), [Action::FailAttempt(failure)]);
}

#[test]
fn manifests_that_become_durable_out_of_order_do_not_take_recovery_back() {
    let mut script = Script::new(CoordinatorConfig { max_concurrent: 2, ..config() });
    for id in [1, 2] {
        assert_eq!(triggered(&script.request(id, Wish::Checkpoint)), [id]);
        script.ack(id, 0);
        script.ack(id, 1);
    }
    script.durable(2);
    script.durable(1);
    assert_eq!(script.restore_point(), Some(2));
}

#[test]
fn no_deadline_lies_in_the_past_once_periodic_checkpoints_have_ended() {
    let checkpoints_after_tasks_finish = false;
    let mut script = Script::new(CoordinatorConfig { checkpoints_after_tasks_finish, ..config() });
    script.report(Report::SubtaskEnded { process: ProcessIndex(0) });
    assert_eq!(triggered(&script.at(1000)), NONE);
    assert_eq!(script.coordinator.next_deadline(), None);
}

#[test]
fn what_is_asked_for_while_subtasks_are_restored_waits_until_the_attempt_begins() {
    let mut script = Script::new(config());
    script.step(Event::AttemptEnded { reason: "it is over".into() });
    let attempt = AttemptId(1);
    assert_eq!(script.step(Event::AttemptStarted { attempt, processes: 2 }), []);
    assert_eq!(script.request(1, Wish::Checkpoint), []);
    // However long it takes, no checkpoint is due.
    assert_eq!(script.coordinator.next_deadline(), None);
    assert_eq!(script.at(100_000), []);
    assert!(!script.coordinator.is_ending());
    assert_eq!(script.restored(attempt, 0), []);
    assert_eq!(script.restored(ATTEMPT, 1), [], "it is of an earlier attempt");
    assert_eq!(script.restored(attempt, 0), [], "it has said so already");
    let actions = script.restored(attempt, 1);
    assert_eq!(actions[0], Action::Send(Command::Begin));
    assert_eq!(triggered(&actions), [1]);
    // The interval is counted from the beginning.
    assert_eq!(script.coordinator.next_deadline(), Some(at(100_000 + 10_000)));
}

#[test]
fn an_attempt_of_which_a_process_has_failed_does_not_begin() {
    let mut script = Script::new(config());
    script.step(Event::AttemptEnded { reason: "it is over".into() });
    let attempt = AttemptId(1);
    script.step(Event::AttemptStarted { attempt, processes: 2 });
    let (kind, message) = (ErrorKind::Corrupt, "a block is damaged".to_owned());
    let failure = Failure { kind, message, uid: None, subtask: None };
    let report = Report::Failed { process: ProcessIndex(0), failure: failure.clone() };
    let actions = script.step(Event::Report { attempt, report });
    assert_eq!(actions, [Action::FailAttempt(failure)]);
    assert_eq!(script.restored(attempt, 0), []);
    assert_eq!(script.restored(attempt, 1), [], "INV-BEGUN");
}
