//! The job's tasks, as pure as everything else: packets and commands in, effects out.
//!
//! ```text
//!   [source] --records, by key group--> [sum] --outputs, in turn--> [sink]      p subtasks each
//! ```
//!
//! A task with inputs does what those of the runtime do: it consumes packets in the order of their
//! arrival, sets aside those of blocked channels, and snapshots and forwards a barrier at one
//! point between two packets.

mod operator;
mod source;

use std::collections::VecDeque;

use tidegate_checkpoint::alignment::{Alignment, Decision, Guarantee};
use tidegate_snapshot::segment::ListState;
use tidegate_types::{Barrier, CheckpointId, KeyGroupRange};

pub(crate) use self::{
    operator::{Operator, Restored},
    source::Source,
};
use crate::store::{Output, Transaction};

/// A record on its way from the source.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) key: u64,
    pub(crate) value: i64,
    /// Its split, and its place in there.
    pub(crate) id: (u32, u64),
}

/// What flows on a channel.
#[derive(Clone, Debug)]
pub(crate) enum Packet {
    Records(Vec<Record>),
    Outputs(Vec<Output>),
    Barrier(Barrier),
    End,
}

/// A subtask's part of a snapshot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Part {
    pub(crate) finished: bool,
    pub(crate) keyed: Option<(KeyGroupRange, Vec<u8>)>,
    pub(crate) list: Option<ListState>,
    /// What the sink has written since the last barrier.
    pub(crate) staged: Option<(Transaction, Vec<Output>)>,
}

/// What a task wants done.
#[derive(Debug)]
pub(crate) enum Effect {
    /// Send it to this subtask of the next operator.
    Send(u32, Packet),
    /// Send it to all of them.
    Broadcast(Packet),
    /// Encode it, and hand it to the process.
    Snapshot(CheckpointId, Part),
    /// Tell the process that all input is consumed.
    Ended,
}

/// A subtask of an operator that has inputs.
pub(crate) struct Task {
    pub(crate) operator: Operator,
    alignment: Alignment,
    inbox: VecDeque<(usize, Packet)>,
    aside: VecDeque<(usize, Packet)>,
    open_channels: usize,
    has_ended: bool,
    /// Whether it takes packets in; the sink does not before it has recovered.
    is_ready: bool,
    /// Triggers of which it has heard and whose barriers have not come (yet).
    triggers: VecDeque<Barrier>,
}

impl Task {
    pub(crate) fn new(operator: Operator, channels: usize, guarantee: Guarantee) -> Self {
        Self {
            is_ready: !operator.recovers_first(),
            operator,
            alignment: Alignment::new(channels, guarantee),
            inbox: VecDeque::new(),
            aside: VecDeque::new(),
            open_channels: channels,
            has_ended: false,
            triggers: VecDeque::new(),
        }
    }

    pub(crate) fn receive(&mut self, channel: usize, packet: Packet) -> Vec<Effect> {
        self.inbox.push_back((channel, packet));
        self.consume()
    }

    pub(crate) fn on_trigger(&mut self, barrier: Barrier) -> Vec<Effect> {
        self.triggers.push_back(barrier);
        self.consume()
    }

    /// Whether what was restored is committed: nothing else is before that.
    pub(crate) fn has_recovered(&self) -> bool {
        self.is_ready
    }

    pub(crate) fn on_recovered(&mut self) -> Vec<Effect> {
        self.is_ready = true;
        self.consume()
    }

    fn consume(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.is_ready
            && let Some((channel, packet)) = self.inbox.pop_front()
        {
            if self.alignment.is_blocked(channel) {
                self.aside.push_back((channel, packet));
            } else {
                self.on_packet(channel, packet, &mut effects);
            }
        }
        // Nobody sends barriers any more: the triggers themselves ask for snapshots.
        while self.has_ended
            && let Some(barrier) = self.triggers.pop_front()
        {
            if let Decision::Snapshot(barrier) = self.alignment.on_trigger(barrier) {
                self.snapshot(barrier, &mut effects);
            }
        }
        effects
    }

    fn on_packet(&mut self, channel: usize, packet: Packet, effects: &mut Vec<Effect>) {
        let decision = match packet {
            Packet::Barrier(barrier) => self.alignment.on_barrier(channel, barrier),
            Packet::End => {
                self.open_channels -= 1;
                self.alignment.on_end(channel)
            }
            data => return self.operator.on_data(data, effects),
        };
        self.follow(decision, effects);
        // What was set aside comes before what arrived later.
        self.aside.append(&mut self.inbox);
        std::mem::swap(&mut self.aside, &mut self.inbox);
        if self.open_channels == 0 && !self.has_ended {
            self.has_ended = true;
            effects.push(Effect::Broadcast(Packet::End));
            effects.push(Effect::Ended);
        }
    }

    fn follow(&mut self, mut decision: Decision, effects: &mut Vec<Effect>) {
        while let Decision::Snapshot(barrier) = decision {
            self.snapshot(barrier, effects);
            effects.push(Effect::Broadcast(Packet::Barrier(barrier)));
            decision = self.alignment.after_snapshot();
        }
    }

    fn snapshot(&mut self, barrier: Barrier, effects: &mut Vec<Effect>) {
        self.triggers.retain(|trigger| trigger.checkpoint > barrier.checkpoint);
        let part = Part { finished: self.has_ended, ..self.operator.snapshot(barrier.checkpoint) };
        effects.push(Effect::Snapshot(barrier.checkpoint, part));
    }
}
