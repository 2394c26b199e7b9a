//! What arrives at a task: packets of several channels, brought into an order that snapshots and
//! watermarks can rely on.
//!
//! A channel is one sender of one input. Its packets keep their order; those of a channel whose
//! barrier has come are set aside until the other channels' have.

use std::collections::VecDeque;

use tidegate_types::EventTime;
use timely::dataflow::operators::InputCapability;

use crate::{packet::Body, round::Round};

/// A packet that has arrived and counts as under way until its capability is dropped.
pub(crate) struct Received {
    pub(crate) channel: usize,
    /// Which of the task's inputs it came from.
    pub(crate) input: usize,
    pub(crate) capability: InputCapability<Round>,
    pub(crate) body: Body,
}

/// Packets that have arrived, in order, and those that are set aside.
#[derive(Default)]
pub(crate) struct Inbox {
    queue: VecDeque<Received>,
    aside: VecDeque<Received>,
}

impl Inbox {
    pub(crate) fn push(&mut self, packet: Received) {
        self.queue.push_back(packet);
    }

    /// The next packet of a channel that is not blocked; those of blocked ones are set aside.
    pub(crate) fn next(&mut self, is_blocked: impl Fn(usize) -> bool) -> Option<Received> {
        while let Some(packet) = self.queue.pop_front() {
            if !is_blocked(packet.channel) {
                return Some(packet);
            }
            self.aside.push_back(packet);
        }
        None
    }

    /// Takes up what was set aside, ahead of what arrived later.
    pub(crate) fn take_up(&mut self) {
        self.aside.append(&mut self.queue);
        std::mem::swap(&mut self.aside, &mut self.queue);
    }
}

/// What a channel has said about event time.
#[derive(Clone, Copy, Debug)]
struct Mark {
    time: EventTime,
    idle: bool,
}

/// What follows for a task from what its channels say about event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Advance {
    /// Nothing new.
    None,
    /// The task's watermark is now this.
    To(EventTime),
    /// Nobody should wait for this task's watermark.
    Idle,
}

/// Merges the watermarks of a task's channels: the least counts, idle channels do not.
#[derive(Debug)]
pub(crate) struct Watermarks {
    marks: Vec<Mark>,
    current: EventTime,
    idle: bool,
}

impl Watermarks {
    pub(crate) fn new(channels: usize) -> Self {
        let mark = Mark { time: EventTime::MIN, idle: false };
        Self { marks: vec![mark; channels], current: EventTime::MIN, idle: false }
    }

    /// A channel has a watermark; its end counts as [`EventTime::MAX`].
    pub(crate) fn on_watermark(&mut self, channel: usize, time: EventTime) -> Advance {
        let mark = &mut self.marks[channel];
        *mark = Mark { time: time.max(mark.time), idle: false };
        self.advance()
    }

    pub(crate) fn on_idle(&mut self, channel: usize) -> Advance {
        self.marks[channel].idle = true;
        self.advance()
    }

    /// A record shows that a channel is not idle any more.
    pub(crate) fn on_record(&mut self, channel: usize) {
        self.marks[channel].idle = false;
        self.idle = false;
    }

    fn advance(&mut self) -> Advance {
        let least = self.marks.iter().filter(|mark| !mark.idle).map(|mark| mark.time).min();
        match least {
            Some(time) if time > self.current => {
                self.current = time;
                self.idle = false;
                Advance::To(time)
            }
            None if !self.idle => {
                self.idle = true;
                Advance::Idle
            }
            _ => Advance::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_watermark_counts_and_never_goes_back() {
        let mut marks = Watermarks::new(2);
        assert_eq!(marks.on_watermark(0, EventTime(5)), Advance::None);
        assert_eq!(marks.on_watermark(1, EventTime(3)), Advance::To(EventTime(3)));
        assert_eq!(marks.on_watermark(1, EventTime(2)), Advance::None);
        assert_eq!(marks.on_watermark(1, EventTime::MAX), Advance::To(EventTime(5)));
    }

    #[test]
    fn an_idle_channel_is_not_waited_for_until_it_speaks_again() {
        let mut marks = Watermarks::new(2);
        marks.on_watermark(0, EventTime(5));
        assert_eq!(marks.on_idle(1), Advance::To(EventTime(5)));
        assert_eq!(marks.on_idle(0), Advance::Idle);
        assert_eq!(marks.on_watermark(0, EventTime(9)), Advance::To(EventTime(9)));
        marks.on_record(1);
        assert_eq!(marks.on_watermark(0, EventTime(11)), Advance::None);
    }
}
