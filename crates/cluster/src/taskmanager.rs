//! A TaskManager: one per host. Starts the processes of jobs, watches them, ends them.
//!
//! # Protocol
//!
//! It registers with the JobManager and keeps that connection open. A process is a job's own binary,
//! fetched once by content hash; it is told by its environment which process of which attempt it is,
//! and talks to its coordinator itself.
//!
//! When it is to end it says so: its jobs move behind a checkpoint, and end their processes here. What
//! is left after a time is ended.
//!
//! # Failure
//!
//! When the connection breaks, or the JobManager is silent for too long, all processes are ended at
//! once: whatever they were part of goes on elsewhere, and two attempts of one job must not be at
//! work. Then it registers again, for as long as it runs.

mod leftovers;
mod logs;
mod output;
mod process;
mod processes;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tidegate_protocol::{
    Endpoint, KeepAlive,
    resources::{
        FromTaskManager, Hardware, ProcessKey, Registration, StartProcess, TaskManagerLink,
        ToTaskManager,
    },
};
use tidegate_types::error::chain;
use tokio::{sync::mpsc, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

pub use self::processes::{ProcessExit, ProcessStart, Processes};
use self::{
    leftovers::{ARTIFACTS, OwnFolder, tidy_binaries},
    process::{Ended, ProcessHome, SystemProcesses, run},
};
use crate::{
    artifacts::{ArtifactError, ArtifactStore},
    host::TaskManagerHost,
};

/// How long to wait before another try to reach the JobManager.
const RETRY: Duration = Duration::from_millis(200);

/// What a TaskManager is started with.
#[derive(Clone, Debug)]
pub struct TaskManagerOptions {
    /// Its name, 32 hexadecimal digits.
    pub id: String,
    /// The JobManager's coordinator.
    pub jobmanager: Endpoint,
    /// This host, as other hosts reach it.
    pub host: String,
    /// How many subtasks of a job it takes.
    pub slots: u32,
    /// Where it keeps binaries, and the logs of processes.
    pub folder: PathBuf,
    /// How many logs it keeps of processes that have ended.
    pub logs: usize,
    /// How long the log of a process may become, in bytes, before it is moved aside.
    pub log_bytes: usize,
    /// How long its jobs may take to move when it is to end.
    pub leave_within: Duration,
}

/// Runs a TaskManager until `shutdown`; its processes have ended then.
///
/// # Errors
///
/// When its folder can't be used.
pub async fn run_taskmanager(
    options: TaskManagerOptions,
    shutdown: CancellationToken,
) -> Result<(), ArtifactError> {
    let folder = OwnFolder::take(&options.folder, options.logs).map_err(|source| {
        let path = options.folder.display().to_string();
        ArtifactError::Io { action: "use the folder", path, source }
    })?;
    let (kept_logs, log_bytes) = (options.logs, options.log_bytes);
    let processes = SystemProcesses { logs: folder.logs(), kept_logs, log_bytes };
    let machine = TaskManagerHost::system(Arc::new(processes), hardware());
    // The folder is its own until it ends.
    run_taskmanager_on(options, machine, shutdown).await
}

/// As [`run_taskmanager`], with something else than what the system has.
///
/// # Errors
///
/// As there.
pub async fn run_taskmanager_on(
    options: TaskManagerOptions,
    machine: TaskManagerHost,
    shutdown: CancellationToken,
) -> Result<(), ArtifactError> {
    let folder = options.folder.join(ARTIFACTS);
    let (disk, random) = (Arc::clone(&machine.disk), Arc::clone(&machine.random));
    let home = ProcessHome {
        artifacts: ArtifactStore::open_on(folder, disk, random)?,
        machine,
        jobmanager: options.jobmanager.clone(),
        host: options.host.clone(),
    };
    let network = Arc::clone(&home.machine.network);
    let mut told = false;
    while !shutdown.is_cancelled() {
        let registration = options.registration(home.machine.hardware);
        match network.register(&options.jobmanager, registration).await {
            Ok(link) => {
                told = false;
                let mut connection = Connection::new(home.clone());
                let reason = connection.attend(link, &shutdown, options.leave_within).await;
                warn!(reason, processes = connection.running.len(), "the connection is over");
                connection.end_all().await;
            }
            Err(error) => {
                if !std::mem::replace(&mut told, true) {
                    let (url, error) = (&options.jobmanager.url, chain(&error));
                    warn!(url, error, "cannot reach the JobManager; trying on");
                }
            }
        }
        tokio::select! {
            biased;
            () = shutdown.cancelled() => {}
            () = tokio::time::sleep(RETRY) => {}
        }
    }
    Ok(())
}

impl TaskManagerOptions {
    fn registration(&self, hardware: Hardware) -> Registration {
        Registration { id: self.id.clone(), host: self.host.clone(), slots: self.slots, hardware }
    }
}

fn hardware() -> Hardware {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    Hardware { cpu_cores: cores, memory_bytes: memory_bytes().unwrap_or(0) }
}

/// What `/proc/meminfo` says.
#[expect(clippy::disallowed_methods, reason = "this is what is handed in of the machine")]
fn memory_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kilobytes = line.trim().trim_end_matches(" kB").parse::<u64>().ok()?;
    Some(kilobytes * 1024)
}

/// A process that runs.
struct Running {
    artifact: String,
    /// Asks it to end.
    end: CancellationToken,
}

/// One connection to the JobManager, and the processes that were started over it.
struct Connection {
    home: ProcessHome,
    running: BTreeMap<ProcessKey, Running>,
    /// When each binary was used last.
    used: BTreeMap<String, Instant>,
    ended: mpsc::UnboundedReceiver<Ended>,
    end_sender: mpsc::UnboundedSender<Ended>,
    /// Answers to what the JobManager has asked.
    answered: mpsc::UnboundedReceiver<FromTaskManager>,
    answers: mpsc::UnboundedSender<FromTaskManager>,
}

impl Connection {
    fn new(home: ProcessHome) -> Self {
        let (end_sender, ended) = mpsc::unbounded_channel();
        let (answers, answered) = mpsc::unbounded_channel();
        let (running, used) = (BTreeMap::new(), BTreeMap::new());
        Self { home, running, used, ended, end_sender, answered, answers }
    }

    /// Does what the JobManager says until it is gone, or until this TaskManager is to end and its
    /// jobs have moved or taken too long for that; tells why.
    async fn attend(
        &mut self,
        link: TaskManagerLink,
        shutdown: &CancellationToken,
        leave_within: Duration,
    ) -> String {
        let (sender, mut receiver) = link.split();
        let (mut interval, mut timeout) = (Duration::from_secs(10), Duration::from_secs(50));
        let mut beat = tokio::time::interval(interval);
        let silence = tokio::time::sleep(timeout);
        let until = tokio::time::sleep(Duration::ZERO);
        tokio::pin!(silence, until);
        let mut leaving = false;
        loop {
            if leaving && self.running.is_empty() {
                return "this TaskManager ends; its jobs have moved".to_owned();
            }
            tokio::select! {
                // The rarer goes first, and silence last: who has said something was not silent.
                biased;
                () = shutdown.cancelled(), if !leaving => {
                    leaving = true;
                    until.as_mut().reset(Instant::now() + leave_within);
                    if let Err(error) = sender.send(FromTaskManager::Leaving) {
                        return chain(&error);
                    }
                }
                () = &mut until, if leaving => {
                    return format!(
                        "this TaskManager ends; its jobs have not moved within {leave_within:?}"
                    );
                }
                Some(Ended { key, exit }) = self.ended.recv() => {
                    self.running.remove(&key);
                    self.tidy_up();
                    let ProcessExit { status, success, output_tail } = exit;
                    let word = FromTaskManager::Ended { key, status, success, output_tail };
                    if let Err(error) = sender.send(word) {
                        return chain(&error);
                    }
                }
                Some(answer) = self.answered.recv() => {
                    if let Err(error) = sender.send(answer) {
                        return chain(&error);
                    }
                }
                _ = beat.tick() => {
                    let processes = self.running.keys().copied().collect();
                    if let Err(error) = sender.send(FromTaskManager::Heartbeat { processes }) {
                        return chain(&error);
                    }
                }
                word = receiver.receive() => {
                    let word = match word {
                        Some(Ok(word)) => word,
                        Some(Err(error)) => return chain(&error),
                        None => return "the JobManager has closed it".to_owned(),
                    };
                    silence.as_mut().reset(Instant::now() + timeout);
                    match word {
                        ToTaskManager::Registered { heartbeat_interval, heartbeat_timeout } => {
                            info!("registered with the JobManager");
                            (interval, timeout) = (heartbeat_interval, heartbeat_timeout);
                            self.home.jobmanager.keep_alive = KeepAlive { interval, timeout };
                            beat = tokio::time::interval(interval);
                        }
                        ToTaskManager::Refused(reason) => return reason,
                        word => self.obey(word),
                    }
                }
                () = &mut silence => return format!("the JobManager is silent for {timeout:?}"),
            }
        }
    }

    fn obey(&mut self, word: ToTaskManager) {
        match word {
            ToTaskManager::StartProcess(request) => self.start(request),
            ToTaskManager::EndProcess(key) => {
                if let Some(running) = self.running.get(&key) {
                    running.end.cancel();
                }
            }
            ToTaskManager::ListLogs { request } => {
                let logs = self.home.machine.processes.logs();
                self.answer(async move { FromTaskManager::Logs { request, logs: logs.await } });
            }
            ToTaskManager::ReadLog { request, name, offset, length } => {
                let part = self.home.machine.processes.read_log(name, offset, length);
                self.answer(async move { FromTaskManager::LogPart { request, part: part.await } });
            }
            // Silence has ended with them.
            ToTaskManager::Heartbeat
            | ToTaskManager::Registered { .. }
            | ToTaskManager::Refused(_) => {}
        }
    }

    fn answer(&self, answer: impl Future<Output = FromTaskManager> + Send + 'static) {
        let answers = self.answers.clone();
        tokio::spawn(async move {
            // Nobody listens when the connection is over.
            let _ = answers.send(answer.await);
        });
    }

    fn start(&mut self, request: StartProcess) {
        let key = request.key;
        let artifact = request.artifact.clone();
        self.used.insert(artifact.clone(), Instant::now());
        let end = CancellationToken::new();
        self.running.insert(key, Running { artifact, end: end.clone() });
        let (home, ended) = (self.home.clone(), self.end_sender.clone());
        tokio::spawn(async move {
            // Nobody listens when the connection is over.
            let _ = ended.send(run(home, request, end).await);
        });
    }

    /// Deletes what processes that have ended have left and nobody needs any more.
    fn tidy_up(&self) {
        self.home.machine.processes.tidy_logs(&self.running.keys().copied().collect());
        let binaries = self.running.values().map(|running| running.artifact.clone());
        tidy_binaries(&self.home.artifacts, &binaries.collect(), &self.used);
    }

    /// Ends all processes, and waits until they are gone.
    async fn end_all(&mut self) {
        for running in self.running.values() {
            running.end.cancel();
        }
        while !self.running.is_empty() {
            let Some(ended) = self.ended.recv().await else { break };
            self.running.remove(&ended.key);
        }
    }
}
