//! The phases of a task that has inputs.
//!
//! ```text
//!             last barrier             snapshot, barrier forwarded
//!   [running] ------------> [flushing] ---------------------------> [running], or [ending] if all
//!       |                     ^  |                                             inputs have ended
//!       | last input ends     |  | of a stop        aborted
//!       v                     |  +-------> [stopped] ------> as above
//!   [ending] --- trigger -----+
//!       | nothing left to hand on          trigger
//!       v                          snapshot, and back
//!   [ended] <---------------------------------------> [flushing]
//! ```
//!
//! `O` is a packet's origin: whom what is sent because of it counts against. The barrier and the end
//! are sent with that of the packet that set them off.
//!
//! # Protocol
//!
//! The driver asks [`OperatorTask::turn`] what comes next, and comes back with what came of it.
//! While it is to take packets in, it tells of barriers and ends; records and watermarks are its
//! own business. Packets of blocked channels ([`OperatorTask::is_blocked`]) it sets aside, and
//! takes up after every barrier.
//!
//! # Invariants
//!
//! - INV-CUT: between the last barrier and the snapshot nothing is taken in.
//! - INV-BARRIER: with the snapshot of a task that has not ended goes its barrier, once, ahead of
//!   everything that follows; one that has ended sends nothing any more.
//! - INV-STOPPED: behind the barrier of a stop-with-savepoint nothing is taken in and nothing is
//!   emitted until the savepoint is given up, which a later barrier tells as well.
//! - INV-SEALED: the end is sent once, when all inputs have ended, and nothing follows it.

use tidegate_types::{Barrier, BarrierKind, CheckpointId};

use super::{Firing, TaskCommand, Told, must_fire_before};
use crate::alignment::{Alignment, Decision, Guarantee};

/// Where a task stands.
#[derive(Clone, Debug)]
enum Phase<O> {
    /// It takes in packets.
    Running,
    /// The last barrier has come; what precedes it is handed on. The origin is that of the
    /// packet that completed the alignment, `None` once all is handed on and only snapshots follow.
    Flushing { barrier: Barrier, origin: Option<O> },
    /// It holds still behind the barrier of a stop-with-savepoint: what timers would emit from here
    /// on belongs to no snapshot any more. All inputs may have ended, the origin is there then.
    Stopped { checkpoint: CheckpointId, ending: Option<O> },
    /// All inputs have ended; what is buffered is handed on.
    Ending { origin: O },
    /// Everything is handed on; only snapshots are still taken.
    Ended,
}

/// What a task does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Take in a packet, or have operators emit by themselves.
    TakeIn,
    /// Have operators hand on what they buffer, and ask [`OperatorTask::on_flushed`] when they
    /// have.
    Flush,
    /// Nothing, until there is another command.
    HoldStill,
}

/// What a task does once its operators have handed on what they buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// Go on with what a watermark has set off, and come back.
    Fire,
    /// Have operators snapshot, send the barrier with [`OperatorTask::origin`] if there is one,
    /// take up what was set aside, and tell [`OperatorTask::on_snapshot`].
    Snapshot {
        /// For this.
        barrier: Barrier,
        /// Whether all input has been consumed, so that nobody waits for the barrier.
        finished: bool,
    },
    /// Another snapshot comes first: have operators hand on what they buffer once more.
    Again,
    /// End operators, send what they emit and then the end with [`OperatorTask::origin`], and
    /// tell [`OperatorTask::on_end_sent`].
    End,
}

/// A task that has inputs.
#[derive(Clone, Debug)]
pub struct OperatorTask<O> {
    phase: Phase<O>,
    alignment: Alignment,
    open_channels: usize,
    told: Told,
}

impl<O> OperatorTask<O> {
    /// For a task with `channels` many channels.
    #[must_use]
    pub fn new(channels: usize, guarantee: Guarantee) -> Self {
        let alignment = Alignment::new(channels, guarantee);
        Self { phase: Phase::Running, alignment, open_channels: channels, told: Told::default() }
    }

    /// Whether the packets of `channel` must be set aside for now.
    #[inline]
    #[must_use]
    pub fn is_blocked(&self, channel: usize) -> bool {
        self.alignment.is_blocked(channel)
    }

    /// Whether operators may emit by themselves: not in the middle of a snapshot, nor behind the
    /// end.
    #[inline]
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running)
    }

    /// What a barrier or the end is sent with; `None` if there is nobody who waits for it.
    #[must_use]
    pub fn origin(&self) -> Option<&O> {
        match &self.phase {
            Phase::Flushing { origin, .. } => origin.as_ref(),
            Phase::Ending { origin } => Some(origin),
            Phase::Running | Phase::Stopped { .. } | Phase::Ended => None,
        }
    }

    /// The task is told something. Commits are its operators' business.
    pub fn on_command(&mut self, command: TaskCommand) {
        self.told.on_command(command);
    }

    /// What comes next.
    #[inline]
    pub fn turn(&mut self) -> Turn {
        match self.phase {
            Phase::Running => Turn::TakeIn,
            Phase::Flushing { .. } | Phase::Ending { .. } => Turn::Flush,
            Phase::Stopped { .. } => self.on_stopped(),
            Phase::Ended => self.on_ended(),
        }
    }

    /// A barrier has come on `channel`; tells whether it is the last one. Either way an earlier
    /// snapshot may have been given up, whose channels are free then.
    pub fn on_barrier(&mut self, channel: usize, barrier: Barrier, origin: O) -> bool {
        let decision = self.alignment.on_barrier(channel, barrier);
        self.follow(decision, origin)
    }

    /// Nothing follows on `channel`; tells whether that was all that a snapshot waited for.
    pub fn on_channel_end(&mut self, channel: usize, origin: O) -> bool {
        self.open_channels -= 1;
        match self.alignment.on_end(channel) {
            Decision::Wait if self.open_channels == 0 => {
                self.phase = Phase::Ending { origin };
                false
            }
            decision => self.follow(decision, origin),
        }
    }

    fn follow(&mut self, decision: Decision, origin: O) -> bool {
        let Decision::Snapshot(barrier) = decision else { return false };
        self.phase = Phase::Flushing { barrier, origin: Some(origin) };
        true
    }

    /// Operators have handed on what they buffer, and have that left to do.
    pub fn on_flushed(&mut self, firing: Firing) -> Flushed {
        match &self.phase {
            Phase::Flushing { barrier, .. } if must_fire_before(*barrier, firing) => Flushed::Fire,
            Phase::Flushing { barrier, origin } => {
                Flushed::Snapshot { barrier: *barrier, finished: origin.is_none() }
            }
            Phase::Ending { .. } if firing.any => self.fire_or_snapshot(),
            Phase::Ending { .. } => Flushed::End,
            Phase::Running | Phase::Stopped { .. } | Phase::Ended => Flushed::Again,
        }
    }

    /// All channels have ended, but there is more to come of this task, so that those behind it
    /// wait for its barriers.
    fn fire_or_snapshot(&mut self) -> Flushed {
        let Some(barrier) = self.next_trigger() else { return Flushed::Fire };
        if let Phase::Ending { origin } = std::mem::replace(&mut self.phase, Phase::Ended) {
            self.phase = Phase::Flushing { barrier, origin: Some(origin) };
        }
        Flushed::Again
    }

    /// The snapshot is taken, and its barrier sent.
    pub fn on_snapshot(&mut self) {
        let phase = std::mem::replace(&mut self.phase, Phase::Ended);
        let Phase::Flushing { barrier, origin } = phase else {
            self.phase = phase;
            return;
        };
        self.told.triggers.retain(|trigger| trigger.checkpoint > barrier.checkpoint);
        self.told.aborted.retain(|aborted| *aborted >= barrier.checkpoint);
        let Some(origin) = origin else { return };
        self.phase = match self.alignment.after_snapshot() {
            Decision::Snapshot(barrier) => Phase::Flushing { barrier, origin: Some(origin) },
            Decision::Wait => {
                let ending = (self.open_channels == 0).then_some(origin);
                let checkpoint = barrier.checkpoint;
                match barrier.kind {
                    BarrierKind::StopWithSavepoint { .. } => Phase::Stopped { checkpoint, ending },
                    _ => going_on(ending),
                }
            }
        };
    }

    /// The end is sent: nothing follows it.
    pub fn on_end_sent(&mut self) {
        self.phase = Phase::Ended;
    }

    fn on_stopped(&mut self) -> Turn {
        let Phase::Stopped { checkpoint, ending } = &mut self.phase else {
            return Turn::HoldStill;
        };
        if !self.told.aborted.contains(checkpoint) {
            return Turn::HoldStill;
        }
        let is_ending = ending.is_some();
        self.phase = going_on(ending.take());
        if is_ending { Turn::Flush } else { Turn::TakeIn }
    }

    /// Nobody sends barriers any more: the triggers themselves ask for snapshots.
    fn on_ended(&mut self) -> Turn {
        let Some(barrier) = self.next_trigger() else { return Turn::HoldStill };
        self.phase = Phase::Flushing { barrier, origin: None };
        Turn::Flush
    }

    /// The next snapshot that nobody sends a barrier for.
    fn next_trigger(&mut self) -> Option<Barrier> {
        while let Some(barrier) = self.told.triggers.pop_front() {
            if let Decision::Snapshot(barrier) = self.alignment.on_trigger(barrier) {
                return Some(barrier);
            }
        }
        None
    }
}

/// How a task goes on: with its inputs, or if they have ended with what is left to do.
fn going_on<O>(ending: Option<O>) -> Phase<O> {
    ending.map_or(Phase::Running, |origin| Phase::Ending { origin })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STOP: BarrierKind = BarrierKind::StopWithSavepoint { drain: false };

    fn barrier(id: u64, kind: BarrierKind) -> Barrier {
        Barrier { checkpoint: CheckpointId(id), kind }
    }

    fn task(channels: usize, guarantee: Guarantee) -> OperatorTask<&'static str> {
        OperatorTask::new(channels, guarantee)
    }

    /// Flushes, and snapshots if that is what follows; tells for which id, and with which
    /// origin.
    fn snapshot(task: &mut OperatorTask<&'static str>) -> (u64, Option<&'static str>) {
        assert_eq!(task.turn(), Turn::Flush);
        let flushed = task.on_flushed(Firing::default());
        let Flushed::Snapshot { barrier, .. } = flushed else { panic!("{flushed:?}") };
        let origin = task.origin().copied();
        task.on_snapshot();
        (barrier.checkpoint.get(), origin)
    }

    #[test]
    fn inv_barrier_the_end_of_a_channel_may_complete_several_snapshots() {
        let mut task = task(2, Guarantee::AtLeastOnce);
        assert!(!task.on_barrier(0, barrier(1, BarrierKind::Checkpoint), "a"));
        assert!(!task.on_barrier(0, barrier(2, BarrierKind::Checkpoint), "b"));
        assert!(task.on_channel_end(1, "c"));
        assert_eq!(snapshot(&mut task), (1, Some("c")));
        assert_eq!(snapshot(&mut task), (2, Some("c")));
        assert_eq!((task.turn(), task.is_running()), (Turn::TakeIn, true));
    }

    #[test]
    fn inv_stopped_a_task_whose_inputs_have_ended_holds_still_too_and_then_ends() {
        let mut task = task(1, Guarantee::ExactlyOnce);
        task.on_channel_end(0, "a");
        task.on_command(TaskCommand::Trigger(barrier(1, STOP)));
        let firing = Firing { any: true, records: false };
        assert_eq!(task.on_flushed(firing), Flushed::Again, "timers keep no snapshot waiting");
        assert_eq!(snapshot(&mut task), (1, Some("a")));
        assert_eq!(task.turn(), Turn::HoldStill);
        task.on_command(TaskCommand::Aborted(CheckpointId(1)));
        assert_eq!(task.turn(), Turn::Flush);
        assert_eq!(task.on_flushed(firing), Flushed::Fire);
        assert_eq!(task.on_flushed(Firing::default()), Flushed::End);
    }

    #[test]
    fn inv_sealed_behind_the_end_triggers_ask_for_snapshots_themselves() {
        let mut task = task(1, Guarantee::ExactlyOnce);
        task.on_command(TaskCommand::Trigger(barrier(1, BarrierKind::Checkpoint)));
        assert!(task.on_barrier(0, barrier(1, BarrierKind::Checkpoint), "a"));
        assert_eq!(snapshot(&mut task), (1, Some("a")));
        task.on_channel_end(0, "b");
        assert_eq!(task.on_flushed(Firing::default()), Flushed::End);
        task.on_end_sent();
        assert_eq!(task.turn(), Turn::HoldStill, "its barrier has come");
        task.on_command(TaskCommand::Trigger(barrier(2, STOP)));
        assert_eq!(snapshot(&mut task), (2, None));
        assert_eq!(task.turn(), Turn::HoldStill);
    }
}
