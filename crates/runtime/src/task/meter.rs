//! What a task and its worker count, for others to read while they run.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU64, Ordering},
    },
    time::Duration,
};

use tidegate_types::{EventTime, Monotonic, SubtaskFigures, SubtaskIndex};

use crate::graph::TaskId;

/// Figures of one worker.
#[derive(Debug)]
pub(crate) struct WorkerCounters {
    /// Records that its sources have emitted.
    pub(crate) records: AtomicU64,
    /// How far its bounded sources have come, in a unit of the source's.
    pub(crate) progress_done: AtomicU64,
    /// How far there is to go, 0 if nobody knows.
    pub(crate) progress_total: AtomicU64,
    /// The longest time that anything has been under way, in microseconds.
    pub(crate) in_flight_max_us: AtomicU64,
    /// How many messages about progress Timely has sent.
    pub(crate) progress_messages: AtomicU64,
    /// Its subtask of each task.
    tasks: Vec<TaskCounters>,
}

/// Figures of one subtask. Only its own thread writes them.
#[derive(Debug)]
struct TaskCounters {
    records_in: AtomicU64,
    records_out: AtomicU64,
    /// In nanoseconds, by [`Pause`].
    time: [AtomicU64; 3],
    /// [`EventTime::MIN`] while there is none.
    watermark: AtomicI64,
}

impl Default for TaskCounters {
    fn default() -> Self {
        Self {
            records_in: AtomicU64::default(),
            records_out: AtomicU64::default(),
            time: Default::default(),
            watermark: AtomicI64::new(EventTime::MIN.0),
        }
    }
}

impl WorkerCounters {
    pub(crate) fn new(tasks: usize) -> Self {
        Self {
            records: AtomicU64::default(),
            progress_done: AtomicU64::default(),
            progress_total: AtomicU64::default(),
            in_flight_max_us: AtomicU64::default(),
            progress_messages: AtomicU64::default(),
            tasks: std::iter::repeat_with(TaskCounters::default).take(tasks).collect(),
        }
    }

    /// How far its bounded sources have come: done and total, if anybody knows.
    pub(crate) fn progress(&self) -> Option<(u64, u64)> {
        let total = self.progress_total.load(Ordering::Relaxed);
        (total > 0).then(|| (self.progress_done.load(Ordering::Relaxed), total))
    }

    /// The longest time that anything has been under way.
    pub(crate) fn in_flight_max(&self) -> Duration {
        Duration::from_micros(self.in_flight_max_us.load(Ordering::Relaxed))
    }

    pub(crate) fn add_records(&self, records: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
    }

    /// The figures of its subtasks; `worker` is their number.
    pub(crate) fn subtasks(&self, worker: usize) -> impl Iterator<Item = SubtaskFigures> {
        let time = |counters: &TaskCounters, pause: Pause| {
            Duration::from_nanos(counters.time[pause as usize].load(Ordering::Relaxed))
        };
        self.tasks.iter().enumerate().map(move |(task, counters)| {
            let watermark = EventTime(counters.watermark.load(Ordering::Relaxed));
            SubtaskFigures {
                task: task as u32,
                subtask: SubtaskIndex(worker as u32),
                records_in: counters.records_in.load(Ordering::Relaxed),
                records_out: counters.records_out.load(Ordering::Relaxed),
                busy: time(counters, Pause::Busy),
                backpressured: time(counters, Pause::Backpressured),
                idle: time(counters, Pause::Idle),
                watermark: (watermark != EventTime::MIN).then_some(watermark),
            }
        })
    }
}

/// What a task does between two turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// It has work that goes on: its turn was over, or an operator waits for what it does elsewhere.
    Busy,
    /// What comes behind it takes no more.
    Backpressured,
    /// It has nothing to do.
    Idle,
}

/// Counts for one task.
pub(crate) struct Meter {
    counters: Arc<WorkerCounters>,
    task: usize,
    /// What the time since then is spent on.
    since: Monotonic,
    pause: Pause,
}

impl Meter {
    pub(crate) fn new(
        counters: &Arc<WorkerCounters>,
        TaskId(task): TaskId,
        now: Monotonic,
    ) -> Self {
        Self { counters: Arc::clone(counters), task, since: now, pause: Pause::Idle }
    }

    fn of_task(&self) -> &TaskCounters {
        &self.counters.tasks[self.task]
    }

    /// Its turn begins.
    pub(crate) fn begin(&mut self, now: Monotonic) {
        self.spend(now);
        self.pause = Pause::Busy;
    }

    /// What it does once its turn is over.
    pub(crate) fn pause(&mut self, pause: Pause) {
        self.pause = pause;
    }

    /// Its turn is over.
    pub(crate) fn end(&mut self, now: Monotonic) {
        let pause = std::mem::replace(&mut self.pause, Pause::Busy);
        self.spend(now);
        self.pause = pause;
    }

    fn spend(&mut self, now: Monotonic) {
        let spent = now.since(self.since).as_nanos() as u64;
        self.since = now;
        self.of_task().time[self.pause as usize].fetch_add(spent, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, records: usize) {
        self.of_task().records_in.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(crate) fn sent(&self, records: usize) {
        self.of_task().records_out.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(crate) fn watermark(&self, time: EventTime) {
        self.of_task().watermark.store(time.0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::{Clock, time::ManualClock};

    use super::*;

    #[test]
    fn all_of_a_tasks_time_is_counted_once() {
        let counters = Arc::new(WorkerCounters::new(2));
        let clock = ManualClock::default();
        let mut meter = Meter::new(&counters, TaskId(1), clock.monotonic());
        for (pause, millis) in [(Pause::Idle, 1), (Pause::Backpressured, 10), (Pause::Busy, 100)] {
            meter.begin(clock.monotonic());
            clock.advance(Duration::from_millis(1_000));
            meter.pause(pause);
            meter.end(clock.monotonic());
            clock.advance(Duration::from_millis(millis));
        }
        meter.begin(clock.monotonic());
        let figures = counters.subtasks(3).nth(1).expect("there are two tasks");
        assert_eq!((figures.task, figures.subtask), (1, SubtaskIndex(3)));
        let SubtaskFigures { busy, backpressured, idle, .. } = figures;
        let millis = [busy, backpressured, idle].map(|time| time.as_millis());
        assert_eq!(millis, [3_100, 10, 1]);
        assert_eq!(figures.watermark, None);
    }
}
