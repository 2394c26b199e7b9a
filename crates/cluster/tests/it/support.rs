//! A cluster on this machine.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tidegate_cluster::{
    dispatcher::{Dispatcher, JobView, Submission},
    jobmanager::{JobManager, JobManagerOptions},
    leader::{LeaderOptions, Leadership},
    resources::HeartbeatOptions,
    taskmanager::{TaskManagerOptions, run_taskmanager},
};
use tidegate_protocol::Endpoint;
use tidegate_runtime::JobStatus;
use tidegate_types::{JobId, options::OptionValues};
use tokio::{net::TcpListener, runtime::Runtime, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// The longest that any test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A JobManager and its TaskManagers.
pub(crate) struct Cluster {
    pub(crate) dispatcher: Dispatcher,
    /// Where the JobManager lives, so that it can be ended without a goodbye.
    jobmanager: Option<Runtime>,
    task_managers: Vec<(CancellationToken, JoinHandle<()>)>,
    folder: PathBuf,
    endpoint: Endpoint,
    /// Where the JobManager listens for TaskManagers and job processes.
    pub(crate) address: SocketAddr,
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.kill_jobmanager();
    }
}

/// Becomes the one whose jobs outlive it, when an earlier one is gone.
async fn lead(folder: &Path) -> Leadership {
    let storage = folder.join("ha").display().to_string();
    let leader = LeaderOptions {
        name: "the test's JobManager".to_owned(),
        retry_period: Duration::from_millis(100),
        // The kernel tells that an earlier one is gone.
        lease_duration: Duration::from_secs(3600),
        take_over: false,
    };
    let leadership = Leadership::gain(&storage, "/test", &leader).await;
    leadership.expect("the folder is the test's own")
}

/// Starts a JobManager; with `leads` its jobs outlive it.
async fn start_jobmanager(
    folder: &Path,
    address: SocketAddr,
    leads: bool,
) -> (Runtime, Dispatcher, SocketAddr) {
    let runtime = Runtime::new().expect("the system can start threads");
    let folder = folder.to_owned();
    let (sender, started) = tokio::sync::oneshot::channel();
    runtime.spawn(async move {
        let listener = bind(address).await;
        let address = listener.local_addr().expect("it is bound");
        let leadership = if leads { Some(lead(&folder).await) } else { None };
        let options = JobManagerOptions {
            folder: folder.join("jobmanager"),
            configuration: OptionValues::default(),
            secret: None,
            leadership,
            heartbeat: HeartbeatOptions {
                interval: Duration::from_millis(500),
                timeout: Duration::from_secs(4),
            },
        };
        let manager = JobManager::new(options).expect("the folder is the test's own");
        // The test is over if nobody listens.
        let _ = sender.send((manager.dispatcher().clone(), address));
        let never = CancellationToken::new();
        manager.serve(listener, never).await.expect("the listener lasts");
    });
    let (dispatcher, address) = started.await.expect("it has started");
    (runtime, dispatcher, address)
}

/// Listens at an address that an earlier JobManager may be about to leave.
async fn bind(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

impl Cluster {
    /// With as many TaskManagers as there are numbers of slots; its jobs outlive its JobManager.
    pub(crate) async fn start(folder: &Path, slots: &[u32]) -> Self {
        Self::begin(folder, slots, true).await
    }

    /// The same, without high availability.
    pub(crate) async fn start_mortal(folder: &Path, slots: &[u32]) -> Self {
        Self::begin(folder, slots, false).await
    }

    async fn begin(folder: &Path, slots: &[u32], leads: bool) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (jobmanager, dispatcher, address) = start_jobmanager(folder, any, leads).await;
        let mut cluster = Self {
            dispatcher,
            jobmanager: Some(jobmanager),
            task_managers: Vec::new(),
            folder: folder.to_owned(),
            endpoint: Endpoint::new(format!("http://{address}"), None),
            address,
        };
        for slots in slots {
            cluster.add_task_manager(*slots);
        }
        cluster.wait_for_slots(slots.iter().sum()).await;
        cluster
    }

    pub(crate) async fn wait_for_slots(&self, count: u32) {
        wait_for("the TaskManagers", || (self.dispatcher.slots().0 == count).then_some(())).await;
    }

    /// Ends the JobManager as SIGKILL would.
    pub(crate) fn kill_jobmanager(&mut self) {
        if let Some(runtime) = self.jobmanager.take() {
            runtime.shutdown_background();
        }
    }

    /// Starts another one at the same address, which goes on with its jobs.
    pub(crate) async fn restart_jobmanager(&mut self) {
        let (jobmanager, dispatcher, _) = start_jobmanager(&self.folder, self.address, true).await;
        self.jobmanager = Some(jobmanager);
        self.dispatcher = dispatcher;
    }

    pub(crate) fn add_task_manager(&mut self, slots: u32) {
        let url = self.endpoint.url.clone();
        self.add_task_manager_at(slots, &url);
    }

    /// One that reaches the JobManager at another URL.
    pub(crate) fn add_task_manager_at(&mut self, slots: u32, jobmanager: &str) {
        let number = self.task_managers.len();
        let options = TaskManagerOptions {
            id: format!("{number:032x}"),
            jobmanager: Endpoint::new(jobmanager, None),
            host: "127.0.0.1".to_owned(),
            slots,
            folder: self.folder.join(format!("taskmanager-{number}")),
            logs: 100,
            log_bytes: 100 << 20,
            leave_within: PATIENCE,
        };
        let shutdown = CancellationToken::new();
        let task = run_taskmanager(options, shutdown.clone());
        let task = tokio::spawn(async { task.await.expect("the folder is the test's own") });
        self.task_managers.push((shutdown, task));
    }

    /// Ends a TaskManager as SIGTERM would: its jobs move first.
    pub(crate) async fn end_task_manager(&mut self, index: usize) {
        let (shutdown, task) = &mut self.task_managers[index];
        shutdown.cancel();
        task.await.expect("it does not panic");
    }

    /// Uploads a binary and submits what it is to run.
    pub(crate) async fn submit(
        &self,
        binary: &Path,
        arguments: &[String],
        configuration: &[(&str, &str)],
    ) -> JobId {
        let submission = self.submission(binary, arguments, configuration).await;
        self.dispatcher.submit(submission).await.expect("the job can start")
    }

    /// Uploads a binary; returns how to submit what it is to run.
    pub(crate) async fn submission(
        &self,
        binary: &Path,
        arguments: &[String],
        configuration: &[(&str, &str)],
    ) -> Submission {
        let mut file = tokio::fs::File::open(binary).await.expect("it has been built");
        let artifact = self.dispatcher.artifacts().add("job", &mut file, u64::MAX).await;
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Submission {
            artifact: artifact.expect("the folder is the test's own").hash,
            arguments: arguments.to_vec(),
            configuration: configuration.iter().map(pair).collect(),
            job_id: None,
        }
    }

    pub(crate) fn job(&self, id: JobId) -> JobView {
        self.dispatcher.job(id).expect("it has been submitted")
    }

    /// Waits until a job is in a state.
    pub(crate) async fn wait_for_status(&self, id: JobId, status: JobStatus) -> JobView {
        wait_for(&format!("{status:?}"), || {
            let view = self.job(id);
            let ended = view.status.is_terminal() && view.status != status;
            assert!(!ended, "it is {:?}: {:?} {:#?}", view.status, view.error, view.stats.failures);
            (view.status == status).then_some(view)
        })
        .await
    }

    /// Waits until as many checkpoints more are complete.
    pub(crate) async fn wait_for_checkpoints(&self, id: JobId, more: u64) {
        let before = self.job(id).stats.completed_count;
        wait_for("checkpoints", || {
            let view = self.job(id);
            assert!(!view.status.is_terminal(), "it has ended: {view:#?}");
            (view.stats.completed_count >= before + more).then_some(())
        })
        .await;
    }
}

/// Asks again and again until there is an answer.
pub(crate) async fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask() {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited {PATIENCE:?} in vain for {what}"),
    }
}
