//! Everything outside of the coordinator.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tidegate_checkpoint::{
    Action, Command, CompletedSnapshot, Coordinator, CoordinatorConfig, Event, Report,
    coordinator::{
        AfterSavepoint, CheckpointOutcome, EndStatus, RequestId, RetentionPolicy, SnapshotRequest,
        Wish,
    },
    protocol::{Failure, ProcessAck},
};
use tidegate_types::{AttemptId, BarrierKind, CheckpointId, ErrorKind, Monotonic, ProcessIndex};

/// What the job starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    Fresh,
    Claimed,
    NotClaimed,
}

/// One thing that happens. Numbers pick among what is possible at that moment; a step that is not
/// possible then is left out.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Advance(u64),
    Acknowledge(usize),
    Decline(usize),
    SpeakFromAnEarlierAttempt(usize),
    ManifestIsWritten(usize),
    ManifestIsNotWritten(usize),
    ManifestIsSomebodyElses(usize),
    ManifestIsInDoubt { pick: usize, happened: bool },
    Check(usize),
    Request(Wish),
    InputsEnd(usize),
    SubtaskEnds(usize),
    Commit(usize),
    Close(usize),
    Fail(usize),
    Restart(u32),
    Cancel,
}

/// A folder of the store.
#[derive(Clone, Debug, Default)]
struct Folder {
    complete: bool,
    is_savepoint: bool,
    /// What follows it, if somebody has asked for it.
    then: Option<AfterSavepoint>,
}

/// The running attempt, as its processes see it.
#[derive(Clone, Debug, Default)]
struct Attempt {
    processes: u32,
    /// Who has not answered yet for which snapshot, and so may still write into its folder.
    unanswered: BTreeSet<(CheckpointId, ProcessIndex)>,
    uncommitted: BTreeSet<(CheckpointId, ProcessIndex)>,
    open_inputs: BTreeSet<ProcessIndex>,
    open: BTreeSet<ProcessIndex>,
    has_begun: bool,
    may_close: bool,
    is_over: bool,
    /// A drain has failed: nothing that this attempt does may count any more.
    gives_way: bool,
    has_closed: Option<EndStatus>,
    is_cancelled: bool,
}

/// The job and its world.
pub(crate) struct Model {
    config: CoordinatorConfig,
    coordinator: Coordinator,
    now: Monotonic,
    next_attempt: AttemptId,
    attempt: Option<Attempt>,
    store: BTreeMap<CheckpointId, Folder>,
    /// Manifests under way.
    writing: BTreeSet<CheckpointId>,
    /// Manifests that have to be looked for.
    checking: BTreeSet<CheckpointId>,
    /// Snapshots that the job was started from and does not own.
    unclaimed: Option<CheckpointId>,
    highest: CheckpointId,
    /// The latest snapshot that processes were told to commit.
    committed: Option<CheckpointId>,
    requests: BTreeMap<RequestId, Option<Result<String, String>>>,
    wishes: BTreeMap<RequestId, Wish>,
    /// The final savepoint of a stop that is complete, and how the job has to end.
    concluded: Option<(CheckpointId, EndStatus)>,
    ended: Option<EndStatus>,
}

const START: CheckpointId = CheckpointId(4);

fn location(id: CheckpointId) -> String {
    format!("chk-{id}")
}

fn pick<T: Copy>(from: impl IntoIterator<Item = T>, number: usize) -> Option<T> {
    let from = from.into_iter().collect::<Vec<_>>();
    (!from.is_empty()).then(|| from[number % from.len()])
}

impl Model {
    pub(crate) fn new(config: CoordinatorConfig, start: Start, processes: u32) -> Self {
        let snapshot = CompletedSnapshot {
            id: START,
            kind: BarrierKind::Savepoint,
            location: location(START),
            bytes: 0,
        };
        let (owned, foreign) = match start {
            Start::Fresh => (Vec::new(), None),
            Start::Claimed => (vec![snapshot], None),
            Start::NotClaimed => (Vec::new(), Some(snapshot)),
        };
        let mut store = BTreeMap::new();
        if start != Start::Fresh {
            store.insert(START, Folder { complete: true, is_savepoint: false, then: None });
        }
        let mut model = Self {
            coordinator: Coordinator::new(config.clone(), START.next(), owned, foreign),
            config,
            now: Monotonic::default(),
            next_attempt: AttemptId(0),
            attempt: None,
            store,
            writing: BTreeSet::new(),
            checking: BTreeSet::new(),
            unclaimed: (start == Start::NotClaimed).then_some(START),
            highest: START,
            committed: None,
            requests: BTreeMap::new(),
            wishes: BTreeMap::new(),
            concluded: None,
            ended: None,
        };
        model.start_attempt(processes);
        model
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    fn start_attempt(&mut self, processes: u32) {
        assert!(self.coordinator.is_settled());
        let point = self.coordinator.restore_point().map(|point| point.id);
        assert!(point >= self.committed, "restores {point:?}, committed {:?}", self.committed);
        // What it holds is committed again, or now.
        self.committed = point;
        if let Some(point) = point {
            let folder = &self.store[&point];
            assert!(folder.complete, "restores from {point}, which is not there");
            assert_ne!(folder.then, Some(AfterSavepoint::GoOn), "INV-ASIDE: restores from {point}");
        }
        let concluded = self.concluded.map(|(checkpoint, _)| checkpoint);
        assert_eq!(self.coordinator.is_concluding(), concluded.is_some(), "INV-CONCLUDE");
        assert!(concluded.is_none_or(|concluded| point == Some(concluded)), "INV-CONCLUDE");
        let all = || (0..processes).map(ProcessIndex).collect::<BTreeSet<_>>();
        let (open_inputs, open) = (all(), all());
        self.attempt = Some(Attempt { processes, open_inputs, open, ..Attempt::default() });
        let attempt = self.next_attempt;
        self.next_attempt = attempt.next();
        self.step(Event::AttemptStarted { attempt, processes });
        for process in (0..processes).map(ProcessIndex) {
            assert!(!self.running().has_begun, "INV-BEGIN");
            self.report(Report::Restored { process });
        }
        assert!(self.running().has_begun, "nobody is missing");
    }

    fn step(&mut self, event: Event) {
        let actions = self.coordinator.step(event, self.now);
        for action in actions {
            self.perform(action);
        }
        self.check_state();
    }

    /// What must hold after every step.
    fn check_state(&self) {
        let pausing = !self.config.min_pause.is_zero();
        let most = if pausing { 1 } else { self.config.max_concurrent as usize };
        let pending = self.coordinator.pending_count();
        assert!(pending <= most, "{pending} snapshots are under way, and {most} may be");
        if let Some(deadline) = self.coordinator.next_deadline() {
            assert!(deadline > self.now, "a driver would spin: {deadline:?} at {:?}", self.now);
        }
        for snapshot in self.coordinator.retained() {
            let folder = self.store.get(&snapshot.id);
            assert!(folder.is_some_and(|folder| folder.complete), "{snapshot:?} is gone");
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Trigger { barrier, .. } => self.on_trigger(barrier.checkpoint, barrier.kind),
            Action::Send(command) => self.on_command(&command),
            Action::WriteManifest { checkpoint, acks, .. } => {
                let attempt = self.attempt.as_ref().expect("somebody has acknowledged");
                assert_eq!(acks.len(), attempt.processes as usize, "some have not acknowledged");
                assert!(self.writing.insert(checkpoint));
            }
            Action::CheckManifest { checkpoint } => assert!(self.checking.insert(checkpoint)),
            Action::Discard { checkpoint } => self.on_discard(checkpoint),
            Action::Delete(subsumed) => self.on_delete(subsumed.snapshot()),
            Action::Answer { request, result } => {
                let ends = matches!(&self.wishes[&request], Wish::Savepoint { then, .. }
                    if *then != AfterSavepoint::GoOn);
                let early = ends && result.is_ok() && self.ended.is_none();
                assert!(!early, "INV-CONCLUDE: the job has not ended, and may write more");
                let answer = self.requests.get_mut(&request).expect("it was asked");
                let before = answer.replace(result);
                assert_eq!(before, None, "answered twice");
            }
            Action::FailAttempt(_) => self.running().is_over = true,
            Action::RestartAttempt { .. } => {
                let attempt = self.running();
                (attempt.is_over, attempt.gives_way) = (true, true);
            }
            Action::AttemptClosed(status) => {
                assert!(self.running().open.is_empty());
                self.running().has_closed = Some(status);
            }
            Action::Observe(outcome) => self.on_outcome(&outcome),
        }
    }

    fn running(&mut self) -> &mut Attempt {
        self.attempt.as_mut().expect("an attempt runs")
    }

    fn on_trigger(&mut self, id: CheckpointId, kind: BarrierKind) {
        assert!(id > self.highest, "INV-GROW: {id} after {}", self.highest);
        assert_eq!(self.concluded, None, "INV-CONCLUDE: {id} is triggered");
        assert!(self.running().has_begun, "INV-BEGIN: {id} is triggered");
        assert!(!self.running().gives_way, "{id} is triggered behind a final watermark");
        self.highest = id;
        let is_savepoint =
            matches!(kind, BarrierKind::Savepoint | BarrierKind::StopWithSavepoint { .. });
        let then = match kind {
            BarrierKind::Savepoint => Some(AfterSavepoint::GoOn),
            _ => None,
        };
        self.store.insert(id, Folder { complete: false, is_savepoint, then });
        let attempt = self.running();
        attempt
            .unanswered
            .extend((0..attempt.processes).map(|process| (id, ProcessIndex(process))));
    }

    fn on_command(&mut self, command: &Command) {
        match command {
            Command::Completed { checkpoint } => {
                let folder = self.store.get(checkpoint);
                let durable = folder.is_some_and(|folder| folder.complete);
                assert!(durable, "INV-DURABLE: {checkpoint} is committed before it is durable");
                let stands_aside = folder.and_then(|folder| folder.then).is_some();
                assert!(!stands_aside, "INV-ASIDE: {checkpoint} is committed");
                if let Some(attempt) = &mut self.attempt {
                    self.committed = self.committed.max(Some(*checkpoint));
                    let processes = (0..attempt.processes).map(ProcessIndex);
                    attempt.uncommitted.extend(processes.map(|process| (*checkpoint, process)));
                }
            }
            Command::Begin => self.running().has_begun = true,
            Command::Finish => self.running().may_close = true,
            Command::Cancel => {
                self.running().is_cancelled = true;
                self.running().is_over = true;
            }
            Command::Trigger { .. } => panic!("the driver sends it, it knows the folder"),
            Command::SavepointCompleted { .. } | Command::Aborted { .. } => {}
        }
    }

    fn on_discard(&mut self, id: CheckpointId) {
        let folder = self.store.remove(&id).expect("INV-SWEEP: it is discarded once");
        assert!(!folder.complete, "INV-REACH: {id} is complete");
        let writing = self.writing.contains(&id) || self.checking.contains(&id);
        assert!(!writing, "INV-REACH: the manifest of {id} may still come");
        if let Some(attempt) = &self.attempt {
            let writer = attempt.unanswered.iter().find(|(snapshot, _)| *snapshot == id);
            assert_eq!(writer, None, "INV-SWEEP: it may still write into it");
        }
    }

    fn on_delete(&mut self, snapshot: &CompletedSnapshot) {
        let id = snapshot.id;
        let kept = self.coordinator.retained();
        assert!(!kept.contains(snapshot), "INV-REACH: {id} is retained");
        assert_ne!(Some(id), self.unclaimed, "INV-REACH: {id} is not claimed");
        let folder = self.store.remove(&id).expect("INV-SWEEP: it is deleted once");
        assert!(!folder.is_savepoint, "INV-REACH: the savepoint {id} is its user's");
    }

    fn on_outcome(&mut self, outcome: &CheckpointOutcome) {
        let CheckpointOutcome::Completed { snapshot, .. } = outcome else { return };
        assert!(self.store[&snapshot.id].complete);
        if let BarrierKind::StopWithSavepoint { .. } = snapshot.kind {
            // Of several stops the last one was triggered: the others have failed.
            let end = |(request, wish): (&RequestId, &Wish)| match wish {
                _ if self.requests[request].is_some() => None,
                Wish::Savepoint { then: AfterSavepoint::Cancel, .. } => Some(EndStatus::Canceled),
                Wish::Savepoint { then: AfterSavepoint::Stop { .. }, .. } => {
                    Some(EndStatus::Finished)
                }
                _ => None,
            };
            let end = self.wishes.iter().find_map(end).expect("somebody has asked for it");
            self.concluded = Some((snapshot.id, end));
        }
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Advance(millis) => self.advance(millis),
            Step::Acknowledge(number) => self.answer(number, true),
            Step::Decline(number) => self.answer(number, false),
            Step::SpeakFromAnEarlierAttempt(number) => self.speak_from_before(number),
            Step::ManifestIsWritten(number) => self.manifest(number, true, false),
            Step::ManifestIsNotWritten(number) => self.manifest(number, false, false),
            Step::ManifestIsSomebodyElses(number) => self.manifest_is_taken(number),
            Step::ManifestIsInDoubt { pick, happened } => self.manifest(pick, happened, true),
            Step::Check(number) => self.check(number),
            Step::Request(wish) => self.request(wish),
            Step::InputsEnd(number) => self.inputs_end(number),
            Step::SubtaskEnds(number) => self.subtask_ends(number),
            Step::Commit(number) => self.commit(number),
            Step::Close(number) => self.close(number),
            Step::Fail(number) => self.fail(number),
            Step::Restart(processes) => self.restart(processes),
            Step::Cancel => {
                if self.attempt.as_ref().is_some_and(|attempt| !attempt.is_over) {
                    self.step(Event::CancelRequested);
                }
            }
        }
        self.follow_up();
    }

    /// The driver tears an attempt down soon after it is over.
    fn follow_up(&mut self) {
        let Some(attempt) = &self.attempt else { return };
        if let Some(status) = attempt.has_closed {
            let expected = self.concluded.map_or(EndStatus::Finished, |(_, end)| end);
            assert_eq!(status, expected, "it ends otherwise than it was asked to");
            self.end_attempt();
            self.end_job(status);
        } else if attempt.is_cancelled {
            self.end_attempt();
            self.end_job(EndStatus::Canceled);
        }
    }

    fn advance(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(deadline) = self.coordinator.next_deadline().filter(|time| *time <= end) {
            self.now = deadline;
            self.step(Event::Tick);
        }
        self.now = end;
    }

    fn report(&mut self, report: Report) {
        let attempt = AttemptId(self.next_attempt.get() - 1);
        self.step(Event::Report { attempt, report });
    }

    fn answer(&mut self, number: usize, acknowledges: bool) {
        let unanswered = self.attempt.iter().flat_map(|attempt| &attempt.unanswered).copied();
        let Some((checkpoint, process)) = pick(unanswered, number) else { return };
        self.running().unanswered.remove(&(checkpoint, process));
        self.report(if acknowledges {
            ack(checkpoint, process)
        } else {
            decline(checkpoint, process)
        });
    }

    /// INV-FENCE
    fn speak_from_before(&mut self, number: usize) {
        let Some(attempt) = self.next_attempt.get().checked_sub(2).map(AttemptId) else { return };
        let Some(checkpoint) = pick(self.store.keys().copied(), number) else { return };
        let process = ProcessIndex(number as u32 % 3);
        let reports = [
            ack(checkpoint, process),
            decline(checkpoint, process),
            Report::Restored { process },
            Report::InputsEnded { process },
            Report::Committed { checkpoint, process },
            Report::Closed { process },
        ];
        let report = reports[number % reports.len()].clone();
        let actions = self.coordinator.step(Event::Report { attempt, report }, self.now);
        assert_eq!(actions, [], "INV-FENCE");
    }

    fn manifest(&mut self, number: usize, happened: bool, in_doubt: bool) {
        let Some(checkpoint) = pick(self.writing.iter().copied(), number) else { return };
        self.writing.remove(&checkpoint);
        if happened {
            self.store.get_mut(&checkpoint).expect("it is being written").complete = true;
        }
        let reason = "the store did not answer".to_owned();
        self.step(match (happened, in_doubt) {
            (true, false) => Event::ManifestDurable { checkpoint, location: location(checkpoint) },
            _ => Event::ManifestFailed { checkpoint, may_have_happened: in_doubt, reason },
        });
    }

    fn manifest_is_taken(&mut self, number: usize) {
        let Some(checkpoint) = pick(self.writing.iter().copied(), number) else { return };
        self.writing.remove(&checkpoint);
        let was_over = self.attempt.as_ref().is_none_or(|attempt| attempt.is_over);
        self.step(Event::ManifestTaken { checkpoint });
        let attempt = self.attempt.as_ref();
        let fails = attempt.is_some_and(|attempt| attempt.is_over && !attempt.gives_way);
        assert!(was_over || !fails, "that is no failure of this run's");
    }

    fn check(&mut self, number: usize) {
        let Some(checkpoint) = pick(self.checking.iter().copied(), number) else { return };
        self.checking.remove(&checkpoint);
        let reason = "it is not there".to_owned();
        self.step(if self.store[&checkpoint].complete {
            Event::ManifestDurable { checkpoint, location: location(checkpoint) }
        } else {
            Event::ManifestFailed { checkpoint, may_have_happened: false, reason }
        });
    }

    fn request(&mut self, wish: Wish) {
        let id = RequestId(self.requests.len() as u64);
        self.requests.insert(id, None);
        self.wishes.insert(id, wish.clone());
        self.step(Event::Requested(SnapshotRequest { id, wish }));
    }

    fn inputs_end(&mut self, number: usize) {
        let open = self.attempt.iter().flat_map(|attempt| &attempt.open_inputs).copied();
        let Some(process) = pick(open, number) else { return };
        self.running().open_inputs.remove(&process);
        self.report(Report::InputsEnded { process });
    }

    fn subtask_ends(&mut self, number: usize) {
        let open = self.attempt.iter().flat_map(|attempt| &attempt.open_inputs).copied();
        let Some(process) = pick(open, number) else { return };
        self.report(Report::SubtaskEnded { process });
    }

    fn commit(&mut self, number: usize) {
        let uncommitted = self.attempt.iter().flat_map(|attempt| &attempt.uncommitted).copied();
        let Some((checkpoint, process)) = pick(uncommitted, number) else { return };
        self.running().uncommitted.remove(&(checkpoint, process));
        self.report(Report::Committed { checkpoint, process });
    }

    fn close(&mut self, number: usize) {
        let closing = self.attempt.iter().filter(|attempt| attempt.may_close);
        let Some(process) = pick(closing.flat_map(|attempt| &attempt.open).copied(), number) else {
            return;
        };
        self.running().open.remove(&process);
        self.report(Report::Closed { process });
    }

    fn fail(&mut self, number: usize) {
        let open = self.attempt.iter().flat_map(|attempt| &attempt.open).copied();
        let Some(process) = pick(open, number) else { return };
        let (kind, message) = (ErrorKind::User, "boom".to_owned());
        let failure = Failure { kind, message, uid: None, subtask: None };
        self.report(Report::Failed { process, failure });
        assert!(self.running().is_over, "a failure fails the attempt");
    }

    /// An attempt that is over is followed by another; one that is not gets killed.
    fn restart(&mut self, processes: u32) {
        self.end_attempt();
        self.start_attempt(processes);
    }

    fn end_attempt(&mut self) {
        self.attempt = None;
        self.step(Event::AttemptEnded { reason: "it is over".to_owned() });
        while let Some(checkpoint) = self.writing.first() {
            let number = checkpoint.get() as usize;
            self.manifest(0, !number.is_multiple_of(3), number.is_multiple_of(2));
        }
        while !self.checking.is_empty() {
            self.check(0);
        }
        assert!(self.coordinator.is_settled());
        // Who has stopped the job is answered when it has ended.
        let unanswered = self.requests.values().filter(|answer| answer.is_none()).count();
        assert!(unanswered <= usize::from(self.concluded.is_some()), "who asked is left waiting");
    }

    fn end_job(&mut self, status: EndStatus) {
        self.ended = Some(status);
        let actions = self.coordinator.step(Event::JobEnded(status), self.now);
        for action in actions {
            let expected = matches!(action, Action::Delete(_) | Action::Answer { .. });
            assert!(expected, "{action:?}");
            self.perform(action);
        }
    }

    /// Brings the job to its end, if it has not come to it.
    pub(crate) fn wind_up(&mut self, status: EndStatus) {
        if self.ended.is_none() {
            self.end_attempt();
            self.end_job(status);
        }
    }

    /// INV-SWEEP and INV-REACH, when all is over.
    pub(crate) fn check_leftovers(&self) {
        let keeps = match self.ended.expect("it has ended") {
            EndStatus::Finished => false,
            EndStatus::Canceled => self.config.retention == RetentionPolicy::RetainOnCancellation,
            EndStatus::Failed | EndStatus::Suspended => true,
        };
        let retained = self.coordinator.retained();
        let owned = retained.iter().filter(|snapshot| Some(snapshot.id) != self.unclaimed);
        let owned = owned.filter(|snapshot| !self.store[&snapshot.id].is_savepoint).count();
        assert!(owned <= if keeps { self.config.num_retained as usize } else { 0 });
        for (id, folder) in &self.store {
            assert!(folder.complete, "INV-SWEEP: {id} was never completed and is still there");
            let is_users = folder.is_savepoint || self.unclaimed == Some(*id);
            let is_retained = retained.iter().any(|snapshot| snapshot.id == *id);
            assert!(is_users || is_retained, "INV-SWEEP: nobody knows of {id} any more");
        }
        for (request, answer) in &self.requests {
            let answer = answer.as_ref().expect("INV-ANSWER");
            if let Ok(path) = answer {
                assert!(path.starts_with("chk-"), "{request:?}: {path}");
            }
        }
    }
}

fn ack(checkpoint: CheckpointId, process: ProcessIndex) -> Report {
    let (operators, files) = (Vec::new(), BTreeMap::new());
    Report::Acknowledged(ProcessAck { checkpoint, process, operators, files })
}

fn decline(checkpoint: CheckpointId, process: ProcessIndex) -> Report {
    Report::Declined { checkpoint, process, reason: "disk full".to_owned() }
}
