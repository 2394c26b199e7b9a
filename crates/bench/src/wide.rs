//! What a barrier and what silence cost at a parallelism far above the number of cores: six keyed
//! stages behind each other, and few records.

mod once;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde::Serialize;
use tidegate::{Job, JobHandle, Stream, discard::discard, generator::Generator};

use self::once::Once;
use crate::{
    arguments::Arguments,
    keyed_sum::{Record, Sum, record},
    report::{Checkpoints, cpu_time, peak_rss_bytes, print},
};

/// How many keyed stages there are.
const STAGES: usize = 6;
/// How many keys each of them has, about.
const KEYS: u64 = 1_000_000;
/// How long a job may take until its first record has passed through.
const PATIENCE: Duration = Duration::from_secs(120);
/// For how long a job that has fallen silent is left alone before it is looked at.
const SETTLING: Duration = Duration::from_secs(1);

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    parallelism: usize,
    rate: u64,
    seconds: u64,
    records: u64,
    checkpoints: Checkpoints,
    /// Of a second job, which takes no checkpoints and whose source has fallen silent.
    cpu_cores_at_rest: f64,
    /// Until the first record had passed through all stages.
    start_seconds: f64,
    peak_rss_bytes: u64,
    /// What Timely's progress tracking has sent in the first job.
    progress_messages: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let parallelism = arguments.get("parallelism", 8_usize)?;
    let rate = arguments.get("rate", 100_u64)?;
    let seconds = arguments.get("seconds", 10_u64)?;
    let rest = arguments.get("rest", 10_u64)?;
    let folder = tempfile::tempdir()?;
    let job = job(parallelism)
        .default_option("execution.checkpointing.interval", "500 ms")
        .default_option("execution.checkpointing.dir", folder.path().display());
    let begun = Instant::now();
    let handle = job.start(Vec::<String>::new(), move |env| {
        let numbers = Generator::new(None, |index| record(index, KEYS)).rate(rate);
        stages(env.source("numbers", numbers));
        Ok(())
    })?;
    first_record(&handle)?;
    let start_seconds = begun.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(seconds));
    handle.cancel();
    let stats = handle.wait_blocking()?.stats;
    print(&Report {
        scenario: "wide",
        parallelism,
        rate,
        seconds,
        records: stats.records,
        checkpoints: Checkpoints::of(&stats),
        cpu_cores_at_rest: at_rest(parallelism, Duration::from_secs(rest))?,
        start_seconds,
        peak_rss_bytes: peak_rss_bytes(),
        progress_messages: stats.progress_messages,
    })
}

fn job(parallelism: usize) -> Job {
    Job::new("wide").default_option("parallelism.default", parallelism)
}

fn stages(mut stream: Stream<Record>) {
    for stage in 0..STAGES {
        stream = stream
            .key_by(|record: &Record| record.0)
            .aggregate(&format!("sum-{stage}"), Sum)
            .map(|(key, sum)| Ok(record(key ^ sum, KEYS)));
    }
    stream.sink("discard", discard());
}

fn first_record(handle: &JobHandle) -> Result<()> {
    let begun = Instant::now();
    while handle.stats().first_record.is_none() {
        ensure!(begun.elapsed() < PATIENCE, "no record has passed through in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// How many cores the process keeps busy while nothing happens.
fn at_rest(parallelism: usize, rest: Duration) -> Result<f64> {
    let handle = job(parallelism).start(Vec::<String>::new(), |env| {
        stages(env.source("once", Once));
        Ok(())
    })?;
    first_record(&handle)?;
    std::thread::sleep(SETTLING);
    let (before, begun) = (cpu_time()?, Instant::now());
    std::thread::sleep(rest);
    let cores = (cpu_time()? - before).as_secs_f64() / begun.elapsed().as_secs_f64();
    handle.cancel();
    handle.wait_blocking()?;
    Ok(cores)
}
