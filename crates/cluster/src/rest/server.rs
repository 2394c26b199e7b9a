//! The HTTP server: what a connection may do before a request is one.
//!
//! # Invariants
//!
//! - INV-ROOM: there are never more than so many connections, and those that say nothing keep nobody
//!   out: they end after a time, and where there is no room left the one that has been silent for
//!   longest ends at once.

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{Extension, Router};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower_layer::Layer;
use tracing::{debug, warn};

/// How long requests may take that run when the server ends.
const GOODBYE: Duration = Duration::from_secs(2);
/// How long to wait when the system has no more sockets, or there is no room and nobody to send away.
const PAUSE: Duration = Duration::from_millis(100);

/// What connections may do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// How long the head of a request may take to arrive, from the connection's beginning or the last
    /// answer on.
    pub(super) head: Duration,
    /// How many connections there may be at once.
    pub(super) connections: usize,
    /// How long the rest of an answer may take to be read once the connection has to end.
    pub(super) rest: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        let head = if cfg!(test) { Duration::from_millis(200) } else { Duration::from_secs(10) };
        Self { head, connections: 1024, rest: Duration::from_secs(5) }
    }
}

/// A connection, as the requests that come over it see it.
#[derive(Debug)]
pub(super) struct Connection {
    /// Where it has come in.
    pub(super) local: SocketAddr,
    /// Since when no request of it is carried out, if none is.
    silent_since: Mutex<Option<Instant>>,
    /// It has to end.
    leave: CancellationToken,
}

impl Connection {
    fn silence(&self) -> MutexGuard<'_, Option<Instant>> {
        self.silent_since.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A request of it is carried out until that is dropped.
    pub(super) fn busy(self: Arc<Self>) -> Busy {
        *self.silence() = None;
        Busy(self)
    }
}

/// A request that is carried out.
pub(super) struct Busy(Arc<Connection>);

impl Drop for Busy {
    fn drop(&mut self) {
        *self.0.silence() = Some(Instant::now());
    }
}

/// All connections, by number.
#[derive(Default)]
struct Connections(Mutex<BTreeMap<u64, Arc<Connection>>>);

impl Connections {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the one end that has been silent for longest.
    fn send_one_away(&self) {
        let mut all = self.lock();
        let silent = all.iter().filter_map(|(number, connection)| {
            let since = *connection.silence();
            Some((since?, *number))
        });
        if let Some((_, number)) = silent.min()
            && let Some(connection) = all.remove(&number)
        {
            connection.leave.cancel();
        }
    }
}

/// A server that takes connections in.
struct Server {
    router: Router,
    http: auto::Builder<TokioExecutor>,
    limits: Limits,
    room: Arc<Semaphore>,
    connections: Arc<Connections>,
    tasks: TaskTracker,
    /// All connections have to end.
    farewell: CancellationToken,
}

/// Serves until `shutdown`.
pub(super) async fn serve(
    listener: TcpListener,
    router: Router,
    limits: Limits,
    shutdown: CancellationToken,
) -> io::Result<()> {
    // HTTP/1 alone: what speaks HTTP/2 may be silent for as long as it likes.
    let mut http = auto::Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(limits.head);
    let (room, connections) = (Arc::new(Semaphore::new(limits.connections)), Arc::default());
    let (tasks, farewell) = (TaskTracker::new(), CancellationToken::new());
    let server = Server { router, http, limits, room, connections, tasks, farewell };
    tokio::select! {
        biased;
        () = shutdown.cancelled() => {}
        () = server.take_in(&listener) => {}
    }
    drop(listener);
    server.farewell.cancel();
    server.tasks.close();
    // Who has not been answered by then is not.
    let _ = tokio::time::timeout(GOODBYE, server.tasks.wait()).await;
    Ok(())
}

impl Server {
    async fn take_in(&self, listener: &TcpListener) {
        for number in 0.. {
            let stream = loop {
                match listener.accept().await {
                    Ok((stream, _)) => break stream,
                    Err(error) => {
                        warn!(%error, "a connection could not be accepted");
                        // It may be that there are no more sockets.
                        self.connections.send_one_away();
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            };
            let place = self.make_room().await;
            // Without an address it is gone already.
            let Ok(local) = stream.local_addr() else { continue };
            self.attend(number, stream, local, place);
        }
    }

    /// A place for one more (INV-ROOM).
    async fn make_room(&self) -> OwnedSemaphorePermit {
        loop {
            if let Ok(place) = Arc::clone(&self.room).try_acquire_owned() {
                return place;
            }
            self.connections.send_one_away();
            let freed = Arc::clone(&self.room).acquire_owned();
            if let Ok(Ok(place)) = tokio::time::timeout(PAUSE, freed).await {
                return place;
            }
        }
    }

    fn attend(
        &self,
        number: u64,
        stream: TcpStream,
        local: SocketAddr,
        place: OwnedSemaphorePermit,
    ) {
        let leave = self.farewell.child_token();
        let silent_since = Mutex::new(Some(Instant::now()));
        let connection = Arc::new(Connection { local, silent_since, leave: leave.clone() });
        self.connections.lock().insert(number, Arc::clone(&connection));
        let service = TowerToHyperService::new(Extension(connection).layer(self.router.clone()));
        let served = self.http.serve_connection(TokioIo::new(stream), service).into_owned();
        let (connections, rest) = (Arc::clone(&self.connections), self.limits.rest);
        self.tasks.spawn(async move {
            let mut served = pin!(served);
            let ended = tokio::select! {
                // What is answered already is, also to who has to leave.
                biased;
                ended = &mut served => Some(ended),
                () = leave.cancelled() => {
                    served.as_mut().graceful_shutdown();
                    tokio::time::timeout(rest, served).await.ok()
                }
            };
            if let Some(Err(error)) = ended {
                debug!(error, "a connection has broken");
            }
            connections.lock().remove(&number);
            drop(place);
        });
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    async fn served(limits: Limits) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let router = Router::new().route("/", get(|| async { "here" }));
        tokio::spawn(serve(listener, router, limits, CancellationToken::new()));
        address
    }

    async fn ask(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(request).await.expect("it takes that");
        let mut answer = String::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await;
        read.expect("in time").expect("in order");
        answer
    }

    async fn is_closed(mut stream: TcpStream) {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut [0])).await;
        assert_eq!(read.expect("in time").expect("in order"), 0);
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_is_closed_after_a_time() {
        let limits = Limits { head: Duration::from_millis(50), ..Limits::default() };
        let address = served(limits).await;
        for beginning in [b"".as_slice(), b"PRI * HTTP/2", b"GET / HT"] {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.write_all(beginning).await.expect("it takes that");
            let mut answer = Vec::new();
            let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
            read.expect("in time").expect("in order");
        }
    }

    #[tokio::test]
    async fn where_there_is_no_room_the_longest_silent_one_gives_way() {
        let limits =
            Limits { head: Duration::from_secs(3600), connections: 8, ..Limits::default() };
        let address = served(limits).await;
        let mut silent = Vec::new();
        for _ in 0..8 {
            silent.push(TcpStream::connect(address).await.expect("it listens"));
        }
        let answer = ask(address).await;
        assert!(answer.ends_with("here"), "{answer}");
        let first = silent.remove(0);
        is_closed(first).await;
        let mut last = silent.pop().expect("there were eight");
        last.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("it is open");
        assert_ne!(last.read(&mut [0]).await.expect("it is open"), 0);
    }
}
