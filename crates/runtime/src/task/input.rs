//! What arrives at a task: packets of several channels, brought into an order that snapshots and
//! watermarks can rely on. What follows from watermarks is decided in `tidegate-checkpoint`.
//!
//! A channel is one sender of one input. Its packets keep their order; those of a channel whose
//! barrier has come are set aside until the other channels' have.

use std::collections::VecDeque;

use crate::{in_flight::Held, packet::Body};

/// A packet that has arrived.
pub(crate) struct Received {
    pub(crate) channel: usize,
    /// Which of the task's inputs it came from.
    pub(crate) input: usize,
    /// Its records count as under way until this is dropped.
    pub(crate) held: Held,
    pub(crate) body: Body,
}

/// Packets that have arrived, in order, and those that are set aside.
#[derive(Default)]
pub(crate) struct Inbox {
    queue: VecDeque<Received>,
    aside: VecDeque<Received>,
    /// How many packets at the front of the queue are known to hold records, or to lie behind some of
    /// their channel.
    searched: usize,
}

impl Inbox {
    pub(crate) fn push(&mut self, packet: Received) {
        self.queue.push_back(packet);
    }

    /// The next packet of a channel that is not blocked; those of blocked ones are set aside.
    pub(crate) fn next(&mut self, is_blocked: impl Fn(usize) -> bool) -> Option<Received> {
        self.searched = 0;
        while let Some(packet) = self.queue.pop_front() {
            if !is_blocked(packet.channel) {
                return Some(packet);
            }
            self.aside.push_back(packet);
        }
        None
    }

    /// Takes out a packet without records that is the next one of a channel which is not blocked, if
    /// there is one. Looks at each packet once, until others are taken.
    pub(crate) fn next_control(&mut self, is_blocked: impl Fn(usize) -> bool) -> Option<Received> {
        let from = std::mem::replace(&mut self.searched, self.queue.len());
        for index in from..self.queue.len() {
            let Received { channel, body, .. } = &self.queue[index];
            if matches!(body, Body::Control(_))
                && !is_blocked(*channel)
                && !self.queue.range(..index).any(|packet| packet.channel == *channel)
            {
                // From here on another packet of the channel is the next one.
                self.searched = 0;
                return self.queue.remove(index);
            }
        }
        None
    }

    /// Takes up what was set aside, ahead of what arrived later.
    pub(crate) fn take_up(&mut self) {
        self.searched = 0;
        self.aside.append(&mut self.queue);
        std::mem::swap(&mut self.aside, &mut self.queue);
    }
}
