//! A JobManager: its jobs, and the servers that others reach it by.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tidegate_protocol::{
    KeepAlive, LinkError, Routes, Secret, coordination, resources as resources_protocol, serve,
};
use tidegate_types::{error::chain, time::SystemClock};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::{
    artifacts::{ArtifactError, ArtifactStore},
    dispatcher::{Dispatcher, DispatcherOptions},
    ha::{HaError, HaStore},
    resources::{HeartbeatOptions, Resources},
};

/// What a JobManager is started with.
#[derive(Clone, Debug)]
pub struct JobManagerOptions {
    /// Where it keeps what it needs.
    pub folder: PathBuf,
    /// Options for every job, which count less than those of the job itself.
    pub configuration: BTreeMap<String, String>,
    /// What they have to know, if it is not open to all.
    pub secret: Option<Secret>,
    /// How silence is noticed.
    pub heartbeat: HeartbeatOptions,
    /// What outlives it, if anything.
    pub ha: Option<HaStore>,
}

/// How often a JobManager looks whether another one has taken over.
const LEADERSHIP: Duration = Duration::from_secs(2);
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
    Ha(#[from] HaError),
}

/// A JobManager that runs.
pub struct JobManager {
    dispatcher: Dispatcher,
    resources: Resources,
    secret: Option<Secret>,
    keep_alive: KeepAlive,
    ha: Option<HaStore>,
}

impl JobManager {
    /// Sets one up. Has to be called on a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When its folder can't be used.
    pub fn new(options: JobManagerOptions) -> Result<Self, ArtifactError> {
        let JobManagerOptions { folder, configuration, secret, heartbeat, ha } = options;
        let clock = Arc::new(SystemClock);
        let artifacts = ArtifactStore::open(folder.join("artifacts"))?;
        let resources = Resources::new(artifacts.clone(), heartbeat, clock.clone());
        let options = DispatcherOptions { folder, configuration };
        let dispatcher = Dispatcher::new(options, artifacts, resources.clone(), ha.clone(), clock);
        let keep_alive = KeepAlive { interval: heartbeat.interval, timeout: heartbeat.timeout };
        Ok(Self { dispatcher, resources, secret, keep_alive, ha })
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
        let routes = Routes::new(resources_protocol::service(resources.clone()))
            .add_service(coordination::service(resources));
        let (keep_alive, secret) = (self.keep_alive, self.secret.clone());
        let served = serve(listener, keep_alive, secret, routes, shutdown.cancelled_owned());
        tokio::select! {
            served = served => Ok(served?),
            error = self.lead() => Err(error),
        }
    }

    /// Recovers, and then looks again and again whether this is still the JobManager.
    async fn lead(&self) -> JobManagerError {
        let Some(ha) = &self.ha else { return std::future::pending().await };
        let mut recovered = false;
        loop {
            match ha.check_leadership().await {
                Ok(()) => {}
                Err(error @ HaError::Fenced { .. }) => return error.into(),
                Err(error) => warn!(error = chain(&error), "is this still the JobManager?"),
            }
            if !recovered {
                match self.dispatcher.recover().await {
                    Ok(()) => recovered = true,
                    Err(error) => error!(error = chain(&error), "cannot recover jobs; trying on"),
                }
            }
            tokio::time::sleep(if recovered { LEADERSHIP } else { RETRY }).await;
        }
    }
}
