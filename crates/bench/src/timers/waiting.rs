//! A processing-time timer for each key, too far ahead to fire, against none: what waits must hold
//! nobody up.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tidegate::{
    Job, KeyedProcess, ProcessContext, Timestamp, ValueState, discard::discard,
    generator::Generator,
};

use super::median;
use crate::{
    arguments::Arguments,
    keyed_sum::{Record, record},
    report::print,
};

/// How far ahead the timers are set.
const AHEAD: Duration = Duration::from_secs(600);
/// A run that has not ended after so long has stalled.
const PATIENCE: Duration = Duration::from_secs(120);

/// Sets a timer for each key, if it is to, when the key comes for the first time.
struct Waiting {
    sets: bool,
    known: ValueState<bool>,
}

impl KeyedProcess<u64, Record> for Waiting {
    type Out = Record;

    fn on_record(
        &mut self,
        record: Record,
        context: &mut ProcessContext<'_, u64, Record>,
    ) -> tidegate::Result<()> {
        if self.known.get().is_none() {
            self.known.set(true);
            if self.sets {
                let at = context.processing_time().millis() + AHEAD.as_millis() as u64;
                context.set_processing_timer(Timestamp(at));
            }
        }
        context.emit(record);
        Ok(())
    }
}

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    parallelism: usize,
    records: u64,
    keys: u64,
    runs: usize,
    /// Medians of the runs that have ended.
    records_per_second: f64,
    records_per_second_without: f64,
    /// Of the one to the other, the median of the runs.
    ratio: f64,
    stalled: usize,
}

pub(super) fn run(arguments: &Arguments) -> Result<()> {
    let parallelism = arguments.get("parallelism", 2_usize)?;
    let records = arguments.get("records", 20_000_000_u64)?;
    let keys = arguments.get("keys", 1_000_000_u64)?;
    let runs = arguments.get("runs", 20_usize)?.max(1);
    let (mut with, mut without, mut ratios, mut stalled) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for _ in 0..runs {
        let none = rate(parallelism, records, keys, false)?;
        let timers = rate(parallelism, records, keys, true)?;
        stalled += usize::from(none.is_none()) + usize::from(timers.is_none());
        if let (Some(none), Some(timers)) = (none, timers) {
            without.push(none);
            with.push(timers);
            ratios.push(timers / none);
        }
    }
    anyhow::ensure!(!ratios.is_empty(), "every run has stalled");
    print(&Report {
        scenario: "timers",
        parallelism,
        records,
        keys,
        runs,
        records_per_second: median(with),
        records_per_second_without: median(without),
        ratio: median(ratios),
        stalled,
    })
}

/// Records per second, if the job has ended.
fn rate(parallelism: usize, records: u64, keys: u64, sets: bool) -> Result<Option<f64>> {
    let job = Job::new("timers")
        .default_option("parallelism.default", parallelism)
        .default_option("execution.checkpointing.checkpoints-after-tasks-finish", false);
    let begun = Instant::now();
    let handle = job.start(Vec::<String>::new(), move |env| {
        env.source("numbers", Generator::new(Some(records), move |index| record(index, keys)))
            .key_by(|record: &Record| record.0)
            .process("timers", move |states| Ok(Waiting { sets, known: states.value("known")? }))
            .sink("discard", discard());
        Ok(())
    })?;
    while !handle.stats().status.is_terminal() {
        if begun.elapsed() > PATIENCE {
            handle.cancel();
            handle.wait_blocking()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    let seconds = begun.elapsed().as_secs_f64();
    handle.wait_blocking()?;
    Ok(Some(records as f64 / seconds))
}
