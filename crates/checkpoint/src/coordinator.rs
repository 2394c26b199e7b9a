//! The life of a job's snapshots: `(event, now) -> actions`.
//!
//! ```text
//!   trigger -> [collecting] --all acknowledged--> [writing] --durable--> completed -> subsumed
//!                  |                                |  ^
//!                  | declined, expired, subsumed    |  | may have happened: look
//!                  v                                v  |
//!               abandoned <------------------- [checking]
//! ```
//!
//! # Protocol
//!
//! The driver feeds every [`Event`] to [`Coordinator::step`] and carries out the [`Action`]s in
//! order; it calls again with [`Event::Tick`] no later than [`Coordinator::next_deadline`]. Time is
//! that of a monotonic clock: whoever sets the wall clock changes no interval and no timeout. Before
//! a new attempt starts it waits until [`Coordinator::is_settled`] and then restores from
//! [`Coordinator::restore_point`].
//!
//! # Invariants
//!
//! Those of the crate. Where each is upheld: INV-GROW in `trigger`, INV-DURABLE in `on_durable` and
//! `conclusion` (the only places that make `Completed`), INV-REACH and INV-SWEEP in `retention`,
//! INV-FENCE in `on_report`, INV-BEGIN and INV-BEGUN in `restoring` (see
//! [`beginning`](crate::beginning)), INV-ASIDE in `retention` and `on_durable`, INV-CONCLUDE in `conclusion`.
//!
//! # Failure
//!
//! A snapshot that fails never takes anything with it: its folder is discarded when no process can
//! write into it any more, which is when all have answered or the attempt is over. A drain is
//! another matter: behind its final watermark nothing can go on as if nothing had been, so when its
//! savepoint fails the attempt gives way to one that goes back to the last checkpoint.

mod conclusion;
mod config;
mod event;
mod pending;
mod restoring;
mod retention;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use tidegate_types::{AttemptId, Barrier, BarrierKind, CheckpointId, Monotonic, ProcessIndex};

pub use config::{CoordinatorConfig, RetentionPolicy};
pub use event::{
    Action, AfterSavepoint, CheckpointOutcome, EndStatus, Event, RequestId, SnapshotRequest,
    Trigger, Wish,
};
pub use retention::{CompletedSnapshot, Subsumed};

use self::{
    conclusion::Conclusion,
    pending::{Pending, Requested, Stage},
    retention::Retention,
};
use crate::{
    beginning::Roll,
    protocol::{Command, Report},
};

/// Where the running attempt stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    /// No attempt runs.
    Down,
    /// Subtasks are being handed what they take over; nothing is emitted yet.
    Restoring(Roll<ProcessIndex>),
    /// Records flow, or are about to.
    Running,
    /// A stop-with-savepoint is under way.
    Stopping(CheckpointId),
    /// The last snapshot is durable; sinks commit it.
    Committing { checkpoint: CheckpointId, committed: BTreeSet<ProcessIndex> },
    /// Everything is committed; processes close.
    Finishing,
    /// The attempt is being ended from outside.
    Cancelling,
    /// The attempt can't go on, and the driver has been told so.
    GivingWay,
}

/// What is known of the running attempt.
#[derive(Clone, Debug)]
struct Attempt {
    id: AttemptId,
    processes: BTreeSet<ProcessIndex>,
    inputs_ended: BTreeSet<ProcessIndex>,
    any_ended: bool,
    closed: BTreeSet<ProcessIndex>,
}

/// The coordinator of one job, over all its attempts.
#[derive(Clone, Debug)]
pub struct Coordinator {
    config: CoordinatorConfig,
    next_id: CheckpointId,
    phase: Phase,
    attempt: Option<Attempt>,
    pending: BTreeMap<CheckpointId, Pending>,
    /// Snapshots that failed, with the processes that may still write into them.
    abandoned: BTreeMap<CheckpointId, BTreeSet<ProcessIndex>>,
    requests: VecDeque<SnapshotRequest>,
    /// The final savepoint of a stop, once it is complete.
    conclusion: Option<Conclusion>,
    retention: Retention,
    failures_in_a_row: u32,
    next_periodic: Option<Monotonic>,
    next_final: Option<Monotonic>,
    latest_end: Option<Monotonic>,
}

impl Coordinator {
    /// For a job whose next snapshot gets `next_id`. `owned` snapshots are the job's to delete when
    /// they are subsumed: those that it claims. `foreign` is what it starts from without claiming.
    #[must_use]
    pub fn new(
        config: CoordinatorConfig,
        next_id: CheckpointId,
        owned: Vec<CompletedSnapshot>,
        foreign: Option<CompletedSnapshot>,
    ) -> Self {
        Self {
            retention: Retention::new(config.num_retained, owned, foreign),
            config,
            next_id,
            phase: Phase::Down,
            attempt: None,
            pending: BTreeMap::new(),
            abandoned: BTreeMap::new(),
            requests: VecDeque::new(),
            conclusion: None,
            failures_in_a_row: 0,
            next_periodic: None,
            next_final: None,
            latest_end: None,
        }
    }

    /// What a new attempt restores from, if anything.
    #[must_use]
    pub fn restore_point(&self) -> Option<&CompletedSnapshot> {
        self.retention.restore_point()
    }

    /// Gives the next snapshot this id, unless it would have a higher one: something that nobody knew
    /// of has the ids below.
    pub fn skip_to(&mut self, id: CheckpointId) {
        self.next_id = self.next_id.max(id);
    }

    /// Leaves the restore point out, which is damaged; tells whether there is an older checkpoint to
    /// go back to. That is for the driver to want: what sinks have committed since is written again.
    pub fn pass_over(&mut self, damaged: CheckpointId) -> bool {
        !self.is_concluding() && self.retention.pass_over(damaged)
    }

    /// Whether no manifest is being written, so that the restore point is known for certain.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.pending.values().all(|pending| matches!(pending.stage, Stage::Collecting(_)))
    }

    /// How many snapshots are under way.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.pending.len()
    }

    /// The snapshots that are under way, oldest first, and what each is for.
    pub fn pending(&self) -> impl Iterator<Item = (CheckpointId, BarrierKind)> {
        self.pending.iter().map(|(id, pending)| (*id, pending.kind))
    }

    /// Whether the next attempt is to emit nothing: the final savepoint of a stop is complete, and
    /// the job's only future is to commit what it holds and to end.
    #[must_use]
    pub fn is_concluding(&self) -> bool {
        self.conclusion.is_some()
    }

    /// Whether the attempt is about to end by itself: it stops with a savepoint, or commits its last
    /// results.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        !matches!(self.phase, Phase::Down | Phase::Restoring(_) | Phase::Running)
            || self.pending.values().any(|pending| pending.kind == BarrierKind::Final)
    }

    /// Whether a job that ends like that keeps its checkpoints.
    #[must_use]
    pub fn keeps_checkpoints(&self, status: EndStatus) -> bool {
        match status {
            EndStatus::Finished => false,
            EndStatus::Canceled => self.config.retention == RetentionPolicy::RetainOnCancellation,
            EndStatus::Failed | EndStatus::Suspended => true,
        }
    }

    /// Every snapshot whose files must not be touched by anyone.
    #[must_use]
    pub fn retained(&self) -> Vec<CompletedSnapshot> {
        self.retention.all()
    }

    /// When [`Event::Tick`] is due next, if nothing happens before.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Monotonic> {
        let expiries = self.pending.values().filter_map(|pending| {
            let collecting = matches!(pending.stage, Stage::Collecting(_));
            collecting.then(|| pending.triggered_at + self.config.timeout)
        });
        let may_trigger = self.phase == Phase::Running && self.has_room();
        let periodic = self.periodic_due().filter(|_| may_trigger);
        let last = self.next_final.filter(|_| may_trigger);
        expiries.chain(periodic).chain(last).min()
    }

    /// Takes in one event and tells what to do.
    pub fn step(&mut self, event: Event, now: Monotonic) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::AttemptStarted { attempt, processes } => {
                self.on_attempt_started(attempt, processes);
            }
            Event::AttemptEnded { reason } => self.on_attempt_ended(&reason, &mut actions),
            Event::Tick => {}
            Event::Requested(request) => self.on_request(request, &mut actions),
            Event::Report { attempt, report } => {
                self.on_report(attempt, report, now, &mut actions);
            }
            Event::ManifestDurable { checkpoint, location } => {
                self.on_durable(checkpoint, location, now, &mut actions);
            }
            Event::ManifestFailed { checkpoint, may_have_happened, reason } => {
                self.on_manifest_failed(checkpoint, may_have_happened, reason, now, &mut actions);
            }
            Event::ManifestTaken { checkpoint } => {
                self.on_manifest_taken(checkpoint, now, &mut actions);
            }
            Event::CancelRequested => self.on_cancel(&mut actions),
            Event::JobEnded(status) => self.on_job_ended(status, &mut actions),
        }
        self.expire(now, &mut actions);
        self.trigger_due(now, &mut actions);
        actions
    }

    fn on_attempt_started(&mut self, id: AttemptId, processes: u32) {
        let processes = (0..processes).map(ProcessIndex).collect::<BTreeSet<_>>();
        self.phase = Phase::Restoring(Roll::of(processes.clone()));
        self.attempt = Some(Attempt {
            id,
            processes,
            inputs_ended: BTreeSet::new(),
            any_ended: false,
            closed: BTreeSet::new(),
        });
        self.failures_in_a_row = 0;
        (self.next_periodic, self.next_final) = (None, None);
        self.latest_end = None;
    }

    fn on_attempt_ended(&mut self, reason: &str, actions: &mut Vec<Action>) {
        self.attempt = None;
        self.phase = Phase::Down;
        (self.next_periodic, self.next_final) = (None, None);
        let collecting = self.pending.iter().filter(|(_, pending)| pending.is_collecting());
        for id in collecting.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.abandon(id, reason, actions);
        }
        // Nobody can write into them any more.
        for checkpoint in std::mem::take(&mut self.abandoned).into_keys() {
            actions.push(Action::Discard { checkpoint });
        }
        for request in std::mem::take(&mut self.requests) {
            actions.push(Action::Answer { request: request.id, result: Err(reason.to_owned()) });
        }
    }

    fn on_request(&mut self, request: SnapshotRequest, actions: &mut Vec<Action>) {
        let refusal = match self.phase {
            // It waits until the attempt has begun.
            Phase::Restoring(_) | Phase::Running => None,
            Phase::Down => Some("no attempt of the job is running"),
            Phase::Stopping(_) => Some("the job is being stopped with a savepoint already"),
            Phase::Committing { .. } | Phase::Finishing => Some("the job is finishing"),
            Phase::Cancelling => Some("the job is being cancelled"),
            Phase::GivingWay => Some("the job is restarting"),
        };
        match refusal {
            None => self.requests.push_back(request),
            Some(reason) => {
                actions.push(Action::Answer { request: request.id, result: Err(reason.to_owned()) })
            }
        }
    }

    fn on_cancel(&mut self, actions: &mut Vec<Action>) {
        if self.attempt.is_some() {
            self.phase = Phase::Cancelling;
            actions.push(Action::Send(Command::Cancel));
        }
    }

    fn on_job_ended(&mut self, status: EndStatus, actions: &mut Vec<Action>) {
        self.answer_conclusion(status, actions);
        if !self.keeps_checkpoints(status) {
            let deleted = self.retention.take_owned();
            actions.extend(deleted.into_iter().map(Action::Delete));
        }
    }

    fn on_report(
        &mut self,
        attempt: AttemptId,
        report: Report,
        now: Monotonic,
        actions: &mut Vec<Action>,
    ) {
        // INV-FENCE
        let Some(running) = self.attempt.as_mut().filter(|running| running.id == attempt) else {
            return;
        };
        match report {
            Report::Restored { process } => self.on_restored(process, now, actions),
            Report::Acknowledged(ack) => self.on_acknowledged(ack, actions),
            Report::Declined { checkpoint, process, reason } => {
                self.on_declined(checkpoint, process, &reason, now, actions);
            }
            Report::SubtaskEnded { .. } => running.any_ended = true,
            Report::InputsEnded { process } => {
                running.any_ended = true;
                running.inputs_ended.insert(process);
                self.on_inputs_ended(now, actions);
            }
            Report::Committed { checkpoint, process } => {
                self.on_committed(checkpoint, process, actions);
            }
            Report::Closed { process } => {
                running.closed.insert(process);
                if running.closed == running.processes {
                    actions.push(Action::AttemptClosed(self.closing_status()));
                }
            }
            Report::Failed { failure, .. } => self.on_failed(failure, actions),
        }
    }

    fn on_inputs_ended(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        let Some(attempt) = &self.attempt else { return };
        if attempt.inputs_ended != attempt.processes || self.phase != Phase::Running {
            return;
        }
        if self.config.checkpoints_after_tasks_finish {
            self.next_final = Some(now);
        } else {
            self.finish(actions);
        }
    }

    fn finish(&mut self, actions: &mut Vec<Action>) {
        self.phase = Phase::Finishing;
        actions.push(Action::Send(Command::Finish));
    }

    fn on_committed(&mut self, id: CheckpointId, process: ProcessIndex, actions: &mut Vec<Action>) {
        let Some(attempt) = &self.attempt else { return };
        let Phase::Committing { checkpoint, committed } = &mut self.phase else { return };
        if *checkpoint != id {
            return;
        }
        committed.insert(process);
        if *committed == attempt.processes {
            self.finish(actions);
        }
    }

    /// Triggers what is due, as far as there is room.
    fn trigger_due(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        while self.phase == Phase::Running && self.has_room() {
            if let Some(request) = self.requests.pop_front() {
                self.trigger_requested(request, now, actions);
            } else if self.next_final.is_some_and(|due| due <= now) {
                self.next_final = None;
                let trigger = Trigger::Checkpoint;
                self.trigger(BarrierKind::Final, trigger, None, now, actions);
                return;
            } else if self.periodic_due().is_some_and(|due| due <= now) {
                self.next_periodic = self.config.interval.map(|interval| now + interval);
                self.trigger(BarrierKind::Checkpoint, Trigger::Checkpoint, None, now, actions);
            } else {
                return;
            }
        }
    }

    fn has_room(&self) -> bool {
        // A pause between the end of one and the trigger of the next leaves room for one only.
        let most = if self.config.min_pause.is_zero() { self.config.max_concurrent } else { 1 };
        self.pending.len() < most as usize
            && !self.pending.values().any(|pending| pending.kind == BarrierKind::Final)
    }

    /// When the next periodic checkpoint is to be triggered, if another one follows.
    fn periodic_due(&self) -> Option<Monotonic> {
        let ended = |attempt: &Attempt| {
            let all = attempt.inputs_ended == attempt.processes;
            // After the last input has ended only the final checkpoint follows.
            all || (attempt.any_ended && !self.config.checkpoints_after_tasks_finish)
        };
        if self.attempt.as_ref().is_none_or(ended) {
            return None;
        }
        let pause_end = self.latest_end.map(|end| end + self.config.min_pause);
        self.next_periodic.map(|due| due.max(pause_end.unwrap_or_default()))
    }

    fn trigger_requested(
        &mut self,
        request: SnapshotRequest,
        now: Monotonic,
        actions: &mut Vec<Action>,
    ) {
        let SnapshotRequest { id, wish } = request;
        let kind = wish.barrier_kind();
        let (trigger, then) = match wish {
            Wish::Checkpoint => (Trigger::Checkpoint, AfterSavepoint::GoOn),
            Wish::Savepoint { target, form, then } => (Trigger::Savepoint { target, form }, then),
        };
        let checkpoint = self.trigger(kind, trigger, Some(Requested { id, then }), now, actions);
        if then.end().is_some() {
            self.phase = Phase::Stopping(checkpoint);
        }
    }

    fn trigger(
        &mut self,
        kind: BarrierKind,
        trigger: Trigger,
        request: Option<Requested>,
        now: Monotonic,
        actions: &mut Vec<Action>,
    ) -> CheckpointId {
        // INV-GROW
        let checkpoint = self.next_id;
        self.next_id = checkpoint.next();
        let barrier = Barrier { checkpoint, kind };
        let asked_by = request.as_ref().map(|request| request.id);
        let ends = request.as_ref().and_then(|request| request.then.end());
        self.pending.insert(checkpoint, Pending::new(kind, request, now));
        actions.push(Action::Trigger { barrier, trigger, request: asked_by, ends });
        checkpoint
    }
}

#[cfg(test)]
mod tests;
