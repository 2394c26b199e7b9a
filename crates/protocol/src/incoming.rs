//! Connections as they come in. One that does not show in time that it belongs here ends, and those
//! that have not shown it yet are bounded: whoever has waited for longest gives way.

use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures::{
    FutureExt, Stream,
    future::{BoxFuture, select},
    stream,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::sleep,
};
use tonic::transport::server::{Connected, TcpConnectInfo};

/// How long to wait when the system has no more sockets.
const PAUSE: Duration = Duration::from_millis(100);

/// What those may do that nobody knows yet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// How long they may take to show that they belong here.
    pub(crate) patience: Duration,
    /// How many there may be at once.
    pub(crate) strangers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { patience: Duration::from_secs(10), strangers: 256 }
    }
}

/// Who has connected, as requests see it.
#[derive(Clone, Debug)]
pub(crate) struct Guest {
    address: TcpConnectInfo,
    known: Arc<AtomicBool>,
}

impl Guest {
    /// From now on the connection may stay.
    pub(crate) fn is_known(&self) {
        self.known.store(true, Ordering::Relaxed);
    }

    pub(crate) fn address(&self) -> TcpConnectInfo {
        self.address.clone()
    }
}

/// A connection.
pub(crate) struct Connection {
    stream: TcpStream,
    guest: Guest,
    /// Done when it has to end unless it is known; gone once it is.
    given_up: Option<BoxFuture<'static, ()>>,
}

/// Those that are not known yet, the one that has waited for longest first.
#[derive(Default)]
struct Strangers(VecDeque<(Arc<AtomicBool>, oneshot::Sender<()>)>);

impl Strangers {
    /// Counts one more; if there are too many then, the first has to end.
    fn add(&mut self, known: Arc<AtomicBool>, most: usize) -> oneshot::Receiver<()> {
        self.0.retain(|(known, leave)| !known.load(Ordering::Relaxed) && !leave.is_closed());
        while self.0.len() >= most.max(1) {
            self.send_one_away();
        }
        let (leave, left) = oneshot::channel();
        self.0.push_back((known, leave));
        left
    }

    fn send_one_away(&mut self) {
        if let Some((_, leave)) = self.0.pop_front() {
            // It may have ended by itself.
            let _ = leave.send(());
        }
    }
}

/// All connections that come to `listener`. Ends with an error that is not one connection's alone.
pub(crate) fn incoming(
    listener: TcpListener,
    limits: Limits,
) -> impl Stream<Item = io::Result<Connection>> {
    stream::unfold((listener, Strangers::default()), move |(listener, mut strangers)| async move {
        loop {
            match listener.accept().await {
                Ok((stream, remote)) => {
                    let connection = strangers.take_in(stream, remote, limits);
                    return Some((Ok(connection), (listener, strangers)));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    // It may be that there are no more sockets.
                    strangers.send_one_away();
                    sleep(PAUSE).await;
                }
            }
        }
    })
}

impl Strangers {
    fn take_in(&mut self, stream: TcpStream, remote: SocketAddr, limits: Limits) -> Connection {
        // Without it the connection is slower, and works.
        let _ = stream.set_nodelay(true);
        let known = Arc::new(AtomicBool::new(false));
        let left = self.add(Arc::clone(&known), limits.strangers);
        let given_up = select(Box::pin(sleep(limits.patience)), left).map(drop).boxed();
        let local_addr = stream.local_addr().ok();
        let address = TcpConnectInfo { local_addr, remote_addr: Some(remote) };
        Connection { stream, guest: Guest { address, known }, given_up: Some(given_up) }
    }
}

impl Connection {
    /// Whether it has to end.
    fn is_given_up(&mut self, context: &mut Context<'_>) -> bool {
        if self.guest.known.load(Ordering::Relaxed) {
            self.given_up = None;
        }
        match &mut self.given_up {
            Some(given_up) => given_up.poll_unpin(context).is_ready(),
            None => false,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Guest;

    fn connect_info(&self) -> Guest {
        self.guest.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_given_up(context) {
            self.given_up = Some(futures::future::ready(()).boxed());
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    async fn ends(connection: &mut Connection) -> bool {
        let mut byte = [0];
        let read = connection.read(&mut byte);
        matches!(tokio::time::timeout(Duration::from_secs(60), read).await, Ok(Err(_)))
    }

    struct Door {
        address: SocketAddr,
        incoming: Pin<Box<dyn Stream<Item = io::Result<Connection>>>>,
    }

    impl Door {
        async fn open(limits: Limits) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
            let address = listener.local_addr().expect("it is bound");
            Self { address, incoming: Box::pin(incoming(listener, limits)) }
        }

        async fn connect(&mut self) -> (TcpStream, Connection) {
            let client = TcpStream::connect(self.address).await.expect("it listens");
            let connection = self.incoming.next().await.expect("it goes on");
            (client, connection.expect("accepted"))
        }
    }

    #[tokio::test]
    async fn who_does_not_say_who_he_is_in_time_is_sent_away() {
        let limits = Limits { patience: Duration::from_millis(20), strangers: 8 };
        // A door that is closed sends everybody away.
        let mut door = Door::open(limits).await;
        let (_client, mut connection) = door.connect().await;
        assert!(ends(&mut connection).await);
    }

    #[tokio::test]
    async fn who_has_waited_for_longest_gives_way_and_who_is_known_stays() {
        let limits = Limits { patience: LONG, strangers: 2 };
        let mut door = Door::open(limits).await;
        let (known_client, mut known) = door.connect().await;
        known.guest.is_known();
        let (_first_client, mut first) = door.connect().await;
        let _second = door.connect().await;
        let _third = door.connect().await;
        assert!(ends(&mut first).await, "there is room for two");
        drop(known_client);
        assert_eq!(known.read(&mut [0]).await.expect("it stays for as long as its client"), 0);
    }
}
