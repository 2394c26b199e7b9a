//! How far a task's event time has come, from what its channels say (Flink's
//! `StatusWatermarkValve`).
//!
//! A channel is one sender of one input, numbered from 0.
//!
//! ```text
//!               idle                 active, watermark >= the task's
//!   Aligned ----------> Idle ---------------------------------------> Aligned
//!      ^                  |          active, watermark older
//!      |                  +------------------------------------------> Behind
//!      +-------------- watermark >= the task's ------------------------+
//!
//!   any of them -- final watermark, or end --> Ended
//! ```
//!
//! # Invariants
//!
//! - INV-LEAST: the task's watermark follows the least one of the aligned channels. Idle and ended
//!   channels do not count, and neither does one that was idle and is still behind the others: its
//!   records are late already, and to wait for it would make it no better.
//! - INV-FORWARD: the task's watermark never goes back.
//! - INV-FLUSH: a task is idle when no channel is active and at least one is idle; before it says
//!   so it takes up the greatest watermark of its idle channels, so that what is due by then fires.
//! - INV-FINAL: the final watermark ([`EventTime::MAX`]) comes when all channels have ended, and not
//!   because some have ended while others are idle.
//! - INV-LATE: what a task was told, and what it has told others, is in snapshots ([`Reached`]), so
//!   that a record which is late without a restore is late after one.

mod reached;

use tidegate_types::EventTime;

pub use self::reached::{REACHED, Reached, ReachedItem};

/// Where a channel stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It counts.
    Aligned,
    /// It speaks again after it was idle, and has not caught up.
    Behind,
    /// It has said that nobody should wait for it.
    Idle,
    /// It has sent the final watermark, or ended.
    Ended,
}

/// What a channel has said.
#[derive(Clone, Copy, Debug)]
struct Channel {
    /// The greatest but for the final one.
    watermark: EventTime,
    state: State,
}

/// Whether somebody should wait for a stream's watermarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// They should.
    Active,
    /// They should not, until it says otherwise.
    Idle,
}

/// What follows for a task, in the order of the fields: first the watermark, then the status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    /// The task's watermark is now this.
    pub to: Option<EventTime>,
    /// The task's status is now this.
    pub status: Option<Status>,
}

/// The watermark and the status of one task.
#[derive(Clone, Debug)]
pub struct Watermarks {
    channels: Vec<Channel>,
    current: EventTime,
    status: Status,
}

impl Watermarks {
    /// For a task with `channels` many channels, of which nobody has said anything.
    #[must_use]
    pub fn new(channels: usize) -> Self {
        let channel = Channel { watermark: EventTime::MIN, state: State::Aligned };
        Self { channels: vec![channel; channels], current: EventTime::MIN, status: Status::Active }
    }

    /// As [`Watermarks::new`], for a task that a snapshot has seen at `current`. It stays there until
    /// its channels have come as far: each says again where it was ([`Reached::sent`]).
    #[must_use]
    pub fn restored(channels: usize, current: EventTime) -> Self {
        Self { current, ..Self::new(channels) }
    }

    /// The task's watermark.
    #[must_use]
    pub const fn current(&self) -> EventTime {
        self.current
    }

    /// A channel has a watermark. That shows that it is active; the final one, that it has ended.
    pub fn on_watermark(&mut self, channel: usize, time: EventTime) -> Advance {
        if time == EventTime::MAX {
            return self.on_end(channel);
        }
        let channel = &mut self.channels[channel];
        if channel.state == State::Ended {
            return Advance::default();
        }
        channel.watermark = channel.watermark.max(time);
        // One that counts goes on counting: only behind a restore can it be at an earlier time than
        // the task, which waits for it then.
        if channel.state != State::Aligned {
            channel.state = speaking(channel.watermark, self.current);
        }
        self.advance()
    }

    /// Nobody should wait for a channel.
    pub fn on_idle(&mut self, channel: usize) -> Advance {
        self.enter(channel, State::Idle)
    }

    /// A channel that was idle counts again.
    pub fn on_active(&mut self, channel: usize) -> Advance {
        let Channel { watermark, state } = self.channels[channel];
        if state != State::Idle {
            return Advance::default();
        }
        self.enter(channel, speaking(watermark, self.current))
    }

    /// Nothing follows on a channel, as far as event time is concerned.
    pub fn on_end(&mut self, channel: usize) -> Advance {
        self.enter(channel, State::Ended)
    }

    fn enter(&mut self, channel: usize, state: State) -> Advance {
        let channel = &mut self.channels[channel];
        if channel.state != State::Ended {
            channel.state = state;
        }
        self.advance()
    }

    fn advance(&mut self) -> Advance {
        let status = self.status_now();
        let to = self.target(status).filter(|time| *time > self.current);
        self.current = to.unwrap_or(self.current);
        let changed = status != self.status;
        self.status = status;
        Advance { to, status: changed.then_some(status) }
    }

    fn status_now(&self) -> Status {
        let any = |wanted: &[State]| self.channels.iter().any(|one| wanted.contains(&one.state));
        if any(&[State::Idle]) && !any(&[State::Aligned, State::Behind]) {
            Status::Idle
        } else {
            Status::Active
        }
    }

    /// How far the channels let the task's watermark come.
    fn target(&self, status: Status) -> Option<EventTime> {
        let of = |state: State| {
            let those = self.channels.iter().filter(move |channel| channel.state == state);
            those.map(|channel| channel.watermark)
        };
        if self.channels.iter().all(|channel| channel.state == State::Ended) {
            return Some(EventTime::MAX);
        }
        match status {
            Status::Idle => of(State::Idle).max(),
            Status::Active => of(State::Aligned).min(),
        }
    }
}

/// The state of a channel that is active.
fn speaking(watermark: EventTime, current: EventTime) -> State {
    if watermark >= current { State::Aligned } else { State::Behind }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: Advance = Advance { to: None, status: None };

    fn to(time: i64) -> Advance {
        Advance { to: Some(EventTime(time)), status: None }
    }

    fn at(watermarks: &[i64]) -> Watermarks {
        let mut marks = Watermarks::new(watermarks.len());
        for (channel, time) in watermarks.iter().enumerate() {
            marks.on_watermark(channel, EventTime(*time));
        }
        marks
    }

    #[test]
    fn inv_least_the_least_watermark_counts_and_never_goes_back() {
        let mut marks = Watermarks::new(2);
        assert_eq!(marks.on_watermark(0, EventTime(5)), NOTHING);
        assert_eq!(marks.on_watermark(1, EventTime(3)), to(3));
        assert_eq!(marks.on_watermark(1, EventTime(2)), NOTHING);
        assert_eq!(marks.on_watermark(1, EventTime(9)), to(5));
    }

    #[test]
    fn an_idle_channel_is_not_waited_for() {
        let mut marks = at(&[5, 3]);
        assert_eq!(marks.on_idle(1), to(5));
        assert_eq!(marks.on_watermark(0, EventTime(9)), to(9));
    }

    #[test]
    fn a_channel_that_speaks_again_holds_nobody_back_until_it_has_caught_up() {
        let mut marks = at(&[5, 3]);
        marks.on_idle(1);
        assert_eq!(marks.on_active(1), NOTHING);
        assert_eq!(marks.on_watermark(0, EventTime(9)), to(9), "channel 1 is at 3 still");
        assert_eq!(marks.on_watermark(1, EventTime(9)), NOTHING);
        assert_eq!(marks.on_watermark(0, EventTime(20)), NOTHING, "now it is waited for");
        assert_eq!(marks.on_watermark(1, EventTime(10)), to(10));
    }

    #[test]
    fn inv_flush_the_greatest_watermark_is_taken_up_when_all_are_idle() {
        let mut marks = at(&[5, 3, 4]);
        assert_eq!(marks.on_idle(0), NOTHING);
        assert_eq!(marks.on_idle(1), to(4));
        let idle = Advance { to: Some(EventTime(5)), status: Some(Status::Idle) };
        assert_eq!(marks.on_idle(2), idle);
        let active = Advance { to: None, status: Some(Status::Active) };
        assert_eq!(marks.on_active(2), active);
        assert_eq!(marks.on_watermark(2, EventTime(8)), to(8));
    }

    #[test]
    fn inv_late_a_restored_task_goes_on_from_where_it_was() {
        let mut marks = Watermarks::restored(2, EventTime(5));
        assert_eq!(marks.current(), EventTime(5), "before anybody has said anything");
        assert_eq!(marks.on_watermark(0, EventTime(9)), NOTHING);
        assert_eq!(marks.on_watermark(1, EventTime(3)), NOTHING, "not back");
        assert_eq!(marks.on_watermark(1, EventTime(6)), to(6));
    }

    #[test]
    fn inv_final_an_end_beside_an_idle_channel_is_not_the_end() {
        let mut marks = at(&[5, 3]);
        let idle = Advance { to: None, status: Some(Status::Idle) };
        assert_eq!(marks.on_end(0), NOTHING);
        assert_eq!(marks.on_idle(1), idle, "the end of channel 0 says nothing about channel 1");
        let back = Advance { to: Some(EventTime(4)), status: Some(Status::Active) };
        assert_eq!(marks.on_watermark(1, EventTime(4)), back);
        assert_eq!(marks.on_watermark(1, EventTime::MAX), to(i64::MAX));
    }

    #[test]
    fn inv_final_all_ends_make_the_end_whoever_was_idle() {
        let mut marks = at(&[5, 3]);
        marks.on_idle(0);
        marks.on_idle(1);
        assert_eq!(marks.on_end(0), NOTHING);
        assert_eq!(
            marks.on_end(1),
            Advance { to: Some(EventTime::MAX), status: Some(Status::Active) }
        );
    }
}
