//! The ways from a process to others: to the coordinator of its job, and to the other processes of its
//! attempt.
//!
//! ```text
//!   process 0                                   any other process
//!     [Network::open]  <--coordination--------   [Network::join]
//!     [Listener]       <--records, counts---->   [Listener]
//! ```
//!
//! # Another network
//!
//! Whoever simulates machines hands in a [`Network`] of its own as [`Host::network`](super::Host):
//!
//! - [`Network::open`] keeps the `host` that it is given, and calls `joined` for whoever joins that
//!   address, with one end of a [`tidegate_protocol::memory::conversation`]; [`Network::join`] returns
//!   the other end. The wire is its own, to carry messages when it likes, and to cut.
//! - [`Network::listen`] returns a [`Listener`], whose `connect` is told of which attempt and which
//!   process it is. Once all of an attempt have come, [`memory::connected`](super::memory::connected)
//!   makes what each of their [`Connecting`] returns: workers of one group, on threads of all of them.

use std::{
    any::Any,
    io,
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tidegate_protocol::{
    Endpoint, KeepAlive, LinkError, Secret, Services,
    coordination::{self, Hello, ProcessLink},
    serve,
};
use tidegate_types::error::chain;
use timely::{CommunicationConfig, communication::allocator::AllocatorBuilder};
use tokio::task::AbortHandle;

/// The ways from a process to others.
pub trait Network: Send + Sync {
    /// Lets processes that know `secret` join a job at `address`, until what this returns is dropped:
    /// each is handed to `keeper`.
    fn open<'a>(
        &'a self,
        address: &'a str,
        secret: Option<Secret>,
        keeper: Arc<dyn coordination::Host>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Any + Send>>>;

    /// Joins a job there, trying again for as long as `patience`: see [`coordination::join`].
    fn join<'a>(
        &'a self,
        coordinator: &'a Endpoint,
        hello: Hello,
        patience: Duration,
    ) -> BoxFuture<'a, Result<ProcessLink, LinkError>>;

    /// Listens at `address` (`host:port`, 0 for any port) for the other processes of an attempt.
    ///
    /// # Errors
    ///
    /// When nobody can listen there.
    fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>>;
}

/// Where a process listens for the others of its attempt.
pub trait Listener: Send {
    /// At which port.
    ///
    /// # Errors
    ///
    /// When the system does not say.
    fn port(&self) -> io::Result<u16>;

    /// Begins to connect with the others. What waits for them is called on a thread of its own.
    fn connect(self: Box<Self>, peers: Peers) -> Connecting;
}

/// Waits for the other processes.
///
/// # Errors
///
/// Who has not come, or can't be reached.
pub type Connecting = Box<dyn FnOnce() -> Result<Connected, String> + Send>;

/// The processes of an attempt, as one of them knows them.
pub struct Peers {
    /// Which process this one is.
    pub process: usize,
    /// `host:port` of each process, this one's too.
    pub addresses: Vec<String>,
    /// How many workers each of them has.
    pub workers: usize,
    /// The number of the attempt, which no other has.
    pub token: u64,
    /// What they know each other by.
    pub secret: Option<Secret>,
    /// Set when nobody needs the connections any more, though they may not have been made.
    pub is_over: Arc<AtomicBool>,
}

/// What the workers of a process are made from.
pub struct Connected {
    pub(crate) builders: Vec<AllocatorBuilder>,
    /// Dropped when all workers have ended: waits for what they have sent, and for the others' end.
    pub(crate) guard: Box<dyn Any + Send>,
}

impl Connected {
    /// Workers of a process without others.
    pub(crate) fn alone(workers: usize) -> Result<Self, String> {
        let (builders, guard) = CommunicationConfig::Process(workers).try_build()?;
        Ok(Self { builders, guard })
    }

    /// The same, and `guard` is dropped behind all of its workers, on the thread that joins them.
    #[must_use]
    pub fn guarded_by(self, guard: Box<dyn Any + Send>) -> Self {
        Self { guard, ..self }
    }
}

/// Sockets of the system: gRPC to the coordinator, TCP for records.
pub(super) struct SystemNetwork;

/// Closes a door when it is dropped.
struct Server(AbortHandle);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Network for SystemNetwork {
    fn open<'a>(
        &'a self,
        address: &'a str,
        secret: Option<Secret>,
        keeper: Arc<dyn coordination::Host>,
    ) -> BoxFuture<'a, io::Result<Box<dyn Any + Send>>> {
        async move {
            let listener = tokio::net::TcpListener::bind(address).await?;
            let services = Services::default().with_coordination(coordination::service(keeper));
            let never = std::future::pending();
            let served = serve(listener, KeepAlive::default(), secret, services, never);
            let server = tokio::spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(error = chain(&error), "the coordinator's door has broken");
                }
            });
            Ok(Box::new(Server(server.abort_handle())) as _)
        }
        .boxed()
    }

    fn join<'a>(
        &'a self,
        coordinator: &'a Endpoint,
        hello: Hello,
        patience: Duration,
    ) -> BoxFuture<'a, Result<ProcessLink, LinkError>> {
        coordination::join(coordinator, hello, patience).boxed()
    }

    fn listen(&self, address: &str) -> io::Result<Box<dyn Listener>> {
        Ok(Box::new(std::net::TcpListener::bind(address)?))
    }
}
