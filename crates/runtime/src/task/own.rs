//! What a task with inputs emits by itself: when it is woken, and when a watermark has timers fire.
//!
//! It does so in rounds of its own, a lane apart from those of all sources (see [`crate::round`]).
//! That holds nobody back, however long a timer waits: the right to emit in one's own lane is no
//! part of any source's rounds. And it tells how much of what the task has emitted is still under
//! way, so that timers keep to a limit as sources do. It has to be the task's own: what else is
//! under way may lie in this very task's inbox, behind the timers.
//!
//! # Invariants
//!
//! - INV-LIMIT, INV-LIVE of [`crate::flow`], for what the task emits by itself.

use std::{cell::RefCell, rc::Rc, time::Instant};

use timely::{dataflow::operators::Capability, progress::frontier::AntichainRef};

use super::{
    Session, WorkerContext,
    chain::{Emitted, Outbox},
    meter::Meter,
    send_all,
};
use crate::{
    flow::FlowControl,
    round::{Lane, Round},
};

/// How much of a task's own is under way, as its worker's loop sees it.
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
    pub(crate) fn observe(&self, frontier: &AntichainRef<'_, Round>, now: Instant) -> bool {
        self.flow.borrow_mut().observe(self.lane.frontier(frontier), now)
    }
}

/// A task's right to emit by itself.
pub(crate) struct Own {
    capability: Capability<Round>,
    flow: OwnFlow,
}

impl Own {
    /// Made of the right to emit at all, which every task begins with.
    pub(crate) fn new(mut capability: Capability<Round>, flow: OwnFlow) -> Self {
        capability.downgrade(&Round::of(flow.lane, 0));
        Self { capability, flow }
    }

    /// Whether it may emit now; if not, its worker wakes the task when it may.
    pub(crate) fn may_emit(&mut self) -> bool {
        if self.flow.flow.borrow_mut().budget() > 0 {
            return true;
        }
        self.pause();
        false
    }

    /// There is no more to emit for now.
    pub(crate) fn pause(&mut self) {
        self.flow.flow.borrow_mut().pause();
        self.follow_round();
    }

    pub(crate) fn send(
        &mut self,
        outbox: &mut Outbox,
        meter: &Meter,
        context: &WorkerContext,
        session: &mut Session<'_>,
    ) {
        let (records, bytes) = size(outbox);
        send_all(outbox, meter, context, session, &self.capability);
        self.flow.flow.borrow_mut().emitted(records, bytes, Instant::now());
        self.follow_round();
    }

    fn follow_round(&mut self) {
        let round = Round::of(self.flow.lane, self.flow.flow.borrow().round());
        if *self.capability.time() != round {
            self.capability.downgrade(&round);
        }
    }
}

/// How many records, and about how many bytes, are about to be sent.
pub(crate) fn size(outbox: &Outbox) -> (usize, usize) {
    outbox.items.iter().fold((0, 0), |(records, bytes), item| match item {
        Emitted::Batch(batch) => (records + batch.len(), bytes + batch.estimated_bytes()),
        Emitted::Watermark(_) | Emitted::Idle | Emitted::Active => (records, bytes),
    })
}
