//! What a JobManager and a TaskManager have of their machines: nothing in this crate reaches for a clock,
//! a file, a program or another machine past it, but for what serves HTTP and gRPC.
//!
//! | what | on a machine | in a simulation |
//! |---|---|---|
//! | [`tidegate_runtime::Host`] | the system's | what the seed says |
//! | [`Disk`] | the local disk | one in memory |
//! | [`Describer`] | runs the binary, which describes itself | builds the job's plan |
//! | [`Processes`] | programs | machines of their own |
//! | [`JobManagers`] | gRPC | links in memory |
//! | Tokio's time | the system's | stands until the simulation lets it pass |

use std::sync::Arc;

use futures::{FutureExt, future::BoxFuture};
use tidegate_protocol::{
    Endpoint, LinkError,
    resources::{Hardware, Registration, TaskManagerLink, fetch, register},
};
use tidegate_runtime::Host;
use tidegate_types::{Random, SystemRandom};
use tokio::io::AsyncWrite;

use crate::{
    describe::{Describer, SystemDescriber},
    disk::{Disk, SystemDisk},
    taskmanager::Processes,
};

/// What a JobManager has of its machine. Cheap to clone.
#[derive(Clone)]
pub struct JobManagerHost {
    /// What its jobs' masters have.
    pub host: Host,
    /// Where it keeps binaries.
    pub disk: Arc<dyn Disk>,
    /// Knows what they would run.
    pub describer: Arc<dyn Describer>,
}

impl JobManagerHost {
    /// The machine that this process runs on.
    #[must_use]
    pub fn system() -> Self {
        let (host, disk) = (Host::system(), Arc::new(SystemDisk));
        Self { host, disk, describer: Arc::new(SystemDescriber) }
    }
}

/// What a TaskManager has of its machine. Cheap to clone.
#[derive(Clone)]
pub struct TaskManagerHost {
    /// Tells binaries apart that are on their way.
    pub random: Arc<dyn Random>,
    /// Where it keeps binaries.
    pub disk: Arc<dyn Disk>,
    /// Where jobs' processes run.
    pub processes: Arc<dyn Processes>,
    /// The way to its JobManager.
    pub network: Arc<dyn JobManagers>,
    /// What it says of the machine.
    pub hardware: Hardware,
}

impl TaskManagerHost {
    /// The machine that this process runs on.
    pub(crate) fn system(processes: Arc<dyn Processes>, hardware: Hardware) -> Self {
        let (random, disk) = (Arc::new(SystemRandom), Arc::new(SystemDisk));
        Self { random, disk, processes, network: Arc::new(Grpc), hardware }
    }
}

/// What a binary that is fetched is written into.
pub type Into<'a> = &'a mut (dyn AsyncWrite + Send + Unpin);

/// The way from a TaskManager to its JobManager.
pub trait JobManagers: Send + Sync + 'static {
    /// As [`tidegate_protocol::resources::register`].
    ///
    /// # Errors
    ///
    /// As there.
    fn register<'a>(
        &'a self,
        jobmanager: &'a Endpoint,
        registration: Registration,
    ) -> BoxFuture<'a, Result<TaskManagerLink, LinkError>>;

    /// As [`tidegate_protocol::resources::fetch`].
    ///
    /// # Errors
    ///
    /// As there.
    fn fetch<'a>(
        &'a self,
        jobmanager: &'a Endpoint,
        hash: &'a str,
        into: Into<'a>,
    ) -> BoxFuture<'a, Result<(), LinkError>>;
}

/// Over the network of this machine.
struct Grpc;

#[expect(clippy::disallowed_methods, reason = "this is the way that is handed in")]
impl JobManagers for Grpc {
    fn register<'a>(
        &'a self,
        jobmanager: &'a Endpoint,
        registration: Registration,
    ) -> BoxFuture<'a, Result<TaskManagerLink, LinkError>> {
        register(jobmanager, registration).boxed()
    }

    fn fetch<'a>(
        &'a self,
        jobmanager: &'a Endpoint,
        hash: &'a str,
        mut into: Into<'a>,
    ) -> BoxFuture<'a, Result<(), LinkError>> {
        async move { fetch(jobmanager, hash, &mut into).await }.boxed()
    }
}
