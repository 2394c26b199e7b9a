//! All keys go to one subtask, whose sink takes some records a second; the sources have no limit.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;
use tidegate::{
    Job,
    connector::{Batch, Readiness, Sink, SinkContext, SinkWriter},
    generator::Generator,
};

use crate::{
    arguments::Arguments,
    keyed_sum::Record,
    report::{Checkpoints, peak_rss_bytes, print},
};

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    sink_rate: u64,
    parallelism: usize,
    seconds: u64,
    records: u64,
    peak_rss_bytes: u64,
    checkpoints: Checkpoints,
    in_flight_seconds_max: f64,
}

/// Takes so many records a second.
struct SlowSink {
    rate: u64,
}

struct SlowWriter {
    rate: f64,
    since: Instant,
    taken: f64,
}

impl Sink for SlowSink {
    type Item = (u64, u64);
    type Writer = SlowWriter;

    fn writer(&self, _context: SinkContext) -> tidegate::Result<SlowWriter> {
        Ok(SlowWriter { rate: self.rate as f64, since: Instant::now(), taken: 0.0 })
    }
}

impl SinkWriter for SlowWriter {
    type Item = (u64, u64);

    fn write(&mut self, batch: &mut Batch<(u64, u64)>) -> tidegate::Result<Readiness> {
        let allowed = self.since.elapsed().as_secs_f64() * self.rate;
        // What was not taken in time is not made up for.
        self.taken = self.taken.max(allowed - self.rate * 0.01);
        let room = (allowed - self.taken).max(0.0) as usize;
        self.taken += batch.take_front(room).len() as f64;
        if batch.is_empty() {
            return Ok(Readiness::Ready);
        }
        let missing = (self.taken + 1.0 - allowed) / self.rate;
        Ok(Readiness::RetryAfter(Duration::from_secs_f64(missing.clamp(1e-4, 0.01))))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let rate = arguments.get("sink-rate", 100_000_u64)?;
    let parallelism = arguments.get("parallelism", 2_usize)?;
    let seconds = arguments.get("seconds", 20_u64)?;
    let folder = tempfile::tempdir()?;
    let job = Job::new("backpressure")
        .default_option("parallelism.default", parallelism)
        .default_option("execution.checkpointing.interval", "500 ms")
        .default_option("execution.checkpointing.dir", folder.path().display());
    let handle = job.start(Vec::<String>::new(), move |env| {
        env.source("numbers", Generator::new(None, |index| (index, 1)))
            .key_by(|_: &Record| 0_u64)
            .aggregate("count", tidegate::Count)
            .sink("slow", SlowSink { rate });
        Ok(())
    })?;
    std::thread::sleep(Duration::from_secs(seconds));
    handle.cancel();
    let stats = handle.wait_blocking()?.stats;
    print(&Report {
        scenario: "backpressure",
        sink_rate: rate,
        parallelism,
        seconds,
        records: stats.records,
        peak_rss_bytes: peak_rss_bytes(),
        checkpoints: Checkpoints::of(&stats),
        in_flight_seconds_max: stats.in_flight_max.as_secs_f64(),
    })
}
