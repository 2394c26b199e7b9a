//! A JobManager: its jobs, and the servers that others reach it by.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use tidegate_protocol::{
    KeepAlive, LinkError, Routes, Secret, coordination, resources as resources_protocol, serve,
};
use tidegate_types::time::SystemClock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    artifacts::{ArtifactError, ArtifactStore},
    dispatcher::{Dispatcher, DispatcherOptions},
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
}

/// A JobManager that runs.
pub struct JobManager {
    dispatcher: Dispatcher,
    resources: Resources,
    secret: Option<Secret>,
    keep_alive: KeepAlive,
}

impl JobManager {
    /// Sets one up. Has to be called on a Tokio runtime.
    ///
    /// # Errors
    ///
    /// When its folder can't be used.
    pub fn new(options: JobManagerOptions) -> Result<Self, ArtifactError> {
        let JobManagerOptions { folder, configuration, secret, heartbeat } = options;
        let clock = Arc::new(SystemClock);
        let artifacts = ArtifactStore::open(folder.join("artifacts"))?;
        let resources = Resources::new(artifacts.clone(), heartbeat, clock.clone());
        let options = DispatcherOptions { folder, configuration };
        let dispatcher = Dispatcher::new(options, artifacts, resources.clone(), clock);
        let keep_alive = KeepAlive { interval: heartbeat.interval, timeout: heartbeat.timeout };
        Ok(Self { dispatcher, resources, secret, keep_alive })
    }

    /// Its jobs.
    #[must_use]
    pub fn dispatcher(&self) -> &Dispatcher {
        &self.dispatcher
    }

    /// Serves TaskManagers and job processes until `shutdown`.
    ///
    /// # Errors
    ///
    /// When the listener fails.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: CancellationToken,
    ) -> Result<(), LinkError> {
        let resources = Arc::new(self.resources.clone());
        let routes = Routes::new(resources_protocol::service(resources.clone()))
            .add_service(coordination::service(resources));
        let (keep_alive, secret) = (self.keep_alive, self.secret.clone());
        serve(listener, keep_alive, secret, routes, shutdown.cancelled_owned()).await
    }
}
