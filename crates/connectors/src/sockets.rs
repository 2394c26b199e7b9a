//! Lines of text over TCP.
//!
//! # Failure
//!
//! A socket can't be asked for the same bytes again. What the peer sends while no attempt is
//! connected, and what an attempt had received after the last checkpoint when it failed, is gone
//! unless the peer sends it again on the next connection. A peer that does so makes this source at
//! least once, and no peer makes it exactly once. It is meant for trying things out.

use std::{io, str::Utf8Error, sync::Arc, task::Waker};

use futures::FutureExt;
use memchr::memchr;
use serde::{Deserialize, Serialize};
use tidegate_core::{
    Batch, ReaderContext, ReaderStatus, Source, SourceReader, Split, source::Discovery,
};
use tidegate_types::{ErrorKind, UserResult};
use tokio::{io::AsyncReadExt, net::TcpStream, sync::mpsc};

/// How many batches of lines may wait for the worker.
const BATCHES_AHEAD: usize = 4;
/// How much is read from the network at once, in bytes.
const READ_SIZE: usize = 64 * 1024;
/// The longest line, in bytes.
pub const MAX_LINE_BYTES: usize = 1024 * 1024;

/// Reads lines of UTF-8 text from a TCP server, without their ends (`\n` or `\r\n`), until the
/// server closes the connection. At least once at best: see the [module](self).
///
/// One subtask reads. Losing the connection otherwise fails the attempt, and the next attempt
/// connects again.
#[derive(Clone, Debug)]
pub struct SocketSource {
    address: String,
}

impl SocketSource {
    /// Reads from the server at `address`, as `host:port`.
    #[must_use]
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into() }
    }
}

/// What can go wrong with a socket.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SocketError {
    /// The connection can't be made, or broke.
    #[error("cannot {action} `{address}`")]
    Io {
        /// What was tried.
        action: &'static str,
        /// The server.
        address: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A line is not UTF-8.
    #[error("line {line} from `{address}` is not UTF-8")]
    Utf8 {
        /// The server.
        address: String,
        /// The line's number in this connection, from 1.
        line: u64,
        /// Where it is not.
        source: Utf8Error,
    },
    /// A line does not end.
    #[error("line {line} from `{address}` has more than {MAX_LINE_BYTES} bytes")]
    TooLong {
        /// The server.
        address: String,
        /// The line's number in this connection, from 1.
        line: u64,
    },
}

impl SocketError {
    /// What the one who sees it should do.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Io { .. } => ErrorKind::Unavailable,
            Self::Utf8 { .. } | Self::TooLong { .. } => ErrorKind::Invalid,
        }
    }
}

/// The one connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SocketSplit {
    address: String,
    /// Whether the server has closed the connection.
    finished: bool,
}

impl Split for SocketSplit {
    fn id(&self) -> String {
        self.address.clone()
    }

    fn is_finished(&self) -> bool {
        self.finished
    }
}

impl Source for SocketSource {
    type Item = String;
    type Split = SocketSplit;
    type Reader = SocketReader;

    fn discovery(&self) -> Discovery<SocketSplit> {
        let split = SocketSplit { address: self.address.clone(), finished: false };
        Box::new(move || futures::future::ready(Ok(vec![split.clone()])).boxed())
    }

    fn reader(&self, context: ReaderContext) -> UserResult<SocketReader> {
        Ok(SocketReader { context, connections: Vec::new() })
    }
}

/// Reads the lines, if this is the subtask that does.
pub struct SocketReader {
    context: ReaderContext,
    /// None or one.
    connections: Vec<Connection>,
}

struct Connection {
    split: SocketSplit,
    batches: mpsc::Receiver<Result<Vec<String>, SocketError>>,
    lines: std::vec::IntoIter<String>,
}

impl SourceReader for SocketReader {
    type Item = String;
    type Split = SocketSplit;

    fn add_splits(&mut self, splits: Vec<SocketSplit>) -> UserResult<()> {
        for split in splits {
            let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
            if !split.finished {
                let feed = Feed { sender, waker: self.context.waker.clone() };
                self.context.tokio.spawn(feed.run(split.address.clone()));
            }
            self.connections.push(Connection { split, batches, lines: Vec::new().into_iter() });
        }
        Ok(())
    }

    fn poll_batch(&mut self, max: usize, batch: &mut Batch<String>) -> UserResult<ReaderStatus> {
        let Some(connection) = self.connections.iter_mut().find(|one| !one.split.finished) else {
            return Ok(ReaderStatus::Exhausted);
        };
        connection.poll(max, batch)
    }

    fn snapshot(&self) -> Vec<SocketSplit> {
        self.connections.iter().map(|connection| connection.split.clone()).collect()
    }
}

impl Connection {
    fn poll(&mut self, max: usize, batch: &mut Batch<String>) -> UserResult<ReaderStatus> {
        if self.lines.len() == 0 {
            match self.batches.try_recv() {
                Ok(lines) => self.lines = lines?.into_iter(),
                Err(mpsc::error::TryRecvError::Empty) => return Ok(ReaderStatus::Pending),
                Err(mpsc::error::TryRecvError::Disconnected) => self.split.finished = true,
            }
        }
        batch.records.extend(self.lines.by_ref().take(max));
        Ok(ReaderStatus::More)
    }
}

/// The way from the connection's task to the reader. Closing it says that the server is done; the
/// waker is called behind that.
struct Feed {
    sender: mpsc::Sender<Result<Vec<String>, SocketError>>,
    waker: Waker,
}

impl Feed {
    async fn run(self, address: String) {
        let waker = self.waker.clone();
        if let Err(error) = self.read(address.clone()).await {
            // The reader is gone if this fails, and then nobody wants to know.
            let _ = self.sender.send(Err(error)).await;
        }
        drop(self);
        waker.wake();
    }

    async fn read(&self, address: String) -> Result<(), SocketError> {
        let address = Arc::<str>::from(address);
        let failed = |action| {
            let address = address.to_string();
            move |source| SocketError::Io { action, address, source }
        };
        let mut stream = TcpStream::connect(&*address).await.map_err(failed("connect to"))?;
        let mut lines = Lines { address: Arc::clone(&address), rest: Vec::new(), count: 0 };
        let mut buffer = vec![0; READ_SIZE];
        loop {
            let count = stream.read(&mut buffer).await.map_err(failed("read from"))?;
            let batch = if count == 0 { lines.last()? } else { lines.push(&buffer[..count])? };
            if !batch.is_empty() {
                if self.sender.send(Ok(batch)).await.is_err() {
                    return Ok(());
                }
                self.waker.wake_by_ref();
            }
            if count == 0 {
                return Ok(());
            }
        }
    }
}

/// Cuts what arrives into lines.
struct Lines {
    address: Arc<str>,
    /// The beginning of a line whose end has not arrived.
    rest: Vec<u8>,
    count: u64,
}

impl Lines {
    /// The lines that end in `bytes`.
    fn push(&mut self, mut bytes: &[u8]) -> Result<Vec<String>, SocketError> {
        let mut lines = Vec::new();
        while let Some(end) = memchr(b'\n', bytes) {
            self.rest.extend_from_slice(&bytes[..end]);
            bytes = &bytes[end + 1..];
            lines.push(self.line()?);
        }
        self.rest.extend_from_slice(bytes);
        if self.rest.len() > MAX_LINE_BYTES {
            let (address, line) = (self.address.to_string(), self.count + 1);
            return Err(SocketError::TooLong { address, line });
        }
        Ok(lines)
    }

    /// The last line, if it has no end.
    fn last(&mut self) -> Result<Vec<String>, SocketError> {
        if self.rest.is_empty() { Ok(Vec::new()) } else { Ok(vec![self.line()?]) }
    }

    fn line(&mut self) -> Result<String, SocketError> {
        self.count += 1;
        let mut bytes = std::mem::take(&mut self.rest);
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
        String::from_utf8(bytes).map_err(|error| SocketError::Utf8 {
            address: self.address.to_string(),
            line: self.count,
            source: error.utf8_error(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_wherever_the_pieces_end() {
        let text = "one\r\ntwö\n\nlast";
        for size in 1..=text.len() {
            let mut lines = Lines { address: "here".into(), rest: Vec::new(), count: 0 };
            let mut found = Vec::new();
            for piece in text.as_bytes().chunks(size) {
                found.extend(lines.push(piece).unwrap());
            }
            found.extend(lines.last().unwrap());
            assert_eq!(found, ["one", "twö", "", "last"]);
        }
    }
}
