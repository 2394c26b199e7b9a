//! Hosts that hand over whoever comes, and a proxy that can fail.

use std::{
    collections::HashMap,
    future,
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tidegate_protocol::{
    Endpoint, KeepAlive, Secret, Services,
    coordination::{self, Hello, Host, HostLink},
    resources::{self, Hardware, Manager, ManagerLink, Registration},
    serve,
};
use tidegate_types::{AttemptId, JobId, ProcessIndex};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::mpsc,
    task::JoinSet,
    time::timeout,
};

/// For how long anything may take that has to happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// What `future` returns, which has to be soon.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.expect("it has to happen")
}

/// Hands over whoever joins.
pub(crate) struct Doorman(pub(crate) mpsc::UnboundedSender<(Hello, HostLink)>);

impl Host for Doorman {
    fn joined(&self, hello: Hello, link: HostLink) {
        // A test that has ended does not listen.
        let _ = self.0.send((hello, link));
    }
}

struct Desk {
    registered: mpsc::UnboundedSender<(Registration, ManagerLink)>,
    artifacts: HashMap<String, PathBuf>,
}

impl Manager for Desk {
    fn registered(&self, registration: Registration, link: ManagerLink) {
        let _ = self.registered.send((registration, link));
    }

    fn artifact(&self, hash: &str) -> Option<PathBuf> {
        self.artifacts.get(hash).cloned()
    }
}

/// Processes that have joined.
pub(crate) type Joined = mpsc::UnboundedReceiver<(Hello, HostLink)>;
/// TaskManagers that have registered.
pub(crate) type Registered = mpsc::UnboundedReceiver<(Registration, ManagerLink)>;

/// A socket of this machine that nothing else listens on.
pub(crate) async fn socket() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

fn start(listener: TcpListener, keep_alive: KeepAlive, token: Option<Secret>, services: Services) {
    tokio::spawn(serve(listener, keep_alive, token, services, future::pending()));
}

/// A coordinator at `listener`.
pub(crate) fn coordinator_at(
    listener: TcpListener,
    keep_alive: KeepAlive,
    token: Option<Secret>,
) -> Joined {
    let (sender, joined) = mpsc::unbounded_channel();
    let services =
        Services::default().with_coordination(coordination::service(Arc::new(Doorman(sender))));
    start(listener, keep_alive, token, services);
    joined
}

/// A coordinator without a token, and where it is.
pub(crate) async fn coordinator() -> (Endpoint, Joined) {
    let (listener, address) = socket().await;
    let joined = coordinator_at(listener, KeepAlive::default(), None);
    (endpoint(address), joined)
}

/// A JobManager with these artifacts, and where it is.
pub(crate) async fn jobmanager(
    token: Option<Secret>,
    artifacts: HashMap<String, PathBuf>,
) -> (Endpoint, Registered) {
    let (listener, address) = socket().await;
    let (sender, registered) = mpsc::unbounded_channel();
    let desk = Desk { registered: sender, artifacts };
    let services = Services::default().with_resources(resources::service(Arc::new(desk)));
    start(listener, KeepAlive::default(), token, services);
    (endpoint(address), registered)
}

/// The endpoint at `address`, without a token.
pub(crate) fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::new(format!("http://{address}"), None)
}

/// Process 3 of a job.
pub(crate) fn hello() -> Hello {
    Hello {
        job: JobId::from_name("flights"),
        attempt: Some(AttemptId(2)),
        token: u64::MAX,
        process: ProcessIndex(3),
        fingerprint: "abc".to_owned(),
        data_address: "10.0.0.1:4000".to_owned(),
    }
}

/// A TaskManager of four slots.
pub(crate) fn registration() -> Registration {
    Registration {
        id: "0123456789abcdef0123456789abcdef".to_owned(),
        host: "10.0.0.1".to_owned(),
        slots: 4,
        hardware: Hardware { cpu_cores: 2, memory_bytes: 8 << 30 },
    }
}

/// Stands between two sides. Dropped, it cuts their connections.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    silent: Arc<AtomicBool>,
    _pumps: JoinSet<()>,
}

impl Proxy {
    /// One connection to `target`.
    pub(crate) async fn to(target: SocketAddr) -> Self {
        let (listener, address) = socket().await;
        let silent = Arc::new(AtomicBool::new(false));
        let mut pumps = JoinSet::new();
        let flag = silent.clone();
        pumps.spawn(async move {
            let (client, _) = listener.accept().await.unwrap();
            let server = TcpStream::connect(target).await.unwrap();
            let (from_client, to_client) = client.into_split();
            let (from_server, to_server) = server.into_split();
            tokio::join!(pump(from_client, to_server, &flag), pump(from_server, to_client, &flag));
        });
        Self { address, silent, _pumps: pumps }
    }

    /// From now on nothing passes, and nobody is told.
    pub(crate) fn fall_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }
}

async fn pump(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, silent: &AtomicBool) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) if silent.load(Ordering::SeqCst) => {}
            Ok(length) => {
                if to.write_all(&buffer[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}
