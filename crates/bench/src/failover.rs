//! From the SIGKILL of a job's process to the first record that is processed again.
//!
//! A JobManager and three TaskManagers with a slot each run in this process; the job, at parallelism
//! 2 with one entry of state per key, in processes of its own: this very program. The third
//! TaskManager waits as a spare. There is no delay before the restart.

use std::{
    path::Path,
    process::{Command, ExitCode},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use tidegate::{Job, discard::discard, generator::Generator};
use tidegate_cluster::{
    Dispatcher,
    dispatcher::{JobView, Submission},
    jobmanager::{JobManager, JobManagerOptions},
    resources::HeartbeatOptions,
    taskmanager::{TaskManagerOptions, run_taskmanager},
};
use tidegate_protocol::Endpoint;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    arguments::Arguments,
    keyed_sum::{Record, Sum},
    report::print,
};

/// How many times a process is killed.
const KILLS: usize = 3;
/// The longest that anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Serialize)]
struct Report {
    scenario: &'static str,
    keys: u64,
    state_bytes: u64,
    detect_seconds: f64,
    restart_seconds: f64,
    /// Of each kill.
    all: Vec<[f64; 2]>,
}

/// The job: each key once, and then on without end.
pub(crate) fn run_job(arguments: &Arguments) -> Result<ExitCode> {
    let keys = arguments.get("keys", 1_000_000_u64)?;
    Ok(Job::new("failover").run(move |env| {
        env.source("numbers", Generator::new(None, move |index| (index % keys, 1)))
            .key_by(|record: &Record| record.0)
            .aggregate("sum", Sum)
            .sink("discard", discard());
        Ok(())
    }))
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let keys = arguments.get("keys", 1_000_000_u64)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(measure(keys))?;
    print(&report)
}

async fn measure(keys: u64) -> Result<Report> {
    let folder = tempfile::tempdir()?;
    let shutdown = CancellationToken::new();
    let dispatcher = start_cluster(folder.path(), &shutdown).await?;
    let mut file = tokio::fs::File::open(std::env::current_exe()?).await?;
    let artifact = dispatcher.artifacts().add("failover", &mut file, u64::MAX).await?;
    let options = [
        ("parallelism.default", "2"),
        ("execution.checkpointing.interval", "1 s"),
        ("restart-strategy.type", "fixed-delay"),
        ("restart-strategy.fixed-delay.attempts", "1000"),
        ("restart-strategy.fixed-delay.delay", "0 ms"),
    ];
    let submission = Submission {
        artifact: artifact.hash,
        arguments: ["failover-job", "--keys", &keys.to_string()].map(str::to_owned).to_vec(),
        configuration: options
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        job_id: None,
    };
    let id = dispatcher.submit(submission).await?;
    let view = || dispatcher.job(id).context("the job is remembered");
    let mut all = Vec::new();
    let mut state_bytes = 0;
    for _ in 0..KILLS {
        // Every key has its state, and a checkpoint holds it.
        wait(|| Ok(view()?.stats.records > 2 * keys)).await?;
        let before = view()?;
        wait(|| Ok(view()?.stats.completed_count > before.stats.completed_count + 1)).await?;
        state_bytes = view()?.stats.completed.last().map_or(0, |checkpoint| checkpoint.bytes);
        let restarts = before.stats.restarts;
        let killed = kill_a_child()?;
        let has_record = |view: &JobView| {
            let failed = view.stats.failures.last().map(|failure| failure.time);
            view.stats.restarts > restarts && view.stats.first_record > failed
        };
        wait(|| Ok(has_record(&view()?))).await?;
        let stats = view()?.stats;
        let noticed = stats.failures.last().context("it has failed")?.time.millis() as f64 / 1e3;
        let first = stats.first_record.context("it has gone on")?.millis() as f64 / 1e3;
        all.push([noticed - killed, first - noticed]);
    }
    let _ = dispatcher.cancel(id);
    wait(|| Ok(view()?.ended.is_some())).await?;
    shutdown.cancel();
    let middle = |part: usize| {
        let mut figures = all.iter().map(|figures| figures[part]).collect::<Vec<_>>();
        figures.sort_by(f64::total_cmp);
        figures[figures.len() / 2]
    };
    let (detect_seconds, restart_seconds) = (middle(0), middle(1));
    Ok(Report { scenario: "failover", keys, state_bytes, detect_seconds, restart_seconds, all })
}

async fn start_cluster(folder: &Path, shutdown: &CancellationToken) -> Result<Dispatcher> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let heartbeat =
        HeartbeatOptions { interval: Duration::from_secs(10), timeout: Duration::from_secs(50) };
    let manager = Arc::new(JobManager::new(JobManagerOptions {
        folder: folder.join("jobmanager"),
        configuration: Default::default(),
        secret: None,
        leadership: None,
        heartbeat,
    })?);
    let dispatcher = manager.dispatcher().clone();
    let served = shutdown.clone();
    tokio::spawn(async move { manager.serve(listener, served).await });
    for number in 0..3 {
        let options = TaskManagerOptions {
            id: format!("{number:032x}"),
            jobmanager: Endpoint::new(url.clone(), None),
            host: "127.0.0.1".to_owned(),
            slots: 1,
            folder: folder.join(format!("taskmanager-{number}")),
            logs: 100,
            log_bytes: 100 << 20,
            leave_within: Duration::from_secs(10),
        };
        tokio::spawn(run_taskmanager(options, shutdown.clone()));
    }
    wait(|| Ok(dispatcher.slots().0 == 3)).await?;
    Ok(dispatcher)
}

async fn wait(mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = std::time::Instant::now();
    while !done()? {
        if begun.elapsed() > PATIENCE {
            bail!("waited {PATIENCE:?} in vain");
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// Kills one of this process's children; returns when, in seconds since 1970.
fn kill_a_child() -> Result<f64> {
    let mut children = String::new();
    for thread in std::fs::read_dir("/proc/self/task")? {
        children += &std::fs::read_to_string(thread?.path().join("children"))?;
    }
    let child = children.split_whitespace().next().context("a job's process runs")?.to_owned();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs_f64();
    if !Command::new("kill").args(["-KILL", &child]).status()?.success() {
        bail!("process {child} can't be killed");
    }
    Ok(now)
}
