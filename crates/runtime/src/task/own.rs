//! What a task with inputs emits by itself: when it is woken, and when a watermark has timers fire.
//!
//! It does so in rounds of its own, a lane apart from those of all sources (see
//! [`crate::in_flight`]), which tells how much of what the task has emitted is still under way, so that
//! timers keep to a limit as sources do. It has to be the task's own: what else is under way may lie in
//! this very task's inbox, behind the timers. A timer that waits is no record: it is under way nowhere,
//! and holds nobody back.
//!
//! # Invariants
//!
//! - INV-LIMIT, INV-LIVE of [`crate::flow`], for what the task emits by itself.

use std::{cell::RefCell, rc::Rc};

use tidegate_types::Monotonic;

use super::{
    chain::{Emitted, Outbox},
    meter::Meter,
    outlet::{Outlet, Session},
};
use crate::{
    flow::FlowControl,
    in_flight::{Account, Lane, Tally},
};

/// How much of a task's own is under way: its worker's loop has one, and the task for as long as it may
/// emit.
#[derive(Clone)]
pub(crate) struct OwnFlow {
    lane: Lane,
    flow: Rc<RefCell<FlowControl>>,
}

impl OwnFlow {
    pub(crate) fn new(lane: Lane, flow: FlowControl) -> Self {
        Self { lane, flow: Rc::new(RefCell::new(flow)) }
    }

    /// Learns what has left the dataflow; tells whether any of the task's own has.
    pub(crate) fn observe(&self, tally: &Tally, now: Monotonic) -> bool {
        let left = |round| tally.left(Account::of(self.lane, round));
        self.flow.borrow_mut().observe(left, now)
    }

    /// Whether the task waits for that.
    pub(crate) fn waits(&self) -> bool {
        self.flow.borrow().waits()
    }

    /// Whether the task may emit now; if not, its worker wakes it when it may.
    pub(crate) fn may_emit(&self) -> bool {
        let mut flow = self.flow.borrow_mut();
        let may = flow.budget() > 0;
        if !may {
            flow.pause();
        }
        may
    }

    /// There is no more to emit for now.
    pub(crate) fn pause(&self) {
        self.flow.borrow_mut().pause();
    }

    pub(crate) fn send(
        &self,
        outbox: &mut Outbox,
        meter: &Meter,
        outlet: &Outlet,
        (session, now): (&mut Session<'_>, Monotonic),
    ) {
        let (records, bytes) = size(outbox);
        let account = Account::of(self.lane, self.flow.borrow().round());
        outlet.send_all(outbox, meter, account, session);
        self.flow.borrow_mut().emitted(records, bytes, now);
    }
}

/// How many records, and about how many bytes, are about to be sent.
pub(crate) fn size(outbox: &Outbox) -> (usize, usize) {
    outbox.items.iter().fold((0, 0), |(records, bytes), item| match item {
        Emitted::Batch(batch) => (records + batch.len(), bytes + batch.estimated_bytes()),
        Emitted::Watermark(_) | Emitted::Idle | Emitted::Active => (records, bytes),
    })
}
