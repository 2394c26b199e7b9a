//! What the master tells of its job.

use std::{sync::Arc, time::Duration};

use tidegate_checkpoint::{coordinator::CheckpointOutcome, protocol::Failure};
use tidegate_snapshot::manifest::SnapshotForm;
use tidegate_types::{
    BarrierKind, CheckpointId, Figures, Monotonic, SubtaskFigures, SubtaskRates, Timestamp,
};
use tracing::{info, warn};

use super::{Attempt, JobMaster, UnderWay};
use crate::stats::{
    AttemptFailure, CheckpointSummary, FailedCheckpoint, Location, PendingCheckpoint,
};

/// How many completed snapshots the figures tell of.
const HISTORY: usize = 1000;
/// Of how many of them they tell the parts.
const PARTS: usize = 10;
/// How many failed ones they tell of.
const FAILED_HISTORY: usize = 10;
/// Over which time rates are told.
const SAMPLE: Duration = Duration::from_secs(1);
/// How many failures are remembered (Flink's `web.exception-history-size`).
const FAILURES: usize = 16;

impl JobMaster {
    pub(super) fn collect_stats(&self, attempt: &mut Attempt) {
        let figures = (attempt.running.figures)();
        let Figures { records, progress, first_record, subtasks, snapshots, .. } = figures;
        let pending = self.coordinator.pending().map(|(id, kind)| {
            let (form, triggered_at) = self.form_and_trigger(id);
            let figures = snapshots.iter().find(|snapshot| snapshot.checkpoint == id);
            let (subtasks, bytes) =
                figures.map_or((0, 0), |figures| (figures.subtasks, figures.bytes));
            PendingCheckpoint { id, kind, form, triggered_at, subtasks, bytes }
        });
        let pending = pending.collect();
        let rates = attempt.sample.rates(records, &subtasks, self.clock.monotonic());
        self.stats.update(|stats| {
            stats.parallelism = attempt.running.parallelism;
            stats.pending = pending;
            stats.records = records;
            stats.progress = progress;
            stats.in_flight_max = stats.in_flight_max.max(figures.in_flight_max);
            stats.progress_messages = figures.progress_messages;
            stats.first_record = first_record;
            stats.subtasks = subtasks;
            if let Some((records_per_second, rates)) = rates {
                (stats.records_per_second, stats.rates) = (records_per_second, rates);
            }
        });
    }

    /// Tells which snapshots the job holds: nobody may dispose of them.
    pub(super) fn tell_held(&self) {
        let held = self.coordinator.retained().into_iter().map(|snapshot| snapshot.location);
        let held = held.collect();
        self.stats.update(|stats| stats.held = held);
    }

    /// The form of a snapshot that is under way, and when it was triggered.
    fn form_and_trigger(&self, checkpoint: CheckpointId) -> (SnapshotForm, Timestamp) {
        let snapshot = self.under_way.get(&checkpoint);
        let of = |snapshot: &UnderWay| (snapshot.form, snapshot.triggered_at);
        snapshot.map_or((SnapshotForm::Native, Timestamp::default()), of)
    }

    pub(super) fn remember(&self, failure: &Failure, location: Option<Location>) {
        let Failure { kind, message, uid, subtask } = failure.clone();
        let (time, attempt) = (self.clock.now(), self.attempt);
        let failure = AttemptFailure { time, attempt, kind, message, uid, subtask, location };
        self.stats.update(|stats| push_bounded(&mut stats.failures, failure, FAILURES));
    }

    pub(super) fn observe(&mut self, outcome: CheckpointOutcome) {
        let (job, now) = (self.settings.id, self.clock.now());
        match outcome {
            CheckpointOutcome::Completed { snapshot, duration, sync_max, alignment_max } => {
                if matches!(snapshot.kind, BarrierKind::StopWithSavepoint { .. }) {
                    self.stopped_with = Some(snapshot.location.clone());
                }
                info!(
                    %job, checkpoint = %snapshot.id, kind = ?snapshot.kind, ?duration,
                    bytes = snapshot.bytes, location = snapshot.location, "snapshot completed"
                );
                let id = snapshot.id;
                let (form, triggered_at) = self.form_and_trigger(id);
                let under_way = self.under_way.remove(&id);
                let summary = CheckpointSummary {
                    id,
                    form,
                    kind: snapshot.kind,
                    triggered_at,
                    completed_at: now,
                    duration,
                    bytes: snapshot.bytes,
                    sync_max,
                    alignment_max,
                    path: snapshot.location,
                };
                let parts = under_way.map(|snapshot| snapshot.parts).unwrap_or_default();
                self.stats.update(|stats| {
                    stats.completed_count += 1;
                    stats.pending.retain(|pending| pending.id != id);
                    push_bounded(&mut stats.completed, Arc::new(summary), HISTORY);
                    stats.parts.insert(id, parts);
                    if stats.parts.len() > PARTS {
                        stats.parts.pop_first();
                    }
                });
            }
            CheckpointOutcome::Failed { checkpoint: id, kind, reason } => {
                warn!(%job, checkpoint = %id, reason, "snapshot failed");
                let (form, triggered_at) = self.form_and_trigger(id);
                self.stats.update(|stats| {
                    stats.failed_count += 1;
                    stats.pending.retain(|pending| pending.id != id);
                    let failed =
                        FailedCheckpoint { id, kind, form, triggered_at, time: now, reason };
                    push_bounded(&mut stats.failed, failed, FAILED_HISTORY);
                });
            }
        }
    }
}

/// Figures of a while ago, to tell what happens per second.
pub(super) struct Sample {
    at: Monotonic,
    records: u64,
    subtasks: Vec<SubtaskFigures>,
}

impl Sample {
    pub(super) fn new(now: Monotonic) -> Self {
        Self { at: now, records: 0, subtasks: Vec::new() }
    }

    /// What has happened per second, once the sample is old enough to tell; takes the next one then.
    fn rates(
        &mut self,
        records: u64,
        subtasks: &[SubtaskFigures],
        at: Monotonic,
    ) -> Option<(f64, Vec<SubtaskRates>)> {
        let elapsed = at.since(self.at);
        if elapsed < SAMPLE {
            return None;
        }
        let next = Self { at, records, subtasks: subtasks.to_vec() };
        let before = std::mem::replace(self, next);
        // In the first sample subtasks may still be missing.
        let of = |(index, now): (usize, &SubtaskFigures)| {
            let before = before.subtasks.get(index).copied().unwrap_or_default();
            now.rates_since(&before, elapsed)
        };
        let per_second = records.saturating_sub(before.records) as f64 / elapsed.as_secs_f64();
        Some((per_second, subtasks.iter().enumerate().map(of).collect()))
    }
}

/// Appends to a history, and forgets its oldest entry when there are more than `most`.
fn push_bounded<T>(history: &mut Vec<T>, entry: T, most: usize) {
    history.push(entry);
    if history.len() > most {
        history.remove(0);
    }
}
