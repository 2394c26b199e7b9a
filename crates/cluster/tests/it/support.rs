//! A cluster on this machine.

use std::{collections::BTreeMap, path::Path, time::Duration};

use tidegate_cluster::{
    dispatcher::{Dispatcher, JobView, Submission},
    jobmanager::{JobManager, JobManagerOptions},
    resources::HeartbeatOptions,
    taskmanager::{TaskManagerOptions, run_taskmanager},
};
use tidegate_protocol::Endpoint;
use tidegate_runtime::JobStatus;
use tidegate_types::JobId;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;

/// The longest that any test waits for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A JobManager and its TaskManagers.
pub(crate) struct Cluster {
    pub(crate) dispatcher: Dispatcher,
    task_managers: Vec<(CancellationToken, JoinHandle<()>)>,
    folder: std::path::PathBuf,
    endpoint: Endpoint,
    /// Where the JobManager listens for TaskManagers and job processes.
    pub(crate) address: std::net::SocketAddr,
}

impl Cluster {
    /// With as many TaskManagers as there are numbers of slots.
    pub(crate) async fn start(folder: &Path, slots: &[u32]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let url = format!("http://{address}");
        let options = JobManagerOptions {
            folder: folder.join("jobmanager"),
            configuration: BTreeMap::new(),
            secret: None,
            heartbeat: HeartbeatOptions {
                interval: Duration::from_millis(500),
                timeout: Duration::from_secs(4),
            },
        };
        let manager = JobManager::new(options).expect("the folder is the test's own");
        let dispatcher = manager.dispatcher().clone();
        tokio::spawn(async move {
            let never = CancellationToken::new();
            manager.serve(listener, never).await.expect("the listener lasts");
        });
        let mut cluster = Self {
            dispatcher,
            task_managers: Vec::new(),
            folder: folder.to_owned(),
            endpoint: Endpoint::new(url, None),
            address,
        };
        for slots in slots {
            cluster.add_task_manager(*slots);
        }
        let all = slots.iter().sum::<u32>();
        wait_for("the TaskManagers", || (cluster.dispatcher.slots().0 == all).then_some(())).await;
        cluster
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
        };
        let shutdown = CancellationToken::new();
        let task = run_taskmanager(options, shutdown.clone());
        let task = tokio::spawn(async { task.await.expect("the folder is the test's own") });
        self.task_managers.push((shutdown, task));
    }

    /// Ends a TaskManager and its processes.
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
        let mut file = tokio::fs::File::open(binary).await.expect("it has been built");
        let artifact = self.dispatcher.artifacts().add("job", &mut file, u64::MAX).await;
        let pair = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let submission = Submission {
            artifact: artifact.expect("the folder is the test's own").hash,
            arguments: arguments.to_vec(),
            configuration: configuration.iter().map(pair).collect(),
            job_id: None,
        };
        self.dispatcher.submit(submission).await.expect("the job can start")
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
