//! A JobManager: its jobs, and the servers that others reach it by.

use std::{convert::Infallible, path::PathBuf, sync::Arc, time::Duration};

use tidegate_protocol::{
    KeepAlive, LinkError, Secret, Services, coordination, resources as resources_protocol, serve,
};
use tidegate_types::{
    error::chain,
    options::{OptionValues, is_secret_of_cluster},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    artifacts::{ArtifactError, ArtifactStore},
    dispatcher::{Beside, Dispatcher, DispatcherOptions},
    host::JobManagerHost,
    leader::{LeaderError, Leadership},
    resources::{HeartbeatOptions, Resources},
};

/// What a JobManager is started with.
#[derive(Debug)]
pub struct JobManagerOptions {
    /// Where it keeps what it needs.
    pub folder: PathBuf,
    /// Options for every job, which count less than those of the job itself.
    pub configuration: OptionValues,
    /// What they have to know, if it is not open to all.
    pub secret: Option<Secret>,
    /// How silence is noticed.
    pub heartbeat: HeartbeatOptions,
    /// Its leadership over what outlives it, if anything does.
    pub leadership: Option<Leadership>,
}

/// How long it waits before it tries to recover again.
const RETRY: Duration = Duration::from_millis(500);

/// Why a JobManager ends.
#[derive(Debug, thiserror::Error)]
pub enum JobManagerError {
    /// It can't be reached.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// Another one has taken over.
    #[error(transparent)]
    Leader(#[from] LeaderError),
}

/// A JobManager that runs.
pub struct JobManager {
    dispatcher: Dispatcher,
    resources: Resources,
    secret: Option<Secret>,
    keep_alive: KeepAlive,
    leadership: Option<Leadership>,
}

impl JobManager {
    /// Sets one up. Has to be called on a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When its folder can't be used.
    pub fn new(options: JobManagerOptions) -> Result<Self, ArtifactError> {
        Self::on(options, JobManagerHost::system())
    }

    /// As [`JobManager::new`], with something else than what the system has.
    ///
    /// # Errors
    ///
    /// As there.
    pub fn on(options: JobManagerOptions, machine: JobManagerHost) -> Result<Self, ArtifactError> {
        let JobManagerOptions { folder, configuration, secret, heartbeat, leadership } = options;
        let JobManagerHost { host, disk, describer } = machine;
        let artifacts =
            ArtifactStore::open_on(folder.join("artifacts"), disk, Arc::clone(&host.random))?;
        // Whoever comes here leads, or is alone.
        artifacts.sweep()?;
        let resources = Resources::new(artifacts.clone(), heartbeat, secret.clone(), &host);
        let mut configuration = configuration;
        configuration.retain(|key, _| !is_secret_of_cluster(key));
        let options = DispatcherOptions { folder, configuration };
        let ha = leadership.as_ref().map(Leadership::store);
        let beside = Beside { artifacts, resources: resources.clone(), ha, describer };
        let dispatcher = Dispatcher::new(options, beside, host);
        let keep_alive = KeepAlive { interval: heartbeat.interval, timeout: heartbeat.timeout };
        Ok(Self { dispatcher, resources, secret, keep_alive, leadership })
    }

    /// Its jobs.
    #[must_use]
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// Goes on with the jobs of an earlier JobManager, and serves TaskManagers and job processes
    /// until `shutdown`, or until a later JobManager has taken over: this one must end then.
    ///
    /// # Errors
    ///
    /// When the listener fails, or another JobManager has taken over.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), JobManagerError> {
        let resources = Arc::new(self.resources.clone());
        let services = Services::default()
            .with_resources(resources_protocol::service(resources.clone()))
            .with_coordination(coordination::service(resources));
        let (keep_alive, secret) = (self.keep_alive, self.secret.clone());
        let served = serve(listener, keep_alive, secret, services, shutdown.cancelled_owned());
        tokio::select! {
            // Whoever has been taken over from ends, whatever else there is to do.
            biased;
            error = self.lead() => Err(error),
            served = served => Ok(served?),
        }
    }

    /// Goes on with the jobs of an earlier JobManager, until another one has taken over and this one must
    /// end: what [`JobManager::serve`] does beside serving.
    pub async fn lead(&self) -> JobManagerError {
        let Some(leadership) = &self.leadership else { return std::future::pending().await };
        tokio::select! {
            biased;
            over = leadership.keep() => over.into(),
            never = self.recover() => match never {},
        }
    }

    async fn recover(&self) -> Infallible {
        while let Err(error) = self.dispatcher.recover().await {
            error!(error = chain(&error), "cannot recover jobs; trying on");
            tokio::time::sleep(RETRY).await;
        }
        std::future::pending().await
    }

    /// Ends its jobs for now: with a last checkpoint each if nobody goes on with them by himself, and
    /// else left to the next JobManager, which is told that it need not wait. To be called while it
    /// still serves: processes take that checkpoint.
    pub async fn end(&self) {
        self.dispatcher.suspend_all(self.leadership.is_none()).await;
        if let Some(leadership) = &self.leadership {
            leadership.end().await;
            info!("the jobs are left to the next JobManager");
        }
    }
}
