//! What is counted while an attempt runs, for people and for tools.

use std::time::Duration;

use crate::{CheckpointId, EventTime, SubtaskIndex, Timestamp};

/// What one process of an attempt has counted, or all of them taken together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// How many records its sources have emitted.
    pub records: u64,
    /// How far its bounded sources have come: done and total, in a unit of the source's.
    pub progress: Option<(u64, u64)>,
    /// The longest time that a record has been under way between source and sink.
    pub in_flight_max: Duration,
    /// How many messages about progress Timely has sent: nothing that flows needs any.
    pub progress_messages: u64,
    /// When the first record had passed through all operators.
    pub first_record: Option<Timestamp>,
    /// The subtasks of each task, by task and subtask.
    pub subtasks: Vec<SubtaskFigures>,
    /// The snapshots that are being taken, by id.
    pub snapshots: Vec<SnapshotFigures>,
}

/// What a subtask of a task has counted. Its time is either busy, backpressured or idle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubtaskFigures {
    /// The task, by its place in the plan.
    pub task: u32,
    /// Which of its subtasks.
    pub subtask: SubtaskIndex,
    /// How many records have come in from other tasks, or from its source.
    pub records_in: u64,
    /// How many have gone out to other tasks.
    pub records_out: u64,
    /// For how long it has worked, or waited for what its operators do elsewhere.
    pub busy: Duration,
    /// For how long it has been held back by what comes behind it.
    pub backpressured: Duration,
    /// For how long it has had nothing to do.
    pub idle: Duration,
    /// Its watermark, if its inputs have one.
    pub watermark: Option<EventTime>,
}

/// How far a snapshot has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SnapshotFigures {
    /// Its id.
    pub checkpoint: CheckpointId,
    /// How many subtasks have handed out their part.
    pub subtasks: u32,
    /// How many bytes those parts have.
    pub bytes: u64,
}

/// What a subtask does per second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SubtaskRates {
    /// Records that come in.
    pub records_in: f64,
    /// Records that go out.
    pub records_out: f64,
    /// The share of its time, from 0 to 1, in which it is busy.
    pub busy: f64,
    /// The share in which it is held back.
    pub backpressured: f64,
    /// The share in which it has nothing to do.
    pub idle: f64,
}

impl SubtaskFigures {
    /// What has happened per second since `before`, which was `elapsed` ago.
    #[must_use]
    pub fn rates_since(&self, before: &Self, elapsed: Duration) -> SubtaskRates {
        let seconds = elapsed.as_secs_f64().max(1e-9);
        let count = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let share = |now: Duration, before: Duration| {
            (now.saturating_sub(before).as_secs_f64() / seconds).min(1.0)
        };
        SubtaskRates {
            records_in: count(self.records_in, before.records_in),
            records_out: count(self.records_out, before.records_out),
            busy: share(self.busy, before.busy),
            backpressured: share(self.backpressured, before.backpressured),
            idle: share(self.idle, before.idle),
        }
    }
}

impl Figures {
    /// Those of two processes, taken together.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let earlier = |a: Option<Timestamp>, b| a.into_iter().chain(b).min();
        self.records += other.records;
        self.progress = match (self.progress, other.progress) {
            (Some((a, b)), Some((c, d))) => Some((a + c, b + d)),
            (one, None) | (None, one) => one,
        };
        self.in_flight_max = self.in_flight_max.max(other.in_flight_max);
        self.progress_messages += other.progress_messages;
        self.first_record = earlier(self.first_record, other.first_record);
        self.subtasks.extend(other.subtasks);
        self.subtasks.sort_by_key(|subtask| (subtask.task, subtask.subtask));
        for snapshot in other.snapshots {
            let same = |mine: &&mut SnapshotFigures| mine.checkpoint == snapshot.checkpoint;
            match self.snapshots.iter_mut().find(same) {
                Some(mine) => {
                    mine.subtasks += snapshot.subtasks;
                    mine.bytes += snapshot.bytes;
                }
                None => self.snapshots.push(snapshot),
            }
        }
        self.snapshots.sort_by_key(|snapshot| snapshot.checkpoint);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_processes_are_taken_together() {
        let snapshot = |checkpoint, subtasks, bytes| SnapshotFigures {
            checkpoint: CheckpointId(checkpoint),
            subtasks,
            bytes,
        };
        let subtask = |task, subtask| SubtaskFigures {
            task,
            subtask: SubtaskIndex(subtask),
            ..SubtaskFigures::default()
        };
        let one = Figures {
            records: 1,
            progress: Some((1, 2)),
            in_flight_max: Duration::from_millis(3),
            progress_messages: 1,
            first_record: None,
            subtasks: vec![subtask(0, 0), subtask(1, 0)],
            snapshots: vec![snapshot(7, 1, 10)],
        };
        let other = Figures {
            records: 2,
            progress: None,
            in_flight_max: Duration::from_millis(2),
            progress_messages: 2,
            first_record: Some(Timestamp(5)),
            subtasks: vec![subtask(0, 1), subtask(1, 1)],
            snapshots: vec![snapshot(6, 1, 1), snapshot(7, 2, 20)],
        };
        let both = Figures {
            records: 3,
            progress: Some((1, 2)),
            in_flight_max: Duration::from_millis(3),
            progress_messages: 3,
            first_record: Some(Timestamp(5)),
            subtasks: vec![subtask(0, 0), subtask(0, 1), subtask(1, 0), subtask(1, 1)],
            snapshots: vec![snapshot(6, 1, 1), snapshot(7, 3, 30)],
        };
        assert_eq!(one.and(other), both);
    }
}
