//! One subtask of an operator, as the runtime drives it.
//!
//! # Protocol
//!
//! All calls come from one worker thread. The runtime calls, in an order the stream decides,
//! [`Operator::on_batch`], [`Operator::on_watermark`], [`Operator::on_wakeup`]; before each packet
//! [`Operator::poll_ready`] until it answers [`Readiness::Ready`]; at a barrier, once
//! [`Operator::poll_flushed`] is ready, [`Operator::snapshot`]; when all input has ended
//! [`Operator::on_end`], after which only snapshots and completions follow. Watermarks and barriers
//! are forwarded by the runtime, never by the operator.
//!
//! A watermark may set off much. An operator does some of that at a time and answers
//! [`Progress::More`]; it is called with the same watermark again until it answers
//! [`Progress::Done`], which is when the watermark goes on behind it. In between it may be asked for
//! a snapshot, and is handed nothing else.
//!
//! # Invariants
//!
//! - INV-CUT: what `snapshot` returns reflects every packet before the barrier and none after it.
//! - INV-SHORT: no call blocks or goes on for long. `snapshot` takes references only; encoding and I/O happen in what
//!   it returns, on another thread, or bit by bit in [`Operator::pack_some`].

use std::time::Duration;

use futures::future::BoxFuture;
use tidegate_snapshot::{manifest::StateDescription, segment::ListState};
use tidegate_state::KeyedSnapshot;
use tidegate_types::{
    Barrier, CheckpointId, EventTime, KeyGroupRange, Monotonic, Now, Timestamp, UserResult,
};
use tokio::sync::oneshot;

use crate::batch::ErasedBatch;

/// Where an operator puts its results.
pub trait Output {
    /// Passes a batch on to the next operator, or onto the stream.
    ///
    /// # Errors
    ///
    /// What the operators behind report: hand it on with `?`.
    fn emit(&mut self, batch: ErasedBatch) -> UserResult<()>;

    /// Declares that no record with this event time or an earlier one follows. Only operators that assign
    /// event times call this; the runtime forwards what it is handed otherwise.
    ///
    /// # Errors
    ///
    /// What the operators behind report.
    fn watermark(&mut self, watermark: EventTime) -> UserResult<()>;

    /// Declares that nobody should wait for this stream's watermarks until [`Output::active`], or
    /// until its next watermark. Only operators that assign event times call this, and sources.
    ///
    /// # Errors
    ///
    /// What the operators behind report.
    fn idle(&mut self) -> UserResult<()>;

    /// Takes [`Output::idle`] back, ahead of the records that end the silence.
    ///
    /// # Errors
    ///
    /// What the operators behind report.
    fn active(&mut self) -> UserResult<()>;
}

/// Whether an operator can take the next packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can.
    Ready,
    /// It will call its waker when it may be asked again.
    Pending,
    /// It can't yet; ask again after this time.
    RetryAfter(Duration),
}

/// Whether an operator has done all of what a watermark sets off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "who has more to do has to be called again"]
pub enum Progress {
    /// It has.
    Done,
    /// There may be more.
    More,
}

/// When an operator wants to be called, by either clock: whichever comes first.
///
/// What follows from records by the wall clock (timers that the user sets) is told by the wall clock,
/// and intervals and timeouts by the monotonic one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wakeup {
    wall: Option<Timestamp>,
    monotonic: Option<Monotonic>,
}

impl Wakeup {
    /// Not at all.
    pub const NEVER: Self = Self { wall: None, monotonic: None };

    /// The longest time to sleep by a clock that somebody may set meanwhile.
    const LONGEST_TRUST: Duration = Duration::from_secs(1);

    /// Once the wall clock shows `time`.
    #[must_use]
    pub const fn at(time: Timestamp) -> Self {
        Self { wall: Some(time), monotonic: None }
    }

    /// Once the monotonic clock shows `time`.
    #[must_use]
    pub const fn on(time: Monotonic) -> Self {
        Self { wall: None, monotonic: Some(time) }
    }

    /// Whichever of both comes first.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let wall = self.wall.into_iter().chain(other.wall).min();
        let monotonic = self.monotonic.into_iter().chain(other.monotonic).min();
        Self { wall, monotonic }
    }

    /// Whether it is not wanted at all.
    #[must_use]
    pub fn is_never(&self) -> bool {
        *self == Self::NEVER
    }

    /// Whether it is time.
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        self.wall.is_some_and(|time| time <= now.wall)
            || self.monotonic.is_some_and(|time| time <= now.monotonic)
    }

    /// How long to sleep before looking again, `None` for ever. That is not always until it is due:
    /// the wall clock may step in the meantime.
    #[must_use]
    pub fn wait(&self, now: Now) -> Option<Duration> {
        let wall = self.wall.map(|time| time.since(now.wall).min(Self::LONGEST_TRUST));
        let monotonic = self.monotonic.map(|time| time.since(now.monotonic));
        wall.into_iter().chain(monotonic).min()
    }
}

/// What a [`Duty`](crate::Duty) of the operator hands a snapshot when it is done. A snapshot that
/// gives up waiting takes nothing away from the duty, and one whose duty has failed never gets it.
pub type PendingLists = oneshot::Receiver<Vec<ListState>>;

/// What a subtask contributes to a snapshot.
#[derive(Default)]
pub struct OperatorSnapshot {
    /// The Rust type of the keys, if the state is keyed.
    pub key_type: Option<String>,
    /// The states in it by name.
    pub states: Vec<StateDescription>,
    /// References to the keyed state, to be encoded on another thread.
    pub keyed: Option<(KeyGroupRange, Box<dyn KeyedSnapshot>)>,
    /// Operator state, already encoded.
    pub lists: Vec<ListState>,
    /// Operator state that needs waiting for, such as a sink's committables once its data is
    /// durable.
    pub pending: Option<PendingLists>,
}

impl OperatorSnapshot {
    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keyed.is_none() && self.lists.is_empty() && self.pending.is_none()
    }
}

/// One subtask of an operator that has inputs.
pub trait Operator: 'static {
    /// Takes in records.
    ///
    /// # Errors
    ///
    /// What the user's code or the operators behind `out` report; it fails the attempt.
    fn on_batch(&mut self, batch: ErasedBatch, out: &mut dyn Output) -> UserResult<()>;

    /// Learns that no record with the event time `watermark` or an earlier one follows, and does
    /// some of what that sets off: about as much as a batch of records would.
    ///
    /// # Errors
    ///
    /// As [`Operator::on_batch`].
    fn on_watermark(&mut self, watermark: EventTime, out: &mut dyn Output) -> UserResult<Progress> {
        let _ = (watermark, out);
        Ok(Progress::Done)
    }

    /// Whether it emits only while it is handed records, and never asks to be woken. Who says so
    /// spares the runtime keeping track of what it might emit.
    fn is_passive(&self) -> bool {
        false
    }

    /// Whether it emits for each batch one batch, in which each record follows from the one at the same
    /// place: then it can be told where in the input a record comes from that an operator behind
    /// fails on.
    fn keeps_records(&self) -> bool {
        false
    }

    /// Whether watermarks and idleness are passed on behind this operator. `false` for one that
    /// makes its own.
    fn forwards_watermarks(&self) -> bool {
        true
    }

    /// Learns that its input is idle. Only one that does not forward watermarks is told.
    ///
    /// # Errors
    ///
    /// As [`Operator::on_batch`].
    fn on_idle(&mut self, out: &mut dyn Output) -> UserResult<()> {
        let _ = out;
        Ok(())
    }

    /// Is called at or after the time that [`Operator::next_wakeup`] named. What it has not done
    /// when it returns is due still, so that it is called again.
    ///
    /// # Errors
    ///
    /// As [`Operator::on_batch`].
    fn on_wakeup(&mut self, now: Now, out: &mut dyn Output) -> UserResult<()> {
        let _ = (now, out);
        Ok(())
    }

    /// When it wants [`Operator::on_wakeup`] next, if at all.
    fn next_wakeup(&self) -> Wakeup {
        Wakeup::NEVER
    }

    /// Goes on with work in progress and tells whether the next packet may come.
    ///
    /// # Errors
    ///
    /// As [`Operator::on_batch`].
    fn poll_ready(&mut self) -> UserResult<Readiness> {
        Ok(Readiness::Ready)
    }

    /// As [`Operator::poll_ready`], and hands on what is buffered: asked before a barrier and
    /// before the end of the input.
    ///
    /// # Errors
    ///
    /// As [`Operator::on_batch`].
    fn poll_flushed(&mut self) -> UserResult<Readiness> {
        self.poll_ready()
    }

    /// All input has ended; the final watermark has been seen before.
    ///
    /// # Errors
    ///
    /// As [`Operator::on_batch`].
    fn on_end(&mut self, out: &mut dyn Output) -> UserResult<()> {
        let _ = out;
        Ok(())
    }

    /// Hands out references to the state as of the barrier.
    ///
    /// # Errors
    ///
    /// What prevents it; it fails the attempt.
    fn snapshot(&mut self, barrier: Barrier) -> UserResult<OperatorSnapshot> {
        let _ = barrier;
        Ok(OperatorSnapshot::default())
    }

    /// Does a little of what snapshots have left to do on the worker's thread, some microseconds of
    /// work; tells whether there may be more. It is called until there is not, between packets, for
    /// up to half of the time.
    ///
    /// # Errors
    ///
    /// What prevents it; it fails the attempt.
    fn pack_some(&mut self) -> UserResult<bool> {
        Ok(false)
    }

    /// The snapshot is complete and durable. What is to be committed now is returned, and run to
    /// its end off the worker's thread; its error fails the attempt.
    fn on_completed(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Option<BoxFuture<'static, UserResult<()>>> {
        let _ = checkpoint;
        None
    }
}

/// What a source has to say after a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceStatus {
    /// There may be more right now.
    More,
    /// It will call its waker when there is more.
    Pending,
    /// Ask again after this time.
    Wait(Duration),
    /// There will never be more.
    Ended,
}

/// How far a source has come through a bounded input, in a unit of its own (bytes, records).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceProgress {
    /// What has been read.
    pub done: u64,
    /// All there is, 0 if nobody knows.
    pub total: u64,
}

/// One subtask of a source. The same rules as for an [`Operator`] hold.
pub trait SourceOperator: 'static {
    /// Emits up to about `budget` records.
    ///
    /// # Errors
    ///
    /// What the source, the user's code or the operators behind `out` report.
    fn poll(&mut self, budget: usize, out: &mut dyn Output) -> UserResult<SourceStatus>;

    /// Hands out the positions after the records emitted so far.
    ///
    /// # Errors
    ///
    /// What prevents it; it fails the attempt.
    fn snapshot(&mut self, barrier: Barrier) -> UserResult<OperatorSnapshot>;

    /// The snapshot is complete and durable.
    fn on_completed(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Option<BoxFuture<'static, UserResult<()>>> {
        let _ = checkpoint;
        None
    }

    /// How far it has come, if the input is bounded.
    fn progress(&self) -> Option<SourceProgress> {
        None
    }

    /// Where in the input that lies which the latest poll has emitted: the record at this place in its
    /// batch, or all of it. Asked once user code has failed on it; see
    /// [`SourceReader::origin`](crate::SourceReader::origin).
    fn origin(&self, record: Option<usize>) -> Option<String> {
        let _ = record;
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(wall: u64, monotonic: u64) -> Now {
        let monotonic = Monotonic::from_start(Duration::from_secs(monotonic));
        Now { wall: Timestamp(wall * 1000), monotonic }
    }

    #[test]
    fn a_wall_clock_that_is_set_delays_nothing_by_more_than_a_second() {
        let timer = Wakeup::at(now(3_600, 0).wall);
        assert_eq!(timer.wait(now(0, 0)), Some(Duration::from_secs(1)));
        assert!(timer.is_due(now(3_600, 1)), "the clock was put forward by an hour");
        assert_eq!(timer.wait(now(3_600, 1)), Some(Duration::ZERO));
    }

    #[test]
    fn an_interval_does_not_care_for_the_wall_clock() {
        let interval = Wakeup::on(now(0, 20).monotonic);
        for wall in [0, 7_200] {
            assert_eq!(interval.wait(now(wall, 5)), Some(Duration::from_secs(15)));
            assert!(!interval.is_due(now(wall, 19)) && interval.is_due(now(wall, 20)));
        }
    }

    #[test]
    fn of_several_wakeups_the_first_counts() {
        let timer = Wakeup::at(now(9, 0).wall).or(Wakeup::at(now(7, 0).wall));
        let both = timer.or(Wakeup::on(now(0, 5).monotonic));
        assert!(both.is_due(now(7, 0)) && both.is_due(now(0, 5)) && !both.is_due(now(6, 4)));
        assert!(Wakeup::NEVER.or(Wakeup::NEVER).is_never() && !both.is_never());
        assert_eq!(Wakeup::NEVER.wait(now(1, 1)), None);
    }
}
