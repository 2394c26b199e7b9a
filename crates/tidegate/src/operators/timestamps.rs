//! Event times and watermarks.
//!
//! How often watermarks are emitted, and how long a subtask is silent before it counts as idle, is
//! measured on the monotonic clock: nobody can delay a watermark by setting a clock.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use tidegate_core::{
    Batch, Data, ErasedBatch, Operator, Output, Progress, Wakeup, batch::typed, user_code::Watch,
};
use tidegate_types::{Clock, EventTime, Monotonic, Now};

use crate::Result;

/// How watermarks follow from event times (Flink's `WatermarkStrategy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatermarkStrategy {
    out_of_orderness: Duration,
    idleness: Option<Duration>,
}

impl WatermarkStrategy {
    /// Event times only grow.
    #[must_use]
    pub fn monotonous() -> Self {
        Self::bounded_out_of_orderness(Duration::ZERO)
    }

    /// A record comes at most this much event time behind the latest one.
    #[must_use]
    pub fn bounded_out_of_orderness(bound: Duration) -> Self {
        Self { out_of_orderness: bound, idleness: None }
    }

    /// A subtask without records for this time is not waited for. It is measured on a clock that
    /// nobody can set.
    #[must_use]
    pub fn with_idleness(self, timeout: Duration) -> Self {
        Self { idleness: Some(timeout), ..self }
    }
}

/// One subtask that assigns event times and makes watermarks.
pub(crate) struct AssignTimestamps<T, F> {
    extract: F,
    watch: Watch,
    strategy: WatermarkStrategy,
    interval: Duration,
    clock: Arc<dyn Clock>,
    latest: Option<EventTime>,
    emitted: EventTime,
    next_emit: Monotonic,
    latest_record: Monotonic,
    idle: bool,
    types: PhantomData<fn(T)>,
}

impl<T, F> AssignTimestamps<T, F> {
    pub(crate) fn new(
        extract: F,
        strategy: WatermarkStrategy,
        interval: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let now = clock.monotonic();
        Self {
            extract,
            watch: Watch::default(),
            strategy,
            interval,
            clock,
            latest: None,
            emitted: EventTime::MIN,
            next_emit: now + interval,
            latest_record: now,
            idle: false,
            types: PhantomData,
        }
    }

    /// As in Flink: the latest time less the bound, less one millisecond, since records at the
    /// watermark itself may still come.
    fn watermark(&self) -> Option<EventTime> {
        let bound = i64::try_from(self.strategy.out_of_orderness.as_millis()).unwrap_or(i64::MAX);
        let time = self.latest?.millis().saturating_sub(bound).saturating_sub(1);
        Some(EventTime(time)).filter(|time| *time > self.emitted)
    }

    fn emit_due(&mut self, now: Monotonic, out: &mut dyn Output) -> Result<()> {
        if now < self.next_emit {
            return Ok(());
        }
        self.next_emit = now + self.interval;
        self.emit_latest(out)
    }

    fn emit_latest(&mut self, out: &mut dyn Output) -> Result<()> {
        match self.watermark() {
            Some(watermark) => {
                self.emitted = watermark;
                out.watermark(watermark)
            }
            None => Ok(()),
        }
    }
}

impl<T: Data, F: FnMut(&T) -> Result<EventTime> + 'static> Operator for AssignTimestamps<T, F> {
    fn on_batch(&mut self, batch: ErasedBatch, out: &mut dyn Output) -> Result<()> {
        let records = typed::<T>(batch).records;
        let Self { extract, watch, .. } = self;
        let mut times = Vec::with_capacity(records.len());
        watch.over_each(&records, |record| {
            times.push(extract(record)?);
            Ok(())
        })?;
        self.latest = self.latest.max(times.iter().copied().max());
        let now = self.clock.monotonic();
        self.latest_record = now;
        if std::mem::replace(&mut self.idle, false) {
            out.active()?;
        }
        out.emit(Box::new(Batch { records, times: Some(times) }))?;
        self.emit_due(now, out)
    }

    /// Only the final one counts; others belong to event times that this operator replaces.
    fn on_watermark(&mut self, watermark: EventTime, out: &mut dyn Output) -> Result<Progress> {
        if watermark == EventTime::MAX {
            // No watermark of a drained stream may fall behind this one.
            self.emitted = watermark;
            out.watermark(watermark)?;
        }
        Ok(Progress::Done)
    }

    fn forwards_watermarks(&self) -> bool {
        false
    }

    fn keeps_records(&self) -> bool {
        true
    }

    fn on_wakeup(&mut self, now: Now, out: &mut dyn Output) -> Result<()> {
        let now = now.monotonic;
        self.emit_due(now, out)?;
        let silent = |timeout| now.since(self.latest_record) >= timeout;
        if self.strategy.idleness.is_some_and(silent) {
            self.on_idle(out)?;
        }
        Ok(())
    }

    /// What it knows of time is said first: who is idle is not asked any more.
    fn on_idle(&mut self, out: &mut dyn Output) -> Result<()> {
        if std::mem::replace(&mut self.idle, true) {
            return Ok(());
        }
        self.emit_latest(out)?;
        out.idle()
    }

    fn next_wakeup(&self) -> Wakeup {
        let emit = self.watermark().map(|_| self.next_emit);
        let idle = self.strategy.idleness.filter(|_| !self.idle);
        let idle = idle.map(|timeout| self.latest_record + timeout);
        emit.into_iter().chain(idle).map(Wakeup::on).fold(Wakeup::NEVER, Wakeup::or)
    }
}
