//! The gathering of a process's parts under random interleavings.
//!
//! [`Model`] plays the coordinator, the tasks, and what the process has begun: encodings, writes,
//! commits. It keeps to the protocol, apart from what is said twice or too late, holds the
//! gathering to its invariants after each step, and in the end has everything come to its end.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidegate_checkpoint::{
    Gathering, Report,
    gathering::{Action, Event, Target},
    protocol::ProcessAck,
    task::TaskCommand,
};
use tidegate_snapshot::manifest::SnapshotForm;
use tidegate_types::{Barrier, BarrierKind, CheckpointId, ProcessIndex, SubtaskIndex};

const PROCESS: ProcessIndex = ProcessIndex(3);

/// One thing that happens. Numbers pick among what is possible at that moment; a step that is not
/// possible then is left out.
#[derive(Clone, Debug)]
enum Step {
    Trigger,
    TriggerAgain(usize),
    Part(usize),
    Encoded(usize),
    NotEncoded(usize),
    Unprepared(usize),
    Written(usize),
    NotWritten(usize),
    Abort(usize),
    Complete(usize),
    CompleteAgain(usize),
    Commits { pick: usize, count: usize },
    UnknownCommits(u64),
    CommitDone(usize),
    InputEnds(usize),
}

/// What subtask, and of which snapshot.
type Part = (u64, usize);

/// What is known of one snapshot.
#[derive(Clone, Debug, Default)]
struct Snapshot {
    triggered: bool,
    /// Subtasks that have handed out their parts.
    parts: BTreeSet<usize>,
    encoding: BTreeSet<usize>,
    encoded: BTreeSet<usize>,
    /// The attempt fails over it.
    unprepared: bool,
    writing: bool,
    written: bool,
    /// The coordinator has given it up, or some part of it has failed.
    given_up: bool,
    aborted: bool,
    acknowledged: bool,
    declined: bool,
    completed: bool,
    /// Subtasks that have not handed out their commits.
    silent: usize,
    commits: usize,
    committed: bool,
}

struct Model {
    gathering: Gathering<Part, Part>,
    subtasks: usize,
    next: u64,
    snapshots: BTreeMap<u64, Snapshot>,
    ended: BTreeSet<usize>,
    ends_reported: (usize, usize),
}

fn id(checkpoint: CheckpointId) -> u64 {
    checkpoint.get()
}

fn picked<T>(items: impl IntoIterator<Item = T>, pick: usize) -> Option<T> {
    let items = items.into_iter().collect::<Vec<_>>();
    let index = pick.checked_rem(items.len())?;
    items.into_iter().nth(index)
}

impl Model {
    fn new(subtasks: usize) -> Self {
        let (snapshots, ended, ends_reported) = Default::default();
        let gathering = Gathering::new(PROCESS, subtasks);
        Self { gathering, subtasks, next: 1, snapshots, ended, ends_reported }
    }

    fn ids(&self, which: impl Fn(&Snapshot) -> bool) -> Vec<u64> {
        self.snapshots.iter().filter(|(_, one)| which(one)).map(|(id, _)| *id).collect()
    }

    fn one(&mut self, id: u64) -> &mut Snapshot {
        self.snapshots.get_mut(&id).expect("the snapshot is known")
    }

    /// Everything that is being encoded.
    fn encoding(&self) -> Vec<Part> {
        let of = |(id, one): (&u64, &Snapshot)| {
            let id = *id;
            one.encoding.iter().map(move |subtask| (id, *subtask)).collect::<Vec<_>>()
        };
        self.snapshots.iter().flat_map(of).collect()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Trigger => self.trigger(self.next),
            Step::TriggerAgain(pick) => {
                let known = picked(self.ids(|one| one.triggered), pick);
                known.into_iter().for_each(|id| {
                    let actions =
                        self.feed(Event::Triggered { barrier: barrier(id), target: target(id) });
                    assert_eq!(actions, 0, "a second trigger counts for nothing");
                });
            }
            Step::Part(pick) => self.part(pick),
            Step::Encoded(pick) => self.encoded(pick, Event::Encoded),
            Step::NotEncoded(pick) => {
                self.encoded(pick, |checkpoint, _| Event::NotEncoded(checkpoint, "too long".into()))
            }
            Step::Unprepared(pick) => {
                self.encoded(pick, |checkpoint, _| Event::Unprepared(checkpoint));
            }
            Step::Written(pick) => self.written(pick, true),
            Step::NotWritten(pick) => self.written(pick, false),
            Step::Abort(pick) => {
                let open = self.ids(|one| one.triggered && !one.completed);
                picked(open, pick).into_iter().for_each(|id| self.abort(id));
            }
            Step::Complete(pick) => {
                let open = self.ids(|one| one.acknowledged && !one.aborted && !one.completed);
                picked(open, pick).into_iter().for_each(|id| self.complete(id));
            }
            Step::CompleteAgain(pick) => {
                let known = picked(self.ids(|one| one.completed), pick);
                known.into_iter().for_each(|id| {
                    let actions = self.feed(Event::Completed(CheckpointId(id)));
                    assert_eq!(actions, 0, "a second completion counts for nothing");
                });
            }
            Step::Commits { pick, count } => {
                let open = picked(self.ids(|one| one.silent > 0), pick);
                open.into_iter().for_each(|id| self.commits(id, count));
            }
            Step::UnknownCommits(id) => {
                if !self.snapshots.get(&id).is_some_and(|one| one.completed) {
                    assert_eq!(self.feed(Event::Commits(CheckpointId(id), 2)), 0);
                    assert_eq!(self.feed(Event::CommitDone(CheckpointId(id))), 0);
                }
            }
            Step::CommitDone(pick) => {
                let open = picked(self.ids(|one| one.commits > 0), pick);
                open.into_iter().for_each(|id| self.commit_done(id));
            }
            Step::InputEnds(pick) => self.input_ends(pick % self.subtasks),
        }
    }

    fn trigger(&mut self, id: u64) {
        self.next = id + 1;
        self.snapshots.entry(id).or_default().triggered = true;
        self.feed(Event::Triggered { barrier: barrier(id), target: target(id) });
        let early = self.one(id).parts.clone();
        assert_eq!(self.one(id).encoding, early, "INV-KEPT: all that came before is encoded now");
    }

    /// A subtask hands out its part: of a snapshot that is triggered, or soon will be.
    fn part(&mut self, pick: usize) {
        let last = self.next + 1;
        let parts = |id: u64| (0..self.subtasks).map(move |subtask| (id, subtask));
        let is_new = |(id, subtask): &Part| {
            !self.snapshots.get(id).is_some_and(|one| one.parts.contains(subtask))
        };
        let Some((id, subtask)) = picked((1..=last).flat_map(parts).filter(is_new), pick) else {
            return;
        };
        let one = self.snapshots.entry(id).or_default();
        one.parts.insert(subtask);
        let expected = one.triggered && !one.given_up;
        self.feed(Event::Part(CheckpointId(id), (id, subtask)));
        let begun = self.one(id).encoding.contains(&subtask);
        assert_eq!(begun, expected, "part {subtask} of snapshot {id}");
    }

    fn encoded(&mut self, pick: usize, event: impl Fn(CheckpointId, Part) -> Event<Part, Part>) {
        let Some((id, subtask)) = picked(self.encoding(), pick) else { return };
        let event = event(CheckpointId(id), (id, subtask));
        let one = self.one(id);
        one.encoding.remove(&subtask);
        match &event {
            Event::Encoded(..) => _ = one.encoded.insert(subtask),
            Event::NotEncoded(..) => one.given_up = true,
            _ => one.unprepared = true,
        }
        self.feed(event);
    }

    fn written(&mut self, pick: usize, well: bool) {
        let Some(id) = picked(self.ids(|one| one.writing), pick) else { return };
        let one = self.one(id);
        one.writing = false;
        one.written = well;
        one.given_up |= !well;
        let result = if well { Ok(ack(id)) } else { Err("disk full".into()) };
        self.feed(Event::Written(CheckpointId(id), result));
    }

    fn abort(&mut self, id: u64) {
        let one = self.one(id);
        one.aborted = true;
        one.given_up = true;
        self.feed(Event::Aborted(CheckpointId(id)));
    }

    fn complete(&mut self, id: u64) {
        let subtasks = self.subtasks;
        let one = self.one(id);
        one.completed = true;
        one.silent = subtasks;
        assert_eq!(self.feed(Event::Completed(CheckpointId(id))), 1, "the tasks are told");
    }

    fn commits(&mut self, id: u64, count: usize) {
        let one = self.one(id);
        one.silent -= 1;
        one.commits += count;
        self.feed(Event::Commits(CheckpointId(id), count));
    }

    fn commit_done(&mut self, id: u64) {
        self.one(id).commits -= 1;
        self.feed(Event::CommitDone(CheckpointId(id)));
    }

    fn input_ends(&mut self, subtask: usize) {
        self.ended.insert(subtask);
        self.feed(Event::InputEnded(subtask, SubtaskIndex(0)));
        let all = usize::from(self.ended.len() == self.subtasks);
        let any = usize::from(self.ended.len() < self.subtasks).max(self.ends_reported.0);
        assert_eq!(self.ends_reported, (any, all));
    }

    /// Tells the gathering, and carries out what it wants done; returns how much that is.
    fn feed(&mut self, event: Event<Part, Part>) -> usize {
        let actions = self.gathering.step(event);
        let count = actions.len();
        actions.into_iter().for_each(|action| self.carry_out(action));
        self.check();
        count
    }

    fn carry_out(&mut self, action: Action<Part, Part>) {
        match action {
            Action::Tell(TaskCommand::Aborted(checkpoint)) => {
                assert!(self.one(id(checkpoint)).aborted);
            }
            Action::Tell(TaskCommand::Completed(checkpoint)) => {
                assert!(self.one(id(checkpoint)).completed);
            }
            Action::Tell(TaskCommand::Trigger(barrier)) => {
                assert!(self.one(id(barrier.checkpoint)).encoding.is_empty());
            }
            Action::Encode { checkpoint, target: to, part: (of, subtask) } => {
                assert_eq!((id(checkpoint), &to), (of, &target(of)));
                let one = self.one(of);
                assert!(!one.given_up, "INV-STILL: {of} is given up");
                assert!(one.encoding.insert(subtask));
            }
            Action::Write { checkpoint, target: to, parts } => {
                assert_eq!(to, target(id(checkpoint)));
                let subtasks = self.subtasks;
                let one = self.one(id(checkpoint));
                assert!(!one.given_up && !one.writing && !one.written, "INV-STILL: {one:?}");
                let parts = parts.into_iter().map(|(_, subtask)| subtask).collect::<BTreeSet<_>>();
                assert_eq!(parts, one.encoded);
                assert_eq!(parts.len(), subtasks, "it is whole");
                one.writing = true;
            }
            Action::Report(report) => self.on_report(report),
        }
    }

    fn on_report(&mut self, report: Report) {
        match report {
            Report::Acknowledged(ack) => {
                let one = self.one(id(ack.checkpoint));
                assert!(one.written && !one.given_up, "{one:?}");
                assert!(!one.acknowledged && !one.declined, "INV-ANSWER: {one:?}");
                one.acknowledged = true;
            }
            Report::Declined { checkpoint, process, .. } => {
                assert_eq!(process, PROCESS);
                let one = self.one(id(checkpoint));
                assert!(!one.acknowledged && !one.declined, "INV-ANSWER: {one:?}");
                assert!(one.encoding.is_empty() && !one.writing, "INV-STILL: {one:?}");
                one.declined = true;
            }
            Report::Committed { checkpoint, .. } => {
                let one = self.one(id(checkpoint));
                assert!(one.silent == 0 && one.commits == 0, "INV-COMMITTED: {one:?}");
                assert!(!one.committed, "INV-COMMITTED: said twice");
                one.committed = true;
            }
            Report::SubtaskEnded { .. } => self.ends_reported.0 += 1,
            Report::InputsEnded { .. } => self.ends_reported.1 += 1,
            Report::Restored { .. } | Report::Closed { .. } | Report::Failed { .. } => {
                panic!("nobody has it say that")
            }
        }
    }

    /// Whatever can be answered is.
    fn check(&self) {
        for (id, one) in &self.snapshots {
            let quiet = one.encoding.is_empty() && !one.writing;
            let answered = one.acknowledged || one.declined;
            if one.given_up && quiet {
                assert!(answered, "INV-ANSWER: snapshot {id} is not answered: {one:?}");
            }
            let done = one.completed && one.silent == 0 && one.commits == 0;
            assert_eq!(one.committed, done, "INV-COMMITTED: snapshot {id}: {one:?}");
            let gathers = one.triggered && !one.given_up && one.encoded.len() < self.subtasks;
            let is_gathering = self.gathering.is_gathering(CheckpointId(*id));
            assert_eq!(is_gathering, gathers, "snapshot {id}: {one:?}");
        }
    }

    /// Everything that is under way comes to its end.
    fn wind_up(&mut self) {
        self.ids(|one| !one.triggered).into_iter().for_each(|id| self.trigger(id));
        while let Some(part) = self.encoding().first().copied() {
            self.encoded(0, Event::Encoded);
            assert!(!self.one(part.0).encoding.contains(&part.1));
        }
        while !self.ids(|one| one.writing).is_empty() {
            self.written(0, true);
        }
        for id in self.ids(|one| !one.acknowledged && !one.declined) {
            let one = self.one(id);
            assert!(one.unprepared || one.parts.len() < self.subtasks, "INV-ANSWER: {id}");
            self.abort(id);
        }
        for id in self.ids(|one| one.acknowledged && !one.aborted && !one.completed) {
            self.feed(Event::SavepointCompleted(CheckpointId(id)));
        }
        while let Some(id) = self.ids(|one| one.silent > 0).first().copied() {
            self.commits(id, 1);
        }
        while let Some(id) = self.ids(|one| one.commits > 0).first().copied() {
            self.commit_done(id);
        }
        for (id, one) in &self.snapshots {
            assert!(one.acknowledged != one.declined, "INV-ANSWER: snapshot {id}: {one:?}");
        }
        assert!(self.gathering.is_empty(), "nothing is kept of what is over: {:?}", self.gathering);
    }
}

fn barrier(id: u64) -> Barrier {
    Barrier { checkpoint: CheckpointId(id), kind: BarrierKind::Checkpoint }
}

fn target(id: u64) -> Target {
    Target { folder: format!("chk-{id}"), form: SnapshotForm::Native }
}

fn ack(id: u64) -> ProcessAck {
    let (operators, files) = Default::default();
    ProcessAck { checkpoint: CheckpointId(id), process: PROCESS, operators, files }
}

fn step() -> impl Strategy<Value = Step> {
    let pick = || 0..64_usize;
    prop_oneof![
        6 => Just(Step::Trigger),
        1 => pick().prop_map(Step::TriggerAgain),
        40 => pick().prop_map(Step::Part),
        30 => pick().prop_map(Step::Encoded),
        1 => pick().prop_map(Step::NotEncoded),
        1 => pick().prop_map(Step::Unprepared),
        8 => pick().prop_map(Step::Written),
        1 => pick().prop_map(Step::NotWritten),
        3 => pick().prop_map(Step::Abort),
        6 => pick().prop_map(Step::Complete),
        2 => pick().prop_map(Step::CompleteAgain),
        8 => (pick(), 0..3_usize).prop_map(|(pick, count)| Step::Commits { pick, count }),
        1 => (0..20_u64).prop_map(Step::UnknownCommits),
        8 => pick().prop_map(Step::CommitDone),
        2 => pick().prop_map(Step::InputEnds),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_invariants_hold_whatever_happens(
        subtasks in 1..4_usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut model = Model::new(subtasks);
        steps.into_iter().for_each(|step| model.take(step));
        model.wind_up();
    }
}
