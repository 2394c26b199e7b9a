use std::time::Duration;

use proptest::prelude::*;
use tidegate_types::{AttemptId, CheckpointId, ErrorKind, Monotonic};

use super::*;
use crate::{
    coordinator::{
        Action as CoordinatorAction, Coordinator, CoordinatorConfig, Event as CoordinatorEvent,
        RetentionPolicy,
    },
    protocol::{Command, Failure},
};

const PROCESS: ProcessIndex = ProcessIndex(1);

fn restored() -> Action<u32> {
    Action::Report(Report::Restored { process: PROCESS })
}

#[test]
fn a_process_reports_once_all_of_its_workers_have_what_they_take_over() {
    let workers = [SubtaskIndex(2), SubtaskIndex(3)];
    let mut process = Beginning::<u32>::new(PROCESS, workers);
    assert_eq!(process.step(Event::Restored(SubtaskIndex(3))), []);
    assert_eq!(process.step(Event::Restored(SubtaskIndex(3))), [], "it has said so already");
    assert_eq!(process.step(Event::Restored(SubtaskIndex(9))), [], "it is somebody else's");
    assert_eq!(process.step(Event::Restored(SubtaskIndex(2))), [restored()]);
    assert_eq!(process.step(Event::Restored(SubtaskIndex(2))), []);
    assert_eq!(process.step(Event::Begin), [Action::Begin]);
    assert_eq!(process.step(Event::Begin), [], "it has begun already");
}

#[test]
fn what_operators_have_begun_is_run_only_when_the_attempt_begins() {
    let mut process = Beginning::new(PROCESS, [SubtaskIndex(0)]);
    assert_eq!(process.step(Event::Duty(7)), []);
    assert_eq!(process.step(Event::Restored(SubtaskIndex(0))), [restored()]);
    assert_eq!(process.step(Event::Duty(8)), []);
    let begun = [Action::Begin, Action::Run(7), Action::Run(8)];
    assert_eq!(process.step(Event::Begin), begun);
    assert_eq!(process.step(Event::Duty(9)), [Action::Run(9)]);
}

/// A thing that happens to an attempt that begins.
#[derive(Clone, Debug)]
enum Step {
    /// A worker of a process has restored its subtasks, maybe once more.
    Restored(u32, u32),
    /// A report arrives at the coordinator, or a command at a process.
    Deliver(usize),
    /// A process fails, or dies.
    Fail(u32),
    /// A report of the attempt before arrives.
    Late(u32),
    /// Time passes: periodic checkpoints become due.
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..3_u32, 0..2_u32).prop_map(|(process, worker)| Step::Restored(process, worker)),
        8 => any::<usize>().prop_map(Step::Deliver),
        1 => (0..3_u32).prop_map(Step::Fail),
        2 => (0..4_u32).prop_map(Step::Late),
        2 => Just(Step::Tick),
    ]
}

/// A message under way.
#[derive(Clone, Debug)]
enum Message {
    Report(Report),
    Begin(usize),
}

/// Three processes of two workers each, and their coordinator.
struct World {
    coordinator: Coordinator,
    processes: Vec<Beginning<u32>>,
    under_way: Vec<Message>,
    restored: BTreeSet<(u32, u32)>,
    begun: Vec<bool>,
    told_to_begin: usize,
    has_failed: bool,
    now: Monotonic,
}

const ATTEMPT: AttemptId = AttemptId(5);

impl World {
    fn new() -> Self {
        let config = CoordinatorConfig {
            interval: Some(Duration::from_millis(10)),
            timeout: Duration::from_secs(60),
            min_pause: Duration::ZERO,
            max_concurrent: 1,
            tolerable_failed: 0,
            retention: RetentionPolicy::NoExternalizedCheckpoints,
            num_retained: 1,
            checkpoints_after_tasks_finish: true,
        };
        let process =
            |index| Beginning::new(ProcessIndex(index), [SubtaskIndex(0), SubtaskIndex(1)]);
        let mut world = Self {
            coordinator: Coordinator::new(config, CheckpointId(1), Vec::new(), None),
            processes: (0..3).map(process).collect(),
            under_way: Vec::new(),
            restored: BTreeSet::new(),
            begun: vec![false; 3],
            told_to_begin: 0,
            has_failed: false,
            now: Monotonic::default(),
        };
        world.coordinate(CoordinatorEvent::AttemptStarted { attempt: ATTEMPT, processes: 3 });
        for (index, duty) in (0..3).zip(100..) {
            world.process(index, Event::Duty(duty));
        }
        world
    }

    fn coordinate(&mut self, event: CoordinatorEvent) {
        for action in self.coordinator.step(event, self.now) {
            match action {
                CoordinatorAction::Send(Command::Begin) => {
                    self.told_to_begin += 1;
                    assert!(!self.has_failed, "INV-BEGUN: a process of it has failed");
                    self.under_way.extend((0..3).map(Message::Begin));
                }
                CoordinatorAction::Trigger { .. } => {
                    assert_eq!(
                        self.told_to_begin, 1,
                        "a checkpoint of an attempt before it begins"
                    );
                }
                _ => {}
            }
        }
    }

    fn process(&mut self, index: usize, event: Event<u32>) {
        for action in self.processes[index].step(event) {
            match action {
                Action::Report(report) => self.under_way.push(Message::Report(report)),
                Action::Begin => {
                    assert!(!std::mem::replace(&mut self.begun[index], true), "INV-BEGUN: twice");
                    assert_eq!(self.restored.len(), 6, "INV-BEGIN");
                }
                Action::Run(_) => assert!(self.begun[index], "INV-BEGIN: it commits"),
            }
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Restored(process, worker) => {
                self.restored.insert((process, worker));
                self.process(process as usize, Event::Restored(SubtaskIndex(worker)));
            }
            Step::Deliver(pick) if !self.under_way.is_empty() => {
                let pick = pick % self.under_way.len();
                match self.under_way.swap_remove(pick) {
                    Message::Report(report) => {
                        self.coordinate(CoordinatorEvent::Report { attempt: ATTEMPT, report });
                    }
                    Message::Begin(process) => self.process(process, Event::Begin),
                }
            }
            Step::Deliver(_) => {}
            Step::Fail(process) => {
                let process = ProcessIndex(process);
                let message = "a block is damaged".to_owned();
                let kind = ErrorKind::Corrupt;
                let failure = Failure { kind, message, uid: None, subtask: None };
                let report = Report::Failed { process, failure };
                self.has_failed = true;
                self.coordinate(CoordinatorEvent::Report { attempt: ATTEMPT, report });
            }
            Step::Late(process) => {
                let attempt = AttemptId(ATTEMPT.get() - 1);
                let report = Report::Restored { process: ProcessIndex(process) };
                let event = CoordinatorEvent::Report { attempt, report };
                assert_eq!(self.coordinator.step(event, self.now), [], "INV-FENCE");
            }
            Step::Tick => {
                self.now += Duration::from_millis(20);
                self.coordinate(CoordinatorEvent::Tick);
            }
        }
    }
}

proptest! {
    #[test]
    fn nobody_begins_before_all_are_ready(steps in prop::collection::vec(step(), 0..80)) {
        let mut world = World::new();
        steps.into_iter().for_each(|step| world.take(step));
        prop_assert!(world.told_to_begin <= 1, "INV-BEGUN");
        if world.has_failed {
            return Ok(());
        }
        // Whatever has happened so far, it begins once all have what they take over.
        for process in 0..3 {
            (0..2).for_each(|worker| world.take(Step::Restored(process, worker)));
        }
        while !world.under_way.is_empty() {
            world.take(Step::Deliver(0));
        }
        prop_assert!(world.begun.iter().all(|begun| *begun));
    }
}
