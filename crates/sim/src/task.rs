//! The job's tasks, as pure as everything else: packets and commands in, effects out.
//!
//! ```text
//!   [source] --records, by key group--> [sum] --outputs, in turn--> [sink]      p subtasks each
//! ```
//!
//! What comes next is decided by the shipped phases. What the runtime's drivers do is done here in
//! the same order: packets are consumed as they arrive, those of blocked channels are set aside and
//! taken up after every barrier.

mod operator;
mod source;

use std::collections::VecDeque;

use tidegate_checkpoint::{
    alignment::Guarantee,
    task::{
        Firing, TaskCommand,
        operator::{Flushed, OperatorTask, Turn},
    },
};
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
    /// Hand it to the process.
    Snapshot(CheckpointId, Part),
    /// Tell the process that all input is consumed.
    Ended,
}

/// A subtask of an operator that has inputs.
pub(crate) struct Task {
    pub(crate) operator: Operator,
    phases: OperatorTask<()>,
    inbox: VecDeque<(usize, Packet)>,
    aside: VecDeque<(usize, Packet)>,
    /// Whether it takes packets in; the sink does not before it has recovered.
    is_ready: bool,
}

impl Task {
    pub(crate) fn new(operator: Operator, channels: usize, guarantee: Guarantee) -> Self {
        Self {
            is_ready: !operator.recovers_first(),
            operator,
            phases: OperatorTask::new(channels, guarantee),
            inbox: VecDeque::new(),
            aside: VecDeque::new(),
        }
    }

    pub(crate) fn receive(&mut self, channel: usize, packet: Packet) -> Vec<Effect> {
        self.inbox.push_back((channel, packet));
        self.run()
    }

    pub(crate) fn on_command(&mut self, command: TaskCommand) -> Vec<Effect> {
        self.phases.on_command(command);
        self.run()
    }

    /// Whether what was restored is committed: nothing else is before that.
    pub(crate) fn has_recovered(&self) -> bool {
        self.is_ready
    }

    pub(crate) fn on_recovered(&mut self) -> Vec<Effect> {
        self.is_ready = true;
        self.run()
    }

    fn run(&mut self) -> Vec<Effect> {
        let mut effects = Vec::new();
        while self.is_ready {
            match self.phases.turn() {
                Turn::TakeIn => {
                    let Some((channel, packet)) = self.next() else { break };
                    self.on_packet(channel, packet, &mut effects);
                }
                Turn::Flush => self.flush(&mut effects),
                Turn::HoldStill => break,
            }
        }
        effects
    }

    /// The next packet of a channel that is not blocked; those of blocked ones are set aside.
    fn next(&mut self) -> Option<(usize, Packet)> {
        while let Some((channel, packet)) = self.inbox.pop_front() {
            if !self.phases.is_blocked(channel) {
                return Some((channel, packet));
            }
            self.aside.push_back((channel, packet));
        }
        None
    }

    fn on_packet(&mut self, channel: usize, packet: Packet, effects: &mut Vec<Effect>) {
        match packet {
            Packet::Barrier(barrier) => {
                self.phases.on_barrier(channel, barrier, ());
                self.take_up();
            }
            Packet::End => _ = self.phases.on_channel_end(channel, ()),
            data => self.operator.on_data(data, effects),
        }
    }

    /// Nothing is buffered here, and there are no timers.
    fn flush(&mut self, effects: &mut Vec<Effect>) {
        match self.phases.on_flushed(Firing::default()) {
            Flushed::Fire | Flushed::Again => {}
            Flushed::Snapshot { barrier, finished } => {
                let part = self.operator.snapshot(barrier.checkpoint);
                effects.push(Effect::Snapshot(barrier.checkpoint, Part { finished, ..part }));
                if self.phases.origin().is_some() {
                    effects.push(Effect::Broadcast(Packet::Barrier(barrier)));
                }
                self.phases.on_snapshot();
                self.take_up();
            }
            Flushed::End => {
                effects.push(Effect::Broadcast(Packet::End));
                effects.push(Effect::Ended);
                self.phases.on_end_sent();
            }
        }
    }

    /// What was set aside comes before what arrived later.
    fn take_up(&mut self) {
        self.aside.append(&mut self.inbox);
        std::mem::swap(&mut self.aside, &mut self.inbox);
    }
}
