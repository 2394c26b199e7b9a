//! A conversation: messages one way and the other, over one connection.
//!
//! # Protocol
//!
//! [`LinkSender::send`] only queues: the queue is unbounded, and holds what the other side has not
//! taken yet. Messages arrive in order. A stream ends when all its senders are dropped, and the
//! other side's [`LinkReceiver::receive`] then returns `None` behind the last message.
//!
//! What carries the messages is gRPC, or whoever holds them in between ([`crate::memory`]).

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt, stream};
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::{Request, Status, Streaming};

use crate::error::{LinkError, MessageError};

/// How long a message may be, in bytes: acknowledgements carry inline state.
pub const MAX_MESSAGE_BYTES: usize = 256 << 20;

/// How many bytes may be under way before the other side has taken them.
pub(crate) const WINDOW_BYTES: u32 = 8 << 20;

/// For how long a server waits for the message that says who has connected.
const FIRST_WORD: Duration = Duration::from_secs(10);

/// What travels over links. Only the messages of this crate do.
pub trait Word: Sized + Send + 'static {
    /// How it is written.
    #[doc(hidden)]
    type Wire: prost::Message + std::fmt::Debug + Default + Send + 'static;

    /// How it is written.
    #[doc(hidden)]
    fn into_wire(self) -> Self::Wire;

    /// Reads what has come.
    #[doc(hidden)]
    fn from_wire(wire: Self::Wire) -> Result<Self, MessageError>;
}

/// Both halves of a conversation. When it is dropped, the other side's ends.
pub struct Link<Out: Word, In: Word> {
    sender: LinkSender<Out>,
    receiver: LinkReceiver<In>,
}

impl<Out: Word, In: Word> Link<Out, In> {
    pub(crate) const fn new(sender: LinkSender<Out>, receiver: LinkReceiver<In>) -> Self {
        Self { sender, receiver }
    }

    /// The other side's address.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.receiver.peer
    }

    /// As [`LinkSender::send`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn send(&self, word: Out) -> Result<(), LinkError> {
        self.sender.send(word)
    }

    /// As [`LinkReceiver::receive`].
    pub async fn receive(&mut self) -> Option<Result<In, LinkError>> {
        self.receiver.receive().await
    }

    /// Its halves, for two tasks.
    #[must_use]
    pub fn split(self) -> (LinkSender<Out>, LinkReceiver<In>) {
        (self.sender, self.receiver)
    }

    /// Ends the conversation and waits until the other side has, so that what was sent has arrived.
    /// What still comes is dropped. Whoever is not sure of the other side bounds the wait.
    pub async fn close(self) {
        let Self { sender, mut receiver } = self;
        drop(sender);
        while let Some(Ok(_)) = receiver.receive().await {}
    }
}

/// The half that sends. The stream ends when the last clone is dropped.
pub struct LinkSender<Out: Word> {
    peer: Arc<str>,
    queue: mpsc::UnboundedSender<Out::Wire>,
}

impl<Out: Word> Clone for LinkSender<Out> {
    fn clone(&self) -> Self {
        Self { peer: self.peer.clone(), queue: self.queue.clone() }
    }
}

impl<Out: Word> LinkSender<Out> {
    /// Sends `word`, without waiting. That it has arrived is not said.
    ///
    /// # Errors
    ///
    /// [`LinkError::TooLong`], and [`LinkError::Closed`] once the link is known to be gone.
    pub fn send(&self, word: Out) -> Result<(), LinkError> {
        let wire = word.into_wire();
        let bytes = wire.encoded_len();
        if bytes > MAX_MESSAGE_BYTES {
            return Err(LinkError::TooLong { bytes });
        }
        self.queue.send(wire).map_err(|_| LinkError::Closed { peer: self.peer.to_string() })
    }

    /// Returns when the link is gone.
    pub async fn closed(&self) {
        self.queue.closed().await;
    }
}

/// The half that receives.
pub struct LinkReceiver<In: Word> {
    peer: Arc<str>,
    /// `None` once it has ended.
    stream: Option<Answers<In::Wire>>,
}

impl<In: Word> LinkReceiver<In> {
    pub(crate) fn new(
        peer: Arc<str>,
        stream: impl Stream<Item = Result<In::Wire, Status>> + Send + 'static,
    ) -> Self {
        Self { peer, stream: Some(Box::pin(stream)) }
    }

    /// The next message; `None` when the conversation is over, and ever after an error. A host may
    /// see `None` for a process that is lost, too: what ends in order says so before. May be dropped
    /// while it waits: no message is lost by that.
    ///
    /// # Errors
    ///
    /// When the connection is lost, or a message can't be understood.
    pub async fn receive(&mut self) -> Option<Result<In, LinkError>> {
        let received = match self.stream.as_mut()?.next().await {
            Some(Ok(wire)) => {
                In::from_wire(wire).map_err(|error| LinkError::message(&self.peer, error))
            }
            None => {
                self.stream = None;
                return None;
            }
            Some(Err(status)) => Err(LinkError::from_status(&self.peer, &status)),
        };
        if received.is_err() {
            self.stream = None;
        }
        Some(received)
    }
}

impl<Out: Word, In: Word> fmt::Debug for Link<Out, In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("peer", &self.peer()).finish_non_exhaustive()
    }
}

impl<Out: Word> fmt::Debug for LinkSender<Out> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkSender").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl<In: Word> fmt::Debug for LinkReceiver<In> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LinkReceiver").field("peer", &self.peer).finish_non_exhaustive()
    }
}

/// The sending half, and the stream of what it sends, which begins with `first`.
pub(crate) fn outgoing<Out: Word>(
    peer: Arc<str>,
    first: Option<Out::Wire>,
) -> (LinkSender<Out>, impl Stream<Item = Out::Wire> + Send + 'static) {
    let (sender, mut words) = queue(peer);
    let first = stream::iter(first);
    let queued = stream::poll_fn(move |context| words.poll_recv(context));
    (sender, first.chain(queued))
}

/// The sending half, and what it has sent.
pub(crate) fn queue<Out: Word>(
    peer: Arc<str>,
) -> (LinkSender<Out>, mpsc::UnboundedReceiver<Out::Wire>) {
    let (queue, words) = mpsc::unbounded_channel();
    (LinkSender { peer, queue }, words)
}

/// A stream of messages, such as the answers that a service returns.
pub(crate) type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The host's side of a conversation, and the answers to the one who has begun it.
pub(crate) fn host<Out: Word, In: Word>(
    peer: Arc<str>,
    stream: Streaming<In::Wire>,
) -> (Link<Out, In>, Answers<Out::Wire>) {
    let (sender, answers) = outgoing(peer.clone(), None);
    let link = Link::new(sender, LinkReceiver::new(peer, stream));
    (link, Box::pin(answers.map(Ok)))
}

/// The other side's address, as the server sees it.
pub(crate) fn peer_of<T>(request: &Request<T>) -> Arc<str> {
    match request.remote_addr() {
        Some(address) => address.to_string().into(),
        None => "an unknown address".into(),
    }
}

/// The message that a conversation begins with.
pub(crate) async fn first_word<T>(stream: &mut Streaming<T>) -> Result<T, Status> {
    let first = tokio::time::timeout(FIRST_WORD, stream.message()).await;
    let first = first.map_err(|_| Status::deadline_exceeded("the first message has not come"))?;
    first?.ok_or_else(|| Status::invalid_argument("the stream has no first message"))
}
