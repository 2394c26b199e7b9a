//! The way from a TaskManager to whichever JobManager answers where they are all reached.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::{FutureExt, future::BoxFuture};
use tidegate_cluster::{
    host::{Into, JobManagers},
    resources::Resources,
};
use tidegate_protocol::{
    Endpoint, LinkError,
    resources::{FromTaskManager, Manager, Registration, TaskManagerLink, ToTaskManager},
};
use tokio::{io::AsyncWriteExt, runtime::Handle, sync::oneshot};

use super::{
    super::{chance::Chance, machine::Pulse, network::Net},
    disk::PlayDisk,
};

/// A JobManager that serves.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) pulse: Pulse,
    pub(super) tokio: Handle,
    pub(super) resources: Resources,
    pub(super) disk: PlayDisk,
    /// Where processes join it.
    pub(super) address: String,
}

/// Who is reached at the JobManagers' address: of those that live the latest to lead. Clones are the same.
#[derive(Clone, Default)]
pub(super) struct Doors(Arc<Mutex<Vec<Door>>>);

impl Doors {
    fn lock(&self) -> MutexGuard<'_, Vec<Door>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on it is that one.
    pub(super) fn open(&self, door: Door) {
        let mut doors = self.lock();
        doors.retain(|door| !door.pulse.is_gone());
        doors.push(door);
    }

    /// Where processes that begin now join.
    pub(super) fn address(&self) -> String {
        self.find().map(|door| door.address).unwrap_or_default()
    }

    fn find(&self) -> Option<Door> {
        self.lock().iter().rfind(|door| !door.pulse.is_gone()).cloned()
    }
}

/// The way from one machine.
pub(super) struct Way {
    pub(super) name: String,
    pub(super) doors: Doors,
    pub(super) net: Net,
    pub(super) pulse: Pulse,
    pub(super) chance: Chance,
}

impl Way {
    /// Whoever answers, after a while.
    async fn reach(&self, jobmanager: &Endpoint) -> Result<Door, LinkError> {
        tokio::time::sleep(self.chance.delay()).await;
        self.doors.find().ok_or_else(|| LinkError::Unreachable {
            peer: jobmanager.url.clone(),
            problem: "nobody listens there".to_owned(),
        })
    }
}

impl JobManagers for Way {
    fn register<'a>(
        &'a self,
        jobmanager: &'a Endpoint,
        registration: Registration,
    ) -> BoxFuture<'a, Result<TaskManagerLink, LinkError>> {
        async move {
            let door = self.reach(jobmanager).await?;
            let (own, theirs) = (self.name.as_str(), jobmanager.url.as_str());
            let (link, theirs) = self.net.connect::<FromTaskManager, ToTaskManager>(
                (&self.pulse, own),
                (&door.pulse, theirs),
            );
            let (read, is_read) = oneshot::channel();
            let resources = door.resources.clone();
            // It is read when that machine has its turn.
            door.tokio.spawn(async move {
                resources.registered(registration, theirs);
                let _ = read.send(());
            });
            let patience = jobmanager.keep_alive.timeout;
            match tokio::time::timeout(patience, is_read).await {
                Ok(Ok(())) => Ok(link),
                Ok(Err(_)) => Err(LinkError::Closed { peer: jobmanager.url.clone() }),
                Err(_) => {
                    let peer = jobmanager.url.clone();
                    Err(LinkError::Patience { peer, patience, last: None })
                }
            }
        }
        .boxed()
    }

    fn fetch<'a>(
        &'a self,
        jobmanager: &'a Endpoint,
        hash: &'a str,
        into: Into<'a>,
    ) -> BoxFuture<'a, Result<(), LinkError>> {
        async move {
            let door = self.reach(jobmanager).await?;
            let (peer, hash) = (jobmanager.url.clone(), hash.to_owned());
            let path = door.resources.artifact(&hash);
            let content = path.and_then(|path| door.disk.read(&path));
            let Some(content) = content else {
                return Err(LinkError::UnknownArtifact { peer, hash });
            };
            tokio::time::sleep(self.chance.delay()).await;
            let unwritten = |source| LinkError::Write { hash: hash.clone(), source };
            into.write_all(&content).await.map_err(unwritten)?;
            into.flush().await.map_err(unwritten)
        }
        .boxed()
    }
}
