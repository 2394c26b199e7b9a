//! Conversations in memory: what is sent is under way until whoever carries it hands it on.
//!
//! ```text
//!   first end --send--> [Wire] --take--> whoever carries it --deliver--> second end --receive-->
//! ```
//!
//! As over gRPC messages are encoded, arrive in order, and a side that drops its sending half is heard
//! to end behind its last message. When they arrive, and whether, is up to who carries them: each way
//! by itself, one message at a time, and once the wire is cut or dropped both ends are told that the
//! connection is lost. Nothing here waits, or looks at a clock.
//!
//! # Example
//!
//! ```
//! use tidegate_protocol::{coordination::{FromProcess, ToProcess}, memory::{End, conversation}};
//!
//! let (process, mut host, mut wire) =
//!     conversation::<FromProcess, ToProcess>("the process", "the coordinator");
//! process.send(FromProcess::Figures(Default::default()))?;
//! let sent = wire.take(End::First).expect("it is under way");
//! wire.deliver(End::First, sent);
//! let heard = futures::executor::block_on(host.receive());
//! assert!(matches!(heard, Some(Ok(FromProcess::Figures(_)))));
//! # Ok::<_, tidegate_protocol::LinkError>(())
//! ```

use std::fmt;

use bytes::Bytes;
use futures::{StreamExt, stream};
use prost::Message;
use tokio::sync::mpsc::{self, error::TryRecvError};
use tonic::Status;

use crate::link::{Link, LinkReceiver, LinkSender, Word, queue};

/// One of the two ends of a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum End {
    /// Of the one who has connected.
    First,
    /// Of the other.
    Second,
}

impl End {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::First, Self::Second];
}

/// Something that an end has sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sent {
    /// A message, encoded.
    Message(Bytes),
    /// That nothing follows: all its senders are dropped.
    Over,
}

/// What is under way between the two ends of a conversation. Dropping it cuts it.
pub struct Wire {
    /// By who sends.
    ways: [Way; 2],
}

/// Both ends of a conversation that `first` has begun with `second`, as they call each other.
#[must_use]
pub fn conversation<There: Word, Back: Word>(
    first: &str,
    second: &str,
) -> (Link<There, Back>, Link<Back, There>, Wire) {
    let (to_second, there, at_second) = way::<There>(first, second);
    let (to_first, back, at_first) = way::<Back>(second, first);
    let wire = Wire { ways: [there, back] };
    (Link::new(to_second, at_first), Link::new(to_first, at_second), wire)
}

/// One way of it: what sends, what is under way, what receives.
fn way<T: Word>(from: &str, to: &str) -> (LinkSender<T>, Way, LinkReceiver<T>) {
    let (sender, mut sent) = queue::<T>(to.into());
    let (arrived, mut arriving) = mpsc::unbounded_channel();
    let take = move || match sent.try_recv() {
        Ok(wire) => Some(Sent::Message(wire.encode_to_vec().into())),
        Err(TryRecvError::Empty) => None,
        Err(TryRecvError::Disconnected) => Some(Sent::Over),
    };
    let way = Way { take: Some(Box::new(take)), arrived: Some(arrived) };
    let arriving = stream::poll_fn(move |context| arriving.poll_recv(context));
    let decoded = arriving.map(|arrived: Result<Bytes, Status>| {
        T::Wire::decode(arrived?).map_err(|error| Status::internal(error.to_string()))
    });
    (sender, way, LinkReceiver::new(from.into(), decoded))
}

type Take = Box<dyn FnMut() -> Option<Sent> + Send>;

/// From one end to the other.
struct Way {
    /// `None` once nothing is sent any more, or nobody would hear it.
    take: Option<Take>,
    /// `None` once the other end has been told that nothing follows.
    arrived: Option<mpsc::UnboundedSender<Result<Bytes, Status>>>,
}

impl Way {
    fn cut(&mut self) {
        self.take = None;
        if let Some(arrived) = self.arrived.take() {
            // Nobody listens any more if the other end is gone.
            let _ = arrived.send(Err(Status::unavailable("it has been cut")));
        }
    }
}

impl Wire {
    fn way(&mut self, from: End) -> &mut Way {
        &mut self.ways[from as usize]
    }

    /// Takes the next that an end has sent; `None` as long as there is nothing. Whoever takes it has it
    /// delivered, or loses it. An end whose words nobody receives any more is told so, as by a
    /// connection that is closed: it can't send.
    pub fn take(&mut self, from: End) -> Option<Sent> {
        let way = self.way(from);
        if way.arrived.as_ref().is_none_or(mpsc::UnboundedSender::is_closed) {
            way.take = None;
        }
        let sent = way.take.as_mut()?();
        if sent == Some(Sent::Over) {
            way.take = None;
        }
        sent
    }

    /// What `from` has sent arrives at the other end.
    pub fn deliver(&mut self, from: End, sent: Sent) {
        let way = self.way(from);
        match sent {
            Sent::Message(bytes) => {
                if let Some(arrived) = &way.arrived {
                    // Nobody listens any more if the other end is gone.
                    let _ = arrived.send(Ok(bytes));
                }
            }
            Sent::Over => way.arrived = None,
        }
    }

    /// Cuts it: whatever is under way is lost, and both ends are told that the connection is, behind
    /// what has arrived.
    pub fn cut(&mut self) {
        self.ways.iter_mut().for_each(Way::cut);
    }

    /// Whether nothing can be carried any more, either way.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.ways
            .iter()
            .all(|way| way.arrived.as_ref().is_none_or(mpsc::UnboundedSender::is_closed))
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.cut();
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("is_over", &self.is_over()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
