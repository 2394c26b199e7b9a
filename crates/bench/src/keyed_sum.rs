//! Generator, key_by, running sum per key emitted for every record, discarding sink.

pub(crate) mod processes;

use std::time::Instant;

use anyhow::Result;
use serde::Serialize;
use tidegate::{AggregateFunction, Env, Job, JobResult, discard::discard, generator::Generator};

use crate::{
    arguments::Arguments,
    on_timely,
    report::{Checkpoints, peak_rss_bytes, print},
};

/// A record: a key and a number.
pub(crate) type Record = (u64, u64);

/// The record at an index, the same for both sides: keys in an order that no cache foresees.
#[inline]
pub(crate) fn record(index: u64, keys: u64) -> Record {
    // SplitMix64's finalizer (Steele, Lea, Flood 2014).
    let mut key = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    key ^= key >> 27;
    (((u128::from(key) * u128::from(keys)) >> 64) as u64, index & 0xff)
}

/// Sums the numbers of a key.
pub(crate) struct Sum;

impl AggregateFunction<Record> for Sum {
    type Acc = u64;
    type Out = u64;

    fn create(&self) -> u64 {
        0
    }

    fn add(&self, sum: &mut u64, record: Record) -> tidegate::Result<()> {
        *sum = sum.wrapping_add(record.1);
        Ok(())
    }

    fn result(&self, sum: &u64) -> tidegate::Result<u64> {
        Ok(*sum)
    }
}

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    records: u64,
    keys: u64,
    parallelism: usize,
    checkpoint_interval: Option<String>,
    seconds: f64,
    records_per_second: f64,
    timely_records_per_second: f64,
    ratio_to_timely: f64,
    checkpoints: Checkpoints,
    peak_rss_bytes: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let records = arguments.get("records", 200_000_000_u64)?;
    let keys = arguments.get("keys", 1_000_000_u64)?;
    let parallelism = arguments.get("parallelism", 2_usize)?;
    let interval = arguments.text("checkpoint-interval");
    if arguments.get("processes", 1_usize)? > 1 {
        return processes::run(arguments);
    }
    let (result, seconds) = on_tidegate(records, keys, parallelism, interval)?;
    let peak_rss_bytes = peak_rss_bytes();
    let timely_seconds = on_timely::keyed_sum(records, keys, timely::Config::process(parallelism))?;
    print(&Report {
        scenario: "keyed-sum",
        records,
        keys,
        parallelism,
        checkpoint_interval: interval.map(str::to_owned),
        seconds,
        records_per_second: records as f64 / seconds,
        timely_records_per_second: records as f64 / timely_seconds,
        ratio_to_timely: timely_seconds / seconds,
        checkpoints: Checkpoints::of(&result.stats),
        peak_rss_bytes,
    })
}

fn on_tidegate(
    records: u64,
    keys: u64,
    parallelism: usize,
    interval: Option<&str>,
) -> Result<(JobResult, f64)> {
    let folder = tempfile::tempdir()?;
    let mut job = job(parallelism);
    if let Some(interval) = interval {
        job = job
            .default_option("execution.checkpointing.interval", interval)
            .default_option("execution.checkpointing.dir", folder.path().display());
    } else {
        job = without_checkpoints(job);
    }
    let start = Instant::now();
    let result = job.try_run(Vec::<String>::new(), move |env| build(env, records, keys))?;
    Ok((result, start.elapsed().as_secs_f64()))
}

fn job(parallelism: usize) -> Job {
    Job::new("keyed-sum").default_option("parallelism.default", parallelism)
}

fn without_checkpoints(job: Job) -> Job {
    job.default_option("execution.checkpointing.checkpoints-after-tasks-finish", "false")
}

fn build(env: &Env, records: u64, keys: u64) -> tidegate::Result<()> {
    env.source("numbers", Generator::new(Some(records), move |index| record(index, keys)))
        .key_by(|record: &Record| record.0)
        .aggregate("sum", Sum)
        .sink("discard", discard());
    Ok(())
}
