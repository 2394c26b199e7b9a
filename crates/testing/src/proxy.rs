//! A network that can be cut: connections through it stand still until it is mended.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// A way to an address.
pub struct Proxy {
    /// Where connections to that address are taken.
    pub url: String,
    cut: watch::Sender<bool>,
}

impl Proxy {
    /// Opens a way to `target`, on this machine. Has to be called on a Tokio runtime.
    pub async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there is a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (cut, is_cut) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let is_cut = is_cut.clone();
                tokio::spawn(async move {
                    let Ok(server) = TcpStream::connect(target).await else { return };
                    let (client_reads, client_writes) = client.into_split();
                    let (server_reads, server_writes) = server.into_split();
                    tokio::join!(
                        pump(client_reads, server_writes, is_cut.clone()),
                        pump(server_reads, client_writes, is_cut),
                    );
                });
            }
        });
        Self { url, cut }
    }

    /// From now on nothing gets through; nobody is told.
    pub fn cut(&self) {
        self.cut.send_replace(true);
    }

    /// Everything that has been held back gets through.
    pub fn mend(&self) {
        self.cut.send_replace(false);
    }
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut is_cut: watch::Receiver<bool>,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = from.read(&mut buffer).await.unwrap_or(0);
        // The test is over when nobody can mend it any more.
        if is_cut.wait_for(|cut| !cut).await.is_err() || read == 0 {
            return;
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
