//! Many timers on one key, against one each on as many keys; and a checkpoint that holds them. With
//! `--parallelism`, timers that wait, against none.

mod waiting;

use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use tidegate::{
    Env, Job, KeyedProcess, ProcessContext, Timer, discard::discard, generator::Generator,
};

use crate::{
    arguments::Arguments,
    keyed_sum::record,
    report::{print, rss_bytes},
};

/// Sets a timer per record, as far as `timers` goes, at times in no order.
struct Set {
    timers: u64,
}

impl KeyedProcess<u64, u64> for Set {
    type Out = i64;

    fn on_record(
        &mut self,
        index: u64,
        context: &mut ProcessContext<'_, u64, i64>,
    ) -> tidegate::Result<()> {
        if index < self.timers {
            let (time, _) = record(index, u64::MAX >> 1);
            context.set_event_timer(tidegate::EventTime(time.cast_signed()));
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer,
        context: &mut ProcessContext<'_, u64, i64>,
    ) -> tidegate::Result<()> {
        context.emit(timer.time);
        Ok(())
    }
}

/// Which keys the timers belong to.
#[derive(Clone, Copy)]
enum Keys {
    One,
    Many,
}

#[derive(Serialize)]
struct CheckpointReport {
    timers: u64,
    sync_ms: f64,
    bytes: u64,
    /// What the process has grown by while it was taken.
    rss_growth_bytes: u64,
}

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    timers: u64,
    rounds: usize,
    one_key_seconds: f64,
    many_keys_seconds: f64,
    /// Of what one key takes to what many take, the median of the rounds.
    ratio: f64,
    checkpoint_one_key: CheckpointReport,
    checkpoint_many_keys: CheckpointReport,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    if arguments.text("parallelism").is_some() {
        return waiting::run(arguments);
    }
    let timers = arguments.get("timers", 100_000_u64)?;
    let held = arguments.get("held", 1_000_000_u64)?;
    let rounds = arguments.get("rounds", 9_usize)?.max(1);
    let (mut one, mut many, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        let seconds = (fire(timers, Keys::One)?, fire(timers, Keys::Many)?);
        one.push(seconds.0);
        many.push(seconds.1);
        ratios.push(seconds.0 / seconds.1);
    }
    print(&Report {
        scenario: "timers",
        timers,
        rounds,
        one_key_seconds: median(one),
        many_keys_seconds: median(many),
        ratio: median(ratios),
        checkpoint_one_key: checkpoint(held, Keys::One)?,
        checkpoint_many_keys: checkpoint(held, Keys::Many)?,
    })
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

/// How long it takes to set them all and have them fire at the end of the input.
fn fire(timers: u64, keys: Keys) -> Result<f64> {
    let job = job().default_option("execution.checkpointing.checkpoints-after-tasks-finish", false);
    let start = Instant::now();
    job.try_run(Vec::<String>::new(), move |env| build(env, Some(timers), timers, keys))?;
    Ok(start.elapsed().as_secs_f64())
}

/// Takes a checkpoint once all are set, while records go on coming.
fn checkpoint(timers: u64, keys: Keys) -> Result<CheckpointReport> {
    let folder = tempfile::tempdir()?;
    let job = job().default_option("execution.checkpointing.dir", folder.path().display());
    let handle = job.start(Vec::<String>::new(), move |env| build(env, None, timers, keys))?;
    while handle.stats().records < timers * 2 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let before = rss_bytes();
    handle.checkpoint_blocking().map_err(anyhow::Error::msg)?;
    let rss_growth_bytes = rss_bytes().saturating_sub(before);
    let stats = handle.stats();
    let done = stats.completed.last().context("the checkpoint is not among those completed")?;
    handle.cancel();
    let report = CheckpointReport {
        timers,
        sync_ms: done.sync_max.as_secs_f64() * 1e3,
        bytes: done.bytes,
        rss_growth_bytes,
    };
    handle.wait_blocking()?;
    Ok(report)
}

fn job() -> Job {
    Job::new("timers").default_option("parallelism.default", 1)
}

fn build(env: &Env, records: Option<u64>, timers: u64, keys: Keys) -> tidegate::Result<()> {
    let key = move |index: &u64| match keys {
        Keys::One => 0,
        Keys::Many => index % timers,
    };
    env.source("numbers", Generator::new(records, |index| index))
        .key_by(key)
        .process("timers", move |_| Ok(Set { timers }))
        .sink("discard", discard());
    Ok(())
}
