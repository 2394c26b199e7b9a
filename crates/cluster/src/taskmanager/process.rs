//! One process of a job, from its binary to its end; and as a program of this machine.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tidegate_protocol::{
    Endpoint, KeepAlive,
    resources::{LogFile, LogPart, ProcessKey, StartProcess},
};
use tidegate_runtime::{CONFIGURATION_VARIABLE, PROCESS_VARIABLE, ProcessSeat};
use tidegate_types::{Parallelism, error::chain};
use tokio::{
    io::{AsyncReadExt, AsyncSeekExt},
    process::Command,
};
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::{
    leftovers::tidy_logs,
    logs,
    output::{self, older},
    processes::{ProcessExit, ProcessStart, Processes},
};
use crate::{artifacts::ArtifactStore, host::TaskManagerHost, program::spawn};

/// How much of a process's log goes to the JobManager when it ends, in bytes.
const TAIL: u64 = 4000;
/// How long what a process has said last may take to its log, once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What processes are started with, the same for all.
#[derive(Clone)]
pub(super) struct ProcessHome {
    pub(super) machine: TaskManagerHost,
    pub(super) artifacts: ArtifactStore,
    pub(super) jobmanager: Endpoint,
    /// This host, as other hosts reach it.
    pub(super) host: String,
}

/// A process that has ended, or was never there.
pub(super) struct Ended {
    pub(super) key: ProcessKey,
    pub(super) exit: ProcessExit,
}

/// Runs a process to its end, which `end` brings about at once.
pub(super) async fn run(home: ProcessHome, request: StartProcess, end: CancellationToken) -> Ended {
    let key = request.key;
    let exit = match home.start(request, &end).await {
        Ok(start) => home.machine.processes.run(start, end).await,
        Err(problem) => never_there(problem),
    };
    let status = &exit.status;
    info!(job = %key.job, attempt = %key.attempt, process = %key.process, status, "process ended");
    Ended { key, exit }
}

fn never_there(problem: String) -> ProcessExit {
    ProcessExit { status: problem, success: false, output_tail: String::new() }
}

impl ProcessHome {
    /// What is to be started, once its binary is here.
    async fn start(
        &self,
        request: StartProcess,
        end: &CancellationToken,
    ) -> Result<ProcessStart, String> {
        let binary = tokio::select! {
            biased;
            () = end.cancelled() => return Err("ended before it was started".to_owned()),
            binary = self.binary(&request.artifact) => binary?,
        };
        let seat = self.seat(&request)?;
        let StartProcess { key, arguments, configuration, .. } = request;
        Ok(ProcessStart { key, binary, arguments, seat, configuration })
    }

    fn seat(&self, request: &StartProcess) -> Result<ProcessSeat, String> {
        let StartProcess { key, token, threads, processes, parallelism, coordinator, .. } = request;
        let invalid = || format!("{parallelism} is no parallelism");
        // Half of what others wait: a process that is cut off has ended before another attempt
        // takes its place.
        let KeepAlive { interval, timeout } = self.jobmanager.keep_alive;
        let silence = interval.min(timeout / 4);
        let lost = timeout / 2 - silence;
        Ok(ProcessSeat {
            job: key.job,
            attempt: key.attempt,
            token: *token,
            process: key.process,
            processes: *processes,
            threads: *threads,
            parallelism: Parallelism::new(*parallelism).ok_or_else(invalid)?,
            coordinator: if coordinator.is_empty() {
                self.jobmanager.url.clone()
            } else {
                coordinator.clone()
            },
            silence_ms: silence.as_millis() as u64,
            lost_ms: lost.as_millis() as u64,
            secret: request.credential.as_ref().map(|secret| secret.expose().to_owned()),
            host: self.host.clone(),
        })
    }

    /// The binary with this hash, fetched if it is not here yet.
    async fn binary(&self, hash: &str) -> Result<PathBuf, String> {
        if let Some(path) = self.artifacts.path(hash) {
            return Ok(path);
        }
        let (mut reader, mut writer) = tokio::io::duplex(1 << 20);
        let add = self.artifacts.add(hash, &mut reader, u64::MAX);
        let fetch = async {
            let network = &self.machine.network;
            let fetched = network.fetch(&self.jobmanager, hash, &mut writer).await;
            drop(writer);
            fetched
        };
        let (fetched, added) = tokio::join!(fetch, add);
        let problem = |error: &(dyn std::error::Error + 'static)| {
            format!("cannot fetch the job's binary {hash}: {}", chain(error))
        };
        fetched.map_err(|error| problem(&error))?;
        let artifact = added.map_err(|error| problem(&error))?;
        let missing = || format!("the job's binary came as {}, and not as {hash}", artifact.hash);
        self.artifacts.path(hash).ok_or_else(missing)
    }
}

/// Programs of this machine, and their logs.
#[derive(Clone, Debug)]
pub(super) struct SystemProcesses {
    /// The folder of their logs.
    pub(super) logs: PathBuf,
    /// How many of processes that have ended are kept.
    pub(super) kept_logs: usize,
    /// How long one may become, in bytes, before it is moved aside.
    pub(super) log_bytes: usize,
}

impl SystemProcesses {
    fn log_of(&self, key: &ProcessKey) -> PathBuf {
        let ProcessKey { job, attempt, process } = key;
        self.logs.join(format!("{job}-{attempt}-{process}.log"))
    }

    async fn run_program(self, start: ProcessStart, end: CancellationToken) -> ProcessExit {
        let log = self.log_of(&start.key);
        let (status, success) = match self.run_to_end(start, &log, &end).await {
            Ok(status) => (status.to_string(), status.success()),
            Err(problem) => (problem, false),
        };
        let output_tail =
            if success { String::new() } else { tail(&log).await.unwrap_or_default() };
        ProcessExit { status, success, output_tail }
    }

    /// `end` is SIGKILL.
    #[expect(clippy::disallowed_methods, reason = "a program of this machine")]
    async fn run_to_end(
        &self,
        start: ProcessStart,
        log: &Path,
        end: &CancellationToken,
    ) -> Result<ExitStatus, String> {
        let failed = |what: &str, error: &dyn std::fmt::Display| format!("cannot {what}: {error}");
        std::fs::create_dir_all(&self.logs)
            .map_err(|error| failed("create the log folder", &error))?;
        let opened = output::open(log, self.log_bytes).await;
        let (ends, said) = opened.map_err(|error| failed("write the log", &error))?;
        let ProcessStart { key, binary, arguments, seat, configuration } = start;
        let seat = serde_json::to_string(&seat);
        let configuration = serde_json::to_string(&configuration);
        let json = |error: serde_json::Error| failed("tell the process what it is", &error);
        let mut command = Command::new(&binary);
        command
            .args(&arguments)
            .env(PROCESS_VARIABLE, seat.map_err(json)?)
            .env(CONFIGURATION_VARIABLE, configuration.map_err(json)?)
            .stdin(Stdio::null())
            .stdout(ends.output)
            .stderr(ends.errors)
            .kill_on_drop(true);
        let started = spawn(command).await;
        let mut child = started.map_err(|error| failed("start the job's binary", &error))?;
        let mut passing_on = tokio::spawn(said.pass_on());
        info!(job = %key.job, attempt = %key.attempt, process = %key.process, pid = child.id(), "process started");
        let waited = tokio::select! {
            biased;
            waited = child.wait() => waited,
            () = end.cancelled() => {
                // It may have ended by itself meanwhile.
                let _ = child.start_kill();
                child.wait().await
            }
        };
        // What it has started itself may still hold the pipe: that goes on being passed on.
        let _ = tokio::time::timeout(LAST_WORDS, &mut passing_on).await;
        waited.map_err(|error| failed("wait for the process", &error))
    }
}

impl Processes for SystemProcesses {
    fn run(&self, start: ProcessStart, end: CancellationToken) -> BoxFuture<'static, ProcessExit> {
        self.clone().run_program(start, end).boxed()
    }

    fn logs(&self) -> BoxFuture<'static, Vec<LogFile>> {
        let folder = self.logs.clone();
        async move { logs::list(&folder).await }.boxed()
    }

    fn read_log(
        &self,
        name: String,
        offset: u64,
        length: u64,
    ) -> BoxFuture<'static, Result<LogPart, String>> {
        let folder = self.logs.clone();
        async move { logs::read(&folder, &name, offset, length).await }.boxed()
    }

    fn tidy_logs(&self, running: &BTreeSet<ProcessKey>) {
        let logs = running.iter().map(|key| self.log_of(key));
        let logs = logs.flat_map(|log| [older(&log), log]).collect::<BTreeSet<_>>();
        // Here and now, so that no process is started between the look and the deletion.
        tidy_logs(&self.logs, &logs, self.kept_logs);
    }
}

/// The end of a log.
#[expect(clippy::disallowed_methods, reason = "a log of a program of this machine")]
async fn tail(log: &Path) -> std::io::Result<String> {
    let mut file = tokio::fs::File::open(log).await?;
    let length = file.metadata().await?.len();
    file.seek(std::io::SeekFrom::Start(length.saturating_sub(TAIL))).await?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).await?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tidegate_types::{AttemptId, JobId, ProcessIndex, options::OptionValues};

    use super::*;
    use crate::taskmanager::hardware;

    #[tokio::test]
    async fn the_log_of_a_process_has_the_size_that_is_asked_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let artifacts = ArtifactStore::open(folder.path().join("artifacts")).expect("its own");
        let mut program: &[u8] = b"#!/bin/sh\nseq 1 2000\n";
        let artifact = artifacts.add("job", &mut program, u64::MAX).await.expect("there is room");
        let logs = folder.path().join("logs");
        let processes = SystemProcesses { logs, kept_logs: 1, log_bytes: 2000 };
        let home = ProcessHome {
            machine: TaskManagerHost::system(Arc::new(processes.clone()), hardware()),
            artifacts,
            jobmanager: Endpoint::new("http://127.0.0.1:1", None),
            host: "127.0.0.1".to_owned(),
        };
        let job = JobId::from_name("a job");
        let key = ProcessKey { job, attempt: AttemptId(0), process: ProcessIndex(0) };
        let request = StartProcess {
            key,
            token: 1,
            threads: 1,
            processes: 1,
            parallelism: 1,
            artifact: artifact.hash,
            arguments: Vec::new(),
            coordinator: String::new(),
            configuration: OptionValues::default(),
            credential: None,
        };
        let log = processes.log_of(&key);
        let Ended { exit, .. } = run(home, request, CancellationToken::new()).await;
        assert!(exit.success, "{}", exit.status);
        let length = |path: &Path| std::fs::metadata(path).expect("it is there").len();
        let (newer, before) = (length(&log), length(&older(&log)));
        assert!(newer <= 2000 && (1000..=2000).contains(&before), "{newer} and {before} bytes");
    }
}
