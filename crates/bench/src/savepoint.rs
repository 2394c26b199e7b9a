//! Savepoints of both forms: how long they take, how large they are, how fast a job starts from
//! them, and what the running job notices.
//!
//! Every figure comes from a process of its own: one that runs the job alone, one per form that
//! takes savepoints meanwhile, and one per form that is started from the last of them.

mod pauses;

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tidegate::{Job, JobHandle, SnapshotForm, discard::discard, generator::Generator};

use crate::{
    arguments::Arguments,
    keyed_sum::{Sum, record},
    report::{peak_rss_bytes, print},
};

/// How long the job is watched with and without savepoints.
const WATCHED: Duration = Duration::from_secs(5);

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    keys: u64,
    parallelism: usize,
    native_seconds: f64,
    canonical_seconds: f64,
    native_bytes: u64,
    canonical_bytes: u64,
    restore_native_seconds: f64,
    restore_canonical_seconds: f64,
    /// Of the rate of the same process before, in the form that savepoints have unless one asks for
    /// another: canonical.
    rate_during_savepoint_ratio: f64,
    rate_during_native_savepoint_ratio: f64,
    /// The longest time in which a subtask had no result: without a savepoint, and with those of
    /// each form.
    longest_pause_without_ms: f64,
    longest_pause_native_ms: f64,
    longest_pause_canonical_ms: f64,
    /// Of the job without a savepoint, and the higher of both forms with.
    peak_rss_without_bytes: u64,
    peak_rss_bytes: u64,
    peak_rss_ratio: f64,
}

/// What a process that runs the job tells.
#[derive(Default, Serialize, Deserialize)]
struct Taken {
    /// The median of its savepoints.
    seconds: f64,
    bytes: u64,
    path: String,
    rate_ratio: f64,
    longest_pause_ms: f64,
    peak_rss_bytes: u64,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let keys = arguments.get("keys", 10_000_000_u64)?;
    let parallelism = arguments.get("parallelism", 2_usize)?;
    let folder = tempfile::tempdir()?;
    let take = |form: &str| child::<Taken>("savepoint-take", folder.path(), arguments, form);
    let restore = |taken: &Taken| -> Result<f64> {
        let started = since_epoch()?;
        let first = child::<f64>("savepoint-restore", Path::new(&taken.path), arguments, "")?;
        Ok(first - started)
    };
    let (alone, native, canonical) = (take("none")?, take("native")?, take("canonical")?);
    let peak = native.peak_rss_bytes.max(canonical.peak_rss_bytes);
    print(&Report {
        scenario: "savepoint",
        keys,
        parallelism,
        native_seconds: native.seconds,
        canonical_seconds: canonical.seconds,
        native_bytes: native.bytes,
        canonical_bytes: canonical.bytes,
        restore_native_seconds: restore(&native)?,
        restore_canonical_seconds: restore(&canonical)?,
        rate_during_savepoint_ratio: canonical.rate_ratio,
        rate_during_native_savepoint_ratio: native.rate_ratio,
        longest_pause_without_ms: alone.longest_pause_ms,
        longest_pause_native_ms: native.longest_pause_ms,
        longest_pause_canonical_ms: canonical.longest_pause_ms,
        peak_rss_without_bytes: alone.peak_rss_bytes,
        peak_rss_bytes: peak,
        peak_rss_ratio: peak as f64 / alone.peak_rss_bytes as f64,
    })
}

fn since_epoch() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

/// Runs a part of the scenario in a process of its own, which answers with a line of JSON.
fn child<T: DeserializeOwned>(
    part: &str,
    folder: &Path,
    arguments: &Arguments,
    form: &str,
) -> Result<T> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(part).args(["--folder".as_ref(), folder.as_os_str()]).args(["--form", form]);
    for name in ["keys", "parallelism"] {
        if let Some(value) = arguments.text(name) {
            command.args([format!("--{name}"), value.to_owned()]);
        }
    }
    let output = command.output()?;
    if !output.status.success() {
        bail!("{part} failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn start(parallelism: usize, options: &[&str], keys: u64) -> Result<JobHandle> {
    let job = Job::new("savepoint").default_option("parallelism.default", parallelism);
    let job = job.default_option("execution.checkpointing.interval", "1 d");
    let handle = job.start(options.iter().copied(), move |env| {
        // Every key once, then in an order that no cache foresees.
        let next =
            move |index| if index < keys { (index, index & 0xff) } else { record(index, keys) };
        env.source("numbers", Generator::new(None, next))
            .key_by(|record: &(u64, u64)| record.0)
            .aggregate("sum", Sum)
            .inspect(|_| {
                pauses::note();
                Ok(())
            })
            .sink("discard", discard());
        Ok(())
    })?;
    Ok(handle)
}

/// Records a second while `meanwhile` runs.
fn rate(handle: &JobHandle, meanwhile: impl FnOnce() -> Result<()>) -> Result<f64> {
    let (before, start) = (handle.stats().records, Instant::now());
    meanwhile()?;
    Ok((handle.stats().records - before) as f64 / start.elapsed().as_secs_f64())
}

/// Runs the job, and takes one savepoint behind the other, or none.
pub(crate) fn take(arguments: &Arguments) -> Result<()> {
    let keys = arguments.get("keys", 10_000_000_u64)?;
    let parallelism = arguments.get("parallelism", 2_usize)?;
    let folder = arguments.text("folder").context("--folder")?;
    let form = match arguments.text("form") {
        Some("native") => Some(SnapshotForm::Native),
        Some("canonical") => Some(SnapshotForm::Canonical),
        _ => None,
    };
    let checkpoints = format!("execution.checkpointing.dir={folder}/checkpoints");
    let handle = start(parallelism, &["-D", &checkpoints], keys)?;
    while handle.stats().records < keys * 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    let wait = || {
        std::thread::sleep(WATCHED);
        Ok(())
    };
    let before = rate(&handle, wait)?;
    pauses::forget();
    let mut taken = Taken::default();
    let mut seconds = Vec::new();
    let during = rate(&handle, || {
        let Some(form) = form else { return wait() };
        let start = Instant::now();
        while start.elapsed() < WATCHED {
            // One at a time, as in life: what lies on the disk is not what is measured.
            if !taken.path.is_empty() {
                std::fs::remove_dir_all(&taken.path)?;
            }
            let target = format!("{folder}/savepoints");
            let begun = Instant::now();
            taken.path =
                handle.savepoint_as_blocking(form, Some(target)).map_err(anyhow::Error::msg)?;
            seconds.push(begun.elapsed().as_secs_f64());
        }
        Ok(())
    })?;
    seconds.sort_by(f64::total_cmp);
    taken.seconds = seconds.get(seconds.len() / 2).copied().unwrap_or_default();
    taken.longest_pause_ms = pauses::longest().as_secs_f64() * 1e3;
    taken.rate_ratio = during / before;
    taken.peak_rss_bytes = peak_rss_bytes();
    taken.bytes = handle.stats().completed.last().map(|done| done.bytes).unwrap_or_default();
    handle.cancel();
    handle.wait_blocking()?;
    print(&taken)
}

/// The restored job: prints when its first record came, in seconds since 1970.
pub(crate) fn restore(arguments: &Arguments) -> Result<()> {
    let keys = arguments.get("keys", 10_000_000_u64)?;
    let parallelism = arguments.get("parallelism", 2_usize)?;
    let path = arguments.text("folder").context("--folder")?;
    let handle = start(parallelism, &["--from-savepoint", path], keys)?;
    let first = loop {
        if let Some(time) = handle.stats().first_record {
            break time;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    handle.cancel();
    handle.wait_blocking()?;
    print(&(first.millis() as f64 / 1e3))
}
