//! One snapshot under way: from its trigger to its completion or its end.

use std::{collections::BTreeMap, time::Duration};

use tidegate_types::{BarrierKind, CheckpointId, ErrorKind, Monotonic, ProcessIndex};

use super::{
    Action, AfterSavepoint, CheckpointOutcome, CompletedSnapshot, Conclusion, Coordinator, Phase,
    RequestId,
};
use crate::protocol::{Command, Failure, OperatorAck, ProcessAck};

/// How far a snapshot has come.
#[derive(Clone, Debug)]
pub(super) enum Stage {
    /// Processes are at work on their parts.
    Collecting(BTreeMap<ProcessIndex, ProcessAck>),
    /// The manifest is being written, or looked for.
    Writing(Measured),
}

/// What was measured of all subtasks together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Measured {
    bytes: u64,
    sync_max: Duration,
    alignment_max: Duration,
}

impl Measured {
    fn of<'a>(subtasks: impl Iterator<Item = &'a OperatorAck>) -> Self {
        let mut measured = Self::default();
        for OperatorAck { stats, .. } in subtasks {
            measured.bytes += stats.bytes;
            measured.sync_max = measured.sync_max.max(Duration::from_micros(stats.sync_us));
            let alignment = Duration::from_micros(stats.alignment_us);
            measured.alignment_max = measured.alignment_max.max(alignment);
        }
        measured
    }
}

/// Who has asked for a snapshot, and what is to follow it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Requested {
    pub(super) id: RequestId,
    pub(super) then: AfterSavepoint,
}

/// A snapshot under way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) kind: BarrierKind,
    pub(super) request: Option<Requested>,
    pub(super) triggered_at: Monotonic,
    pub(super) stage: Stage,
}

impl Pending {
    pub(super) fn new(kind: BarrierKind, request: Option<Requested>, now: Monotonic) -> Self {
        Self { kind, request, triggered_at: now, stage: Stage::Collecting(BTreeMap::new()) }
    }

    pub(super) fn is_collecting(&self) -> bool {
        matches!(self.stage, Stage::Collecting(_))
    }

    /// Whether its failure counts against the tolerable ones: a savepoint is its user's business.
    fn counts(&self) -> bool {
        matches!(self.kind, BarrierKind::Checkpoint | BarrierKind::Final)
    }
}

impl Coordinator {
    pub(super) fn on_acknowledged(&mut self, ack: ProcessAck, actions: &mut Vec<Action>) {
        let (checkpoint, process) = (ack.checkpoint, ack.process);
        let Some(attempt) = &self.attempt else { return };
        let Some(pending) = self.pending.get_mut(&checkpoint) else {
            self.on_late_answer(checkpoint, process, actions);
            return;
        };
        let Stage::Collecting(acks) = &mut pending.stage else { return };
        acks.insert(process, ack);
        if acks.len() < attempt.processes.len() {
            return;
        }
        let acks = std::mem::take(acks).into_values().collect::<Vec<_>>();
        pending.stage = Stage::Writing(Measured::of(acks.iter().flat_map(|ack| &ack.operators)));
        let kind = pending.kind;
        actions.push(Action::WriteManifest { checkpoint, kind, acks });
    }

    /// A process has answered for a snapshot that was given up: it writes no more into it.
    fn on_late_answer(
        &mut self,
        checkpoint: CheckpointId,
        process: ProcessIndex,
        actions: &mut Vec<Action>,
    ) {
        let Some(outstanding) = self.abandoned.get_mut(&checkpoint) else { return };
        outstanding.remove(&process);
        if outstanding.is_empty() {
            self.abandoned.remove(&checkpoint);
            actions.push(Action::Discard { checkpoint });
        }
    }

    pub(super) fn on_declined(
        &mut self,
        checkpoint: CheckpointId,
        process: ProcessIndex,
        reason: &str,
        now: Monotonic,
        actions: &mut Vec<Action>,
    ) {
        if self.pending.contains_key(&checkpoint) {
            self.fail(checkpoint, reason, now, actions);
        }
        self.on_late_answer(checkpoint, process, actions);
    }

    pub(super) fn on_durable(
        &mut self,
        checkpoint: CheckpointId,
        location: String,
        now: Monotonic,
        actions: &mut Vec<Action>,
    ) {
        let Some(pending) = self.pending.remove(&checkpoint) else { return };
        let Stage::Writing(measured) = pending.stage else {
            // The driver has written no manifest that it was not asked for.
            self.pending.insert(checkpoint, pending);
            return;
        };
        let kind = pending.kind;
        let bytes = measured.bytes;
        let snapshot =
            CompletedSnapshot { id: checkpoint, kind, location: location.clone(), bytes };
        self.latest_end = Some(now);
        // Said before the snapshot can be subsumed: they may become durable out of order.
        self.after_completion(checkpoint, kind, pending.request, location, actions);
        actions.push(Action::Observe(CheckpointOutcome::Completed {
            snapshot: snapshot.clone(),
            duration: now.since(pending.triggered_at),
            sync_max: measured.sync_max,
            alignment_max: measured.alignment_max,
        }));
        if !snapshot.is_savepoint() {
            self.failures_in_a_row = 0;
            self.subsume_before(checkpoint, actions);
        }
        let surplus = self.retention.add(snapshot);
        actions.extend(surplus.into_iter().map(Action::Delete));
    }

    fn after_completion(
        &mut self,
        checkpoint: CheckpointId,
        kind: BarrierKind,
        request: Option<Requested>,
        location: String,
        actions: &mut Vec<Action>,
    ) {
        if let Some(Requested { id, then }) = request
            && let Some(end) = then.end()
        {
            self.conclusion = Some(Conclusion { checkpoint, location, request: Some(id), end });
            return self.conclude(actions);
        }
        // INV-DURABLE: here it is said. INV-ASIDE: not of a savepoint.
        let completed = match kind {
            BarrierKind::Savepoint => Command::SavepointCompleted { checkpoint },
            _ => Command::Completed { checkpoint },
        };
        actions.push(Action::Send(completed));
        if kind == BarrierKind::Final && self.attempt.is_some() && self.phase != Phase::Cancelling {
            self.phase = Phase::Committing { checkpoint, committed: Default::default() };
        }
        if let Some(Requested { id, .. }) = request {
            actions.push(Action::Answer { request: id, result: Ok(location) });
        }
    }

    /// A completed checkpoint makes older pending ones pointless; savepoints were asked for.
    fn subsume_before(&mut self, checkpoint: CheckpointId, actions: &mut Vec<Action>) {
        let older = self.pending.range(..checkpoint).filter(|(_, pending)| {
            pending.is_collecting() && pending.kind == BarrierKind::Checkpoint
        });
        for id in older.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.abandon(id, "checkpoint has been subsumed", actions);
        }
    }

    pub(super) fn on_manifest_failed(
        &mut self,
        checkpoint: CheckpointId,
        may_have_happened: bool,
        reason: String,
        now: Monotonic,
        actions: &mut Vec<Action>,
    ) {
        let writing = |pending: &Pending| matches!(pending.stage, Stage::Writing(_));
        if !self.pending.get(&checkpoint).is_some_and(writing) {
            return;
        }
        if may_have_happened {
            actions.push(Action::CheckManifest { checkpoint });
            return;
        }
        self.fail(checkpoint, &reason, now, actions);
    }

    /// What lies there is not in the job's log, and so does not count; neither does it as a failure of
    /// this run's, which takes the next number at once.
    pub(super) fn on_manifest_taken(
        &mut self,
        checkpoint: CheckpointId,
        now: Monotonic,
        actions: &mut Vec<Action>,
    ) {
        let Some(pending) = self.pending.get(&checkpoint) else { return };
        let kind = pending.kind;
        self.latest_end = Some(now);
        self.abandon(
            checkpoint,
            "a run that was taken over from has written its manifest",
            actions,
        );
        match kind {
            BarrierKind::Final => self.next_final = Some(now),
            BarrierKind::Checkpoint if self.next_periodic.is_some() => {
                self.next_periodic = Some(now)
            }
            _ => {}
        }
    }

    pub(super) fn expire(&mut self, now: Monotonic, actions: &mut Vec<Action>) {
        let timeout = self.config.timeout;
        let expired = self.pending.iter().filter(|(_, pending)| {
            pending.is_collecting() && pending.triggered_at + timeout <= now
        });
        for id in expired.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.fail(id, "checkpoint expired before completing", now, actions);
        }
    }

    /// A snapshot has failed by itself: it may cost the attempt.
    fn fail(
        &mut self,
        checkpoint: CheckpointId,
        reason: &str,
        now: Monotonic,
        actions: &mut Vec<Action>,
    ) {
        let Some(pending) = self.pending.get(&checkpoint) else { return };
        let (counts, kind) = (pending.counts(), pending.kind);
        self.latest_end = Some(now);
        self.abandon(checkpoint, reason, actions);
        if kind == BarrierKind::Final {
            let retry = self.config.interval.unwrap_or(Duration::from_secs(1));
            self.next_final = Some(now + retry);
        }
        if !counts || self.attempt.is_none() {
            return;
        }
        self.failures_in_a_row += 1;
        if self.failures_in_a_row > self.config.tolerable_failed {
            let tolerable = self.config.tolerable_failed;
            let message = format!(
                "exceeded checkpoint tolerable failure threshold of {tolerable}: checkpoint \
                 {checkpoint} failed: {reason}"
            );
            let kind = ErrorKind::Unavailable;
            actions.push(Action::FailAttempt(Failure { kind, message, uid: None, subtask: None }));
        }
    }

    /// Gives a snapshot up, whatever the reason, and sees to it that its folder goes.
    pub(super) fn abandon(
        &mut self,
        checkpoint: CheckpointId,
        reason: &str,
        actions: &mut Vec<Action>,
    ) {
        let Some(pending) = self.pending.remove(&checkpoint) else { return };
        let kind = pending.kind;
        let outcome = CheckpointOutcome::Failed { checkpoint, kind, reason: reason.to_owned() };
        actions.push(Action::Observe(outcome));
        if let Some(Requested { id, .. }) = pending.request {
            actions.push(Action::Answer { request: id, result: Err(reason.to_owned()) });
        }
        let answered = match pending.stage {
            Stage::Collecting(acks) => acks.into_keys().collect(),
            // Every process has acknowledged it.
            Stage::Writing(_) => self.all_processes(),
        };
        let outstanding = self.all_processes().difference(&answered).copied().collect();
        self.give_up_folder(checkpoint, outstanding, actions);
        if self.attempt.is_some() {
            actions.push(Action::Send(Command::Aborted { checkpoint }));
        }
        if self.phase == Phase::Stopping(checkpoint) {
            if kind == (BarrierKind::StopWithSavepoint { drain: true }) {
                self.go_back(reason, actions);
            } else {
                self.resume(actions);
            }
        }
    }

    fn all_processes(&self) -> std::collections::BTreeSet<ProcessIndex> {
        self.attempt.as_ref().map(|attempt| attempt.processes.clone()).unwrap_or_default()
    }

    fn give_up_folder(
        &mut self,
        checkpoint: CheckpointId,
        outstanding: std::collections::BTreeSet<ProcessIndex>,
        actions: &mut Vec<Action>,
    ) {
        if outstanding.is_empty() {
            actions.push(Action::Discard { checkpoint });
        } else {
            self.abandoned.insert(checkpoint, outstanding);
        }
    }

    /// A drain has failed, and the final watermark is out: what it has set off must not count, and
    /// what comes behind it would be late.
    fn go_back(&mut self, reason: &str, actions: &mut Vec<Action>) {
        self.phase = Phase::GivingWay;
        actions.push(Action::RestartAttempt {
            reason: format!(
                "the savepoint of a drain has failed: {reason}; the job goes back to its latest \
                 checkpoint"
            ),
        });
    }

    /// A stop has failed: the job goes on, to its end if that was near.
    fn resume(&mut self, actions: &mut Vec<Action>) {
        self.phase = Phase::Running;
        let now = self.latest_end.unwrap_or_default();
        self.on_inputs_ended(now, actions);
    }
}
