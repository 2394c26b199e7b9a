//! Spreads packets over the workers: the sending end of every edge that is not forward.
//!
//! # Invariants
//!
//! - INV-EVEN of [`crate::in_flight`]: as many records come out as go in, each in a packet of the
//!   account that it came with; broadcast ones come out once for each worker.
//! - INV-BEHIND: a control packet reaches every receiver, behind all records that were handed in
//!   before it: partial batches are flushed first.

use tidegate_core::router::Router;
use timely::{
    communication::Push,
    dataflow::channels::{Message, pushers::exchange::Distributor},
    progress::Stamp,
};

use crate::{
    in_flight::Account,
    packet::{Body, Packet},
};

/// The sending end of an exchange edge of one worker.
pub(crate) struct PacketDistributor {
    sender: u32,
    spread: Spread,
    /// Of the records that the router still holds, if it holds any.
    account: Option<Account>,
}

/// What happens to a batch.
pub(crate) enum Spread {
    /// Each record to one worker.
    Route(Box<dyn Router>),
    /// Each record to every worker.
    Broadcast,
}

impl PacketDistributor {
    pub(crate) fn new(sender: u32, spread: Spread) -> Self {
        Self { sender, spread, account: None }
    }
}

fn push<T: Clone, P: Push<Message<T, Packet>>>(packet: Packet, stamp: &Stamp<T>, pusher: &mut P) {
    let mut message = Some(Message::new(stamp.clone(), packet));
    pusher.push(&mut message);
}

impl Distributor<Packet> for PacketDistributor {
    fn partition<T: Clone, P: Push<Message<T, Packet>>>(
        &mut self,
        packet: &mut Packet,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let (sender, account) = (self.sender, packet.account);
        if self.account.is_some_and(|held| held != account) {
            self.flush(stamp, pushers);
        }
        match (std::mem::take(&mut packet.body), &mut self.spread) {
            (Body::Batch(batch), Spread::Route(router)) => {
                self.account = Some(account);
                router.route(batch, &mut |receiver, batch| {
                    let packet = Packet::new(sender, account, Body::Batch(batch));
                    push(packet, stamp, &mut pushers[receiver]);
                });
            }
            (Body::Empty, _) => {}
            (body, _) => {
                if matches!(body, Body::Control(_)) {
                    self.flush(stamp, pushers);
                }
                let copy = Packet::new(sender, account, body);
                for pusher in pushers {
                    push(copy.clone(), stamp, pusher);
                }
            }
        }
    }

    fn flush<T: Clone, P: Push<Message<T, Packet>>>(
        &mut self,
        stamp: &Stamp<T>,
        pushers: &mut [P],
    ) {
        let (Spread::Route(router), Some(account)) = (&mut self.spread, self.account.take()) else {
            return;
        };
        let sender = self.sender;
        router.flush(&mut |receiver, batch| {
            push(Packet::new(sender, account, Body::Batch(batch)), stamp, &mut pushers[receiver]);
        });
    }
}
