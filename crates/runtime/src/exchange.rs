//! Spreads packets over the workers: the sending end of every edge that is not forward.
//!
//! # Invariants
//!
//! - INV-COUNT of [`crate::packet`]: what goes in comes out.
//! - INV-BEHIND: a control packet reaches every receiver, behind all records that were handed in
//!   before it: partial batches are flushed first.

use tidegate_core::router::Router;
use timely::{
    communication::Push,
    dataflow::channels::{Message, pushers::exchange::Distributor},
    progress::Stamp,
};

use crate::packet::{Body, Packet};

/// The sending end of an exchange edge of one worker.
pub(crate) struct PacketDistributor {
    sender: u32,
    spread: Spread,
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
        Self { sender, spread }
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
        let multiplicity = packet.multiplicity;
        debug_assert_eq!(multiplicity as usize, pushers.len(), "INV-COUNT");
        match (std::mem::take(&mut packet.body), &mut self.spread) {
            (Body::Batch(batch), Spread::Route(router)) => {
                let sender = self.sender;
                router.route(batch, &mut |receiver, batch| {
                    let packet = Packet::new(sender, multiplicity, Body::Batch(batch));
                    push(packet, stamp, &mut pushers[receiver]);
                });
            }
            (Body::Empty, _) => {}
            (body, _) => {
                if matches!(body, Body::Control(_)) {
                    self.flush(stamp, pushers);
                }
                let copy = Packet::new(self.sender, 1, body);
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
        let Spread::Route(router) = &mut self.spread else { return };
        let (sender, multiplicity) = (self.sender, pushers.len() as u32);
        router.flush(&mut |receiver, batch| {
            push(
                Packet::new(sender, multiplicity, Body::Batch(batch)),
                stamp,
                &mut pushers[receiver],
            );
        });
    }
}
