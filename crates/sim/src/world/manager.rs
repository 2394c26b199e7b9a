//! The manager: carries out what the coordinator decides, as the runtime's driver does.

use std::{collections::BTreeMap, ops::Range};

use rand::RngExt;
use tidegate_checkpoint::{
    Action, Event, RestartDecision,
    coordinator::{
        AfterSavepoint, CheckpointOutcome, EndStatus, RequestId, SnapshotRequest, Trigger, Wish,
    },
    protocol::{Command, ProcessAck, Report},
};
use tidegate_snapshot::manifest::{
    FORMAT, FORMAT_VERSION, JobInfo, Manifest, OperatorManifest, SnapshotForm, SnapshotKind,
};
use tidegate_types::{
    AttemptId, Barrier, BarrierKind, CheckpointId, JobId, OperatorUid, Parallelism,
};

use super::{
    End, Errand, Happening, Start, Work, World,
    life::{AttemptEnd, Life, Stage},
};
use crate::schedule::{Fate, Schedule};

/// Microseconds from the end of an attempt until nothing of it does anything any more.
const TEARING_DOWN: Range<u64> = 100..60_000;
/// Microseconds until an operation of the store that failed is tried again.
const RETRY: u64 = 10_000;

impl World {
    pub(super) fn alive(&mut self) -> &mut Life {
        self.life.as_mut().expect("errands are the living manager's")
    }

    fn remind(&mut self, micros: u64, errand: Errand) {
        let life = self.alive().number;
        self.schedule.after(micros, Happening::Errand { life, errand });
    }

    pub(super) fn manager_started(&mut self, attempt: AttemptId, processes: u32) {
        self.step(Event::AttemptStarted { attempt, processes });
    }

    /// Feeds the coordinator, and does what it wants done.
    pub(super) fn step(&mut self, event: Event) {
        self.schedule.note(|| format!("{event:?}"));
        let now = self.schedule.monotonic();
        let actions = self.alive().coordinator.step(event, now);
        for action in actions {
            self.schedule.note(|| format!("    {action:?}"));
            self.perform(action);
        }
        self.check_coordinator();
        self.schedule_tick();
    }

    fn schedule_tick(&mut self) {
        let life = self.life.as_mut().expect("errands are the living manager's");
        let due = life.coordinator.next_deadline().map(Schedule::micros_of);
        if let Some(micros) = due.filter(|_| life.stage == Stage::Running && due != life.tick) {
            life.tick = due;
            let happening = Happening::Errand { life: life.number, errand: Errand::Tick };
            self.schedule.at(micros, happening);
        }
    }

    pub(super) fn on_errand(&mut self, errand: Errand) {
        match errand {
            Errand::Tick => {
                self.alive().tick = None;
                if self.alive().stage == Stage::Running {
                    self.step(Event::Tick);
                }
            }
            Errand::Report { run, report } => self.on_report(run, report),
            Errand::ManifestIsWritten(checkpoint) => self.on_manifest(checkpoint),
            Errand::ManifestIsLookedFor(checkpoint) => self.on_look(checkpoint),
            Errand::Deleted(folder) => self.on_deleted(folder),
            Errand::TornDown => self.on_torn_down(),
            Errand::Restart => self.start_attempt(),
        }
    }

    /// Nobody listens any more once the attempt is over; reports of earlier ones are passed on.
    fn on_report(&mut self, run: u64, report: Report) {
        let current = self.run.as_ref().map(|run| (run.id, run.attempt));
        let Some((current, attempt)) = current else { return };
        if self.alive().stage != Stage::Running {
            return;
        }
        let attempt = if run == current {
            Some(attempt)
        } else {
            attempt.get().checked_sub(current - run).map(AttemptId)
        };
        if let Some(attempt) = attempt {
            self.step(Event::Report { attempt, report });
        }
    }

    pub(super) fn request_savepoint(&mut self, then: AfterSavepoint) {
        let form = SnapshotForm::Native;
        self.request(Wish::Savepoint { target: None, form, then });
    }

    pub(super) fn request(&mut self, wish: Wish) {
        let Some(life) = &mut self.life else { return };
        if life.stage != Stage::Running {
            return;
        }
        let id = RequestId(life.requests.len() as u64);
        life.requests.insert(id, false);
        self.step(Event::Requested(SnapshotRequest { id, wish }));
    }

    pub(super) fn cancel(&mut self) {
        if self.life.as_ref().is_some_and(|life| life.stage == Stage::Running) {
            self.step(Event::CancelRequested);
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Trigger { barrier, trigger, .. } => self.trigger(barrier, &trigger),
            Action::Send(command) => {
                self.check_command(&command);
                let is_cancel = command == Command::Cancel;
                self.send_command(&command);
                if is_cancel {
                    self.tear_down(AttemptEnd::Canceled);
                }
            }
            Action::WriteManifest { checkpoint, kind, acks } => {
                self.write_manifest(checkpoint, kind, acks);
            }
            Action::CheckManifest { checkpoint } => {
                let micros = self.schedule.latency(&self.scenario.store);
                self.remind(micros, Errand::ManifestIsLookedFor(checkpoint));
            }
            Action::Discard { checkpoint } => {
                let folder = self.alive().folders.remove(&checkpoint);
                self.check_discard(checkpoint, folder.as_deref());
                folder.into_iter().for_each(|folder| self.delete(folder));
            }
            Action::Delete(subsumed) => {
                self.check_delete(subsumed.snapshot());
                self.delete(subsumed.snapshot().location.clone());
            }
            Action::Answer { request, .. } => {
                let before = self.alive().requests.insert(request, true);
                self.demand(before == Some(false), || format!("{request:?} is answered twice"));
            }
            Action::FailAttempt(failure) => self.tear_down(AttemptEnd::Failed(failure)),
            Action::RestartAttempt { .. } => self.tear_down(AttemptEnd::GaveWay),
            Action::AttemptClosed(status) => self.tear_down(AttemptEnd::Closed(status)),
            Action::Observe(outcome) => self.on_outcome(outcome),
        }
    }

    fn trigger(&mut self, barrier: Barrier, trigger: &Trigger) {
        self.check_trigger(barrier.checkpoint);
        let id = barrier.checkpoint;
        let target = match trigger {
            Trigger::Checkpoint => format!("chk-{id}"),
            Trigger::Savepoint { .. } => {
                format!("savepoint-{id}-{}", self.schedule.random.random_range(0..1_000_000))
            }
        };
        self.alive().folders.insert(id, target.clone());
        let form = SnapshotForm::Native;
        self.send_command(&Command::Trigger { barrier, target, form });
    }

    fn send_command(&mut self, command: &Command) {
        let Some(run) = &mut self.run else { return };
        for (process, state) in run.processes.iter_mut().enumerate() {
            let arrival = state.commands.arrival(&mut self.schedule, &self.scenario.network);
            let work = Work::Command { process, command: command.clone() };
            self.schedule.at(arrival, Happening::Work { run: run.id, work });
        }
    }

    fn write_manifest(
        &mut self,
        checkpoint: CheckpointId,
        kind: BarrierKind,
        acks: Vec<ProcessAck>,
    ) {
        let Some(run) = &self.run else { return };
        let completed_at = self.schedule.now();
        let kind = match kind {
            BarrierKind::Checkpoint | BarrierKind::Final => SnapshotKind::Checkpoint,
            BarrierKind::Savepoint => SnapshotKind::Savepoint,
            BarrierKind::StopWithSavepoint { .. } => SnapshotKind::FinalSavepoint,
        };
        let mut manifest = Manifest {
            format: FORMAT.to_owned(),
            version: FORMAT_VERSION,
            kind,
            form: SnapshotForm::Native,
            job: JobInfo {
                id: JobId::from_name("simulated"),
                name: "simulated".to_owned(),
                folder: None,
            },
            checkpoint,
            attempt: run.attempt,
            triggered_at: completed_at,
            completed_at,
            operators: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        for ack in acks {
            manifest.files.extend(ack.files);
            for operator in ack.operators {
                add_operator(&mut manifest.operators, operator, run.parallelism);
            }
        }
        self.alive().manifests.insert(checkpoint, manifest.to_json().into());
        let micros = self.schedule.latency(&self.scenario.store);
        self.remind(micros, Errand::ManifestIsWritten(checkpoint));
    }

    fn on_manifest(&mut self, checkpoint: CheckpointId) {
        let fate = self.schedule.fate();
        let metadata = self.alive().manifests.remove(&checkpoint).expect("it is written once");
        let location = self.alive().folders[&checkpoint].clone();
        if fate.takes_effect() {
            let result = self.store.commit(&location, metadata);
            self.demand_ok(result);
            self.durable.insert(checkpoint);
            self.snapshots += 1;
        }
        let may_have_happened = fate == Fate::FailedAfter || self.schedule.toss();
        let reason = "the store failed".to_owned();
        self.step(match fate {
            Fate::Success => Event::ManifestDurable { checkpoint, location },
            _ => Event::ManifestFailed { checkpoint, may_have_happened, reason },
        });
        self.on_settled();
    }

    fn on_look(&mut self, checkpoint: CheckpointId) {
        if self.schedule.fate() != Fate::Success {
            self.remind(RETRY, Errand::ManifestIsLookedFor(checkpoint));
            return;
        }
        let location = self.alive().folders[&checkpoint].clone();
        let reason = "it was not written".to_owned();
        self.step(if self.store.is_complete(&location) {
            Event::ManifestDurable { checkpoint, location }
        } else {
            Event::ManifestFailed { checkpoint, may_have_happened: false, reason }
        });
        self.on_settled();
    }

    fn on_outcome(&mut self, outcome: CheckpointOutcome) {
        let CheckpointOutcome::Completed { snapshot, .. } = outcome else { return };
        self.alive().folders.remove(&snapshot.id);
        if snapshot.is_savepoint() {
            self.savepoints.insert(snapshot.location.clone());
        }
        if matches!(snapshot.kind, BarrierKind::StopWithSavepoint { .. }) {
            self.alive().stopped_with = Some(snapshot.location);
        }
    }

    fn delete(&mut self, folder: String) {
        self.alive().deleting.insert(folder.clone());
        let micros = self.schedule.latency(&self.scenario.store);
        self.remind(micros, Errand::Deleted(folder));
    }

    /// A deletion is tried until it succeeds.
    fn on_deleted(&mut self, folder: String) {
        match self.schedule.fate() {
            Fate::FailedBefore => self.store.delete_metadata(&folder),
            Fate::Success | Fate::FailedAfter => {
                self.store.delete(&folder);
                self.alive().deleting.remove(&folder);
                self.on_end();
                return;
            }
        }
        self.remind(RETRY, Errand::Deleted(folder));
    }

    fn tear_down(&mut self, end: AttemptEnd) {
        if self.alive().stage == Stage::Running {
            self.alive().stage = Stage::TearingDown(end);
            let micros = self.schedule.latency(&TEARING_DOWN);
            self.remind(micros, Errand::TornDown);
        }
    }

    fn on_torn_down(&mut self) {
        self.end_run();
        let Stage::TearingDown(end) = self.alive().stage.clone() else { return };
        self.alive().stage = Stage::Settling(end);
        self.step(Event::AttemptEnded { reason: "it is over".to_owned() });
        self.on_settled();
    }

    /// Goes on once it is certain which snapshot is the latest.
    fn on_settled(&mut self) {
        let Stage::Settling(end) = self.alive().stage.clone() else { return };
        if !self.alive().coordinator.is_settled() {
            return;
        }
        match end {
            AttemptEnd::Closed(status) => self.end_job(status),
            AttemptEnd::GaveWay => {
                self.alive().stage = Stage::Restarting;
                self.remind(RETRY, Errand::Restart);
            }
            AttemptEnd::Canceled => self.end_job(EndStatus::Canceled),
            AttemptEnd::Failed(_) => {
                let (now, jitter) =
                    (self.schedule.monotonic(), self.schedule.random.random::<f64>());
                match self.alive().restart.decide(now, jitter) {
                    RestartDecision::GiveUp { .. } => self.end_job(EndStatus::Failed),
                    RestartDecision::After(delay) => {
                        self.alive().stage = Stage::Restarting;
                        self.remind(delay.as_micros() as u64, Errand::Restart);
                    }
                }
            }
        }
    }

    fn end_job(&mut self, status: EndStatus) {
        self.alive().stage = Stage::Ending(status);
        self.step(Event::JobEnded(status));
        self.check_requests();
        self.on_end();
    }

    /// Everything is deleted that had to be: whoever watches starts the job again, or is content.
    fn on_end(&mut self) {
        let Stage::Ending(status) = self.alive().stage else { return };
        if !self.alive().deleting.is_empty() {
            return;
        }
        self.check_leftovers();
        let life = self.life.take().expect("errands are the living manager's");
        let start = match (status, life.stopped_with) {
            (EndStatus::Finished | EndStatus::Canceled, Some(folder)) => {
                Start::Savepoint { folder, claimed: self.schedule.toss() }
            }
            (EndStatus::Finished, None) => return self.end = Some(End::Finished),
            (EndStatus::Failed | EndStatus::Suspended, _) => Start::Latest,
            // What is not there to go on from can't have been committed either, or it is the user
            // who has thrown it away.
            (EndStatus::Canceled, _) if life.coordinator.restore_point().is_none() => {
                return self.end = Some(End::Canceled);
            }
            (EndStatus::Canceled, _) => Start::Latest,
        };
        let point = life.coordinator.restore_point().map(|point| point.id);
        if matches!(start, Start::Latest) && point < self.committed {
            return self.end = Some(End::Canceled);
        }
        self.schedule.after(RETRY, Happening::Started(start));
    }
}

fn add_operator(
    operators: &mut BTreeMap<OperatorUid, OperatorManifest>,
    ack: tidegate_checkpoint::protocol::OperatorAck,
    parallelism: Parallelism,
) {
    let operator = operators.entry(ack.uid).or_insert_with(|| OperatorManifest {
        name: ack.name,
        parallelism,
        max_parallelism: ack.max_parallelism,
        key_hash: ack.key_hash,
        key_type: ack.key_type,
        states: ack.states,
        subtasks: Vec::new(),
    });
    operator.subtasks.push(ack.subtask);
}
