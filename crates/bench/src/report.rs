//! What all scenarios tell alike.

use std::time::Duration;

use anyhow::Context;
use serde::Serialize;
use tidegate::JobStats;

/// Percentiles of the checkpoints' durations, in milliseconds.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Durations {
    p50: f64,
    p99: f64,
    max: f64,
}

/// All checkpoints of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Checkpoints {
    count: u64,
    failed: u64,
    duration_ms: Durations,
    sync_ms_max: f64,
    alignment_ms_max: f64,
    bytes_max: u64,
}

impl Checkpoints {
    pub(crate) fn of(stats: &JobStats) -> Self {
        let mut durations =
            stats.completed.iter().map(|done| millis(done.duration)).collect::<Vec<_>>();
        durations.sort_by(f64::total_cmp);
        let percentile = |share: f64| {
            let last = durations.len().saturating_sub(1);
            durations.get((last as f64 * share).ceil() as usize).copied().unwrap_or_default()
        };
        let max = |figure: &dyn Fn(&tidegate::CheckpointSummary) -> f64| {
            stats.completed.iter().map(|done| figure(done)).fold(0.0, f64::max)
        };
        Self {
            count: stats.completed_count,
            failed: stats.failed_count,
            duration_ms: Durations {
                p50: percentile(0.5),
                p99: percentile(0.99),
                max: percentile(1.0),
            },
            sync_ms_max: max(&|done| millis(done.sync_max)),
            alignment_ms_max: max(&|done| millis(done.alignment_max)),
            bytes_max: stats.completed.iter().map(|done| done.bytes).max().unwrap_or_default(),
        }
    }
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// The most memory that this process has had so far, in bytes (`VmHWM`).
pub(crate) fn peak_rss_bytes() -> u64 {
    status_bytes("VmHWM:")
}

/// The memory that this process has now, in bytes (`VmRSS`).
pub(crate) fn rss_bytes() -> u64 {
    status_bytes("VmRSS:")
}

fn status_bytes(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}

/// The processor time that this process has used so far, all threads together.
pub(crate) fn cpu_time() -> anyhow::Result<Duration> {
    let schedstat = |task: std::io::Result<std::fs::DirEntry>| -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let running = text.split_whitespace().next().context("the time that it has run")?;
        Ok(running.parse::<u64>()?)
    };
    let nanos = std::fs::read_dir("/proc/self/task")?.map(schedstat).sum::<anyhow::Result<_>>()?;
    Ok(Duration::from_nanos(nanos))
}

/// Prints the one line.
#[expect(clippy::print_stdout, reason = "the line is what a benchmark is for")]
pub(crate) fn print(report: &impl Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string(report)?);
    Ok(())
}
