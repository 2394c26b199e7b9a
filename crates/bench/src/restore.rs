//! What each of several processes reads of a snapshot in native form, and what that takes of memory.
//!
//! A job fills its state, takes a checkpoint and ends; then processes with a worker each restore it
//! together. Each looks at itself when its first record has passed through the operator whose state it
//! is: no record flows before all have restored.
//!
//! What a process reads, its kernel counts (`rchar`). Its own share of the state is a part of the
//! checkpoint's bytes; what that comes to in memory is what the process has grown by once it is
//! restored. The most that it has had (`VmHWM`) is told against both.

use std::{
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::OnceLock,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use tidegate::{AggregateFunction, Env, Job, discard::discard, generator::Generator};

use crate::{
    arguments::Arguments,
    keyed_sum::{Record, processes::free_addresses},
    report::{peak_rss_bytes, print, rss_bytes},
};

/// How many numbers are kept for each key.
const NUMBERS: usize = 8;

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    processes: usize,
    keys: u64,
    state_bytes: u64,
    share_bytes: u64,
    /// From the start of the processes to the first record of the last.
    restore_seconds: f64,
    /// The most that a process has read, as a part of the state.
    read_max_of_state: f64,
    /// The most that a process has grown by, as a multiple of what its share takes in memory.
    peak_max_of_table: f64,
    /// The same as a multiple of its share of the checkpoint's bytes.
    peak_max_of_share: f64,
    by_process: Vec<Looked>,
}

/// What a process has found when it looked at itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Looked {
    read_bytes: u64,
    /// What it has grown by since before its job was started: now, and at most.
    table_bytes: u64,
    peak_bytes: u64,
    restore_seconds: f64,
}

/// Keeps numbers that are as long when they are written, about.
struct Mixed;

impl AggregateFunction<Record> for Mixed {
    type Acc = [u64; NUMBERS];
    type Out = u64;

    fn create(&self) -> Self::Acc {
        [u64::MAX; NUMBERS]
    }

    fn add(&self, numbers: &mut Self::Acc, (key, _): Record) -> tidegate::Result<()> {
        for (number, factor) in numbers.iter_mut().zip(1..) {
            *number ^= key.wrapping_add(factor).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        Ok(())
    }

    fn result(&self, numbers: &Self::Acc) -> tidegate::Result<u64> {
        Ok(numbers[0])
    }
}

fn job(folder: &Path, parallelism: usize) -> Job {
    Job::new("restore")
        .default_option("parallelism.default", parallelism)
        .default_option("execution.checkpointing.dir", folder.display())
        .default_option(
            "execution.checkpointing.externalized-checkpoint-retention",
            "RETAIN_ON_CANCELLATION",
        )
}

/// Each key once, and then on without end; `seen` is called with every record that has passed through.
fn build(env: &Env, keys: u64, seen: impl Fn() + Clone + Send + Sync + 'static) {
    env.source("numbers", Generator::new(None, move |index| (index % keys, 1)))
        .key_by(|record: &Record| record.0)
        .aggregate("mixed", Mixed)
        .inspect(move |_| {
            seen();
            Ok(())
        })
        .sink("discard", discard());
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let keys = arguments.get("keys", 7_000_000_u64)?;
    let processes = arguments.get("processes", 4_usize)?;
    let folder = tempfile::tempdir()?;
    let state_bytes = fill(folder.path(), keys, processes)?;
    let by_process = restore(folder.path(), keys, processes)?;
    let share_bytes = state_bytes / processes as u64;
    let most = |of: &dyn Fn(&Looked) -> f64| by_process.iter().map(of).fold(0.0, f64::max);
    print(&Report {
        scenario: "restore",
        processes,
        keys,
        state_bytes,
        share_bytes,
        restore_seconds: most(&|looked| looked.restore_seconds),
        read_max_of_state: most(&|looked| looked.read_bytes as f64 / state_bytes as f64),
        peak_max_of_table: most(&|looked| looked.peak_bytes as f64 / looked.table_bytes as f64),
        peak_max_of_share: most(&|looked| looked.peak_bytes as f64 / share_bytes as f64),
        by_process,
    })
}

/// Fills the state and takes a checkpoint, in a process of its own; returns how long that is.
fn fill(folder: &Path, keys: u64, parallelism: usize) -> Result<u64> {
    let output = Command::new(std::env::current_exe()?)
        .arg("restore-fill")
        .args(["--folder".as_ref(), folder.as_os_str()])
        .args(["--keys", &keys.to_string(), "--parallelism", &parallelism.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("the job that fills the state has failed: {}", output.status);
    }
    Ok(String::from_utf8(output.stdout)?.trim().parse()?)
}

/// The job that fills the state: prints how long its checkpoint is.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
pub(crate) fn run_fill(arguments: &Arguments) -> Result<()> {
    let keys = arguments.get("keys", 0_u64)?;
    let parallelism = arguments.get("parallelism", 1_usize)?;
    let folder = arguments.text("folder").context("--folder")?;
    let job = job(Path::new(folder), parallelism);
    let handle = job.start(Vec::<String>::new(), move |env| {
        build(env, keys, || {});
        Ok(())
    })?;
    while handle.stats().records < keys * 2 {
        std::thread::sleep(Duration::from_millis(20));
    }
    handle.checkpoint_blocking().map_err(anyhow::Error::msg)?;
    handle.cancel();
    let stats = handle.wait_blocking()?.stats;
    println!("{}", stats.completed.last().context("no checkpoint was completed")?.bytes);
    Ok(())
}

/// Restores it in so many processes at once.
fn restore(folder: &Path, keys: u64, processes: usize) -> Result<Vec<Looked>> {
    let addresses = free_addresses(processes + 1)?;
    let (coordinator, addresses) = addresses.split_last().context("one more than processes")?;
    let start = |process: usize| {
        Command::new(std::env::current_exe()?)
            .arg("restore-child")
            .args(["--folder".as_ref(), folder.as_os_str()])
            .args(["--keys", &keys.to_string(), "--process", &process.to_string()])
            .args(["--addresses", &addresses.join(","), "--coordinator", coordinator])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
    };
    let mut children = (0..processes).map(start).collect::<std::io::Result<Vec<Child>>>()?;
    let looked = children.iter_mut().map(line_of).collect::<Result<Vec<_>>>();
    // A process ends when nobody is there any more who could ask it to; the first waits for the others.
    children.iter_mut().for_each(|child| drop(child.stdin.take()));
    for child in &mut children {
        if looked.is_err() {
            // The others wait for it.
            child.kill()?;
        }
        child.wait()?;
    }
    looked
}

fn line_of(child: &mut Child) -> Result<Looked> {
    let output = child.stdout.take().context("it is piped")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    serde_json::from_str(&line).context("a process that restores has failed")
}

/// One of the processes: prints what it finds when its first record has passed through.
pub(crate) fn run_child(arguments: &Arguments) -> Result<()> {
    let keys = arguments.get("keys", 0_u64)?;
    let process = arguments.get("process", 0_usize)?;
    let text = |name: &str| arguments.text(name).context("a process is told by its parent");
    let addresses = text("addresses")?;
    let job = job(Path::new(text("folder")?), addresses.split(',').count());
    let start = [
        format!("--process-index={process}"),
        format!("--addresses={addresses}"),
        format!("--coordinator={}", text("coordinator")?),
        "--from-savepoint=latest".to_owned(),
        "--claim-mode=no_claim".to_owned(),
    ];
    static LOOKED: OnceLock<Looked> = OnceLock::new();
    let (read_before, rss_before, begun) = (read_bytes()?, rss_bytes(), Instant::now());
    let look = move || {
        LOOKED.get_or_init(|| Looked {
            read_bytes: read_bytes().unwrap_or_default().saturating_sub(read_before),
            table_bytes: rss_bytes().saturating_sub(rss_before),
            peak_bytes: peak_rss_bytes().saturating_sub(rss_before),
            restore_seconds: begun.elapsed().as_secs_f64(),
        });
    };
    let handle = job.start(start, move |env| {
        build(env, keys, look);
        Ok(())
    })?;
    let looked = loop {
        match LOOKED.get() {
            Some(looked) => break looked,
            None if handle.stats().status.is_terminal() => {
                handle.wait_blocking()?;
                bail!("the job has ended before a record had passed");
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    print(looked)?;
    // The parent has heard of all of them.
    std::io::stdin().read_line(&mut String::new())?;
    if process == 0 {
        handle.cancel();
        handle.wait_blocking()?;
    }
    Ok(())
}

/// How many bytes this process has read from files so far.
fn read_bytes() -> Result<u64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let line = io.lines().find_map(|line| line.strip_prefix("rchar: ")).context("rchar")?;
    Ok(line.trim().parse()?)
}
