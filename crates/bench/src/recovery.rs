//! From the start of a process to the first record after a restore.
//!
//! A job fills its state with one entry per key, takes a checkpoint and fails; then a process of its
//! own restores it, at the same and at twice the parallelism, and tells when its first record came.

use std::{
    path::Path,
    process::Command,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tidegate::{Job, JobHandle, discard::discard, generator::Generator};

use crate::{
    arguments::Arguments,
    keyed_sum::{Record, Sum},
    report::print,
};

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    keys: u64,
    parallelism: usize,
    state_bytes: u64,
    restore_seconds: f64,
    rescale_restore_seconds: f64,
}

fn job(folder: &Path, parallelism: usize) -> Job {
    Job::new("recovery")
        .default_option("parallelism.default", parallelism)
        .default_option("execution.checkpointing.dir", folder.display())
        .default_option(
            "execution.checkpointing.externalized-checkpoint-retention",
            "RETAIN_ON_CANCELLATION",
        )
}

/// Each key once, and then on without end.
fn start(job: &Job, arguments: &[&str], keys: u64) -> Result<JobHandle> {
    let handle = job.start(arguments.iter().copied(), move |env| {
        env.source("numbers", Generator::new(None, move |index| (index % keys, 1)))
            .key_by(|record: &Record| record.0)
            .aggregate("sum", Sum)
            .sink("discard", discard());
        Ok(())
    })?;
    Ok(handle)
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let keys = arguments.get("keys", 10_000_000_u64)?;
    let parallelism = arguments.get("parallelism", 2_usize)?;
    let folder = tempfile::tempdir()?;
    let handle = start(&job(folder.path(), parallelism), &[], keys)?;
    while handle.stats().records < keys * 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    handle.checkpoint_blocking().map_err(anyhow::Error::msg)?;
    handle.cancel();
    let stats = handle.wait_blocking()?.stats;
    let state_bytes = stats.completed.last().context("no checkpoint was completed")?.bytes;
    let restore_seconds = child(folder.path(), keys, parallelism)?;
    let rescale_restore_seconds = child(folder.path(), keys, parallelism * 2)?;
    print(&Report {
        scenario: "recovery",
        keys,
        parallelism,
        state_bytes,
        restore_seconds,
        rescale_restore_seconds,
    })
}

fn since_epoch() -> Result<f64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64())
}

fn child(folder: &Path, keys: u64, parallelism: usize) -> Result<f64> {
    let started = since_epoch()?;
    let output = Command::new(std::env::current_exe()?)
        .arg("recovery-child")
        .args(["--folder".as_ref(), folder.as_os_str()])
        .args(["--keys", &keys.to_string(), "--parallelism", &parallelism.to_string()])
        .output()?;
    if !output.status.success() {
        bail!("the restored job failed: {}", String::from_utf8_lossy(&output.stderr));
    }
    let first_record = String::from_utf8(output.stdout)?.trim().parse::<f64>()?;
    Ok(first_record - started)
}

/// The restored job: prints when its first record came, in seconds since 1970.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn run_child(arguments: &Arguments) -> Result<()> {
    let keys = arguments.get("keys", 10_000_000_u64)?;
    let parallelism = arguments.get("parallelism", 2_usize)?;
    let folder = arguments.text("folder").context("--folder")?;
    let job = job(Path::new(folder), parallelism);
    let latest = ["--from-savepoint", "latest", "--claim-mode", "no_claim"];
    let handle = start(&job, &latest, keys)?;
    loop {
        if let Some(time) = handle.stats().first_record {
            println!("{}", time.millis() as f64 / 1e3);
            break;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    handle.cancel();
    handle.wait_blocking()?;
    Ok(())
}
