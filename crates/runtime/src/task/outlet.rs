//! A task's sending end: all that leaves it goes through here, and is counted.

use timely::dataflow::{channels::pushers, operators::CapabilitySet};

use super::{
    chain::{Emitted, Outbox},
    meter::Meter,
};
use crate::{
    in_flight::{Account, Tally},
    packet::{Body, Control, Packet},
};

/// A task's end of its output edge, while the task has its turn.
pub(crate) type Session<'a> = pushers::OutputSession<'a, (), Packet>;

/// What a task sends with.
pub(crate) struct Outlet {
    sender: u32,
    tally: Tally,
    /// How many receive each record.
    receivers: u64,
    /// What Timely calls a message that makes no claim about progress.
    no_claim: CapabilitySet<()>,
}

impl Outlet {
    /// Of a task of worker `sender`, whose records go to that many tasks each.
    pub(crate) fn new(sender: usize, tally: Tally, receivers: u64) -> Self {
        Self { sender: sender as u32, tally, receivers, no_claim: CapabilitySet::new() }
    }

    /// Sends one packet.
    pub(crate) fn send(&self, body: Body, account: Account, session: &mut Session<'_>) {
        self.tally.add(account, body.records() * self.receivers);
        session.give(&self.no_claim, &mut Packet::new(self.sender, account, body));
    }

    /// Sends what a chain has emitted.
    pub(crate) fn send_all(
        &self,
        outbox: &mut Outbox,
        meter: &Meter,
        account: Account,
        session: &mut Session<'_>,
    ) {
        for item in outbox.items.drain(..) {
            let body = match item {
                Emitted::Batch(batch) => {
                    meter.sent(batch.len());
                    Body::Batch(batch)
                }
                Emitted::Watermark(time) => {
                    outbox.sent = outbox.sent.max(time);
                    Body::Control(Control::Watermark(time))
                }
                Emitted::Idle => Body::Control(Control::Idle),
                Emitted::Active => Body::Control(Control::Active),
            };
            self.send(body, account, session);
        }
    }
}
