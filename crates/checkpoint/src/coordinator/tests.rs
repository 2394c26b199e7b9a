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
    now: Timestamp,
}

const ATTEMPT: AttemptId = AttemptId(0);
const NONE: [u64; 0] = [];

impl Script {
    fn new(config: CoordinatorConfig) -> Self {
        let coordinator = Coordinator::new(config, CheckpointId(1), Vec::new(), None);
        let mut script = Self { coordinator, now: Timestamp(0) };
        assert_eq!(script.start(ATTEMPT), []);
        script
    }

    fn start(&mut self, attempt: AttemptId) -> Vec<Action> {
        self.step(Event::AttemptStarted { attempt, processes: 2 })
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        self.coordinator.step(event, self.now)
    }

    fn at(&mut self, millis: u64) -> Vec<Action> {
        self.now = Timestamp(millis);
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

    fn request(&mut self, id: u64, kind: BarrierKind) -> Vec<Action> {
        let id = RequestId(id);
        self.step(Event::Requested(SavepointRequest {
            id,
            target: None,
            kind,
            form: SnapshotForm::Native,
        }))
    }
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
        Action::Delete(snapshot) => Some(snapshot.id.get()),
        Action::Discard { checkpoint } => Some(checkpoint.get()),
        _ => None,
    };
    actions.iter().filter_map(id).collect()
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
    assert_eq!(actions, [Action::AttemptClosed]);
    assert_eq!(deleted(&script.step(Event::JobEnded(EndStatus::Finished))), [1]);
}

#[test]
fn a_savepoint_is_its_users_and_takes_part_in_recovery() {
    let mut script = Script::new(config());
    script.at(1000);
    script.complete(1);
    assert_eq!(triggered(&script.request(7, BarrierKind::Savepoint)), [2]);
    let actions = script.complete(2);
    let answer = Action::Answer { request: RequestId(7), result: Ok("chk-2".into()) };
    assert!(actions.contains(&answer), "{actions:?}");
    assert_eq!(deleted(&actions), NONE);
    assert_eq!(script.coordinator.restore_point().map(|point| point.id), Some(CheckpointId(2)));
    assert_eq!(deleted(&script.step(Event::JobEnded(EndStatus::Canceled))), [1]);
}

#[test]
fn a_stop_that_fails_lets_the_job_go_on() {
    let mut script = Script::new(CoordinatorConfig { interval: None, ..config() });
    let stop = BarrierKind::StopWithSavepoint { drain: false };
    assert_eq!(triggered(&script.request(7, stop)), [1]);
    let refused = script.request(8, BarrierKind::Savepoint);
    assert!(matches!(&refused[..], [Action::Answer { result: Err(_), .. }]), "{refused:?}");
    let actions = script.report(Report::Declined {
        checkpoint: CheckpointId(1),
        process: ProcessIndex(0),
        reason: "disk full".into(),
    });
    assert!(actions.contains(&Action::Send(Command::Aborted { checkpoint: CheckpointId(1) })));
    assert_eq!(triggered(&script.request(9, stop)), [2]);
}

#[test]
fn the_pause_counts_from_the_end_of_the_previous_checkpoint() {
    let min_pause = Duration::from_millis(700);
    let mut script = Script::new(CoordinatorConfig { min_pause, max_concurrent: 3, ..config() });
    script.at(1000);
    script.now = Timestamp(1900);
    script.complete(1);
    assert_eq!(script.coordinator.next_deadline(), Some(Timestamp(2600)));
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
    for (first, kind) in [(1, BarrierKind::Checkpoint), (3, BarrierKind::Savepoint)] {
        for id in [first, first + 1] {
            assert_eq!(triggered(&script.request(id, kind)), [id]);
            script.ack(id, 0);
            script.ack(id, 1);
        }
        script.durable(first + 1);
        script.durable(first);
        let point = script.coordinator.restore_point().map(|point| point.id);
        assert_eq!(point, Some(CheckpointId(first + 1)));
    }
}

#[test]
fn no_deadline_lies_in_the_past_once_periodic_checkpoints_have_ended() {
    let checkpoints_after_tasks_finish = false;
    let mut script = Script::new(CoordinatorConfig { checkpoints_after_tasks_finish, ..config() });
    script.report(Report::SubtaskEnded { process: ProcessIndex(0) });
    assert_eq!(triggered(&script.at(1000)), NONE);
    assert_eq!(script.coordinator.next_deadline(), None);
}
